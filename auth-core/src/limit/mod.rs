//! How many logins go to one origin, exactly.
//!
//! The API counts attempts per address, so all identities of this process that log in at the same origin share one
//! [`Limiter`]. It is a sliding log: as many one-permit limiters of `governor`'s as the quota has logins, taken in turn,
//! each of which gives its permit again only when the window is over. So ten cold identities log in at once, and there is no
//! window of the documented length, wherever it starts, that holds an eleventh login. A token bucket of ten that refills at
//! ten a minute would let nineteen through.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use futures_util::future::select;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};
use tokio::sync::Notify;

use crate::clock::{Clock, Moment, nanos};
use crate::origin::Origin;
use crate::quota::Quota;
use crate::runtime::{AtomicBool, AtomicU64, Mutex};

/// Two requests sent further apart than this may arrive a window apart and still be counted in one, if the first was slow
/// on its way and the second was not.
const MARGIN: Duration = Duration::from_secs(2);

/// A window longer than this is taken for this long: governor's own time ends some centuries on.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 86_400);

/// Somebody whose turn was so long ago is not coming: nobody drives the runtime that it waits on.
const MISSED: Duration = Duration::from_secs(5);

/// By clock and origin.
type Registry = HashMap<(u64, Origin), Arc<Limiter>>;

/// The limiters of this process.
static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();

/// Hands out permits to log in at one origin, first come first served, callers before renewals.
#[derive(Debug)]
pub(crate) struct Limiter {
    clock: Clock,
    line: Mutex<Line>,
}

/// Somebody's place in the line.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Somebody waits for this login, so it goes before renewals.
    wanted: AtomicBool,
    /// Nobody drives this login any more, so it is passed over.
    gone: AtomicBool,
    /// When the permit can be had, on the steady clock, as far as can be told: since when, if it can be had now. Zero while
    /// nobody waits for it.
    expected: AtomicU64,
    /// It is expected sooner than before: whoever stands here looks again.
    sooner: Notify,
    /// CountingWaker when it is expected later than before: whoever waits for the login may not be able to.
    later: OnceLock<Waker>,
}

impl Place {
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// When the permit can be had, on the steady clock. In the past if it can be had now, or has been.
    pub(crate) fn expected(&self) -> u64 {
        self.expected.load(Acquire)
    }

    pub(crate) fn expect(&self, at: u64) {
        self.tell(self.note(at));
    }

    /// How that compares with what was expected before, for somebody to be [told](Self::tell).
    fn note(&self, at: u64) -> Ordering {
        at.cmp(&self.expected.swap(at, AcqRel))
    }

    fn tell(&self, changed: Ordering) {
        match changed {
            Ordering::Less => self.sooner.notify_waiters(),
            Ordering::Equal => {}
            Ordering::Greater => {
                if let Some(waker) = self.later.get() {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// Whom to wake whenever the permit is expected later than before. The first who is named stays.
    pub(crate) fn when_later(&self, waker: Waker) {
        let _ = self.later.set(waker);
    }

    fn is_gone(&self, now: u64) -> bool {
        let expected = self.expected();
        self.gone.load(Relaxed) || (expected != 0 && expected.saturating_add(nanos(MISSED)) < now)
    }
}

#[derive(Debug)]
struct Line {
    quota: Quota,
    /// Permits that were given and not forgotten, oldest first: never more than the quota.
    given: VecDeque<Permit>,
    /// The server wants no login before this, on the steady clock.
    held_until: u64,
    waiting: Vec<Arc<Place>>,
}

impl Limiter {
    /// The limiter that all caches of this process share which log in at `origin` by the same clock. If they state different
    /// quotas, the strictest holds.
    pub(crate) fn shared(origin: &Origin, quota: Quota, clock: &Clock) -> Arc<Self> {
        // What is modelled does not outlive one execution.
        if cfg!(feature = "shuttle") {
            return Arc::new(Self::new(quota, clock.clone()));
        }
        let mut registry = REGISTRY.get_or_init(Mutex::default).lock();
        let key = (clock.id(), origin.clone());
        if let Some(limiter) = registry.get(&key) {
            limiter.tighten(quota);
            return Arc::clone(limiter);
        }
        // What nobody uses, and remembers no login, need not be kept.
        registry.retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.is_idle());
        let limiter = Arc::new(Self::new(quota, clock.clone()));
        registry.insert(key, Arc::clone(&limiter));
        limiter
    }

    pub(crate) fn new(quota: Quota, clock: Clock) -> Self {
        Self {
            line: Mutex::new(Line {
                quota,
                given: VecDeque::new(),
                held_until: 0,
                waiting: Vec::new(),
            }),
            clock,
        }
    }

    /// A place for a login that is about to join the line.
    pub(crate) fn place(&self, wanted: bool) -> Place {
        let place = Place::default();
        place.wanted.store(wanted, Relaxed);
        let now = self.clock.now().steady;
        place
            .expected
            .store(self.expected(wanted).max(now), Relaxed);
        place
    }

    /// Waits for a permit. Nothing is spent if the future is dropped before it is ready.
    pub(crate) async fn acquire(&self, place: &Arc<Place>) {
        let queued = Queued {
            limiter: self,
            place,
        };
        self.change(|line, _now| line.waiting.push(Arc::clone(place)));
        loop {
            let mut sooner = pin!(place.sooner.notified());
            sooner.as_mut().enable();
            let until = place.expected();
            let now = self.clock.now().steady;
            if until <= now && self.line.lock().give(now, &self.clock) {
                break;
            }
            select(sooner, pin!(self.clock.sleep_until(until))).await;
        }
        drop(queued);
    }

    /// When somebody who joins the line now would get a permit, on the steady clock.
    pub(crate) fn expected(&self, wanted: bool) -> u64 {
        let now = self.clock.now().steady;
        let line = self.line.lock();
        let ahead = |place: &&Arc<Place>| !place.is_gone(now) && (place.is_wanted() || !wanted);
        let ahead = line.waiting.iter().filter(ahead).count();
        line.free_at(ahead, now)
    }

    /// Somebody waits for this login from now on.
    pub(crate) fn want(&self, place: &Arc<Place>) {
        if place.wanted.swap(true, Relaxed) {
            return;
        }
        let stands =
            self.change(|line, _now| line.waiting.iter().any(|other| Arc::ptr_eq(other, place)));
        // It has not joined the line yet, or has left it with its permit.
        if !stands && place.expected() > self.clock.now().steady {
            place.expect(self.expected(true));
        }
    }

    /// Nobody drives this login any more.
    pub(crate) fn pass_over(&self, place: &Place) {
        place.gone.store(true, Relaxed);
        self.change(|_line, _now| ());
    }

    /// How long a permit counts at the server, as the strictest of those who share it know it.
    pub(crate) fn window(&self) -> Duration {
        self.line.lock().quota.window()
    }

    /// The server wants no login for a while.
    pub(crate) fn hold(&self, wait: Duration) {
        self.change(|line, now| {
            line.held_until = line.held_until.max(now.saturating_add(nanos(wait)));
        });
    }

    fn tighten(&self, quota: Quota) {
        self.change(|line, now| {
            let stricter = line.quota.strictest(quota);
            if stricter != line.quota {
                line.tighten(stricter, now, &self.clock);
            }
        });
    }

    /// Changes the line, and tells everybody in it when the permit is expected now.
    fn change<T>(&self, change: impl FnOnce(&mut Line, u64) -> T) -> T {
        let now = self.clock.now().steady;
        let mut line = self.line.lock();
        let result = change(&mut line, now);
        let changed = line.note(now);
        drop(line);
        // Thousands may wait for one of them, and others for the line.
        for (place, changed) in changed {
            place.tell(changed);
        }
        result
    }

    fn is_idle(&self) -> bool {
        let now = self.clock.now().steady;
        let line = self.line.lock();
        line.held_until <= now && line.given.iter().all(|permit| permit.free_at <= now)
    }
}

/// Leaves the line when dropped, and lets those behind move up.
struct Queued<'a> {
    limiter: &'a Limiter,
    place: &'a Arc<Place>,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.limiter
            .change(|line, _now| line.waiting.retain(|other| !Arc::ptr_eq(other, self.place)));
    }
}

impl Line {
    /// Notes for everybody who waits when the permit is expected: first for those whom somebody waits for, then for
    /// renewals. Those for whom that has changed are returned, to be told.
    ///
    /// Everybody ahead keeps a permit: if the one `n` places down the line is free by now, so is each before it. So whoever
    /// is expected now may take one, whatever those ahead do.
    fn note(&self, now: u64) -> Vec<(Arc<Place>, Ordering)> {
        let mut ahead = 0;
        let mut changed = Vec::new();
        for wanted in [true, false] {
            for place in self
                .waiting
                .iter()
                .filter(|place| place.is_wanted() == wanted)
            {
                // Whoever is passed over may still come, and is then served if there is a permit to spare.
                let gone = place.is_gone(now);
                let free_at = self.free_at(ahead, now);
                let before = place.expected();
                if free_at > now || before == 0 || before > now {
                    changed.push((Arc::clone(place), place.note(free_at.max(now))));
                }
                ahead += usize::from(!gone);
            }
        }
        changed
    }

    /// When the permit after `ahead` others is free, on the steady clock. In the past if it is free now.
    fn free_at(&self, ahead: usize, now: u64) -> u64 {
        let all = self.quota.logins().get() as usize;
        let never_given = all.saturating_sub(self.given.len());
        let (round, turn) = (ahead / all, ahead % all);
        let first = match turn.checked_sub(never_given) {
            Some(index) => self.given.get(index).map_or(0, |permit| permit.free_at),
            None => 0,
        };
        let rounds = u64::try_from(round).unwrap_or(u64::MAX);
        let wait = nanos(period(self.quota)).saturating_mul(rounds);
        let free_at = if round == 0 {
            first
        } else {
            first.max(now).saturating_add(wait)
        };
        free_at.max(self.held_until)
    }

    /// Gives a permit, if there is one.
    fn give(&mut self, now: u64, clock: &Clock) -> bool {
        if now < self.held_until {
            return false;
        }
        let reusable = self
            .given
            .front()
            .is_some_and(|oldest| oldest.free_at <= now);
        let permit = if reusable {
            self.given.pop_front()
        } else if self.given.len() < self.quota.logins().get() as usize {
            Some(Permit::new(self.quota, clock))
        } else {
            None
        };
        let Some(mut permit) = permit else {
            return false;
        };
        let given = permit.take();
        self.given.push_back(permit);
        given
    }

    fn tighten(&mut self, quota: Quota, now: u64, clock: &Clock) {
        // The oldest go: what is left is the most recent ones, which are those that still count.
        let surplus = self
            .given
            .len()
            .saturating_sub(quota.logins().get() as usize);
        self.given.drain(..surplus);
        if quota.window() != self.quota.window() {
            self.given.retain(|permit| permit.free_at > now);
            for permit in &mut self.given {
                // When exactly it was given is forgotten: now is the safe side.
                *permit = Permit::new(quota, clock);
                permit.take();
            }
        }
        self.quota = quota;
    }
}

fn period(quota: Quota) -> Duration {
    quota.window().min(LONGEST_WINDOW) + MARGIN
}

/// One permit, given again only when the window is over.
#[derive(Debug)]
struct Permit {
    limiter: RateLimiter<NotKeyed, InMemoryState, Steady, NoOpMiddleware<Duration>>,
    /// When it is free again, on the steady clock: governor's own word.
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

/// The steady clock, as governor reads it: a server's window goes on while this machine sleeps.
#[derive(Clone, Debug)]
struct Steady(Clock);

impl governor::clock::Clock for Steady {
    type Instant = Duration;

    fn now(&self) -> Duration {
        let Moment { steady, .. } = self.0.now();
        Duration::from_nanos(steady)
    }
}

#[cfg(test)]
mod tests;
