use std::sync::Arc;

use async_trait::async_trait;
use auth_core::LoginError;
use bytes::Bytes;

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
