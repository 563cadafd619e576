//! A request body that is kept while it is sent, so that it can be sent again.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A request body that keeps what was read of it, up to a limit, so that it can be sent again.
    ///
    /// An [`AuthLayer`](crate::AuthLayer) makes it after
    /// [`buffered`](crate::AuthLayer::buffered). It is a stream: each frame is passed on as it
    /// comes. The frames that are kept share the buffers that were sent. Trailers are kept as well.
    ///
    /// The body can be sent again in two cases:
    ///
    /// - The inner service read it to its end.
    /// - The inner service dropped it before its end. The second attempt then sends the frames that
    ///   were kept, followed by the rest.
    ///
    /// It cannot be sent again in three cases:
    ///
    /// - More bytes than the limit were read of it, or its size hint says from the start that it is
    ///   larger.
    /// - It failed.
    /// - The inner service has responded, and still holds the body before its end.
    ///
    /// # Errors
    /// Those of the body that it was made from.
    pub struct ReplayBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        // The body of a request that carries no credential of this layer.
        Passing { #[pin] body: B },
        // The body of a first attempt.
        Recording { recorder: Recorder<B> },
        // The body of a second attempt, or one that was edited.
        Replaying { pieces: VecDeque<Piece>, rest: Option<Pin<Box<B>>> },
    }
}

impl<B> ReplayBody<B> {
    pub(crate) const fn passing(body: B) -> Self {
        Self {
            kind: Kind::Passing { body },
        }
    }
}

impl<B: Body<Data = Bytes>> ReplayBody<B> {
    pub(crate) fn recording(body: B, limit: usize) -> Self {
        let shared = SharedBuffer::new();
        if body.size_hint().lower() > limit as u64 {
            shared.discard();
        }
        let recorder = Recorder {
            shared,
            limit,
            rest: Some(Box::pin(body)),
        };
        let kind = Kind::Recording { recorder };
        Self { kind }
    }

    /// What the body of a second attempt is made from. `None`, unless this is that of a first one.
    pub(crate) fn buffer(&self) -> Option<SharedBuffer<B>> {
        match &self.kind {
            Kind::Recording { recorder } => Some(recorder.shared.clone()),
            Kind::Passing { .. } | Kind::Replaying { .. } => None,
        }
    }

    /// A body with these bytes.
    pub(crate) fn of(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        let mut pieces = VecDeque::new();
        if !data.is_empty() {
            pieces.push_back(Piece::Data(data));
        }
        pieces.extend(trailers.map(Piece::Trailers));
        let kind = Kind::Replaying { pieces, rest: None };
        Self { kind }
    }

    pub(crate) fn from_buffer(shared: &SharedBuffer<B>) -> Option<Self> {
        let mut buffer = shared.lock();
        if buffer.state == BufferState::Discarded
            || (buffer.state == BufferState::Open && buffer.rest.is_none())
        {
            return None;
        }
        let pieces = std::mem::take(&mut buffer.pieces);
        let rest = buffer.rest.take();
        buffer.state = BufferState::Discarded;
        drop(buffer);
        let kind = Kind::Replaying { pieces, rest };
        Some(Self { kind })
    }
}

/// The buffer of a first attempt. The body that is being sent and the future that may send it again
/// share it.
#[doc(hidden)]
#[allow(unnameable_types, reason = "part of a sealed trait")]
pub struct SharedBuffer<B>(Arc<Mutex<Buffer<B>>>);

struct Buffer<B> {
    pieces: VecDeque<Piece>,
    size: usize,
    state: BufferState,
    /// The part that was not read, after the first attempt's body was dropped.
    rest: Option<Pin<Box<B>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BufferState {
    /// The body may have more frames.
    Open,
    /// All of the body is in `pieces`.
    Whole,
    /// The body was too large or failed, or its second attempt has been made.
    Discarded,
}

enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl<B> SharedBuffer<B> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Buffer {
            pieces: VecDeque::new(),
            size: 0,
            state: BufferState::Open,
            rest: None,
        })))
    }

    // Nothing panics under the lock, so a poisoned one is consistent.
    fn lock(&self) -> MutexGuard<'_, Buffer<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn discard(&self) {
        let mut buffer = self.lock();
        buffer.state = BufferState::Discarded;
        buffer.pieces = VecDeque::new();
    }

    fn record(&self, frame: &Frame<Bytes>, limit: usize) {
        let mut buffer = self.lock();
        if buffer.state != BufferState::Open {
            return;
        }
        // The future has responded and is dropped: there is no second attempt.
        if Arc::strong_count(&self.0) == 1 {
            buffer.state = BufferState::Discarded;
            buffer.pieces = VecDeque::new();
            return;
        }
        if let Some(data) = frame.data_ref() {
            buffer.size = buffer.size.saturating_add(data.len());
            if buffer.size > limit {
                buffer.state = BufferState::Discarded;
                buffer.pieces = VecDeque::new();
            } else {
                buffer.pieces.push_back(Piece::Data(data.clone()));
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            buffer.pieces.push_back(Piece::Trailers(trailers.clone()));
        }
    }
}

impl<B> Clone for SharedBuffer<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for SharedBuffer<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer").finish_non_exhaustive()
    }
}

struct Recorder<B> {
    shared: SharedBuffer<B>,
    limit: usize,
    // It is boxed because it has been polled when it moves into the body of the second attempt.
    rest: Option<Pin<Box<B>>>,
}

impl<B: Body<Data = Bytes>> Recorder<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let frame = ready!(rest.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.shared.record(frame, self.limit),
            Some(Err(_)) => self.shared.discard(),
            None => {
                let mut buffer = self.shared.lock();
                if buffer.state == BufferState::Open {
                    buffer.state = BufferState::Whole;
                }
                drop(buffer);
                self.rest = None;
            }
        }
        Poll::Ready(frame)
    }
}

impl<B> Drop for Recorder<B> {
    fn drop(&mut self) {
        let mut buffer = self.shared.lock();
        if buffer.state == BufferState::Open {
            buffer.rest = self.rest.take();
        }
    }
}

impl<B: Body<Data = Bytes>> Body for ReplayBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProj::Passing { body } => body.poll_frame(cx),
            KindProj::Recording { recorder } => recorder.poll_frame(cx),
            KindProj::Replaying { pieces, rest } => match (pieces.pop_front(), rest) {
                (Some(Piece::Data(data)), _) => Poll::Ready(Some(Ok(Frame::data(data)))),
                (Some(Piece::Trailers(map)), _) => Poll::Ready(Some(Ok(Frame::trailers(map)))),
                (None, Some(rest)) => rest.as_mut().poll_frame(cx),
                (None, None) => Poll::Ready(None),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passing { body } => body.is_end_stream(),
            Kind::Recording { recorder } => recorder.rest.as_ref().is_none_or(Body::is_end_stream),
            Kind::Replaying { pieces, rest } => {
                pieces.is_empty() && rest.as_ref().is_none_or(Body::is_end_stream)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let hint_of = |rest: &Option<Pin<Box<B>>>| {
            rest.as_ref()
                .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
        };
        match &self.kind {
            Kind::Passing { body } => body.size_hint(),
            Kind::Recording { recorder } => hint_of(&recorder.rest),
            Kind::Replaying { pieces, rest } => {
                let held = pieces.iter().map(Piece::len).sum::<u64>();
                let rest = hint_of(rest);
                let mut hint = SizeHint::new();
                hint.set_lower(held.saturating_add(rest.lower()));
                if let Some(upper) = rest.upper() {
                    hint.set_upper(held.saturating_add(upper));
                }
                hint
            }
        }
    }
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Trailers(_) => 0,
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").finish_non_exhaustive()
    }
}
