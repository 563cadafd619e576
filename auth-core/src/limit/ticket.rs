//! The place of one login in the queue, and how far the login has come.

use std::cmp::Ordering;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::task::Waker;
use std::time::Duration;

use tokio::sync::Notify;

use crate::clock::nanos;
use crate::runtime::{AtomicBool, AtomicU64};

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
    pub(super) fn new(wanted: bool, expected: u64) -> Self {
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
