//! Many identities, with one cache each, in bounded number.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::RwLock;
use thiserror::Error;

use crate::cache::{Credentials, CredentialsBuilder};
use crate::clock::Moment;
use crate::decide::Failure;
use crate::identity::Identity;
use crate::provider::Provider;
use crate::secret::Secret;

/// Many identities, each with a cache of its own.
///
/// An identity is added with the provider that logs it in, and found by its name: provider, origin
/// and account. The secret comes from that provider's source, and a look-up never brings one along.
/// So no caller gets the session of another identity by naming it, and to add an identity again
/// with a different source is an error.
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

#[derive(Default)]
struct Table {
    entries: HashMap<Identity, Credentials>,
    /// The order in which identities are considered when there is no room. An identity that was
    /// found since it was last considered goes to the end once more.
    round: VecDeque<Identity>,
    /// What the failed logins of forgotten identities still forbid.
    failures: HashMap<Identity, Failure>,
}

impl Pool {
    /// A pool of at most `capacity` identities, whose caches have every option at its default.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self::with(capacity, |builder| builder)
    }

    /// A pool of at most `capacity` identities, whose caches are built with the options that
    /// `configure` sets.
    pub fn with(
        capacity: NonZeroUsize,
        configure: impl Fn(CredentialsBuilder) -> CredentialsBuilder + Send + Sync + 'static,
    ) -> Self {
        let shared = PoolShared {
            capacity: capacity.get(),
            configure: Box::new(configure),
            table: RwLock::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The cache of the provider's identity: the one in the pool, or a new one.
    ///
    /// An identity that was [closed](Credentials::close) is not in the pool any more.
    ///
    /// # Errors
    /// - [`PoolError::DifferentSource`] if the identity is in the pool with another source of its
    ///   secret.
    /// - [`PoolError::Full`] if it is not in the pool and none can be forgotten: each one is in
    ///   use, or there is no room to remember what its failed login forbids.
    pub fn add(&self, provider: impl Provider) -> Result<Credentials, PoolError> {
        if let Some(found) = self.found(&provider) {
            return found;
        }
        // The provider and the user's options are foreign code, and are called with no lock held.
        let identity = provider.identity().clone();
        let fixed = provider.secret().fixed().map(Secret::fingerprint);
        let credentials = (self.shared.configure)(Credentials::builder(provider)).build();
        let capacity = self.shared.capacity;
        let mut table = self.shared.table.write();
        if table
            .entries
            .get(&identity)
            .is_some_and(|there| !there.is_closed())
        {
            drop(table);
            // Another thread has added it in the meantime.
            return self
                .found(credentials.provider())
                .unwrap_or(Ok(credentials));
        }
        let closed = table.remove(&identity);
        let forgotten = if table.entries.len() == capacity {
            let Some(forgotten) = table.make_room(capacity) else {
                return Err(PoolError::Full { capacity });
            };
            Some(forgotten)
        } else {
            None
        };
        if let Some(failure) = table.failures.remove(&identity)
            // A password other than the refused one has not failed yet.
            && fixed.is_none_or(|fixed| failure.refused_secret().is_none_or(|refused| refused == fixed))
        {
            credentials.remember(failure);
        }
        table.round.push_back(identity.clone());
        table.entries.insert(identity, credentials.clone());
        drop(table);
        drop((closed, forgotten));
        Ok(credentials)
    }

    fn found(&self, provider: &dyn Provider) -> Option<Result<Credentials, PoolError>> {
        let credentials = self.find(provider.identity())?;
        let same = credentials.provider().secret().is_same(provider.secret());
        Some(if same {
            Ok(credentials)
        } else {
            Err(PoolError::DifferentSource)
        })
    }

    /// The cache of an identity, if it is in the pool.
    pub fn find(&self, identity: &Identity) -> Option<Credentials> {
        self.shared.table.read().entries.get(identity)?.referenced()
    }

    /// Removes an identity, to add it again with another source, or to close it. Its other handles
    /// keep working. What a failed login forbids is still remembered, for at most as many
    /// identities as the pool holds.
    pub fn remove(&self, identity: &Identity) -> Option<Credentials> {
        let capacity = self.shared.capacity;
        let mut table = self.shared.table.write();
        let credentials = table.remove(identity)?;
        if let Some(failure) = credentials.failure_in_force()
            && table.has_room_for_a_failure(capacity, credentials.shared().engine.clock.now())
        {
            table.failures.insert(identity.clone(), failure);
        }
        drop(table);
        Some(credentials)
    }

    /// The identities in the pool, in no particular order.
    pub fn identities(&self) -> Vec<Identity> {
        self.shared.table.read().entries.keys().cloned().collect()
    }

    /// The number of identities.
    pub fn len(&self) -> usize {
        self.shared.table.read().entries.len()
    }

    /// Whether there are no identities.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("capacity", &self.shared.capacity)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Table {
    fn remove(&mut self, identity: &Identity) -> Option<Credentials> {
        let credentials = self.entries.remove(identity)?;
        self.round.retain(|other| other != identity);
        Some(credentials)
    }

    /// Forgets one identity that is not in use, if there is one. The caller drops the returned
    /// handle after it has released the lock.
    fn make_room(&mut self, most_failures: usize) -> Option<Credentials> {
        // Two rounds. In the first one, an identity that was found since it was last considered is
        // skipped.
        for _ in 0..2 * self.round.len() {
            let identity = self.round.pop_front()?;
            let Some(credentials) = self.entries.get(&identity) else {
                continue;
            };
            if !credentials.take_referenced() && credentials.is_unused() {
                let failure = credentials.failure_in_force();
                let now = credentials.shared().engine.clock.now();
                if failure.is_none() || self.has_room_for_a_failure(most_failures, now) {
                    let forgotten = self.entries.remove(&identity);
                    if let Some(failure) = failure {
                        self.failures.insert(identity, failure);
                    }
                    return forgotten;
                }
            }
            self.round.push_back(identity);
        }
        None
    }

    fn has_room_for_a_failure(&mut self, most: usize, now: Moment) -> bool {
        if self.failures.len() >= most {
            self.failures.retain(|_, failure| failure.forbids(now));
        }
        self.failures.len() < most
    }
}

/// Why an identity could not be added.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The identity is in the pool, and its secret comes from another source.
    #[error("this identity is in the pool with another source of its secret; remove it first")]
    DifferentSource,
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
