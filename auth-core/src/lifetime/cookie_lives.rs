//! What the lives of a session's cookies say about its own.

use std::time::Duration;

use crate::clock::Deadline;

/// What the lives of a session's cookies say about its own.
#[derive(Debug)]
pub(crate) struct CookieLives {
    /// The least end of the cookies that the session needs.
    pub(crate) least: Deadline,
    /// The shortest life that is stated for one of them.
    pub(crate) shortest: Option<Duration>,
    /// Whether the server has stated lives since the login, in place of the hard expiry that the
    /// provider stated: all of them, or one that is no longer.
    pub(crate) restated: bool,
    /// The first end of the other cookies.
    pub(crate) others: Deadline,
}
