//! The clocks that a cache decides by.

use std::time::Duration;

#[cfg(feature = "test-util")]
use std::sync::Arc;

#[cfg(feature = "test-util")]
use super::manual::{Hands, ManualClock, Shift, ShiftedClock};
use super::moment::Moment;
use super::system;

/// The clocks that a cache decides by: the machine's, or in tests a clock that moves by hand.
///
/// ```
/// use auth_core::Clock;
///
/// let clock = Clock::system();
/// let start = clock.now();
/// assert!(clock.now().since(start).as_secs() < 60);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Clock(pub(super) Source);

#[derive(Clone, Debug, Default)]
pub(super) enum Source {
    #[default]
    System,
    #[cfg(feature = "test-util")]
    Shifted(Arc<Shift>),
    #[cfg(feature = "test-util")]
    Manual(Arc<Hands>),
}

impl Clock {
    /// The machine's clocks.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// Reads both clocks. It takes about 10 ns on Linux.
    #[inline]
    pub fn now(&self) -> Moment {
        match &self.0 {
            Source::System => system::now(),
            #[cfg(feature = "test-util")]
            Source::Shifted(shift) => shift.now(),
            #[cfg(feature = "test-util")]
            Source::Manual(hands) => hands.now(),
        }
    }

    /// Nanoseconds on a steady clock without a tick, to measure how long something took. Only
    /// differences of its readings have a meaning. It takes ten times as long to read as
    /// [`now`](Self::now).
    pub(crate) fn precise(&self) -> u64 {
        match &self.0 {
            Source::System => system::precise(),
            #[cfg(feature = "test-util")]
            Source::Shifted(shift) => shift.precise(),
            #[cfg(feature = "test-util")]
            Source::Manual(hands) => hands.now().steady,
        }
    }

    /// Waits until the steady clock reads `steady`. Needs a tokio runtime with its timer enabled,
    /// unless the clock is manual.
    pub(crate) async fn sleep_until(&self, steady: u64) {
        #[cfg(feature = "test-util")]
        if let Source::Manual(hands) = &self.0 {
            return hands.sleep_until(steady).await;
        }
        loop {
            let left = steady.saturating_sub(self.now().steady);
            if left == 0 {
                return;
            }
            let nap = Duration::from_nanos(left).clamp(SHORTEST_NAP, LONGEST_NAP);
            tokio::time::sleep(nap).await;
        }
    }

    /// The key of this clock in process-wide registries. Quotas on one clock don't count on
    /// another.
    pub(crate) fn id(&self) -> u64 {
        match &self.0 {
            Source::System => 0,
            #[cfg(feature = "test-util")]
            Source::Shifted(shift) => shift.id(),
            #[cfg(feature = "test-util")]
            Source::Manual(hands) => hands.id(),
        }
    }
}

#[cfg(feature = "test-util")]
impl ManualClock {
    /// The clock to build a cache with.
    pub fn clock(&self) -> Clock {
        Clock(Source::Manual(Arc::clone(&self.0)))
    }
}

#[cfg(feature = "test-util")]
impl ShiftedClock {
    /// The clock to build a cache with.
    pub fn clock(&self) -> Clock {
        Clock(Source::Shifted(Arc::clone(&self.0)))
    }
}

/// tokio's timer stands still while the machine sleeps. A longer wait reads the clock again at
/// least this often, so it ends at most a minute late after a suspend.
const LONGEST_NAP: Duration = Duration::from_secs(60);

/// The coarse clock lags by a tick, so time may be left when tokio's timer ends. A nap of this
/// length waits for the tick without spinning.
const SHORTEST_NAP: Duration = Duration::from_millis(1);
