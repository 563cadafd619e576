//! The clock that measures. The code under test reads the clocks of auth-core.

use std::time::{Duration, Instant};

/// A reading of the clock that measures.
pub type Timestamp = Instant;

/// Reads the clock that measures.
#[inline]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where a benchmark reads this clock; it decides no expiry"
)]
pub fn monotonic() -> Timestamp {
    Instant::now()
}

/// The time that `work` takes.
#[inline]
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = monotonic();
    work();
    start.elapsed()
}
