//! A connection to Redis on one runtime.

use std::fmt;
use std::future::Future;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, PushInfo, RedisResult};
use tokio::sync::OnceCell;

use super::failure::ends_connection;
use super::notices::{Notices, Waiter};
use crate::runtime::AtomicBool;

/// One connection for the commands and the notices of a runtime. The redis crate drives it by a
/// task there, which ends when the connection does, with the runtime, or when the last clone of the
/// connection is dropped.
pub(super) struct Link {
    connection: MultiplexedConnection,
    /// The task of the connection owns them, so they tell whether it has ended.
    notices: Weak<Notices>,
    subscribed: OnceCell<()>,
    is_suspect: AtomicBool,
}

impl Link {
    /// Connects. The caller bounds the time.
    pub(super) async fn open(client: &Client) -> RedisResult<Self> {
        let notices = Arc::new(Notices::default());
        let weak = Arc::downgrade(&notices);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_push_sender(move |push: PushInfo| {
                notices.hear(push);
                Ok::<_, ()>(())
            });
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        Ok(Self {
            connection,
            notices: weak,
            subscribed: OnceCell::new(),
            is_suspect: AtomicBool::new(false),
        })
    }

    /// Whether its task goes on, and every answer came.
    pub(super) fn is_good(&self) -> bool {
        // Only a hint: nothing else is read by it.
        self.notices.strong_count() > 0 && !self.is_suspect.load(Relaxed)
    }

    /// Asks for something. If this is dropped before the answer came, the link is not good any
    /// more: perhaps the network swallows what is sent.
    pub(super) async fn ask<T, F>(
        &self,
        question: impl FnOnce(MultiplexedConnection) -> F,
    ) -> RedisResult<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut guard = AwaitsAnswer(Some(self));
        let answer = question(self.connection.clone()).await;
        if !answer.as_ref().is_err_and(ends_connection) {
            guard.0 = None;
        }
        answer
    }

    /// Begins to wait for a name to be published on the channel of the store. `None` if it listens
    /// only from now on, so that what was published before is not known.
    pub(super) async fn listen(&self, channel: &str, name: &str) -> RedisResult<Option<Waiter>> {
        let notices = self.notices.upgrade();
        let waiter = notices.map(|notices| notices.subscribe(name));
        let is_new = !self.subscribed.initialized();
        // Not by `ask`: who waits for a change gives up soon, and that says nothing of the network.
        let mut connection = self.connection.clone();
        let subscribe = || async move { connection.subscribe(channel).await };
        self.subscribed.get_or_try_init(subscribe).await?;
        Ok(waiter.filter(|_| !is_new))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("is_good", &self.is_good())
            .finish_non_exhaustive()
    }
}

/// The guard of an answer that has not come yet.
struct AwaitsAnswer<'a>(Option<&'a Link>);

impl Drop for AwaitsAnswer<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.0 {
            link.is_suspect.store(true, Relaxed);
        }
    }
}
