//! A store in the memory of one process.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;

use super::entry::{Change, Entry, Saved};
use super::error::StoreError;
use super::lease::{LeaseAnswer, LeaseAsk};
use super::permit::{PermitAnswer, PermitAsk};
use super::record::{LeaseRecord, PermitRecord, Record};
use super::seal::{Seal, Unreadable};
use super::store::Store;
use crate::clock::{Clock, Moment};
use crate::runtime::Mutex;
use crate::secret::Secret;

/// A store that the caches of one process share: several handles for the same account, and tests.
///
/// A clone is the same store. What it holds is gone with the last one.
///
/// ```
/// use auth_core::{Credentials, Lifetime, store::MemoryStore, testing::Scripted};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let provider = std::sync::Arc::new(Scripted::tokens(Lifetime::unknown()));
/// let first = Credentials::builder(std::sync::Arc::clone(&provider)).store(store.clone()).build();
/// let second = Credentials::builder(provider).store(store).build();
///
/// let token = |credential: &auth_core::Credential| {
///     credential.header(&http::header::AUTHORIZATION).cloned()
/// };
/// assert_eq!(token(&*first.get().await?), token(&*second.get().await?), "one login");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Shared>);

struct Shared {
    seal: InMemory,
    clock: Clock,
    entries: Mutex<HashMap<String, Slot>>,
    permits: Mutex<HashMap<String, PermitRecord>>,
}

struct Slot {
    record: Record,
    lease: LeaseRecord,
    changes: Arc<Notify>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::on(Clock::system())
    }

    /// An empty store on another clock, for tests.
    pub fn on(clock: Clock) -> Self {
        Self(Arc::new(Shared {
            seal: InMemory(RandomState::new()),
            clock,
            entries: Mutex::default(),
            permits: Mutex::default(),
        }))
    }

    fn now(&self) -> (Moment, Duration) {
        let now = self.0.clock.now();
        (now, Duration::from_nanos(now.steady))
    }

    /// Changes an entry. The others are told if it `tells`, and of a rejection in any case.
    fn change<T>(
        &self,
        name: &str,
        tells: bool,
        change: impl FnOnce(&mut Record, &mut LeaseRecord) -> T,
    ) -> T {
        let (result, changes) = self.with_slot(name, |slot| {
            let was_over = slot.record.is_over;
            let result = change(&mut slot.record, &mut slot.lease);
            let tells = tells || slot.record.is_over != was_over;
            (result, tells.then(|| Arc::clone(&slot.changes)))
        });
        if let Some(changes) = changes {
            changes.notify_waiters();
        }
        result
    }

    fn with_slot<T>(&self, name: &str, act: impl FnOnce(&mut Slot) -> T) -> T {
        let mut entries = self.0.entries.lock();
        act(entries.entry(name.to_owned()).or_insert_with(|| Slot {
            record: Record::default(),
            lease: LeaseRecord::new(self.0.seal.0.hash_one(name).max(1)),
            changes: Arc::default(),
        }))
    }

    fn permits<T>(&self, origin: &str, change: impl FnOnce(&mut PermitRecord) -> T) -> T {
        let mut permits = self.0.permits.lock();
        change(permits.entry(origin.to_owned()).or_default())
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn seal(&self) -> &dyn Seal {
        &self.0.seal
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        let entries = self.0.entries.lock();
        let slot = entries.get(name);
        Ok(slot.map_or_else(Entry::default, |slot| slot.record.entry(self.now().0)))
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        let (now, steady) = self.now();
        // Those that wait for the lease would wake each other, again and again.
        Ok(self.change(name, false, |record, lease| {
            record.lease(lease, ask, now, steady)
        }))
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        let (now, _) = self.now();
        Ok(self.change(name, true, |record, lease| record.save(lease, change, now)))
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        let (_, now) = self.now();
        Ok(self.permits(origin, |permits| permits.permit(ask, now)))
    }

    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError> {
        let (_, now) = self.now();
        self.permits(origin, |permits| permits.end(id, counts_for, now));
        Ok(())
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        let (_, now) = self.now();
        self.permits(origin, |permits| permits.hold(wait, now));
        Ok(())
    }

    async fn changed(&self, name: &str) {
        // While the lock is held, so that no change comes in between.
        let changed = self.with_slot(name, |slot| Arc::clone(&slot.changes).notified_owned());
        changed.await;
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// What is in the memory of the process is as readable there as anywhere else in it. The context is
/// kept with the text, so that nothing is taken for another's.
struct InMemory(RandomState);

impl Seal for InMemory {
    fn name(&self, text: &[u8]) -> String {
        format!("{:016x}", self.0.hash_one(text))
    }

    fn seal(&self, text: &str, context: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = Vec::with_capacity(8 + text.len());
        sealed.extend(self.0.hash_one(context).to_be_bytes());
        sealed.extend(text.as_bytes());
        Ok(sealed)
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret, Unreadable> {
        let (tag, text) = sealed.split_first_chunk().ok_or(Unreadable::Damaged)?;
        if *tag != self.0.hash_one(context).to_be_bytes() {
            return Err(Unreadable::Damaged);
        }
        let text = std::str::from_utf8(text).map_err(|_| Unreadable::Damaged)?;
        Ok(text.into())
    }
}
