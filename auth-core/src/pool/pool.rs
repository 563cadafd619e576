//! The public interface of a pool.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::{RwLock, RwLockWriteGuard};
use thiserror::Error;

use super::table::{Addition, Removal, Table};
use crate::cache::{Credentials, CredentialsBuilder};
use crate::identity::Identity;
use crate::provider::Provider;
use crate::secret::Secret;

/// Many identities, each with a cache of its own.
///
/// An identity is added with the provider that logs it in, and found by its name: provider, URL of
/// the login, and account. The secret comes from that provider's source, and a look-up never brings
/// one along. So no caller gets the session of another identity by naming it, and to add an
/// identity again with a different source is an error.
///
/// To add it again with other options is an error, too: with another scope or quota, or with other
/// [options](Provider::options) of its provider. Judges, closures and the client that carries the
/// logins can't be compared; those of the first provider remain.
///
/// The pool holds a bounded number of identities. Beyond that it forgets identities that are not in
/// use: no handle is left outside the pool, and no login is under way. What a failed login forbids
/// is still remembered, so that a refused password is not tried again because its identity was
/// forgotten. What rejections have taught is forgotten.
///
/// A clone costs one reference count, and all clones are one pool.
///
/// ```
/// use std::num::NonZeroUsize;
/// use auth_core::{Lifetime, Pool, Provider};
/// use auth_core::testing::Scripted;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::new(NonZeroUsize::new(1_000).expect("not zero"));
/// let provider = Scripted::tokens(Lifetime::unknown());
/// let identity = Provider::identity(&provider).clone();
///
/// let credentials = pool.add(provider)?;
/// credentials.get().await?;
/// let found = pool.find(&identity).expect("it was added");
/// assert!(found.fresh().is_some(), "the same session");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Pool {
    shared: Arc<PoolShared>,
}

type Configure = dyn Fn(CredentialsBuilder) -> CredentialsBuilder + Send + Sync;

struct PoolShared {
    capacity: usize,
    configure: Box<Configure>,
    table: RwLock<Table>,
}

impl Pool {
    /// A pool of at most `capacity` identities, whose caches have every option at its default.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self::with(capacity, |builder| builder)
    }

    /// A pool of at most `capacity` identities, whose caches are built with the options that
    /// `configure` sets.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use auth_core::{Event, Identity, Pool};
    ///
    /// // Each of them fails fast and is observed.
    /// let pool = Pool::with(NonZeroUsize::new(1_000).expect("not zero"), |builder| {
    ///     builder.fail_fast().observer(|identity: &Identity, event: &Event| {
    ///         eprintln!("{}: {event:?}", identity.origin());
    ///     })
    /// });
    /// assert!(pool.is_empty());
    /// ```
    pub fn with(
        capacity: NonZeroUsize,
        configure: impl Fn(CredentialsBuilder) -> CredentialsBuilder + Send + Sync + 'static,
    ) -> Self {
        let shared = PoolShared {
            capacity: capacity.get(),
            configure: Box::new(configure),
            table: RwLock::new(Table::new(capacity.get())),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The cache of the provider's identity: the one in the pool, or a new one.
    ///
    /// An identity that was [closed](Credentials::close) is not in the pool any more. What its
    /// failed login forbids holds on, though that was under way by then and fails later.
    ///
    /// # Errors
    /// - [`PoolError::DifferentSource`] if the identity is in the pool with another source of its
    ///   secret.
    /// - [`PoolError::DifferentOptions`] if it is there with the same source and other options.
    /// - [`PoolError::Full`] if it is not in the pool and none can be forgotten: each one was in
    ///   use when it was looked at, or there is no room to remember what its failed login forbids.
    ///
    /// A full pool is searched in slices, and no look-up waits for more than one of them.
    pub fn add(&self, provider: impl Provider) -> Result<Credentials, PoolError> {
        if let Some(found) = self.found(&provider) {
            return found;
        }
        // The provider and the user's options are foreign code, and are called with no lock held.
        let identity = provider.identity().clone();
        let fixed = provider.secret().fixed().map(Secret::fingerprint);
        let credentials = (self.shared.configure)(Credentials::builder(provider)).build();
        let mut search = None;
        loop {
            let mut table = self.shared.table.write();
            let addition = table.add(&identity, &credentials, fixed, &mut search);
            // To a look-up that waits, before this thread can take the lock again.
            RwLockWriteGuard::unlock_fair(table);
            match addition {
                Addition::Added { .. } => return Ok(credentials),
                Addition::Known => {
                    // Another thread has added it in the meantime. If it is gone by now, try again.
                    if let Some(found) = self.found(credentials.provider()) {
                        return found;
                    }
                }
                Addition::Searching => {}
                Addition::Full => {
                    return Err(PoolError::Full {
                        capacity: self.shared.capacity,
                    });
                }
            }
        }
    }

    fn found(&self, provider: &dyn Provider) -> Option<Result<Credentials, PoolError>> {
        let credentials = self.find(provider.identity())?;
        let there = credentials.provider();
        Some(if !there.secret().is_same(provider.secret()) {
            Err(PoolError::DifferentSource)
        } else if !has_same_options(there, provider) {
            Err(PoolError::DifferentOptions)
        } else {
            Ok(credentials)
        })
    }

    /// The cache of an identity, if it is in the pool.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use auth_core::{Identity, Origin, Pool};
    ///
    /// let pool = Pool::new(NonZeroUsize::new(1_000).expect("not zero"));
    /// let origin = Origin::parse("https://api.example.com")?;
    /// let ada = Identity::new("example", origin, "ada@example.com");
    /// assert!(pool.find(&ada).is_none(), "it was not added");
    /// # Ok::<(), auth_core::OriginError>(())
    /// ```
    pub fn find(&self, identity: &Identity) -> Option<Credentials> {
        self.shared.table.read().find(identity)
    }

    /// Removes an identity, to add it again with another source or other options, or to close it.
    /// Its other handles keep working. What a failed login forbids is still remembered, for at most
    /// as many identities as the pool holds, and so is what those handles find out later, for half
    /// as many.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use auth_core::{Lifetime, Pool, Provider, testing::Scripted};
    ///
    /// let pool = Pool::new(NonZeroUsize::new(1_000).expect("not zero"));
    /// let account = |password: &str| Scripted::tokens(Lifetime::unknown()).with_secret(password);
    /// let identity = pool.add(account("correct horse"))?.identity().clone();
    /// assert!(pool.add(account("battery staple")).is_err(), "another source");
    ///
    /// pool.remove(&identity);
    /// assert!(pool.add(account("battery staple")).is_ok());
    /// # Ok::<(), auth_core::PoolError>(())
    /// ```
    pub fn remove(&self, identity: &Identity) -> Option<Credentials> {
        let mut swept = 0;
        loop {
            let mut table = self.shared.table.write();
            let removal = table.remove(identity, &mut swept);
            RwLockWriteGuard::unlock_fair(table);
            match removal {
                Removal::Removed(credentials) => return Some(credentials),
                Removal::Unknown => return None,
                Removal::Sweeping => {}
            }
        }
    }

    /// The identities in the pool, in no particular order. Those that are added or removed while
    /// the call runs may be among them or not.
    pub fn identities(&self) -> Vec<Identity> {
        // The lock is released after each bucket.
        let bucket = |index| self.shared.table.read().bucket(index);
        (0..).map_while(bucket).flatten().collect()
    }

    /// The number of identities.
    pub fn len(&self) -> usize {
        self.shared.table.read().len()
    }

    /// Whether there are no identities.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn has_same_options(one: &dyn Provider, other: &dyn Provider) -> bool {
    one.scope() == other.scope()
        && one.login_origin().counted() == other.login_origin().counted()
        && one.quota() == other.quota()
        && one.options() == other.options()
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("capacity", &self.shared.capacity)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

/// Why an identity could not be added.
///
/// ```
/// use std::num::NonZeroUsize;
/// use auth_core::{Lifetime, Pool, PoolError, testing::Scripted};
///
/// let pool = Pool::new(NonZeroUsize::new(10).expect("not zero"));
/// let account = |password: &str| Scripted::tokens(Lifetime::unknown()).with_secret(password);
/// let credentials = pool.add(account("correct horse"))?;
/// let other = pool.add(account("a guess"));
/// assert_eq!(other.err(), Some(PoolError::DifferentSource));
/// # drop(credentials);
/// # Ok::<(), PoolError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The identity is in the pool, and its secret comes from another source.
    #[error("this identity is in the pool with another source of its secret; remove it first")]
    DifferentSource,
    /// The identity is in the pool, and its provider has other options.
    #[error(
        "this identity is in the pool with other options, such as its scope, quota or lifetime; \
         add it with the same ones, or remove it first"
    )]
    DifferentOptions,
    /// Every identity of the pool is in use, or its login has failed too recently for it to be
    /// forgotten.
    #[error(
        "none of the pool's {capacity} identities can be forgotten: drop handles, or make the pool larger"
    )]
    Full {
        /// How many identities the pool holds.
        capacity: usize,
    },
}
