//! What one request, or all that a task sends, wants otherwise.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auth_core::{Ask, Credentials};
use futures_util::FutureExt;

/// What one request wants otherwise: no credential, another identity's, or one that is asked for in
/// another way.
///
/// Put it into the request's extensions; or, where a client can't be reached into,
/// [apply it](Self::apply_to) to all that a future sends. A request's own context replaces the
/// applied one.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Ask;
/// use auth_middleware::AuthContext;
///
/// let patient = Ask::new().within(Duration::from_secs(5)).wait_for_quota();
/// let request = http::Request::get("https://api.example.com/v3/me")
///     .extension(AuthContext::new().ask(patient))
///     .body(())?;
/// # let _ = request;
/// # Ok::<(), http::Error>(())
/// ```
///
/// With reqwest-middleware it is `client.get(url).with_extension(AuthContext::skip())`.
#[derive(Clone, Default)]
pub struct AuthContext(
    // A pointer, and none where nothing is wanted: it is looked for on behalf of every request.
    pub(crate) Option<Arc<Choices>>,
);

#[derive(Clone, Default)]
pub(crate) struct Choices {
    pub(crate) skip: bool,
    pub(crate) identity: Option<Credentials>,
    pub(crate) ask: Ask,
    /// Shared by all copies, because retries copy a request's extensions, and one renewal was asked
    /// for, not one an attempt.
    pub(crate) renewal: Option<Arc<AtomicBool>>,
}

impl AuthContext {
    /// Chooses nothing. On a request it replaces an applied context all the same.
    pub fn new() -> Self {
        Self::default()
    }

    /// The request passes untouched: nothing is attached, judged or replayed.
    pub fn skip() -> Self {
        Self::new().choose(|choices| choices.skip = true)
    }

    /// Uses another identity: its credential, its scope, and its verdicts.
    pub fn identity(self, credentials: Credentials) -> Self {
        self.choose(|choices| choices.identity = Some(credentials))
    }

    /// Asks for the credential like this, before the first attempt and again before a replay.
    ///
    /// An [`Ask::renewed`] logs in anew before the request is sent, as at the start of a long
    /// workflow. It is *one* renewal, by the request that comes first: not one for every attempt of
    /// a request that a retry sends several times, nor for every request that was given a clone of
    /// this context. For another renewal make another context.
    pub fn ask(self, ask: Ask) -> Self {
        let renewal = ask.is_renewed().then(|| Arc::new(AtomicBool::new(true)));
        self.choose(|choices| {
            choices.ask = ask.not_renewed();
            choices.renewal = renewal;
        })
    }

    /// Runs `future`, and gives this context to every request that it sends, unless the request has
    /// one of its own.
    ///
    /// For clients that can't be reached into, such as a generated one. A context that is applied
    /// within another hides the outer one until it ends. It does not cross `tokio::spawn` or tower's
    /// `Buffer`: what runs in another task is not in it. It is kept by the
    /// [`task_local_extensions`] crate, of which it hides what was set outside, as any
    /// `with_extensions` does.
    ///
    /// # Cancel safety
    /// As safe as `future` is. A panic of `future` passes through, and the context ends with it.
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
        // An unwind through `with_extensions` would leave this context on the thread, for the next
        // task that runs there.
        let caught = AssertUnwindSafe(future).catch_unwind();
        let (_, result) = task_local_extensions::with_extensions(extensions, caught).await;
        result.unwrap_or_else(|panic| resume_unwind(panic))
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
            .field("renewal", &choices.renewal)
            .finish()
    }
}
