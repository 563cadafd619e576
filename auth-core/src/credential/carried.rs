//! What of a session a URL must not take out of its scope, as it is and as it was lately.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::attachment::Attachment;
use super::cookie::Cookie;

/// How many former values of each kind are remembered. A response that is older than so many of one
/// session is late.
const MOST_FORMER: usize = 8;

/// A shorter value is in a URL by chance, as the name of a host or of a media type.
pub(super) const SHORTEST: usize = 16;

/// The values that were replaced in mid-session, or with their session. Responses under way may
/// still hold them.
#[derive(Clone, Default)]
pub(super) struct Former {
    query: Vec<Zeroizing<String>>,
    /// Of the `Authorization` header and of named cookies.
    carried: Vec<Zeroizing<String>>,
}

impl Former {
    pub(super) fn query(&self) -> impl Iterator<Item = &str> {
        self.query.iter().map(|value| value.as_str())
    }

    fn carried(&self) -> impl Iterator<Item = &str> {
        self.carried.iter().map(|value| value.as_str())
    }
}

impl Attachment {
    pub(super) fn former(&self) -> impl Iterator<Item = &Former> {
        self.former.as_deref().into_iter()
    }

    /// The long values that the `Authorization` header and the named cookies have or had lately. Of
    /// the header that is what follows its scheme.
    pub(crate) fn carried_values(&self) -> impl Iterator<Item = &str> {
        (self.carried_now()).chain(self.former().flat_map(Former::carried))
    }

    // Other headers, other cookies and fields of the body often hold what good redirects do as
    // well: the id of a tenant, of a client, the state of an OAuth login.
    fn carried_now(&self) -> impl Iterator<Item = &str> {
        let of_all = self.headers.iter().map(|(name, value)| (name, value));
        let headers = of_all.chain(self.dependents.headers.live());
        let authorization = headers.filter(|(name, _)| **name == AUTHORIZATION);
        (authorization.flat_map(|(_, value)| behind_scheme(value)))
            .chain(self.cookies.named_values())
            .filter(|value| value.len() >= SHORTEST)
    }

    /// What a server knows a session by, each with the name of its cookie. HTTP Basic is of the
    /// account, and a cookie that a part is derived from is a csrf value, unless it is all.
    pub(super) fn session_values(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let of_all = self.headers.iter().map(|(name, value)| (name, value));
        let headers = of_all.chain(self.dependents.headers.live());
        let tokens = headers.filter(|(name, value)| **name == AUTHORIZATION && !is_basic(value));
        let tokens = tokens.map(|(_, value)| ("", value.as_bytes()));
        let is_of_session = |cookie: &&Cookie| !self.derives_from(&cookie.name);
        let is_all = !self.cookies.named().any(|cookie| is_of_session(&cookie));
        let cookies = self.cookies.named();
        let cookies = cookies.filter(move |cookie| is_all || is_of_session(cookie));
        tokens.chain(cookies.map(|cookie| (&*cookie.name, cookie.value.as_bytes())))
    }

    /// Remembers what `before`, an earlier value of the same session, has or had lately, and this
    /// has not.
    pub(super) fn remember(&mut self, before: &Self) {
        // The oldest first, which is forgotten first.
        let former = before.former().flat_map(Former::query);
        self.remember_query(former.chain(before.query_now()));
        let former = before.former().flat_map(Former::carried);
        self.remember_carried(former.chain(before.carried_now()));
    }

    /// Remembers what the session before has, and this has not. What that one had lately is
    /// forgotten: a token may be long, and thousands of caches may each have had many.
    pub(super) fn remember_last(&mut self, before: &Self) {
        self.remember_query(before.query_now());
        self.remember_carried(before.carried_now());
    }

    fn remember_query<'a>(&mut self, values: impl Iterator<Item = &'a str>) {
        for value in values {
            if self.query_values().all(|known| known != value) {
                let former = self.former.get_or_insert_default();
                former.query.push(Zeroizing::new(value.to_owned()));
                forget_oldest(&mut former.query);
            }
        }
    }

    fn remember_carried<'a>(&mut self, values: impl Iterator<Item = &'a str>) {
        for value in values {
            if self.carried_values().all(|known| known != value) {
                let former = self.former.get_or_insert_default();
                former.carried.push(Zeroizing::new(value.to_owned()));
                forget_oldest(&mut former.carried);
            }
        }
    }
}

fn forget_oldest(former: &mut Vec<Zeroizing<String>>) {
    let most = former.len().saturating_sub(MOST_FORMER);
    former.drain(..most);
}

/// What follows the scheme of an `Authorization` header, or all of one without a scheme, which is a
/// token (RFC 9110, section 11.1). Where it is not UTF-8, what is.
pub(super) fn behind_scheme(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let all = value.as_bytes();
    let is_of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = all.iter().position(|byte| !is_of_token(byte));
    let scheme = end.filter(|end| all[*end] == b' ').unwrap_or(0);
    let texts = all[scheme..]
        .utf8_chunks()
        .map(|chunk| chunk.valid().trim_ascii());
    texts.filter(|text| !text.is_empty())
}

fn is_basic(value: &HeaderValue) -> bool {
    let scheme = value.as_bytes().get(..6);
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
}

#[cfg(test)]
mod tests {
    use crate::session::Session;
    use crate::testing;
    use crate::{Part, When};

    fn values(session: Session) -> Vec<String> {
        let credential = testing::credential(session);
        let values = credential.carried_values();
        values.map(str::to_owned).collect()
    }

    #[test]
    fn rule_16_the_values_that_a_url_must_not_take_away_are_the_long_ones() {
        let part = |part| Session::new().with_part(part).unwrap();
        let of = |name: &str, value: &str| values(part(Part::header(name, value)));
        let long = "0123456789abcdef";
        for (scheme, value) in [
            ("Bearer ", long),
            ("", long),
            ("", "token=\"0123456789abcdef\", client=\"app\""),
            ("", "key:0123456789abcdef v=2"),
            ("Basic ", "QWxhZGRpbjpvcGVuc2VzYW1l=="),
            ("MediaBrowser  ", "Client=\"app\", Token=\"a=b\""),
            ("Signature ", "keyId=\"https://files.example.com/k\""),
        ] {
            assert_eq!(of("authorization", &format!("{scheme}{value}")), [value]);
        }
        let odd = http::HeaderValue::from_bytes(b"Token u=\"\xe9\", t=\"0123456789abcdef\"");
        let odd = Session::new().with_header(http::header::AUTHORIZATION, odd.unwrap());
        assert_eq!(values(odd), ["\", t=\"0123456789abcdef\""]);
        for (name, value) in [
            ("authorization", &long[1..]),
            ("x-tenant", "01234567-89ab-cdef-0123-456789abcdef"),
            ("referer", "https://app.example.com/"),
        ] {
            assert!(of(name, value).is_empty(), "{name}");
        }
        let form = Part::form_field("client_id", long).when(When::unsafe_methods());
        assert!(values(part(form)).is_empty());
        let cookie = Session::new().with_cookie("sid", long).unwrap();
        let set = |line| http::HeaderMap::from_iter([(http::header::SET_COOKIE, line)]);
        let state = set(http::HeaderValue::from_static("state=0123456789abcdefg"));
        let cookies = cookie.keep_cookies(&state, crate::Target::new("https", "a.example", "/"));
        assert_eq!(values(cookies), [long]);
        let query = Session::new().with_query("sid", long).unwrap();
        assert!(values(query).is_empty(), "it is a query secret");
    }
}
