//! The redirects of one request so far, and where the next one leads.

use auth_core::{Attempt, Credential, Credentials, Stamp};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use url::Url;

use super::secrets::QuerySecrets;
use super::{Hop, RedirectError, Redirects};
use crate::target::Target;

/// The redirects of one request so far.
#[derive(Default)]
pub(crate) struct Chain {
    /// How many redirects were followed.
    taken: usize,
    /// The requests that were sent since a response last set a cookie, or the credential changed.
    seen: Vec<(Method, Url)>,
    /// The credential at the redirect before.
    stamp: Option<Stamp>,
}

/// A response that may redirect, and the request that it answers.
pub(crate) struct Answer<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    /// Whether the request has no body, or one that can be sent again.
    pub(crate) repeatable: bool,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
}

impl Chain {
    /// Whether a response with this status may redirect. Nothing else need be looked at then.
    #[inline]
    pub(crate) const fn may_redirect(status: StatusCode) -> bool {
        matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
    }

    /// The next hop. `None` means that the caller gets the response.
    ///
    /// `credentials` are those of the request, whether or not this hop carried a credential.
    ///
    /// # Errors
    /// [`RedirectError::TooMany`] and [`RedirectError::Loop`].
    pub(crate) fn next(
        &mut self,
        answer: &Answer<'_>,
        redirects: &Redirects,
        credentials: &Credentials,
    ) -> Result<Option<Hop>, RedirectError> {
        if !redirects.follows() || !Self::may_redirect(answer.status) {
            return Ok(None);
        }
        let Some(url) = location(answer) else {
            return Ok(None);
        };
        let (method, keeps_body) = next_method(answer.method, answer.status);
        if keeps_body && !answer.repeatable {
            return Ok(None);
        }
        let scope = credentials.scope();
        // The response may have ended the session that its request carried.
        let leaves = answer.url.is_in(scope) && !url.is_in(scope);
        let current = Attempt::latest(credentials);
        if leaves && (redirects.within_scope || takes_a_secret(&url, current.as_deref())) {
            return Ok(None);
        }
        if self.taken == redirects.most {
            return Err(RedirectError::TooMany {
                most: redirects.most,
            });
        }
        self.taken += 1;
        self.note(answer, current.as_deref().map(Credential::stamp));
        let sent = without_fragment(&url);
        if self.seen.iter().any(|(m, u)| *m == method && *u == sent) {
            let origin = url.origin().ascii_serialization();
            return Err(RedirectError::Loop { origin });
        }
        Ok(Some(Hop {
            same_origin: url.origin() == answer.url.origin(),
            url,
            method,
            keeps_body,
            current,
        }))
    }

    fn note(&mut self, answer: &Answer<'_>, stamp: Option<Stamp>) {
        let has_changed = self.taken > 1 && self.stamp != stamp;
        self.stamp = stamp;
        // The next request may carry another cookie or credential, so the same URL is no circle.
        if has_changed || answer.headers.contains_key(SET_COOKIE) {
            self.seen.clear();
            return;
        }
        let sent = without_fragment(answer.url);
        self.seen.push((answer.method.clone(), sent));
    }
}

/// A URL as it is sent.
fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

/// The URL that the response redirects to, if it may be followed.
fn location(answer: &Answer<'_>) -> Option<Url> {
    let mut all = answer.headers.get_all(LOCATION).iter();
    // Fetch fails if there are several that differ.
    let first = all.next()?;
    if all.any(|other| other != first) {
        return None;
    }
    // It would be the URL of the request, and lead nowhere else.
    if first.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(first.as_bytes()).ok()?;
    let url = answer.url.join(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let names_a_user = !url.username().is_empty() || url.password().is_some();
    let is_downgrade = answer.url.scheme() == "https" && url.scheme() == "http";
    (is_web && !names_a_user && !is_downgrade).then_some(url)
}

/// The method of the next request, and whether it keeps the body (Fetch, "HTTP-redirect fetch",
/// step 12).
fn next_method(method: &Method, status: StatusCode) -> (Method, bool) {
    let to_get = match status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::POST,
        StatusCode::SEE_OTHER => method != Method::GET && method != Method::HEAD,
        _ => false,
    };
    if to_get {
        (Method::GET, false)
    } else {
        (method.clone(), true)
    }
}

/// Whether the server has put a secret of the query that it was sent into a URL out of the scope,
/// such as `?next=` and the URL of the request.
fn takes_a_secret(url: &Url, current: Option<&Credential>) -> bool {
    current.is_some_and(|current| QuerySecrets::of(current).is_in(url.as_str()))
}
