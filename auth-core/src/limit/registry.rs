//! The limiters of this process, by clock and origin.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::Limiter;
use crate::clock::Clock;
use crate::origin::Origin;
use crate::quota::Quota;
use crate::runtime::Mutex;

type Registry = HashMap<(u64, Origin), Arc<Limiter>>;

static REGISTRY: OnceLock<Mutex<Registry>> = OnceLock::new();

impl Limiter {
    /// The limiter that is shared by all caches of this process that log in at `origin` and use the
    /// same clock. If they state different quotas, the strictest holds.
    pub(crate) fn shared(origin: &Origin, quota: Quota, clock: &Clock) -> Arc<Self> {
        // A model's objects must not outlive one execution.
        if cfg!(feature = "shuttle") {
            return Arc::new(Self::new(quota, clock.clone()));
        }
        let mut registry = REGISTRY.get_or_init(Mutex::default).lock();
        let key = (clock.id(), origin.clone());
        if let Some(limiter) = registry.get(&key).cloned() {
            drop(registry);
            // It may wake waiters, which must not happen under a lock.
            limiter.tighten(quota);
            return limiter;
        }
        // A limiter that no cache uses and that remembers no login is forgotten.
        registry.retain(|_, limiter| Arc::strong_count(limiter) > 1 || !limiter.is_idle());
        let limiter = Arc::new(Self::new(quota, clock.clone()));
        registry.insert(key, Arc::clone(&limiter));
        limiter
    }
}
