//! What is stored, told without what it holds.

use std::time::Duration;

use super::entry::Version;
use super::seal::Unreadable;

/// What is stored of one identity, told without what it holds.
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::StoredSummary;
///
/// /// What an operator looks for.
/// fn is_stale(stored: &StoredSummary) -> bool {
///     stored.unreadable.is_some()
///         || stored.session_age.is_some_and(|age| age > Duration::from_secs(30 * 86_400))
/// }
/// # drop(is_stale);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredSummary {
    /// The name of the entry, which tells nothing of the account.
    pub name: String,
    /// The version of the session, also of one that has ended. The default if the entry
    /// can't be read.
    pub version: Version,
    /// How long ago the session was saved, if there is one.
    pub session_age: Option<Duration>,
    /// How long ago the notes were saved, if there are any.
    pub notes_age: Option<Duration>,
    /// Whether the session was rejected, or logged out.
    pub is_over: bool,
    /// Why it can't be read, as far as can be said without the identity.
    pub unreadable: Option<Unreadable>,
}
