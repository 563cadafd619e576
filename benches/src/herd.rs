//! Herds: thousands of callers that wait for one login.

use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::logins::Logins;
use crate::time::{Timestamp, monotonic};

/// Callers, all of which wait.
pub struct Herd<'a> {
    runtime: &'a Runtime,
    logins: Logins,
    before: u64,
    shared: Arc<Shared>,
}

struct Shared {
    arrived: AtomicUsize,
    left: AtomicUsize,
    served: AtomicU64,
    last: OnceLock<Timestamp>,
    done: Notify,
}

/// The measurements of a herd.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HerdReport {
    /// From the end of the first login to the return of the last caller.
    pub lag: Duration,
    /// From the release of the login to the return of the last caller.
    pub whole: Duration,
    /// The number of logins that it took.
    pub logins: u64,
    /// The number of callers that got a credential.
    pub served: u64,
}

impl<'a> Herd<'a> {
    /// Spawns `callers` tasks, each of which awaits a future that `ask` makes, and returns when all
    /// of them wait. `logins` must be held back.
    pub fn gather<F>(
        runtime: &'a Runtime,
        logins: &Logins,
        callers: usize,
        ask: impl Fn(usize) -> F,
    ) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        let before = logins.count();
        logins.take_end();
        let shared = Arc::new(Shared {
            arrived: AtomicUsize::new(0),
            left: AtomicUsize::new(callers),
            served: AtomicU64::new(0),
            last: OnceLock::new(),
            done: Notify::new(),
        });
        for number in 0..callers {
            let (asking, shared) = (ask(number), Arc::clone(&shared));
            runtime.spawn(async move {
                shared.arrived.fetch_add(1, AcqRel);
                let served = asking.await;
                shared.leave(served);
            });
        }
        let arrived = Arc::clone(&shared);
        runtime.block_on(async move {
            while arrived.arrived.load(Acquire) < callers {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            // The last tasks have been counted, but their first poll may not have returned yet.
            tokio::time::sleep(Duration::from_millis(5)).await;
        });
        Self {
            runtime,
            logins: logins.clone(),
            before,
            shared,
        }
    }

    /// Counts logins from `before`, for a cache that begins to log in before the first call.
    pub fn counting_from(mut self, before: u64) -> Self {
        self.before = before;
        self
    }

    /// Releases the login, and waits until the last caller has returned.
    pub fn release(self) -> HerdReport {
        let start = monotonic();
        self.logins.release();
        self.runtime.block_on(self.shared.done.notified());
        let last = *self.shared.last.get().unwrap_or(&start);
        HerdReport {
            lag: self.logins.take_end().map_or(Duration::ZERO, |ended| {
                last.saturating_duration_since(ended)
            }),
            whole: last.saturating_duration_since(start),
            logins: self.logins.count() - self.before,
            served: self.shared.served.load(Acquire),
        }
    }
}

impl Shared {
    fn leave(&self, served: bool) {
        if served {
            self.served.fetch_add(1, AcqRel);
        }
        if self.left.fetch_sub(1, AcqRel) == 1 {
            let _ = self.last.set(monotonic());
            self.done.notify_one();
        }
    }
}

impl fmt::Debug for Herd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Herd")
            .field("logins", &self.logins)
            .finish_non_exhaustive()
    }
}
