//! Logins that wait for a permit, in their order; and the ticket of each.

use std::cmp::Ordering;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

use super::window::Window;
use crate::clock::{Clock, nanos};
use crate::error::Error;
use crate::runtime::{AtomicBool, AtomicU64};

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) window: Window,
    /// The server wants no login before this, on the steady clock.
    held_until: u64,
    waiting: Vec<Arc<Ticket>>,
}

impl Queue {
    pub(super) const fn new(window: Window) -> Self {
        Self {
            window,
            held_until: 0,
            waiting: Vec::new(),
        }
    }

    pub(super) fn join(&mut self, ticket: &Arc<Ticket>, now: u64) {
        ticket.queued(now);
        self.waiting.push(Arc::clone(ticket));
    }

    pub(super) fn leave(&mut self, ticket: &Arc<Ticket>) {
        self.waiting.retain(|other| !Arc::ptr_eq(other, ticket));
    }

    pub(super) fn holds(&self, ticket: &Arc<Ticket>) -> bool {
        self.waiting.iter().any(|other| Arc::ptr_eq(other, ticket))
    }

    /// The server wants no login before `until`. A shorter hold doesn't shorten a longer one.
    pub(super) fn hold(&mut self, until: u64) {
        self.held_until = self.held_until.max(until);
    }

    /// Gives a permit, if there is one.
    pub(super) fn give(&mut self, now: u64) -> bool {
        self.held_until <= now && self.window.give(now)
    }

    /// When a login that joins now can have a permit, on the steady clock.
    pub(super) fn expected(&self, wanted: bool, now: u64) -> u64 {
        let ahead = self
            .waiting
            .iter()
            .filter(|ticket| !ticket.is_gone(now) && (ticket.is_wanted() || !wanted));
        self.free_at(ahead.count(), now)
    }

    /// Notes on every ticket when its permit is expected: first on those that a caller waits for,
    /// then on renewals. Those for which that has changed are returned, to be told.
    ///
    /// Every ticket ahead keeps its permit: if the one `n` places down the queue is free by now, so
    /// is each before it. So a login that is expected now may take one, whatever those ahead do.
    pub(super) fn note(&self, now: u64) -> Vec<(Arc<Ticket>, Ordering)> {
        let mut ahead = 0;
        let mut changed = Vec::new();
        for wanted in [true, false] {
            for ticket in self
                .waiting
                .iter()
                .filter(|ticket| ticket.is_wanted() == wanted)
            {
                // One that is passed over may still come, and gets a permit if there is one to spare.
                let gone = ticket.is_gone(now);
                let free_at = self.free_at(ahead, now);
                let before = ticket.expected();
                // A turn that has come counts from when it came.
                if free_at > now || before == 0 || before > now {
                    let compared = ticket.expect(free_at.max(now));
                    ticket.queued(now);
                    changed.push((Arc::clone(ticket), compared));
                }
                ahead += usize::from(!gone);
            }
        }
        changed
    }

    pub(super) fn is_idle(&self, now: u64) -> bool {
        self.held_until <= now && self.window.is_over(now)
    }

    fn free_at(&self, ahead: usize, now: u64) -> u64 {
        self.window.free_at(ahead, now).max(self.held_until)
    }
}

/// A task that could go on, and has not for this long, is not driven: its runtime has stopped.
/// Longer than a busy runtime leaves a task waiting, and short beside a caller's wait of a minute.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(5);

/// One login's place in the queue for a permit, shared by its task, its waiters and the queue.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    /// A caller waits for this login, so it goes before renewals.
    wanted: AtomicBool,
    /// The login was given up, so the queue passes it over.
    given_up: AtomicBool,
    /// When the permit can be had, on the steady clock, as far as can be told: since when, if it
    /// can be had now. Zero before the first estimate.
    expected: AtomicU64,
    /// By when the login must have come further, on the steady clock. In the queue, the queue
    /// states it; before and after, the login's task does.
    due: AtomicU64,
    /// Told when the permit is expected sooner than before: the task that waits for it looks again.
    sooner: Notify,
    /// Woken when the permit is expected later than before: some waiters may not be able to wait.
    later: OnceLock<Waker>,
}

impl Ticket {
    pub(crate) fn new(wanted: bool, expected: u64) -> Self {
        Self {
            wanted: AtomicBool::new(wanted),
            expected: AtomicU64::new(expected),
            ..Self::default()
        }
    }

    // `wanted` and `given_up` publish nothing but themselves, and the queue reads them again under
    // its lock: relaxed.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Whether the login was wanted already.
    pub(super) fn set_wanted(&self) -> bool {
        self.wanted.swap(true, Relaxed)
    }

    pub(super) fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    /// When the permit can be had, on the steady clock: in the past if it can be had now, or was.
    pub(crate) fn expected(&self) -> u64 {
        // Pairs with `expect`: a waiter that the later waker has woken sees the later time.
        self.expected.load(Acquire)
    }

    /// How long until the permit can be had.
    pub(crate) fn wait_left(&self, clock: &Clock) -> Duration {
        // The clock is read after the ticket: what was free then is free now.
        let expected = self.expected();
        Duration::from_nanos(expected.saturating_sub(clock.now().steady))
    }

    /// Whether a caller with this deadline, on the steady clock, can wait for the permit.
    ///
    /// # Errors
    /// [`Error::QuotaSpent`], with the time to wait.
    pub(crate) fn can_wait(
        &self,
        deadline: u64,
        fail_fast: bool,
        clock: &Clock,
    ) -> Result<(), Error> {
        let retry_after = self.wait_left(clock);
        if retry_after.is_zero() || (self.expected() <= deadline && !fail_fast) {
            return Ok(());
        }
        Err(Error::QuotaSpent { retry_after })
    }

    /// Notes when the permit can be had. How that compares with what was expected before is to be
    /// [told](Self::tell), with no lock held.
    pub(super) fn expect(&self, at: u64) -> Ordering {
        // Pairs with `expected`.
        at.cmp(&self.expected.swap(at, AcqRel))
    }

    /// By when the login must have come further, on the steady clock.
    pub(crate) fn due(&self) -> u64 {
        // Pairs with `set_due`: a waiter that sees the old time looks again when it has come.
        self.due.load(Acquire)
    }

    /// States by when the login must have come further.
    pub(crate) fn set_due(&self, at: u64) {
        // Pairs with `due`.
        self.due.store(at, Release);
    }

    /// The login waits in the queue now, for a permit that is expected when the ticket says.
    pub(super) fn queued(&self, now: u64) {
        let from = self.expected().max(now);
        self.set_due(from.saturating_add(nanos(STALLED_AFTER)));
    }

    pub(super) fn tell(&self, changed: Ordering) {
        match changed {
            Ordering::Less => self.sooner.notify_waiters(),
            Ordering::Equal => {}
            Ordering::Greater => {
                if let Some(waker) = self.later.get() {
                    waker.wake_by_ref();
                }
            }
        }
    }

    /// What to wake whenever the permit is expected later than before. The first one stays.
    pub(crate) fn wake_when_later(&self, waker: Waker) {
        let _ = self.later.set(waker);
    }

    pub(super) const fn sooner(&self) -> &Notify {
        &self.sooner
    }

    /// Whether a queued login is passed over: it was given up, or its task is not driven.
    pub(super) fn is_gone(&self, now: u64) -> bool {
        self.given_up.load(Relaxed) || self.due() < now
    }
}
