//! How many logins go to one origin, exactly.
//!
//! The API counts attempts per address, so all identities of this process that log in at the same origin share one
//! [`Limiter`]. It is a sliding log: as many one-permit limiters of `governor`'s as the quota has logins, taken in turn,
//! each of which gives its permit again only when the window is over. So ten cold identities log in at once, and there is no
//! window of the documented length, wherever it starts, that holds an eleventh login. A token bucket of ten that refills at
//! ten a minute would let nineteen through.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::select;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota as Rate, RateLimiter};
use tokio::sync::Notify;

use crate::clock::{Clock, Moment, nanos};
use crate::origin::Origin;
use crate::provider::Quota;
use crate::sync::{AtomicBool, AtomicU64, Mutex};

/// Two requests sent further apart than this may arrive a window apart and still be counted in one, if the first was slow
/// on its way and the second was not.
const MARGIN: Duration = Duration::from_secs(2);

/// By clock and origin.
type Registry = HashMap<(u64, Origin), Arc<Limiter>>;

/// The limiters of this process.
static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();

/// Hands out permits to log in at one origin, first come first served, callers before renewals.
#[derive(Debug)]
pub(crate) struct Limiter {
    clock: Clock,
    line: Mutex<Line>,
    /// The line has moved: whoever waits in it looks again.
    moved: Notify,
}

/// Somebody's place in the line.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// Somebody waits for this login, so it goes before renewals.
    wanted: AtomicBool,
    /// Nobody drives this login any more, so it is passed over.
    gone: AtomicBool,
    /// When the permit can be had, on the steady clock, as far as can be told; zero when it has been had.
    expected: AtomicU64,
}

impl Place {
    pub(crate) fn new(wanted: bool) -> Self {
        Self {
            wanted: AtomicBool::new(wanted),
            ..Self::default()
        }
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// When the permit can be had, on the steady clock.
    pub(crate) fn expected(&self) -> u64 {
        self.expected.load(Relaxed)
    }

    pub(crate) fn expect(&self, at: u64) {
        self.expected.store(at, Relaxed);
    }
}

#[derive(Debug)]
struct Line {
    quota: Quota,
    slots: Vec<Slot>,
    /// The slot whose permit was given longest ago.
    turn: usize,
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
            line: Mutex::new(Line::new(quota, &clock)),
            moved: Notify::new(),
            clock,
        }
    }

    /// Waits for a permit. Nothing is spent if the future is dropped before it is ready.
    pub(crate) async fn acquire(&self, place: &Arc<Place>) {
        let queued = Queued {
            limiter: self,
            place,
        };
        self.line.lock().waiting.push(Arc::clone(place));
        loop {
            let mut moved = pin!(self.moved.notified());
            moved.as_mut().enable();
            let until = match self.line.lock().admit(place, self.clock.now().steady) {
                Ok(()) => break,
                Err(until) => until,
            };
            place.expect(until);
            select(moved, pin!(self.clock.sleep_until(until))).await;
        }
        place.expect(0);
        drop(queued);
    }

    /// When somebody who joins the line now would get a permit, on the steady clock.
    pub(crate) fn expected(&self, wanted: bool) -> u64 {
        let line = self.line.lock();
        let ahead = line
            .waiting
            .iter()
            .filter(|place| !place.gone.load(Relaxed) && (place.is_wanted() || !wanted))
            .count();
        line.free_at(ahead)
    }

    /// Somebody waits for this login from now on.
    pub(crate) fn want(&self, place: &Place) {
        if !place.wanted.swap(true, Relaxed) {
            self.moved.notify_waiters();
        }
    }

    /// Nobody drives this login any more.
    pub(crate) fn pass_over(&self, place: &Place) {
        place.gone.store(true, Relaxed);
        self.moved.notify_waiters();
    }

    /// The server wants no login for a while.
    pub(crate) fn hold(&self, wait: Duration) {
        let until = self.clock.now().steady.saturating_add(nanos(wait));
        let mut line = self.line.lock();
        line.held_until = line.held_until.max(until);
        drop(line);
        self.moved.notify_waiters();
    }

    fn tighten(&self, quota: Quota) {
        let mut line = self.line.lock();
        let stricter = line.quota.strictest(quota);
        if stricter != line.quota {
            line.tighten(stricter, &self.clock);
        }
    }

    fn is_idle(&self) -> bool {
        let now = self.clock.now().steady;
        let line = self.line.lock();
        line.held_until <= now && line.slots.iter().all(|slot| slot.free_at <= now)
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
            .line
            .lock()
            .waiting
            .retain(|other| !Arc::ptr_eq(other, self.place));
        self.limiter.moved.notify_waiters();
    }
}

impl Line {
    fn new(quota: Quota, clock: &Clock) -> Self {
        let slots = (0..quota.logins().get())
            .map(|_| Slot::new(quota.window(), clock))
            .collect();
        Self {
            quota,
            slots,
            turn: 0,
            held_until: 0,
            waiting: Vec::new(),
        }
    }

    /// A permit for whoever stands at `place`, or when to ask again.
    ///
    /// Everybody ahead keeps a permit: if the one `n` places down the line is to be free by now, so is each before it.
    fn admit(&mut self, place: &Arc<Place>, now: u64) -> Result<(), u64> {
        let wanted = place.is_wanted();
        let mut passed = false;
        let ahead = self
            .waiting
            .iter()
            .filter(|other| {
                passed |= Arc::ptr_eq(other, place);
                let before = if other.is_wanted() == wanted {
                    !passed
                } else {
                    other.is_wanted()
                };
                before && !other.gone.load(Relaxed)
            })
            .count();
        let free_at = self.free_at(ahead);
        if now < free_at {
            return Err(free_at);
        }
        let turn = self.turn;
        self.slots[turn].take()?;
        self.turn = (turn + 1) % self.slots.len();
        Ok(())
    }

    /// When the permit after `ahead` others is free, on the steady clock.
    fn free_at(&self, ahead: usize) -> u64 {
        let slots = self.slots.len();
        let slot = &self.slots[(self.turn + ahead) % slots];
        let rounds = u64::try_from(ahead / slots).unwrap_or(u64::MAX);
        let wait = nanos(self.quota.window() + MARGIN).saturating_mul(rounds);
        slot.free_at.saturating_add(wait).max(self.held_until)
    }

    fn tighten(&mut self, quota: Quota, clock: &Clock) {
        self.slots.rotate_left(self.turn);
        self.turn = 0;
        // The oldest permits go: what is left is the most recent ones, which are those that still count.
        let surplus = self
            .slots
            .len()
            .saturating_sub(quota.logins().get() as usize);
        self.slots.drain(..surplus);
        if quota.window() != self.quota.window() {
            let now = clock.now().steady;
            for slot in &mut self.slots {
                let spent = slot.free_at > now;
                *slot = Slot::new(quota.window(), clock);
                // When exactly it was spent is forgotten: now is the safe side.
                if spent {
                    let _ = slot.take();
                }
            }
            self.slots.sort_by_key(|slot| slot.free_at);
        }
        self.quota = quota;
    }
}

/// One permit, given again only when the window is over.
#[derive(Debug)]
struct Slot {
    limiter: RateLimiter<NotKeyed, InMemoryState, Steady, NoOpMiddleware<Duration>>,
    /// When it is free again, on the steady clock: governor's own word.
    free_at: u64,
}

impl Slot {
    fn new(window: Duration, clock: &Clock) -> Self {
        let rate = Rate::with_period(window + MARGIN)
            .unwrap_or_else(|| unreachable!("the margin alone is longer than nothing"))
            .allow_burst(NonZeroU32::MIN);
        Self {
            limiter: RateLimiter::direct_with_clock(rate, Steady(clock.clone())),
            free_at: 0,
        }
    }

    fn take(&mut self) -> Result<(), u64> {
        let taken = self.limiter.check();
        if let Err(not_until) = self.limiter.check() {
            self.free_at = nanos(not_until.earliest_possible());
        }
        taken.map_err(|_| self.free_at)
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
