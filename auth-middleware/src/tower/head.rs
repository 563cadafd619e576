//! All but the body of a request, kept while it is sent.

use http::Request;

use crate::headers::KeptHeaders;

/// All but the body of a request.
pub(super) struct KeptHead {
    /// It has no headers.
    request: Request<()>,
    headers: KeptHeaders,
}

impl KeptHead {
    #[inline]
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let mut head = Request::new(());
        request.method().clone_into(head.method_mut());
        request.uri().clone_into(head.uri_mut());
        *head.version_mut() = request.version();
        request.extensions().clone_into(head.extensions_mut());
        Self {
            request: head,
            headers: KeptHeaders::of(request.headers()),
        }
    }

    /// The request as it was, but for its headers.
    pub(super) const fn request(&self) -> &Request<()> {
        &self.request
    }

    /// The request as it was, with this body.
    pub(super) fn with<B>(self, body: B) -> Request<B> {
        let mut request = self.request.map(|()| body);
        *request.headers_mut() = self.headers.read();
        request
    }
}
