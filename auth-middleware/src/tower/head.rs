//! All but the body of a request, kept while it is sent.

use http::{Extensions, Method, Request, Uri, Version};

use crate::headers::KeptHeaders;

/// All but the body of a request.
pub(super) struct KeptHead {
    pub(super) method: Method,
    pub(super) uri: Uri,
    version: Version,
    pub(super) headers: KeptHeaders,
    extensions: Extensions,
}

impl KeptHead {
    #[inline]
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: KeptHeaders::of(request.headers()),
            extensions: request.extensions().clone(),
        }
    }

    /// The request as it was, with this body.
    pub(super) fn with<B>(self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers.read();
        *request.extensions_mut() = self.extensions;
        request
    }
}
