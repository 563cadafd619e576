//! The request that a redirect leads to.

use std::sync::Arc;

use auth_core::Credential;
use http::header::{
    AUTHORIZATION, COOKIE, EXPECT, HOST, LAST_MODIFIED, ORIGIN, PROXY_AUTHORIZATION, REFERER,
    SEC_WEBSOCKET_PROTOCOL, TRAILER, TRANSFER_ENCODING, USER_AGENT, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

use super::Redirects;

/// Headers that describe a body (RFC 9110, section 15.4), and those that frame it, beside those
/// whose names begin with `content-`.
const OF_THE_BODY: [HeaderName; 6] = [
    HeaderName::from_static("digest"),
    EXPECT,
    LAST_MODIFIED,
    HeaderName::from_static("repr-digest"),
    TRAILER,
    TRANSFER_ENCODING,
];

/// Headers that are meant for one origin: among them all that reqwest's own redirects leave behind.
/// A subprotocol carries the token of a web socket that is opened from a page.
const OF_THE_ORIGIN: [HeaderName; 8] = [
    AUTHORIZATION,
    COOKIE,
    HeaderName::from_static("cookie2"),
    HOST,
    PROXY_AUTHORIZATION,
    REFERER,
    SEC_WEBSOCKET_PROTOCOL,
    WWW_AUTHENTICATE,
];

/// The request that a redirect leads to.
pub(crate) struct Hop {
    pub(crate) url: Url,
    pub(crate) method: Method,
    /// Whether the body goes along.
    pub(crate) keeps_body: bool,
    /// Whether the headers that describe a body stay behind: the method has changed (RFC 9110,
    /// section 15.4), or there was a body that does.
    pub(super) drops_content: bool,
    pub(super) same_origin: bool,
    /// The credential whose headers stay in the scope.
    pub(super) current: Option<Arc<Credential>>,
}

impl Hop {
    /// Removes the headers that do not go along from those of the hop before, as the caller wrote
    /// them.
    pub(crate) fn rewrite(&self, headers: &mut HeaderMap, redirects: &Redirects) {
        let stays = |(name, value): (&HeaderName, &HeaderValue)| {
            let of_the_body = self.drops_content && is_of_the_body(name);
            let private = !self.same_origin && self.is_private(name, value, redirects);
            (of_the_body || private).then(|| name.clone())
        };
        let staying: Vec<HeaderName> = headers.iter().filter_map(stays).collect();
        for name in staying {
            headers.remove(name);
        }
    }

    /// Whether one of these headers would go along that must not. A client adds them to every
    /// request, so they can't be removed.
    #[cfg(feature = "reqwest")]
    pub(crate) fn must_not_have(&self, added: &HeaderMap, redirects: &Redirects) -> bool {
        let private = |(name, value)| self.is_private(name, value, redirects);
        !self.same_origin && added.iter().any(private)
    }

    fn is_private(&self, name: &HeaderName, value: &HeaderValue, redirects: &Redirects) -> bool {
        let named =
            |current: &Arc<Credential>| current.owns_header(name) && !is_of_any_request(name);
        value.is_sensitive()
            || OF_THE_ORIGIN.contains(name)
            || redirects.private.contains(name)
            || self.current.as_ref().is_some_and(named)
    }
}

/// Whether it says what is sent and what is wanted, or who asks. A client may have it by default,
/// and that the credential has one as well makes no secret of it.
fn is_of_any_request(name: &HeaderName) -> bool {
    let begins = |prefix| name.as_str().starts_with(prefix);
    begins("accept") || begins("content-") || [ORIGIN, USER_AGENT].contains(name)
}

fn is_of_the_body(name: &HeaderName) -> bool {
    name.as_str().starts_with("content-") || OF_THE_BODY.contains(name)
}
