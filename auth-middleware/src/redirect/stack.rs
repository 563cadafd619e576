//! What the integrations of one stack tell each other about redirects. Each knows what must not
//! leave its own scope, and nothing of what another has put on the request.

use http::Extensions;

/// In the extensions of a request and all its hops: the integration above has put its credential on
/// the request and follows its redirects, so that one below does not.
#[derive(Clone, Copy)]
pub(crate) struct FollowedAbove;

impl FollowedAbove {
    pub(crate) fn is_in(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}

/// In the extensions of a response: a redirect that is not to be followed, by an integration above
/// either. It leads to the login page, or it would take something away.
#[derive(Clone, Copy)]
pub(crate) struct NotFollowed;

impl NotFollowed {
    /// Marks a response that redirects.
    #[cfg(feature = "follow")]
    pub(crate) fn mark<B>(mut response: http::Response<B>) -> http::Response<B> {
        if super::Chain::may_redirect(response.status()) {
            response.extensions_mut().insert(Self);
        }
        response
    }

    pub(crate) fn is_in(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}
