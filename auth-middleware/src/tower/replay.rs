//! The replay modes: how a request is kept, so that it can be sent again.

use std::fmt;
use std::mem;
use std::pin::pin;

use auth_core::Ask;
use bytes::Bytes;
use http::Request;
use http_body::Body;

use super::head::KeptHead;
use crate::body::{ReplayBody, SharedBuffer, Whole, has_data};
use crate::fields::BodyFieldError;

/// How an [`AuthLayer`](crate::AuthLayer) sends a request again whose credential was rejected:
/// [`Cloning`], [`InMemory`], [`Buffering`] or [`NoReplay`].
///
/// The trait is sealed. It is public so that bounds can name it.
#[diagnostic::on_unimplemented(
    message = "a request body `{B}` can't be sent again as `{Self}` does it",
    label = "this body is not `Clone`, or not one that is in memory",
    note = "add `.buffered(limit)` to the `AuthLayer`, which keeps what is sent of a body, or \
            `.without_replay()`, which sends no request twice"
)]
pub trait ReplayMode<B>: sealed::Sealed {
    /// The body that the inner service gets.
    type Body;

    /// What is kept during the first attempt: a pristine copy of the request, and a service to send
    /// it with.
    #[doc(hidden)]
    type Spare<S>;

    /// The request with the body that the inner service gets.
    #[doc(hidden)]
    fn wrap(&self, request: Request<B>) -> Request<Self::Body>;

    /// Keeps a copy of a wrapped request, before its credential is attached. `service` may be
    /// ready, so it is cloned and not taken.
    #[doc(hidden)]
    fn keep<S: Clone>(request: &Request<Self::Body>, service: &S, ask: Ask) -> Self::Spare<S>;

    /// The request of the second attempt, if it can be sent twice.
    #[doc(hidden)]
    fn again<S>(spare: Self::Spare<S>) -> Option<Again<S, Self::Body>>;

    /// A request that passes untouched, with the body that the inner service gets.
    #[doc(hidden)]
    fn pass(&self, request: Request<B>) -> Request<Self::Body>;

    /// A copy of a body, for a redirect that repeats it. `None` for a body that can't be copied.
    #[doc(hidden)]
    fn copy(body: &B) -> Option<B>;

    /// Whether a wrapped body has anything.
    #[doc(hidden)]
    fn has_data(_: &Self::Body) -> Result<bool, BodyFieldError> {
        Err(BodyFieldError::ReplayMode)
    }

    /// Puts the copy that `edit` makes of a wrapped body in its place, unless it is empty. Returns
    /// the length of the copy.
    #[doc(hidden)]
    fn edit(
        _: &mut Self::Body,
        _: impl FnOnce(&[u8]) -> Result<Bytes, BodyFieldError>,
    ) -> Result<Option<usize>, BodyFieldError> {
        Err(BodyFieldError::ReplayMode)
    }
}

mod sealed {
    #[allow(unnameable_types, reason = "part of a sealed trait")]
    pub trait Sealed {}
}

/// The request of a second attempt.
#[doc(hidden)]
#[allow(unnameable_types, reason = "part of a sealed trait")]
pub struct Again<S, B> {
    pub(super) service: S,
    pub(super) request: Request<B>,
    pub(super) ask: Ask,
}

/// What is kept of a request and its body, and a service to send it with.
#[doc(hidden)]
#[allow(unnameable_types, reason = "part of a sealed trait")]
pub struct Kept<S, T> {
    service: S,
    head: KeptHead,
    body: T,
    ask: Ask,
}

impl<S: Clone, T> Kept<S, T> {
    #[inline]
    fn of<B>(request: &Request<B>, body: T, service: &S, ask: Ask) -> Self {
        Self {
            service: service.clone(),
            head: KeptHead::of(request),
            body,
            ask,
        }
    }
}

impl<S, T> Kept<S, T> {
    fn again<B>(self, body: impl FnOnce(T) -> Option<B>) -> Option<Again<S, B>> {
        Some(Again {
            service: self.service,
            request: self.head.with(body(self.body)?),
            ask: self.ask,
        })
    }
}

impl<S, T> fmt::Debug for Kept<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

impl<S, B> fmt::Debug for Again<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Again").finish_non_exhaustive()
    }
}

/// Clones each request before it is sent, and its body with it.
///
/// This suits bodies that are cheap to clone, such as `Full<Bytes>`, whose clone counts a
/// reference.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Cloning;

impl sealed::Sealed for Cloning {}

// Without the attribute, the compiler names the missing `Clone` and not the remedy.
#[diagnostic::do_not_recommend]
impl<B: Clone> ReplayMode<B> for Cloning {
    type Body = B;
    type Spare<S> = Kept<S, B>;

    #[inline]
    fn wrap(&self, request: Request<B>) -> Request<B> {
        request
    }

    #[inline]
    fn keep<S: Clone>(request: &Request<B>, service: &S, ask: Ask) -> Kept<S, B> {
        Kept::of(request, request.body().clone(), service, ask)
    }

    fn again<S>(spare: Kept<S, B>) -> Option<Again<S, B>> {
        spare.again(Some)
    }

    #[inline]
    fn pass(&self, request: Request<B>) -> Request<B> {
        request
    }

    fn copy(body: &B) -> Option<B> {
        Some(body.clone())
    }
}

/// Clones each request before it is sent, as [`Cloning`] does, and sets [fields of the
/// body](crate#fields-of-the-body).
///
/// This suits bodies that are made of bytes in memory, such as `Full<Bytes>`.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct InMemory;

impl sealed::Sealed for InMemory {}

#[diagnostic::do_not_recommend]
impl<B: Body<Data = Bytes> + Clone + From<Bytes>> ReplayMode<B> for InMemory {
    type Body = B;
    type Spare<S> = Kept<S, B>;

    #[inline]
    fn wrap(&self, request: Request<B>) -> Request<B> {
        request
    }

    #[inline]
    fn keep<S: Clone>(request: &Request<B>, service: &S, ask: Ask) -> Kept<S, B> {
        <Cloning as ReplayMode<B>>::keep(request, service, ask)
    }

    fn again<S>(spare: Kept<S, B>) -> Option<Again<S, B>> {
        spare.again(Some)
    }

    #[inline]
    fn pass(&self, request: Request<B>) -> Request<B> {
        request
    }

    fn copy(body: &B) -> Option<B> {
        Some(body.clone())
    }

    fn has_data(body: &B) -> Result<bool, BodyFieldError> {
        Ok(has_data(body))
    }

    fn edit(
        body: &mut B,
        edit: impl FnOnce(&[u8]) -> Result<Bytes, BodyFieldError>,
    ) -> Result<Option<usize>, BodyFieldError> {
        let Whole { data, trailers } = Whole::of(pin!(mem::replace(body, Bytes::new().into())))?;
        // Bytes alone can't say trailers.
        if trailers.is_some() {
            return Err(BodyFieldError::NotInMemory);
        }
        if data.is_empty() {
            return Ok(None);
        }
        let copy = edit(&data)?;
        let length = copy.len();
        *body = copy.into();
        Ok(Some(length))
    }
}

/// Keeps the body of each request while it is sent, up to a limit. See [`ReplayBody`].
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

impl<B: Body<Data = Bytes>> ReplayMode<B> for Buffering {
    type Body = ReplayBody<B>;
    type Spare<S> = Kept<S, Option<SharedBuffer<B>>>;

    fn wrap(&self, request: Request<B>) -> Request<ReplayBody<B>> {
        request.map(|body| ReplayBody::recording(body, self.limit))
    }

    fn keep<S: Clone>(
        request: &Request<ReplayBody<B>>,
        service: &S,
        ask: Ask,
    ) -> Kept<S, Option<SharedBuffer<B>>> {
        Kept::of(request, request.body().buffer(), service, ask)
    }

    fn again<S>(spare: Kept<S, Option<SharedBuffer<B>>>) -> Option<Again<S, ReplayBody<B>>> {
        spare.again(|buffer| ReplayBody::from_buffer(&buffer?))
    }

    fn pass(&self, request: Request<B>) -> Request<ReplayBody<B>> {
        request.map(ReplayBody::passing)
    }

    fn copy(_: &B) -> Option<B> {
        None
    }

    fn has_data(body: &ReplayBody<B>) -> Result<bool, BodyFieldError> {
        Ok(has_data(body))
    }

    /// The body records itself while it is read, so that a replay has what the caller wrote.
    fn edit(
        body: &mut ReplayBody<B>,
        edit: impl FnOnce(&[u8]) -> Result<Bytes, BodyFieldError>,
    ) -> Result<Option<usize>, BodyFieldError> {
        let taken = mem::replace(body, ReplayBody::of(Bytes::new(), None));
        let Whole { data, trailers } = Whole::of(pin!(taken))?;
        let (data, length) = if data.is_empty() {
            (data, None)
        } else {
            let copy = edit(&data)?;
            let length = copy.len();
            (copy, Some(length))
        };
        *body = ReplayBody::of(data, trailers);
        Ok(length)
    }
}

/// Sends no request twice. The caller gets the response that rejected its credential, and the next
/// request finds a new session.
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
    fn keep<S: Clone>(_: &Request<B>, _: &S, _: Ask) {}

    fn again<S>((): ()) -> Option<Again<S, B>> {
        None
    }

    #[inline]
    fn pass(&self, request: Request<B>) -> Request<B> {
        request
    }

    fn copy(_: &B) -> Option<B> {
        None
    }
}
