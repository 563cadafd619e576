//! The limiters of this process, by clock and origin.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use super::Limiter;
use crate::clock::Clock;
use crate::origin::Origin;
use crate::quota::Quota;
use crate::runtime::Mutex;

#[cfg(not(feature = "shuttle"))]
static REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());

// A model's objects must not outlive one execution.
#[cfg(feature = "shuttle")]
shuttle::lazy_static! {
    static ref REGISTRY: Mutex<Registry> = Mutex::new(Registry::new());
}

/// How many limiters are looked at when one is added: more than one, so that those that are
/// forgotten in the end outrun those that are added.
const SWEPT: usize = 2;

/// The limiters that are in use, or that remember a login. The lock around it is held for a bounded
/// time, however many there are: a tree never moves all of them at once, and each addition looks at
/// [`SWEPT`] of them, in turn.
struct Registry {
    limiters: BTreeMap<Key, Arc<Limiter>>,
    /// The last one that was looked at.
    swept: Option<Key>,
}

/// The clock, the origin by which logins are counted, and whether it is the share that a process
/// has without its store.
type Key = (u64, Origin, bool);

/// Which part of the quota a process takes while its store is in trouble. Five processes that can't
/// see each other stay within it.
const SHARE: u32 = 5;

impl Limiter {
    /// The limiter that is shared by all caches of this process that log in at `origin` and use the
    /// same clock. If they state different quotas, the strictest holds.
    pub(crate) fn shared(origin: &Origin, quota: Quota, clock: &Clock) -> Arc<Self> {
        Self::registered((clock.id(), origin.counted(), false), quota, clock)
    }

    /// The limiter of the logins that this process sends while its store is in trouble: a fifth of
    /// the quota, and at least one login.
    pub(crate) fn share(origin: &Origin, quota: Quota, clock: &Clock) -> Arc<Self> {
        let most = NonZeroU32::new(quota.logins().get() / SHARE).unwrap_or(NonZeroU32::MIN);
        let key = (clock.id(), origin.counted(), true);
        Self::registered(key, quota.at_most(most), clock)
    }

    fn registered(key: Key, quota: Quota, clock: &Clock) -> Arc<Self> {
        let new = || Arc::new(Self::new(quota, clock.clone()));
        let (limiter, forgotten) = REGISTRY.lock().get_or_add(key, new);
        // With the registry's lock released: it may wake waiters.
        drop(forgotten);
        limiter.tighten(quota);
        limiter
    }
}

impl Registry {
    const fn new() -> Self {
        Self {
            limiters: BTreeMap::new(),
            swept: None,
        }
    }

    /// The limiter of a key, or a new one; and those that were forgotten for it.
    fn get_or_add(
        &mut self,
        key: Key,
        new: impl FnOnce() -> Arc<Limiter>,
    ) -> (Arc<Limiter>, [Option<Arc<Limiter>>; SWEPT]) {
        if let Some(limiter) = self.limiters.get(&key) {
            return (Arc::clone(limiter), [const { None }; SWEPT]);
        }
        let forgotten = [(); SWEPT].map(|()| self.sweep());
        let limiter = new();
        self.limiters.insert(key, Arc::clone(&limiter));
        (limiter, forgotten)
    }

    /// Looks at the next limiter, and forgets it if no cache uses it and it remembers no login.
    fn sweep(&mut self) -> Option<Arc<Limiter>> {
        let next = match &self.swept {
            Some(swept) => self.limiters.range((Excluded(swept), Unbounded)).next(),
            None => self.limiters.iter().next(),
        };
        self.swept = next.map(|(key, _)| key.clone());
        let (key, limiter) = next?;
        // No other thread can take a handle here meanwhile: that needs the registry's lock.
        if Arc::strong_count(limiter) > 1 || !limiter.is_idle() {
            return None;
        }
        let key = key.clone();
        self.limiters.remove(&key)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn key(number: u64) -> Key {
        let origin = Origin::parse(&format!("https://api-{number}.example.com")).unwrap();
        (0, origin, false)
    }

    fn add(registry: &mut Registry, clock: &ManualClock, number: u64) -> Arc<Limiter> {
        let new = || Arc::new(Limiter::new(Quota::DEFAULT, clock.clock()));
        registry.get_or_add(key(number), new).0
    }

    #[test]
    fn rule_4_each_addition_looks_at_few_limiters_and_none_is_kept_for_good() {
        let clock = ManualClock::new();
        let mut registry = Registry::new();
        let used: Vec<_> = (0..100)
            .map(|number| add(&mut registry, &clock, number))
            .collect();
        assert_eq!(registry.limiters.len(), 100);
        for number in 100..10_000 {
            let before = registry.limiters.len();
            drop(add(&mut registry, &clock, number));
            assert!(registry.limiters.len() + SWEPT > before, "few at a time");
            // Half of those that are added meanwhile are there when a sweep comes round.
            assert!(registry.limiters.len() <= 2 * 100 + 4, "they go again");
        }
        for (number, limiter) in used.iter().enumerate() {
            let again = add(&mut registry, &clock, number as u64);
            assert!(Arc::ptr_eq(limiter, &again), "one that is used stays");
        }
    }
}
