//! The fast path as it is written by hand: the reference that ours is measured against.

use arc_swap::ArcSwap;
use http::HeaderValue;
use rustix::time::{ClockId, clock_gettime};

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// The clock that also counts while the machine is suspended, at full precision.
#[inline]
pub fn boot_clock() -> u64 {
    nanos(ClockId::Boottime)
}

/// The monotonic clock and the wall clock, each as of the kernel's last tick.
#[inline]
pub fn coarse_clocks() -> (u64, u64) {
    (
        nanos(ClockId::MonotonicCoarse),
        nanos(ClockId::RealtimeCoarse),
    )
}

/// A bearer header whose reference count is already allocated: the first clone of a value allocates
/// it.
///
/// # Panics
/// The token isn't a valid header value.
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

/// One header that all threads share, and no clock: the cost of the clone alone.
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

/// The reference by hand: an `ArcSwap` that holds one header and two deadlines, read with the same
/// two coarse clocks that auth-core reads.
#[derive(Debug)]
pub struct ByHand(ArcSwap<Held>);

#[derive(Debug)]
struct Held {
    header: HeaderValue,
    expiry: Expiry,
}

impl ByHand {
    /// The token as a bearer header that expires in an hour.
    pub fn new(token: &str) -> Self {
        Self(ArcSwap::from_pointee(Held {
            header: header_of(token),
            expiry: Expiry::in_an_hour(),
        }))
    }

    /// A clone of the header, unless it has expired.
    #[inline]
    pub fn get(&self) -> Option<HeaderValue> {
        let held = self.0.load();
        (!held.expiry.passed()).then(|| held.header.clone())
    }

    /// Whether the header has not expired: the load and the clocks without the clone.
    #[inline]
    pub fn is_fresh(&self) -> bool {
        !self.0.load().expiry.passed()
    }
}
