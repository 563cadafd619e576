//! What may be sent twice.

use std::fmt;

use auth_core::Ask;
use bytes::Bytes;
use http::Request;
use http_body::Body;

use crate::body::{ReplayBody, Tape};

/// How an [`AuthLayer`](crate::AuthLayer) sends a request again whose credential was rejected: [`Cloning`], [`Buffering`]
/// or [`NoReplay`].
///
/// Sealed: it is here to be named in bounds.
pub trait ReplayMode<B>: sealed::Sealed {
    /// The body that the inner service gets.
    type Body;

    /// What is kept while the first try is on its way: a pristine copy of the request, and a service to send it.
    #[doc(hidden)]
    type Spare<S>;

    /// The request as the inner service gets it.
    #[doc(hidden)]
    fn wrap(&self, request: Request<B>) -> Request<Self::Body>;

    /// What is kept of a wrapped request before its credential is attached. `service` may be a
    /// readied one: it is cloned, not taken.
    #[doc(hidden)]
    fn keep<S: Clone>(
        &self,
        request: &Request<Self::Body>,
        service: &S,
        ask: Ask,
    ) -> Self::Spare<S>;

    /// The second try, if the request can be sent twice.
    #[doc(hidden)]
    fn again<S>(spare: Self::Spare<S>) -> Option<Again<S, Self::Body>>;

    /// A request that is none of our business.
    #[doc(hidden)]
    fn pass(&self, request: Request<B>) -> Request<Self::Body>;
}

mod sealed {
    #[allow(unnameable_types, reason = "part of a sealed trait")]
    pub trait Sealed {}
}

/// A second try.
#[doc(hidden)]
#[allow(unnameable_types, reason = "part of a sealed trait")]
pub struct Again<S, B> {
    pub(super) service: S,
    pub(super) request: Request<B>,
    pub(super) ask: Ask,
}

impl<S, B> fmt::Debug for Again<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").finish_non_exhaustive()
    }
}

/// A request is cloned before it is sent, its body with it: for bodies such as `Full<Bytes>`, whose clone is a reference
/// count.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Cloning;

impl sealed::Sealed for Cloning {}

impl<B: Clone> ReplayMode<B> for Cloning {
    type Body = B;
    type Spare<S> = Again<S, B>;

    #[inline]
    fn wrap(&self, request: Request<B>) -> Request<B> {
        request
    }

    #[inline]
    fn keep<S: Clone>(&self, request: &Request<B>, service: &S, ask: Ask) -> Again<S, B> {
        Again {
            service: service.clone(),
            request: request.clone(),
            ask,
        }
    }

    fn again<S>(spare: Again<S, B>) -> Option<Again<S, B>> {
        Some(spare)
    }

    #[inline]
    fn pass(&self, request: Request<B>) -> Request<B> {
        request
    }
}

/// Bodies are remembered while they are sent, up to a limit: see [`ReplayBody`].
#[derive(Clone, Copy, Debug)]
pub struct Buffering {
    limit: usize,
}

impl Buffering {
    pub(super) const fn up_to(limit: usize) -> Self {
        Self { limit }
    }
}

impl sealed::Sealed for Buffering {}

#[doc(hidden)]
#[allow(unnameable_types, reason = "part of a sealed trait")]
#[derive(Debug)]
pub struct Buffered<S, B> {
    service: S,
    head: Request<()>,
    tape: Option<Tape<B>>,
    ask: Ask,
}

impl<B: Body<Data = Bytes>> ReplayMode<B> for Buffering {
    type Body = ReplayBody<B>;
    type Spare<S> = Buffered<S, B>;

    fn wrap(&self, request: Request<B>) -> Request<ReplayBody<B>> {
        request.map(|body| ReplayBody::recording(body, self.limit))
    }

    fn keep<S: Clone>(
        &self,
        request: &Request<ReplayBody<B>>,
        service: &S,
        ask: Ask,
    ) -> Buffered<S, B> {
        let mut head = Request::new(());
        request.method().clone_into(head.method_mut());
        request.uri().clone_into(head.uri_mut());
        *head.version_mut() = request.version();
        request.headers().clone_into(head.headers_mut());
        request.extensions().clone_into(head.extensions_mut());
        Buffered {
            service: service.clone(),
            head,
            tape: request.body().tape(),
            ask,
        }
    }

    fn again<S>(spare: Buffered<S, B>) -> Option<Again<S, ReplayBody<B>>> {
        let body = ReplayBody::from_tape(&spare.tape?)?;
        Some(Again {
            service: spare.service,
            request: spare.head.map(|()| body),
            ask: spare.ask,
        })
    }

    fn pass(&self, request: Request<B>) -> Request<ReplayBody<B>> {
        request.map(ReplayBody::passing)
    }
}

/// Nothing is sent twice: the caller gets the answer that rejected its credential, and the next request finds a new session.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoReplay;

impl sealed::Sealed for NoReplay {}

impl<B> ReplayMode<B> for NoReplay {
    type Body = B;
    type Spare<S> = ();

    #[inline]
    fn wrap(&self, request: Request<B>) -> Request<B> {
        request
    }

    #[inline]
    fn keep<S: Clone>(&self, _: &Request<B>, _: &S, _: Ask) {}

    fn again<S>((): ()) -> Option<Again<S, B>> {
        None
    }

    #[inline]
    fn pass(&self, request: Request<B>) -> Request<B> {
        request
    }
}
