//! How long a session lives, as its provider states it.

use std::time::Duration;

/// How long a session lives, as its provider knows it. Everything counts from the receipt of the login's answer.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Lifetime;
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// // Good for a day:
/// let fixed = Lifetime::of(DAY);
/// // Good for a week of silence, thirty days at most:
/// let sliding = Lifetime::unknown().idle(7 * DAY).absolute(30 * DAY);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub(super) hard: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) absolute: Option<Duration>,
}

impl Lifetime {
    /// Nothing is known: the session is used until the server rejects it.
    pub const fn unknown() -> Self {
        Self {
            hard: None,
            idle: None,
            absolute: None,
        }
    }

    /// Dead after `life`, unless the server rolls the credential with a new expiry.
    pub const fn of(life: Duration) -> Self {
        Self {
            hard: Some(life),
            idle: None,
            absolute: None,
        }
    }

    /// Dead after `timeout` without a request. Each accepted request moves the deadline.
    pub const fn idle(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// Dead after `maximum`, whatever happens. Nothing moves this one.
    pub const fn absolute(mut self, maximum: Duration) -> Self {
        self.absolute = Some(maximum);
        self
    }

    /// The same, with a hard expiry no later than `life`. It never lengthens anything.
    pub fn at_most(mut self, life: Duration) -> Self {
        self.hard = Some(self.hard.map_or(life, |hard| hard.min(life)));
        self
    }

    /// The hard expiry, counted from the login.
    pub const fn hard_expiry(&self) -> Option<Duration> {
        self.hard
    }

    /// The longest silence that the session survives.
    pub const fn idle_timeout(&self) -> Option<Duration> {
        self.idle
    }

    /// The absolute maximum, counted from the login.
    pub const fn absolute_maximum(&self) -> Option<Duration> {
        self.absolute
    }
}
