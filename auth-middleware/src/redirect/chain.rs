//! The redirects of one request so far, and where the next one leads.

use std::borrow::Cow;
use std::sync::Arc;

use auth_core::{Attempt, Credential, Credentials, Origin, Stamp};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use percent_encoding::{AsciiSet, percent_encode};
use url::Url;

use super::{Hop, RedirectError, Redirects, Secrets};
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
    /// The credentials at the redirects so far.
    carried: Vec<Arc<Credential>>,
    /// What an integration above has put on the requests.
    above: Secrets,
    /// What a hop carried is not at hand any more: since then the handle was closed, or the session
    /// was logged out.
    unknown: bool,
    /// A redirect has changed the method.
    #[cfg(feature = "reqwest")]
    changed_method: bool,
}

/// A response that may redirect, and the request that it answers.
pub(crate) struct Answer<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    /// Whether the request has a body, as far as is known.
    pub(crate) has_body: bool,
    /// Whether the request has no body, or one that can be sent again.
    pub(crate) repeatable: bool,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    /// The credential that the request carried, if any.
    pub(crate) carried: Option<Stamp>,
    /// What the request had on it when it came here, if an integration above may have put something
    /// there.
    pub(crate) above: Option<&'a HeaderMap>,
    /// What this request and those before it have had in their queries. A server may put it into a
    /// URL out of the scope, such as one with `?next=` and the URL of the request.
    pub(crate) secrets: &'a Secrets,
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
        // There is no tunnel then (RFC 9110, section 9.3.6), and no server is to choose another.
        let is_tunnel = answer.method == Method::CONNECT;
        if !redirects.follows() || !Self::may_redirect(answer.status) || is_tunnel {
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
        let current = self.carry(credentials, answer.carried.is_some());
        if let Some(above) = answer.above {
            self.above.add(Secrets::of_headers(above));
        }
        let is_in = |secrets: &Secrets| {
            secrets.is_in(url.as_str()) || secrets.is_in(&written(answer.headers))
        };
        let takes_a_secret = || is_in(answer.secrets) || is_in(&self.carried());
        if leaves && (redirects.within_scope || takes_a_secret()) {
            return Ok(None);
        }
        // Which scope that has is not known here.
        if url.origin() != answer.url.origin() && is_in(&self.above) {
            return Ok(None);
        }
        let changes_method = method != *answer.method;
        #[cfg(feature = "reqwest")]
        {
            self.changed_method |= changes_method;
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
            drops_content: changes_method || (answer.has_body && !keeps_body),
            current,
        }))
    }

    /// Notes what requests carry now, at a redirect whose request carried a credential or not.
    /// Returns the current one.
    #[cold]
    pub(crate) fn carry(
        &mut self,
        credentials: &Credentials,
        carried: bool,
    ) -> Option<Arc<Credential>> {
        let current = Attempt::latest(credentials);
        match &current {
            // The session may have been renewed since an earlier hop.
            Some(current) => {
                let is_same = |last: &Arc<Credential>| Arc::ptr_eq(last, current);
                if !self.carried.last().is_some_and(is_same) {
                    self.carried.push(Arc::clone(current));
                }
            }
            None => self.unknown |= carried,
        }
        current
    }

    /// What the credentials have put on requests at the redirects so far. If one of them is not at
    /// hand any more, that can't be told from the rest.
    #[cold]
    pub(crate) fn carried(&self) -> Secrets {
        if self.unknown {
            return Secrets::unknown();
        }
        let mut all = Secrets::default();
        for credential in &self.carried {
            all.add(Secrets::of_request(credential));
        }
        all
    }

    /// Whether what the request began with has been done: a redirect that changes the method says
    /// that it was, and leads to the result (RFC 9110, section 15.4.4).
    #[cfg(feature = "reqwest")]
    pub(crate) const fn is_done(&self) -> bool {
        self.changed_method
    }

    fn note(&mut self, answer: &Answer<'_>, stamp: Option<Stamp>) {
        // The answer may have rolled what its request carried, and that may be newer than what the
        // redirect before was answered to.
        let before = [self.stamp, answer.carried];
        let has_changed = before.iter().flatten().any(|before| Some(*before) != stamp);
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

/// Whether a redirect would take a value of the current session, or one of `sent`, out of the
/// scope, or may, since the handle was closed. The request that it answers carried the session. For
/// an integration that follows no redirect: one above it may, and knows nothing of these values.
#[cold]
pub(crate) fn would_take_a_secret(
    status: StatusCode,
    headers: &HeaderMap,
    sent: &Secrets,
    credentials: &Credentials,
) -> bool {
    let scope = credentials.scope();
    // A path stays in the scope, and a URL without a scheme has that of the request. It may be
    // plain `http` if the scope has any: no URL is a downgrade from there.
    let is_plain = |origin: &Origin| origin.to_string().starts_with("http:");
    let here = if scope.origins().any(is_plain) {
        "http://here.invalid/"
    } else {
        "https://here.invalid/"
    };
    let here = Url::parse(here).unwrap_or_else(|_| unreachable!("it is a URL"));
    let answer = Answer {
        method: &Method::GET,
        url: &here,
        has_body: false,
        repeatable: true,
        status,
        headers,
        carried: None,
        above: None,
        secrets: sent,
    };
    let leads_away = |url: &Url| url.origin() != here.origin() && !url.is_in(scope);
    location(&answer).filter(leads_away).is_some_and(|url| {
        let current = Attempt::latest(credentials);
        // After the handle was closed, what the session has had can't be told from the rest.
        let mut all =
            current.map_or_else(Secrets::unknown, |current| Secrets::of_request(&current));
        all.add(sent.clone());
        all.is_in(url.as_str()) || all.is_in(&written(headers))
    })
}

/// A `Location` as the server has written it: a URL has some of it in another form.
fn written(headers: &HeaderMap) -> Cow<'_, str> {
    let location = headers.get(LOCATION);
    location.map_or(Cow::Borrowed(""), |to| {
        String::from_utf8_lossy(to.as_bytes())
    })
}

/// A URL as it is sent.
fn without_fragment(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

/// What a `Location` may have as it is: ASCII. Browsers encode any other byte as it is, in whatever
/// encoding the server has written it.
const AS_IT_IS: &AsciiSet = &AsciiSet::EMPTY;

/// The URL that the response redirects to, if it may be followed.
fn location(answer: &Answer<'_>) -> Option<Url> {
    let mut all = answer.headers.get_all(LOCATION).iter();
    // Fetch fails if there are several that differ.
    let first = all.next()?;
    if all.any(|other| other != first) {
        return None;
    }
    let bytes = first.as_bytes().trim_ascii();
    // It would be the URL of the request, and lead nowhere else.
    if bytes.is_empty() {
        return None;
    }
    let text: Cow<'_, str> = percent_encode(bytes, AS_IT_IS).into();
    // A URL of the server's that is not absolute would have the user of the caller's.
    let mut base = answer.url.clone();
    name_user(&mut base, "", None);
    let mut url = base.join(from_two_slashes(&text)).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
    let names_a_user = !url.username().is_empty() || url.password().is_some();
    let is_downgrade = answer.url.scheme() == "https" && url.scheme() == "http";
    // One that is too long, for example, is no URL that can be sent.
    let is_sendable = http::Uri::try_from(url.as_str()).is_ok();
    if !is_web || names_a_user || is_downgrade || !is_sendable {
        return None;
    }
    if url.origin() == answer.url.origin() {
        name_user(&mut url, answer.url.username(), answer.url.password());
    }
    Some(url)
}

/// Without the first of more than two slashes. A browser skips them all before it reads a host, and
/// `url` finds no host after two that are followed by another.
fn from_two_slashes(text: &str) -> &str {
    let is_slash = |byte: &u8| matches!(byte, b'/' | b'\\');
    let slashes = text.bytes().take_while(is_slash).count();
    &text[slashes.saturating_sub(2)..]
}

/// Sets the userinfo of a URL. One that can't have any has none.
fn name_user(url: &mut Url, user: &str, password: Option<&str>) {
    let _ = url.set_username(user);
    let _ = url.set_password(password);
}

/// The method of the next request, and whether it keeps the body (Fetch, "HTTP-redirect fetch",
/// step 12). In Fetch a `GET` has none: 303 leads to what is got without one (RFC 9110, section
/// 15.4.4).
fn next_method(method: &Method, status: StatusCode) -> (Method, bool) {
    match status {
        StatusCode::SEE_OTHER if method == Method::HEAD => (Method::HEAD, false),
        StatusCode::SEE_OTHER => (Method::GET, false),
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND if method == Method::POST => {
            (Method::GET, false)
        }
        _ => (method.clone(), true),
    }
}
