//! A request body that is remembered while it is sent.

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
    /// A request body that remembers what was read of it, up to a limit, so that it can be sent again.
    ///
    /// It streams: nothing is held back until the whole body is there. What is remembered are references to the very
    /// buffers that were sent, trailers included.
    ///
    /// It is sent again if its first sender has read it to the end within the limit, or has let go of it before the end:
    /// then the second sending is what was remembered, followed by the rest. It is *not* sent again if it is larger than
    /// the limit, if it failed, or if the first sender is still reading it when the answer comes.
    pub struct ReplayBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<B> {
        // Of a request that is none of our business.
        Passing { #[pin] body: B },
        // Of a first try.
        Recording { recorder: Recorder<B> },
        // Of a second try.
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
        let tape = Tape::new();
        if body.size_hint().lower() > limit as u64 {
            tape.lose();
        }
        let recorder = Recorder {
            tape,
            limit,
            rest: Some(Box::pin(body)),
        };
        let kind = Kind::Recording { recorder };
        Self { kind }
    }

    /// What a second sending is made from; none unless this is a first one.
    pub(crate) fn tape(&self) -> Option<Tape<B>> {
        match &self.kind {
            Kind::Recording { recorder } => Some(recorder.tape.clone()),
            Kind::Passing { .. } | Kind::Replaying { .. } => None,
        }
    }

    pub(crate) fn from_tape(tape: &Tape<B>) -> Option<Self> {
        let mut reel = tape.lock();
        if reel.state == TapeState::Lost || (reel.state == TapeState::Open && reel.rest.is_none()) {
            return None;
        }
        let pieces = std::mem::take(&mut reel.pieces);
        let rest = reel.rest.take();
        reel.state = TapeState::Lost;
        drop(reel);
        let kind = Kind::Replaying { pieces, rest };
        Some(Self { kind })
    }
}

/// What a first sending leaves for a second, shared by the body under way and the future that may send it again.
pub(crate) struct Tape<B>(Arc<Mutex<Reel<B>>>);

struct Reel<B> {
    pieces: VecDeque<Piece>,
    size: usize,
    state: TapeState,
    /// The unread rest, once the first sender has let go of it.
    rest: Option<Pin<Box<B>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TapeState {
    /// There may be more to come.
    Open,
    /// All of the body is in `pieces`.
    Whole,
    /// It was too large, or failed, or is played already.
    Lost,
}

enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl<B> Tape<B> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(Reel {
            pieces: VecDeque::new(),
            size: 0,
            state: TapeState::Open,
            rest: None,
        })))
    }

    // Nothing panics under the lock; a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Reel<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lose(&self) {
        let mut reel = self.lock();
        reel.state = TapeState::Lost;
        reel.pieces = VecDeque::new();
    }

    fn record(&self, frame: &Frame<Bytes>, limit: usize) {
        let mut reel = self.lock();
        if reel.state != TapeState::Open {
            return;
        }
        // The answer has come and the future is gone: nobody will ask for what is remembered.
        if Arc::strong_count(&self.0) == 1 {
            reel.state = TapeState::Lost;
            reel.pieces = VecDeque::new();
            return;
        }
        if let Some(data) = frame.data_ref() {
            reel.size = reel.size.saturating_add(data.len());
            if reel.size > limit {
                reel.state = TapeState::Lost;
                reel.pieces = VecDeque::new();
            } else {
                reel.pieces.push_back(Piece::Data(data.clone()));
            }
        } else if let Some(trailers) = frame.trailers_ref() {
            reel.pieces.push_back(Piece::Trailers(trailers.clone()));
        }
    }
}

impl<B> Clone for Tape<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B> fmt::Debug for Tape<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").finish_non_exhaustive()
    }
}

struct Recorder<B> {
    tape: Tape<B>,
    limit: usize,
    // Boxed, so that what was polled here can be polled on by the second try.
    rest: Option<Pin<Box<B>>>,
}

impl<B: Body<Data = Bytes>> Recorder<B> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let Some(rest) = &mut self.rest else {
            return Poll::Ready(None);
        };
        let frame = ready!(rest.as_mut().poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.tape.record(frame, self.limit),
            Some(Err(_)) => self.tape.lose(),
            None => {
                let mut reel = self.tape.lock();
                if reel.state == TapeState::Open {
                    reel.state = TapeState::Whole;
                }
                drop(reel);
                self.rest = None;
            }
        }
        Poll::Ready(frame)
    }
}

impl<B> Drop for Recorder<B> {
    fn drop(&mut self) {
        let mut reel = self.tape.lock();
        if reel.state == TapeState::Open {
            reel.rest = self.rest.take();
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
