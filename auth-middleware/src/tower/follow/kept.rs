//! What is kept of a hop while it is sent, to make the next one from.

use http::{Request, Uri};
use http_body::Body;

use crate::redirect::{Hop, Redirects};
use crate::tower::head::KeptHead;
use crate::tower::replay::ReplayMode;

/// What is kept of a hop while it is sent. It carries no credential.
pub(super) struct Kept<B> {
    pub(super) head: KeptHead,
    body: Option<B>,
    /// Whether there is a body, or may be one.
    pub(super) has_body: bool,
}

impl<B: Body + Default> Kept<B> {
    pub(super) fn of<R: ReplayMode<B>>(request: &Request<B>) -> Self {
        let body = R::copy(request.body());
        Self {
            head: KeptHead::of(request),
            has_body: !request.body().is_end_stream(),
            body,
        }
    }

    /// Whether the request can be sent again with its body.
    pub(super) const fn is_repeatable(&self) -> bool {
        self.body.is_some() || !self.has_body
    }

    /// The request of the next hop.
    pub(super) fn into_hop(self, uri: Uri, hop: Hop, redirects: &Redirects) -> Request<B> {
        let body = self.body.filter(|_| hop.keeps_body).unwrap_or_default();
        let mut request = self.head.with(body);
        hop.rewrite(request.headers_mut(), redirects);
        *request.method_mut() = hop.method;
        *request.uri_mut() = uri;
        request
    }
}
