//! The service of the tower integration.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use auth_core::{Attempt, Credentials, Judge};
use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body::Body;
use tower_service::Service;

use super::BoxError;
use super::attach::{attach, head_of, target_of};
#[cfg(feature = "follow")]
use super::follow::Sent;
use super::future::{AuthFuture, Work};
use super::origin::RelativeTo;
use super::replay::{Cloning, ReplayMode};
use crate::body::AuthBody;
use crate::context::AuthContext;
use crate::jar::{CookieJar, JarRequest, JarsAbove};

/// A service whose requests carry a credential. Created by [`AuthLayer`](crate::AuthLayer).
///
/// It is ready when the inner service is. If a request finds no fresh credential, or lacks a part
/// of it, it releases that readiness before it waits, and makes the inner service ready again after
/// the wait.
///
/// # Errors
/// - Those of the inner service.
/// - [`auth_core::Error`], if a request in scope cannot get a credential, or a part of the session
///   that it would carry. It is then not sent, or not sent again.
/// - [`auth_core::InvalidValue`], if the credential's query pairs do not fit into the request's
///   URI.
/// - [`BodyFieldError`](crate::BodyFieldError), if the session has [fields of the
///   body](crate#fields-of-the-body) and the body can't have them.
///
/// # Cancel safety
/// Dropping the response future cancels its own request only. A login that it waited for goes on
/// for the other waiters, and its session is kept.
#[derive(Clone)]
pub struct Auth<S, R = Cloning> {
    inner: S,
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    jar: Option<Arc<dyn CookieJar>>,
    origin: Option<RelativeTo>,
    replay: R,
}

impl<S, R> Auth<S, R> {
    pub(super) const fn new(
        inner: S,
        credentials: Credentials,
        judge: Option<Arc<dyn Judge>>,
        jar: Option<Arc<dyn CookieJar>>,
        origin: Option<RelativeTo>,
        replay: R,
    ) -> Self {
        Self {
            inner,
            credentials,
            judge,
            jar,
            origin,
            replay,
        }
    }

    /// Completes a relative URI, if the layer says with what.
    #[inline]
    pub(super) fn complete(&self, uri: &mut Uri) {
        if let Some(origin) = &self.origin {
            origin.complete(uri);
        }
    }

    #[cfg(feature = "follow")]
    pub(super) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// A reference to the inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, without this one.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, R> Auth<S, R> {
    /// Releases the readiness of the inner service, which other tasks may wait for.
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
        self.complete(request.uri_mut());
        let context = AuthContext::of(request.extensions());
        let admission = context.admit(&self.credentials, request.uri(), request.extensions());
        let admission = match admission {
            Ok(Some(admission)) => admission,
            Ok(None) => {
                #[cfg(feature = "follow")]
                let of_hop = Sent::note_bare(&mut request);
                #[cfg(not(feature = "follow"))]
                let of_hop: Option<Credentials> = None;
                let own = || context.credentials(&self.credentials);
                let credentials = of_hop.as_ref().unwrap_or_else(own);
                let jar = JarRequest::bare(credentials, self.jar.as_ref(), request.uri());
                if let Some(jar) = &jar {
                    jar.add_to(request.headers_mut());
                }
                JarRequest::announce(jar.as_deref(), request.extensions_mut());
                let response = self.inner.call(self.replay.pass(request));
                return AuthFuture::passing(response, jar);
            }
            Err(login_loop) => {
                self.give_back();
                return AuthFuture::failed(login_loop);
            }
        };
        let credentials = admission.credentials;
        let jar = JarRequest::carrying(credentials, self.jar.as_ref(), request.uri());
        JarsAbove::tell(request.extensions(), credentials);
        JarRequest::announce(jar.as_deref(), request.extensions_mut());
        let mut request = self.replay.wrap(request);
        let keep = || R::keep(&request, &self.inner, admission.ask);
        let spare = admission.replay.then(keep);
        let judge = self.judge.as_ref();
        let head = Attempt::wants_request(credentials, judge).then(|| head_of(&request));
        let fresh = match admission.renewal {
            Some(_) => None,
            None => Attempt::fresh(credentials, judge, |credential| {
                // If it lacks none, this reads one flag.
                let lacks =
                    !credential.is_complete() && credential.lacks(target_of::<R, B>(&request));
                (!lacks).then(|| attach::<R, B>(credential, jar.as_deref(), &mut request))
            }),
        };
        match fresh {
            Some((attempt, Ok(()))) => {
                let attempt = attempt.of_request(head);
                let attempt = attempt.sent_to(|| target_of::<R, B>(&request));
                AuthFuture::sending(self.inner.call(request), attempt, spare, jar)
            }
            Some((_, Err(error))) => {
                self.give_back();
                AuthFuture::failed(error)
            }
            None => {
                let (credentials, judge) = (credentials.clone(), self.judge.clone());
                let ask = admission.first_ask();
                let renewal = admission.renewal;
                // Readiness may be a permit that the login itself needs, so it is released before
                // the wait.
                self.give_back();
                let service = self.inner.clone();
                let has_body = R::has_data(request.body()).unwrap_or(true);
                let request = (request, has_body);
                let work = Work::first(service, request, spare, credentials, judge, renewal);
                AuthFuture::getting(work, ask, jar)
            }
        }
    }
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
