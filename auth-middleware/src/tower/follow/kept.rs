//! What is kept of a hop while it is sent, to make the next one from.

use http::{Request, Uri};
use http_body::Body;

use crate::redirect::{Hop, Redirects};
use crate::tower::replay::ReplayMode;

/// What is kept of a hop while it is sent. It carries no credential.
pub(super) struct Kept<B> {
    pub(super) head: Request<()>,
    body: Option<B>,
    /// Whether the body can be sent again.
    pub(super) is_repeatable: bool,
}

impl<B: Body + Default> Kept<B> {
    pub(super) fn of<R: ReplayMode<B>>(request: &Request<B>) -> Self {
        let mut head = Request::new(());
        request.method().clone_into(head.method_mut());
        request.uri().clone_into(head.uri_mut());
        *head.version_mut() = request.version();
        request.headers().clone_into(head.headers_mut());
        request.extensions().clone_into(head.extensions_mut());
        let body = R::copy(request.body());
        Self {
            head,
            is_repeatable: body.is_some() || request.body().is_end_stream(),
            body,
        }
    }

    /// The request of the next hop.
    pub(super) fn into_hop(self, uri: Uri, hop: Hop, redirects: &Redirects) -> Request<B> {
        let body = self.body.filter(|_| hop.keeps_body).unwrap_or_default();
        let mut request = self.head.map(|()| body);
        hop.rewrite(request.headers_mut(), redirects);
        *request.method_mut() = hop.method;
        *request.uri_mut() = uri;
        request
    }
}
