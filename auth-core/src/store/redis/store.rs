//! A store in Redis or Valkey.

use std::collections::HashMap;
use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use redis::FromRedisValue;

use super::address;
use super::links::Links;
use super::names::Names;
use super::scripts::{self, Call, Read};
use crate::runtime::Mutex;
use crate::store::entry::{Change, Entry, Saved};
use crate::store::error::StoreError;
use crate::store::keys::Keys;
use crate::store::lease::{LeaseAnswer, LeaseAsk};
use crate::store::permit::{PermitAnswer, PermitAsk};
use crate::store::seal::Seal;
use crate::store::store::Store;

/// A store in Redis 6.2 or later, or in Valkey, for the machines of a fleet.
///
/// A clone is the same store and costs nothing. It has a connection for each runtime that it is
/// used on, made when it is first needed: a fleet starts while Redis is down.
///
/// ```no_run
/// use auth_core::store::{Keys, RedisStore};
///
/// let keys = Keys::from_env("AUTH_STORE_KEY")?;
/// let store = RedisStore::connect("redis://user:password@redis.example:6379/0", keys)?;
/// let store = store.prefix("production");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it needs
/// - A Tokio runtime with I/O and time.
/// - The user of the URL has the keys and channels of the prefix, `~auth:* &auth:*`, and these
///   commands: `+@connection +@hash +@sortedset +evalsha +script|load +time +pttl +pexpire +del
///   +info +publish +subscribe +scan`. Without `INFO` no loss is seen of what was written last,
///   without `PUBLISH` and `SUBSCRIBE` the others learn of a session when they next look, and
///   `SCAN` is for [`list`](Self::list) alone.
/// - Redis must not evict what it was told to keep: `maxmemory-policy noeviction`. Where a permit
///   is evicted, the quota is exceeded.
/// - TLS is `rediss://`, with the feature `redis-tls`. It takes the certificates that the system
///   trusts. If the program has installed no default crypto provider of rustls,
///   [`connect`](Self::connect) installs ring.
/// - The protocol of a cluster is not spoken. All keys of one step share a hash tag, so an endpoint
///   that routes by itself may stand before one.
///
/// # What it promises
/// Each operation is one script, so one step for all, and one round trip. Three are needed after a
/// start of the server that has forgotten its scripts. Times and ages are those of the server's
/// clock: if that is set, leases and permits lapse as much earlier or later. But from when another
/// process asks for it, a lease lasts no longer than its owner had asked for.
///
/// An operation takes a second and a half at most, with its connection. If the connection was
/// closed, or leads to a server that is the primary no more, the operation is done again on a new
/// one, which changes nothing that was done already.
///
/// A Redis that starts anew, or a replica that takes over, may have lost what was written last. An
/// empty one begins new epochs, so that the sessions of before are told from those of after. One
/// that may have lost permits gives none until those of before count no more: for a login's
/// time-out and a window. It is known by its run id, which is noted with the permits and the time,
/// and which each process remembers from its last permit at the origin. So it can't be known where
/// nothing is noted any more and only new processes ask, or where two servers take writes at a
/// time: then the quota can be exceeded, once. A restart that has lost nothing is not told from one
/// that has, so it costs as much. If the last save of a session was lost, the next one is newer
/// than that too, because a fence is at least the time in microseconds: unless the clock of the
/// server that takes over is behind by more than has passed since.
///
/// The marks of spent refresh tokens may be lost as well. So the run id is noted with the leases,
/// and a session whose lease may have been given in another run [may lack
/// notes](crate::store::Entry::may_lack_notes): it is served as long as it is good, and what failed
/// logins forbid holds, but a token of it that can be used once is not sent. A restart that has
/// lost nothing is not told from one that has here either: each identity with such tokens logs in
/// with its password once. A loss is not known where a server was replaced and is the primary
/// again, if no lease of the identity was asked for in between.
#[derive(Clone)]
pub struct RedisStore(Arc<Shared>);

struct Shared {
    names: Names,
    keys: Keys,
    links: Links,
    /// The run of the server that gave the last answer to a permit, and since when it was noted
    /// there, for each origin.
    runs: Mutex<HashMap<String, String>>,
}

impl RedisStore {
    /// A store at a URL: `redis://`, `rediss://` with TLS, or `unix://` with a path. `keys` seal
    /// what it holds, and must be the same in all processes.
    ///
    /// It does not connect: this is done when the store is first used.
    ///
    /// # Errors
    /// [`StoreError`] if the URL is malformed, or needs a feature that is not enabled. It does not
    /// repeat the URL.
    pub fn connect(url: &str, keys: Keys) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Shared {
            names: Names::new("auth"),
            keys,
            links: Links::new(address::client(url)?),
            runs: Mutex::default(),
        })))
    }

    /// Another prefix of all keys in Redis, which keeps tenants apart. The default is `auth`. What
    /// is no letter, digit, `-`, `_`, `.` or `:` is percent-encoded.
    ///
    /// The store has connections of its own.
    pub fn prefix(self, prefix: &str) -> Self {
        Self(Arc::new(Shared {
            names: Names::new(prefix),
            keys: self.0.keys.clone(),
            links: self.0.links.apart(),
            runs: Mutex::default(),
        }))
    }

    pub(super) fn names(&self) -> &Names {
        &self.0.names
    }

    pub(super) fn links(&self) -> &Links {
        &self.0.links
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    pub(super) async fn call<T>(&self, call: impl Fn(bool) -> Call) -> Result<T, StoreError>
    where
        Read<T>: FromRedisValue,
    {
        let answer = self.0.links.run(|mut connection, is_again| {
            let call = call(is_again);
            async move { call.invoke_async(&mut connection).await }
        });
        answer.await.map(|Read(answer)| answer)
    }
}

/// A number that no other store has drawn. Those below 2^53 are exact everywhere.
pub(super) fn epoch() -> Result<u64, StoreError> {
    let drawn = getrandom::u64().map_err(|error| {
        StoreError::new("the system has no random numbers").with_source(error.to_string())
    })?;
    Ok((drawn >> 11).max(1))
}

#[async_trait]
impl Store for RedisStore {
    fn seal(&self) -> &dyn Seal {
        &self.0.keys
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        self.call(|_| scripts::load(&self.0.names, name)).await
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        let epoch = epoch()?;
        self.call(|_| scripts::lease(&self.0.names, name, ask, epoch))
            .await
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        let epoch = epoch()?;
        self.call(|is_again| scripts::save(&self.0.names, name, &change, epoch, is_again))
            .await
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        let seen = self.0.runs.lock().get(origin).cloned();
        let seen = seen.unwrap_or_default();
        let (answer, run) = self
            .call(|_| scripts::permit(&self.0.names, origin, ask, &seen))
            .await?;
        if run != seen && !run.is_empty() {
            self.0.runs.lock().insert(origin.to_owned(), run);
        }
        Ok(answer)
    }

    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError> {
        self.call(|_| scripts::end_permit(&self.0.names, origin, id, counts_for))
            .await
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        self.call(|_| scripts::hold(&self.0.names, origin, wait))
            .await
    }

    async fn changed(&self, name: &str) {
        match self.0.links.listen(&self.0.names.channel(), name).await {
            Ok(Some(waiter)) => waiter.wait().await,
            // What was published before it listened is not known.
            Ok(None) => {}
            // The cache looks every now and then, and listens again.
            Err(_) => pending().await,
        }
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("prefix", &self.0.names)
            .finish_non_exhaustive()
    }
}
