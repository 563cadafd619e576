//! The session that a credential belongs to, and its value within that.

use std::fmt;

/// The session that a credential belongs to, and its value within that.
///
/// A *generation* is one session that the cache got: by a login, by a refresh, or from its
/// [store](crate::store). A *revision* is a value that the server rolled in mid-session, or that a
/// repair brought. Both only grow, and stamps are ordered by age. A stamp prints as
/// `generation.revision`. Another process counts by itself.
///
/// ```
/// # use auth_core::{Credentials, Lifetime, testing::Scripted};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Scripted::tokens(Lifetime::unknown());
/// # let credentials = Credentials::new(provider);
/// let first = credentials.get().await?.stamp();
/// let second = credentials.renew().await?.stamp();
/// assert!(second > first);
/// assert_eq!((first.to_string(), second.generation()), ("1.0".to_owned(), 2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    pub(crate) generation: u64,
    pub(crate) revision: u64,
}

impl Stamp {
    /// The session of the identity, counted from 1.
    pub const fn generation(self) -> u64 {
        self.generation
    }

    pub(crate) const fn next_revision(self) -> Self {
        Self {
            revision: self.revision + 1,
            ..self
        }
    }

    pub(crate) const fn first_revision(self) -> Self {
        Self {
            revision: 0,
            ..self
        }
    }

    /// The value within the session, counted from 0.
    pub const fn revision(self) -> u64 {
        self.revision
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.revision)
    }
}
