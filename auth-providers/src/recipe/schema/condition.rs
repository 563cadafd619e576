//! What a response has to be for a clause to match.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::leaf::{CookieName, Name, Pointer, Span, Statuses, headers};
use super::life::Unit;
use super::pattern::Pattern;

/// Conditions that all have to hold, and what that means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Clause<M> {
    /// What it means. Not where the list says it: in `ok` and `over`.
    pub(in crate::recipe) means: Option<M>,
    /// The status: a number, a class as `4xx`, or a list of both.
    pub(in crate::recipe) status: Option<Statuses>,
    /// The media type, without parameters.
    #[serde(rename = "type")]
    pub(in crate::recipe) media_type: Option<String>,
    /// Headers, with what they are to be.
    #[serde(default, deserialize_with = "headers")]
    pub(in crate::recipe) header: BTreeMap<Name, HeaderTest>,
    /// Pointers into a body of JSON, with what is to be there.
    #[serde(default)]
    pub(in crate::recipe) json: BTreeMap<Pointer, Expected>,
    /// Pointers into a body of JSON to something that is not null.
    #[serde(default)]
    pub(in crate::recipe) present: Vec<Pointer>,
    /// Pointers into a body of JSON to nothing or to null.
    #[serde(default)]
    pub(in crate::recipe) absent: Vec<Pointer>,
    /// A regular expression for the body.
    pub(in crate::recipe) text: Option<Pattern>,
    /// A cookie that the response sets.
    pub(in crate::recipe) sets_cookie: Option<CookieName>,
    /// A regular expression for the `Location` of a redirect.
    pub(in crate::recipe) redirect: Option<Pattern>,
    /// In `verdicts`: the methods of the request: a name, a list of names, or `unsafe`.
    pub(in crate::recipe) method: Option<Methods>,
    /// In `verdicts`: the path of the request, or one above it, in whole segments. After redirects,
    /// it is the last one.
    pub(in crate::recipe) path: Option<String>,
    /// In `failures`: how long to wait, if `Retry-After` does not say it.
    pub(in crate::recipe) wait: Option<Wait>,
}

/// Stands where the list of a clause says what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum NoMeaning {}

impl<'de> Deserialize<'de> for NoMeaning {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom(
            "the list says what its clauses mean; leave `means` out",
        ))
    }
}

/// The methods of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::recipe) enum Methods {
    /// All but `GET`, `HEAD`, `OPTIONS` and `TRACE`.
    Unsafe,
    /// These.
    Named(Vec<String>),
}

impl<'de> Deserialize<'de> for Methods {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stated = Value::deserialize(deserializer)?;
        let names: Option<Vec<String>> = match &stated {
            Value::String(name) if name == "unsafe" => return Ok(Self::Unsafe),
            Value::String(name) => Some(vec![name.clone()]),
            Value::Array(list) => {
                let name = |name: &Value| name.as_str().map(str::to_owned);
                list.iter().map(name).collect()
            }
            _ => None,
        };
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_uppercase())
        };
        match names {
            Some(names) if names.iter().all(is_name) && !names.is_empty() => Ok(Self::Named(names)),
            _ => Err(D::Error::custom(
                "methods are \"unsafe\", a name such as \"POST\", or a list of names",
            )),
        }
    }
}

impl Serialize for Methods {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Unsafe => serializer.serialize_str("unsafe"),
            Self::Named(names) => serializer.collect_seq(names),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Methods {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Methods".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "\"unsafe\", a name such as \"POST\", or a list of names",
            "anyOf": [
                { "type": "string", "pattern": "^(unsafe|[A-Z]+)$" },
                { "type": "array", "items": { "type": "string", "pattern": "^[A-Z]+$" }, "minItems": 1 }
            ]
        })
    }
}

/// What a header is to be: a text, there, not there, or of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::recipe) enum HeaderTest {
    Is(String),
    There(bool),
    Matches(Pattern),
}

/// What a value of JSON is to be: one of these, or a string of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::recipe) enum Expected {
    AnyOf(Vec<Value>),
    Matches(Pattern),
    Kind(Kind),
}

/// A kind of value in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
}

impl Kind {
    /// Whether a value is of this kind.
    pub(in crate::recipe) fn is_of(self, value: &Value) -> bool {
        match self {
            Self::Object => value.is_object(),
            Self::Array => value.is_array(),
            Self::String => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
        }
    }
}

/// A table with a kind alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfKind {
    kind: Kind,
}

/// A table with a pattern alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matches {
    matches: Pattern,
}

impl<'de> Deserialize<'de> for HeaderTest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Test;

        impl<'de> Visitor<'de> for Test {
            type Value = HeaderTest;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, true, false, or { matches = 'pattern' }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<HeaderTest, E> {
                Ok(HeaderTest::Is(text.to_owned()))
            }

            fn visit_bool<E: Error>(self, there: bool) -> Result<HeaderTest, E> {
                Ok(HeaderTest::There(there))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<HeaderTest, M::Error> {
                let Matches { matches } = Matches::deserialize(MapAccessDeserializer::new(map))?;
                Ok(HeaderTest::Matches(matches))
            }
        }

        deserializer.deserialize_any(Test)
    }
}

impl Serialize for HeaderTest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Is(text) => serializer.serialize_str(text),
            Self::There(there) => serializer.serialize_bool(*there),
            Self::Matches(matches) => Matches {
                matches: matches.clone(),
            }
            .serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Expected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let is_scalar = |value: &Value| !value.is_object() && !value.is_array();
        match Value::deserialize(deserializer)? {
            Value::Array(list) if !list.is_empty() && list.iter().all(is_scalar) => {
                Ok(Self::AnyOf(list))
            }
            Value::Object(table) if table.contains_key("kind") => {
                let read = serde_json::from_value(Value::Object(table));
                read.map(|OfKind { kind }| Self::Kind(kind))
                    .map_err(D::Error::custom)
            }
            table @ Value::Object(_) => {
                let read = serde_json::from_value(table);
                read.map(|Matches { matches }| Self::Matches(matches))
                    .map_err(D::Error::custom)
            }
            scalar if is_scalar(&scalar) => Ok(Self::AnyOf(vec![scalar])),
            _ => Err(D::Error::custom(
                "what is expected at a pointer is a text, a number, true, false, a list of these, \
                 { matches = 'pattern' }, or { kind = \"object\" }",
            )),
        }
    }
}

impl Serialize for Expected {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AnyOf(list) => match list.as_slice() {
                [one] => one.serialize(serializer),
                several => several.serialize(serializer),
            },
            Self::Kind(kind) => OfKind { kind: *kind }.serialize(serializer),
            Self::Matches(matches) => Matches {
                matches: matches.clone(),
            }
            .serialize(serializer),
        }
    }
}

#[cfg(feature = "schema")]
mod schemas {
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::{Expected, HeaderTest, Kind};

    fn matches() -> serde_json::Value {
        serde_json::json!({
            "type": "object",
            "properties": { "matches": { "type": "string" } },
            "required": ["matches"],
            "additionalProperties": false
        })
    }

    impl JsonSchema for HeaderTest {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "HeaderTest".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({
                "description": "A text, true for there, false for not there, or a pattern",
                "anyOf": [{ "type": ["string", "boolean"] }, matches()]
            })
        }
    }

    impl JsonSchema for Expected {
        fn schema_name() -> std::borrow::Cow<'static, str> {
            "Expected".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            let scalar = serde_json::json!({ "type": ["string", "number", "boolean", "null"] });
            let kind = serde_json::json!({
                "type": "object",
                "properties": { "kind": generator.subschema_for::<Kind>() },
                "required": ["kind"],
                "additionalProperties": false
            });
            json_schema!({
                "description": "A value, a list of values of which any will do, a pattern, or a kind",
                "anyOf": [scalar, { "type": "array", "items": scalar, "minItems": 1 }, matches(), kind]
            })
        }
    }
}

/// How long to wait.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a span of time such as \"15s\", or { header = .. }, { json = .. } or { text = .. }"
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum Wait {
    /// Always so long.
    Fixed(Span),
    /// As the response says.
    Read(Reads),
}

/// A place in a response where a time is stated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Reads {
    /// A pointer into a body of JSON, to a number or a text.
    pub(in crate::recipe) json: Option<Pointer>,
    /// A header.
    pub(in crate::recipe) header: Option<Name>,
    /// The first group of a regular expression for the body.
    pub(in crate::recipe) text: Option<Pattern>,
    /// What the number or text is.
    pub(in crate::recipe) unit: Unit,
}
