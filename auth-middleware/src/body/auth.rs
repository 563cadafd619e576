//! The body of a response from the tower integration.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use auth_core::Attempt;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Peeked;

pin_project! {
    /// The body of a response from [`Auth`](crate::Auth).
    ///
    /// It has the frames of the inner service's body, all of them and in their order, even if a
    /// judge has read some of them before, or [hears](auth_core::Judge::wants_trailers) the
    /// trailers as they pass.
    ///
    /// # Errors
    /// Those of the inner service's body. If that body failed while a judge read it, the error
    /// comes after the frames that were read.
    pub struct AuthBody<B>
    where
        B: Body<Data = Bytes>,
    {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B>
    where
        B: Body<Data = Bytes>,
    {
        // No judge wanted it.
        Untouched { #[pin] body: B },
        // A judge has read it, or as much of it as a judge may read.
        Judged { peeked: Box<Peeked<B>> },
        // A judge wants its trailers. Boxed, because few judges do.
        Heard { heard: Pin<Box<Heard<B>>> },
    }
}

pin_project! {
    // A body whose trailers are judged as they pass.
    struct Heard<B> {
        #[pin]
        body: B,
        // What sent the request. Taken by the trailers, or by the end without any.
        attempt: Option<Attempt>,
    }
}

impl<B: Body<Data = Bytes>> Heard<B> {
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(trailers) = frame.trailers_ref()
                    && let Some(attempt) = this.attempt.take()
                {
                    attempt.conclude_trailers(trailers);
                }
            }
            Some(Err(_)) | None => *this.attempt = None,
        }
        Poll::Ready(frame)
    }
}

impl<B: Body<Data = Bytes>> AuthBody<B> {
    pub(crate) const fn untouched(body: B) -> Self {
        Self {
            kind: Kind::Untouched { body },
        }
    }

    pub(crate) const fn judged(peeked: Box<Peeked<B>>) -> Self {
        Self {
            kind: Kind::Judged { peeked },
        }
    }

    /// `attempt` is that of the request that was answered.
    #[cold]
    pub(crate) fn heard(body: B, attempt: Attempt) -> Self {
        let attempt = Some(attempt);
        let heard = Box::pin(Heard { body, attempt });
        Self {
            kind: Kind::Heard { heard },
        }
    }
}

impl<B: Body<Data = Bytes>> Body for AuthBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Untouched { body } => body.poll_frame(cx),
            KindProj::Judged { peeked } => Pin::new(&mut **peeked).poll_frame(cx),
            KindProj::Heard { heard } => heard.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Judged { peeked } => peeked.is_end_stream(),
            Kind::Heard { heard } => heard.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            Kind::Judged { peeked } => peeked.size_hint(),
            Kind::Heard { heard } => heard.body.size_hint(),
        }
    }
}

impl<B: Body<Data = Bytes>> fmt::Debug for AuthBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthBody").finish_non_exhaustive()
    }
}
