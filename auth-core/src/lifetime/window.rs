//! When a renewal starts.

use std::time::Duration;

/// When a renewal starts, ahead of the hard or absolute expiry.
///
/// The window is the smaller of `lead` and `fraction` of the life, so that a short life is not all window, and each
/// login shortens it by a random part of up to a quarter, so that a fleet doesn't renew in step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefreshWindow {
    lead: Duration,
    fraction: f64,
}

impl RefreshWindow {
    /// Five minutes, or a tenth of the life if that is shorter: long enough for a login that fails twice to be tried a
    /// third time, short enough that a day's session isn't cut by more than 0.35 %.
    pub const DEFAULT: Self = Self {
        lead: Duration::from_secs(300),
        fraction: 0.1,
    };

    /// No renewal ahead of time: sessions are used until they expire.
    pub const NONE: Self = Self {
        lead: Duration::ZERO,
        fraction: 0.0,
    };

    /// A window of `lead`, but never more than `fraction` of the life. `fraction` is held between 0 and 0.9.
    pub const fn new(lead: Duration, fraction: f64) -> Self {
        let fraction = if fraction.is_nan() {
            0.0
        } else {
            fraction.clamp(0.0, 0.9)
        };
        Self { lead, fraction }
    }

    /// The window's length for a session of the given life; `jitter` is a random number from 0 to 1.
    pub(super) fn length(self, life: Duration, jitter: f64) -> Duration {
        let longest = self.lead.min(life.mul_f64(self.fraction));
        longest.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0))
    }
}

impl Default for RefreshWindow {
    fn default() -> Self {
        Self::DEFAULT
    }
}
