//! The notices of changes, as a connection hears them.

use redis::{FromRedisValue as _, PushInfo, PushKind};
use tokio::sync::broadcast;

/// Hands the names that Redis publishes to all that wait on one connection. The task of the
/// connection owns it, so it ends with that task.
#[derive(Debug)]
pub(super) struct Notices(broadcast::Sender<String>);

/// So many are kept for a waiter that is not driven. One that has missed some looks at its entry.
const KEPT: usize = 64;

impl Notices {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }

    /// What is published from now on.
    pub(super) fn subscribe(&self) -> Waiter {
        Waiter(self.0.subscribe())
    }

    /// Takes what the server sent without being asked.
    pub(super) fn hear(&self, push: PushInfo) {
        if push.kind != PushKind::Message {
            return;
        }
        let Some(name) = push.data.into_iter().nth(1) else {
            return;
        };
        if let Ok(name) = String::from_redis_value(name) {
            // It fails if no task waits.
            let _ = self.0.send(name);
        }
    }
}

/// One that waits for a name.
pub(super) struct Waiter(broadcast::Receiver<String>);

impl Waiter {
    /// Returns when the name was published, or when it may have been and was missed: the waiter was
    /// not driven for too long, or the connection has ended.
    pub(super) async fn wait_for(&mut self, name: &str) {
        while let Ok(published) = self.0.recv().await {
            if published == name {
                return;
            }
        }
    }
}
