//! Whether a session is repaired again: a cooldown where repairs turn out not to help.

use std::time::Duration;

use crate::clock::{Moment, nanos};

/// How long no repair begins after one that has failed, or whose replay asked for another. Each
/// further one doubles it, up to [`LONGEST_COOLDOWN`]. Rule 8 states both.
const FIRST_COOLDOWN: Duration = Duration::from_secs(5);
const LONGEST_COOLDOWN: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct RepairBreaker {
    /// How many in a row did not help.
    streak: u32,
    /// No repair before this, on the steady clock.
    until: u64,
}

impl RepairBreaker {
    pub(super) const fn forbids(&self, now: Moment) -> bool {
        now.steady < self.until
    }

    /// One did not help. Returns how long none begins.
    pub(super) fn futile(&mut self, now: Moment) -> Duration {
        if !self.forbids(now) {
            let doubled = FIRST_COOLDOWN.saturating_mul(2_u32.saturating_pow(self.streak));
            let wait = doubled.min(LONGEST_COOLDOWN);
            self.streak = self.streak.saturating_add(1);
            self.until = now.steady.saturating_add(nanos(wait));
        }
        Duration::from_nanos(self.until.saturating_sub(now.steady))
    }

    /// A replay after a repair was accepted.
    pub(super) fn helped(&mut self) {
        *self = Self::default();
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
            assert_eq!(breaker.futile(at(now)), Duration::from_secs(wait));
            assert_eq!(
                breaker.futile(at(now + 1)),
                Duration::from_secs(wait - 1),
                "those of the same time count once"
            );
            assert!(breaker.forbids(at(now + wait - 1)) && !breaker.forbids(at(now + wait)));
            now += wait;
        }
        breaker.helped();
        assert!(!breaker.forbids(at(now)));
        assert_eq!(breaker.futile(at(now)), Duration::from_secs(5));
    }
}
