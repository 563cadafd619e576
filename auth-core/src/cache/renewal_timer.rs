//! Renewal by a timer, so that no caller waits where requests are rare.
//!
//! 1. *Set*: after a flight has ended, or values of the session were rolled, a task is spawned that
//!    sleeps until the session is to be renewed. It replaces the one before.
//! 2. *Rung*: the task begins a flight that no caller waits for, and ends. If the session is to be
//!    renewed later by now, because requests have used it, the timer is set anew.
//! 3. *Lost*: the task was dropped with its runtime. The timer is set on another runtime on which a
//!    caller has waited. If there is none, the next caller that waits sets it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use crate::clock::{Clock, nanos};
use crate::runtime::{Mutex, Runtime, Task, random};

/// A timer that rings this much too late was suspended together with the machine, and so were
/// others.
const SUSPENDED: Duration = Duration::from_secs(60);
/// After that, renewals are spread over this time. Callers don't wait for it.
const SPREAD: Duration = Duration::from_secs(60);
/// How many runtimes are remembered.
const MOST_RUNTIMES: usize = 4;

/// The cache whose session the timer renews.
pub(super) trait Renewed: Send + Sync {
    /// The timer with this number has rung.
    fn ring(self: Arc<Self>, number: u64);

    /// The task of this setting is gone before it has rung.
    fn lose(&self, ring: &Ring);
}

/// The timer of a cache that is kept fresh.
#[derive(Default)]
pub(super) struct RenewalTimer {
    cache: OnceLock<Weak<dyn Renewed>>,
    timer: Mutex<Timer>,
}

#[derive(Default)]
struct Timer {
    /// The number of the last one that was set.
    number: u64,
    /// When it rings, on the steady clock, if it is set.
    at: Option<u64>,
    task: Option<Task>,
    /// Where callers have waited, the last one first.
    runtimes: Vec<Runtime>,
}

impl RenewalTimer {
    /// States the cache that it belongs to.
    pub(super) fn of(&self, cache: Weak<dyn Renewed>) {
        let _ = self.cache.set(cache);
    }

    /// A caller waits on this runtime.
    pub(super) fn note(&self, runtime: &Runtime) {
        let mut timer = self.timer.lock();
        timer.runtimes.retain(|other| other.id() != runtime.id());
        timer.runtimes.insert(0, runtime.clone());
        timer.runtimes.truncate(MOST_RUNTIMES);
    }

    /// Whether it is set to ring by then, on the steady clock.
    pub(super) fn rings_by(&self, at: u64) -> bool {
        self.timer.lock().at.is_some_and(|rings| rings <= at)
    }

    /// The setting with this number has rung. Returns false if it is not the last one.
    pub(super) fn has_rung(&self, number: u64) -> bool {
        let mut timer = self.timer.lock();
        if timer.number != number {
            return false;
        }
        // So that its task is not lost when it ends.
        timer.number += 1;
        timer.at = None;
        timer.task = None;
        true
    }

    /// Stops the timer.
    pub(super) fn stop(&self) {
        let task = {
            let mut timer = self.timer.lock();
            timer.number += 1;
            timer.at = None;
            timer.task.take()
        };
        if let Some(task) = task {
            task.abort();
        }
    }

    /// Sets the timer, in place of the one before.
    pub(super) fn set(&self, at: u64, clock: &Clock) {
        self.stop();
        let (number, runtime) = {
            let timer = self.timer.lock();
            let runtime = timer.runtimes.first().cloned();
            (timer.number, runtime.or_else(Runtime::current))
        };
        let (Some(runtime), Some(cache)) = (runtime, self.cache.get()) else {
            return;
        };
        let ring = Ring {
            number,
            runtime: runtime.clone(),
            cache: Weak::clone(cache),
        };
        // No lock is held: on a runtime that is shut down, the task is dropped within this call.
        let task = runtime.spawn(ring.at(at, clock.clone()));
        let mut timer = self.timer.lock();
        if timer.number == number {
            timer.task = Some(task);
            timer.at = Some(at);
        } else {
            drop(timer);
            task.abort();
        }
    }

    /// A timer's task is gone. Returns whether it was the last one that was set: then its runtime
    /// is shut down.
    pub(super) fn lose(&self, ring: &Ring) -> bool {
        let mut timer = self.timer.lock();
        if timer.number != ring.number {
            return false;
        }
        timer.at = None;
        timer.task = None;
        timer
            .runtimes
            .retain(|other| other.id() != ring.runtime.id());
        !timer.runtimes.is_empty()
    }
}

/// One setting of the timer. Dropped before it has rung, it is lost.
pub(super) struct Ring {
    number: u64,
    runtime: Runtime,
    cache: Weak<dyn Renewed>,
}

impl Ring {
    async fn at(self, at: u64, clock: Clock) {
        clock.sleep_until(at).await;
        let now = clock.now().steady;
        if now.saturating_sub(at) > nanos(SUSPENDED) {
            let spread = nanos(SPREAD.mul_f64(random()));
            clock.sleep_until(now.saturating_add(spread)).await;
        }
        if let Some(cache) = self.cache.upgrade() {
            cache.ring(self.number);
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.upgrade() {
            cache.lose(self);
        }
    }
}
