//! The configuration of the tower integration.

use std::fmt;
use std::sync::Arc;

use auth_core::{Credentials, Judge, Origin};
use tower_layer::Layer;

use super::Auth;
use super::origin::RelativeTo;
use super::replay::{Buffering, Cloning, InMemory, NoReplay};
use crate::jar::CookieJar;

/// Attaches a credential to each request of a tower stack, judges the response, and sends a
/// rejected request once more, and one that lacks a part of the session.
///
/// The [replay mode](crate::ReplayMode) `R` says how a request is sent again:
///
/// | | replay mode | request bodies |
/// |---|---|---|
/// | [`new`](AuthLayer::new) | [`Cloning`] | any that are `Clone` |
/// | [`in_memory`](Self::in_memory) | [`InMemory`] | such as `Full<Bytes>`, which may have [fields](crate#fields-of-the-body) of the session |
/// | [`buffered`](Self::buffered) | [`Buffering`] | any, kept up to a limit |
/// | [`without_replay`](Self::without_replay) | [`NoReplay`] | any; no request is sent again |
///
/// A request is in the credential's scope only if its URI is absolute. A request without a host
/// passes untouched, with a warning, so put this layer below any layer that completes URIs, or name
/// the [origin](Self::origin) of such requests. The `Host` header is not read, because it does not
/// decide where the request goes.
///
/// ```
/// use auth_middleware::AuthLayer;
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
/// use tower::ServiceBuilder;
///
/// # fn example(credentials: auth_core::Credentials) {
/// let hyper_client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
/// let service = ServiceBuilder::new().layer(AuthLayer::new(credentials)).service(hyper_client);
/// # let _ = service;
/// # }
/// ```
#[derive(Clone)]
pub struct AuthLayer<R = Cloning> {
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    jar: Option<Arc<dyn CookieJar>>,
    origin: Option<RelativeTo>,
    replay: R,
}

impl AuthLayer {
    /// A layer for one identity, with the replay mode [`Cloning`].
    ///
    /// For request bodies that are not `Clone`, add [`buffered`](Self::buffered) or
    /// [`without_replay`](Self::without_replay).
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            judge: None,
            jar: None,
            origin: None,
            replay: Cloning,
        }
    }
}

impl<R> AuthLayer<R> {
    /// Clones each request, and sets [fields of the body](crate#fields-of-the-body). Request bodies
    /// are `Clone` and are made of `Bytes`, as `Full<Bytes>` is.
    ///
    /// ```
    /// use auth_middleware::AuthLayer;
    ///
    /// # fn example(credentials: auth_core::Credentials) {
    /// let layer = AuthLayer::new(credentials).in_memory();
    /// # let _ = layer;
    /// # }
    /// ```
    pub fn in_memory(self) -> AuthLayer<InMemory> {
        self.with_replay(InMemory)
    }

    /// Keeps up to `limit` bytes of each request's body while it is sent, so that it can be sent
    /// again.
    ///
    /// The inner service gets a [`ReplayBody`](crate::ReplayBody). A larger body is sent once: if
    /// its credential is rejected, the caller gets that response at once.
    ///
    /// ```
    /// use auth_middleware::AuthLayer;
    ///
    /// # fn example(credentials: auth_core::Credentials) {
    /// // For streams and the bodies of tonic, which are not `Clone`.
    /// let layer = AuthLayer::new(credentials).buffered(64 * 1024);
    /// # let _ = layer;
    /// # }
    /// ```
    pub fn buffered(self, limit: usize) -> AuthLayer<Buffering> {
        self.with_replay(Buffering::up_to(limit))
    }

    /// Sends no request twice. The caller gets the response that rejected its credential. If the
    /// rejection is believed, a login begins at once, and the next request uses the new session.
    pub fn without_replay(self) -> AuthLayer<NoReplay> {
        self.with_replay(NoReplay)
    }

    /// Judges responses with `judge` instead of the provider's judge, for requests of
    /// [another identity](crate::AuthContext::identity) as well.
    ///
    /// ```
    /// use auth_core::{Judge, ResponseView, StatusJudge, Verdict};
    /// use auth_middleware::AuthLayer;
    ///
    /// # fn example(credentials: auth_core::Credentials) {
    /// // An API that says 419 where others say 401.
    /// let layer = AuthLayer::new(credentials).judge(|response: &ResponseView<'_>| {
    ///     match response.status.as_u16() {
    ///         419 => Verdict::Rejected,
    ///         _ => StatusJudge.judge(response),
    ///     }
    /// });
    /// # let _ = layer;
    /// # }
    /// ```
    pub fn judge(mut self, judge: impl Judge) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    /// Sends the cookies of a jar beside those of the session, and stores in it what responses set.
    /// The session's own cookies neither enter nor leave it. See [`CookieJar`].
    pub fn jar(mut self, jar: impl CookieJar) -> Self {
        self.jar = Some(Arc::new(jar));
        self
    }

    /// Completes the URI of each request without a host with the scheme, the host and the port of
    /// `origin`. This is for clients whose requests are relative until a service below completes
    /// them: those of tonic are `/package.Service/Method`.
    ///
    /// The request then goes to `origin` by its own URI, and is as any other: it carries the
    /// credential if `origin` is in the [scope](Credentials::scope), and passes untouched with a
    /// warning if not. A tonic `Channel` connects to its endpoint whatever the URI is, so name the
    /// origin of that endpoint and no other. Absolute URIs stay as they are.
    ///
    /// ```
    /// use auth_core::Origin;
    /// use auth_middleware::{AuthLayer, GrpcJudge};
    ///
    /// # fn example(credentials: auth_core::Credentials) -> Result<(), auth_core::OriginError> {
    /// let endpoint = "https://grpc.example.com"; // `Channel::from_static(endpoint)`
    /// let layer = AuthLayer::new(credentials)
    ///     .origin(&Origin::parse(endpoint)?)
    ///     .judge(GrpcJudge::new())
    ///     .buffered(64 * 1024);
    /// # let _ = layer;
    /// # Ok(())
    /// # }
    /// ```
    pub fn origin(mut self, origin: &Origin) -> Self {
        self.origin = Some(RelativeTo::new(origin));
        self
    }

    fn with_replay<T>(self, replay: T) -> AuthLayer<T> {
        AuthLayer {
            credentials: self.credentials,
            judge: self.judge,
            jar: self.jar,
            origin: self.origin,
            replay,
        }
    }
}

impl<S, R: Clone> Layer<S> for AuthLayer<R> {
    type Service = Auth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Auth::new(
            inner,
            self.credentials.clone(),
            self.judge.clone(),
            self.jar.clone(),
            self.origin.clone(),
            self.replay.clone(),
        )
    }
}

impl<R: fmt::Debug> fmt::Debug for AuthLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("identity", self.credentials.identity())
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
