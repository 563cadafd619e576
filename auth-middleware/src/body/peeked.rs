//! The body of a response of which a judge has read the beginning. The caller still gets all of it.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use auth_core::MAX_JUDGED_BODY;
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};

/// The frames that were read ahead, and the body that they were read from.
pub(crate) struct Peeked<B: Body<Data = Bytes>> {
    frames: VecDeque<Frame<Bytes>>,
    /// The number of bytes in `frames`.
    held: usize,
    end: End<B::Error>,
    // It is boxed because it has been polled when it moves into the response.
    rest: Pin<Box<B>>,
}

enum End<E> {
    /// `rest` may have more frames.
    Open,
    /// `rest` has ended.
    Clean,
    /// `rest` has failed. The caller gets the error after the frames.
    Failed(E),
}

impl<B: Body<Data = Bytes>> Peeked<B> {
    pub(crate) fn new(body: B) -> Self {
        Self {
            frames: VecDeque::new(),
            held: 0,
            end: End::Open,
            rest: Box::pin(body),
        }
    }

    /// Reads ahead until the body ends or fails, is known to be larger than [`MAX_JUDGED_BODY`] or
    /// has had more frames than that, or until the time is `over`.
    pub(crate) fn poll_fill_until(
        &mut self,
        over: Pin<&mut (dyn Future<Output = ()> + Send)>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match self.poll_fill(cx) {
            Poll::Pending => over.poll(cx),
            Poll::Ready(()) => Poll::Ready(()),
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while matches!(self.end, End::Open) {
            // Frames may be empty, and a body that has one at hand each time never waits.
            let held = self.held.max(self.frames.len());
            if held > MAX_JUDGED_BODY || self.rest.size_hint().lower() > MAX_JUDGED_BODY as u64 {
                break;
            }
            match ready!(self.rest.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => {
                    self.held += frame.data_ref().map_or(0, Bytes::len);
                    self.frames.push_back(frame);
                }
                Some(Err(error)) => self.end = End::Failed(error),
                None => self.end = End::Clean,
            }
        }
        Poll::Ready(())
    }

    /// All of the body, if it has ended and is no larger than [`MAX_JUDGED_BODY`].
    pub(crate) fn whole(&self) -> Option<Bytes> {
        if !matches!(self.end, End::Clean) || self.held > MAX_JUDGED_BODY {
            return None;
        }
        let mut data = self.frames.iter().filter_map(Frame::data_ref);
        let first = data.next().cloned().unwrap_or_default();
        if first.len() == self.held {
            return Some(first);
        }
        let mut all = BytesMut::with_capacity(self.held);
        all.extend_from_slice(&first);
        data.for_each(|data| all.extend_from_slice(data));
        Some(all.freeze())
    }
}

impl<B: Body<Data = Bytes>> Body for Peeked<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        if let Some(frame) = this.frames.pop_front() {
            this.held -= frame.data_ref().map_or(0, Bytes::len);
            return Poll::Ready(Some(Ok(frame)));
        }
        if matches!(this.end, End::Open) {
            return this.rest.as_mut().poll_frame(cx);
        }
        Poll::Ready(match std::mem::replace(&mut this.end, End::Clean) {
            End::Failed(error) => Some(Err(error)),
            End::Open | End::Clean => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
            && match self.end {
                End::Open => self.rest.is_end_stream(),
                End::Clean => true,
                End::Failed(_) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.held as u64;
        let rest = match self.end {
            End::Open => self.rest.size_hint(),
            // An unknown number of bytes is missing.
            End::Failed(_) => SizeHint::new(),
            End::Clean => SizeHint::with_exact(0),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(held.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(held.saturating_add(upper));
        }
        hint
    }
}

// The body is pinned by its box, and an error is never pinned.
impl<B: Body<Data = Bytes>> Unpin for Peeked<B> {}

impl<B: Body<Data = Bytes>> fmt::Debug for Peeked<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peeked")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::task::Waker;

    use super::*;

    /// Sends frames of these sizes, and counts how often it is asked.
    struct Frames {
        sizes: Vec<usize>,
        hint: u64,
        asked: Arc<AtomicUsize>,
    }

    impl Body for Frames {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            self.asked.fetch_add(1, SeqCst);
            let size = self.sizes.pop();
            Poll::Ready(size.map(|size| Ok(Frame::data(Bytes::from(vec![b'x'; size])))))
        }

        fn size_hint(&self) -> SizeHint {
            let mut hint = SizeHint::new();
            hint.set_lower(self.hint);
            hint
        }
    }

    fn filled(sizes: &[usize], hint: usize, asked: &Arc<AtomicUsize>) -> Peeked<Frames> {
        let mut peeked = Peeked::new(Frames {
            sizes: sizes.iter().rev().copied().collect(),
            hint: hint as u64,
            asked: Arc::clone(asked),
        });
        let mut context = Context::from_waker(Waker::noop());
        assert!(peeked.poll_fill(&mut context).is_ready());
        peeked
    }

    /// How often a body is asked while it is read ahead, and its length if all of it was.
    fn read(sizes: &[usize], hint: usize) -> (usize, Option<usize>) {
        let asked = Arc::default();
        let peeked = filled(sizes, hint, &asked);
        (asked.load(SeqCst), peeked.whole().map(|whole| whole.len()))
    }

    fn next(peeked: &mut Peeked<Frames>) -> Option<usize> {
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(frame) = Pin::new(peeked).poll_frame(&mut context) else {
            panic!("it never waits");
        };
        frame.map(|frame| frame.unwrap().into_data().unwrap().len())
    }

    #[test]
    fn what_was_read_ahead_counts_until_the_caller_has_it() {
        let mut peeked = filled(&[3, 2], 0, &Arc::default());
        for (left, frame) in [(5, Some(3)), (2, Some(2)), (0, None)] {
            assert_eq!(peeked.size_hint().exact(), Some(left));
            assert_eq!(peeked.is_end_stream(), left == 0);
            assert!(format!("{peeked:?}").contains(&format!("held: {left}")));
            assert_eq!(next(&mut peeked), frame);
        }
        // The rest of a body that is too large comes from where it came from.
        let asked = Arc::default();
        let mut peeked = filled(&[MAX_JUDGED_BODY + 1, 1], 0, &asked);
        assert_eq!(peeked.size_hint().lower(), MAX_JUDGED_BODY as u64 + 1);
        assert_eq!(peeked.size_hint().upper(), None);
        for frame in [Some(MAX_JUDGED_BODY + 1), Some(1), None] {
            assert!(!peeked.is_end_stream());
            assert_eq!(next(&mut peeked), frame);
        }
        assert_eq!(asked.load(SeqCst), 3);
    }

    #[test]
    fn rule_7_a_body_of_empty_frames_without_end_is_read_up_to_the_limit() {
        const MOST: usize = MAX_JUDGED_BODY;
        assert_eq!(read(&vec![1; MOST], 0), (MOST + 1, Some(MOST)));
        assert_eq!(read(&vec![0; MOST], 0), (MOST + 1, Some(0)));
        assert_eq!(read(&vec![0; MOST + 10], 0), (MOST + 1, None));
    }

    #[test]
    fn a_body_is_read_up_to_the_limit_and_no_further() {
        const MOST: usize = MAX_JUDGED_BODY;
        assert_eq!(read(&[], 0), (1, Some(0)));
        assert_eq!(
            read(&[MOST - 1, 1], 0),
            (3, Some(MOST)),
            "as large as allowed"
        );
        assert_eq!(read(&[MOST - 1, 2, 1, 1], 0), (2, None), "too large by one");
        assert_eq!(read(&[MOST], MOST), (2, Some(MOST)), "told to be as large");
        assert_eq!(
            read(&[MOST, 1], MOST + 1),
            (0, None),
            "told to be too large"
        );
        assert_eq!(read(&[1, 1], MOST + 2), (0, None));
    }
}
