//! What requests carry.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::leaf::{CookieName, Pointer};
use super::step::{Basic, Compute};
use crate::recipe::template::Template;

/// What requests carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Attach {
    /// Values that are computed from those of the session, for what is attached.
    pub(in crate::recipe) compute: BTreeMap<String, Compute>,
    /// A bearer token.
    pub(in crate::recipe) bearer: Option<Template>,
    /// HTTP Basic.
    pub(in crate::recipe) basic: Option<Basic>,
    /// Cookies that the session needs, as they were set. A `*` at the end stands for any rest.
    pub(in crate::recipe) cookies: Vec<CookieName>,
    /// Cookies that it can do without.
    pub(in crate::recipe) optional_cookies: Vec<CookieName>,
    /// Every other cookie, as a browser keeps them.
    pub(in crate::recipe) all_cookies: bool,
    /// Cookies that are made of values.
    pub(in crate::recipe) cookie: BTreeMap<String, Template>,
    /// Headers. Their names may hold values that are no secrets.
    pub(in crate::recipe) header: BTreeMap<Template, Attached>,
    /// Pairs of the query.
    pub(in crate::recipe) query: BTreeMap<String, Attached>,
    /// Strings in the JSON body of each request, by their pointers, as /params/0.
    pub(in crate::recipe) body: BTreeMap<Pointer, Attached>,
    /// Pairs of the form that is the body of each request.
    pub(in crate::recipe) form: BTreeMap<String, Attached>,
}

impl Attach {
    /// Whether the session follows cookies that the server sets.
    pub(in crate::recipe) const fn has_cookies(&self) -> bool {
        !self.cookies.is_empty() || !self.optional_cookies.is_empty() || self.all_cookies
    }

    /// The values that a name stands for: those that it is computed from, or itself.
    pub(in crate::recipe) fn roots<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        match self.compute.get(name) {
            Some(compute) => {
                let names = compute
                    .templates()
                    .flat_map(|(_, template)| template.names());
                names.flat_map(|name| self.roots(name)).collect()
            }
            None => vec![name],
        }
    }

    /// Whether the login or a refresh may set this cookie.
    pub(in crate::recipe) fn lists_cookie(&self, name: &str) -> bool {
        let mut listed = self.cookies.iter().chain(&self.optional_cookies);
        listed.any(|listed| listed.is_of(name))
    }
}

/// The value of a header, of a pair of the query or of a field of the body: a template, or a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(in crate::recipe) struct Attached(pub(in crate::recipe) PartTemplate);

/// A header, a pair of the query or a field of the body, and which requests carry it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct PartTemplate {
    /// The value.
    pub(in crate::recipe) value: Option<Template>,
    /// The cookie that it always equals, in place of a value. Its name may hold values that are no
    /// secrets.
    pub(in crate::recipe) cookie: Option<Template>,
    /// Takes the percent-encoding off that cookie.
    pub(in crate::recipe) percent_decoded: bool,
    /// Only requests with these methods carry it.
    pub(in crate::recipe) methods: Option<Only>,
    /// Only requests below one of these paths carry it.
    pub(in crate::recipe) below: Vec<String>,
}

/// Says that only some methods carry a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum Only {
    /// All but `GET`, `HEAD`, `OPTIONS` and `TRACE`.
    Unsafe,
}

impl<'de> Deserialize<'de> for Attached {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Attached;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a table with `value` or `cookie`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Attached, E> {
                let value = Template::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(Attached(PartTemplate {
                    value: Some(value),
                    ..PartTemplate::default()
                }))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Attached, M::Error> {
                PartTemplate::deserialize(MapAccessDeserializer::new(map)).map(Attached)
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Attached {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Attached".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let table = generator.subschema_for::<PartTemplate>();
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}
