//! The permits of a sliding window.
//!
//! For each login of the quota there is one limiter of `governor`'s with a single permit. They are
//! used in turn, and each gives its permit again only when the window is over. So ten cold
//! identities log in at once, and no window of the documented length, wherever it starts, holds an
//! eleventh login. A token bucket of ten that refills at ten a minute would allow nineteen.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};

use crate::clock::{Clock, Moment, nanos};
use crate::quota::Quota;

/// How much closer together two requests may arrive than they were sent, if the first one was slow
/// on the way. Two seconds cover a lost packet: TCP sends it again after one second (RFC 6298,
/// section 2).
const MARGIN: Duration = Duration::from_secs(2);

/// The longest window that is counted. A longer one is shortened to it, because governor counts
/// time in 64-bit nanoseconds, which end after some centuries.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 86_400);

#[derive(Debug)]
pub(super) struct Window {
    quota: Quota,
    clock: Clock,
    /// Permits that were given and not forgotten, oldest first. Never more than the quota.
    given: VecDeque<Permit>,
}

impl Window {
    pub(super) const fn new(quota: Quota, clock: Clock) -> Self {
        Self {
            quota,
            clock,
            given: VecDeque::new(),
        }
    }

    pub(super) const fn quota(&self) -> Quota {
        self.quota
    }

    /// When the permit after `ahead` others is free, on the steady clock. In the past if it is free
    /// now.
    pub(super) fn free_at(&self, ahead: usize, now: u64) -> u64 {
        let all = self.quota.logins().get() as usize;
        let never_given = all.saturating_sub(self.given.len());
        let (round, turn) = (ahead / all, ahead % all);
        let first = match turn.checked_sub(never_given) {
            Some(index) => self.given.get(index).map_or(0, |permit| permit.free_at),
            None => 0,
        };
        if round == 0 {
            return first;
        }
        let rounds = u64::try_from(round).unwrap_or(u64::MAX);
        let wait = nanos(period(self.quota)).saturating_mul(rounds);
        first.max(now).saturating_add(wait)
    }

    /// Gives a permit, if one is free.
    pub(super) fn give(&mut self, now: u64) -> bool {
        let reusable = self
            .given
            .front()
            .is_some_and(|oldest| oldest.free_at <= now);
        let permit = if reusable {
            self.given.pop_front()
        } else if self.given.len() < self.quota.logins().get() as usize {
            Some(Permit::new(self.quota, &self.clock))
        } else {
            None
        };
        let Some(mut permit) = permit else {
            return false;
        };
        // governor decides: a permit that it refuses is not given.
        let given = permit.take();
        self.given.push_back(permit);
        given
    }

    /// Changes to a stricter quota.
    pub(super) fn tighten(&mut self, quota: Quota, now: u64) {
        // The oldest permits are dropped. The most recent ones are those that still count.
        let surplus = self
            .given
            .len()
            .saturating_sub(quota.logins().get() as usize);
        self.given.drain(..surplus);
        if quota.window() != self.quota.window() {
            self.given.retain(|permit| permit.free_at > now);
            for permit in &mut self.given {
                // The time at which it was given is not known any more. To count it from now is
                // safe.
                *permit = Permit::new(quota, &self.clock);
                permit.take();
            }
        }
        self.quota = quota;
    }

    /// Whether no permit counts any more.
    pub(super) fn is_over(&self, now: u64) -> bool {
        self.given.iter().all(|permit| permit.free_at <= now)
    }
}

fn period(quota: Quota) -> Duration {
    quota.window().min(LONGEST_WINDOW) + MARGIN
}

/// One permit, given again only when the window is over.
#[derive(Debug)]
struct Permit {
    limiter: RateLimiter<NotKeyed, InMemoryState, Steady, NoOpMiddleware<Duration>>,
    /// When it is free again, on the steady clock, as governor states it.
    free_at: u64,
}

impl Permit {
    fn new(quota: Quota, clock: &Clock) -> Self {
        let rate = Rate::with_period(period(quota))
            .unwrap_or_else(|| unreachable!("the margin alone is longer than nothing"))
            .allow_burst(NonZeroU32::MIN);
        Self {
            limiter: RateLimiter::direct_with_clock(rate, Steady(clock.clone())),
            free_at: 0,
        }
    }

    fn take(&mut self) -> bool {
        let taken = self.limiter.check().is_ok();
        if let Err(not_until) = self.limiter.check() {
            self.free_at = nanos(not_until.earliest_possible());
        }
        taken
    }
}

/// The steady clock for governor: the server's window continues while this machine sleeps.
#[derive(Clone, Debug)]
pub(super) struct Steady(pub(super) Clock);

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let Moment { steady, .. } = self.0.now();
        Duration::from_nanos(steady)
    }
}
