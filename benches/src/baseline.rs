//! The best that can be written by hand, to hold our fast path against.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed};

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustix::time::{ClockId, clock_gettime};

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The clock that goes on counting while the machine sleeps, precisely.
#[inline]
pub fn boot_clock() -> u64 {
    nanos(ClockId::Boottime)
}

/// A monotonic clock and the wall clock, to the tick.
#[inline]
pub fn coarse_clocks() -> (u64, u64) {
    (
        nanos(ClockId::MonotonicCoarse),
        nanos(ClockId::RealtimeCoarse),
    )
}

/// A bearer header whose reference count is there already: the first clone of a value is what allocates it.
///
/// # Panics
/// The token can't stand in a header.
pub fn header_of(token: &str) -> HeaderValue {
    let mut value = HeaderValue::try_from(format!("Bearer {token}")).expect("a token");
    value.set_sensitive(true);
    drop(value.clone());
    value
}

#[derive(Clone, Copy, Debug)]
struct Expiry {
    steady: u64,
    wall: u64,
}

impl Expiry {
    fn in_an_hour() -> Self {
        let (steady, wall) = coarse_clocks();
        let hour = 3_600_000_000_000;
        Self {
            steady: steady + hour,
            wall: wall + hour,
        }
    }

    #[inline]
    fn passed(self) -> bool {
        let (steady, wall) = coarse_clocks();
        steady >= self.steady || wall >= self.wall
    }
}

/// One header for all threads, and no clock: what cloning alone costs.
#[derive(Debug)]
pub struct SharedHeader(HeaderValue);

impl SharedHeader {
    /// The token as a bearer header.
    pub fn new(token: &str) -> Self {
        Self(header_of(token))
    }

    /// A clone of it.
    #[inline]
    pub fn get(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// One header for all threads behind an `ArcSwap`, and two coarse clocks.
#[derive(Debug)]
pub struct Guarded(ArcSwap<(HeaderValue, Expiry)>);

impl Guarded {
    /// The token as a bearer header that is good for an hour.
    pub fn new(token: &str) -> Self {
        Self(ArcSwap::from_pointee((
            header_of(token),
            Expiry::in_an_hour(),
        )))
    }

    /// A clone of it, unless it has expired.
    #[inline]
    pub fn get(&self) -> Option<HeaderValue> {
        let guard = self.0.load();
        (!guard.1.passed()).then(|| guard.0.clone())
    }

    /// Whether it is good: the guard and the clocks without the clone.
    #[inline]
    pub fn is_good(&self) -> bool {
        !self.0.load().1.passed()
    }
}

/// A header for each thread, taken anew when the generation changes, and two coarse clocks. The best that is known here: no
/// cache line is written that another thread reads.
#[derive(Debug)]
pub struct PerThread {
    generation: AtomicU64,
    current: ArcSwap<(Arc<str>, Expiry)>,
}

struct Copied {
    generation: u64,
    header: HeaderValue,
    expiry: Expiry,
}

thread_local! {
    static COPY: RefCell<Option<Copied>> = const { RefCell::new(None) };
}

impl PerThread {
    /// The token as a bearer header that is good for an hour.
    pub fn new(token: &str) -> Self {
        // The copies belong to whoever made the last one, so generations are told apart beyond one cache.
        static GENERATIONS: AtomicU64 = AtomicU64::new(1);
        Self {
            generation: AtomicU64::new(GENERATIONS.fetch_add(1, Relaxed)),
            current: ArcSwap::from_pointee((token.into(), Expiry::in_an_hour())),
        }
    }

    /// A clone of this thread's header, unless it has expired.
    #[inline]
    pub fn get(&self) -> Option<HeaderValue> {
        COPY.with_borrow_mut(|copy| {
            let generation = self.generation.load(Acquire);
            let copied = match copy {
                Some(copied) if copied.generation == generation => copied,
                stale => stale.insert(self.copied(generation)),
            };
            (!copied.expiry.passed()).then(|| copied.header.clone())
        })
    }

    #[cold]
    fn copied(&self, generation: u64) -> Copied {
        let current = self.current.load();
        Copied {
            generation,
            header: header_of(&current.0),
            expiry: current.1,
        }
    }
}
