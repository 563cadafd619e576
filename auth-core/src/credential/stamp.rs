//! Which login a credential came from, and which value of its session it is.

use std::fmt;

/// Which login a credential came from, and which value of that session it is.
///
/// A *generation* is one login. A *revision* is a value that the server rolled in mid-session. Both only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    pub(crate) generation: u64,
    pub(crate) revision: u64,
}

impl Stamp {
    /// The login, counted from 1.
    pub const fn generation(self) -> u64 {
        self.generation
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
