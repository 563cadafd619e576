//! Clocks for tests: one that moves by hand, and the machine's clocks with an offset.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::{Moment, nanos, system};
use crate::runtime::{AtomicU64, Mutex};

/// Where manual clocks start: after an hour of uptime, on 2026-01-01.
const START: Moment = Moment {
    steady: 3_600_000_000_000,
    wall: 1_767_225_600_000_000_000,
};

fn next_id() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    // Relaxed: only the uniqueness of the number counts.
    NEXT.fetch_add(1, Relaxed)
}

/// A clock that moves only when a test moves it. A wait on it ends when the clock is moved past its
/// end.
///
/// It is not tokio's paused time and must not be mixed with it: tokio's timers don't follow this
/// clock.
///
/// ```
/// use std::time::Duration;
/// use auth_core::clock::ManualClock;
///
/// let hands = ManualClock::new();
/// let clock = hands.clock();
/// let start = clock.now();
/// hands.advance(Duration::from_secs(5));
/// assert_eq!(clock.now().since(start), Duration::from_secs(5));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(pub(super) Arc<Hands>);

/// All operations on the two times are relaxed. A wait compares `steady` under the lock of
/// `sleepers`, and `move_steady` changes it under the same lock, so no wake-up is lost.
#[derive(Debug)]
pub(super) struct Hands {
    id: u64,
    steady: AtomicU64,
    wall: AtomicU64,
    sleepers: Mutex<Sleepers>,
}

#[derive(Debug, Default)]
struct Sleepers {
    next: u64,
    waiting: BTreeMap<(u64, u64), Waker>,
}

impl ManualClock {
    /// A new clock, independent of all others. Quotas that are spent on one clock don't count on
    /// another.
    pub fn new() -> Self {
        Self(Arc::new(Hands {
            id: next_id(),
            steady: AtomicU64::new(START.steady),
            wall: AtomicU64::new(START.wall),
            sleepers: Mutex::default(),
        }))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        self.0.wall.fetch_add(nanos(by), Relaxed);
        self.0.move_steady(by);
    }

    /// Moves the steady clock forward, and leaves the wall clock.
    pub fn advance_steady(&self, by: Duration) {
        self.0.move_steady(by);
    }

    /// Sets the wall clock forward, and leaves the steady clock.
    pub fn set_wall_forward(&self, by: Duration) {
        self.0.wall.fetch_add(nanos(by), Relaxed);
    }

    /// Sets the wall clock back, and leaves the steady clock.
    pub fn set_wall_back(&self, by: Duration) {
        let by = nanos(by);
        let _ = self
            .0
            .wall
            .fetch_update(Relaxed, Relaxed, |wall| Some(wall.saturating_sub(by)));
    }

    /// How many waits on this clock have not ended.
    pub fn sleepers(&self) -> usize {
        self.0.sleepers.lock().waiting.len()
    }

    /// The time until the next wait ends, if there is one.
    pub fn next_wake(&self) -> Option<Duration> {
        let now = self.0.steady.load(Relaxed);
        let next = self.0.sleepers.lock().waiting.keys().next().copied();
        let (until, _) = next?;
        Some(Duration::from_nanos(until.saturating_sub(now)))
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Hands {
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn now(&self) -> Moment {
        Moment {
            steady: self.steady.load(Relaxed),
            wall: self.wall.load(Relaxed),
        }
    }

    fn move_steady(&self, by: Duration) {
        let mut sleepers = self.sleepers.lock();
        let now = self.steady.fetch_add(nanos(by), Relaxed) + nanos(by);
        let asleep = sleepers.waiting.split_off(&(now + 1, 0));
        let awake = std::mem::replace(&mut sleepers.waiting, asleep);
        drop(sleepers);
        for waker in awake.into_values() {
            waker.wake();
        }
    }

    pub(super) async fn sleep_until(&self, until: u64) {
        let mut sleeper = Sleeper {
            hands: self,
            key: None,
        };
        poll_fn(|context| {
            let mut sleepers = self.sleepers.lock();
            if self.steady.load(Relaxed) >= until {
                return Poll::Ready(());
            }
            let key = *sleeper.key.get_or_insert_with(|| {
                sleepers.next += 1;
                (until, sleepers.next)
            });
            sleepers.waiting.insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

struct Sleeper<'a> {
    hands: &'a Hands,
    key: Option<(u64, u64)>,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.hands.sleepers.lock().waiting.remove(&key);
        }
    }
}

/// The machine's clocks plus an offset that only grows. It is for programs that run in real time
/// against a server whose own clock can be moved forward, such as the demo servers of
/// `auth-providers`.
///
/// ```
/// use std::time::Duration;
/// use auth_core::clock::ShiftedClock;
///
/// let shift = ShiftedClock::new();
/// let clock = shift.clock();
/// let start = clock.now();
/// shift.advance(Duration::from_secs(86_400));
/// assert!(clock.now().since(start) >= Duration::from_secs(86_400));
/// ```
#[derive(Clone, Debug)]
pub struct ShiftedClock(pub(super) Arc<Shift>);

#[derive(Debug)]
pub(super) struct Shift {
    id: u64,
    ahead: AtomicU64,
}

impl ShiftedClock {
    /// A clock that shows the machine's time until it is moved.
    pub fn new() -> Self {
        Self(Arc::new(Shift {
            id: next_id(),
            ahead: AtomicU64::new(0),
        }))
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        self.0.ahead.fetch_add(nanos(by), Relaxed);
    }
}

impl Default for ShiftedClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Shift {
    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn precise(&self) -> u64 {
        system::precise().saturating_add(self.ahead.load(Relaxed))
    }

    pub(super) fn now(&self) -> Moment {
        let real = system::now();
        let ahead = self.ahead.load(Relaxed);
        Moment {
            steady: real.steady.saturating_add(ahead),
            wall: real.wall.saturating_add(ahead),
        }
    }
}
