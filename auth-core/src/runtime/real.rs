//! The real ones: tokio's tasks, the standard library's atomics, and `parking_lot`'s lock.

use std::future::Future;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};
use tokio::runtime::Handle;
pub(crate) use tokio::runtime::Id as RuntimeId;
use tokio::task::AbortHandle;

pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};

pub(crate) use parking_lot::{Mutex, MutexGuard};

/// An `Arc` that is read without a lock. `arc-swap` orders a load after the store whose value it
/// returns, so that the credential behind it is complete.
#[derive(Debug)]
pub(crate) struct Slot<T>(ArcSwapOption<T>);

impl<T> Slot<T> {
    pub(crate) const fn empty() -> Self {
        Self(ArcSwapOption::const_empty())
    }

    #[inline]
    pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
        self.0.load()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        self.0.store(value);
    }
}

/// The runtime that the caller runs on.
#[derive(Clone, Debug)]
pub(crate) struct Runtime(Handle);

impl Runtime {
    pub(crate) fn current() -> Option<Self> {
        Handle::try_current().ok().map(Self)
    }

    pub(crate) fn id(&self) -> RuntimeId {
        self.0.id()
    }

    /// Spawns a task. On a runtime that is shutting down, the task is dropped within this call.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        Task(self.0.spawn(task).abort_handle())
    }
}

/// A task that was spawned.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    pub(crate) fn abort(&self) {
        self.0.abort();
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}

/// A random number from 0 to 1, for jitter.
pub(crate) fn random() -> f64 {
    // Each `RandomState` has new keys, so the hash of an empty input differs each time.
    let drawn = RandomState::new().build_hasher().finish();
    #[allow(clippy::cast_precision_loss, reason = "a float holds 53 bits")]
    let (drawn, all) = ((drawn >> 11) as f64, (1_u64 << 53) as f64);
    drawn / all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_lie_on_both_sides_of_a_half() {
        let drawn = [(); 200].map(|()| random());
        assert!(drawn.iter().all(|drawn| (0.0..1.0).contains(drawn)));
        assert!(drawn.iter().any(|drawn| *drawn < 0.5));
        assert!(drawn.iter().any(|drawn| *drawn > 0.5));
    }
}
