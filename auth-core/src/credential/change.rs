//! What a response does to the session that its request carried.

use std::time::Duration;

/// What a response does to the session that its request carried.
pub(crate) enum Change {
    /// The server set new values of some cookies, or the same values with a new expiry.
    Rolled(Rolled),
    /// The server deleted the cookie. The session has ended, as if it had expired.
    Ended,
}

/// New values of cookies that a credential carries, by name, and how long they are good, counted
/// from their receipt, if the server said so.
pub(crate) struct Rolled {
    pub(crate) cookies: Vec<(String, String)>,
    pub(crate) expires_in: Option<Duration>,
}
