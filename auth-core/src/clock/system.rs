//! The machine's clocks. The only place that reads them.

use super::Moment;

#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn now() -> Moment {
    Moment {
        steady: linux::steady(),
        wall: linux::read(rustix::time::ClockId::RealtimeCoarse),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

    use rustix::time::{ClockId, clock_gettime};

    /// Suspend shows at the latest this long after waking up.
    const REREAD_AFTER: u64 = 100_000_000;

    static SUSPENDED: AtomicU64 = AtomicU64::new(0);
    static READ_AT: AtomicU64 = AtomicU64::new(0);

    pub(super) fn steady() -> u64 {
        let mut running = read(ClockId::MonotonicCoarse);
        if running.wrapping_sub(READ_AT.load(Acquire)) >= REREAD_AFTER {
            // The boot clock first: if this thread is held up in between, the difference comes out too small, and is put
            // right next time. The coarse clock lags by up to a tick, so the difference wavers; keeping its largest value
            // keeps the sum from ever running backwards, at the price of one tick of haste.
            let since_boot = read(ClockId::Boottime);
            running = read(ClockId::MonotonicCoarse);
            SUSPENDED.fetch_max(since_boot.saturating_sub(running), Relaxed);
            READ_AT.store(running, Release);
        }
        running.saturating_add(SUSPENDED.load(Relaxed))
    }

    pub(super) fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where these clocks are read"
)]
pub(super) fn now() -> Moment {
    use std::sync::OnceLock;
    use std::time::{Instant, SystemTime, UNIX_EPOCH};

    static START: OnceLock<Instant> = OnceLock::new();
    Moment {
        steady: super::nanos(START.get_or_init(Instant::now).elapsed()),
        wall: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, super::nanos),
    }
}
