//! Time on two clocks, read cheaply.
//!
//! A session's end is decided twice: on the wall clock, which a person or an NTP daemon can set, and on a *steady* clock,
//! which nobody can set and which goes on counting while the machine sleeps. Whichever says "over" first is believed, so
//! neither a laptop that slept all night nor a clock set back by an hour makes a dead session look fresh.
//!
//! On Linux both are coarse clocks (a tick of 1 to 10 ms, about 5 ns a reading); the steady one is `CLOCK_MONOTONIC_COARSE`
//! plus the time spent in suspend, which is read again from `CLOCK_BOOTTIME` whenever the monotonic clock has moved by
//! 100 ms. Elsewhere the platform's monotonic clock serves, and where that one stands still during suspend the wall clock
//! is what notices.

#[cfg(feature = "test-util")]
mod manual;
mod moment;
mod source;
mod system;

#[cfg(feature = "test-util")]
pub use manual::{ManualClock, ShiftedClock};
pub use moment::Moment;
pub(crate) use moment::{Deadline, nanos};
pub use source::Clock;
