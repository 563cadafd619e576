//! What each store promises, and what the stores promise beyond.

#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "a test that can't go on fails"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "a store keeps the time of the machine"
)]

#[macro_use]
mod conformance;
#[cfg(feature = "file")]
mod file;
mod memory;
#[cfg(any(feature = "file", feature = "redis"))]
mod programs;
#[cfg(feature = "redis")]
mod redis;
