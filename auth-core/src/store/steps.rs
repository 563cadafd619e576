//! The steps of one cache at its store: their time-out, and the pause after one that has failed.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use super::error::StoreError;
use crate::clock::{Clock, nanos};
use crate::event::Event;
use crate::runtime::AtomicU64;

/// How long one step of a store may take. A store that is in the same network answers in
/// milliseconds, and a caller may wait for it several times.
pub(crate) const STEP: Duration = Duration::from_secs(2);

/// How long it takes at most, after a login has ended, until that is in the store: a look, a hold
/// and a save.
pub(crate) const SETTLED_WITHIN: Duration = STEP.saturating_mul(3);

/// How long a store that has failed is left alone. Each login would wait for it in vain otherwise.
pub(crate) const TROUBLE: Duration = Duration::from_secs(5);

/// The cache, as its store sees it.
pub(crate) trait Sharer: Sync {
    fn clock(&self) -> &Clock;

    fn emit(&self, event: &Event);
}

/// A task that outlives the cache. What fails then has been told before.
impl Sharer for Clock {
    fn clock(&self) -> &Clock {
        self
    }

    fn emit(&self, _: &Event) {}
}

/// Why a step has brought nothing.
pub(super) enum NoAnswer {
    /// The store is left alone after the last failure.
    LeftAlone,
    Failed,
}

/// The steps at one store.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// The store is left alone until then, on the steady clock.
    trouble_until: AtomicU64,
}

impl Steps {
    pub(crate) fn are_in_trouble(&self, now: u64) -> bool {
        // Relaxed, here and below: the time publishes no other memory, and who misses it asks in
        // vain.
        now < self.trouble_until.load(Relaxed)
    }

    /// The store is asked again even if it has just failed: there is no later.
    pub(crate) fn ask_again(&self) {
        self.trouble_until.store(0, Relaxed);
    }

    /// Runs one step of the store within its time-out, with what its seal does, and catches a panic
    /// in it. Returns `None` if it fails, and for a while after that.
    pub(super) async fn take<T>(
        &self,
        cache: &dyn Sharer,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        match self.attempt(cache, step).await {
            Ok(result) => Some(result),
            Err(NoAnswer::LeftAlone) => None,
            Err(NoAnswer::Failed) => {
                let until = cache.clock().now().steady.saturating_add(nanos(TROUBLE));
                self.trouble_until.store(until, Relaxed);
                None
            }
        }
    }

    /// Runs a step in place of one that began at a time and has failed, within what is left of that
    /// one's time. If it fails as well, that is no news.
    pub(super) async fn take_instead<T>(
        &self,
        cache: &dyn Sharer,
        began: u64,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        let step = AssertUnwindSafe(step).catch_unwind();
        let until = began.saturating_add(nanos(STEP));
        match select(pin!(step), pin!(cache.clock().sleep_until(until))).await {
            Either::Left((Ok(result), _)) => result.ok(),
            _ => None,
        }
    }

    /// As `take`, after which the store is not left alone if it fails.
    pub(super) async fn attempt<T>(
        &self,
        cache: &dyn Sharer,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, NoAnswer> {
        let now = cache.clock().now().steady;
        if self.are_in_trouble(now) {
            return Err(NoAnswer::LeftAlone);
        }
        let step = AssertUnwindSafe(step).catch_unwind();
        let until = now.saturating_add(nanos(STEP));
        let error = match select(pin!(step), pin!(cache.clock().sleep_until(until))).await {
            Either::Left((Ok(Ok(result)), _)) => return Ok(result),
            Either::Left((Ok(Err(error)), _)) => error,
            Either::Left((Err(_panic), _)) => StoreError::new("the store panicked"),
            Either::Right(_) => StoreError::new(format!("the store did not answer in {STEP:?}")),
        };
        cache.emit(&Event::StoreFailed {
            reason: error.reason(),
        });
        Err(NoAnswer::Failed)
    }
}

/// Waits until the lock is free, for as long as a step takes at most.
pub(super) async fn within_a_step<'a>(
    lock: &'a tokio::sync::Mutex<()>,
    clock: &Clock,
) -> Option<tokio::sync::MutexGuard<'a, ()>> {
    let until = clock.now().steady.saturating_add(nanos(STEP));
    match select(pin!(lock.lock()), pin!(clock.sleep_until(until))).await {
        Either::Left((held, _)) => Some(held),
        Either::Right(_) => None,
    }
}
