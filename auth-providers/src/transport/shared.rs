//! What both transports need.

use std::error::Error;
use std::iter::successors;

use auth_core::{LoginError, LoginMark};
use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response};

use super::{ByStatus, CutShort};
use crate::response::MAX_RESPONSE;

/// States the length of a body that is empty, which clients leave out. RFC 9110 (section 8.6) wants
/// it for the methods that usually have a body, and some servers answer 411 without it.
pub(super) fn state_empty_body(request: &mut Request<Bytes>) {
    let wants_body = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    if wants_body && request.body().is_empty() {
        let headers = request.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// A response while its body is read: its head, and the part of its body that has arrived, at most
/// [`MAX_RESPONSE`] bytes.
pub(super) struct Incoming {
    head: Response<()>,
    body: BytesMut,
    /// How much may still arrive.
    room: usize,
    /// Whether a success counts that is not whole.
    by_status: bool,
}

impl Incoming {
    /// Whether the response to this request counts by its status alone.
    pub(super) fn is_by_status<B>(request: &Request<B>) -> bool {
        request.extensions().get::<ByStatus>().is_some()
    }

    /// A response whose head has arrived. Its status counts even if the rest never comes.
    pub(super) fn new(head: Response<()>, by_status: bool) -> Self {
        let begun = head.clone().map(|()| Bytes::new());
        LoginMark::answer_began(CutShort::not_in_time().failure(&begun));
        Self {
            head,
            body: BytesMut::new(),
            room: MAX_RESPONSE,
            by_status,
        }
    }

    pub(super) fn push(&mut self, piece: impl Buf) -> Result<(), CutShort> {
        // An empty piece counts as a byte: a body that has one at hand each time never waits.
        let size = piece.remaining().max(1);
        self.room = self.room.checked_sub(size).ok_or_else(CutShort::too_long)?;
        self.body.put(piece);
        Ok(())
    }

    /// The response, whose body's reading ended as `ended` says.
    ///
    /// A status other than success says enough by itself, so that a refusal is one even if its page
    /// is too long or breaks off. Its body is then what has arrived. A success that is not whole
    /// brings no session, but may end one.
    pub(super) fn finish(self, ended: Result<(), CutShort>) -> Result<Response<Bytes>, LoginError> {
        LoginMark::answer_ended();
        let mut response = self.head.map(|()| self.body.freeze());
        match ended {
            Err(cut) if response.status().is_success() && !self.by_status => {
                Err(cut.failure(&response))
            }
            Err(cut) => {
                response.extensions_mut().insert(cut);
                Ok(response)
            }
            Ok(()) => Ok(response),
        }
    }
}

/// Some servers reject requests without a user agent.
pub(super) const USER_AGENT: &str = concat!("auth-providers/", env!("CARGO_PKG_VERSION"));

/// Whether the client has no TLS. The connector of hyper-util then fails for `https` with an error
/// that only its text distinguishes.
pub(super) fn lacks_tls(error: &(dyn Error + 'static)) -> bool {
    chain(error).any(|error| error.to_string().contains("scheme is not http"))
}

/// The failure if an answer has come whose head can't be read, or is larger than the client reads.
/// It may be a refusal, such as the page of a script that writes its head itself. Hyper's errors
/// for that are told by their text: the clients hide their type.
pub(super) fn unreadable_head(error: &(dyn Error + 'static)) -> Option<LoginError> {
    const SAID: [&str; 5] = [
        "invalid HTTP",
        "invalid content-length",
        "invalid transfer-encoding",
        "unexpected transfer-encoding",
        "message head is too large",
    ];
    let unreadable = chain(error).any(|error| {
        let said = error.to_string();
        SAID.iter().any(|start| said.starts_with(start))
    });
    unreadable.then(|| LoginError::malformed("an answer whose head can't be read"))
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    successors(Some(error), |&error| error.source())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn rule_12_what_has_arrived_is_read_unless_it_is_a_success_that_is_cut_short() {
        for (status, by_status, is_read) in [
            (200, false, false),
            (200, true, true),
            (302, false, true),
            (403, false, true),
            (500, false, true),
        ] {
            let head = Response::builder().status(status).body(()).unwrap();
            let mut incoming = Incoming::new(head, by_status);
            incoming.push(Bytes::from_static(b"locked")).unwrap();
            let response = incoming.finish(Err(CutShort::too_long()));
            assert_eq!(response.is_ok(), is_read, "{status}");
            if let Ok(response) = response {
                assert_eq!(response.body(), "locked");
                assert!(response.extensions().get::<CutShort>().is_some());
            }
        }
    }

    #[test]
    fn a_body_of_empty_pieces_without_end_is_too_long() {
        let mut incoming = Incoming::new(Response::new(()), false);
        let mut pushed = (0..=MAX_RESPONSE).map(|_| incoming.push(Bytes::new()));
        assert!(
            pushed
                .by_ref()
                .take(MAX_RESPONSE)
                .all(|pushed| pushed.is_ok())
        );
        assert!(pushed.all(|pushed| pushed.is_err()));

        let mut incoming = Incoming::new(Response::new(()), false);
        assert!(incoming.push(Bytes::from(vec![0; MAX_RESPONSE])).is_ok());
        assert!(incoming.push(Bytes::from_static(b"1")).is_err());
    }
}
