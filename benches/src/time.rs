//! The clock that measures. Everything under test reads `auth_core`'s.

use std::time::{Duration, Instant};

/// A reading of the clock that measures.
pub type Timestamp = Instant;

/// Reads the clock that measures.
#[inline]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where a benchmark reads the clock; no expiry is decided by it"
)]
pub fn monotonic() -> Timestamp {
    Instant::now()
}

/// How long `work` takes.
#[inline]
pub fn timed(work: impl FnOnce()) -> Duration {
    let start = monotonic();
    work();
    start.elapsed()
}
