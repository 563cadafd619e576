//! The connections of a store: one for each runtime that uses it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult};
use tokio::time::timeout;

use super::failure::{LIMIT, ends_connection, failure, no_runtime, too_slow};
use super::link::Link;
use super::notices::Waiter;
use crate::runtime::{Mutex, Runtime, RuntimeId};
use crate::store::error::StoreError;

/// A connection is driven by a task of the runtime on which it was made. Another runtime may
/// outlive that one, or may be driven while that one is not. So each has its own connection.
pub(super) struct Links {
    client: Client,
    slots: Mutex<Vec<(RuntimeId, Slot)>>,
}

/// The connection of one runtime. The lock is held while it is made, so that callers that come
/// together share one.
type Slot = Arc<tokio::sync::Mutex<Option<Arc<Link>>>>;

impl Links {
    pub(super) const fn new(client: Client) -> Self {
        Self {
            client,
            slots: Mutex::new(Vec::new()),
        }
    }

    /// The same server, with connections of its own.
    pub(super) fn apart(&self) -> Self {
        Self::new(self.client.clone())
    }

    /// Does an operation, bounded by [`LIMIT`]. If the connection is found to have ended, it is
    /// made anew and the operation is done a second time. `operation` is told so, because the first
    /// attempt may have been done.
    pub(super) async fn run<T, F>(
        &self,
        operation: impl Fn(MultiplexedConnection, bool) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        bounded(async {
            let link = self.link().await?;
            let mut answer = link.ask(|to| operation(to, false)).await;
            // An idle connection may have been closed long ago, and a restart closes all.
            if answer.as_ref().is_err_and(ends_connection) {
                let link = self.link().await?;
                answer = link.ask(|to| operation(to, true)).await;
            }
            answer.map_err(|error| failure(&error))
        })
        .await
    }

    /// Begins to wait for a name: see [`Link::listen`].
    pub(super) async fn listen(
        &self,
        channel: &str,
        name: &str,
    ) -> Result<Option<Waiter>, StoreError> {
        bounded(async {
            let link = self.link().await?;
            let listens = link.listen(channel, name).await;
            listens.map_err(|error| failure(&error))
        })
        .await
    }

    /// The link of this runtime, which is made if there is none that is good.
    async fn link(&self) -> Result<Arc<Link>, StoreError> {
        let runtime = Runtime::current().ok_or_else(no_runtime)?;
        let slot = self.slot(runtime.id());
        let mut kept = slot.lock().await;
        if let Some(link) = kept.as_ref().filter(|link| link.is_good()) {
            return Ok(Arc::clone(link));
        }
        let mut opened = Link::open(&self.client).await;
        // What cuts a connection may do so while it is opened, before any operation is sent.
        if opened.as_ref().is_err_and(ends_connection) {
            opened = Link::open(&self.client).await;
        }
        let link = Arc::new(opened.map_err(|error| failure(&error))?);
        *kept = Some(Arc::clone(&link));
        Ok(link)
    }

    fn slot(&self, runtime: RuntimeId) -> Slot {
        let mut slots = self.slots.lock();
        if let Some((_, slot)) = slots.iter().find(|(known, _)| *known == runtime) {
            return Arc::clone(slot);
        }
        // Those of runtimes that have ended. A slot that is locked is in use.
        slots.retain(|(_, slot)| {
            let link = slot.try_lock();
            link.map_or(true, |link| {
                link.as_ref().is_some_and(|link| link.is_good())
            })
        });
        let slot = Slot::default();
        slots.push((runtime, Arc::clone(&slot)));
        slot
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").finish_non_exhaustive()
    }
}

async fn bounded<T>(
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    if Runtime::current().is_none() {
        return Err(no_runtime());
    }
    let in_time = timeout(LIMIT, operation).await;
    in_time.unwrap_or_else(|_| Err(too_slow()))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn nothing_is_kept_of_runtimes_that_have_ended() {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let links = Links::new(Client::open(format!("redis://{address}")).unwrap());
        for _ in 0..5 {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            assert!(runtime.block_on(links.link()).is_err());
        }
        assert_eq!(links.slots.lock().len(), 1);
    }
}
