//! The machine's clocks. The only place that reads them.

use super::Moment;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
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

    #[inline]
    pub(super) fn steady() -> u64 {
        let mut running = read(ClockId::MonotonicCoarse);
        if running.wrapping_sub(READ_AT.load(Acquire)) >= REREAD_AFTER {
            running = reread();
        }
        running + SUSPENDED.load(Relaxed)
    }

    /// Looks how long the machine has slept so far.
    #[cold]
    fn reread() -> u64 {
        // The boot clock first: if this thread is held up in between, the difference comes out too small, and is put
        // right next time. The coarse clock lags by up to a tick, so the difference wavers; keeping its largest value
        // keeps the sum from ever running backwards, at the price of one tick of haste.
        let since_boot = read(ClockId::Boottime);
        let running = read(ClockId::MonotonicCoarse);
        SUSPENDED.fetch_max(since_boot.saturating_sub(running), Relaxed);
        READ_AT.store(running, Release);
        running
    }

    #[inline]
    pub(super) fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        // Neither is negative, and both together fit for five centuries.
        #[allow(clippy::useless_conversion, reason = "it is no u64 on every platform")]
        let nanos = u64::from(time.tv_nsec.unsigned_abs());
        time.tv_sec.unsigned_abs() * 1_000_000_000 + nanos
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
