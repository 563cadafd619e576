//! `Set-Cookie` headers, parsed as a user agent parses them (RFC 6265, section 5.2).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, SET_COOKIE};

use super::target::is_address;
use super::{Target, cookie_date};
use crate::clock::Clock;

/// One `Set-Cookie` header.
///
/// ```
/// use std::time::Duration;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("set-cookie", "sid=s1; Max-Age=60; Path=/v3; Secure".parse()?);
/// let cookie = auth_core::set_cookies(&headers).next().expect("one cookie");
/// assert_eq!((&*cookie.name, &*cookie.value), ("sid", "s1"));
/// assert_eq!(cookie.expires_in, Some(Duration::from_secs(60)));
/// assert_eq!(cookie.path.as_deref(), Some("/v3"));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetCookie {
    /// The cookie's name.
    pub name: String,
    /// The value, byte for byte: neither decoded nor unquoted.
    pub value: String,
    /// How long the cookie is good, counted from its receipt: `Max-Age`, or else `Expires` minus
    /// the response's own `Date`, so that a wrong clock on either side doesn't matter. Without a
    /// `Date` it is minus the time of this machine.
    pub expires_in: Option<Duration>,
    /// Whether the header deletes the cookie: its expiry is not in the future.
    pub deleted: bool,
    /// The last `Domain`, in lower case and without the dot that it may begin with. Without one,
    /// the cookie belongs to the host that set it.
    pub domain: Option<String>,
    /// The last `Path`, if it begins with a slash. Without one, the path follows from the URL of
    /// the request (RFC 6265, section 5.1.4).
    pub path: Option<String>,
    /// Whether the cookie goes over TLS only.
    pub secure: bool,
}

impl SetCookie {
    /// Whether there is a value to send back: not of a cookie that is deleted, and not of an empty
    /// one, which some servers write as two quotes.
    ///
    /// ```
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("set-cookie", r#"sid=""; Path=/"#.parse()?);
    /// let cookie = auth_core::set_cookies(&headers).next().expect("one cookie");
    /// assert!(!cookie.has_value());
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn has_value(&self) -> bool {
        !self.deleted && !is_empty(&self.value)
    }

    /// Whether a user agent takes the cookie from this host: without a `Domain`, or with one that
    /// covers the host (RFC 6265, section 5.3). A `Domain` of a single label, as `com`, covers
    /// nothing but itself.
    ///
    /// ```
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("set-cookie", "a=1; Domain=.Example.com".parse()?);
    /// let cookie = auth_core::set_cookies(&headers).next().expect("one cookie");
    /// assert!(cookie.is_from("api.example.com"));
    /// assert!(!cookie.is_from("api.example.org"));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn is_from(&self, host: &str) -> bool {
        let host = Target::new("", host, "");
        let takes = |domain: &str| {
            // Every single label is a public suffix (publicsuffix.org, the rule `*`).
            host.is_host(domain) || (domain.contains('.') && host.is_in_domain(domain))
        };
        self.domain.as_deref().is_none_or(takes)
    }

    /// Whether a user agent takes the cookie from an answer to a request to `target`: if it is
    /// [from](Self::is_from) that host, and `Secure` only over TLS or from this machine. A `Secure`
    /// one of plain HTTP neither replaces nor deletes anything (RFC 6265bis, section 5.7).
    ///
    /// ```
    /// use auth_core::Target;
    ///
    /// let mut headers = http::HeaderMap::new();
    /// headers.insert("set-cookie", "a=1; Secure".parse()?);
    /// let cookie = auth_core::set_cookies(&headers).next().expect("one cookie");
    /// let from = |scheme, host| cookie.is_taken_from(Target::new(scheme, host, "/"));
    /// assert!(from("https", "pi.hole") && from("http", "localhost"));
    /// assert!(!from("http", "pi.hole"));
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn is_taken_from(&self, target: Target<'_>) -> bool {
        self.is_from(target.host()) && !(self.secure && target.is_plain())
    }

    /// Whether the cookie is for one host alone: it has no `Domain`, or one that has no subdomains,
    /// which is an address or a single label as `localhost`. A user agent keeps it apart from one
    /// of the same name, domain and path that is for subdomains as well (RFC 6265bis, section 5.7).
    ///
    /// ```
    /// let mut headers = http::HeaderMap::new();
    /// headers.append("set-cookie", "a=1".parse()?);
    /// headers.append("set-cookie", "a=1; Domain=127.0.0.1".parse()?);
    /// headers.append("set-cookie", "a=1; Domain=api.example.com".parse()?);
    /// let are_host_only: Vec<_> = auth_core::set_cookies(&headers)
    ///     .map(|cookie| cookie.is_host_only())
    ///     .collect();
    /// assert_eq!(are_host_only, [true, true, false]);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn is_host_only(&self) -> bool {
        self.domain.as_deref().is_none_or(is_host_alone)
    }

    /// Whether the name promises what the attributes don't keep, so that browsers refuse the cookie
    /// (RFC 6265bis, section 4.1.3).
    fn breaks_its_promise(&self) -> bool {
        let begins = |prefix: &str| {
            let name = self.name.as_bytes();
            let start = name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        let of_one_host = self.domain.is_none() && self.path.as_deref() == Some("/");
        (begins("__Secure-") && !self.secure)
            || (begins("__Host-") && !(self.secure && of_one_host))
    }
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie")
            .field("name", &self.name)
            .field("expires_in", &self.expires_in)
            .field("deleted", &self.deleted)
            .field("domain", &self.domain)
            .field("path", &self.path)
            .field("secure", &self.secure)
            .finish_non_exhaustive()
    }
}

/// The cookies that a response sets, in order. Headers that can't be parsed as a cookie are
/// skipped, and so are those of `__Host-` and `__Secure-` names whose attributes browsers refuse,
/// and those whose name or value is not UTF-8. Their attributes may hold any byte.
///
/// ```
/// use std::time::Duration;
/// use auth_core::set_cookies;
///
/// let mut headers = http::HeaderMap::new();
/// headers.insert("set-cookie", "sessionId=s%3Aabc; Path=/; Max-Age=604800".parse()?);
/// let cookie = set_cookies(&headers).next().expect("one cookie");
/// assert_eq!(cookie.value, "s%3Aabc");
/// assert_eq!(cookie.expires_in, Some(Duration::from_secs(604_800)));
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
pub fn set_cookies(headers: &HeaderMap) -> impl Iterator<Item = SetCookie> + '_ {
    let set_cookies = headers.get_all(SET_COOKIE).iter();
    set_cookies.filter_map(|header| parse(header.as_bytes(), headers))
}

/// The names of the cookies that a response sets and whose values are not UTF-8.
pub(crate) fn unheard_cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let set_cookies = headers.get_all(SET_COOKIE).iter();
    set_cookies.filter_map(|header| {
        let mut parts = header.as_bytes().split(|byte| *byte == b';');
        let mut pair = parts.next()?.splitn(2, |byte| *byte == b'=');
        let name = std::str::from_utf8(pair.next()?).ok()?;
        let value = std::str::from_utf8(pair.next()?);
        value.is_err().then(|| trim(name))
    })
}

/// One header, as a user agent parses it (RFC 6265, section 5.2). `None` if it sets no cookie.
fn parse(header: &[u8], headers: &HeaderMap) -> Option<SetCookie> {
    let mut parts = header.split(|byte| *byte == b';');
    let (name, value) = std::str::from_utf8(parts.next()?).ok()?.split_once('=')?;
    let (name, value) = (trim(name), trim(value));
    if name.is_empty() {
        return None;
    }
    let (mut max_age, mut expires) = (None, None);
    let (mut domain, mut path, mut secure) = (None, None, false);
    for attribute in parts {
        // No attribute that is heard has other bytes than those of ASCII.
        let attribute = String::from_utf8_lossy(attribute);
        let (key, value) = attribute.split_once('=').unwrap_or((&attribute, ""));
        let (key, value) = (trim(key), trim(value));
        // The last attribute of a name counts, of dates and ages the last that can be parsed.
        if key.eq_ignore_ascii_case("max-age") {
            max_age = read_max_age(value).or(max_age);
        } else if key.eq_ignore_ascii_case("expires") {
            expires = cookie_date::parse(value).or(expires);
        } else if key.eq_ignore_ascii_case("domain") && !value.is_empty() {
            domain = Some(
                value
                    .strip_prefix('.')
                    .unwrap_or(value)
                    .to_ascii_lowercase(),
            );
        } else if key.eq_ignore_ascii_case("path") {
            // A path that is no path counts as well: it means the default path.
            path = value.starts_with('/').then(|| value.to_owned());
        } else if key.eq_ignore_ascii_case("secure") {
            secure = true;
        }
    }
    // `Max-Age` has precedence over `Expires` (section 5.3).
    let expires_in = max_age.or_else(|| Some(from_now(expires?, headers)));
    let cookie = SetCookie {
        name: name.to_owned(),
        value: value.to_owned(),
        expires_in,
        deleted: expires_in == Some(Duration::ZERO),
        domain: domain.filter(|domain| !domain.is_empty()),
        path,
        secure,
    };
    (!cookie.breaks_its_promise()).then_some(cookie)
}

/// Whether a `Domain` covers no subdomains. Every single label is a public suffix, and that of the
/// host itself means the host (RFC 6265bis, section 5.7).
pub(super) fn is_host_alone(domain: &str) -> bool {
    !domain.contains('.') || is_address(domain)
}

/// Whether a cookie's value is empty, in quotes or not.
pub(super) fn is_empty(value: &str) -> bool {
    matches!(value, "" | "\"\"")
}

/// White space is a space or a tab (section 5.2).
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Seconds. A negative number counts as zero (section 5.2.2).
fn read_max_age(text: &str) -> Option<Duration> {
    let (digits, negative) = match text.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // A number that is too large for a `u64` means "very long".
    let seconds = if negative {
        0
    } else {
        digits.parse().unwrap_or(u64::MAX)
    };
    Some(Duration::from_secs(seconds))
}

/// 2026-01-01, since the epoch. A clock that is before this is wrong.
const WRITTEN: Duration = Duration::from_secs(1_767_225_600);

/// The time until `expires`, counted from the response's `Date`, or without one from now. Zero if
/// it has passed.
fn from_now(expires: SystemTime, headers: &HeaderMap) -> Duration {
    let now = || {
        let wall = Duration::from_nanos(Clock::system().now().wall);
        UNIX_EPOCH + wall.max(WRITTEN)
    };
    let now = date(headers).unwrap_or_else(now);
    expires.duration_since(now).unwrap_or(Duration::ZERO)
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}
