//! The service of the tower front.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use auth_core::{Credentials, Error, Judge, LoginMark};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::future::{AuthFuture, Work};
use super::{AuthBody, BoxError};
use crate::context::AuthContext;
use crate::replay::{Cloning, ReplayMode};
use crate::verdict::Sent;

/// What [`AuthLayer`](crate::AuthLayer) makes of a service.
///
/// Ready when the inner service is. A request that finds no fresh credential gives that readiness back before it waits.
///
/// # Errors
/// Those of the inner service; [`auth_core::Error`] where a request in scope can't have a credential, in which case it is
/// not sent, or after a rejection not sent again; [`auth_core::InvalidValue`] where its URI is too long for a credential's query pair.
///
/// # Cancel safety
/// A dropped future cancels its own request and nothing else: a login that it waited for goes on for the others.
#[derive(Clone)]
pub struct Auth<S, R = Cloning> {
    inner: S,
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    replay: R,
}

impl<S, R> Auth<S, R> {
    pub(super) const fn new(
        inner: S,
        credentials: Credentials,
        judge: Option<Arc<dyn Judge>>,
        replay: R,
    ) -> Self {
        Self {
            inner,
            credentials,
            judge,
            replay,
        }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, R> Auth<S, R> {
    /// Lets go of the inner service's readiness, which others may be waiting for.
    fn give_back(&mut self) {
        let unready = self.inner.clone();
        drop(mem::replace(&mut self.inner, unready));
    }
}

impl<S, R, B, ResB> Service<Request<B>> for Auth<S, R>
where
    R: ReplayMode<B>,
    S: Service<Request<R::Body>, Response = Response<ResB>> + Clone,
    S::Error: Into<BoxError>,
    ResB: Body<Data = Bytes>,
{
    type Response = Response<AuthBody<ResB>>;
    type Error = BoxError;
    type Future = AuthFuture<S, R, B, ResB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let context = AuthContext::of(request.extensions());
        let credentials = context.chosen().unwrap_or(&self.credentials);
        if context.is_skip() || !credentials.scope().contains_uri(request.uri()) {
            if !context.is_skip() {
                let uri = request.uri();
                tracing::trace!(
                    scheme = uri.scheme_str(),
                    host = uri.host(),
                    port = uri.port_u16(),
                    "a request out of the credential's scope passes untouched"
                );
            }
            return AuthFuture::passing(self.inner.call(self.replay.pass(request)));
        }
        if is_own_login(credentials, &request) {
            self.give_back();
            return AuthFuture::failed(Error::LoginLoop);
        }

        let ask = context.ask(None);
        let renewal = context.take_renewal();
        let mut spare = self.replay.keep(&request, &self.inner, ask);
        let fresh = if renewal.is_some() {
            None
        } else {
            credentials.with_fresh(|credential, carried| {
                let attached = credential.attach(&mut request);
                attached.map(|()| carried)
            })
        };
        let credentials = credentials.clone();
        let judge = self.judge.clone();
        match fresh {
            Some(Ok(carried)) => {
                let sent = Sent::new(credentials, judge, carried);
                let future = self.inner.call(self.replay.wrap(request, &mut spare));
                return AuthFuture::sending(future, sent, spare);
            }
            Some(Err(error)) => {
                self.give_back();
                return AuthFuture::failed(error);
            }
            None => {}
        }

        // What is ready may be a permit that the login itself needs: give it back before waiting.
        self.give_back();
        let service = self.inner.clone();
        let request = self.replay.wrap(request, &mut spare);
        let renewed = renewal.is_some();
        let work = Work::first(service, request, spare, credentials, judge, ask, renewal);
        let ask = if renewed { ask.renewed() } else { ask };
        AuthFuture::getting(work, ask)
    }
}

fn is_own_login<B>(credentials: &Credentials, request: &Request<B>) -> bool {
    let carried = request.extensions().get::<LoginMark>().copied();
    carried
        .or_else(LoginMark::current)
        .is_some_and(|mark| credentials.owns(mark))
}

impl<S: fmt::Debug, R: fmt::Debug> fmt::Debug for Auth<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("inner", &self.inner)
            .field("identity", self.credentials.identity())
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
