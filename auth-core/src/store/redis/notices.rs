//! The notices of changes, as a connection hears them.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use redis::{FromRedisValue as _, PushInfo, PushKind};
use tokio::sync::oneshot;

use crate::runtime::Mutex;

/// Hands each name that Redis publishes to those that wait for it on one connection. The task of
/// the connection owns it, so it ends with that task.
///
/// All names come by one channel. A program with thousands of accounts would be woken as often if
/// each waiter looked at each name.
#[derive(Debug, Default)]
pub(super) struct Notices(Mutex<HashMap<String, Vec<oneshot::Sender<()>>>>);

impl Notices {
    /// Waits for what is published of a name from now on.
    pub(super) fn subscribe(self: &Arc<Self>, name: &str) -> Waiter {
        let (tell, told) = oneshot::channel();
        let mut names = self.0.lock();
        names.entry(name.to_owned()).or_default().push(tell);
        Waiter {
            told,
            name: name.to_owned(),
            notices: Arc::downgrade(self),
        }
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
            let waiters = self.0.lock().remove(&name);
            for waiter in waiters.into_iter().flatten() {
                // It fails if the waiter is gone.
                let _ = waiter.send(());
            }
        }
    }
}

/// One that waits for a name.
pub(super) struct Waiter {
    told: oneshot::Receiver<()>,
    name: String,
    notices: Weak<Notices>,
}

impl Waiter {
    /// Returns when the name was published, or when that would not be known any more: the
    /// connection has ended.
    pub(super) async fn wait(mut self) {
        let _ = (&mut self.told).await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.told.close();
        let Some(notices) = self.notices.upgrade() else {
            return;
        };
        let mut names = notices.0.lock();
        if let Some(waiters) = names.get_mut(&self.name) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                names.remove(&self.name);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use futures_util::FutureExt as _;
    use redis::Value;

    use super::*;

    fn publish(notices: &Notices, kind: PushKind, name: &str) {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let data = vec![text("channel"), text(name)];
        notices.hear(PushInfo { kind, data });
    }

    #[test]
    fn a_notice_wakes_those_that_wait_for_its_name_and_no_other() {
        let notices = Arc::new(Notices::default());
        let [one, another, other] = ["a", "a", "b"].map(|name| notices.subscribe(name));
        publish(&notices, PushKind::Subscribe, "a");
        publish(&notices, PushKind::Message, "c");
        let (mut one, mut other) = (Box::pin(one.wait()), Box::pin(other.wait()));
        assert!(one.as_mut().now_or_never().is_none());
        publish(&notices, PushKind::Message, "a");
        one.now_or_never().unwrap();
        another.wait().now_or_never().unwrap();
        assert!(other.as_mut().now_or_never().is_none());
        // The connection has ended.
        drop(notices);
        other.now_or_never().unwrap();
    }

    #[test]
    fn nothing_is_kept_of_waiters_that_are_gone() {
        let notices = Arc::new(Notices::default());
        let [one, another] = ["a", "a"].map(|name| notices.subscribe(name));
        drop(one);
        publish(&notices, PushKind::Message, "a");
        another.wait().now_or_never().unwrap();
        for name in ["a", "b"] {
            drop(notices.subscribe(name));
        }
        assert!(notices.0.lock().is_empty());
    }
}
