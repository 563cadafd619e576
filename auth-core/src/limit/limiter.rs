//! The permits for logins at one origin.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::select;

use super::queue::{Queue, Ticket};
use super::window::{PermitId, Window};
use crate::clock::{Clock, nanos};
use crate::error::{LONGEST_RETRY_AFTER, LoginError, LoginErrorKind};
use crate::quota::Quota;
use crate::runtime::{AtomicU64, Mutex};

/// How long a login is expected to take before one has ended: the slowest login pages take a few
/// seconds.
const FIRST_LOGIN: Duration = Duration::from_secs(3);

/// The longest time for which a permit is bound. A time-out may be longer, or endless, and a permit
/// that was lost must lapse.
pub(crate) const LONGEST_LOGIN: Duration = Duration::from_secs(3_600);

/// Gives permits for logins at one origin: first come, first served, and callers before renewals.
#[derive(Debug)]
pub(crate) struct Limiter {
    clock: Clock,
    queue: Mutex<Queue>,
    /// How long a login is expected to take, in nanoseconds.
    login_takes: AtomicU64,
}

impl Limiter {
    pub(crate) fn new(quota: Quota, clock: Clock) -> Self {
        Self {
            queue: Mutex::new(Queue::new(Window::new(quota, clock.clone()))),
            clock,
            login_takes: AtomicU64::new(nanos(FIRST_LOGIN)),
        }
    }

    /// A ticket for a login that is about to join the queue.
    pub(crate) fn ticket(&self, wanted: bool) -> Ticket {
        let now = self.now();
        Ticket::new(wanted, self.expected(wanted).max(now))
    }

    /// Waits for a permit, for a login that may take as long as its time-out.
    ///
    /// # Cancel safety
    /// No permit is spent if the future is dropped before it is ready.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        ticket: &Arc<Ticket>,
        timeout: Duration,
    ) -> Permit {
        let timeout = nanos(timeout.min(LONGEST_LOGIN));
        self.change(|queue, now| queue.join(ticket, now));
        let _leaves = Leave {
            limiter: self,
            ticket,
        };
        loop {
            // Registered before `expected` is read, so that a later change wakes this task.
            let mut sooner = pin!(ticket.sooner().notified());
            sooner.as_mut().enable();
            let until = ticket.expected();
            if until <= self.now()
                && let Some(permit) = self.change(|queue, now| {
                    let id = queue.take(ticket, now, now.saturating_add(timeout))?;
                    Some(Permit::new(Arc::clone(self), id, now))
                })
            {
                return permit;
            }
            select(sooner, pin!(self.clock.sleep_until(until))).await;
        }
    }

    /// Takes a permit that is free now, for a login that no caller waits for, nor waits itself.
    ///
    /// # Errors
    /// When one is expected, on the steady clock.
    pub(crate) fn take(
        self: &Arc<Self>,
        ticket: &Arc<Ticket>,
        timeout: Duration,
    ) -> Result<Permit, u64> {
        let timeout = nanos(timeout.min(LONGEST_LOGIN));
        self.change(|queue, now| {
            let expected = queue.expected(false, now);
            queue.join(ticket, now);
            let Some(id) = queue.take(ticket, now, now.saturating_add(timeout)) else {
                queue.leave(ticket);
                return Err(expected);
            };
            Ok(Permit::new(Arc::clone(self), id, now))
        })
    }

    /// The login of a permit is sent only now, and may take as long as its time-out. Returns when
    /// that is, or `None` if it can't be sent with that.
    fn sent(&self, id: PermitId, timeout: Duration) -> Option<u64> {
        let timeout = nanos(timeout.min(LONGEST_LOGIN));
        self.change(|queue, now| {
            let may_be_sent = !queue.is_held(now);
            let is_sent = may_be_sent && queue.window.sent(id, now.saturating_add(timeout));
            is_sent.then_some(now)
        })
    }

    /// The login of a permit has ended.
    pub(super) fn end(&self, id: PermitId, given_at: u64) {
        self.change(|queue, now| {
            queue.window.end(id, now);
            // The longest of the last logins: each that was quicker takes a quarter off. Relaxed,
            // because it is a hint that publishes no other memory. It is stored under the lock.
            let before = self.login_takes.load(Relaxed);
            let took = now.saturating_sub(given_at);
            (self.login_takes).store(took.max(before - before / 4), Relaxed);
        });
    }

    /// The login of a permit was not sent.
    pub(super) fn take_back(&self, id: PermitId) {
        self.change(|queue, _now| queue.window.take_back(id));
    }

    /// The login of a permit will not be seen to end.
    pub(super) fn lose(&self, id: PermitId) {
        self.change(|queue, _now| queue.window.lose(id));
    }

    /// The quota, which is the strictest that was stated.
    pub(crate) fn quota(&self) -> Quota {
        self.queue.lock().window.quota()
    }

    /// How long a login at this origin is expected to take, in nanoseconds.
    pub(crate) fn login_takes(&self) -> u64 {
        // Relaxed, as in `end`.
        self.login_takes.load(Relaxed)
    }

    /// When a login that joins the queue now can have a permit, on the steady clock.
    pub(crate) fn expected(&self, wanted: bool) -> u64 {
        self.queue.lock().expected(wanted, self.now())
    }

    /// Whether a login that a caller waits for is in the queue.
    pub(crate) fn has_callers(&self) -> bool {
        self.queue.lock().has_callers(self.now())
    }

    /// A caller waits for this login from now on. If it waits for its permit, the ticket states
    /// anew when that is expected, for the caller to decide by.
    pub(crate) fn want(&self, ticket: &Arc<Ticket>) {
        if ticket.set_wanted() && ticket.expected() <= self.now() {
            return;
        }
        let compared = self.change(|queue, now| {
            let is_out = !queue.holds(ticket) && !ticket.is_permitted() && !ticket.is_elsewhere();
            let joins_later = is_out && ticket.expected() > now;
            joins_later.then(|| ticket.expect(queue.expected(true, now)))
        });
        if let Some(compared) = compared {
            ticket.tell(compared);
        }
    }

    /// This login was given up, so the tickets behind it move up.
    pub(crate) fn pass_over(&self, ticket: &Ticket) {
        ticket.give_up();
        self.change(|_queue, _now| ());
    }

    /// A login has failed, and the server may want no other for a while. Returns how long, if so:
    /// its `Retry-After`, or a whole window if it only reported too many logins.
    pub(crate) fn hold_after(&self, failed: &LoginError) -> Option<Duration> {
        let asked = failed.retry_after().filter(|wait| !wait.is_zero());
        let limited = failed.kind() == LoginErrorKind::Limited;
        let window = || self.queue.lock().window.quota().window();
        let wait = asked.or_else(|| limited.then(window))?;
        let wait = wait.min(LONGEST_RETRY_AFTER);
        self.hold(wait);
        Some(wait)
    }

    pub(super) fn hold(&self, wait: Duration) {
        self.change(|queue, now| queue.hold(now.saturating_add(nanos(wait))));
    }

    pub(super) fn tighten(&self, quota: Quota) {
        self.change(|queue, now| {
            let stricter = queue.window.quota().strictest(quota);
            if stricter != queue.window.quota() {
                queue.window.tighten(stricter, now);
            }
        });
    }

    /// Whether it remembers nothing that a new limiter would not know.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.lock().is_idle(self.now())
    }

    /// Changes the queue, and notes on every ticket in it when its permit is expected now.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Queue, u64) -> T) -> T {
        let now = self.now();
        let (result, changed) = {
            let mut queue = self.queue.lock();
            (change(&mut queue, now), queue.note(now))
        };
        // The tickets are told after the queue's lock is released: thousands of tasks may wait for
        // one of them.
        for (ticket, compared) in changed {
            ticket.tell(compared);
        }
        result
    }

    fn now(&self) -> u64 {
        self.clock.now().steady
    }

    #[cfg(test)]
    pub(super) fn queue(&self) -> impl std::ops::DerefMut<Target = Queue> + '_ {
        self.queue.lock()
    }
}

/// Leaves the queue when dropped, so that the tickets behind move up.
struct Leave<'a> {
    limiter: &'a Limiter,
    ticket: &'a Arc<Ticket>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.limiter.change(|queue, _now| queue.leave(self.ticket));
    }
}

/// The right to send one login, while that is under way.
///
/// If it is dropped after the login was sent, that may still arrive at the server: it counts as
/// ended at its time-out.
#[derive(Debug)]
#[must_use = "a login that was sent counts as lost if its permit is dropped"]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    id: PermitId,
    given_at: u64,
    /// Whether its login may arrive at the server.
    sent: bool,
    ended: bool,
}

impl Permit {
    pub(super) const fn new(limiter: Arc<Limiter>, id: PermitId, given_at: u64) -> Self {
        Self {
            limiter,
            id,
            given_at,
            sent: false,
            ended: false,
        }
    }

    /// Whether the login can be sent with it: no other login has had it since it lapsed, and the
    /// server has not asked for a wait meanwhile.
    pub(crate) fn is_good(&self) -> bool {
        let now = self.limiter.now();
        let queue = self.limiter.queue.lock();
        !queue.is_held(now) && queue.window.has(self.id)
    }

    /// The login is sent only now, and may take as long as its time-out from now on.
    ///
    /// # Errors
    /// The permit, which is to be given back, if the login can't be sent with it any more.
    pub(crate) fn sent(mut self, timeout: Duration) -> Result<Self, Self> {
        let Some(now) = self.limiter.sent(self.id, timeout) else {
            return Err(self);
        };
        self.given_at = now;
        self.sent = true;
        Ok(self)
    }

    /// The login has ended: the server has answered, or can't be reached. Its window begins now.
    pub(crate) fn end(mut self) {
        self.ended = true;
        self.limiter.end(self.id, self.given_at);
    }

    /// Nothing was sent, so another login may have it now.
    pub(crate) fn give_back(mut self) {
        self.ended = true;
        self.limiter.take_back(self.id);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match (self.ended, self.sent) {
            (true, _) => {}
            (false, true) => self.limiter.lose(self.id),
            (false, false) => self.limiter.take_back(self.id),
        }
    }
}
