//! Many identities, with one cache each, in bounded number.
//!
//! - [`pool`]: the public interface. It takes the lock, and leaves it to readers between slices
//! - [`table`]: what is behind the lock, and the search for an identity to forget
//! - [`buckets`]: a hash map that never takes long
//! - [`memory`]: what is known of an identity's failed logins beyond one handle

mod buckets;
mod memory;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod pool;
mod table;

pub(crate) use memory::{Link, Memory};
pub use pool::{Pool, PoolError};
