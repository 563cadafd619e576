//! How a login that is routed through its own front is recognised.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Marks what is done on behalf of a login under way.
///
/// A front that waits for a credential, and is asked to carry the login that would bring it, would wait for itself. So a
/// transport puts the mark on the login's request (an extension of `http::Request`, which crosses tasks and buffers), and
/// the front refuses it with [`Error::LoginLoop`](crate::Error::LoginLoop). Within the login's own task the mark is seen
/// without being carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginMark(u64);

tokio::task_local! {
    static CURRENT: LoginMark;
}

impl LoginMark {
    /// The mark of the login that this task carries out, if it does.
    pub fn current() -> Option<Self> {
        // The model runs all its threads on one, so what is local to a thread is local to nobody.
        if cfg!(feature = "shuttle") {
            return None;
        }
        CURRENT.try_with(|mark| *mark).ok()
    }

    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Relaxed))
    }

    pub(crate) async fn scope<F: Future>(self, login: F) -> F::Output {
        CURRENT.scope(self, login).await
    }
}
