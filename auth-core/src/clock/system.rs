//! The machine's clocks. No other file reads them.
//!
//! On Linux the steady clock is the coarse monotonic clock plus the time spent in suspend:
//!
//! 1. `SUSPENDED` holds the largest difference seen so far between the boot clock, which counts
//!    suspend, and the coarse monotonic clock, which doesn't.
//! 2. `READ_AT` holds when that difference was last taken, on the monotonic clock.
//! 3. A reader that finds `READ_AT` too old takes the difference again. It stores `SUSPENDED` first
//!    and `READ_AT` second, so a thread that reads the new `READ_AT` also reads the new
//!    `SUSPENDED`.

use super::Moment;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
pub(super) fn now() -> Moment {
    Moment {
        steady: linux::steady(),
        wall: linux::read(rustix::time::ClockId::RealtimeCoarse),
    }
}

/// A steady clock without a tick.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn precise() -> u64 {
    linux::read(rustix::time::ClockId::Boottime)
}

/// A steady clock without a tick.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn precise() -> u64 {
    now().steady
}

/// The time on clocks that all processes of the machine share: a steady one that counts from the
/// start of the machine, and the wall clock.
///
/// On Linux the steady clock is `CLOCK_BOOTTIME` itself, because the one of [`now`] is up to a tick
/// ahead of another process's. On Apple's systems `CLOCK_MONOTONIC` counts on in suspend as well.
/// On other unixes it may not.
#[cfg(all(feature = "file", unix))]
pub(crate) fn shared_now() -> Moment {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(any(target_os = "linux", target_os = "android"))]
    const STEADY: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const STEADY: ClockId = ClockId::Monotonic;

    let time = clock_gettime(STEADY);
    #[allow(clippy::useless_conversion, reason = "it is no u64 on every platform")]
    let nanos = u64::from(time.tv_nsec.unsigned_abs());
    Moment {
        steady: time.tv_sec.unsigned_abs() * 1_000_000_000 + nanos,
        wall: now().wall,
    }
}

/// The time on clocks that all processes of the machine share. `Instant` has no meaning in another
/// process, so both are the wall clock.
#[cfg(all(feature = "file", not(unix)))]
pub(crate) fn shared_now() -> Moment {
    let wall = now().wall;
    Moment { steady: wall, wall }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

    use rustix::time::{ClockId, clock_gettime};

    /// How long after a resume the time spent in suspend may be missing, in nanoseconds. It is
    /// short compared with the life of a session, and ten readings of the boot clock a second cost
    /// nothing that could be measured.
    const REREAD_AFTER: u64 = 100_000_000;

    static SUSPENDED: AtomicU64 = AtomicU64::new(0);
    static READ_AT: AtomicU64 = AtomicU64::new(0);

    #[inline]
    pub(super) fn steady() -> u64 {
        let mut running = read(ClockId::MonotonicCoarse);
        // Pairs with the release in `reread`. If another thread has stored a later time than this
        // thread has read, the difference wraps around, and this thread reads again.
        if running.wrapping_sub(READ_AT.load(Acquire)) >= REREAD_AFTER {
            running = reread();
        }
        // Relaxed: the acquire above orders it after the reading that `READ_AT` stands for.
        running + SUSPENDED.load(Relaxed)
    }

    /// Takes the time spent in suspend again.
    #[cold]
    fn reread() -> u64 {
        // The boot clock is read first. If this thread is preempted between the two readings, the
        // difference is too small and the next reading corrects it. The coarse clock lags by up to
        // a tick, so the difference varies. Its maximum is kept, so that the sum never runs
        // backwards; the sum is then up to a tick ahead.
        //
        // Relaxed: the release of `READ_AT` below publishes the value.
        let since_boot = read(ClockId::Boottime);
        let running = read(ClockId::MonotonicCoarse);
        SUSPENDED.fetch_max(since_boot.saturating_sub(running), Relaxed);
        // Pairs with the acquire in `steady`: `SUSPENDED` is stored before.
        READ_AT.store(running, Release);
        running
    }

    #[inline]
    pub(super) fn read(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        // Neither value is negative, and their sum in nanoseconds fits into a `u64` for five
        // centuries.
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

#[cfg(all(test, feature = "file", unix))]
mod tests {
    use super::*;

    #[test]
    fn the_clock_that_processes_share_shows_the_time_of_the_one_that_decides() {
        const MINUTE: u64 = 60_000_000_000;
        let (shared, own) = (shared_now(), now());
        assert!(shared.wall.abs_diff(own.wall) < MINUTE);
        if cfg!(target_os = "linux") {
            assert!(shared.steady.abs_diff(own.steady) < MINUTE);
        }
    }
}
