//! The choices for one request, or for all requests of a future.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auth_core::{Ask, Credentials};
use futures_util::FutureExt;

/// The choices for one request: no credential, the credential of another identity, or an [`Ask`]
/// that says how to get it.
///
/// Put the context into the request's extensions. If a client gives no access to its requests,
/// [apply the context](Self::apply_to) to the future that sends them. A request's own context
/// replaces the applied one as a whole.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Ask;
/// use auth_middleware::AuthContext;
///
/// let batch = Ask::new().within(Duration::from_secs(300)).wait_for_quota();
/// let request = http::Request::get("https://api.example.com/v3/me")
///     .extension(AuthContext::new().ask(batch))
///     .body(())?;
/// # let _ = request;
/// # Ok::<(), http::Error>(())
/// ```
///
/// With reqwest-middleware: `client.get(url).with_extension(AuthContext::skip())`.
#[derive(Clone, Default)]
pub struct AuthContext(
    // A pointer, and `None` without choices, because every request looks for a context.
    pub(crate) Option<Arc<Choices>>,
);

#[derive(Clone, Default)]
pub(crate) struct Choices {
    pub(crate) skip: bool,
    pub(crate) identity: Option<Credentials>,
    pub(crate) ask: Ask,
    /// Whether the request must not be sent twice.
    pub(crate) once: bool,
    /// Whether the renewal is still due. All clones share it, because a retry clones the extensions
    /// of a request, and all its attempts together make one renewal.
    pub(crate) renewal: Option<Arc<AtomicBool>>,
}

impl AuthContext {
    /// A context without choices. In the extensions of a request, it still replaces an applied
    /// context.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context whose requests pass untouched: nothing is attached, judged or replayed, and a
    /// request out of the scope is neither a warning nor counted.
    pub fn skip() -> Self {
        Self::new().choose(|choices| choices.skip = true)
    }

    /// Uses another identity: its credential, its scope, and its cache.
    ///
    /// Its provider's judge judges the response, unless the integration has a judge of its own.
    ///
    /// ```
    /// use auth_core::Credentials;
    /// use auth_middleware::AuthContext;
    ///
    /// fn on_behalf_of(account: Credentials) -> http::Result<http::Request<()>> {
    ///     http::Request::get("https://api.example.com/v3/me")
    ///         .extension(AuthContext::new().identity(account))
    ///         .body(())
    /// }
    /// # drop(on_behalf_of);
    /// ```
    pub fn identity(self, credentials: Credentials) -> Self {
        self.choose(|choices| choices.identity = Some(credentials))
    }

    /// Gets the credential with this [`Ask`], before the first attempt and again before a replay.
    /// Its [wait](Ask::within) bounds each of the two.
    ///
    /// [`Ask::renewed`] renews the session before the request is sent, for example at the start of
    /// a long workflow. All clones of this context together make *one* renewal: the first request
    /// that is sent makes it. Other requests, and later attempts of a retry, use the current
    /// credential. If the renewal fails or its request is dropped, the next request makes it. For
    /// another renewal, create another context.
    ///
    /// ```
    /// use auth_core::Ask;
    /// use auth_middleware::AuthContext;
    ///
    /// // All requests of the workflow have a clone of it, and one of them renews the session.
    /// let workflow = AuthContext::new().ask(Ask::new().renewed());
    /// # drop(workflow);
    /// ```
    pub fn ask(self, ask: Ask) -> Self {
        let renewal = ask.is_renewed().then(|| Arc::new(AtomicBool::new(true)));
        self.choose(|choices| {
            choices.ask = ask.not_renewed();
            choices.renewal = renewal;
        })
    }

    /// Does not send the request twice. If its credential is rejected, the caller gets that
    /// response, and the next request finds a new session.
    ///
    /// For a request that the server may have carried out although it rejected it. A redirect is
    /// still followed.
    ///
    /// ```
    /// use auth_middleware::AuthContext;
    ///
    /// let transfer = http::Request::post("https://api.example.com/v3/transfers")
    ///     .extension(AuthContext::new().without_replay())
    ///     .body("{}")?;
    /// # drop(transfer);
    /// # Ok::<(), http::Error>(())
    /// ```
    pub fn without_replay(self) -> Self {
        self.choose(|choices| choices.once = true)
    }

    /// Runs `future`, and applies this context to every request that it sends, unless the request
    /// has a context of its own.
    ///
    /// This is for clients that give no access to their requests, such as generated ones.
    ///
    /// - A context that is applied within another hides the outer one until its future ends.
    /// - The context belongs to the task. Requests that are sent from another task, such as one of
    ///   `tokio::spawn` or of tower's `Buffer`, do not have it.
    /// - The crate [`task_local_extensions`] stores the context. Extensions that were set outside
    ///   are hidden within `future`, as by each `with_extensions`.
    ///
    /// # Panics
    /// If `future` panics. The context then ends as well.
    ///
    /// # Cancel safety
    /// The same as that of `future`.
    ///
    /// ```
    /// use auth_middleware::AuthContext;
    ///
    /// # async fn fetch_public_page() {}
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// AuthContext::skip().apply_to(fetch_public_page()).await;
    /// # }
    /// ```
    pub async fn apply_to<F: Future>(self, future: F) -> F::Output {
        let extensions = task_local_extensions::Extensions::new().with(self);
        // An unwind through `with_extensions` would leave this context on the thread, and the next
        // task on that thread would have it.
        let caught = AssertUnwindSafe(future).catch_unwind();
        let (_, result) = task_local_extensions::with_extensions(extensions, caught).await;
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }

    /// Calls `f` as if no context was applied.
    #[cfg(feature = "follow")]
    pub(crate) fn without_applied<T>(f: impl FnOnce() -> T) -> T {
        let none = http::Extensions::new();
        if Self::of(&none).0.is_none() {
            return f();
        }
        let call = Self::new().apply_to(async { f() });
        call.now_or_never()
            .unwrap_or_else(|| unreachable!("it waits for nothing"))
    }

    #[cfg(feature = "follow")]
    pub(crate) fn skips(&self) -> bool {
        self.0.as_ref().is_some_and(|choices| choices.skip)
    }

    fn choose(mut self, choose: impl FnOnce(&mut Choices)) -> Self {
        choose(Arc::make_mut(self.0.get_or_insert_default()));
        self
    }
}

impl fmt::Debug for AuthContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let choices = self.0.as_deref().cloned().unwrap_or_default();
        let identity = choices.identity.as_ref().map(Credentials::identity);
        f.debug_struct("AuthContext")
            .field("skip", &choices.skip)
            .field("identity", &identity)
            .field("ask", &choices.ask)
            .field("without_replay", &choices.once)
            .field("renewal", &choices.renewal)
            .finish()
    }
}
