//! Texts with names in braces, which stand for values.

use std::cmp::Ordering;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::values::Known;
use crate::request::xml_escaped;

/// A text in which `{name}` stands for a value and `{{` and `}}` for a brace.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Template {
    source: String,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Literal(String),
    Name(String),
    /// `{+name}`: the value is a URL or a path itself.
    Url(String),
    /// `{#name}`: the value is JSON itself, a number or a boolean.
    Json(String),
}

/// Where a value stands. It decides how it is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where the taker of the text escapes it: a string of JSON, a field of a form.
    Whole,
    /// A segment of a path, or a name or value of a query.
    Url,
    /// In XML, in an element or in an attribute.
    Xml,
}

/// A template names a value that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) String);

/// All but the unreserved characters (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

impl Template {
    /// The text as the author wrote it.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The names in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Name(name) | Piece::Url(name) | Piece::Json(name) => Some(name.as_str()),
        })
    }

    pub(super) fn mentions(&self, name: &str) -> bool {
        self.names().any(|other| other == name)
    }

    /// The one name, if the text is nothing else.
    pub(super) fn only_name(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Name(name)] => Some(name),
            _ => None,
        }
    }

    /// The one name, if the text is `{+name}`.
    pub(super) fn url_name(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Url(name)] => Some(name),
            _ => None,
        }
    }

    /// The one name, if the text is `{#name}`.
    pub(super) fn json_name(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Json(name)] => Some(name),
            _ => None,
        }
    }

    /// Whether it has `{+name}` or `{#name}` beside something else.
    pub(super) fn mixes(&self) -> bool {
        let is_special = |piece: &Piece| matches!(piece, Piece::Url(_) | Piece::Json(_));
        self.pieces.len() > 1 && self.pieces.iter().any(is_special)
    }

    /// What stands before the first name.
    pub(super) fn beginning(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => text,
            _ => "",
        }
    }

    /// The text with its values.
    ///
    /// The buffer has the exact size, since growing would leave copies that are not zeroed.
    pub(super) fn render(
        &self,
        known: &Known<'_>,
        place: Place,
    ) -> Result<Zeroizing<String>, Missing> {
        let mut parts = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            parts.push(match piece {
                Piece::Literal(text) => Zeroizing::new(text.clone()),
                Piece::Name(name) | Piece::Url(name) | Piece::Json(name) => {
                    let value = known.get(name).ok_or_else(|| Missing(name.clone()))?;
                    Zeroizing::new(match (place, piece) {
                        (Place::Url, Piece::Name(_)) => encoded(value),
                        (Place::Xml, _) => xml_escaped(value).to_string(),
                        _ => value.to_owned(),
                    })
                }
            });
        }
        let length = parts.iter().map(|part| part.len()).sum();
        let mut text = Zeroizing::new(String::with_capacity(length));
        for part in parts {
            text.push_str(&part);
        }
        Ok(text)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = source.as_str();
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(behind) = rest.strip_prefix(brace) {
                literal.push_str(brace);
                rest = behind;
                continue;
            }
            let Some((name, behind)) = rest.split_once('}').filter(|_| brace == "{") else {
                return Err(format!(
                    "{source:?} has a brace without its partner; write two for one that is meant"
                ));
            };
            let (kind, name): (fn(String) -> Piece, _) = match name.split_at_checked(1) {
                Some(("+", name)) => (Piece::Url, name),
                Some(("#", name)) => (Piece::Json, name),
                _ => (Piece::Name, name),
            };
            check_name(name)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(kind(name.to_owned()));
            rest = behind;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { source, pieces })
    }
}

/// Two are equal if their texts are.
impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Template {}

impl Ord for Template {
    fn cmp(&self, other: &Self) -> Ordering {
        self.source.cmp(&other.source)
    }
}

impl PartialOrd for Template {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}

/// A text as a segment of a path, or as a name or value of a query.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

/// Whether a text can be the name of a value: letters, digits and underscores, and no digit first.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let begins = |letter: char| letter.is_ascii_alphabetic() || letter == '_';
    let goes_on = |letter: char| begins(letter) || letter.is_ascii_digit();
    if letters.next().is_some_and(begins) && letters.all(goes_on) {
        return Ok(());
    }
    Err(format!(
        "{name:?} is not a name; names are letters, digits and underscores, and a brace that is \
         meant is written twice"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(source: &str) -> Template {
        source.to_owned().try_into().unwrap()
    }

    fn rendered(source: &str, place: Place) -> Result<String, Missing> {
        let mut known = Known::default();
        known.set("odd", "a b/../&<\"'>%;é");
        known.set("plain", "p");
        let text = template(source).render(&known, place)?;
        Ok(text.to_string())
    }

    #[test]
    fn a_name_in_braces_stands_for_its_value_and_a_double_brace_for_one() {
        assert_eq!(rendered("x{plain}y{{z}}", Place::Whole).unwrap(), "xpy{z}");
        assert_eq!(rendered("", Place::Whole).unwrap(), "");
        assert_eq!(
            rendered("{gone}", Place::Whole),
            Err(Missing("gone".to_owned()))
        );
    }

    #[test]
    fn a_value_cant_leave_its_place() {
        let url = "/x/a%20b%2F..%2F%26%3C%22%27%3E%25%3B%C3%A9";
        assert_eq!(rendered("/x/{odd}", Place::Url).unwrap(), url);
        let xml = "<a b='a b/../&amp;&lt;&quot;&apos;&gt;%;é'/>";
        assert_eq!(rendered("<a b='{odd}'/>", Place::Xml).unwrap(), xml);
        let whole = "a b/../&<\"'>%;é";
        assert_eq!(rendered("{+odd}", Place::Url).unwrap(), whole);
    }

    #[test]
    fn a_lone_brace_and_a_name_that_is_none_are_errors() {
        for bad in [
            "{", "}", "{a", "a}", "{}", "{a b}", "{1a}", "{a{b}}", "{+}", "{++a}", "{#}",
        ] {
            assert!(Template::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_names_of_a_template_are_listed() {
        let names = |source| {
            let template = template(source);
            template.names().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(names("{a}-{b}{a}"), ["a", "b", "a"]);
        assert_eq!(template("{a}").only_name(), Some("a"));
        assert_eq!(template("{+a}").url_name(), Some("a"));
        assert_eq!(template("x{a}").only_name(), None);
        assert!(template("x{+a}").mixes() && !template("{+a}").mixes());
        assert_eq!(template("https://{a}").beginning(), "https://");
    }
}
