//! What one request, or everything that a task sends, wants otherwise.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use auth_core::Credentials;
use futures_util::FutureExt;

/// What one request wants otherwise: no credential, a renewed one, somebody else's, or another wait.
///
/// Put it into the request's extensions; or, where a client can't be reached into, run that client's whole call in a
/// [`scope`]. A request's own context replaces the scope's.
///
/// ```
/// use std::time::Duration;
/// use auth_middleware::AuthContext;
///
/// let request = http::Request::get("https://api.example.com/v3/me")
///     .extension(AuthContext::new().within(Duration::from_secs(5)))
///     .body(())?;
/// # let _ = request;
/// # Ok::<(), http::Error>(())
/// ```
///
/// With reqwest-middleware it is `client.get(url).with_extension(AuthContext::skip())`.
#[derive(Clone, Default)]
pub struct AuthContext(
    // A pointer, and none where nothing is wanted: it is looked for on behalf of every request.
    Option<Arc<Wishes>>,
);

#[derive(Clone, Default)]
struct Wishes {
    skip: bool,
    fail_fast: bool,
    within: Option<Duration>,
    identity: Option<Credentials>,
    /// Shared by all copies, because retries copy a request's extensions, and one renewal was asked for, not one a try.
    renewal: Option<Arc<AtomicBool>>,
}

impl AuthContext {
    /// Wishes for nothing. On a request it replaces the context of a [`scope`] all the same.
    pub fn new() -> Self {
        Self::default()
    }

    /// The request passes untouched: nothing is attached, judged or replayed.
    pub fn skip() -> Self {
        Self::new().wish(|wishes| wishes.skip = true)
    }

    /// Logs in anew before the request is sent, as at the start of a long workflow.
    ///
    /// *One* renewal, by whichever request comes first: not one for every try of a request that a retry sends several
    /// times, and not one for every request in a [`scope`], nor for those that were given clones of this context. For
    /// another renewal make another context.
    pub fn renewed(self) -> Self {
        self.wish(|wishes| wishes.renewal = Some(Arc::new(AtomicBool::new(true))))
    }

    /// Uses another identity: its credential, its scope, and its verdicts.
    pub fn identity(self, credentials: Credentials) -> Self {
        self.wish(|wishes| wishes.identity = Some(credentials))
    }

    /// How long to wait for a credential at most, before the first try and again before a replay.
    pub fn within(self, wait: Duration) -> Self {
        self.wish(|wishes| wishes.within = Some(wait))
    }

    /// Doesn't wait for the quota: see [`auth_core::Ask::fail_fast`].
    pub fn fail_fast(self) -> Self {
        self.wish(|wishes| wishes.fail_fast = true)
    }

    fn wish(mut self, wish: impl FnOnce(&mut Wishes)) -> Self {
        wish(Arc::make_mut(self.0.get_or_insert_default()));
        self
    }
}

#[cfg(any(feature = "reqwest", feature = "tower"))]
impl AuthContext {
    /// The context of a request: its own, or else the scope's. Read where the request is taken in, because a scope is
    /// known to its own task only.
    #[inline]
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        if let Some(own) = extensions.get::<Self>() {
            return own.clone();
        }
        // The getter is async and never waits.
        let scoped = task_local_extensions::get_local_item::<Self>();
        scoped.now_or_never().flatten().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn is_skip(&self) -> bool {
        self.0.as_ref().is_some_and(|wishes| wishes.skip)
    }

    #[inline]
    pub(crate) fn chosen(&self) -> Option<&Credentials> {
        self.0.as_ref()?.identity.as_ref()
    }

    /// The renewal that is due, if one is. It is due again if it is dropped before it is done.
    #[inline]
    pub(crate) fn take_renewal(&self) -> Option<Renewal> {
        let due = self.0.as_ref()?.renewal.as_ref()?;
        due.swap(false, Relaxed)
            .then(|| Renewal(Some(Arc::clone(due))))
    }

    /// How to wait for a credential, given the request's own deadline.
    #[inline]
    pub(crate) fn ask(&self, timeout: Option<Duration>) -> auth_core::Ask {
        let mut ask = auth_core::Ask::new();
        let within = self.0.as_ref().and_then(|wishes| wishes.within);
        if let Some(wait) = within.into_iter().chain(timeout).min() {
            ask = ask.within(wait);
        }
        if self.0.as_ref().is_some_and(|wishes| wishes.fail_fast) {
            ask = ask.fail_fast();
        }
        ask
    }
}

/// A renewal that somebody has taken upon them.
pub(crate) struct Renewal(Option<Arc<AtomicBool>>);

impl Renewal {
    pub(crate) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some(due) = &self.0 {
            due.store(true, Relaxed);
        }
    }
}

impl fmt::Debug for AuthContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wishes = self.0.as_deref().cloned().unwrap_or_default();
        f.debug_struct("AuthContext")
            .field("skip", &wishes.skip)
            .field(
                "identity",
                &wishes.identity.as_ref().map(Credentials::identity),
            )
            .field("within", &wishes.within)
            .field("fail_fast", &wishes.fail_fast)
            .field("renewal", &wishes.renewal)
            .finish()
    }
}

/// Runs `future`, and gives every request that it sends this context, unless the request has one of its own.
///
/// For clients that one can't reach into, such as a generated one. A scope within a scope hides the outer one until it
/// ends. A scope does not cross `tokio::spawn` or tower's `Buffer`: what runs in another task is not in it. It is kept by
/// the [`task_local_extensions`] crate, of which it hides what was set outside, as any `with_extensions` does.
///
/// # Cancel safety
/// As safe as `future` is. A panic of `future` passes through; the scope ends with it.
///
/// ```
/// use auth_middleware::{AuthContext, scope};
///
/// # async fn fetch_public_page() {}
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// scope(AuthContext::skip(), fetch_public_page()).await;
/// # }
/// ```
pub async fn scope<F: Future>(context: AuthContext, future: F) -> F::Output {
    let extensions = task_local_extensions::Extensions::new().with(context);
    // An unwind through `with_extensions` would leave our context on the thread, for whatever task comes next.
    let caught = AssertUnwindSafe(future).catch_unwind();
    let (_, result) = task_local_extensions::with_extensions(extensions, caught).await;
    result.unwrap_or_else(|panic| resume_unwind(panic))
}
