//! The model: before each operation on a lock, an atomic or a task, another thread may run.

use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use shuttle::future::AbortHandle;
pub(crate) use shuttle::sync::MutexGuard;

pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64};

/// A mutex with `parking_lot`'s interface.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// What a [`Slot`] holds.
pub(crate) struct Loaded<T>(Option<Arc<T>>);

impl<T> Deref for Loaded<T> {
    type Target = Option<Arc<T>>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// An `Arc` that is replaced as a whole.
#[derive(Debug)]
pub(crate) struct Slot<T>(Mutex<Option<Arc<T>>>);

impl<T> Slot<T> {
    pub(crate) const fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn load(&self) -> Loaded<T> {
        Loaded(self.0.lock().clone())
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        // The old value is dropped after the lock is released.
        drop(std::mem::replace(&mut *self.0.lock(), value));
    }
}

/// The model's executor. There is only one.
#[derive(Clone, Debug)]
pub(crate) struct Runtime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuntimeId;

impl Runtime {
    #[allow(clippy::unnecessary_wraps, reason = "as the real one")]
    pub(crate) const fn current() -> Option<Self> {
        Some(Self)
    }

    #[allow(clippy::unused_self, reason = "as the real one")]
    pub(crate) const fn id(&self) -> RuntimeId {
        RuntimeId
    }

    #[allow(clippy::unused_self, reason = "as the real one")]
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> Task {
        let live = Live::new();
        let counted = async move {
            let _live = live;
            task.await;
        };
        Task(shuttle::future::spawn(counted).abort_handle())
    }
}

shuttle::lazy_static! {
    static ref TASKS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
}

/// How many tasks of this execution have not ended.
pub(crate) fn tasks() -> usize {
    TASKS.load(SeqCst)
}

/// One task in the count. The count is not part of the model, so its ordering is irrelevant.
struct Live;

impl Live {
    fn new() -> Self {
        TASKS.fetch_add(1, SeqCst);
        Self
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        TASKS.fetch_sub(1, SeqCst);
    }
}

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

/// Always the same, so that an execution can be repeated.
pub(crate) fn random() -> f64 {
    0.5
}
