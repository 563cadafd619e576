//! The looks in the store for callers that would be turned away: one for all of them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::Notify;

use super::steps::STEP;
use crate::clock::nanos;
use crate::runtime::AtomicU64;

/// How long after a look the store is not looked at for callers that would be turned away.
const LOOK_FOR_CALLERS: Duration = Duration::from_secs(1);

/// The looks of one cache.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    /// Until when the one under way is waited for, on the steady clock.
    looking_until: AtomicU64,
    /// Until when there is no other one.
    looked_until: AtomicU64,
    /// Notified when it has ended.
    ended: Notify,
}

/// A look for all callers that would be turned away. Dropped, it has ended.
pub(crate) struct Looking {
    looks: Arc<Looks>,
    /// Until when it is waited for. After that, another one may have begun.
    until: u64,
}

impl Drop for Looking {
    fn drop(&mut self) {
        let looking = &self.looks.looking_until;
        if (looking.compare_exchange(self.until, 0, Relaxed, Relaxed)).is_ok() {
            self.looks.ended.notify_waiters();
        }
    }
}

impl Looks {
    /// Whether there may be something to find: the store was not looked at just now.
    pub(super) fn may_find(&self, now: u64) -> bool {
        // Relaxed, here and below: who misses a time looks in vain, or not.
        let is_later = |time: &AtomicU64| now >= time.load(Relaxed);
        // What was found may not be taken over yet while one is under way.
        is_later(&self.looked_until) || !is_later(&self.looking_until)
    }

    /// The store was looked at, for whatever reason.
    pub(super) fn have_ended(&self, now: u64) {
        let until = now.saturating_add(nanos(LOOK_FOR_CALLERS));
        self.looked_until.store(until, Relaxed);
    }

    /// Begins a look for all callers that would be turned away. `None` if one is under way; one
    /// that takes longer than a step is on a runtime that is not driven.
    pub(crate) fn begin(self: &Arc<Self>, now: u64) -> Option<Looking> {
        let before = self.looking_until.load(Relaxed);
        let until = now.saturating_add(nanos(STEP));
        let claims = || (self.looking_until).compare_exchange(before, until, Relaxed, Relaxed);
        let is_mine = before <= now && claims().is_ok();
        is_mine.then(|| Looking {
            looks: Arc::clone(self),
            until,
        })
    }

    /// Notified when the look has ended, or is waited for no longer.
    pub(crate) const fn ended(&self) -> &Notify {
        &self.ended
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn rule_20_a_look_under_way_is_waited_for_though_what_it_has_found_is_not_taken_over_yet() {
        let looks = Arc::new(Looks::default());
        let looking = looks.begin(5).unwrap();
        looks.looked_until.store(10, Relaxed);
        assert!(looks.may_find(5));
        drop(looking);
        assert!(!looks.may_find(5) && looks.may_find(10));
    }
}
