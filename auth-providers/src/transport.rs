//! What carries a login's request to the server and its response back.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::LoginError;
use bytes::Bytes;
#[cfg(any(feature = "reqwest", feature = "tower"))]
use bytes::BytesMut;

#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "tower")]
mod tower;

#[cfg(feature = "reqwest")]
pub use self::reqwest::{ClientError, ReqwestTransport};
#[cfg(feature = "tower")]
pub use self::tower::TowerTransport;

/// Carries one request and brings the whole response.
///
/// For a login to be safe, a transport
/// - follows no redirect: a 307 would send the password again, to any host;
/// - keeps no cookies and attaches no old credential;
/// - does not retry: each try counts at the server, and the cache decides on the next;
/// - reads no more than [`MAX_RESPONSE`](crate::response::MAX_RESPONSE) bytes, after decompression;
/// - names no URL, header or body in its errors.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and reads the response, whatever its status.
    ///
    /// # Errors
    /// [`LoginError::unavailable`] where no response came; [`LoginError::malformed`] where it was too large;
    /// [`LoginError::misconfigured`] where the request can't be sent at all.
    ///
    /// # Cancel safety
    /// The future is dropped when a login takes longer than its time-out.
    async fn carry(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, LoginError>;
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Arc<T> {
    async fn carry(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, LoginError> {
        (**self).carry(request).await
    }
}

#[async_trait]
impl<T: Transport + ?Sized> Transport for Box<T> {
    async fn carry(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<Bytes>, LoginError> {
        (**self).carry(request).await
    }
}

/// A response's body as it comes in, up to the bound.
#[cfg(any(feature = "reqwest", feature = "tower"))]
#[derive(Default)]
struct Bounded(BytesMut);

#[cfg(any(feature = "reqwest", feature = "tower"))]
impl Bounded {
    fn push(&mut self, piece: impl bytes::Buf) -> Result<(), LoginError> {
        if piece.remaining() > crate::response::MAX_RESPONSE - self.0.len() {
            return Err(LoginError::malformed(format!(
                "more than {} KiB",
                crate::response::MAX_RESPONSE / 1024
            )));
        }
        bytes::BufMut::put(&mut self.0, piece);
        Ok(())
    }

    fn finish(self) -> Bytes {
        self.0.freeze()
    }
}

/// How we name ourselves: some servers turn away those that have no name.
#[cfg(any(feature = "reqwest", feature = "tower"))]
const USER_AGENT: &str = concat!("auth-providers/", env!("CARGO_PKG_VERSION"));

/// Without TLS, hyper-util's connector takes every scheme but http for a mistake. It has no other way to say so than its text.
#[cfg(any(feature = "reqwest", feature = "tower"))]
fn lacks_tls(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().contains("scheme is not http") {
            return true;
        }
        cause = error.source();
    }
    false
}
