//! How a login that is routed through its own integration is detected.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::Extensions;

use crate::error::Error;

/// The number of a cache, unique in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheId(u64);

impl CacheId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only the uniqueness of the number counts, and it publishes no other memory.
        Self(NEXT.fetch_add(1, Relaxed))
    }
}

/// The mark of a login's own request.
///
/// An integration waits for a credential before it sends a request. If the login's own request is
/// routed through it, it waits for itself. So a transport puts the mark into the extensions of the
/// login's request, which keep it across tasks and buffers, and the integration refuses the request
/// with [`Error::LoginLoop`](crate::Error::LoginLoop). Within the login's task the mark is found
/// without the extension.
///
/// ```
/// use auth_core::LoginMark;
///
/// fn mark<B>(login: &mut http::Request<B>) {
///     if let Some(mark) = LoginMark::current() {
///         login.extensions_mut().insert(mark);
///     }
/// }
/// # mark(&mut http::Request::new(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginMark(CacheId);

tokio::task_local! {
    static CURRENT: LoginMark;
}

impl LoginMark {
    /// The mark of the login that the current task carries out, if there is one.
    #[inline]
    pub fn current() -> Option<Self> {
        // The model runs all its threads on one, so task-local values don't work there.
        if cfg!(feature = "shuttle") {
            return None;
        }
        CURRENT.try_with(|mark| *mark).ok()
    }

    /// The mark in a request's extensions, or else that of the current task.
    #[inline]
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied().or_else(Self::current)
    }

    /// Refuses a call or a request that asks for the credential of the cache whose login it belongs
    /// to.
    #[inline]
    pub(crate) fn refuse_loop(mark: Option<Self>, cache: CacheId) -> Result<(), Error> {
        match mark {
            Some(Self(login)) if login == cache => Err(Error::LoginLoop),
            _ => Ok(()),
        }
    }

    /// Runs the login of a cache under its mark.
    pub(crate) async fn scope<F: Future>(cache: CacheId, login: F) -> F::Output {
        CURRENT.scope(Self(cache), login).await
    }
}
