//! JSON, as the answer to a login has it.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

/// What some servers write before JSON, such as Gerrit and those for Angular, so that no page of
/// another site can run it as a script. A comma may follow.
const NO_SCRIPT: &[u8] = b")]}'";

/// Reads JSON, with [`NO_SCRIPT`] before it or without. What is not UTF-8 is replaced, and so are
/// halves of surrogate pairs: a name that was cut off in the middle of a character does not spoil
/// the token beside it.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    let body = body
        .strip_prefix(NO_SCRIPT)
        .map_or(body, |behind| behind.strip_prefix(b",").unwrap_or(behind));
    read_text(body).or_else(|error| match whole_characters(body) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(text) => read_text(text.as_bytes()),
    })
}

fn read_text<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = T::deserialize(ByName(&mut json))?;
    json.end()?;
    Ok(value)
}

/// Takes a struct from an object alone. The derived code of serde takes it from an array as well,
/// value by value, and `["Invalid password"]` would bring a token.
struct ByName<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for ByName<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    // What an answer may be as a whole says its own type.
    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// The text with a replacement character for what is none: bytes that are not UTF-8, and escapes
/// of one half of a surrogate pair (RFC 8259, section 8.2). Borrowed, if there is no such.
fn whole_characters(body: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(body);
    let mut whole = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(escape) = text[at..].find('\\') {
        let start = at + escape;
        at = match (half(&text, start), half(&text, start + ESCAPE)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => start + 2 * ESCAPE,
            (Some(_), _) => {
                whole.push_str(&text[copied..start]);
                whole.push_str("\\uFFFD");
                copied = start + ESCAPE;
                copied
            }
            // The character behind the backslash is escaped, and may be one itself.
            (None, _) => start + 1 + text[start + 1..].chars().next().map_or(0, char::len_utf8),
        };
    }
    if copied == 0 {
        return text;
    }
    whole.push_str(&text[copied..]);
    Cow::Owned(whole)
}

/// The length of `\uD83D`.
const ESCAPE: usize = 6;

/// The half of a surrogate pair that is escaped there.
fn half(text: &str, at: usize) -> Option<u16> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    let unit = u16::from_str_radix(digits, 16).ok()?;
    (0xD800..=0xDFFF).contains(&unit).then_some(unit)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Answer {
        token: String,
        #[serde(default)]
        name: Value,
    }

    #[test]
    fn rule_12_a_list_of_errors_is_no_session() {
        for list in [
            r#"["Invalid password"]"#,
            r#"["t-1", 3600]"#,
            r#" ["t-1"] "#,
            "[]",
        ] {
            assert!(read::<Answer>(list.as_bytes()).is_err(), "{list}");
        }
        assert_eq!(read::<Answer>(br#"{"token": "t-1"}"#).unwrap().token, "t-1");
        // Who asks for a list gets one.
        assert_eq!(read::<Vec<u8>>(b"[1, 2]").unwrap(), [1, 2]);
        assert_eq!(read::<(u8, String)>(br#"[1, "a"]"#).unwrap().0, 1);
        assert_eq!(read::<Option<u8>>(b"null").unwrap(), None);
        assert_eq!(read::<Value>(b"[null]").unwrap()[0], Value::Null);
    }

    #[test]
    fn rule_18_half_a_character_does_not_spoil_the_token_beside_it() {
        for (name, read_as) in [
            (r"\ud83d", "\u{fffd}"),
            (r"\uDE00", "\u{fffd}"),
            (r"a\ud83d\ud83d\ude00b", "a\u{fffd}\u{1f600}b"),
            (r"\ud83d\u0041", "\u{fffd}A"),
            (r"\ud83d\\ude00", "\u{fffd}\\ude00"),
            (r"\\ud83d", r"\ud83d"),
            (r"\ud83d\ude00", "\u{1f600}"),
        ] {
            let body = format!(r#"{{"name": "{name}", "token": "t-1"}}"#);
            let answer = read::<Value>(body.as_bytes()).unwrap();
            assert_eq!(answer["token"], "t-1", "{name}");
            assert_eq!(answer["name"], read_as, "{name}");
            assert_eq!(read::<Answer>(body.as_bytes()).unwrap().name, read_as);
        }
        for broken in [r#"{"a": "\ud83"#, r#"{"a": "\u"#, "\\", r#"{"a": "\ud83d""#] {
            assert!(read::<Value>(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
