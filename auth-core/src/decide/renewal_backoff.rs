//! The back-off of renewals that bring no later expiry. Without it, a server that returns the same
//! session again would be asked all the time.

use super::FailurePolicy;
use crate::clock::{Moment, nanos};

#[derive(Debug, Default)]
pub(super) struct RenewalBackoff {
    /// How many renewals in a row brought no later expiry.
    streak: u32,
    /// No renewal before this, on the steady clock in nanoseconds.
    until: u64,
}

impl RenewalBackoff {
    /// Whether no renewal may begin yet.
    pub(super) const fn forbids(&self, now: Moment) -> bool {
        now.steady < self.until
    }

    /// No renewal before this, on the steady clock.
    pub(super) const fn until(&self) -> u64 {
        self.until
    }

    /// The back-off after one more of them.
    pub(super) fn next(&self, now: Moment, policy: &FailurePolicy) -> Self {
        let wait = policy.backoff_after(self.streak);
        Self {
            streak: self.streak.saturating_add(1),
            until: now.steady.saturating_add(nanos(wait)),
        }
    }
}
