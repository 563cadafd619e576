//! What both transports need.

use auth_core::LoginError;
use bytes::{Buf, BufMut as _, Bytes, BytesMut};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, StatusCode};

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

/// The part of a response's body that has arrived, at most [`MAX_RESPONSE`] bytes.
#[derive(Default)]
pub(super) struct BoundedBody(BytesMut);

impl BoundedBody {
    pub(super) fn push(&mut self, piece: impl Buf) -> Result<(), LoginError> {
        if piece.remaining() > MAX_RESPONSE - self.0.len() {
            return Err(LoginError::malformed(format!(
                "more than {} KiB",
                MAX_RESPONSE / 1024
            )));
        }
        self.0.put(piece);
        Ok(())
    }

    /// The body of a response with this status, whose reading ended as `ended` says.
    ///
    /// A status other than success says enough by itself, so that a refusal is one even if its page
    /// is too long or breaks off. Its body is then what has arrived.
    pub(super) fn finish(
        self,
        status: StatusCode,
        ended: Result<(), LoginError>,
    ) -> Result<Bytes, LoginError> {
        match ended {
            Err(error) if status.is_success() => Err(error),
            _ => Ok(self.0.freeze()),
        }
    }
}

/// Some servers reject requests without a user agent.
pub(super) const USER_AGENT: &str = concat!("auth-providers/", env!("CARGO_PKG_VERSION"));

/// Whether the client has no TLS. The connector of hyper-util then fails for `https` with an error
/// that only its text distinguishes.
pub(super) fn lacks_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("scheme is not http") {
            return true;
        }
        cause = error.source();
    }
    false
}
