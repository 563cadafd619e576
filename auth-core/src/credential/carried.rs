//! What one request carried.

use super::Stamp;
use crate::clock::Moment;
use crate::login_mark::LoginMark;

/// What one request carried, when it was sent, and whether it was a replay: what its answer can speak of.
///
/// A few words, no allocation, no reference count. See [`Credentials::sending`](crate::Credentials::sending).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The cache that it is from: another's stamps say nothing here.
    pub(crate) mark: LoginMark,
    pub(crate) stamp: Stamp,
    pub(crate) sent: Moment,
    /// Whether its acceptance moves a deadline.
    pub(crate) slides: bool,
    /// Whether the URL that was sent holds a secret.
    pub(crate) query: bool,
    pub(crate) replay: bool,
}

impl Carried {
    /// The credential's generation and revision.
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether the credential was in the URL as well, which is therefore a secret, and so is what repeats it.
    pub const fn has_query(&self) -> bool {
        self.query
    }

    /// Whether this was the second sending of a request whose first was rejected.
    pub const fn is_replay(&self) -> bool {
        self.replay
    }
}
