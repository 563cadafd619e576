//! The permits of a sliding window, which begins for each when its login has ended.
//!
//! A permit that was given is in one of these states:
//!
//! 1. *Under way*: its login has not ended. It counts as if that ended at its time-out, so it
//!    lapses by itself, whatever becomes of the login's task.
//! 2. *Lost*: the login was dropped, has timed out or has panicked. It may still arrive at the
//!    server, so its window begins at the time-out.
//! 3. *Ended*: the window has begun. When it is over, the permit is free.
//!
//! For each permit there is one limiter of `governor`'s with a single cell, taken at the beginning
//! of the window. A permit is free when its limiter gives the cell again. So ten cold identities
//! log in at once, and no window of the documented length, wherever it starts, holds an eleventh
//! login. A token bucket of ten that refills at ten a minute would allow nineteen.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};

use crate::clock::{Clock, Moment, nanos};
use crate::quota::Quota;

/// How much longer a window is than documented: a second for a server that counts in whole seconds,
/// and a second for what a proxy still delivers of a login whose connection has failed.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

/// The longest window that is counted. A longer one is shortened to it, because governor counts
/// time in 64-bit nanoseconds, which end after some centuries.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 86_400);

#[derive(Debug)]
pub(super) struct Window {
    quota: Quota,
    clock: Clock,
    /// Permits that were given and not forgotten, in the order in which they are free by
    /// themselves. More than the quota if it was tightened, or if a login ended long after its
    /// time-out.
    given: VecDeque<Given>,
    /// The number of the last permit.
    last: PermitId,
}

/// The number of a permit, which tells it from those before it.
pub(super) type PermitId = u64;

impl Window {
    pub(super) const fn new(quota: Quota, clock: Clock) -> Self {
        Self {
            quota,
            clock,
            given: VecDeque::new(),
            last: 0,
        }
    }

    pub(super) const fn quota(&self) -> Quota {
        self.quota
    }

    /// When the permit after `ahead` others is free at the earliest, on the steady clock, if none
    /// is taken before `held_until`. In the past if it is free now.
    pub(super) fn free_at(&self, ahead: usize, now: u64, held_until: u64) -> u64 {
        let all = self.quota.logins().get() as usize;
        let (round, turn) = (ahead / all, ahead % all);
        let first = (turn + self.given.len())
            .checked_sub(all)
            .map_or(0, |index| self.earliest(index, now));
        if round == 0 {
            return first;
        }
        let rounds = u64::try_from(round).unwrap_or(u64::MAX);
        let wait = nanos(period(self.quota)).saturating_mul(rounds);
        first.max(now).max(held_until).saturating_add(wait)
    }

    /// The earliest time at which `index` and one of the given permits may be free.
    fn earliest(&self, index: usize, now: u64) -> u64 {
        // A login under way may end now. Permits that are free by then come first, whatever their
        // state, then those under way, then those whose logins count as ended later than now.
        let soonest = now.saturating_add(nanos(period(self.quota)));
        let by_then = self
            .given
            .partition_point(|permit| permit.free_at <= soonest);
        let Some(after) = index.checked_sub(by_then) else {
            return self.given[index].free_at;
        };
        let mut later = (self.given.range(by_then..)).filter(|permit| !permit.under_way);
        let under_way = self.given.len() - by_then - later.clone().count();
        after
            .checked_sub(under_way)
            .and_then(|lost| later.nth(lost))
            .map_or(soonest, |lost| lost.free_at)
    }

    /// Gives a permit, if one is free, to a login that times out at `until`.
    pub(super) fn give(&mut self, until: u64) -> Option<PermitId> {
        while self.given.len() >= self.quota.logins().get() as usize {
            // governor decides: a permit that it refuses is not free.
            if !self.given.front()?.take() {
                return None;
            }
            self.given.pop_front();
        }
        self.last += 1;
        self.insert(self.last, true, until);
        Some(self.last)
    }

    /// Whether no other login has had this permit. It may have lapsed.
    pub(super) fn has(&self, id: PermitId) -> bool {
        self.given.iter().any(|permit| permit.id == id)
    }

    /// The login of this permit is sent later than it was given, and times out at `until`: even if
    /// the permit had lapsed, unless another login has had it since. Returns whether it is.
    pub(super) fn sent(&mut self, id: PermitId, until: u64) -> bool {
        if !self.has(id) {
            return false;
        }
        self.take_back(id);
        self.insert(id, true, until);
        true
    }

    /// The login of this permit has ended, so its window begins: even if the permit had lapsed.
    pub(super) fn end(&mut self, id: PermitId, now: u64) {
        self.take_back(id);
        self.insert(id, false, now);
    }

    /// The login of this permit was not sent.
    pub(super) fn take_back(&mut self, id: PermitId) {
        self.given.retain(|permit| permit.id != id);
    }

    /// The login of this permit will not be seen to end before its time-out.
    pub(super) fn lose(&mut self, id: PermitId) {
        if let Some(lost) = self.given.iter_mut().find(|permit| permit.id == id) {
            lost.under_way = false;
        }
    }

    fn insert(&mut self, id: PermitId, under_way: bool, begins: u64) {
        // Its window begins now or later.
        let permit = Given::new(
            id,
            under_way,
            begins,
            period(self.quota),
            begins,
            &self.clock,
        );
        let index = (self.given).partition_point(|other| other.free_at <= permit.free_at);
        self.given.insert(index, permit);
    }

    /// Changes to a stricter quota. In a longer window logins count whose shorter one is over. As
    /// many as the quota was are remembered, and it never becomes more.
    pub(super) fn tighten(&mut self, quota: Quota, now: u64) {
        if quota.window() != self.quota.window() {
            let (clock, period) = (&self.clock, period(quota));
            let given = self.given.drain(..).filter_map(|permit| {
                // governor can't be asked for a window that has begun before, but for what is left
                // of it.
                let from = permit.begins.max(now);
                let passed = Duration::from_nanos(from - permit.begins);
                let left = period.checked_sub(passed).filter(|left| !left.is_zero())?;
                let (id, under_way) = (permit.id, permit.under_way);
                let given = Given::new(id, under_way, permit.begins, left, from, clock);
                Some(given)
            });
            self.given = given.collect();
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

/// One permit that was given.
#[derive(Debug)]
struct Given {
    id: PermitId,
    /// Whether its login may yet be seen to end before the time-out.
    under_way: bool,
    /// When its window begins, on the steady clock. If the login has not ended, at its time-out.
    begins: u64,
    limiter: RateLimiter<NotKeyed, InMemoryState, Steady, NoOpMiddleware<Duration>>,
    /// When it is free again by itself, on the steady clock, as governor states it.
    free_at: u64,
}

impl Given {
    /// A permit of whose window so much is `left`, counted `from` now or later.
    fn new(
        id: PermitId,
        under_way: bool,
        begins: u64,
        left: Duration,
        from: u64,
        clock: &Clock,
    ) -> Self {
        let rate = Rate::with_period(left)
            .unwrap_or_else(|| unreachable!("a window that is over is not counted"))
            .allow_burst(NonZeroU32::MIN);
        let steady = Steady {
            clock: clock.clone(),
            from,
        };
        let limiter = RateLimiter::direct_with_clock(rate, steady);
        let _taken = limiter.check();
        let free_at = match limiter.check() {
            Ok(()) => from,
            Err(not_until) => nanos(not_until.earliest_possible()),
        };
        Self {
            id,
            under_way,
            begins,
            limiter,
            free_at,
        }
    }

    /// Whether it is free, so that another login may have it.
    fn take(&self) -> bool {
        self.limiter.check().is_ok()
    }
}

/// The steady clock for governor: the server's window continues while this machine sleeps. It
/// stands still until the window begins.
#[derive(Clone, Debug)]
pub(super) struct Steady {
    pub(super) clock: Clock,
    pub(super) from: u64,
}

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let Moment { steady, .. } = self.clock.now();
        Duration::from_nanos(steady.max(self.from))
    }
}
