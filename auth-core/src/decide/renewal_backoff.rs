//! The back-off of renewals that bring no later expiry, or that would have to wait for a permit.
//! Without it, a server that returns the same session again would be asked all the time.

use std::time::Duration;

use super::FailurePolicy;
use super::outcome::End;
use crate::clock::{Moment, nanos};

/// How long callers have the permit to themselves for which renewals wait.
const AFTER_CALLERS: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct RenewalBackoff {
    /// How many renewals in a row brought no later expiry.
    streak: u32,
    /// No renewal before this, on the steady clock in nanoseconds.
    until: u64,
    /// Nor before this: there is no permit for the login that would renew this session.
    postponed_until: u64,
}

impl RenewalBackoff {
    /// Whether no renewal may begin yet.
    pub(super) const fn forbids(&self, now: Moment) -> bool {
        now.steady < self.until()
    }

    /// No renewal before this, on the steady clock.
    pub(super) const fn until(&self) -> u64 {
        if self.until > self.postponed_until {
            self.until
        } else {
            self.postponed_until
        }
    }

    /// A permit may be free then, on the steady clock, but not before. The renewals that wait for
    /// it do not all ask at once.
    pub(super) fn postpone(&mut self, until: u64, end: &End) {
        let later = until
            .max(end.at.steady)
            .saturating_add(nanos(AFTER_CALLERS));
        let spread = nanos(AFTER_CALLERS.mul_f64(end.jitter));
        self.postponed_until = later.saturating_add(spread);
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
