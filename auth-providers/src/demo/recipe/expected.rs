//! What a request has to be.

use std::collections::{BTreeMap, BTreeSet};

use auth_core::BodyField;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE};
use http::request::Parts;
use http::{HeaderMap, Request, Uri};
use percent_encoding::percent_decode;
use serde_json::Value;

/// A request that is told from others by its entries: `method`, `path`, `query.NAME`,
/// `header.NAME`, `cookie.NAME`, and the values of its body.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    entries: Entries,
    body: Body,
}

type Entries = BTreeMap<String, String>;

/// How a body is compared.
#[derive(Clone, Copy, Debug, Default)]
enum Body {
    /// By its values.
    Json,
    /// By its fields.
    Form,
    /// Byte for byte.
    #[default]
    Whole,
}

impl Expected {
    /// A request of the recipe's own. `states_accept` says whether its `Accept` is the recipe's.
    pub(super) fn step(request: &Request<Bytes>, states_accept: bool) -> Self {
        let body = match media_type(request.headers()).as_deref() {
            Some("application/json") => Body::Json,
            Some("application/x-www-form-urlencoded") => Body::Form,
            _ => Body::Whole,
        };
        let mut entries = head(request.method().as_str(), request.uri(), request.headers());
        if !states_accept {
            entries.remove("header.accept");
        }
        body.read(request.body(), &mut entries);
        Self { entries, body }
    }

    /// What a session adds to a request without any, and to its body.
    pub(super) fn session<'a>(
        request: &Request<()>,
        fields: impl Iterator<Item = BodyField<'a>>,
    ) -> Self {
        let mut entries = head("", request.uri(), request.headers());
        entries.retain(|key, _| key.contains('.'));
        let mut body = Body::Whole;
        for field in fields {
            match field {
                BodyField::Json { pointer, value } => {
                    leaves(&format!("json{pointer}"), &value.into(), &mut entries);
                    body = Body::Json;
                }
                BodyField::Form { name, value } => {
                    entries.insert(format!("form.{name}"), value.to_owned());
                    body = Body::Form;
                }
                _ => {}
            }
        }
        Self { entries, body }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries that differ between two requests.
    pub(super) fn varying(&self, other: &Self) -> BTreeSet<String> {
        let keys = self.entries.keys().chain(other.entries.keys());
        let differs = |key: &&String| self.entries.get(*key) != other.entries.get(*key);
        keys.filter(differs).cloned().collect()
    }

    /// The entries that a request lacks or has otherwise. Headers and cookies beside them are its
    /// own; pairs of the query and values of the body are not.
    pub(super) fn amiss(&self, parts: &Parts, body: &[u8]) -> BTreeSet<String> {
        let mut received = head(parts.method.as_str(), &parts.uri, &parts.headers);
        self.body.read(body, &mut received);
        received.retain(|key, _| {
            let is_own = key.starts_with("header.") || key.starts_with("cookie.");
            !is_own || self.entries.contains_key(key)
        });
        let received = Self {
            entries: received,
            body: self.body,
        };
        self.varying(&received)
    }

    /// The entries of a session that a request lacks or has otherwise.
    pub(super) fn lacking(&self, parts: &Parts, body: &[u8]) -> BTreeSet<String> {
        let mut received = head("", &parts.uri, &parts.headers);
        self.body.read(body, &mut received);
        let lacks = |(key, value): &(&String, &String)| received.get(*key) != Some(value);
        let entries = self.entries.iter().filter(lacks);
        entries.map(|(key, _)| key.clone()).collect()
    }

    /// Whether it has each entry of another, with whatever value.
    pub(super) fn has_keys_of(&self, other: &Self) -> bool {
        let mut keys = other.entries.keys();
        keys.all(|key| self.entries.contains_key(key))
    }

    pub(super) fn has_any(&self, keys: &BTreeSet<String>) -> bool {
        keys.iter().any(|key| self.entries.contains_key(key))
    }

    /// Whether a request is to the same path with the same method.
    pub(super) fn is_to(&self, parts: &Parts) -> bool {
        let is = |key: &str, value: &str| self.entries.get(key).is_some_and(|its| its == value);
        is("method", parts.method.as_str()) && is("path", parts.uri.path())
    }
}

fn head(method: &str, uri: &Uri, headers: &HeaderMap) -> Entries {
    let mut entries = Entries::new();
    entries.insert("method".to_owned(), method.to_owned());
    entries.insert("path".to_owned(), uri.path().to_owned());
    pairs(
        "query",
        uri.query().unwrap_or_default().as_bytes(),
        &mut entries,
    );
    for (name, value) in headers {
        if name == COOKIE {
            let text = String::from_utf8_lossy(value.as_bytes());
            for pair in text.split(';') {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                entries.insert(format!("cookie.{}", name.trim()), value.trim().to_owned());
            }
        } else if name != CONTENT_TYPE {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            entries.insert(format!("header.{name}"), text);
        }
    }
    if let Some(kind) = media_type(headers) {
        entries.insert("header.content-type".to_owned(), kind);
    }
    entries
}

/// The media type, without its parameters, which say no more about a text in UTF-8.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let kind = kind.split(';').next().unwrap_or_default();
    Some(kind.trim().to_ascii_lowercase())
}

/// Adds the pairs of a query or a form. Of a name that is there twice, both.
fn pairs(at: &str, text: &[u8], entries: &mut Entries) {
    let decoded = |text: &[u8]| {
        let spaced: Vec<u8> = text
            .iter()
            .map(|b| if *b == b'+' { b' ' } else { *b })
            .collect();
        percent_decode(&spaced).decode_utf8_lossy().into_owned()
    };
    for pair in text
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let name = decoded(halves.next().unwrap_or_default());
        let value = decoded(halves.next().unwrap_or_default());
        let entry = entries.entry(format!("{at}.{name}")).or_default();
        if !entry.is_empty() {
            entry.push('&');
        }
        entry.push_str(&value);
    }
}

impl Body {
    fn read(self, body: &[u8], entries: &mut Entries) {
        match self {
            Self::Form => pairs("form", body, entries),
            Self::Json => match serde_json::from_slice(body) {
                Ok(value) => leaves("json", &value, entries),
                Err(_) => {
                    entries.insert("json".to_owned(), "not JSON".to_owned());
                }
            },
            Self::Whole => {
                let text = String::from_utf8_lossy(body).into_owned();
                entries.insert("body".to_owned(), text);
            }
        }
    }
}

/// Adds each value in a value of JSON, by where it stands.
fn leaves(at: &str, value: &Value, entries: &mut Entries) {
    match value {
        Value::Object(table) if !table.is_empty() => {
            for (name, value) in table {
                leaves(&format!("{at}/{name}"), value, entries);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (index, value) in list.iter().enumerate() {
                leaves(&format!("{at}/{index}"), value, entries);
            }
        }
        leaf => {
            entries.insert(at.to_owned(), leaf.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_and_a_form_are_read_by_their_pairs() {
        let mut entries = Entries::new();
        pairs("q", b"a=1&&b=%2B+2&a=3&c&d=x=y", &mut entries);
        let expected = [("q.a", "1&3"), ("q.b", "+ 2"), ("q.c", ""), ("q.d", "x=y")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(entries, Entries::from(expected));
    }

    #[test]
    fn each_value_of_json_has_an_entry_and_an_empty_table_and_list_too() {
        let mut entries = Entries::new();
        let value = serde_json::json!({ "a": [1, { "b": null }], "c": {}, "d": [] });
        leaves("json", &value, &mut entries);
        let expected = [
            ("json/a/0", "1"),
            ("json/a/1/b", "null"),
            ("json/c", "{}"),
            ("json/d", "[]"),
        ];
        let expected = expected.map(|(at, value)| (at.to_owned(), value.to_owned()));
        assert_eq!(entries, Entries::from(expected));
    }
}
