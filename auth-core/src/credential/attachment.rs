//! The values that a credential puts on a request, prepared once.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::body_field::FieldName;
use super::carried::{Former, SHORTEST};
use super::cookie::{Cookie, Role};
use super::cookies::Cookies;
use super::dependent::{Dependent, Dependents};
use super::encoded::prepared;
use super::line::{Line, Lines};
use super::part::{FromCookie, Part, Place, Source};
use super::update::{SetBy, Update, check_pair};
use super::{InvalidValue, SetCookie, Target, When, set_cookies};
use crate::lifetime::CookieLives;
use crate::origin::Scope;

#[derive(Clone, Default)]
pub(crate) struct Attachment {
    /// For every request.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) cookies: Cookies,
    /// For every request.
    pub(super) query: Vec<(String, String)>,
    pub(super) dependents: Dependents,
    /// Most sessions do not roll, so it is a pointer.
    pub(super) former: Option<Box<Former>>,
    pub(super) facts: Facts,
}

/// What a request looks at first, prepared once.
#[derive(Clone, Copy, Default)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts that do not depend on each other"
)]
pub(super) struct Facts {
    /// Whether there is a query pair, for whatever request.
    has_query: bool,
    /// Whether there are requests within the scope that don't carry all headers, cookies and query
    /// pairs.
    by_target: bool,
    /// Whether there is more than headers for every request.
    pub(super) more_than_headers: bool,
    /// Whether a part is missing, for whatever request.
    lacks: bool,
    /// Whether there is a field of the body, for whatever request.
    pub(super) has_fields: bool,
    /// Whether every request within the scope carries something, whether or not it has a body.
    always_carried: bool,
}

impl Attachment {
    pub(crate) fn is_empty(&self) -> bool {
        self.headers.is_empty()
            && self.cookies.is_empty()
            && self.query.is_empty()
            && self.dependents.headers.live().next().is_none()
            && self.dependents.query.live().next().is_none()
            && self.dependents.fields.live().next().is_none()
    }

    #[inline]
    pub(crate) const fn has_query(&self) -> bool {
        self.facts.has_query
    }

    #[inline]
    pub(crate) const fn has_fields(&self) -> bool {
        self.facts.has_fields
    }

    /// Whether every request within the scope carries all headers, cookies and query pairs.
    #[inline]
    pub(crate) const fn goes_everywhere(&self) -> bool {
        !self.facts.by_target
    }

    /// Whether every request within the scope carries something, whether or not it has a body.
    #[inline]
    pub(crate) const fn is_always_carried(&self) -> bool {
        self.facts.always_carried
    }

    /// Whether a request to this target carries something. Without a method, it may have any.
    pub(crate) fn is_carried_to(&self, target: Target<'_>) -> bool {
        self.facts.always_carried || self.cookies.go_to(target) || self.dependents.may_go_to(target)
    }

    /// Whether a request to `target` carries something that depends on the request, on a cookie or
    /// on a fetch, or will once that has a value.
    pub(crate) fn has_dependent_for(&self, target: Target<'_>) -> bool {
        self.dependents.are_for(target)
    }

    /// Whether no part is missing, for whatever request.
    #[inline]
    pub(crate) const fn is_complete(&self) -> bool {
        !self.facts.lacks
    }

    /// Whether a request to this target would carry a part that is missing.
    #[inline]
    pub(crate) fn lacks(&self, target: Target<'_>) -> bool {
        self.facts.lacks && self.dependents.lack(target)
    }

    /// How many parts are missing.
    pub(crate) fn missing(&self) -> usize {
        self.dependents.missing()
    }

    /// What an update brings of the parts that are missing.
    pub(crate) fn missing_of(&self, update: Update) -> Update {
        let (headers, query) = (&self.dependents.headers, &self.dependents.query);
        let fields = &self.dependents.fields;
        Update {
            cookies: None,
            headers: (update.headers.into_iter())
                .filter(|(name, _)| headers.is_missing(name))
                .collect(),
            query: (update.query.into_iter())
                .filter(|(name, _)| query.is_missing(name))
                .collect(),
            fields: (update.fields.into_iter())
                .filter(|(name, _)| fields.is_missing(name))
                .collect(),
            kept: Vec::new(),
        }
    }

    #[inline]
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        let of_all = self.headers.iter().map(|(known, value)| (known, value));
        let mut all = of_all.chain(self.dependents.headers.live());
        all.find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Whether there is a header of this name, with a value now or without.
    pub(crate) fn owns_header(&self, name: &HeaderName) -> bool {
        let mut dependent = self.dependents.headers.iter();
        self.headers.iter().any(|(known, _)| known == name)
            || dependent.any(|part| part.name == *name)
    }

    /// The values that query pairs have or had lately.
    pub(crate) fn query_values(&self) -> impl Iterator<Item = &str> {
        self.query_now()
            .chain(self.former().flat_map(Former::query))
    }

    pub(super) fn query_now(&self) -> impl Iterator<Item = &str> {
        let of_all = self.query.iter().map(|(_, value)| value);
        let dependent = self.dependents.query.live().map(|(_, value)| value);
        of_all.chain(dependent).map(String::as_str)
    }

    pub(crate) fn set_header(&mut self, name: HeaderName, value: HeaderValue) {
        self.headers.retain(|(known, _)| *known != name);
        self.dependents.headers.remove(&name, &When::any_method());
        // The first clone of a name that is not a standard one allocates, as with a value: see
        // `prepared`.
        let _ = name.clone();
        self.headers.push((name, prepared(value)));
        self.prepare();
    }

    /// Adds a part, in place of one with the same name and condition.
    pub(crate) fn add(&mut self, part: Part) -> Result<(), InvalidValue> {
        let Part {
            place,
            source,
            when,
        } = part;
        when.check()?;
        match (place, source) {
            (Place::Header(name), source) => {
                let name = HeaderName::try_from(name)
                    .map_err(|_| InvalidValue::new("header's name", "is not a token"))?;
                let (value, cookie) = read(source, |bytes| {
                    HeaderValue::from_bytes(bytes)
                        .map_err(|_| InvalidValue::new("header's value", "can't stand in a header"))
                })?;
                match value {
                    Some(value) if when.is_always() => self.set_header(name, value),
                    value => self.add_header(name, value, cookie, when),
                }
            }
            (Place::Query(name), source) => {
                let (value, cookie) = read(source, |bytes| {
                    let text = std::str::from_utf8(bytes).map_err(|_| {
                        InvalidValue::new("query parameter's value", "is not UTF-8")
                    })?;
                    check_pair(&name, text).map(|()| text.to_owned())
                })?;
                check_pair(&name, value.as_deref().unwrap_or("none yet"))?;
                match value {
                    Some(value) if when.is_always() => self.set_query(&name, &value)?,
                    value => self.add_query(name, value, cookie, when),
                }
            }
            (Place::Field(name), source) => {
                name.check()?;
                let (value, cookie) = read(source, |bytes| {
                    let text = name.checked(bytes)?;
                    Ok(Zeroizing::new(text.to_owned()))
                })?;
                self.add_field(name, value, cookie, when);
            }
        }
        Ok(())
    }

    fn add_header(
        &mut self,
        name: HeaderName,
        value: Option<HeaderValue>,
        cookie: Option<FromCookie>,
        when: When,
    ) {
        if when.is_always() {
            self.headers.retain(|(known, _)| *known != name);
        }
        let _ = name.clone();
        self.dependents.headers.add(Dependent {
            name,
            value: value.map(prepared),
            cookie,
            when,
        });
        self.prepare();
    }

    fn add_query(
        &mut self,
        name: String,
        value: Option<String>,
        cookie: Option<FromCookie>,
        when: When,
    ) {
        if when.is_always() {
            self.query.retain(|(known, _)| *known != name);
        }
        self.dependents.query.add(Dependent {
            name,
            value,
            cookie,
            when,
        });
        self.prepare();
    }

    fn add_field(
        &mut self,
        name: FieldName,
        value: Option<Zeroizing<String>>,
        cookie: Option<FromCookie>,
        when: When,
    ) {
        self.dependents.fields.add(Dependent {
            name,
            value,
            cookie,
            when,
        });
        self.prepare();
    }

    pub(crate) fn set_cookie(&mut self, name: &str, value: &str) -> Result<(), InvalidValue> {
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(InvalidValue::new(
                "cookie's name",
                "is not a token (RFC 6265, section 4.1.1)",
            ));
        }
        self.cookies.add(Cookie::bare(name, value))?;
        self.prepare();
        Ok(())
    }

    /// Adds a cookie as a server set it, which the session needs or not.
    pub(crate) fn add_cookie(&mut self, set: &SetCookie, needed: bool) -> Result<(), InvalidValue> {
        if set.deleted {
            return Err(InvalidValue::new("cookie", "has expired"));
        }
        let role = if needed { Role::Named } else { Role::Optional };
        self.cookies.add(Cookie::set_by(set, role))?;
        self.prepare();
        Ok(())
    }

    /// Keeps every cookie from now on, beginning with those that the login's response sets.
    pub(crate) fn keep_cookies(&mut self, response: &HeaderMap, target: Target<'_>) {
        self.cookies.keep_all(set_cookies(response), target);
        self.prepare();
    }

    /// Continues the cookies `before`, as an answer has set them since.
    pub(super) fn continue_cookies(&mut self, before: Cookies, set_by: &SetBy) {
        let (set, target) = (set_by.cookies(), set_by.target());
        self.cookies = self.cookies.continuing(before, set, target);
        self.prepare();
    }

    /// The name of a cookie that the session needs and that goes to no origin of the scope.
    pub(crate) fn cookie_out_of(&self, scope: &Scope) -> Option<&str> {
        self.cookies.out_of(scope)
    }

    /// Whether the session needs cookies, and has none of them.
    pub(crate) fn lacks_its_cookies(&self) -> bool {
        self.cookies.lack_all_named()
    }

    /// Forgets the lives of the cookies that the session needs.
    pub(crate) fn forget_cookie_lives(&mut self) {
        self.cookies.forget_lives();
    }

    /// What the lives of the cookies say about the session's.
    pub(crate) fn cookie_lives(&self, stated: Option<Duration>, slides: bool) -> CookieLives {
        self.cookies.lives(stated, slides)
    }

    /// The same beside other cookies, with what is derived from them.
    pub(super) fn with_cookies(&self, cookies: Cookies) -> Self {
        let mut next = Self {
            headers: self.headers.clone(),
            cookies,
            query: self.query.clone(),
            dependents: self.dependents.clone(),
            former: self.former.clone(),
            facts: self.facts,
        };
        next.prepare();
        next.remember(self);
        next
    }

    /// The same with the values of an answer.
    pub(super) fn with_update(mut self, update: &Update) -> Self {
        if update.carries_nothing() {
            return self;
        }
        let before = self.clone();
        for (name, value) in &update.headers {
            let value = prepared(value.clone());
            let plain = self.headers.iter_mut().find(|(known, _)| known == name);
            let dependent = self.dependents.headers.set(name, &value);
            match plain {
                Some((_, old)) => *old = value,
                None if dependent => {}
                None => self.set_header(name.clone(), value),
            }
        }
        for (name, value) in &update.query {
            let dependent = self.dependents.query.set(name, value);
            let plain = self.query.iter().any(|(known, _)| known == name);
            if plain || !dependent {
                put(&mut self.query, name, value);
            }
        }
        for (name, value) in &update.fields {
            if !self.dependents.fields.set(name, value) {
                let always = When::any_method();
                self.add_field(name.clone(), Some(value.clone()), None, always);
            }
        }
        self.prepare();
        self.remember(&before);
        self
    }

    /// Whether it has neither headers nor query pairs nor fields of the body.
    pub(super) fn has_cookies_alone(&self) -> bool {
        let none = self.headers.is_empty() && self.query.is_empty();
        none && self.dependents.is_empty() && self.dependents.fields.iter().next().is_none()
    }

    /// Whether a part is derived from the cookie with this name.
    pub(super) fn derives_from(&self, cookie: &str) -> bool {
        let is_it = |from: &FromCookie| from.name == cookie;
        let Dependents {
            headers,
            query,
            fields,
        } = &self.dependents;
        headers
            .iter()
            .any(|part| part.cookie.as_ref().is_some_and(is_it))
            || query
                .iter()
                .any(|part| part.cookie.as_ref().is_some_and(is_it))
            || fields
                .iter()
                .any(|part| part.cookie.as_ref().is_some_and(is_it))
    }

    /// Whether both have the same headers, query pairs and fields of the body.
    pub(super) fn has_same_parts(&self, other: &Self) -> bool {
        self.headers == other.headers
            && self.query == other.query
            && self.dependents == other.dependents
    }

    /// Whether both put the same on a request that carries nothing which depends on the request, on
    /// a cookie or on a fetch.
    pub(super) fn is_always_same(&self, other: &Self) -> bool {
        self.headers == other.headers
            && self.query == other.query
            && self.cookies.is_same_value(&other.cookies)
    }

    /// Whether both may be one session at the server, which has given it again. Of the tokens and
    /// the cookies by which both are known, some are the same and none differs. Where they have
    /// none of these, a header or a query pair of 16 bytes is the same: another one, such as a csrf
    /// value, may differ.
    pub(super) fn may_be_one_session(&self, other: &Self) -> bool {
        let mut same = None;
        for (name, _) in self.session_values() {
            let of_name = |value: &(&str, &[u8])| value.0 == name;
            let mut theirs = other.session_values().filter(of_name).peekable();
            if theirs.peek().is_some() {
                // Several cookies may have one name.
                let is_ours = |value| self.session_values().any(|ours| ours == value);
                same = Some(same.unwrap_or(true) && theirs.any(is_ours));
            }
        }
        same.unwrap_or_else(|| {
            let is_long = |value: &[u8]| value.len() >= SHORTEST;
            let is_own = |name: &HeaderName| *name != AUTHORIZATION;
            let mut headers = (self.headers.iter())
                .filter(|(name, value)| is_own(name) && is_long(value.as_bytes()));
            let mut pairs = (self.query.iter()).filter(|(_, value)| is_long(value.as_bytes()));
            headers.any(|part| other.headers.contains(part))
                || pairs.any(|part| other.query.contains(part))
        })
    }

    /// Whether both put the same on a request, but for cookies that only answers have set.
    pub(super) fn is_same_value(&self, other: &Self) -> bool {
        self.has_same_parts(other) && self.cookies.is_same_value(&other.cookies)
    }

    pub(crate) fn set_query(&mut self, name: &str, value: &str) -> Result<(), InvalidValue> {
        check_pair(name, value)?;
        let always = When::any_method();
        self.dependents.query.remove(&name.to_owned(), &always);
        put(&mut self.query, name, value);
        self.prepare();
        Ok(())
    }

    /// Writes a line for each part and for each cookie.
    pub(crate) fn write(&self, lines: &mut Lines) {
        for (name, value) in &self.headers {
            let line = lines.line("header").text("name", name.as_str());
            line.word("value", value.as_bytes()).end();
        }
        for part in self.dependents.headers.iter() {
            let line = lines.line("header").text("name", part.name.as_str());
            part.write(line, HeaderValue::as_bytes);
        }
        for (name, value) in &self.query {
            let line = lines.line("query").text("name", name);
            line.text("value", value).end();
        }
        for part in self.dependents.query.iter() {
            let line = lines.line("query").text("name", &part.name);
            part.write(line, String::as_bytes);
        }
        for part in self.dependents.fields.iter() {
            let line = lines.line(part.name.kind());
            let line = line.text("name", part.name.text());
            part.write(line, |value| value.as_bytes());
        }
        self.cookies.write(lines);
    }

    /// Adds the cookie of a line.
    pub(crate) fn read_cookie(&mut self, line: Line<'_>) -> Result<(), InvalidValue> {
        self.cookies.restore(Cookie::read(line)?);
        self.prepare();
        Ok(())
    }

    /// The lives of cookies are shorter by this time, in a session that `slides` or not.
    pub(crate) fn age_cookies(&mut self, by: Duration, slides: bool) {
        self.cookies.age(by, slides);
    }

    pub(crate) const fn keeps_all_cookies(&self) -> bool {
        self.cookies.keeps_all
    }

    /// Evaluates what is derived, and the facts.
    fn prepare(&mut self) {
        self.dependents.derive(&self.cookies);
        self.facts = Facts {
            has_query: !self.query.is_empty() || self.dependents.query.live().next().is_some(),
            by_target: !self.cookies.go_everywhere() || self.dependents.have_conditions(),
            more_than_headers: !self.cookies.is_empty() || !self.dependents.is_empty(),
            lacks: self.dependents.missing() > 0,
            has_fields: self.dependents.fields.live().next().is_some(),
            always_carried: !self.headers.is_empty()
                || !self.query.is_empty()
                || self.cookies.some_go_everywhere()
                || self.dependents.some_are_unconditional(),
        };
    }
}

/// What a part's source gives: a value that is `checked`, the cookie to have it from, or neither
/// until it is fetched.
fn read<V>(
    source: Source,
    checked: impl FnOnce(&[u8]) -> Result<V, InvalidValue>,
) -> Result<(Option<V>, Option<FromCookie>), InvalidValue> {
    match source {
        Source::Value(bytes) => Ok((Some(checked(&bytes)?), None)),
        Source::Cookie(cookie) if cookie.name.is_empty() => {
            Err(InvalidValue::new("cookie's name", "is empty"))
        }
        Source::Cookie(cookie) => Ok((None, Some(cookie))),
        Source::Fetched => Ok((None, None)),
    }
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
        let of_all = self.headers.iter().map(|(name, _)| name.as_str());
        let dependent = self.dependents.headers.iter();
        let dependent = dependent.map(|part| part.name.as_str());
        let headers: Vec<&str> = of_all.chain(dependent).collect();
        let of_all = self.query.iter().map(|(name, _)| name.as_str());
        let dependent = self.dependents.query.iter();
        let dependent = dependent.map(|part| part.name.as_str());
        let query: Vec<&str> = of_all.chain(dependent).collect();
        let fields = self.dependents.fields.iter();
        let fields: Vec<&str> = fields.map(|part| part.name.text()).collect();
        f.debug_struct("Attachment")
            .field("headers", &headers)
            .field("cookies", &self.cookies.names())
            .field("query", &query)
            .field("body", &fields)
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
        assert_eq!(attachment.attach_query(HERE, Some("a=1")), None);
        attachment.set_query("csrf", "a b&c=d/é").unwrap();
        let encoded = "csrf=a%20b%26c%3Dd%2F%C3%A9";
        assert_eq!(attachment.attach_query(HERE, None).unwrap(), encoded);
        assert_eq!(attachment.attach_query(HERE, Some("")).unwrap(), encoded);
        let given = "x=1&csrf=old&%63srf=old&y=%20&csrfx=2";
        let expected = format!("x=1&y=%20&csrfx=2&{encoded}");
        assert_eq!(
            attachment.attach_query(HERE, Some(given)).unwrap(),
            expected
        );
        attachment.set_query("v", "2").unwrap();
        assert_eq!(
            attachment.attach_query(HERE, None).unwrap(),
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
