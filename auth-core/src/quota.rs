//! How many logins an API allows.

use std::num::NonZeroU32;
use std::time::Duration;

/// How many logins an API allows in any window of a given length.
///
/// ```
/// use std::num::NonZeroU32;
/// use auth_core::Quota;
///
/// // This program is one of two behind the same address.
/// let share = Quota::DEFAULT.at_most(NonZeroU32::new(5).expect("not zero"));
/// assert_eq!(share.logins().get(), 5);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    logins: NonZeroU32,
    window: Duration,
}

impl Quota {
    /// Ten in any minute. One API documents this limit, and it is a cautious guess for APIs that
    /// document none.
    pub const DEFAULT: Self = match NonZeroU32::new(10) {
        Some(logins) => Self::new(logins, Duration::from_secs(60)),
        None => panic!("ten is not zero"),
    };

    /// At most `logins` in any `window`.
    ///
    /// ```
    /// use std::{num::NonZeroU32, time::Duration};
    /// use auth_core::Quota;
    ///
    /// // Five logins in any quarter of an hour.
    /// let quota = Quota::new(NonZeroU32::new(5).expect("not zero"), Duration::from_secs(900));
    /// assert_eq!(quota.strictest(Quota::DEFAULT), quota);
    /// ```
    pub const fn new(logins: NonZeroU32, window: Duration) -> Self {
        Self { logins, window }
    }

    /// A smaller share of the same quota, for a program that shares its address: the server also
    /// counts the logins of other processes, of other machines behind the same NAT, and of earlier
    /// runs of the program, and this crate can't see them.
    pub fn at_most(mut self, logins: NonZeroU32) -> Self {
        self.logins = self.logins.min(logins);
        self
    }

    /// A quota that keeps both: the smaller number in the longer window.
    pub fn strictest(self, other: Self) -> Self {
        Self {
            logins: self.logins.min(other.logins),
            window: self.window.max(other.window),
        }
    }

    /// The number of logins.
    pub const fn logins(&self) -> NonZeroU32 {
        self.logins
    }

    /// The length of the window.
    pub const fn window(&self) -> Duration {
        self.window
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::DEFAULT
    }
}
