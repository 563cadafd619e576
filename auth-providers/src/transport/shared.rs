//! What both transports need.

use auth_core::LoginError;
use bytes::{Buf, BufMut as _, Bytes, BytesMut};

use crate::response::MAX_RESPONSE;

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

    pub(super) fn finish(self) -> Bytes {
        self.0.freeze()
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
