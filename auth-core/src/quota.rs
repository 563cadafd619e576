//! How many logins an API allows.

use std::num::NonZeroU32;
use std::time::Duration;

/// How many logins an API allows in any window of a given length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    logins: NonZeroU32,
    window: Duration,
}

impl Quota {
    /// Ten in any minute: what the one API that documents a limit allows, and a restrained guess for those that don't.
    pub const DEFAULT: Self = match NonZeroU32::new(10) {
        Some(logins) => Self::new(logins, Duration::from_secs(60)),
        None => panic!("ten is not zero"),
    };

    /// At most `logins` in any `window`.
    pub const fn new(logins: NonZeroU32, window: Duration) -> Self {
        Self { logins, window }
    }

    /// A smaller share of the same quota, for a program that is not alone behind its address: other processes, other
    /// machines behind the same NAT, and earlier runs of the same program count at the server and can't be seen from here.
    pub fn at_most(mut self, logins: NonZeroU32) -> Self {
        self.logins = self.logins.min(logins);
        self
    }

    /// Few enough for both: the smaller number in the longer window.
    pub fn strictest(self, other: Self) -> Self {
        Self {
            logins: self.logins.min(other.logins),
            window: self.window.max(other.window),
        }
    }

    /// How many.
    pub const fn logins(&self) -> NonZeroU32 {
        self.logins
    }

    /// In how long.
    pub const fn window(&self) -> Duration {
        self.window
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::DEFAULT
    }
}
