//! What the cookies of an answer do to the session that its request carried.

use super::attachment::Attachment;

/// What the cookies of an answer do to the session that its request carried.
pub(crate) enum Change {
    /// Other values, or the same values with other lives.
    Cookies(NewCookies),
    /// The server deleted the session's cookies. The session has ended, as if it had expired.
    Ended,
}

/// What a credential puts on requests after an answer has set cookies.
pub(crate) struct NewCookies {
    pub(super) attachment: Attachment,
    /// Whether this is another revision: a value of the session's own cookies differs.
    pub(super) rolled: bool,
    /// Whether the answer set a cookie that the session needs, so that its life counts anew.
    pub(crate) restated: bool,
}
