//! The leaves of a recipe: texts that are read into what they mean.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

#[cfg(feature = "schema")]
use super::pattern::Pattern;
use crate::recipe::template::Template;

/// The JSON Schema of a leaf that is written as a text.
macro_rules! schema_of_text {
    ($leaf:ident, $about:literal) => {
        #[cfg(feature = "schema")]
        impl schemars::JsonSchema for $leaf {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($leaf).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "description": $about, "type": "string" })
            }
        }
    };
}

schema_of_text!(Template, "A text in which {name} stands for a value");
schema_of_text!(Pattern, "A regular expression");
schema_of_text!(Pointer, "A JSON pointer, as /data/token");
schema_of_text!(Name, "The name of a header");
schema_of_text!(
    CookieName,
    "The name of a cookie; a * at its end stands for any rest"
);
schema_of_text!(
    Span,
    "A span of time, as 30s, 15m, 2h or 7d, or a field in braces"
);

/// A JSON pointer (RFC 6901). That to the whole document is empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::recipe) struct Pointer(String);

impl Pointer {
    pub(in crate::recipe) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let mut tildes = text.split('~').skip(1);
        if !(text.is_empty() || text.starts_with('/')) {
            return Err(format!(
                "{text:?} is not a JSON pointer; it begins with a slash, as \"/data/token\", or is \
                 empty for the whole document"
            ));
        }
        if tildes.any(|behind| !behind.starts_with(['0', '1'])) {
            return Err(format!(
                "{text:?} is not a JSON pointer; a tilde is written as ~0, and a slash in a name as ~1"
            ));
        }
        Ok(Self(text))
    }
}

impl From<Pointer> for String {
    fn from(pointer: Pointer) -> Self {
        pointer.0
    }
}

/// The name of a header.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::recipe) struct Name(Sorted);

/// `HeaderName` has no order of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sorted(HeaderName);

impl PartialOrd for Sorted {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sorted {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl Name {
    pub(in crate::recipe) const fn get(&self) -> &HeaderName {
        &self.0.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match HeaderName::try_from(&text) {
            Ok(name) => Ok(Self(Sorted(name))),
            Err(_) => Err(format!("{text:?} is not the name of a header")),
        }
    }
}

impl From<HeaderName> for Name {
    fn from(name: HeaderName) -> Self {
        Self(Sorted(name))
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.get().as_str().to_owned()
    }
}

/// Headers, of which none may be there twice, in another case.
pub(in crate::recipe) fn headers<'de, D, T>(deserializer: D) -> Result<BTreeMap<Name, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct Headers<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Headers<T> {
        type Value = BTreeMap<Name, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table of headers")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut headers = BTreeMap::new();
            while let Some((name, value)) = map.next_entry::<Name, T>()? {
                if headers.contains_key(&name) {
                    let name = name.get();
                    let problem =
                        format_args!("the header {name} is there already, in another case");
                    return Err(M::Error::custom(problem));
                }
                headers.insert(name, value);
            }
            Ok(headers)
        }
    }

    deserializer.deserialize_map(Headers(PhantomData))
}

/// The name of a cookie, or the beginning of one and a `*`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::recipe) struct CookieName(String);

impl CookieName {
    pub(in crate::recipe) fn is_of(&self, name: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == self.0,
        }
    }

    pub(in crate::recipe) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CookieName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let name = text.strip_suffix('*').unwrap_or(&text);
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(format!(
                "{text:?} is not the name of a cookie; a `*` at its end stands for any rest"
            ));
        }
        Ok(Self(text))
    }
}

impl From<CookieName> for String {
    fn from(name: CookieName) -> Self {
        name.0
    }
}

/// A span of time, as `30s`, `15m`, `2h` or `7d`, or a field that holds one.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::recipe) struct Span {
    source: String,
    meaning: SpanMeaning,
}

#[derive(Clone)]
enum SpanMeaning {
    Fixed(Duration),
    Field(String),
}

impl Span {
    /// The field that holds it, if one does.
    pub(in crate::recipe) fn field(&self) -> Option<&str> {
        match &self.meaning {
            SpanMeaning::Fixed(_) => None,
            SpanMeaning::Field(name) => Some(name),
        }
    }

    /// The span, with the field's value. `None` if the field has none or holds no span.
    pub(in crate::recipe) fn get<'a>(
        &self,
        value: impl Fn(&str) -> Option<&'a str>,
    ) -> Option<Duration> {
        match &self.meaning {
            SpanMeaning::Fixed(span) => Some(*span),
            SpanMeaning::Field(name) => read_span(value(name)?),
        }
    }
}

/// A span of time that is longer than none: a number and `ms`, `s`, `m`, `h` or `d`.
pub(in crate::recipe) fn read_span(text: &str) -> Option<Duration> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    let unit = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    let span = number.parse::<u64>().ok()?.checked_mul(unit)?;
    (span > 0).then_some(Duration::from_millis(span))
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        let template = Template::try_from(source.clone())?;
        let meaning = match (template.only_name(), read_span(&source)) {
            (Some(name), _) => SpanMeaning::Field(name.to_owned()),
            (None, Some(span)) => SpanMeaning::Fixed(span),
            (None, None) => {
                return Err(format!(
                    "{source:?} is no span of time, or none at all; write 30s, 15m, 2h or 7d, or a field in \
                     braces"
                ));
            }
        };
        Ok(Self { source, meaning })
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        span.source
    }
}

/// Two are equal if their texts are.
impl PartialEq for Span {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

/// Statuses: one, a class as `4xx`, or a list of both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::recipe) struct Statuses(Vec<StatusRange>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatusRange {
    first: u16,
    last: u16,
}

const NO_STATUS: &str =
    "a status is a number such as 401, a class such as \"4xx\", or a list of both";

impl Statuses {
    /// The first of them.
    #[cfg(feature = "demo")]
    pub(in crate::recipe) fn first(&self) -> StatusCode {
        let first = self.0.first().map(|range| range.first);
        let status = first.and_then(|code| StatusCode::from_u16(code).ok());
        status.unwrap_or_default()
    }

    /// Whether all of the others are among them.
    pub(in crate::recipe) fn contain_all(&self, others: &Self) -> bool {
        let is_in = |other: &StatusRange| {
            let mut ranges = self.0.iter();
            ranges.any(|range| range.first <= other.first && other.last <= range.last)
        };
        others.0.iter().all(is_in)
    }

    /// Whether one of them is in this range.
    pub(in crate::recipe) fn overlap(&self, codes: RangeInclusive<u16>) -> bool {
        let mut ranges = self.0.iter();
        ranges.any(|range| range.first <= *codes.end() && *codes.start() <= range.last)
    }

    pub(in crate::recipe) fn contain(&self, status: StatusCode) -> bool {
        let code = status.as_u16();
        let mut ranges = self.0.iter();
        ranges.any(|range| (range.first..=range.last).contains(&code))
    }
}

impl StatusRange {
    fn read(value: &Value) -> Option<Self> {
        if let Some(code) = value.as_u64() {
            let code = u16::try_from(code)
                .ok()
                .filter(|code| (100..1000).contains(code))?;
            return Some(Self {
                first: code,
                last: code,
            });
        }
        let class = value.as_str()?.strip_suffix("xx")?;
        let class: u16 = class.parse().ok().filter(|class| (1..=9).contains(class))?;
        Some(Self {
            first: class * 100,
            last: class * 100 + 99,
        })
    }

    fn to_value(self) -> Value {
        if self.first == self.last {
            self.first.into()
        } else {
            format!("{}xx", self.first / 100).into()
        }
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stated = Value::deserialize(deserializer)?;
        let ranges: Option<Vec<_>> = match &stated {
            Value::Array(list) => list.iter().map(StatusRange::read).collect(),
            one => StatusRange::read(one).map(|range| vec![range]),
        };
        let ranges = ranges.filter(|ranges| !ranges.is_empty());
        ranges.map(Self).ok_or_else(|| D::Error::custom(NO_STATUS))
    }
}

impl Serialize for Statuses {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.to_value().serialize(serializer),
            several => serializer.collect_seq(several.iter().map(|range| range.to_value())),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Statuses {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Statuses".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = serde_json::json!({ "anyOf": [
            { "type": "integer", "minimum": 100, "maximum": 999 },
            { "type": "string", "pattern": "^[1-9]xx$" },
        ]});
        let mut both = one.clone();
        let list = serde_json::json!({ "type": "array", "items": one, "minItems": 1 });
        if let Some(any) = both["anyOf"].as_array_mut() {
            any.push(list);
        }
        both["description"] = NO_STATUS.into();
        both.try_into()
            .unwrap_or_else(|_| schemars::Schema::default())
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(in crate::recipe) struct Several<T>(pub(in crate::recipe) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Several<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMore<T> {
            type Value = Several<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table, or a list of tables")
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Several<T>, M::Error> {
                let one = T::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Several(vec![one]))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Several<T>, S::Error> {
                let mut all = Vec::new();
                while let Some(one) = seq.next_element()? {
                    all.push(one);
                }
                if all.is_empty() {
                    return Err(S::Error::invalid_length(0, &"at least one table"));
                }
                Ok(Several(all))
            }
        }

        deserializer.deserialize_any(OneOrMore(PhantomData))
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Several<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Several{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let one = generator.subschema_for::<T>();
        schemars::json_schema!({
            "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        let seconds = |text| read_span(text).map(|span| span.as_secs_f64());
        for (text, span) in [
            ("250ms", 0.25),
            ("30s", 30.0),
            ("15m", 900.0),
            ("2h", 7_200.0),
        ] {
            assert_eq!(seconds(text), Some(span), "{text}");
        }
        assert_eq!(seconds(" 7d "), Some(604_800.0));
        for text in [
            "",
            "1",
            "s",
            "0s",
            "-1s",
            "1.5h",
            "1 h",
            "1h30m",
            "99999999999999999999d",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn statuses_are_numbers_and_classes() {
        let read = |json| serde_json::from_str::<Statuses>(json).ok();
        let contains = |json, code| {
            let status = StatusCode::from_u16(code).unwrap();
            read(json).unwrap().contain(status)
        };
        assert!(contains("401", 401) && !contains("401", 402));
        assert!(contains("\"4xx\"", 400) && contains("\"4xx\"", 499) && !contains("\"4xx\"", 500));
        assert!(contains("[200, \"5xx\"]", 503) && !contains("[200, \"5xx\"]", 404));
        for json in [
            "[]", "99", "1000", "\"0xx\"", "\"xx\"", "\"401\"", "true", "[[200]]",
        ] {
            assert_eq!(read(json), None, "{json}");
        }
    }
}
