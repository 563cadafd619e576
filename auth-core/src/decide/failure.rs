//! What a failed login forbids, and for how long.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Moment, nanos};
use crate::error::{Error, LONGEST_RETRY_AFTER, LoginError, LoginErrorKind};
use crate::secret::Fingerprint;

/// How often a source that may change is read again after a refusal. Rule 12 states it: at most
/// once a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long failures are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FailurePolicy {
    /// How long a refused secret is not tried again.
    pub(crate) refused_cooldown: Duration,
    /// The longest wait after the first failure. Each further failure doubles it.
    pub(crate) backoff: Duration,
    /// The upper bound of the longest wait.
    pub(crate) longest_backoff: Duration,
}

impl FailurePolicy {
    /// A refused secret waits for 15 minutes, which is how long lockouts commonly last, so that a
    /// wrong password never causes a lockout. The back-off begins at one second, so that a restart
    /// of the server is hardly noticed, and ends at one minute, so that the server's return is
    /// noticed soon.
    pub(crate) const DEFAULT: Self = Self {
        refused_cooldown: Duration::from_secs(15 * 60),
        backoff: Duration::from_secs(1),
        longest_backoff: Duration::from_secs(60),
    };

    /// The longest wait after `streak` failures that backed off.
    pub(crate) fn backoff_after(&self, streak: u32) -> Duration {
        self.backoff
            .saturating_mul(2_u32.saturating_pow(streak))
            .min(self.longest_backoff)
    }
}

/// The secret of one login attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptedSecret {
    pub(crate) secret: Fingerprint,
    /// Whether its source may hold another secret by now.
    pub(crate) may_change: bool,
}

/// The last failure, and when it happened.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    error: Arc<LoginError>,
    /// No login before this, on the steady clock in nanoseconds.
    until: u64,
    /// How many failures in a row have backed off, this one included.
    streak: u32,
    /// The secret that was refused, and when its source was last read.
    refused: Option<Refused>,
}

#[derive(Clone, Copy, Debug)]
struct Refused {
    attempted: Option<AttemptedSecret>,
    looked_at: Moment,
}

impl Failure {
    /// The failure that follows `before`. `jitter` is a random number from 0 to 1. The back-off is
    /// drawn evenly from zero to its longest, so that a fleet does not come back in step.
    pub(crate) fn after(
        before: Option<&Self>,
        error: Arc<LoginError>,
        attempted: Option<AttemptedSecret>,
        now: Moment,
        policy: &FailurePolicy,
        jitter: f64,
    ) -> Self {
        let streak = before.map_or(0, |failure| failure.streak);
        let backoff = policy.backoff_after(streak);
        let asked = error
            .retry_after()
            .unwrap_or_default()
            .min(LONGEST_RETRY_AFTER);
        let mut streak_after = streak;
        let wait = match error.kind() {
            LoginErrorKind::Refused => policy.refused_cooldown,
            // The limiter holds the whole origin. This wait is only reported to callers.
            LoginErrorKind::Limited => asked,
            // Nothing was sent, so no server has to recover. The configuration is read again as
            // often as a source that may change.
            LoginErrorKind::Misconfigured => LOOK_EVERY,
            LoginErrorKind::Unavailable
            | LoginErrorKind::TimedOut
            | LoginErrorKind::Malformed
            | LoginErrorKind::Panicked => {
                streak_after = streak.saturating_add(1);
                backoff.mul_f64(jitter.clamp(0.0, 1.0)).max(asked)
            }
        };
        let refused = (error.kind() == LoginErrorKind::Refused).then_some(Refused {
            attempted,
            looked_at: now,
        });
        Self {
            error,
            until: now.steady.saturating_add(nanos(wait)),
            streak: streak_after,
            refused,
        }
    }

    /// Whether it still forbids a login.
    pub(crate) fn forbids(&self, now: Moment) -> bool {
        now.steady < self.until && self.kind() != LoginErrorKind::Limited
    }

    /// Whether the source of a refused secret has to be read again. Nothing is sent unless the
    /// secret has changed.
    pub(crate) fn wants_look(&self, now: Moment) -> bool {
        self.refused.is_some_and(|refused| {
            refused
                .attempted
                .is_some_and(|attempted| attempted.may_change)
                && now.steady_since(refused.looked_at) >= LOOK_EVERY
        })
    }

    /// The source was read, and held the same secret.
    pub(crate) fn looked(&mut self, now: Moment) {
        if let Some(refused) = &mut self.refused {
            refused.looked_at = now;
        }
    }

    /// The secret that was refused.
    pub(crate) fn refused_secret(&self) -> Option<Fingerprint> {
        Some(self.refused?.attempted?.secret)
    }

    /// What callers get while it forbids a login: the same failure, with the time left.
    pub(crate) fn error(&self, now: Moment) -> Error {
        let left = Duration::from_nanos(self.until.saturating_sub(now.steady));
        Error::Login {
            source: Arc::clone(&self.error),
            retry_after: Some(left),
        }
    }

    pub(crate) fn kind(&self) -> LoginErrorKind {
        self.error.kind()
    }
}

#[cfg(test)]
#[allow(
    clippy::unchecked_time_subtraction,
    reason = "a test that can't go on fails"
)]
mod tests {
    use super::*;

    const NOW: Moment = Moment {
        steady: 1_000_000_000_000,
        wall: 0,
    };

    fn later(wait: Duration) -> Moment {
        Moment {
            steady: NOW.steady + nanos(wait),
            wall: 0,
        }
    }

    fn after(before: Option<&Failure>, error: LoginError, jitter: f64) -> Failure {
        let attempted = AttemptedSecret {
            secret: crate::Secret::from("secret").fingerprint(),
            may_change: true,
        };
        Failure::after(
            before,
            Arc::new(error),
            Some(attempted),
            NOW,
            &FailurePolicy::DEFAULT,
            jitter,
        )
    }

    fn wait(failure: &Failure) -> Duration {
        failure.error(NOW).retry_after().unwrap()
    }

    #[test]
    fn rule_12_an_outage_backs_off_with_full_jitter_up_to_a_minute() {
        let mut failure = after(None, LoginError::unavailable("x"), 1.0);
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert_eq!(wait(&failure), Duration::from_secs(seconds));
            failure = after(Some(&failure), LoginError::unavailable("x"), 1.0);
        }
        for _ in 0..100 {
            failure = after(Some(&failure), LoginError::malformed("x"), 0.5);
        }
        assert_eq!(wait(&failure), Duration::from_secs(30));
        assert_eq!(
            wait(&after(None, LoginError::panicked(), 0.25)),
            Duration::from_millis(250)
        );
        assert_eq!(
            wait(&after(None, LoginError::timed_out(Duration::ZERO), 0.0)),
            Duration::ZERO
        );
    }

    #[test]
    fn rule_12_a_refusal_holds_for_its_cooldown_and_looks_at_the_source_each_second() {
        let mut failure = after(None, LoginError::refused("x"), 0.0);
        let cooldown = FailurePolicy::DEFAULT.refused_cooldown;
        assert!(failure.forbids(later(cooldown - Duration::from_nanos(1))));
        assert!(!failure.forbids(later(cooldown)));
        assert!(!failure.wants_look(later(Duration::from_millis(999))));
        assert!(failure.wants_look(later(Duration::from_secs(1))));
        failure.looked(later(Duration::from_secs(1)));
        assert!(!failure.wants_look(later(Duration::from_millis(1_999))));
        assert!(failure.wants_look(later(Duration::from_secs(2))));
        assert!(failure.error(NOW).is_login_refused());
    }

    #[test]
    fn only_a_refusal_wants_a_look() {
        for error in [
            LoginError::unavailable("x"),
            LoginError::misconfigured("x"),
            LoginError::malformed("x"),
        ] {
            let failure = after(None, error, 1.0);
            assert!(!failure.wants_look(later(Duration::from_secs(100))));
        }
    }

    #[test]
    fn a_mistake_of_ours_is_forgotten_after_a_second() {
        assert_eq!(
            wait(&after(None, LoginError::misconfigured("x"), 1.0)),
            Duration::from_secs(1)
        );
    }

    #[test]
    fn rule_11_a_limit_is_the_limiters_business_and_a_retry_after_is_capped() {
        let limited = LoginError::limited(Some(Duration::from_secs(9)));
        assert!(!after(None, limited, 1.0).forbids(NOW));
        let outage =
            |wait| LoginError::unavailable("503").with_retry_after(Some(Duration::from_secs(wait)));
        assert_eq!(wait(&after(None, outage(20), 1.0)), Duration::from_secs(20));
        assert_eq!(
            wait(&after(None, outage(u64::MAX), 1.0)),
            Duration::from_secs(3_600)
        );
    }
}
