//! What of a session a URL must not take out of its scope, as it is and as it was lately.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::attachment::Attachment;

/// How many former values of each kind are remembered. A response that is older than so many of one
/// session is late.
const MOST_FORMER: usize = 8;

/// A shorter value is in a URL by chance, as the name of a host or of a media type.
const SHORTEST: usize = 16;

/// The values that were replaced in mid-session. Responses under way may still hold them.
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
    /// the header they are its words, such as the token behind `Bearer`.
    pub(crate) fn carried_values(&self) -> impl Iterator<Item = &str> {
        (self.carried_now()).chain(self.former().flat_map(Former::carried))
    }

    // Other headers, other cookies and fields of the body often hold what good redirects do as
    // well: the id of a tenant, of a client, the state of an OAuth login.
    fn carried_now(&self) -> impl Iterator<Item = &str> {
        let of_all = self.headers.iter().map(|(name, value)| (name, value));
        let headers = of_all.chain(self.dependents.headers.live());
        let authorization = headers.filter(|(name, _)| **name == AUTHORIZATION);
        (authorization.flat_map(|(_, value)| words(value)))
            .chain(self.cookies.named_values())
            .filter(|value| value.len() >= SHORTEST)
    }

    /// Remembers what `before` had and this has no more.
    pub(super) fn remember(&mut self, before: &Self) {
        for value in before.query_values() {
            if self.query_values().all(|known| known != value) {
                let former = self.former.get_or_insert_default();
                former.query.push(Zeroizing::new(value.to_owned()));
            }
        }
        for value in before.carried_now() {
            if self.carried_values().all(|known| known != value) {
                let former = self.former.get_or_insert_default();
                former.carried.push(Zeroizing::new(value.to_owned()));
            }
        }
        if let Some(former) = &mut self.former {
            forget_oldest(&mut former.query);
            forget_oldest(&mut former.carried);
        }
    }
}

fn forget_oldest(former: &mut Vec<Zeroizing<String>>) {
    let most = former.len().saturating_sub(MOST_FORMER);
    former.drain(..most);
}

/// The words of a header's value. Those that a colon or an ampersand parts are one: in some schemes
/// they are two values, in others one token.
fn words(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    text.split([' ', '\t', ',', ';', '=', '"'])
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
        assert_eq!(of("authorization", &format!("Bearer {long}")), [long]);
        assert_eq!(of("authorization", &format!("Basic {long}==")), [long]);
        let named = format!("MediaBrowser Client=\"app\", Token=\"{long}\"");
        assert_eq!(of("authorization", &named), [long]);
        for word in [
            "0123456789abcde:fedcba987654321",
            "https://files.example.com/k",
        ] {
            let value = format!("Signature keyId=\"{word}\"");
            assert_eq!(of("authorization", &value), [word]);
        }
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
