//! The store, as a cache sees it.

use std::future::pending;
use std::time::Duration;

use async_trait::async_trait;

use super::entry::{Change, Entry, Saved};
use super::error::StoreError;
use super::lease::{LeaseAnswer, LeaseAsk};
use super::permit::{PermitAnswer, PermitAsk};
use super::seal::Seal;

/// Where sessions, failures and permits are shared.
///
/// A store holds an entry for each identity, under a `name`, and permits for each origin, under the
/// name of the origin. Names are short texts of letters, digits and `-`; what the entries hold is
/// sealed. Each method is one atomic step for all that share the store. [`Record`](super::Record)
/// and [`PermitRecord`](super::PermitRecord) are these steps without I/O, for a store that reads
/// and writes under a lock or in a transaction.
///
/// The cache calls a method with a time-out of two seconds, and goes on without the store if it
/// fails: it does not have to retry.
///
/// # Errors
/// All methods return [`StoreError`] if the store can't be reached or used. What is stored and
/// can't be read is no error, but absent.
///
/// # Cancel safety
/// A future that is dropped may have done its step or not.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// What names and seals the entries.
    fn seal(&self) -> &dyn Seal;

    /// The entry of a name. Without one, [`Entry::default`].
    async fn load(&self, name: &str) -> Result<Entry, StoreError>;

    /// Looks, takes the lease if it is free and needed, and looks again, in one step: see
    /// [`LeaseAsk`]. A lease lapses by itself.
    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError>;

    /// Changes an entry if the [rule](Change::allowed) allows it, and releases the lease in any
    /// case, if the change says so and its owner still has it.
    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError>;

    /// Gives a permit for a login at an origin, if fewer of them count than the quota allows and no
    /// hold lasts.
    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError>;

    /// A login has ended, so its permit counts for so long from now on. With zero, it was not sent
    /// and counts no more.
    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError>;

    /// The login server wants no login for so long. A shorter hold does not shorten a longer one.
    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError>;

    /// Returns when the entry has perhaps changed since the call. By default never: the cache looks
    /// every now and then anyway.
    async fn changed(&self, name: &str) {
        let _ = name;
        pending::<()>().await;
    }
}
