//! What is known of an identity's failed logins beyond one handle.
//!
//! 1. A handle that leaves its pool while a login of it is under way, or while it has other users,
//!    has a [`Link`] to a memory, and so has the next handle of the identity.
//! 2. While a login ends, its handle holds the memory's lock: it takes over what another has found
//!    out, decides, and says what that has come to. So the failures of all of them follow one
//!    another, as those of one handle do.
//! 3. A handle looks at the memory before it sends a login.
//!
//! The lock of a memory is taken within that of a pool and of a handle, and none is taken within
//! it.

use std::sync::Arc;

use crate::clock::Moment;
use crate::decide::Failure;
use crate::runtime::{Mutex, MutexGuard};

/// What the failed logins of an identity forbid, for its handles and for the pool that they left.
pub(crate) struct Memory {
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    failure: Option<Failure>,
    /// How often a handle has said what it has found out.
    told: u64,
}

impl Memory {
    pub(crate) fn of(failure: Option<Failure>) -> Arc<Self> {
        let last = Mutex::new(Last { failure, told: 0 });
        Arc::new(Self { last })
    }

    /// Whether it forbids something, or a handle may still find out what does.
    pub(crate) fn matters(self: &Arc<Self>, now: Moment) -> bool {
        Arc::strong_count(self) > 1 || self.forbids(now)
    }

    /// Whether it forbids something.
    pub(crate) fn forbids(&self, now: Moment) -> bool {
        let failure = &self.last.lock().failure;
        failure.as_ref().is_some_and(|failure| failure.matters(now))
    }
}

/// A handle's share in a memory.
pub(crate) struct Link {
    memory: Arc<Memory>,
    /// What of the memory the handle has taken over.
    seen: u64,
}

impl Link {
    /// The link of a handle that takes over the failure, or has had it itself.
    pub(crate) fn new(memory: Arc<Memory>) -> (Self, Option<Failure>) {
        let (seen, failure) = {
            let last = memory.last.lock();
            (last.told, last.failure.clone())
        };
        (Self { memory, seen }, failure)
    }

    pub(crate) fn memory(&self) -> &Arc<Memory> {
        &self.memory
    }

    /// Whether another handle has a link to the memory. No pool has it now.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.memory) > 1
    }

    /// The memory, until the handle has said what it has found out itself.
    pub(crate) fn turn(&mut self) -> LinkTurn<'_> {
        LinkTurn {
            last: self.memory.last.lock(),
            seen: &mut self.seen,
        }
    }
}

/// A handle's turn at a memory, which the others wait for.
pub(crate) struct LinkTurn<'a> {
    last: MutexGuard<'a, Last>,
    seen: &'a mut u64,
}

impl LinkTurn<'_> {
    /// What another handle has found out since this one has looked.
    pub(crate) fn news(&mut self) -> Option<Failure> {
        let is_new = std::mem::replace(self.seen, self.last.told) != self.last.told;
        self.last.failure.clone().filter(|_| is_new)
    }

    /// This handle's last failure is that of the identity.
    pub(crate) fn tell(mut self, failure: Failure) {
        self.last.failure = Some(failure);
        self.last.told += 1;
        *self.seen = self.last.told;
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_shared_while_another_handle_has_one_to_the_same_memory() {
        let memory = Memory::of(None);
        let (one, _) = Link::new(Arc::clone(&memory));
        let (other, _) = Link::new(memory);
        assert!(one.is_shared() && other.is_shared());
        drop(one);
        assert!(!other.is_shared());
    }
}
