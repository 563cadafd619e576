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
/// ```
/// # #[cfg(feature = "seal")] {
/// use std::collections::HashMap;
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
///
/// use async_trait::async_trait;
/// use auth_core::Clock;
/// use auth_core::store::{
///     Change, Entry, Keys, LeaseAnswer, LeaseAsk, LeaseRecord, PermitAnswer, PermitAsk,
///     PermitRecord, Record, Saved, Seal, Store, StoreError,
/// };
///
/// /// Two tables. In place of a lock, a database has a transaction.
/// #[derive(Clone)]
/// struct Tables {
///     keys: Keys,
///     entries: Arc<Mutex<HashMap<String, (Record, LeaseRecord)>>>,
///     permits: Arc<Mutex<HashMap<String, PermitRecord>>>,
/// }
///
/// impl Tables {
///     fn entry<T>(&self, name: &str, step: impl FnOnce(&mut Record, &mut LeaseRecord) -> T) -> T {
///         let mut entries = self.entries.lock().expect("no panic");
///         // The epoch is random in earnest, and not zero.
///         let new = || (Record::default(), LeaseRecord::new(7));
///         let (record, lease) = entries.entry(name.to_owned()).or_insert_with(new);
///         step(record, lease)
///     }
///
///     fn permits<T>(&self, origin: &str, step: impl FnOnce(&mut PermitRecord) -> T) -> T {
///         let mut permits = self.permits.lock().expect("no panic");
///         step(permits.entry(origin.to_owned()).or_default())
///     }
/// }
///
/// #[async_trait]
/// impl Store for Tables {
///     fn seal(&self) -> &dyn Seal {
///         &self.keys
///     }
///
///     async fn load(&self, name: &str) -> Result<Entry, StoreError> {
///         let now = Clock::system().now(); // better that of the database
///         Ok(self.entry(name, |record, _| record.entry(now)))
///     }
///
///     async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
///         let now = Clock::system().now();
///         Ok(self.entry(name, |record, lease| record.lease(lease, ask, now, now.steady())))
///     }
///
///     async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
///         let now = Clock::system().now();
///         Ok(self.entry(name, |record, lease| record.save(lease, change, now)))
///     }
///
///     async fn permit(
///         &self,
///         origin: &str,
///         ask: PermitAsk<'_>,
///     ) -> Result<PermitAnswer, StoreError> {
///         let now = Clock::system().now().steady();
///         Ok(self.permits(origin, |permits| permits.permit(ask, now)))
///     }
///
///     async fn end_permit(
///         &self,
///         origin: &str,
///         id: &str,
///         counts_for: Duration,
///     ) -> Result<(), StoreError> {
///         let now = Clock::system().now().steady();
///         self.permits(origin, |permits| permits.end(id, counts_for, now));
///         Ok(())
///     }
///
///     async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
///         let now = Clock::system().now().steady();
///         self.permits(origin, |permits| permits.hold(wait, now));
///         Ok(())
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// # use auth_core::{Credentials, Lifetime, testing::Scripted};
/// # let provider = Arc::new(Scripted::tokens(Lifetime::unknown()));
/// let tables = Tables {
///     keys: Keys::random()?, // from a secret manager, in earnest
///     entries: Arc::default(),
///     permits: Arc::default(),
/// };
/// # let logins = provider.logins();
/// let one = Credentials::builder(Arc::clone(&provider)).store(tables.clone()).build();
/// let another = Credentials::builder(provider).store(tables).build();
/// one.get().await?;
/// another.get().await?;
/// assert_eq!(logins.count(), 1, "one login for both");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// All methods return [`StoreError`] if the store can't be reached or used. What is stored and
/// can't be read is no error, but absent, and the entry [says so](Entry::unreadable).
///
/// # Losses
/// A change that was answered is there for all from then on. A store that may lose the last ones,
/// as where a replica takes over, [says of the entry](Entry::may_lack_notes) that this may have
/// happened.
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

    /// A login has ended, so its permit counts for so long from now on, even if it had lapsed or is
    /// not known. With zero, it was not sent and counts no more.
    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError>;

    /// The login server wants no login for so long. A shorter hold does not shorten a longer one.
    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError>;

    /// Returns when the entry has perhaps changed since the call: something was saved, or a lease
    /// was released. By default never: the cache looks every now and then anyway.
    ///
    /// A lease that is taken or asked for is no change. All that wait for one ask for it whenever
    /// this returns, so they would wake each other.
    async fn changed(&self, name: &str) {
        let _ = name;
        pending::<()>().await;
    }
}
