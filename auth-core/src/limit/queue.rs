//! Logins that wait for a permit, in their order.

use std::cmp::Ordering;
use std::sync::Arc;

use super::ticket::Ticket;
use super::window::Window;

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
