//! The time on two clocks, read cheaply.
//!
//! The end of a session is decided on two clocks. The *wall clock* can be set, by a user or by NTP.
//! The *steady clock* can't be set, and it counts on while the machine sleeps. The session ends as
//! soon as one of them says so. So a dead session does not look fresh after the machine has slept
//! or after the wall clock was set back.
//!
//! On Linux both are coarse clocks, with a tick of 1 to 10 ms and about 5 ns for a reading. The
//! steady clock is `CLOCK_MONOTONIC_COARSE` plus the time spent in suspend, which is read from
//! `CLOCK_BOOTTIME` again each time the monotonic clock has moved by 100 ms. On other platforms the
//! steady clock is [`Instant`](std::time::Instant). If that stands still during suspend, only the
//! wall clock notices the time that has passed.

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
#[cfg(feature = "file")]
pub(crate) use system::shared_now;
