//! The parts that depend on the request, on a cookie, or on a fetch, and all fields of the body.

use http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::body_field::FieldName;
use super::cookies::Cookies;
use super::encoded::prepared;
use super::line::Lines;
use super::part::FromCookie;
use super::{Target, When};

/// A part that not every request carries, or whose value is a cookie's or is fetched; or a field of
/// the body.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Dependent<N, V> {
    pub(super) name: N,
    /// The value now. `None` while the cookie is gone or its value can't be here and, without a
    /// cookie, until it is fetched.
    pub(super) value: Option<V>,
    /// The cookie that it is derived from.
    pub(super) cookie: Option<FromCookie>,
    pub(super) when: When,
}

impl<N, V> Dependent<N, V> {
    /// Whether it is to be fetched before a request may carry it.
    const fn is_missing(&self) -> bool {
        self.value.is_none() && self.cookie.is_none()
    }

    /// Writes the rest of a line, after the name.
    pub(super) fn write(&self, line: &mut Lines, bytes: impl Fn(&V) -> &[u8]) {
        match (&self.cookie, &self.value) {
            (Some(cookie), _) => {
                line.text("cookie", &cookie.name)
                    .flag("percent-decoded", cookie.percent_decoded);
            }
            (None, Some(value)) => {
                line.word("value", bytes(value));
            }
            (None, None) => {
                line.flag("fetched", true);
            }
        }
        line.flag("unsafe", self.when.unsafe_only);
        for path in &self.when.below {
            line.text("below", path);
        }
        line.end();
    }
}

/// The parts that depend on the request, on a cookie, or on a fetch.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Dependents {
    pub(super) headers: Parts<HeaderName, HeaderValue>,
    pub(super) query: Parts<String, String>,
    /// Also those that depend on nothing: they cost a parsed body, not a look-up.
    pub(super) fields: Parts<FieldName, Zeroizing<String>>,
}

/// Those of one kind: first the ones without a condition, and then in the order in which they were
/// added. Of several with one name that a request may carry, it carries the last.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Parts<N, V>(Vec<Dependent<N, V>>);

impl Dependents {
    /// Whether there are neither headers nor query pairs.
    pub(super) const fn is_empty(&self) -> bool {
        self.headers.0.is_empty() && self.query.0.is_empty()
    }

    /// Gives what is derived the values of these cookies.
    pub(super) fn derive(&mut self, cookies: &Cookies) {
        self.headers.derive(cookies, |bytes| {
            HeaderValue::from_bytes(&bytes).ok().map(prepared)
        });
        self.query
            .derive(cookies, |bytes| String::from_utf8(bytes).ok());
        self.fields.derive(cookies, |bytes| {
            String::from_utf8(bytes).ok().map(Zeroizing::new)
        });
    }

    /// How many are to be fetched.
    pub(super) fn missing(&self) -> usize {
        let (headers, query) = (self.headers.missing(), self.query.missing());
        headers.count() + query.count() + self.fields.missing().count()
    }

    /// Whether a request to this target would carry one that is missing.
    pub(super) fn lack(&self, target: Target<'_>) -> bool {
        self.headers.lack(target)
            || self.query.lack(target)
            || (target.has_body() && self.fields.lack(target))
    }

    /// Whether one that has a value may go on a request to this target. Without a method, it may
    /// have any.
    pub(super) fn may_go_to(&self, target: Target<'_>) -> bool {
        let goes = |when: &When| when.may_include(target);
        self.headers.any_live(goes)
            || self.query.any_live(goes)
            || (target.has_body() && self.fields.any_live(goes))
    }

    /// Whether one may go on a request to this target now, or once it has a value. Without a
    /// method, it may have any.
    pub(super) fn are_for(&self, target: Target<'_>) -> bool {
        let goes = |when: &When| when.may_include(target);
        self.headers.any(goes)
            || self.query.any(goes)
            || (target.has_body() && self.fields.any(goes))
    }

    /// Whether one that has a value goes on every request. A request may have no body.
    pub(super) fn some_are_unconditional(&self) -> bool {
        self.headers.any_live(When::is_always) || self.query.any_live(When::is_always)
    }

    /// Whether some headers or query pairs don't go to every request.
    pub(super) fn have_conditions(&self) -> bool {
        self.headers.have_conditions() || self.query.have_conditions()
    }
}

impl<N: PartialEq, V: PartialEq> Parts<N, V> {
    /// Adds one. It replaces one with the same name and condition.
    pub(super) fn add(&mut self, part: Dependent<N, V>) {
        self.remove(&part.name, &part.when);
        let at = if part.when.is_always() {
            self.0.partition_point(|known| known.when.is_always())
        } else {
            self.0.len()
        };
        self.0.insert(at, part);
    }

    pub(super) fn remove(&mut self, name: &N, when: &When) {
        self.0
            .retain(|known| known.name != *name || known.when != *when);
    }

    /// Sets the value of those with this name, and returns whether there are any. What is derived
    /// has to be derived again.
    pub(super) fn set(&mut self, name: &N, value: &V) -> bool
    where
        V: Clone,
    {
        let mut known = false;
        for part in self.0.iter_mut().filter(|part| part.name == *name) {
            part.value = Some(value.clone());
            known = true;
        }
        known
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Dependent<N, V>> {
        self.0.iter()
    }

    /// Those that have a value.
    pub(super) fn live(&self) -> impl Iterator<Item = (&N, &V)> {
        self.0
            .iter()
            .filter_map(|part| Some((&part.name, part.value.as_ref()?)))
    }

    /// Those that a request to this target carries.
    pub(super) fn of(&self, target: Target<'_>) -> impl Iterator<Item = (&N, &V)> {
        let theirs = self.0.iter().filter(move |part| part.when.includes(target));
        theirs.filter_map(|part| Some((&part.name, part.value.as_ref()?)))
    }

    /// Those that are to be fetched.
    fn missing(&self) -> impl Iterator<Item = &Dependent<N, V>> {
        self.0.iter().filter(|part| part.is_missing())
    }

    pub(super) fn is_missing(&self, name: &N) -> bool {
        self.missing().any(|part| part.name == *name)
    }

    fn lack(&self, target: Target<'_>) -> bool {
        let theirs = |part: &&Dependent<N, V>| part.when.includes(target);
        self.0.iter().enumerate().any(|(index, part)| {
            // A later one of the name goes in its place. It is no such one itself, without a value.
            let mut later = self.0[index..].iter().filter(theirs);
            part.is_missing()
                && theirs(&part)
                && !later.any(|other| other.name == part.name && other.value.is_some())
        })
    }

    fn any(&self, is_it: impl Fn(&When) -> bool) -> bool {
        self.0.iter().any(|part| is_it(&part.when))
    }

    fn any_live(&self, is_it: impl Fn(&When) -> bool) -> bool {
        self.0
            .iter()
            .any(|part| part.value.is_some() && is_it(&part.when))
    }

    fn have_conditions(&self) -> bool {
        self.0.iter().any(|part| !part.when.is_always())
    }

    fn derive(&mut self, cookies: &Cookies, read: impl Fn(Vec<u8>) -> Option<V>) {
        for part in &mut self.0 {
            let Some(cookie) = &part.cookie else {
                continue;
            };
            let value = cookies.get(&cookie.name).map(|value| {
                if cookie.percent_decoded {
                    percent_decode_str(value).collect()
                } else {
                    value.as_bytes().to_vec()
                }
            });
            part.value = value.filter(|value| !value.is_empty()).and_then(&read);
        }
    }
}

impl<N, V> Default for Parts<N, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
