//! When a renewal starts.

use std::time::Duration;

/// By how much a server that counts whole seconds ends a session before the life that it told.
pub(super) const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// When a renewal starts, ahead of the hard or absolute expiry.
///
/// The window is the smaller of `lead` and `fraction` of the life, so that a short life is not all
/// window. Each login shortens it by a random part of up to a quarter, so that a fleet does not
/// renew in step.
///
/// But it leaves room for a second, by which servers that count whole seconds end a session early,
/// and for the renewal itself, as far as that fits into half of the life.
///
/// ```
/// use std::time::Duration;
/// use auth_core::RefreshWindow;
///
/// // One minute before the expiry, and never in the first half of the life.
/// let window = RefreshWindow::new(Duration::from_secs(60), 0.5);
/// # let _ = window;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RefreshWindow {
    lead: Duration,
    fraction: f64,
}

impl RefreshWindow {
    /// Five minutes, or a tenth of the life if that is shorter. A login that fails twice can then
    /// be attempted a third time, and a session of one day loses at most 0.35 % of its life.
    pub const DEFAULT: Self = Self {
        lead: Duration::from_secs(300),
        fraction: 0.1,
    };

    /// No renewal ahead of time: sessions are used until they expire.
    pub const NONE: Self = Self {
        lead: Duration::ZERO,
        fraction: 0.0,
    };

    /// A window of `lead`, but never more than `fraction` of the life. `fraction` is clamped to the
    /// range from 0 to 0.9, and NaN counts as 0.
    pub const fn new(lead: Duration, fraction: f64) -> Self {
        let fraction = if fraction.is_nan() {
            0.0
        } else {
            fraction.clamp(0.0, 0.9)
        };
        Self { lead, fraction }
    }

    /// The window's length for a session of the given life, whose login took `took`. `jitter` is a
    /// random number from 0 to 1.
    pub(super) fn length(self, life: Duration, took: Duration, jitter: f64) -> Duration {
        let longest = self.lead.min(life.mul_f64(self.fraction));
        if longest.is_zero() {
            return longest;
        }
        // The life began at the server when the login was sent, at the earliest, and the renewal
        // will take about as long as the login.
        let room = took.saturating_mul(2).saturating_add(WHOLE_SECOND);
        let window = longest.mul_f64(1.0 - 0.25 * jitter.clamp(0.0, 1.0));
        window.max(room.min(life / 2))
    }
}

impl Default for RefreshWindow {
    fn default() -> Self {
        Self::DEFAULT
    }
}
