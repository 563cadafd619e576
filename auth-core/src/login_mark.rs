//! How a login that is routed through its own integration is detected.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::Extensions;

use tokio::task::futures::TaskLocalFuture;

use crate::error::{Error, LoginError};

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

/// What a task knows of the login that it carries out.
pub(crate) struct CurrentLogin {
    mark: LoginMark,
    /// What the answer means by its head, while the rest of it is read.
    head: Cell<Option<LoginError>>,
}

tokio::task_local! {
    static CURRENT: CurrentLogin;
}

impl LoginMark {
    /// The mark of the login that the current task carries out, if there is one.
    #[inline]
    pub fn current() -> Option<Self> {
        // The model runs all its threads on one, so task-local values don't work there.
        if cfg!(feature = "shuttle") {
            return None;
        }
        CURRENT.try_with(|login| login.mark).ok()
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

    /// Notes that a login's answer has begun, and what it means by its head, if it brings no
    /// session: that is the failure if the login's time-out passes before the rest has been read.
    ///
    /// Without the note the failure is [`TimedOut`](crate::LoginErrorKind::TimedOut), an outage,
    /// and a server that refuses the password and never ends its page is asked again and again.
    ///
    /// For a transport, which calls [`answer_ended`](Self::answer_ended) once it has read the rest.
    /// Outside the task of a login it does nothing.
    ///
    /// ```
    /// use auth_core::{LoginError, LoginMark};
    ///
    /// LoginMark::answer_began(LoginError::refused("status 401, and the response did not end"));
    /// // … reads the body …
    /// LoginMark::answer_ended();
    /// ```
    pub fn answer_began(means: LoginError) {
        note(Some(means));
    }

    /// Notes that a login's answer was read, or that reading it has failed. See
    /// [`answer_began`](Self::answer_began).
    pub fn answer_ended() {
        note(None);
    }

    /// Runs the login of a cache under its mark.
    pub(crate) fn scope<F: Future>(cache: CacheId, login: F) -> TaskLocalFuture<CurrentLogin, F> {
        let login_of = CurrentLogin {
            mark: Self(cache),
            head: Cell::new(None),
        };
        CURRENT.scope(login_of, login)
    }
}

/// What the answer to a login means by its head, if it has begun and was not read to its end.
pub(crate) fn head_of_answer<F: Future>(
    login: Pin<&mut TaskLocalFuture<CurrentLogin, F>>,
) -> Option<LoginError> {
    login.take_value()?.head.take()
}

fn note(head: Option<LoginError>) {
    // It fails outside the task of a login, where there is nothing to note.
    let _ = CURRENT.try_with(|login| login.head.set(head));
}
