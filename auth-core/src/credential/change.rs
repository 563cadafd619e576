//! What a response does to the session that its request carried.

use std::fmt;
use std::time::Duration;

/// What a response does to the session that its request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// The server set a new value, or the same value with a new expiry.
    Rolled(Rolled),
    /// The server deleted the cookie. The session has ended, as if it had expired.
    Ended,
}

/// New values for cookies that a credential carries.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Rolled {
    pub(super) cookies: Vec<(String, String)>,
    pub(super) expires_in: Option<Duration>,
}

impl Rolled {
    /// How long the new value is good, counted from its receipt, if the server said so.
    pub(crate) const fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }
}

impl fmt::Debug for Rolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.cookies.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Rolled")
            .field("cookies", &names)
            .field("expires_in", &self.expires_in)
            .finish()
    }
}
