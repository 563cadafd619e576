//! The stores, each against what a store promises.

#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "a test that can't go on fails"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the callers of a test are tasks that end with its runtime"
)]

#[cfg(feature = "redis")]
mod redis;
