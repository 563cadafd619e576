//! Whether a rejection is believed: a circuit breaker for the logins that rejections cause.
//!
//! A 401 usually means that the session is dead. It may also mean that a permission is missing,
//! that a route is broken, or that another program logs in to the same account and each login ends
//! the other's session. Another login does not help then, so rejections are doubted as soon as
//! logins turn out not to help.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;

/// How long rejections are doubted after the first login that did not help. Each further one
/// doubles it, up to [`LONGEST_COOLDOWN`]. Rule 8 states both.
const FIRST_COOLDOWN: Duration = Duration::from_secs(5);
/// The upper bound of the cooldown: one futile login in five minutes leaves the quota to others.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(300);
/// How many logins that rejections cause are enough within [`ONE_MINUTE`]. Rule 8 states it. It
/// leaves most of the default quota of ten to other logins.
const MOST_PER_MINUTE: usize = 3;
const ONE_MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct RejectionBreaker {
    /// The last logins that rejections caused, oldest first.
    caused: VecDeque<Caused>,
    cooldown: Option<Cooldown>,
    /// A rejection was believed, and the login that it causes has not ended yet.
    pending: bool,
}

#[derive(Debug)]
struct Caused {
    generation: u64,
    at: Moment,
    vindicated: bool,
}

#[derive(Clone, Copy, Debug)]
struct Cooldown {
    since: Moment,
    length: Duration,
}

impl RejectionBreaker {
    /// Whether a rejection of the current credential is believed now.
    pub(super) fn believes(&self, now: Moment) -> bool {
        let cooling = self
            .cooldown
            .is_some_and(|cooldown| now.steady_since(cooldown.since) < cooldown.length);
        let stormy = self.caused.len() == MOST_PER_MINUTE
            && self
                .caused
                .front()
                .is_some_and(|oldest| now.steady_since(oldest.at) < ONE_MINUTE);
        !cooling && !stormy
    }

    /// A rejection was believed, so it causes the next login.
    pub(super) fn believed(&mut self, now: Moment) {
        self.pending = true;
        // The last login did not help, so this one is on probation and its cooldown begins now.
        // Requests that use the new session before its first replay was judged then cause no
        // further login.
        if let Some(cooldown) = &mut self.cooldown {
            cooldown.since = now;
            cooldown.length = (cooldown.length * 2).min(LONGEST_COOLDOWN);
        }
    }

    /// A login has returned a session.
    pub(super) fn landed(&mut self, generation: u64, now: Moment) {
        if !std::mem::take(&mut self.pending) {
            return;
        }
        if self.caused.len() == MOST_PER_MINUTE {
            self.caused.pop_front();
        }
        self.caused.push_back(Caused {
            generation,
            at: now,
            vindicated: false,
        });
    }

    /// A replay was accepted: the login that it used did help.
    pub(super) fn replay_accepted(&mut self, generation: u64) {
        for caused in &mut self.caused {
            caused.vindicated |= caused.generation == generation;
        }
        if self
            .caused
            .back()
            .is_none_or(|last| generation >= last.generation)
        {
            self.cooldown = None;
        }
    }

    /// A replay with the current credential was rejected. If a rejection caused its login and no
    /// other replay was accepted with it, that login did not help.
    pub(super) fn replay_rejected(&mut self, generation: u64, now: Moment) {
        let in_vain = self
            .caused
            .back()
            .is_some_and(|last| last.generation == generation && !last.vindicated);
        if in_vain && self.cooldown.is_none() {
            self.cooldown = Some(Cooldown {
                since: now,
                length: FIRST_COOLDOWN,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::nanos;

    fn at(seconds: f64) -> Moment {
        Moment {
            steady: 1_000_000_000_000 + nanos(Duration::from_secs_f64(seconds)),
            wall: 0,
        }
    }

    /// A rejection that is believed, and the login that it causes.
    fn login(breaker: &mut RejectionBreaker, generation: u64, seconds: f64) {
        assert!(
            breaker.believes(at(seconds)),
            "login {generation} at {seconds} s"
        );
        breaker.believed(at(seconds));
        breaker.landed(generation, at(seconds));
    }

    #[test]
    fn rule_8_a_rejection_is_believed_at_any_age() {
        let mut breaker = RejectionBreaker::default();
        breaker.landed(1, at(0.0));
        assert!(breaker.believes(at(0.0)));
        login(&mut breaker, 2, 0.001);
        assert!(breaker.believes(at(0.002)), "no replay was judged yet");
    }

    #[test]
    fn rule_8_a_login_that_did_not_help_is_followed_by_a_cooldown_that_doubles() {
        let mut breaker = RejectionBreaker::default();
        let mut now = 100.0;
        for (generation, cooldown) in [
            (2, 5.0),
            (3, 10.0),
            (4, 20.0),
            (5, 40.0),
            (6, 80.0),
            (7, 160.0),
            (8, 300.0),
            (9, 300.0),
        ] {
            // Far enough apart that no three fall into one minute.
            login(&mut breaker, generation, now);
            breaker.replay_rejected(generation, at(now));
            breaker.replay_rejected(generation, at(now + 0.1));
            assert!(
                !breaker.believes(at(now + cooldown - 0.001)),
                "generation {generation}"
            );
            now += cooldown;
            if generation < 5 {
                now += 60.0;
            }
        }
    }

    #[test]
    fn rule_8_a_login_on_probation_is_not_doubled_by_requests_that_overtake_its_replay() {
        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        breaker.replay_rejected(2, at(0.0));
        login(&mut breaker, 3, 5.0);
        assert!(
            !breaker.believes(at(5.0)),
            "on probation until a replay is accepted"
        );
    }

    #[test]
    fn rule_8_one_accepted_replay_resets_it() {
        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        breaker.replay_rejected(2, at(0.0));
        assert!(!breaker.believes(at(1.0)));
        breaker.replay_accepted(2);
        assert!(breaker.believes(at(1.0)));
        breaker.replay_rejected(2, at(1.0));
        assert!(
            breaker.believes(at(1.0)),
            "vindicated once, a login stays so"
        );
        login(&mut breaker, 3, 1.0);
        breaker.replay_rejected(3, at(1.0));
        assert!(
            !breaker.believes(at(5.9)),
            "the cooldown is the first one again"
        );
        assert!(breaker.believes(at(6.0)));
    }

    #[test]
    fn rule_8_a_late_response_to_an_older_replay_proves_nothing_new() {
        let mut breaker = RejectionBreaker::default();
        login(&mut breaker, 2, 0.0);
        login(&mut breaker, 3, 1.0);
        breaker.replay_rejected(3, at(1.0));
        breaker.replay_accepted(2);
        assert!(
            !breaker.believes(at(2.0)),
            "an older login helped, the last one did not"
        );
        breaker.replay_rejected(1, at(2.0));
        breaker.replay_accepted(3);
        assert!(breaker.believes(at(2.0)));
    }

    #[test]
    fn rule_8_three_logins_in_a_minute_are_enough_even_if_each_helped() {
        let mut breaker = RejectionBreaker::default();
        for (generation, seconds) in [(2, 0.0), (3, 10.0), (4, 20.0)] {
            login(&mut breaker, generation, seconds);
            breaker.replay_accepted(generation);
        }
        assert!(!breaker.believes(at(59.999)));
        login(&mut breaker, 5, 60.0);
        assert!(!breaker.believes(at(69.999)));
        assert!(breaker.believes(at(70.0)));
    }

    #[test]
    fn logins_for_other_reasons_do_not_count() {
        let mut breaker = RejectionBreaker::default();
        for generation in 1..10 {
            breaker.landed(generation, at(0.0));
            breaker.replay_rejected(generation, at(0.0));
        }
        assert!(breaker.believes(at(0.0)));
    }
}
