//! Renewals that brought back the same expiry: a server that answers with the session it had would be asked on and on.

use super::FailurePolicy;
use crate::clock::{Moment, nanos};

#[derive(Debug, Default)]
pub(super) struct RenewalBackoff {
    /// How many in a row.
    streak: u32,
    /// No renewal before this, on the steady clock.
    until: u64,
}

impl RenewalBackoff {
    /// Whether no renewal may begin yet.
    pub(super) const fn forbids(&self, now: Moment) -> bool {
        now.steady < self.until
    }

    /// One more.
    pub(super) fn next(&self, now: Moment, policy: &FailurePolicy) -> Self {
        let wait = policy.backoff_after(self.streak);
        Self {
            streak: self.streak.saturating_add(1),
            until: now.steady.saturating_add(nanos(wait)),
        }
    }
}
