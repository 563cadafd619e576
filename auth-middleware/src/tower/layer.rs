//! The configuration of the tower integration.

use std::fmt;
use std::sync::Arc;

use auth_core::{Credentials, Judge};
use tower_layer::Layer;

use super::Auth;
use super::replay::{Buffering, Cloning, NoReplay};

/// Puts a credential on each request of a tower stack, judges the answer, and sends a rejected request once more.
///
/// `R` is how: by cloning the request (the default, for bodies that are `Clone`), by [remembering](Self::buffered) its
/// body, or [not at all](Self::without_replay).
///
/// A request is in the credential's scope only if its URI is absolute. One without a host, as some stacks have above
/// the layer that completes it, passes untouched: put this layer below that one. The `Host` header is not asked, since
/// what it says is not where the request goes.
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
    replay: R,
}

impl AuthLayer {
    /// A layer for one identity. Request bodies must be `Clone`; for others see [`buffered`](Self::buffered) and
    /// [`without_replay`](Self::without_replay).
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            judge: None,
            replay: Cloning,
        }
    }
}

impl<R> AuthLayer<R> {
    /// Remembers up to `limit` bytes of each request's body while it is sent, so that it can be sent again. The inner
    /// service gets a [`ReplayBody`](crate::ReplayBody). A larger body is sent once: if its credential is rejected, the
    /// caller gets that answer at once.
    pub fn buffered(self, limit: usize) -> AuthLayer<Buffering> {
        self.with_replay(Buffering::up_to(limit))
    }

    /// Sends nothing twice, whatever the body. The caller gets the answer that rejected its credential; the login begins
    /// beside it, and the next request finds a new session.
    pub fn without_replay(self) -> AuthLayer<NoReplay> {
        self.with_replay(NoReplay)
    }

    /// Reads verdicts with this judge instead of the provider's, for another identity's requests too.
    pub fn judge(mut self, judge: impl Judge) -> Self {
        self.judge = Some(Arc::new(judge));
        self
    }

    fn with_replay<T>(self, replay: T) -> AuthLayer<T> {
        AuthLayer {
            credentials: self.credentials,
            judge: self.judge,
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
