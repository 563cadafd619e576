//! Where sessions, failures and permits are shared: between the starts of a program, the processes
//! of a machine, and the machines of a fleet.
//!
//! A cache that was built with a [`Store`](crate::CredentialsBuilder::store) looks there before it
//! logs in, and leaves there what it got. [Rules 20 and on](crate::contract#rule-20) say what that
//! promises: one login at a time where the store can be reached, never a stale session over a newer
//! one, the quota for all processes together, and one attempt with a wrong password for all of
//! them. They do not promise one login in all: the login server can't check a lease, so a process
//! that was stopped for longer than its lease may log in beside another. What bounds logins is the
//! quota.
//!
//! | store | shares between | feature |
//! |---|---|---|
//! | [`MemoryStore`] | caches of one process | none |
#![cfg_attr(
    feature = "file",
    doc = "| [`FileStore`] | the starts of a program, the processes of a machine | `file` |"
)]
#![cfg_attr(
    feature = "redis",
    doc = "| [`RedisStore`] | the machines of a fleet | `redis` |"
)]
//!
#![cfg_attr(
    feature = "seal",
    doc = "\nWhat is stored is sealed, and named, by [`Keys`]: see there for how they are changed.\n"
)]
//! Another store, such as a table of a database, is an implementation of [`Store`]. It holds sealed
//! bytes under hashed names, and needs no cryptography of its own.

mod entry;
mod error;
#[cfg(feature = "file")]
mod file;
mod following;
#[cfg(feature = "seal")]
mod key_error;
#[cfg(feature = "seal")]
mod keys;
mod lease;
mod leased;
mod looks;
mod memory;
mod permit;
#[cfg(feature = "seal")]
mod private_file;
mod record;
#[cfg(feature = "redis")]
mod redis;
mod revisions;
mod seal;
mod settling;
mod sharing;
mod steps;
#[allow(
    clippy::module_inception,
    reason = "the noun of this file is the trait"
)]
mod store;
#[cfg(any(feature = "file", feature = "redis"))]
mod summary;

pub use entry::{Change, Entry, NotesChange, Saved, SessionChange, Stored, Version};
pub use error::StoreError;
#[cfg(feature = "file")]
pub use file::{FileStore, FolderError};
#[cfg(feature = "seal")]
pub use key_error::KeyError;
#[cfg(feature = "seal")]
pub use keys::Keys;
pub use lease::{Lease, LeaseAnswer, LeaseAsk};
pub use memory::MemoryStore;
pub use permit::{PermitAnswer, PermitAsk};
pub use record::{Kept, LeaseRecord, PermitRecord, Record};
#[cfg(feature = "redis")]
pub use redis::RedisStore;
pub use seal::{Seal, Unreadable};
pub use store::Store;
#[cfg(any(feature = "file", feature = "redis"))]
pub use summary::StoredSummary;

pub(crate) use leased::{Leased, LoggedIn};
pub(crate) use revisions::Unsaved;
pub(crate) use settling::Settling;
pub(crate) use sharing::{Found, Sharing, random_text, sleeps_until};
pub(crate) use steps::{SETTLED_WITHIN, STEP, Sharer, TROUBLE};
