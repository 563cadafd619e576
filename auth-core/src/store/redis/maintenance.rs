//! What an operator does with a store: look at it, and drop what it holds.

use std::collections::BTreeSet;

use redis::RedisResult;

use super::store::RedisStore;
use crate::store::error::StoreError;

/// So many keys Redis looks through in one step, in which it does nothing else.
const STEP: usize = 1000;

impl RedisStore {
    /// The names of the entries, in order. Those whose session has ended are among them, as long as
    /// their leases are kept: for 90 days after their last use.
    ///
    /// It looks through all keys of the database in many small steps.
    ///
    /// # Errors
    /// [`StoreError`] if Redis can't be reached, or does not finish a step in time.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub async fn list(&self) -> Result<Vec<String>, StoreError> {
        let mut names = BTreeSet::new();
        let mut cursor = 0;
        loop {
            let keys: Vec<String>;
            (cursor, keys) = self.scan(cursor).await?;
            names.extend(
                keys.iter()
                    .filter_map(|key| self.names().name(key))
                    .map(str::to_owned),
            );
            if cursor == 0 {
                return Ok(names.into_iter().collect());
            }
        }
    }

    /// Drops the entry of a name, with its session, its notes and its lease. Returns whether there
    /// was one. A process that has the session goes on with it, and may save it again.
    ///
    /// # Errors
    /// [`StoreError`] if Redis can't be reached.
    ///
    /// # Cancel safety
    /// The entry is dropped as a whole or not at all.
    pub async fn purge(&self, name: &str) -> Result<bool, StoreError> {
        let keys = self.names().entry(name);
        let dropped: Result<u64, _> = self
            .links()
            .run(|mut connection, _| {
                let mut drop_all = redis::cmd("DEL");
                drop_all.arg(&keys[..]);
                async move { drop_all.query_async(&mut connection).await }
            })
            .await;
        dropped.map(|dropped| dropped > 0)
    }

    /// Drops all entries of the prefix, and returns how many there were. The permits stay: the
    /// login servers count on.
    ///
    /// # Errors
    /// [`StoreError`] if Redis can't be reached. Some entries may be dropped then.
    ///
    /// # Cancel safety
    /// If it is dropped, some entries may be dropped and others not.
    pub async fn purge_all(&self) -> Result<usize, StoreError> {
        let names = self.list().await?;
        for name in &names {
            self.purge(name).await?;
        }
        Ok(names.len())
    }

    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<String>), StoreError> {
        let pattern = self.names().entries();
        self.links()
            .run(|mut connection, _| {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor)
                    .arg("MATCH")
                    .arg(&pattern)
                    .arg("COUNT")
                    .arg(STEP);
                async move {
                    let found: RedisResult<_> = scan.query_async(&mut connection).await;
                    found
                }
            })
            .await
    }
}
