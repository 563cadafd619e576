//! How many steps of a store may be under way at a time.

use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;

use futures_util::future::{Either, select};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::steps::STEP;
use crate::clock::{Clock, nanos};
use crate::runtime::AtomicU64;

/// How many steps of a store may be under way at a time: see [`Store::slots`](super::Store::slots).
///
/// A step that waits for its slot is given up once none of the others has been answered for two
/// seconds, since the store hangs then.
///
/// ```
/// use auth_core::store::Slots;
///
/// let slots = Slots::new(64);
/// # drop(slots);
/// ```
#[derive(Debug)]
pub struct Slots {
    free: Semaphore,
    /// How many steps were answered.
    answered: AtomicU64,
}

impl Slots {
    /// So many, and one at least.
    pub fn new(most: usize) -> Self {
        Self {
            free: Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS)),
            answered: AtomicU64::new(0),
        }
    }

    /// Waits for a slot, while others get on. `None` if they do not.
    pub(super) async fn take(&self, clock: &Clock) -> Option<Slot<'_>> {
        let mut free = pin!(self.free.acquire());
        loop {
            // Relaxed: the count publishes no other memory.
            let answered = self.answered.load(Relaxed);
            let until = clock.now().steady.saturating_add(nanos(STEP));
            match select(free.as_mut(), pin!(clock.sleep_until(until))).await {
                Either::Left((permit, _)) => {
                    return permit.ok().map(|permit| Slot {
                        _permit: permit,
                        slots: self,
                    });
                }
                Either::Right(_) if self.answered.load(Relaxed) != answered => {}
                Either::Right(_) => return None,
            }
        }
    }
}

/// The slot of a step that is under way.
pub(super) struct Slot<'a> {
    _permit: SemaphorePermit<'a>,
    slots: &'a Slots,
}

impl Slot<'_> {
    /// The store has answered the step, if only with an error.
    pub(super) fn answered(self) {
        self.slots.answered.fetch_add(1, Relaxed);
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::clock::ManualClock;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn rule_24_a_step_waits_for_its_slot_while_others_get_on() {
        let (slots, manual) = (Slots::new(1), ManualClock::new());
        let clock = manual.clock();
        let held = slots.take(&clock).await;
        let mut waits = Box::pin(slots.take(&clock));
        for _ in 0..9 {
            assert!(waits.as_mut().now_or_never().is_none());
            manual.advance(SECOND);
            // As one that came before is, whose slot the next one has then.
            slots.answered.fetch_add(1, Relaxed);
        }
        drop(held);
        assert!(
            waits
                .as_mut()
                .now_or_never()
                .is_some_and(|slot| slot.is_some())
        );
    }

    #[tokio::test]
    async fn rule_24_a_step_waits_for_no_slot_of_a_store_that_hangs() {
        let (slots, manual) = (Slots::new(1), ManualClock::new());
        let clock = manual.clock();
        let held = slots.take(&clock).await;
        let mut waits = Box::pin(slots.take(&clock));
        assert!(waits.as_mut().now_or_never().is_none());
        manual.advance(2 * SECOND);
        assert!(
            waits
                .as_mut()
                .now_or_never()
                .is_some_and(|slot| slot.is_none())
        );
        // One that is given up frees it, and is no answer.
        drop(held);
        assert_eq!(slots.answered.load(Relaxed), 0);
        let slot = slots.take(&clock).now_or_never().flatten();
        slot.expect("it is free").answered();
        assert_eq!(slots.answered.load(Relaxed), 1);
    }
}
