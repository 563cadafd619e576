//! What each store promises, and what the stores promise beyond.

#[macro_use]
mod conformance;
#[cfg(feature = "file")]
mod file;
mod memory;
#[cfg(feature = "redis")]
mod redis;
