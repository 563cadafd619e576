//! Whether a session is repaired again: a cooldown where repairs turn out not to help.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::error::{Error, LONGEST_RETRY_AFTER, LoginError};

/// How long no repair begins after one that has failed, or whose replay asked for another. Each
/// further one doubles it, up to [`LONGEST_COOLDOWN`]. Rule 8 states both.
const FIRST_COOLDOWN: Duration = Duration::from_secs(5);
const LONGEST_COOLDOWN: Duration = Duration::from_secs(300);

/// How seldom a repair begins that no request is sent again after, so that nothing shows whether it
/// has helped. Rule 8 states it.
const FOR_NEXT_EVERY: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(super) struct RepairBreaker {
    /// How many in a row did not help.
    streak: u32,
    /// No repair before this, on the steady clock.
    until: u64,
    /// Why the last one failed, if it did. Without it, one has brought a value that did not help.
    failure: Option<Arc<LoginError>>,
    /// The last one was refused with an earlier value of the session.
    was_refused: bool,
    /// None that no request is sent again after, before this, on the steady clock.
    next_until: u64,
}

impl RepairBreaker {
    pub(super) const fn forbids(&self, now: Moment) -> bool {
        now.steady < self.until
    }

    /// What a caller is told that needs one now, if the last one has failed.
    pub(super) fn failure(&self, now: Moment) -> Option<Error> {
        let failure = self.failure.as_ref().filter(|_| self.forbids(now))?;
        Some(Error::Login {
            source: Arc::clone(failure),
            retry_after: Some(self.left(now)),
        })
    }

    fn left(&self, now: Moment) -> Duration {
        Duration::from_nanos(self.until.saturating_sub(now.steady))
    }

    /// One has failed. Returns how long none begins: at least as long as the server asked for.
    pub(super) fn failed(&mut self, failure: Arc<LoginError>, now: Moment) -> Duration {
        self.futile(now);
        let asked = failure.retry_after().unwrap_or_default();
        let asked = nanos(asked.min(LONGEST_RETRY_AFTER));
        self.until = self.until.max(now.steady.saturating_add(asked));
        self.failure = Some(failure);
        self.left(now)
    }

    /// One was refused with an earlier value of the session. Returns whether the one before was,
    /// too.
    pub(super) const fn refused_again(&mut self) -> bool {
        std::mem::replace(&mut self.was_refused, true)
    }

    /// One has brought what was asked for.
    pub(super) const fn brought(&mut self) {
        self.was_refused = false;
    }

    /// Whether one begins that no request is sent again after.
    pub(super) fn begins_for_next(&mut self, now: Moment) -> bool {
        let begins = !self.forbids(now) && now.steady >= self.next_until;
        if begins {
            self.next_until = now.steady.saturating_add(nanos(FOR_NEXT_EVERY));
        }
        begins
    }

    /// The value of one did not help.
    pub(super) fn futile(&mut self, now: Moment) {
        if !self.forbids(now) {
            let doubled = FIRST_COOLDOWN.saturating_mul(2_u32.saturating_pow(self.streak));
            let wait = doubled.min(LONGEST_COOLDOWN);
            self.streak = self.streak.saturating_add(1);
            self.until = now.steady.saturating_add(nanos(wait));
            self.failure = None;
            self.was_refused = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment {
            steady: 1_000_000_000_000 + nanos(Duration::from_secs(seconds)),
            wall: 0,
        }
    }

    #[test]
    fn rule_8_the_cooldown_of_repairs_doubles_until_one_helps() {
        let mut breaker = RepairBreaker::default();
        assert!(!breaker.forbids(at(0)));
        let mut now = 0;
        for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
            breaker.futile(at(now));
            assert_eq!(breaker.left(at(now)), Duration::from_secs(wait));
            breaker.futile(at(now + 1));
            assert_eq!(
                breaker.left(at(now + 1)),
                Duration::from_secs(wait - 1),
                "those of the same time count once"
            );
            assert!(breaker.forbids(at(now + wait - 1)) && !breaker.forbids(at(now + wait)));
            now += wait;
        }
        breaker = RepairBreaker::default();
        assert!(!breaker.forbids(at(now)));
        breaker.futile(at(now));
        assert_eq!(breaker.left(at(now)), Duration::from_secs(5));
    }

    #[test]
    fn rule_8_in_the_cooldown_of_a_repair_that_failed_its_failure_is_told() {
        let mut breaker = RepairBreaker::default();
        let error = |wait: u64| {
            let asked = (wait > 0).then(|| Duration::from_secs(wait));
            Arc::new(LoginError::unavailable("status 503").with_retry_after(asked))
        };
        assert_eq!(breaker.failed(error(0), at(0)), Duration::from_secs(5));
        let told = breaker.failure(at(1)).expect("it failed");
        assert_eq!(told.retry_after(), Some(Duration::from_secs(4)));
        assert!(breaker.failure(at(5)).is_none());
        // A value that does not help is no failure.
        breaker.futile(at(5));
        assert!(breaker.forbids(at(6)) && breaker.failure(at(6)).is_none());
        // The server may ask for more, and for no more than an hour.
        for (asked, wait) in [(60, 60), (90_000, 3_600)] {
            let failed = breaker.failed(error(asked), at(10_000));
            assert_eq!(failed, Duration::from_secs(wait));
        }
        breaker = RepairBreaker::default();
        assert!(!breaker.forbids(at(10_000)) && breaker.failure(at(10_000)).is_none());
    }
}
