//! What the cache shares, spawns and draws by: the real thing, or a model of it that explores interleavings.
//!
//! The code above this file is the same in both. The model (feature `shuttle`, which only the package in `explore` has)
//! assumes sequential consistency, so it can't see what a weaker memory order allows; and it does not look inside `governor`,
//! `tokio::sync` and `futures`, whose operations it takes as one step each.

#[cfg(feature = "shuttle")]
mod model;
#[cfg(not(feature = "shuttle"))]
mod real;

#[cfg(feature = "shuttle")]
pub(crate) use model::{AtomicBool, AtomicU64, Mutex, Runtime, RuntimeId, Slot, Task, random};
#[cfg(not(feature = "shuttle"))]
pub(crate) use real::{AtomicBool, AtomicU64, Mutex, Runtime, RuntimeId, Slot, Task, random};

/// How many tasks the model has not seen the end of.
#[cfg(feature = "shuttle")]
pub fn tasks() -> usize {
    model::tasks()
}
