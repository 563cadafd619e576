//! Where requests without a host go.

use auth_core::Origin;
use http::Uri;

/// What a relative URI is completed with.
#[derive(Clone)]
pub(super) struct RelativeTo(Uri);

impl RelativeTo {
    pub(super) fn new(origin: &Origin) -> Self {
        let uri = origin.to_string().parse();
        Self(uri.expect("an origin is a URL"))
    }

    /// Completes `uri` if it has no host. The form `*` has no path to add to and stays.
    pub(super) fn complete(&self, uri: &mut Uri) {
        if uri.authority().is_some() || uri.path() == "*" {
            return;
        }
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = uri.path_and_query().cloned();
        if let Ok(absolute) = Uri::from_parts(parts) {
            *uri = absolute;
        }
    }
}
