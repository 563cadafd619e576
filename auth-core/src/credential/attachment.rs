//! The values that a credential puts on a request, prepared once.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::cookie::{Cookie, Role};
use super::cookies::Cookies;
use super::{InvalidValue, SetCookie, Target, set_cookies};
use crate::lifetime::CookieLives;

/// All characters but the unreserved ones (RFC 3986, section 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

#[derive(Clone, Default)]
pub(crate) struct Attachment {
    headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) cookies: Cookies,
    query: Vec<(String, String)>,
}

impl Attachment {
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty() && self.cookies.is_empty() && self.query.is_empty()
    }

    #[inline]
    pub(crate) const fn has_query(&self) -> bool {
        !self.query.is_empty()
    }

    #[inline]
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value)
    }

    pub(crate) fn set_header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.retain(|(known, _)| *known != name);
        // The first clone of a name that is not a standard one allocates, as with a value: see
        // `prepared`.
        let _ = name.clone();
        self.headers.push((name, prepared(value)));
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) -> Result<(), InvalidValue> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(InvalidValue::new(
                "cookie's name",
                "is not a token (RFC 6265, section 4.1.1)",
            ));
        }
        self.cookies.add(Cookie::new(name, value, Role::Named))
    }

    /// Adds a cookie as a server set it, which the session needs or not.
    pub(crate) fn add_cookie(&mut self, set: &SetCookie, needed: bool) -> Result<(), InvalidValue> {
        if set.deleted {
            return Err(InvalidValue::new("cookie", "has expired"));
        }
        let role = if needed { Role::Named } else { Role::Optional };
        self.cookies.add(Cookie::set_by(set, role))
    }

    /// Keeps every cookie from now on, beginning with those that the login's response sets.
    pub(crate) fn keep_cookies(&mut self, response: &HeaderMap, target: Target<'_>) {
        self.cookies.keep_all(set_cookies(response), target);
    }

    /// Forgets the lives of the cookies that the session needs.
    pub(crate) fn forget_cookie_lives(&mut self) {
        self.cookies.forget_lives();
    }

    /// What the lives of the cookies say about the session's.
    pub(crate) fn cookie_lives(&self, stated: Option<Duration>) -> CookieLives {
        self.cookies.lives(stated)
    }

    /// The same beside other cookies.
    pub(super) fn with_cookies(&self, cookies: Cookies) -> Self {
        Self {
            headers: self.headers.clone(),
            cookies,
            query: self.query.clone(),
        }
    }

    /// Whether both put the same on a request, but for cookies that only answers have set.
    pub(super) fn is_same_value(&self, other: &Self) -> bool {
        self.headers == other.headers
            && self.query == other.query
            && self.cookies.is_same_value(&other.cookies)
    }

    pub(crate) fn set_query(&mut self, name: &str, value: &str) -> Result<(), InvalidValue> {
        if name.is_empty() {
            return Err(InvalidValue::new("query parameter's name", "is empty"));
        }
        if value.is_empty() {
            return Err(InvalidValue::new("query parameter's value", "is empty"));
        }
        put(&mut self.query, name, value);
        Ok(())
    }

    pub(crate) fn attach_headers(&self, target: Target<'_>, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            if name == AUTHORIZATION {
                // The usual name, as a constant: the compiler then knows its hash.
                headers.insert(AUTHORIZATION, value.clone());
            } else {
                headers.insert(name.clone(), value.clone());
            }
        }
        self.cookies.attach(target, headers);
    }

    pub(crate) fn attach_query(&self, query: Option<&str>) -> Option<String> {
        if self.query.is_empty() {
            return None;
        }
        let mut line = String::new();
        for pair in query.unwrap_or("").split('&') {
            let name = pair.split('=').next().unwrap_or(pair);
            let name = percent_decode_str(name).decode_utf8_lossy();
            if pair.is_empty() || find(&self.query, &name).is_some() {
                continue;
            }
            line.push_str(pair);
            line.push('&');
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            if index > 0 {
                line.push('&');
            }
            line.extend(utf8_percent_encode(name, QUERY));
            line.push('=');
            line.extend(utf8_percent_encode(value, QUERY));
        }
        Some(line)
    }
}

/// Marks the value as sensitive, and clones it once: the first clone of a value allocates its
/// reference count, so that no later clone for a request does.
pub(super) fn prepared(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    let _ = value.clone();
    value
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let (_, value) = pairs.iter().find(|(known, _)| known == name)?;
    Some(value)
}

fn put(pairs: &mut Vec<(String, String)>, name: &str, value: &str) {
    if let Some((_, old)) = pairs.iter_mut().find(|(known, _)| known == name) {
        value.clone_into(old);
    } else {
        pairs.push((name.to_owned(), value.to_owned()));
    }
}

/// A `tchar` (RFC 9110, section 5.6.2).
const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~')
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let query: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Attachment")
            .field("headers", &headers)
            .field("cookies", &self.cookies.names())
            .field("query", &query)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::header::COOKIE;

    use super::*;

    const HERE: Target<'_> = Target::new("https", "api.example.com", "/");

    fn cookie(value: &str) -> Attachment {
        let mut attachment = Attachment::default();
        attachment.set_cookie("session", value).unwrap();
        attachment
    }

    #[test]
    fn rule_5_a_header_of_the_same_name_is_replaced_and_ours_is_sensitive() {
        let mut attachment = Attachment::default();
        attachment.set_header(AUTHORIZATION, HeaderValue::from_static("Bearer ours"));
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer one"));
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer two"));
        attachment.attach_headers(HERE, &mut headers);
        let all: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
        assert_eq!(all, ["Bearer ours"]);
        assert!(all[0].is_sensitive());
    }

    #[test]
    fn headers_are_kept_by_name() {
        const KEY: HeaderName = HeaderName::from_static("x-api-key");
        let mut attachment = cookie("s1");
        assert!(!attachment.has_query());
        for (name, value) in [(KEY, "old"), (AUTHORIZATION, "Bearer ours"), (KEY, "new")] {
            attachment.set_header(name, HeaderValue::from_static(value));
        }
        attachment.set_query("csrf", "x").unwrap();
        assert!(attachment.has_query());
        for (name, value) in [(KEY, "new"), (AUTHORIZATION, "Bearer ours")] {
            let kept = attachment.header(&name).unwrap();
            assert!(kept == value && kept.is_sensitive());
        }
        let mut headers = HeaderMap::new();
        attachment.attach_headers(HERE, &mut headers);
        assert_eq!(headers[KEY], "new");
        assert_eq!(headers[AUTHORIZATION], "Bearer ours");
        assert_eq!(headers[COOKIE], "session=s1");
        assert_eq!(headers.len(), 3);
        assert!(attachment.header(&COOKIE).is_none());
    }

    #[test]
    fn cookies_join_those_that_are_there_and_replace_their_namesakes() {
        let mut attachment = cookie("s%3Aab/+=");
        attachment.set_cookie("csrf", "x").unwrap();
        let mut headers = HeaderMap::new();
        attachment.attach_headers(HERE, &mut headers);
        assert_eq!(headers[COOKIE], "session=s%3Aab/+=; csrf=x");
        assert!(headers[COOKIE].is_sensitive());

        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; session=old;;  b=2"));
        headers.append(COOKIE, HeaderValue::from_static("sessionx=3; csrf = y"));
        attachment.attach_headers(HERE, &mut headers);
        let all: Vec<_> = headers.get_all(COOKIE).iter().collect();
        assert_eq!(all, ["a=1; b=2; sessionx=3; session=s%3Aab/+=; csrf=x"]);
        assert!(all[0].is_sensitive());
    }

    #[test]
    fn query_pairs_are_encoded_and_replace_their_namesakes() {
        let mut attachment = Attachment::default();
        assert_eq!(attachment.attach_query(Some("a=1")), None);
        attachment.set_query("csrf", "a b&c=d/é").unwrap();
        let encoded = "csrf=a%20b%26c%3Dd%2F%C3%A9";
        assert_eq!(attachment.attach_query(None).unwrap(), encoded);
        assert_eq!(attachment.attach_query(Some("")).unwrap(), encoded);
        let given = "x=1&csrf=old&%63srf=old&y=%20&csrfx=2";
        let expected = format!("x=1&y=%20&csrfx=2&{encoded}");
        assert_eq!(attachment.attach_query(Some(given)).unwrap(), expected);
        attachment.set_query("v", "2").unwrap();
        assert_eq!(
            attachment.attach_query(None).unwrap(),
            format!("{encoded}&v=2")
        );
    }

    #[test]
    fn what_cant_be_carried_is_refused_without_repeating_it() {
        let mut attachment = Attachment::default();
        for (name, value) in [
            ("", "v"),
            ("a b", "v"),
            ("a=", "v"),
            ("a", ""),
            ("a", "canary;"),
            ("a", "canary\n"),
        ] {
            let error = attachment.set_cookie(name, value).unwrap_err();
            assert!(!error.to_string().contains("canary"));
        }
        assert!(attachment.set_query("", "v").is_err());
        assert!(attachment.set_query("q", "").is_err());
        assert!(
            attachment.is_empty(),
            "nothing was kept of what was refused"
        );
    }

    #[test]
    fn rule_17_only_names_are_printed() {
        let mut attachment = cookie("canary-1");
        attachment.set_query("csrf", "canary-2").unwrap();
        attachment.set_header(AUTHORIZATION, HeaderValue::from_static("Bearer canary-3"));
        let printed = format!("{attachment:?} {attachment:#?}");
        assert!(!printed.contains("canary"), "{printed}");
        assert!(
            printed.contains("session")
                && printed.contains("csrf")
                && printed.contains("authorization")
        );
    }
}
