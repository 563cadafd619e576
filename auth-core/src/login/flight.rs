//! The login under way, as its waiters see it. It runs in a task of its own, so that it outlives
//! its callers.
//!
//! A flight has these states:
//!
//! 1. *Made*: it has a number and a ticket, and its task is not spawned yet.
//! 2. *Unsent*: the task reads the secret and waits for its permit. `stop` and `abort` end it.
//! 3. *Sent*: the task has stored `sent_at` and the server may have the login. `stop` leaves it to
//!    end, so that its session can be logged out. A refresh that has failed may go back to step 2,
//!    for the login that follows it.
//! 4. *Ended*: the waiters are told a result, or nothing. The task is gone and `ended` is notified.
//!
//! Two pairs of operations race, and in each a thread stores first and reads second. `send` stores
//! `sent_at` and reads `stopped`; `stop` stores `stopped` and reads `sent_at`. `spawn` sets `task`
//! and reads `stopped`; `abort` stores `stopped` and reads `task`. At least one of the two threads
//! must see the other's store. Only `SeqCst` orders a store before a later load of another atomic.

use std::sync::atomic::{Ordering::SeqCst, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use super::waiters::Waiters;
use crate::cause::Cause;
use crate::credential::Credential;
use crate::decide::{Attempted, AttemptedSecret, FlightId};
use crate::error::Error;
use crate::limit::Ticket;
use crate::runtime::{AtomicBool, AtomicU64, Runtime, Task};

/// What the waiters of a flight are told: its result, or nothing. If nothing, each decides anew.
pub(crate) type Told = Option<Result<Arc<Credential>, Error>>;

pub(crate) struct Flight {
    pub(crate) id: FlightId,
    pub(crate) cause: Cause,
    pub(crate) waiters: Waiters<Told>,
    /// Its ticket in the queue for a permit, which also states by when the task must have made its
    /// next step.
    pub(crate) ticket: Arc<Ticket>,
    /// When the login was sent, by [`Clock::precise`](crate::Clock::precise). Zero before.
    sent_at: AtomicU64,
    /// The login is not wanted any more.
    stopped: AtomicBool,
    /// What is sent with the password.
    attempt: OnceLock<(Attempted, AttemptedSecret)>,
    task: OnceLock<Task>,
    /// Notified when the task is gone, at its end or because it was dropped. Only `close` waits for
    /// it.
    ended: Notify,
}

impl Flight {
    pub(super) fn new(id: FlightId, cause: Cause, ticket: Ticket) -> Arc<Self> {
        let waiters = Waiters::new();
        ticket.wake_when_later(waiters.waker());
        Arc::new(Self {
            id,
            cause,
            waiters,
            ticket: Arc::new(ticket),
            sent_at: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            attempt: OnceLock::new(),
            task: OnceLock::new(),
            ended: Notify::new(),
        })
    }

    /// Spawns the task. No lock may be held: on a runtime that is shutting down, the task is
    /// dropped within this call, and its guard takes the cache's lock.
    pub(crate) fn spawn(&self, runtime: &Runtime, task: impl Future<Output = ()> + Send + 'static) {
        // Pairs with `abort`: the task is stored before the flag is read. So one of the two sees
        // the other's store. The fences are what orders a store before a load of something else.
        let _ = self.task.set(runtime.spawn(task));
        fence(SeqCst);
        if self.is_stopped() && !self.is_sent() {
            self.abort();
        }
    }

    /// Notes that the login is sent `now`, by the precise clock. Returns whether it may be: it may
    /// not if it was stopped.
    pub(super) fn send(&self, now: u64) -> bool {
        // Pairs with `stop`: the time is stored before the flag is read. So `stop` sees a login
        // that is sent, or `send` sees the stop.
        self.sent_at.store(now, SeqCst);
        !self.is_stopped()
    }

    /// The refresh that was sent has failed, and its login is not sent yet. Returns whether it may
    /// be: it may not if it was stopped.
    pub(super) fn begin_anew(&self) -> bool {
        // Pairs with `stop`, as `send` does.
        self.sent_at.store(0, SeqCst);
        !self.is_stopped()
    }

    /// The login is not wanted any more. If it was not sent yet, it ends unsent. Returns whether it
    /// does.
    pub(crate) fn stop(&self) -> bool {
        // Pairs with `send`: the flag is stored before the time is read.
        self.stopped.store(true, SeqCst);
        let unsent = !self.is_sent();
        if unsent {
            self.abort();
        }
        unsent
    }

    /// Aborts the task, in whatever state it is.
    pub(crate) fn abort(&self) {
        // Pairs with `spawn`: the flag is stored before the task is read.
        self.stopped.store(true, SeqCst);
        fence(SeqCst);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// The password is sent now, which a flight does once.
    pub(super) fn attempts(&self, of: Attempted, secret: AttemptedSecret) {
        let _ = self.attempt.set((of, secret));
    }

    /// What was sent with the password, if that was.
    pub(crate) fn attempt(&self) -> Option<(Attempted, AttemptedSecret)> {
        self.attempt.get().copied()
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    fn is_sent(&self) -> bool {
        self.sent_at.load(SeqCst) != 0
    }

    /// How long before `now` the login was sent, by the precise clock. Only the task that stored
    /// the time calls it, so any ordering is enough.
    pub(super) fn took(&self, now: u64) -> Duration {
        Duration::from_nanos(now.saturating_sub(self.sent_at.load(SeqCst)))
    }

    pub(super) fn end(&self) {
        self.ended.notify_one();
    }

    /// Waits until the task is gone.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::future::pending;

    use super::*;
    use crate::lifetime::Lifetime;
    use crate::store::{MemoryStore, Sharing};
    use crate::testing::Scripted;

    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }

    #[test]
    fn rule_19_no_close_waits_for_a_flight_whose_session_is_saved() {
        let provider = Scripted::tokens(Lifetime::unknown());
        let sharing = Arc::new(Sharing::new(Arc::new(MemoryStore::new()), &provider));
        let [one, other] = [true, false]
            .map(|wanted| Flight::new(FlightId::FIRST, Cause::First, Ticket::new(wanted, 0)));
        let settling = sharing.settling.begin(&one);
        assert!(Arc::ptr_eq(&sharing.settling.flights()[0], &one));
        drop(settling);
        assert!(sharing.settling.is_empty());
        let both = [sharing.settling.begin(&one), sharing.settling.begin(&other)];
        assert_eq!(sharing.settling.flights().len(), 2);
        drop(both);
        assert!(sharing.settling.is_empty());
    }

    #[tokio::test]
    async fn rule_19_a_login_that_was_stopped_before_its_task_was_stored_does_not_wait_for_a_permit()
     {
        let flight = Flight::new(FlightId::FIRST, Cause::First, Ticket::new(true, 0));
        assert!(flight.stop());
        let gone = Arc::new(AtomicBool::new(false));
        let guard = Dropped(Arc::clone(&gone));
        flight.spawn(&Runtime::current().unwrap(), async move {
            let _guard = guard;
            pending::<()>().await;
        });
        while !gone.load(SeqCst) {
            tokio::task::yield_now().await;
        }
    }
}
