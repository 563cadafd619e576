//! `Set-Cookie` headers, parsed as far as a session needs it (RFC 6265).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::HeaderMap;
use http::header::{DATE, SET_COOKIE};

use super::cookie_date;

/// One `Set-Cookie` header.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetCookie {
    /// The cookie's name.
    pub name: String,
    /// The value, byte for byte: neither decoded nor unquoted.
    pub value: String,
    /// How long the cookie is good, counted from its receipt: `Max-Age`, or else `Expires` minus
    /// the response's own `Date`, so that a wrong clock on either side doesn't matter.
    pub expires_in: Option<Duration>,
    /// Whether the header deletes the cookie: its expiry is not in the future.
    pub deleted: bool,
}

impl fmt::Debug for SetCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetCookie")
            .field("name", &self.name)
            .field("expires_in", &self.expires_in)
            .field("deleted", &self.deleted)
            .finish_non_exhaustive()
    }
}

/// The cookies that a response sets, in order. Headers that can't be parsed as a cookie are
/// skipped.
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
    set_cookies.filter_map(|header| parse(std::str::from_utf8(header.as_bytes()).ok()?, headers))
}

/// One header, as a user agent parses it (RFC 6265, section 5.2). `None` if it sets no cookie.
fn parse(header: &str, headers: &HeaderMap) -> Option<SetCookie> {
    let mut parts = header.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (trim(name), trim(value));
    if name.is_empty() {
        return None;
    }
    let (mut max_age, mut expires) = (None, None);
    for attribute in parts {
        let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        let (key, value) = (trim(key), trim(value));
        // The last attribute of a name that can be parsed counts.
        if key.eq_ignore_ascii_case("max-age") {
            max_age = read_max_age(value).or(max_age);
        } else if key.eq_ignore_ascii_case("expires") {
            expires = cookie_date::parse(value).or(expires);
        }
    }
    // `Max-Age` has precedence over `Expires` (section 5.3).
    let expires_in = max_age.or_else(|| from_now(expires?, headers));
    Some(SetCookie {
        name: name.to_owned(),
        value: value.to_owned(),
        expires_in,
        deleted: expires_in == Some(Duration::ZERO),
    })
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

/// The time until `expires`, counted from the response's `Date`. Zero if it has passed.
fn from_now(expires: SystemTime, headers: &HeaderMap) -> Option<Duration> {
    match date(headers) {
        Some(date) => Some(expires.duration_since(date).unwrap_or(Duration::ZERO)),
        // Without a `Date` there is nothing to count from. The first day of the epoch has passed by
        // any clock.
        None if expires < UNIX_EPOCH + Duration::from_secs(86_400) => Some(Duration::ZERO),
        None => None,
    }
}

fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}
