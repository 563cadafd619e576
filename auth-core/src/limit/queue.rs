//! The queue of logins that wait for a permit, and the ticket of each.
//!
//! A ticket is shared by the queue, the login's task and its waiters. It has these states:
//!
//! 1. *Made*: `expected` is an estimate. The login's task states in `due` by when it will have made
//!    its next step.
//! 2. *Queued*: after each change, `Queue::note` states under the queue's lock when the permit is
//!    `expected` at the earliest, and then by when the task must have taken it, in `due`. A task
//!    whose permit is expected sooner is notified, and waiters are woken if it is expected later. A
//!    permit that others are logging in with is expected later from moment to moment: then they are
//!    told again once it is a second later, or the expected time has come.
//! 3. *Gone*: the login was given up, or its `due` has passed, so its task is not driven. The
//!    ticket stays in the queue, and the tickets behind it count as if it were not there.
//! 4. *Permitted*: the ticket has left the queue in the step that took the permit. `expected` stays
//!    in the past, or is when the store is expected to permit the login too, and the login's task
//!    states `due` again. It joins the queue once more if the login can't be sent with that permit.

use std::cmp::Ordering;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::{Arc, OnceLock};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

use super::window::{PermitId, Window};
use crate::clock::{Clock, nanos};
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
        ticket.elsewhere.store(false, Relaxed);
        ticket.queued(now);
        self.waiting.push(Arc::clone(ticket));
    }

    pub(super) fn leave(&mut self, ticket: &Arc<Ticket>) {
        self.waiting.retain(|other| !Arc::ptr_eq(other, ticket));
    }

    pub(super) fn holds(&self, ticket: &Arc<Ticket>) -> bool {
        self.waiting.iter().any(|other| Arc::ptr_eq(other, ticket))
    }

    /// The server wants no login before `until`. A shorter hold does not shorten a longer one.
    pub(super) fn hold(&mut self, until: u64) {
        self.held_until = self.held_until.max(until);
    }

    pub(super) const fn is_held(&self, now: u64) -> bool {
        now < self.held_until
    }

    /// Takes a permit for a login that times out at `until`, and leaves: if one is free, and
    /// another for each ticket ahead. In one step, so that no permit counts as given and as waited
    /// for.
    pub(super) fn take(&mut self, ticket: &Arc<Ticket>, now: u64, until: u64) -> Option<PermitId> {
        if self.free_at(self.ahead_of(ticket, now), now) > now {
            return None;
        }
        let given = self.window.give(until)?;
        self.leave(ticket);
        ticket.set_permitted();
        Some(given)
    }

    /// How many tickets have their turn before this one.
    fn ahead_of(&self, ticket: &Arc<Ticket>, now: u64) -> usize {
        let wanted = ticket.is_wanted();
        let earlier = (self.waiting.iter())
            .take_while(|other| !Arc::ptr_eq(other, ticket))
            .filter(|other| other.is_wanted() == wanted && !other.is_gone(now));
        let before_renewals = (self.waiting.iter())
            .filter(|other| !wanted && other.is_wanted() && !other.is_gone(now));
        earlier.count() + before_renewals.count()
    }

    /// Whether a caller waits for one of the logins.
    pub(super) fn has_callers(&self, now: u64) -> bool {
        let mut waiting = self.waiting.iter();
        waiting.any(|ticket| ticket.is_wanted() && !ticket.is_gone(now))
    }

    /// When a login that joins now can have a permit, on the steady clock.
    pub(super) fn expected(&self, wanted: bool, now: u64) -> u64 {
        let ahead = self
            .waiting
            .iter()
            .filter(|ticket| !ticket.is_gone(now) && (ticket.is_wanted() || !wanted));
        self.free_at(ahead.count(), now)
    }

    /// Notes on every ticket when its permit is expected: first on the tickets of logins that a
    /// caller waits for, then on renewals. Returns the tickets whose time has changed, which are to
    /// be told.
    ///
    /// Every ticket ahead keeps its permit, in whatever order the tasks run: `take` counts the
    /// tickets ahead as this function does.
    pub(super) fn note(&self, now: u64) -> Vec<(Arc<Ticket>, Ordering)> {
        let mut ahead = 0;
        let mut changed = Vec::new();
        for wanted in [true, false] {
            for ticket in self
                .waiting
                .iter()
                .filter(|ticket| ticket.is_wanted() == wanted)
            {
                // A ticket that is passed over may come back. It gets a permit if one is left.
                let gone = ticket.is_gone(now);
                let free_at = self.free_at(ahead, now);
                let before = ticket.expected();
                let moved = if before <= now {
                    // A turn that has come keeps the time at which it came, and so does its `due`.
                    free_at > now || before == 0
                } else {
                    free_at < before || free_at - before >= nanos(TOLD_AGAIN)
                };
                if moved {
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
        !self.is_held(now) && self.window.is_over(now)
    }

    fn free_at(&self, ahead: usize, now: u64) -> u64 {
        self.window
            .free_at(ahead, now, self.held_until)
            .max(self.held_until)
    }
}

/// How much later a permit must be expected before the tickets are told. While logins are under way
/// it is later at every change, and a thousand tickets would be told of each that joins.
const TOLD_AGAIN: Duration = Duration::from_secs(1);

/// A task that could continue and has not for this long is not driven: its runtime has stopped. It
/// is longer than a busy runtime delays a task, and short compared with a caller's wait of two
/// minutes.
pub(crate) const STALLED_AFTER: Duration = Duration::from_secs(5);

/// One login's entry in the queue for a permit, shared by its task, its waiters and the queue.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    /// A caller waits for this login, so it goes before renewals.
    wanted: AtomicBool,
    /// The login was given up, so the queue passes it over.
    given_up: AtomicBool,
    /// It has left the queue with its permit. What it waits for since then is none of the queue's.
    permitted: AtomicBool,
    /// It waits for something else, before it joins the queue.
    elsewhere: AtomicBool,
    /// When the permit is expected to be free, on the steady clock. If it is free now, since when.
    /// Zero before the first estimate.
    expected: AtomicU64,
    /// By when the login must have made its next step, on the steady clock.
    due: AtomicU64,
    /// Notified when the permit is expected sooner than before, so that the waiting task looks
    /// again.
    sooner: Notify,
    /// Woken when the permit is expected later than before, because it may now come after the
    /// deadline of some waiters.
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

    // Relaxed, for the four flags: each publishes no other memory. A thread that sets `wanted` or
    // `given_up` takes the queue's lock next, and `note` reads them under that lock, under which
    // `permitted` is set and read. Who misses `elsewhere` tells a caller too soon a time, which its
    // next look corrects.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Relaxed)
    }

    /// Notes that a caller waits for the login. Returns whether one did before.
    pub(super) fn set_wanted(&self) -> bool {
        self.wanted.swap(true, Relaxed)
    }

    fn set_permitted(&self) {
        self.permitted.store(true, Relaxed);
    }

    pub(super) fn is_permitted(&self) -> bool {
        self.permitted.load(Relaxed)
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere.load(Relaxed)
    }

    pub(super) fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    /// When the permit is free, on the steady clock. In the past if it is free now, or was given.
    pub(crate) fn expected(&self) -> u64 {
        // Pairs with the swap in `expect`. A task or waiter that is told of a change is woken after
        // the swap, so it reads the new time.
        self.expected.load(Acquire)
    }

    /// How long until the permit is free.
    pub(crate) fn wait_left(&self, clock: &Clock) -> Duration {
        // The clock is read after the ticket, so a permit that was free then is free now.
        let expected = self.expected();
        Duration::from_nanos(expected.saturating_sub(clock.now().steady))
    }

    /// Notes when the permit is free. Returns how that compares with the time before, which is to
    /// be [told](Self::tell) after the queue's lock is released.
    pub(super) fn expect(&self, at: u64) -> Ordering {
        // Pairs with the load in `expected`. The swap also reads the time before.
        at.cmp(&self.expected.swap(at, AcqRel))
    }

    /// By when the login must have made its next step, on the steady clock.
    pub(crate) fn due(&self) -> u64 {
        // Pairs with the store in `set_due`. `note` stores `expected` before `due`, so a waiter
        // that reads `due` first and sees the new one also sees the new `expected`. A waiter that
        // sees the old `due` sets its alarm for it, and reads again when it rings.
        self.due.load(Acquire)
    }

    /// States by when the login must have made its next step.
    pub(crate) fn set_due(&self, at: u64) {
        // Pairs with the load in `due`.
        self.due.store(at, Release);
    }

    /// The login waits in the queue now, and its task must take the permit soon after it is
    /// expected.
    pub(super) fn queued(&self, now: u64) {
        let from = self.expected().max(now);
        self.set_due(from.saturating_add(nanos(STALLED_AFTER)));
    }

    /// The login waits for something else than the queue, until then.
    pub(crate) fn set_expected(&self, at: u64) {
        self.elsewhere.store(true, Relaxed);
        self.tell(self.expect(at));
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

    /// Sets the waker that is woken whenever the permit is expected later than before. The first
    /// one stays.
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
