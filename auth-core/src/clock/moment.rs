//! A point in time on both clocks, and a deadline on both.

use std::time::Duration;

/// One reading of both clocks.
///
/// Only differences between readings of one process have a meaning, unless both clocks are those of
/// the machine, as those of a [store](crate::store) are.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Moment;
///
/// let saved = Moment::written(Duration::from_secs(5), Duration::from_secs(1_800_000_000));
/// let later = Moment::written(Duration::from_secs(7), Duration::from_secs(1_800_000_003));
/// assert_eq!(later.since(saved), Duration::from_secs(3), "the larger difference");
/// assert_eq!((saved.steady().as_secs(), saved.wall().as_secs()), (5, 1_800_000_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Nanoseconds on the steady clock.
    pub(crate) steady: u64,
    /// Nanoseconds since the Unix epoch, on the wall clock.
    pub(crate) wall: u64,
}

impl Moment {
    /// A reading that was written down: the time on a clock that can't be set, since any start, and
    /// the time since the Unix epoch. For a store, whose readings are of several processes.
    pub fn written(steady: Duration, wall: Duration) -> Self {
        Self {
            steady: nanos(steady),
            wall: nanos(wall),
        }
    }

    /// The time on the clock that can't be set.
    pub const fn steady(self) -> Duration {
        Duration::from_nanos(self.steady)
    }

    /// The time since the Unix epoch.
    pub const fn wall(self) -> Duration {
        Duration::from_nanos(self.wall)
    }

    /// The time since `earlier`: the larger difference of the two clocks. Zero if `earlier` is in
    /// the future.
    pub fn since(self, earlier: Self) -> Duration {
        let steady = self.steady.saturating_sub(earlier.steady);
        let wall = self.wall.saturating_sub(earlier.wall);
        Duration::from_nanos(steady.max(wall))
    }

    /// The time since `earlier` on the steady clock alone, for waits, back-off and quotas. Setting
    /// the wall clock doesn't change it.
    pub fn steady_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.steady.saturating_sub(earlier.steady))
    }
}

/// A point on both clocks. It has passed as soon as either clock has reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    pub(crate) steady: u64,
    pub(crate) wall: u64,
}

impl Deadline {
    pub(crate) const NEVER: Self = Self {
        steady: u64::MAX,
        wall: u64::MAX,
    };

    pub(crate) fn after(start: Moment, wait: Duration) -> Self {
        let wait = nanos(wait);
        Self {
            steady: start.steady.saturating_add(wait),
            wall: start.wall.saturating_add(wait),
        }
    }

    pub(crate) fn after_option(start: Moment, wait: Option<Duration>) -> Self {
        wait.map_or(Self::NEVER, |wait| Self::after(start, wait))
    }

    #[inline]
    pub(crate) const fn passed(self, now: Moment) -> bool {
        now.steady >= self.steady || now.wall >= self.wall
    }

    /// Whether it has passed, or passes within this time.
    pub(crate) fn is_within(self, wait: Duration, now: Moment) -> bool {
        self.left(now) <= wait
    }

    /// The earlier of the two deadlines, on each clock.
    pub(crate) fn min(self, other: Self) -> Self {
        Self {
            steady: self.steady.min(other.steady),
            wall: self.wall.min(other.wall),
        }
    }

    pub(crate) fn is_never(self) -> bool {
        self == Self::NEVER
    }

    /// The time left on the clock that reaches the deadline first. Zero once it has passed.
    pub(crate) fn left(self, now: Moment) -> Duration {
        let steady = self.steady.saturating_sub(now.steady);
        let wall = self.wall.saturating_sub(now.wall);
        Duration::from_nanos(steady.min(wall))
    }
}

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const SECOND: u64 = 1_000_000_000;

    fn moment(steady: u64, wall: u64) -> Moment {
        Moment { steady, wall }
    }

    #[test]
    fn rule_14_the_earlier_of_the_two_clocks_wins() {
        let start = moment(100 * SECOND, 5_000 * SECOND);
        let deadline = Deadline::after(start, Duration::from_secs(10));
        assert!(!deadline.passed(moment(109 * SECOND, 5_009 * SECOND)));
        assert!(
            deadline.passed(moment(110 * SECOND, 5_000 * SECOND)),
            "steady alone"
        );
        assert!(
            deadline.passed(moment(100 * SECOND, 5_010 * SECOND)),
            "wall alone"
        );
        assert_eq!(
            deadline.left(moment(103 * SECOND, 5_001 * SECOND)),
            Duration::from_secs(7)
        );
        assert_eq!(
            deadline.left(moment(200 * SECOND, 5_001 * SECOND)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_deadline_that_never_comes_is_not_passed_and_does_not_overflow() {
        let start = moment(u64::MAX - 5, u64::MAX - 5);
        let far = Deadline::after(start, Duration::MAX);
        assert!(!Deadline::NEVER.passed(moment(u64::MAX - 1, u64::MAX - 1)));
        assert_eq!(far, Deadline::NEVER);
        assert!(far.is_never());
        assert!(!Deadline::after(start, Duration::from_nanos(1)).is_never());
    }

    #[test]
    fn the_steady_clock_never_runs_backwards() {
        let clock = Clock::system();
        let mut last = clock.now();
        for _ in 0..100_000 {
            let now = clock.now();
            assert!(now.steady >= last.steady);
            last = now;
        }
    }

    #[test]
    fn age_is_the_larger_of_what_the_clocks_say() {
        let earlier = moment(100, 100);
        assert_eq!(moment(150, 120).since(earlier), Duration::from_nanos(50));
        assert_eq!(moment(120, 150).since(earlier), Duration::from_nanos(50));
        assert_eq!(
            moment(150, 900).steady_since(earlier),
            Duration::from_nanos(50)
        );
        assert_eq!(moment(50, 50).since(earlier), Duration::ZERO);
    }
}
