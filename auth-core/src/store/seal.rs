//! How what is stored is made unreadable.

use std::fmt;

use crate::secret::Secret;

/// Names and seals what is stored, so that who reads the store learns neither accounts nor
/// sessions.
///
/// ```
/// # #[cfg(feature = "seal")] {
/// use auth_core::store::{Keys, Seal, Unreadable};
///
/// let keys = Keys::random()?;
/// let sealed = keys.seal("s1", b"the session of ada")?;
/// assert_eq!(keys.open(&sealed, b"the session of ada").map(|text| text.expose().len()), Ok(2));
/// let moved = keys.open(&sealed, b"the session of bob");
/// assert_eq!(moved.err(), Some(Unreadable::Damaged));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Seal: Send + Sync {
    /// A name that is the same in every process with the same key, tells nothing of the text, and
    /// has letters and digits only.
    fn name(&self, text: &[u8]) -> String;

    /// Seals a text. `context` says what it is and whose: [`open`](Self::open) needs the same one,
    /// so that nothing is taken for another's that was moved in its place.
    ///
    /// # Errors
    /// [`StoreError`](super::StoreError) if the system has no random numbers.
    fn seal(&self, text: &str, context: &[u8]) -> Result<Vec<u8>, super::StoreError>;

    /// Opens what was sealed.
    ///
    /// # Errors
    /// [`Unreadable`] says why it can't be.
    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret, Unreadable>;
}

/// Why something stored can't be read. It counts as absent.
///
/// ```
/// use auth_core::{Event, store::Unreadable};
///
/// /// After a rotation of keys, an entry that no key opens is expected.
/// fn is_expected(event: &Event) -> bool {
///     matches!(event, Event::StoredUnreadable { why: Unreadable::UnknownKey })
/// }
/// assert!(!is_expected(&Event::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unreadable {
    /// It is of a later version of this crate.
    LaterVersion,
    /// It was sealed with a key that is not at hand.
    UnknownKey,
    /// It is damaged, it is another identity's and was moved here, or it is a file that others can
    /// write.
    Damaged,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LaterVersion => "it was written by a later version",
            Self::UnknownKey => "it was sealed with another key",
            Self::Damaged => "it is damaged, or another identity's",
        })
    }
}
