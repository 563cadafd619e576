use std::sync::Arc;

use async_trait::async_trait;
use auth_core::LoginError;
use bytes::Bytes;

/// Sends the request of a login and reads the whole response.
///
/// An implementation
/// - follows no redirect, since a 307 would send the password again, to any host;
/// - keeps no cookies, and attaches no earlier credential;
/// - keeps no idle connection for the next login, which may run on another runtime;
/// - sends `Content-Length: 0` with a `POST`, `PUT` or `PATCH` without a body (RFC 9110, section
///   8.6);
/// - does not retry, since each attempt counts at the server, and the cache decides on the next;
/// - reads at most [`MAX_RESPONSE`](crate::response::MAX_RESPONSE) bytes, after decompression;
/// - has no URL, header or body in its errors.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute, and reads the response, whatever its status.
    ///
    /// # Errors
    /// - [`LoginError::unavailable`], if no response arrived; with
    ///   [`not_sent`](LoginError::not_sent), if no connection came about.
    /// - [`LoginError::timed_out`], if the client has given the request up after a time-out of its
    ///   own. It may still arrive, and count at the server.
    /// - [`LoginError::malformed`], if a successful response is too large, breaks off or can't be
    ///   decoded: its server has judged the password, and may have refused it in what is missing.
    ///   The transports of this crate return that of a logout, whose status says enough.
    ///   Any other status says enough with the part of its body that arrived. The same if the head
    ///   of a response can't be read.
    /// - [`LoginError::misconfigured`], if the request cannot be sent at all.
    ///
    /// # Cancel safety
    /// The cache drops the future when the login's time-out has passed. If that happens while a
    /// body is read, the login fails as the head of the response says, which an implementation
    /// notes by [`LoginMark::answer_began`](auth_core::LoginMark::answer_began).
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
