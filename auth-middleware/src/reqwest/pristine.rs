//! A copy of a request to which no credential was attached, for a replay or for the next hop.

use reqwest::Request;

use crate::redirect::{Hop, Redirects};

/// A copy of a request to which no credential was attached.
pub(super) struct Pristine {
    request: Request,
    /// Whether the copy has the body, if there is one.
    is_whole: bool,
}

impl Pristine {
    /// A copy of `request`. If its body is a stream, the copy has none.
    pub(super) fn of(request: &Request) -> Self {
        if let Some(request) = request.try_clone() {
            let is_whole = true;
            return Self { request, is_whole };
        }
        let mut head = Request::new(request.method().clone(), request.url().clone());
        request.headers().clone_into(head.headers_mut());
        request.timeout().copied().clone_into(head.timeout_mut());
        *head.version_mut() = request.version();
        Self {
            request: head,
            is_whole: false,
        }
    }

    pub(super) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    pub(super) const fn head(&self) -> &Request {
        &self.request
    }

    /// The same request once more.
    pub(super) fn into_request(self) -> Request {
        self.request
    }

    /// The request of the next hop.
    pub(super) fn into_hop(self, hop: Hop, redirects: &Redirects) -> Request {
        let mut request = self.request;
        hop.rewrite(request.headers_mut(), redirects);
        if !hop.keeps_body {
            *request.body_mut() = None;
        }
        *request.method_mut() = hop.method;
        *request.url_mut() = hop.url;
        request
    }
}
