//! The back-off of renewals that bring no later expiry, or that would have to wait for a permit.
//! Without it, a server that returns the same session again would be asked all the time.

use std::time::Duration;

use super::FailurePolicy;
use super::outcome::End;
use crate::clock::{Moment, nanos};

/// How long callers have the permit to themselves for which renewals wait.
const AFTER_CALLERS: Duration = Duration::from_secs(1);

/// How long a renewal waits at most before it looks for its permit again, which may be free sooner
/// than was expected: those ahead of it were given up.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct RenewalBackoff {
    /// How many renewals in a row brought no later expiry.
    streak: u32,
    /// No renewal before this, on the steady clock in nanoseconds.
    until: u64,
    /// Nor before this, if it needs a permit: none is expected to be free for it.
    postponed_until: u64,
}

impl RenewalBackoff {
    /// No renewal before this, on the steady clock: one that needs a permit, or a refresh without.
    pub(super) fn until(&self, needs_permit: bool) -> u64 {
        let postponed = if needs_permit {
            self.postponed_until
        } else {
            0
        };
        self.until.max(postponed)
    }

    /// A permit is expected then, on the steady clock. The renewals that wait for it do not all ask
    /// at once.
    pub(super) fn postpone(&mut self, expected: u64, end: &End) {
        let now = end.at.steady;
        let latest = now.saturating_add(nanos(LOOK_AGAIN));
        let spread = AFTER_CALLERS.saturating_add(AFTER_CALLERS.mul_f64(end.jitter));
        self.postponed_until = expected.clamp(now, latest).saturating_add(nanos(spread));
    }

    /// There is another session, which may be one that a refresh renews.
    pub(super) const fn has_another(&mut self) {
        self.postponed_until = 0;
    }

    /// The back-off after one more of them.
    pub(super) fn next(&self, now: Moment, policy: &FailurePolicy) -> Self {
        let wait = policy.backoff_after(self.streak);
        Self {
            streak: self.streak.saturating_add(1),
            until: now.steady.saturating_add(nanos(wait)),
            postponed_until: 0,
        }
    }
}
