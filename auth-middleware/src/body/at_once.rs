//! A request body that is in memory, read at once.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;

use crate::fields::{BodyFieldError, MAX_EDITED_BODY};

/// All that was in a body.
pub(crate) struct Whole {
    pub(crate) data: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

/// Whether a body has anything. A stream of unknown length may have.
pub(crate) fn has_data(body: &impl Body) -> bool {
    !body.is_end_stream() && body.size_hint().exact() != Some(0)
}

impl Whole {
    /// Reads a body that tells its exact length and has all of its frames at hand, as `Full` does.
    /// Any other body may be read in part, and is of no use then.
    ///
    /// # Errors
    /// [`BodyFieldError::NotInMemory`] and [`BodyFieldError::TooLong`].
    pub(crate) fn of<B: Body<Data = Bytes>>(mut body: Pin<&mut B>) -> Result<Self, BodyFieldError> {
        let most = MAX_EDITED_BODY as u64;
        // Whether a stream has its frames at hand depends on the moment, so that it is not tried.
        if body
            .size_hint()
            .exact()
            .ok_or(BodyFieldError::NotInMemory)?
            > most
        {
            return Err(BodyFieldError::TooLong);
        }
        let (mut frames, mut length, mut trailers) = (Vec::new(), 0, None);
        // The body is not polled again if it has to wait, so that nothing need be woken.
        let mut context = Context::from_waker(Waker::noop());
        loop {
            let frame = match body.as_mut().poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(None) => break,
                Poll::Ready(Some(Err(_))) | Poll::Pending => {
                    return Err(BodyFieldError::NotInMemory);
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    length += data.len();
                    if length > MAX_EDITED_BODY {
                        return Err(BodyFieldError::TooLong);
                    }
                    frames.push(data);
                }
                Err(other) => trailers = other.into_trailers().ok().or(trailers),
            }
        }
        let data = if frames.len() == 1 {
            frames.swap_remove(0)
        } else {
            let mut all = BytesMut::with_capacity(length);
            for data in &frames {
                all.extend_from_slice(data);
            }
            all.freeze()
        };
        Ok(Self { data, trailers })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::pin;

    use http_body::{Frame, SizeHint};

    use super::*;

    /// A body of so many frames of half the length that is edited at most.
    struct Stated {
        frames: u32,
        is_over: bool,
        length: Option<u64>,
    }

    impl Body for Stated {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let Some(left) = self.frames.checked_sub(1) else {
                return Poll::Ready(None);
            };
            self.frames = left;
            let half = Bytes::from(vec![b' '; MAX_EDITED_BODY / 2]);
            Poll::Ready(Some(Ok(Frame::data(half))))
        }

        fn is_end_stream(&self) -> bool {
            self.is_over
        }

        fn size_hint(&self) -> SizeHint {
            self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
        }
    }

    #[test]
    fn a_body_has_data_unless_it_is_over_or_states_that_it_is_empty() {
        for (is_over, length, expected) in [
            (false, None, true),
            (false, Some(1), true),
            (false, Some(0), false),
            (true, None, false),
        ] {
            let body = Stated {
                frames: 0,
                is_over,
                length,
            };
            assert_eq!(has_data(&body), expected, "{is_over} {length:?}");
        }
    }

    #[test]
    fn rule_16_a_body_that_is_longer_than_it_states_is_not_read_for_ever() {
        for (frames, is_read) in [(2, true), (3, false), (u32::MAX, false)] {
            let body = pin!(Stated {
                frames,
                is_over: false,
                length: Some(1),
            });
            assert_eq!(Whole::of(body).is_ok(), is_read, "{frames}");
        }
    }
}
