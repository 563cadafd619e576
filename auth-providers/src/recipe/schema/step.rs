//! A request, and how its answer is read.

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::condition::{Clause, NoMeaning};
use super::leaf::{Name, headers};
use super::take::Takes;
use crate::recipe::template::Template;

/// A request, and how its answer is read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Step {
    /// It is sent only if this field, or what an earlier step has taken, has a value.
    pub(in crate::recipe) when: Option<String>,
    /// A `GET` of this path below the base URL, or of a whole URL.
    pub(in crate::recipe) get: Option<Template>,
    /// A `HEAD`.
    pub(in crate::recipe) head: Option<Template>,
    /// A `POST`.
    pub(in crate::recipe) post: Option<Template>,
    /// A `PUT`.
    pub(in crate::recipe) put: Option<Template>,
    /// A `PATCH`.
    pub(in crate::recipe) patch: Option<Template>,
    /// A `DELETE`.
    pub(in crate::recipe) delete: Option<Template>,
    /// Another method, with `url`.
    pub(in crate::recipe) method: Option<String>,
    /// The path or URL of that method.
    pub(in crate::recipe) url: Option<Template>,
    /// Pairs of the query.
    pub(in crate::recipe) query: BTreeMap<String, Template>,
    /// Headers.
    #[serde(deserialize_with = "headers")]
    pub(in crate::recipe) header: BTreeMap<Name, Template>,
    /// HTTP Basic.
    pub(in crate::recipe) basic: Option<Basic>,
    /// A bearer token.
    pub(in crate::recipe) bearer: Option<Template>,
    /// Whether it carries the session. Logins never do; a repair, a logout and a probe do unless
    /// this is false.
    pub(in crate::recipe) session: Option<bool>,
    /// A body of JSON: a table, or a text that is JSON. Its strings are templates.
    pub(in crate::recipe) json: Option<Json>,
    /// A body of form fields.
    pub(in crate::recipe) form: Option<BTreeMap<String, Template>>,
    /// A body of XML. Values in it are escaped.
    pub(in crate::recipe) xml: Option<Template>,
    /// A body of text. Values stand in it as they are.
    pub(in crate::recipe) text: Option<Template>,
    /// The content type, if it is not the usual one of the body.
    pub(in crate::recipe) content_type: Option<String>,
    /// Values that are computed before the request.
    pub(in crate::recipe) compute: BTreeMap<String, Compute>,
    /// What a success is. The default is a status 2xx.
    pub(in crate::recipe) ok: Vec<Clause<NoMeaning>>,
    /// What a failure is, and which. The first that matches counts, before `ok`.
    pub(in crate::recipe) failures: Vec<Clause<Meaning>>,
    /// Values that are taken from the answer. All that are not optional have to be there.
    pub(in crate::recipe) take: BTreeMap<String, Takes>,
}

/// What a failed answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum Meaning {
    /// The account or the secret is wrong.
    Refused,
    /// The account's owner has to act at the server first: a second factor, an expired password.
    Locked,
    /// The account has as many sessions as the server allows.
    SeatsExhausted,
    /// The server wants fewer logins.
    Limited,
    /// The server could not process it.
    Unavailable,
    /// Not what the API documents. It may be a refusal.
    Malformed,
}

/// A user and a password for HTTP Basic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Basic {
    /// The user.
    pub(in crate::recipe) user: Template,
    /// The password.
    pub(in crate::recipe) password: Template,
}

/// The method and the URL of a step.
#[derive(Clone, Debug)]
pub(in crate::recipe) struct Url<'a> {
    /// The method, as in the step.
    pub(in crate::recipe) key: &'static str,
    pub(in crate::recipe) method: Method,
    pub(in crate::recipe) template: &'a Template,
}

impl Step {
    /// The method and the URL: one, in a recipe that was checked.
    pub(in crate::recipe) fn urls(&self) -> impl Iterator<Item = Url<'_>> {
        let other = self.method.as_ref().and_then(|name| name.parse().ok());
        let other = other.map(|method| ("url", method, &self.url));
        [
            ("get", Method::GET, &self.get),
            ("head", Method::HEAD, &self.head),
            ("post", Method::POST, &self.post),
            ("put", Method::PUT, &self.put),
            ("patch", Method::PATCH, &self.patch),
            ("delete", Method::DELETE, &self.delete),
        ]
        .into_iter()
        .chain(other)
        .filter_map(|(key, method, template)| {
            let template = template.as_ref()?;
            Some(Url {
                key,
                method,
                template,
            })
        })
    }

    /// Moves what a header carries to another header.
    pub(in crate::recipe) fn rename_header(&mut self, from: &HeaderName, to: &HeaderName) {
        let name = self.header.keys().find(|name| name.get() == from).cloned();
        if let Some(value) = name.and_then(|name| self.header.remove(&name)) {
            self.header.insert(to.clone().into(), value);
        }
    }

    /// The keys of its bodies: at most one, in a recipe that was checked.
    pub(in crate::recipe) fn bodies(&self) -> impl Iterator<Item = &'static str> {
        [
            ("json", self.json.is_some()),
            ("form", self.form.is_some()),
            ("xml", self.xml.is_some()),
            ("text", self.text.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_there)| is_there.then_some(key))
    }

    /// The names in the request and in what is computed for it.
    pub(in crate::recipe) fn names(&self) -> impl Iterator<Item = &str> {
        let computed = self.compute.values().flat_map(Compute::templates);
        let computed = computed.map(|(_, template)| template);
        let own = self.templates().into_iter().map(|(_, template)| template);
        own.chain(computed).flat_map(Template::names)
    }

    /// The templates without whose values there is no request, with where each stands.
    pub(in crate::recipe) fn required(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        let urls = self.urls().map(|url| (url.key, url.template));
        let basic = self.basic.iter().flat_map(|Basic { user, password }| {
            [("basic.user", user), ("basic.password", password)]
        });
        let texts = [
            ("bearer", &self.bearer),
            ("xml", &self.xml),
            ("text", &self.text),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(key, it)| Some((key, it.as_ref()?)));
        urls.chain(basic).chain(texts)
    }

    /// The templates of the request, with where each stands in the step.
    pub(in crate::recipe) fn templates(&self) -> Vec<(String, &Template)> {
        let mut all = Vec::new();
        for url in self.urls() {
            all.push((url.key.to_owned(), url.template));
        }
        for (name, template) in &self.query {
            all.push((format!("query.{name}"), template));
        }
        for (name, template) in &self.header {
            all.push((format!("header.{}", name.get()), template));
        }
        if let Some(Basic { user, password }) = &self.basic {
            all.push(("basic.user".to_owned(), user));
            all.push(("basic.password".to_owned(), password));
        }
        if let Some(json) = &self.json {
            json.0.templates("json", &mut all);
        }
        for (name, template) in self.form.iter().flatten() {
            all.push((format!("form.{name}"), template));
        }
        for (key, template) in [
            ("bearer", &self.bearer),
            ("xml", &self.xml),
            ("text", &self.text),
        ] {
            if let Some(template) = template {
                all.push((key.to_owned(), template));
            }
        }
        all
    }
}

/// A body of JSON, whose strings are templates.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::recipe) struct Json(pub(in crate::recipe) Node);

/// A value of JSON, whose strings are templates.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::recipe) enum Node {
    Fixed(Value),
    Text(Template),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
}

impl Node {
    fn read(value: Value) -> Result<Self, String> {
        Ok(match value {
            Value::String(text) => Self::Text(text.try_into()?),
            Value::Array(list) => {
                let nodes: Result<_, _> = list.into_iter().map(Self::read).collect();
                Self::List(nodes?)
            }
            Value::Object(table) => {
                let node = |(name, value)| Ok((name, Self::read(value)?));
                let nodes: Result<_, String> = table.into_iter().map(node).collect();
                Self::Table(nodes?)
            }
            fixed => Self::Fixed(fixed),
        })
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Fixed(value) => value.clone(),
            Self::Text(template) => template.source().into(),
            Self::List(nodes) => nodes.iter().map(Self::to_value).collect(),
            Self::Table(nodes) => {
                let pair = |(name, node): &(String, Self)| (name.clone(), node.to_value());
                Value::Object(nodes.iter().map(pair).collect())
            }
        }
    }

    fn templates<'a>(&'a self, at: &str, all: &mut Vec<(String, &'a Template)>) {
        match self {
            Self::Fixed(_) => {}
            Self::Text(template) => all.push((at.to_owned(), template)),
            Self::List(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    node.templates(&format!("{at}[{index}]"), all);
                }
            }
            Self::Table(nodes) => {
                for (name, node) in nodes {
                    node.templates(&format!("{at}.{name}"), all);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let value = match Value::deserialize(deserializer)? {
            Value::String(text) => serde_json::from_str(&text).map_err(|error| {
                D::Error::custom(format!(
                    "a text in place of a table has to be JSON: {error}"
                ))
            })?,
            table => table,
        };
        Node::read(value).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_value().to_string())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Json {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Json".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "JSON whose strings are templates, or a text that is such JSON"
        })
    }
}

/// A value that is computed from others: one of these.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Compute {
    /// Base64 of a text.
    pub(in crate::recipe) base64: Option<Template>,
    /// A text in hexadecimal digits.
    pub(in crate::recipe) hex: Option<Template>,
    /// A text with percent-encoding.
    pub(in crate::recipe) percent: Option<Template>,
    /// A text without its percent-encoding, as that of a cookie.
    pub(in crate::recipe) percent_decoded: Option<Template>,
    /// The MD5 of a text.
    pub(in crate::recipe) md5: Option<Template>,
    /// The SHA-1 of a text.
    pub(in crate::recipe) sha1: Option<Template>,
    /// The SHA-256 of a text.
    pub(in crate::recipe) sha256: Option<Template>,
    /// The HMAC of `of` with `key`, by this hash.
    pub(in crate::recipe) hmac: Option<Hash>,
    /// The key of the HMAC.
    pub(in crate::recipe) key: Option<Template>,
    /// The text of the HMAC.
    pub(in crate::recipe) of: Option<Template>,
    /// The code of a second factor now (RFC 6238: SHA-1, 6 digits, 30 s), of a secret in base32.
    pub(in crate::recipe) totp: Option<Template>,
    /// The time now, since 1970.
    pub(in crate::recipe) time: Option<TimeUnit>,
    /// A random UUID, one for each login's value.
    pub(in crate::recipe) uuid: bool,
    /// How a hash is written.
    #[serde(rename = "as")]
    pub(in crate::recipe) written: Bytes,
}

/// A hash of an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum Hash {
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
}

/// The unit of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum Bytes {
    /// In hexadecimal digits.
    #[default]
    Hex,
    /// In base64.
    Base64,
}

impl Compute {
    /// The templates, each with its key.
    pub(in crate::recipe) fn templates(&self) -> impl Iterator<Item = (&'static str, &Template)> {
        [
            ("base64", &self.base64),
            ("hex", &self.hex),
            ("percent", &self.percent),
            ("percent_decoded", &self.percent_decoded),
            ("md5", &self.md5),
            ("sha1", &self.sha1),
            ("sha256", &self.sha256),
            ("key", &self.key),
            ("of", &self.of),
            ("totp", &self.totp),
        ]
        .into_iter()
        .filter_map(|(key, template)| Some((key, template.as_ref()?)))
    }

    /// How many things it computes. It has to be one.
    pub(in crate::recipe) fn kinds(&self) -> usize {
        let texts = self
            .templates()
            .filter(|(key, _)| !["key", "of"].contains(key));
        let others = [self.hmac.is_some(), self.time.is_some(), self.uuid];
        texts.count() + others.into_iter().filter(|is_there| *is_there).count()
    }
}
