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
    /// The session with which the last one did not help. A later one may be tried with all the
    /// same.
    generation: u64,
    /// No repair of any session before this, by the server's `Retry-After`.
    asked_until: u64,
    /// Why the last one failed, if it did. Without it, one has brought a value that did not help.
    failure: Option<Arc<LoginError>>,
    /// The last one was refused with an earlier value of the session.
    was_refused: bool,
    /// None that no request is sent again after, before this, on the steady clock.
    next_until: u64,
}

impl RepairBreaker {
    /// Whether no repair of the session of this generation may begin now.
    pub(super) const fn forbids(&self, generation: u64, now: Moment) -> bool {
        now.steady < self.until(generation)
    }

    const fn until(&self, generation: u64) -> u64 {
        if generation > self.generation {
            self.asked_until
        } else {
            self.until
        }
    }

    /// What a caller is told that needs one now, if the last one has failed.
    pub(super) fn failure(&self, generation: u64, now: Moment) -> Option<Error> {
        let failure = self.failure.as_ref();
        let failure = failure.filter(|_| self.forbids(generation, now))?;
        Some(Error::Login {
            source: Arc::clone(failure),
            retry_after: Some(self.left(generation, now)),
        })
    }

    fn left(&self, generation: u64, now: Moment) -> Duration {
        Duration::from_nanos(self.until(generation).saturating_sub(now.steady))
    }

    /// One has failed. Returns how long none begins: at least as long as the server asked for.
    pub(super) fn failed(
        &mut self,
        failure: Arc<LoginError>,
        generation: u64,
        now: Moment,
    ) -> Duration {
        self.futile(generation, now);
        let asked = failure.retry_after().unwrap_or_default();
        let asked = now
            .steady
            .saturating_add(nanos(asked.min(LONGEST_RETRY_AFTER)));
        self.asked_until = self.asked_until.max(asked);
        self.until = self.until.max(asked);
        self.failure = Some(failure);
        self.left(generation, now)
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
    pub(super) fn begins_for_next(&mut self, generation: u64, now: Moment) -> bool {
        let begins = !self.forbids(generation, now) && now.steady >= self.next_until;
        if begins {
            self.next_until = now.steady.saturating_add(nanos(FOR_NEXT_EVERY));
        }
        begins
    }

    /// The value of one did not help the session of this generation.
    pub(super) fn futile(&mut self, generation: u64, now: Moment) {
        if !self.forbids(generation, now) {
            let doubled = FIRST_COOLDOWN.saturating_mul(2_u32.saturating_pow(self.streak));
            let wait = doubled.min(LONGEST_COOLDOWN);
            self.streak = self.streak.saturating_add(1);
            self.until = now.steady.saturating_add(nanos(wait));
            self.generation = generation;
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
        assert!(!breaker.forbids(1, at(0)));
        let mut now = 0;
        for wait in [5, 10, 20, 40, 80, 160, 300, 300] {
            breaker.futile(1, at(now));
            assert_eq!(breaker.left(1, at(now)), Duration::from_secs(wait));
            breaker.futile(1, at(now + 1));
            assert_eq!(
                breaker.left(1, at(now + 1)),
                Duration::from_secs(wait - 1),
                "those of the same time count once"
            );
            assert!(breaker.forbids(1, at(now + wait - 1)) && !breaker.forbids(1, at(now + wait)));
            now += wait;
        }
        breaker = RepairBreaker::default();
        assert!(!breaker.forbids(1, at(now)));
        breaker.futile(1, at(now));
        assert_eq!(breaker.left(1, at(now)), Duration::from_secs(5));
    }

    #[test]
    fn rule_8_in_the_cooldown_of_a_repair_that_failed_its_failure_is_told() {
        let mut breaker = RepairBreaker::default();
        let error = |wait: u64| {
            let asked = (wait > 0).then(|| Duration::from_secs(wait));
            Arc::new(LoginError::unavailable("status 503").with_retry_after(asked))
        };
        assert_eq!(breaker.failed(error(0), 1, at(0)), Duration::from_secs(5));
        let told = breaker.failure(1, at(1)).expect("it failed");
        assert_eq!(told.retry_after(), Some(Duration::from_secs(4)));
        assert!(breaker.failure(1, at(5)).is_none());
        // A value that does not help is no failure.
        breaker.futile(1, at(5));
        assert!(breaker.forbids(1, at(6)) && breaker.failure(1, at(6)).is_none());
        // The server may ask for more, and for no more than an hour.
        for (asked, wait) in [(60, 60), (90_000, 3_600)] {
            let failed = breaker.failed(error(asked), 1, at(10_000));
            assert_eq!(failed, Duration::from_secs(wait));
        }
        breaker = RepairBreaker::default();
        assert!(!breaker.forbids(1, at(10_000)) && breaker.failure(1, at(10_000)).is_none());
    }

    #[test]
    fn rule_8_a_repair_is_refused_again_unless_one_has_brought_what_was_asked_for() {
        let mut breaker = RepairBreaker::default();
        assert!(!breaker.refused_again() && breaker.refused_again());
        breaker.brought();
        assert!(!breaker.refused_again());
        breaker.futile(1, at(0));
        assert!(!breaker.refused_again() && breaker.refused_again());
    }

    #[test]
    fn rule_8_a_later_session_is_tried_once_in_the_cooldown_of_an_earlier_one() {
        let mut breaker = RepairBreaker::default();
        let failed = Arc::new(LoginError::malformed("status 403"));
        assert_eq!(
            breaker.failed(Arc::clone(&failed), 1, at(0)),
            Duration::from_secs(5)
        );
        assert!(breaker.forbids(1, at(1)) && !breaker.forbids(2, at(1)));
        assert!(breaker.failure(2, at(1)).is_none());
        // What follows is as long as after a second failure of one session.
        assert_eq!(breaker.failed(failed, 2, at(1)), Duration::from_secs(10));
        assert!(breaker.forbids(2, at(10)) && !breaker.forbids(2, at(11)));
        // What the server asks for holds for all.
        let asked = Some(Duration::from_secs(60));
        let failed = LoginError::unavailable("status 503").with_retry_after(asked);
        breaker.failed(Arc::new(failed), 2, at(20));
        assert!(breaker.forbids(3, at(79)) && !breaker.forbids(3, at(80)));
        let told = breaker.failure(3, at(50)).expect("it failed");
        assert_eq!(told.retry_after(), Some(Duration::from_secs(30)));
    }
}
