//! What an answer does to the session whose credential its request carried.

use super::attachment::Attachment;
use super::kept::Kept;
use super::{SetCookie, Target, Update};

/// What an answer brings to the session whose credential its request carried.
#[derive(Clone, Copy)]
pub(crate) struct Brought<'a> {
    /// The cookies that it sets.
    pub(crate) cookies: &'a [SetCookie],
    /// Where its request went.
    pub(crate) target: Target<'a>,
    /// The other values.
    pub(crate) update: &'a Update,
    /// Whether it answers a repair, so that what it brings is what was asked for.
    pub(crate) fetched: bool,
}

/// What it does to that session.
pub(crate) enum Change {
    /// Other values, or the same values with other lives.
    Values(Box<NewValues>),
    /// The server deleted the session's cookies. The session has ended, as if it had expired.
    Ended,
}

/// What a session has after an answer has brought values.
pub(crate) struct NewValues {
    pub(super) attachment: Attachment,
    pub(super) kept: Kept,
    /// Whether this is another revision: a value of the session's own differs.
    pub(super) rolled: bool,
    /// Whether a part differs, or whatever was fetched.
    pub(super) brings_part: bool,
    /// Whether the answer set a cookie that the session needs, so that its life counts anew.
    pub(super) restated: bool,
}
