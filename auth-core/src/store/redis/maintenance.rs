//! What an operator does with a store: look at what it holds, and drop it.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use redis::RedisResult;

use super::scripts;
use super::store::{RedisStore, epoch};
use crate::store::entry::{Entry, Version};
use crate::store::error::StoreError;
use crate::store::store::Store as _;
use crate::store::summary::StoredSummary;

/// So many keys Redis looks through in one step, in which it does nothing else.
const STEP: usize = 1000;

/// So many entries are asked for at a time.
const BATCH: usize = 100;

impl RedisStore {
    /// What is stored under the prefix, in the order of the names.
    ///
    /// It looks through all keys of the database, in steps that are short for the others.
    ///
    /// # Errors
    /// [`StoreError`] if Redis can't be reached, or does not finish a step in time.
    ///
    /// # Cancel safety
    /// It changes nothing.
    pub async fn list(&self) -> Result<Vec<StoredSummary>, StoreError> {
        let names = self.entries().await?;
        let mut summaries = Vec::with_capacity(names.len());
        for batch in names.chunks(BATCH) {
            let entries = try_join_all(batch.iter().map(|name| self.load(name))).await?;
            let found = batch.iter().zip(entries);
            summaries.extend(found.filter_map(|(name, entry)| self.summary(name, entry)));
        }
        Ok(summaries)
    }

    /// Removes what is stored under this name, and says whether anything was.
    ///
    /// It logs nothing out. A process that has the session in its memory goes on with it, and saves
    /// it again when it has changed. The lease remains, with its number. The marks of spent tokens
    /// are gone, so a token of before that can be used once is not sent any more.
    ///
    /// # Errors
    /// [`StoreError`] if Redis can't be reached.
    ///
    /// # Cancel safety
    /// What is stored is removed as a whole or not at all.
    pub async fn purge(&self, name: &str) -> Result<bool, StoreError> {
        let epoch = epoch()?;
        self.call(|_| scripts::purge(self.names(), name, epoch))
            .await
    }

    /// [Removes](Self::purge) all that is stored under the prefix, and returns how many entries
    /// there were. The permits stay, because the login servers count on.
    ///
    /// # Errors
    /// As [`list`](Self::list). Some entries may be removed then.
    ///
    /// # Cancel safety
    /// Some entries may be removed, and others not.
    pub async fn purge_all(&self) -> Result<usize, StoreError> {
        self.purge_if(|_| true).await
    }

    /// [Removes](Self::purge) the entries to which nothing was saved for so long, and returns how
    /// many there were. An entry without a session and without notes has nothing to keep, so it is
    /// removed as well; but if its session was logged out, it stays for those who still have that,
    /// and [`purge`](Self::purge) removes it.
    ///
    /// Redis removes by itself what need not be kept.
    ///
    /// # Errors
    /// As [`purge_all`](Self::purge_all).
    ///
    /// # Cancel safety
    /// As [`purge_all`](Self::purge_all).
    pub async fn purge_older(&self, than: Duration) -> Result<usize, StoreError> {
        self.purge_if(|stored| stored.is_older(than)).await
    }

    async fn purge_if(
        &self,
        goes: impl Fn(&StoredSummary) -> bool + Send,
    ) -> Result<usize, StoreError> {
        let mut stored = self.list().await?;
        stored.retain(goes);
        let mut purged = 0;
        for batch in stored.chunks(BATCH) {
            let removals = batch.iter().map(|stored| self.purge(&stored.name));
            let removed = try_join_all(removals).await?;
            purged += removed.into_iter().filter(|was_there| *was_there).count();
        }
        Ok(purged)
    }

    /// The names that have a lease, in order.
    async fn entries(&self) -> Result<Vec<String>, StoreError> {
        let mut names = BTreeSet::new();
        let mut cursor = 0;
        loop {
            // A key of another program need be no text.
            let keys: Vec<Vec<u8>>;
            (cursor, keys) = self.scan(cursor).await?;
            let texts = keys.iter().filter_map(|key| std::str::from_utf8(key).ok());
            let found = texts.filter_map(|key| self.names().name(key));
            names.extend(found.map(str::to_owned));
            if cursor == 0 {
                return Ok(names.into_iter().collect());
            }
        }
    }

    async fn scan(&self, cursor: u64) -> Result<(u64, Vec<Vec<u8>>), StoreError> {
        let pattern = self.names().entries();
        let found = self.links().run(|mut connection, _| {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(STEP);
            async move {
                let found: RedisResult<_> = scan.query_async(&mut connection).await;
                found
            }
        });
        found.await
    }

    /// `None` if there is only a lease.
    fn summary(&self, name: &str, entry: Entry) -> Option<StoredSummary> {
        let is_there = entry.version != Version::default()
            || entry.session.is_some()
            || entry.notes.is_some()
            || entry.unreadable.is_some()
            || entry.is_over;
        is_there.then(|| StoredSummary::of(name.to_owned(), entry, self.keys()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;
    use crate::store::{Keys, Stored, Unreadable};

    #[test]
    fn an_entry_is_there_if_it_has_more_than_a_lease() {
        let store = RedisStore::connect("redis://localhost", Keys::from_bytes([7; 32])).unwrap();
        let nothing = Entry::default;
        let saved = Version {
            epoch: 7,
            fence: 1,
            revision: 0,
        };
        for entry in [
            Entry {
                version: saved,
                ..nothing()
            },
            Entry {
                session: Some(Stored::default()),
                ..nothing()
            },
            Entry {
                notes: Some(Stored::default()),
                ..nothing()
            },
            Entry {
                is_over: true,
                ..nothing()
            },
            Entry {
                unreadable: Some(Unreadable::Damaged),
                ..nothing()
            },
        ] {
            assert!(store.summary("n", entry.clone()).is_some(), "{entry:?}");
        }
        assert!(store.summary("n", nothing()).is_none());
    }

    #[test]
    fn a_store_in_redis_prints_its_prefix_and_not_its_url() {
        let url = "redis://user:canary@localhost";
        let store = RedisStore::connect(url, Keys::from_bytes([7; 32])).unwrap();
        let printed = format!("{store:?}");
        assert!(printed.starts_with("RedisStore { "), "{printed}");
        assert!(!printed.contains("canary"), "{printed}");
        assert_eq!(format!("{:?}", store.links()), "Links { .. }");
    }
}
