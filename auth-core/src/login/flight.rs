//! The login under way, as its waiters see it: a task of its own, so that it outlives its callers.

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::waiters::Waiters;
use crate::clock::Moment;
use crate::credential::Credential;
use crate::decide::FlightId;
use crate::error::Error;
use crate::limit::Ticket;
use crate::runtime::{AtomicBool, AtomicU64, Runtime, Task};

/// What the waiters of a flight are told: its result, or nothing, and then each decides anew.
pub(crate) type Told = Option<Result<Arc<Credential>, Error>>;

pub(crate) struct Flight {
    pub(crate) id: FlightId,
    pub(crate) waiters: Waiters<Told>,
    /// Its place in the queue for a permit, and by when it must have come further.
    pub(crate) ticket: Arc<Ticket>,
    /// When the login was sent, on the steady clock; zero before.
    sent_at: AtomicU64,
    /// The login is not wanted any more.
    stopped: AtomicBool,
    task: OnceLock<Task>,
    /// Told when the task is gone, at its end or by being dropped. Only `close` listens.
    ended: Notify,
}

impl Flight {
    pub(super) fn new(id: FlightId, ticket: Ticket) -> Arc<Self> {
        let waiters = Waiters::new();
        ticket.wake_when_later(waiters.waker());
        Arc::new(Self {
            id,
            waiters,
            ticket: Arc::new(ticket),
            sent_at: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            task: OnceLock::new(),
            ended: Notify::new(),
        })
    }

    /// Spawns the task. The caller holds no lock: on a runtime that is shutting down, the task is
    /// dropped here and now.
    pub(crate) fn spawn(&self, runtime: &Runtime, task: impl Future<Output = ()> + Send + 'static) {
        // Pairs with `abort`: the task is set before the flag is read, there the other way round,
        // so that at least one of the two sees the other.
        let _ = self.task.set(runtime.spawn(task));
        if self.is_stopped() && !self.is_sent() {
            self.abort();
        }
    }

    /// The login is about to be sent, unless it is not wanted any more.
    pub(super) fn send(&self, now: Moment) -> bool {
        // Pairs with `stop`: here the time is stored before the flag is read, there the other way
        // round. So a login that is sent is seen by the one that stops it.
        self.sent_at.store(now.steady, SeqCst);
        !self.is_stopped()
    }

    /// The login is not wanted any more: it ends before it is sent, if that is still possible.
    /// Whether it is.
    pub(crate) fn stop(&self) -> bool {
        // Pairs with `send`.
        self.stopped.store(true, SeqCst);
        let unsent = !self.is_sent();
        if unsent {
            self.abort();
        }
        unsent
    }

    /// Ends the task, wherever it is.
    pub(crate) fn abort(&self) {
        // Pairs with `spawn`.
        self.stopped.store(true, SeqCst);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    fn is_sent(&self) -> bool {
        self.sent_at.load(SeqCst) != 0
    }

    /// How long ago the login was sent.
    pub(super) fn took(&self, now: Moment) -> Duration {
        Duration::from_nanos(now.steady.saturating_sub(self.sent_at.load(SeqCst)))
    }

    pub(super) fn end(&self) {
        self.ended.notify_one();
    }

    /// Waits until the task is gone.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }
}
