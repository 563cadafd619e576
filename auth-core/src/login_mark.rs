//! How a login that is routed through its own integration is recognised.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::Extensions;

use crate::error::Error;

/// Tells the caches of this process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheId(u64);

impl CacheId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Only the number itself is shared: relaxed.
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// The mark of a login's own request.
///
/// An integration that waits for a credential, and is asked to carry the login that would bring
/// it, would wait for itself. So a transport puts the mark on the login's request (an extension of
/// `http::Request`, which crosses tasks and buffers), and the integration refuses it with
/// [`Error::LoginLoop`](crate::Error::LoginLoop). Within the login's own task the mark is seen
/// without being carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginMark(CacheId);

tokio::task_local! {
    static CURRENT: LoginMark;
}

impl LoginMark {
    /// The mark of the login that this task carries out, if it does.
    pub fn current() -> Option<Self> {
        // The model runs all its threads on one, so it has no task-local values.
        if cfg!(feature = "shuttle") {
            return None;
        }
        CURRENT.try_with(|mark| *mark).ok()
    }

    /// The mark that a request carries in its extensions, or else that of the task that sends it.
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied().or_else(Self::current)
    }

    /// Refuses a request, or a look, for the credential of the very cache whose login it belongs to:
    /// it would wait for itself.
    pub(crate) fn refuse_loop(mark: Option<Self>, cache: CacheId) -> Result<(), Error> {
        match mark {
            Some(Self(login)) if login == cache => Err(Error::LoginLoop),
            _ => Ok(()),
        }
    }

    /// Runs the login of a cache.
    pub(crate) async fn scope<F: Future>(cache: CacheId, login: F) -> F::Output {
        CURRENT.scope(Self(cache), login).await
    }
}
