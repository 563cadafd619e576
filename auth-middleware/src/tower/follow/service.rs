//! The service.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::FollowFuture;
use super::future::Stage;
use super::kept::Kept;
use super::sent::Sent;
use crate::body::AuthBody;
use crate::context::AuthContext;
use crate::redirect::{Chain, FollowedAbove, Redirects};
use crate::target::Target;
use crate::tower::replay::ReplayMode;
use crate::tower::{Auth, BoxError};

/// A service whose requests carry a credential, and which follows redirects. Created by
/// [`AuthLayer::follow_redirects`](crate::AuthLayer::follow_redirects).
///
/// # Errors
/// Those of [`Auth`], and [`RedirectError`](crate::RedirectError).
///
/// # Cancel safety
/// That of [`Auth`].
#[derive(Clone)]
pub struct Follow<S, R> {
    auth: Auth<S, R>,
    redirects: Arc<Redirects>,
}

impl<S, R> Follow<S, R> {
    pub(super) fn new(auth: Auth<S, R>, redirects: Redirects) -> Self {
        let redirects = Arc::new(redirects);
        Self { auth, redirects }
    }

    /// A reference to the inner service.
    pub const fn get_ref(&self) -> &S {
        self.auth.get_ref()
    }

    /// The inner service, without this one.
    pub fn into_inner(self) -> S {
        self.auth.into_inner()
    }
}

impl<S, R, B, ResB> Service<Request<B>> for Follow<S, R>
where
    R: ReplayMode<B> + Clone,
    S: Service<Request<R::Body>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
    B: Body + Default,
    ResB: Body<Data = Bytes>,
{
    type Response = Response<AuthBody<ResB>>;
    type Error = BoxError;
    type Future = FollowFuture<S, R, B, ResB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.auth.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        self.auth.complete(request.uri_mut());
        // An applied context is visible only now, and belongs to all hops.
        let context = AuthContext::of(request.extensions());
        let credentials = context.credentials(self.auth.credentials()).clone();
        // A request that begins without a credential carries none on any hop.
        let is_bare = !request.uri().is_in(credentials.scope());
        // If no context was chosen, none is inserted: it would hide what a layer below applies.
        if context.0.is_some() {
            request.extensions_mut().insert(context);
        }
        let is_followed_above = FollowedAbove::is_in(request.extensions());
        if !is_bare {
            request.extensions_mut().insert(FollowedAbove);
        }
        let kept = Kept::of::<R>(&request);
        let sent = Sent::default();
        request.extensions_mut().insert(sent.clone());
        // The service that is ready sends the first hop, and its clone the others.
        let clone = self.auth.clone();
        let first = mem::replace(&mut self.auth, clone.clone()).call(request);
        FollowFuture {
            stage: Stage::Sending { future: first },
            auth: clone,
            redirects: Arc::clone(&self.redirects),
            chain: Chain::default(),
            credentials,
            is_bare,
            is_followed_above,
            kept: Some(kept),
            sent,
        }
    }
}

impl<S: fmt::Debug, R: fmt::Debug> fmt::Debug for Follow<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow")
            .field("auth", &self.auth)
            .field("redirects", &self.redirects)
            .finish()
    }
}
