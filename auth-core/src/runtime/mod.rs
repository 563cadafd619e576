//! Tasks, locks, atomics and random numbers: the real ones, or a model that explores interleavings.
//!
//! The code above this module is the same in both. The model has two limits. It assumes sequential
//! consistency, so it can't find an error that only a weaker memory ordering allows. It takes the
//! operations of `governor`, `tokio::sync` and `futures` as one step each. Only the package in
//! `explore` enables it, with the feature `shuttle`.

#[cfg(feature = "shuttle")]
#[path = "../../explore/model.rs"]
mod model;
#[cfg(not(feature = "shuttle"))]
mod real;

#[cfg(feature = "shuttle")]
pub(crate) use model::{
    AtomicBool, AtomicU64, Mutex, MutexGuard, Runtime, RuntimeId, Slot, Task, random,
};
#[cfg(not(feature = "shuttle"))]
pub(crate) use real::{
    AtomicBool, AtomicU64, Mutex, MutexGuard, Runtime, RuntimeId, Slot, Task, random,
};

/// How many tasks of the model have not ended.
#[cfg(feature = "shuttle")]
pub fn tasks() -> usize {
    model::tasks()
}
