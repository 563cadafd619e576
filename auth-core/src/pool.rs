//! Many identities: one cache each, in bounded number.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use parking_lot::RwLock;
use thiserror::Error;

use crate::cache::{Credentials, CredentialsBuilder, Failure};
use crate::provider::{Identity, Provider};

/// Many identities, each with a cache of its own.
///
/// An identity is added with the provider that logs it in, and found again by its name: provider, origin and account. The
/// secret comes from that provider's source and never with a look-up, so nobody gets another's session by naming it, and
/// adding an identity again from a different source is an error.
///
/// The pool holds a bounded number. Beyond that it forgets identities that nobody uses: no handle is left outside the
/// pool, and no login is under way. What a failed login forbids is remembered all the same, so that being forgotten is no
/// way to try a refused password again.
///
/// A clone costs one reference count; all clones are one pool.
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
    shared: Arc<Shared>,
}

type Configure = dyn Fn(CredentialsBuilder) -> CredentialsBuilder + Send + Sync;

struct Shared {
    capacity: usize,
    configure: Box<Configure>,
    table: RwLock<Table>,
}

#[derive(Default)]
struct Table {
    entries: HashMap<Identity, Entry>,
    /// Who is next to be looked at when there is no room: those found since the last look get another round.
    round: VecDeque<Identity>,
    /// What failed logins of forgotten identities still forbid.
    failures: HashMap<Identity, Failure>,
}

struct Entry {
    credentials: Credentials,
    found: AtomicBool,
}

impl Pool {
    /// A pool of at most `capacity` identities, whose caches have every option at its default.
    pub fn new(capacity: NonZeroUsize) -> Self {
        Self::with(capacity, |builder| builder)
    }

    /// A pool of at most `capacity` identities, whose caches are built with the options that `configure` sets.
    pub fn with(
        capacity: NonZeroUsize,
        configure: impl Fn(CredentialsBuilder) -> CredentialsBuilder + Send + Sync + 'static,
    ) -> Self {
        let shared = Shared {
            capacity: capacity.get(),
            configure: Box::new(configure),
            table: RwLock::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The cache of the provider's identity: the one that is there, or a new one.
    ///
    /// # Errors
    /// [`PoolError::DifferentSource`] if the identity is there with another source of its secret; [`PoolError::Full`] if it is
    /// not there and every other one is in use.
    pub fn add(&self, provider: impl Provider) -> Result<Credentials, PoolError> {
        let capacity = self.shared.capacity;
        let mut table = self.shared.table.write();
        if let Some(entry) = table.entries.get(provider.identity()) {
            if !entry
                .credentials
                .provider()
                .secret()
                .is_same(provider.secret())
            {
                return Err(PoolError::DifferentSource);
            }
            return Ok(entry.find());
        }
        if table.entries.len() == capacity && !table.make_room(capacity) {
            return Err(PoolError::Full { capacity });
        }
        let identity = provider.identity().clone();
        let credentials = (self.shared.configure)(Credentials::builder(provider)).build();
        if let Some(failure) = table.failures.remove(&identity) {
            credentials.remember(failure);
        }
        let entry = Entry {
            credentials: credentials.clone(),
            found: AtomicBool::new(false),
        };
        table.round.push_back(identity.clone());
        table.entries.insert(identity, entry);
        drop(table);
        Ok(credentials)
    }

    /// The cache of an identity, if it was added and not forgotten.
    pub fn find(&self, identity: &Identity) -> Option<Credentials> {
        Some(self.shared.table.read().entries.get(identity)?.find())
    }

    /// Takes an identity out, to add it again with another source, or to close it. Handles that are left go on working.
    pub fn remove(&self, identity: &Identity) -> Option<Credentials> {
        let mut table = self.shared.table.write();
        let entry = table.entries.remove(identity)?;
        table.round.retain(|other| other != identity);
        drop(table);
        Some(entry.credentials)
    }

    /// How many identities there are.
    pub fn len(&self) -> usize {
        self.shared.table.read().entries.len()
    }

    /// Whether there are none.
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

impl Entry {
    fn find(&self) -> Credentials {
        self.found.store(true, Relaxed);
        self.credentials.clone()
    }
}

impl Table {
    /// Forgets one identity that nobody uses, if there is one.
    fn make_room(&mut self, most_failures: usize) -> bool {
        // Two rounds: in the first, whoever was found since the last look is passed over.
        for _ in 0..2 * self.round.len() {
            let Some(identity) = self.round.pop_front() else {
                return false;
            };
            let Some(entry) = self.entries.get(&identity) else {
                continue;
            };
            if !entry.found.swap(false, Relaxed) && entry.credentials.is_unused() {
                let failure = entry.credentials.failure_in_force();
                if failure.is_none() || self.has_room_for_a_failure(most_failures) {
                    self.entries.remove(&identity);
                    if let Some(failure) = failure {
                        self.failures.insert(identity, failure);
                    }
                    return true;
                }
            }
            self.round.push_back(identity);
        }
        false
    }

    fn has_room_for_a_failure(&mut self, most: usize) -> bool {
        if self.failures.len() >= most {
            let Some(now) = self
                .entries
                .values()
                .next()
                .map(|entry| entry.credentials.now())
            else {
                return true;
            };
            self.failures.retain(|_, failure| failure.forbids(now));
        }
        self.failures.len() < most
    }
}

/// Why an identity could not be added.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The identity is there, and its secret comes from another source.
    #[error("this identity is in the pool with another source of its secret; remove it first")]
    DifferentSource,
    /// Every identity of the pool is in use.
    #[error(
        "all {capacity} identities of the pool are in use; drop handles or make the pool larger"
    )]
    Full {
        /// How many the pool holds.
        capacity: usize,
    },
}
