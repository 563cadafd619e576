//! What of a session a URL must not take out of its scope, as it is and as it was lately.

use http::header::{ORIGIN, REFERER, USER_AGENT};
use http::{HeaderName, HeaderValue};
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
    /// Of headers, cookies and fields of the body.
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

    /// The long values that headers, cookies and fields of the body have or had lately. Of a header
    /// they are its words, such as the token behind `Bearer`.
    pub(crate) fn carried_values(&self) -> impl Iterator<Item = &str> {
        (self.carried_now()).chain(self.former().flat_map(Former::carried))
    }

    fn carried_now(&self) -> impl Iterator<Item = &str> {
        let of_all = self.headers.iter().map(|(name, value)| (name, value));
        let headers = of_all.chain(self.dependents.headers.live());
        let fields = self.dependents.fields.live();
        (headers.flat_map(|(name, value)| words(name, value)))
            .chain(self.cookies.values().map(|value| value.trim_matches('"')))
            .chain(fields.map(|(_, value)| value.as_str()))
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

/// The words of a header, unless it is one that requests have without a session as well. A URL is
/// where a page is, and no secret.
fn words<'a>(name: &HeaderName, value: &'a HeaderValue) -> impl Iterator<Item = &'a str> {
    let of_any = ["accept", "content-"];
    let is_of_any = of_any.iter().any(|begin| name.as_str().starts_with(begin))
        || [ORIGIN, REFERER, USER_AGENT].contains(name);
    let text = std::str::from_utf8(value.as_bytes()).unwrap_or_default();
    let text = if is_of_any { "" } else { text };
    text.split([' ', '\t', ',', ';', '=', '"'])
        .filter(|word| !word.contains("://"))
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
        assert_eq!(of("x-api-key", long), [long]);
        for (name, value) in [
            ("x-api-key", &long[1..]),
            ("accept", "application/vnd.api.v3+json"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", "https://app.example.com"),
            ("referer", "https://app.example.com/"),
            ("user-agent", "Mozilla/5.0_0123456789abcdef"),
            ("x-tenant", "https://files.example.com"),
        ] {
            assert!(of(name, value).is_empty(), "{name}");
        }
        let unsafe_only = Part::form_field("sid", long).when(When::unsafe_methods());
        assert_eq!(values(part(unsafe_only)), [long]);
        let quoted = format!("\"{long}\"");
        let cookie = Session::new().with_cookie("sid", &quoted).unwrap();
        assert_eq!(values(cookie), [long]);
        let query = Session::new().with_query("sid", long).unwrap();
        assert!(values(query).is_empty(), "it is a query secret");
    }
}
