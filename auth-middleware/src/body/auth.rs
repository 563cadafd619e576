//! The body of a response from the tower integration.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::Peeked;

pin_project! {
    /// The body of a response from [`Auth`](crate::Auth).
    ///
    /// It has the frames of the inner service's body, all of them and in their order, even if a
    /// judge has read some of them before.
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Untouched { body } => body.is_end_stream(),
            Kind::Judged { peeked } => peeked.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Untouched { body } => body.size_hint(),
            Kind::Judged { peeked } => peeked.size_hint(),
        }
    }
}

impl<B: Body<Data = Bytes>> fmt::Debug for AuthBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthBody").finish_non_exhaustive()
    }
}
