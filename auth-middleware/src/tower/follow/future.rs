//! The state machine of one request and its hops.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use auth_core::Credentials;
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;
use url::Url;

use super::kept::Kept;
use super::sent::Sent;
use crate::admission::note_hop_out_of_scope;
use crate::body::AuthBody;
use crate::context::AuthContext;
use crate::redirect::{Answer, Chain, NotFollowed, RedirectError, Redirects};
use crate::target::Target;
use crate::tower::replay::ReplayMode;
use crate::tower::{Auth, AuthFuture, BoxError};

pin_project! {
    /// The response future of [`Follow`](crate::Follow).
    pub struct FollowFuture<S, R, B, ResB>
    where
        R: ReplayMode<B>,
        S: Service<Request<R::Body>>,
        ResB: Body<Data = Bytes>,
    {
        #[pin]
        pub(super) stage: Stage<AuthFuture<S, R, B, ResB>, B>,
        pub(super) auth: Auth<S, R>,
        pub(super) redirects: Arc<Redirects>,
        pub(super) chain: Chain,
        pub(super) credentials: Credentials,
        pub(super) is_bare: bool,
        pub(super) is_followed_above: bool,
        pub(super) kept: Option<Kept<B>>,
        pub(super) sent: Sent,
    }
}

pin_project! {
    #[project = StageProj]
    pub(super) enum Stage<F, B> {
        // Waiting for the response to a hop.
        Sending { #[pin] future: F },
        // Waiting for the service to be ready for the next hop.
        Readying { request: Option<Request<B>> },
    }
}

impl<S, R, B, ResB> Future for FollowFuture<S, R, B, ResB>
where
    R: ReplayMode<B> + Clone,
    S: Service<Request<R::Body>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
    B: Body + Default,
    ResB: Body<Data = Bytes>,
{
    type Output = Result<Response<AuthBody<ResB>>, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            match this.stage.as_mut().project() {
                StageProj::Sending { future } => {
                    let response = ready!(future.poll(cx))?;
                    let not_followed = NotFollowed::is_in(response.extensions());
                    if !Chain::may_redirect(response.status()) || not_followed {
                        return Poll::Ready(Ok(response));
                    }
                    let Some(kept) = this.kept.take() else {
                        return Poll::Ready(Ok(response));
                    };
                    let next = next(
                        this.chain,
                        kept,
                        &response,
                        this.sent,
                        this.redirects,
                        this.credentials,
                    );
                    let next = next?;
                    if next.is_none() && this.redirects.follows() {
                        return Poll::Ready(Ok(NotFollowed::mark(response)));
                    }
                    let Some(mut request) = next.filter(|_| !*this.is_followed_above) else {
                        return Poll::Ready(Ok(response));
                    };
                    *this.kept = Some(Kept::of::<R>(&request));
                    let mut sent = this.sent.clone();
                    let is_in_scope = request.uri().is_in(this.credentials.scope());
                    if !*this.is_bare && !is_in_scope && !skips(&request) {
                        note_hop_out_of_scope(this.credentials, request.uri());
                    }
                    if *this.is_bare || !is_in_scope {
                        request.extensions_mut().insert(AuthContext::skip());
                        sent = sent.by_a_bare_hop(this.credentials);
                    }
                    request.extensions_mut().insert(sent);
                    // The next hop may wait for the connection of this response.
                    drop(response);
                    let request = Some(request);
                    this.stage.set(Stage::Readying { request });
                }
                StageProj::Readying { request } => {
                    ready!(this.auth.poll_ready(cx))?;
                    let request = request
                        .take()
                        .expect("a future is not polled after its end");
                    // The clone is not ready, so nothing is held until the next hop.
                    let clone = this.auth.clone();
                    let mut auth = std::mem::replace(this.auth, clone);
                    // What is applied to the task that polls was not visible to the first hop.
                    let future = AuthContext::without_applied(|| auth.call(request));
                    this.stage.set(Stage::Sending { future });
                }
            }
        }
    }
}

/// The request of the next hop, if the response's redirect is followed.
fn next<B: Body + Default, T>(
    chain: &mut Chain,
    kept: Kept<B>,
    response: &Response<T>,
    sent: &Sent,
    redirects: &Redirects,
    credentials: &Credentials,
) -> Result<Option<Request<B>>, RedirectError> {
    let Ok(url) = Url::parse(&kept.head.uri.to_string()) else {
        return Ok(None);
    };
    let (carried, secrets) = sent.of_hop();
    let above = kept.head.headers.read();
    let answer = Answer {
        method: &kept.head.method,
        url: &url,
        has_body: kept.has_body,
        repeatable: kept.is_repeatable(),
        status: response.status(),
        headers: response.headers(),
        carried,
        above: Some(&above),
        secrets: &secrets,
    };
    let Some(hop) = chain.next(&answer, redirects, credentials)? else {
        return Ok(None);
    };
    let Ok(uri) = Uri::try_from(hop.url.as_str()) else {
        return Ok(None);
    };
    Ok(Some(kept.into_hop(uri, hop, redirects)))
}

impl<S, R, B, ResB> fmt::Debug for FollowFuture<S, R, B, ResB>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>>,
    ResB: Body<Data = Bytes>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FollowFuture").finish_non_exhaustive()
    }
}

/// Whether the request has been told to carry no credential, so that no scope is missed.
fn skips<B>(request: &Request<B>) -> bool {
    let own = request.extensions().get::<AuthContext>();
    own.is_some_and(AuthContext::skips)
}
