//! How long a session is good, as its provider states it.

use std::time::Duration;

/// How long a session is good, as its provider states it. Every duration counts from the receipt of
/// the login's response.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Lifetime;
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// // A session of one day:
/// let fixed = Lifetime::of(DAY);
/// // Seven days of inactivity end it, and thirty days in any case:
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

    /// The session ends after `life`, unless the server rolls the credential with a new expiry.
    pub const fn of(life: Duration) -> Self {
        Self {
            hard: Some(life),
            idle: None,
            absolute: None,
        }
    }

    /// The session ends after `timeout` without an accepted request. Each accepted request moves
    /// the deadline.
    pub const fn idle(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// The session ends after `maximum` in any case. Nothing moves this deadline.
    pub const fn absolute(mut self, maximum: Duration) -> Self {
        self.absolute = Some(maximum);
        self
    }

    pub(crate) const fn within(
        hard: Option<Duration>,
        idle: Option<Duration>,
        absolute: Option<Duration>,
    ) -> Self {
        Self {
            hard,
            idle,
            absolute,
        }
    }

    /// Limits the hard expiry to `life`. It never lengthens anything.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Lifetime;
    ///
    /// let hour = Duration::from_secs(3_600);
    /// assert_eq!(Lifetime::of(24 * hour).at_most(hour), Lifetime::of(hour));
    /// assert_eq!(Lifetime::unknown().at_most(hour), Lifetime::of(hour));
    /// ```
    pub fn at_most(mut self, life: Duration) -> Self {
        self.hard = Some(self.hard.map_or(life, |hard| hard.min(life)));
        self
    }

    /// The hard expiry, counted from the login.
    pub const fn hard_expiry(&self) -> Option<Duration> {
        self.hard
    }

    /// The longest inactivity after which the session is still good.
    pub const fn idle_timeout(&self) -> Option<Duration> {
        self.idle
    }

    /// The absolute maximum, counted from the login.
    pub const fn absolute_maximum(&self) -> Option<Duration> {
        self.absolute
    }
}
