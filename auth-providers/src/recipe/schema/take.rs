//! Where a value is taken from a response.

use serde::{Deserialize, Serialize};

use super::condition::Reads;
use super::leaf::{CookieName, Name, Pointer, Several};
use super::pattern::Pattern;

/// Where a value is taken from: one place, or several of which the first that has it counts.
pub(in crate::recipe) type Takes = Several<Take>;

/// A place in a response where a value is taken from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Take {
    /// A pointer into a body of JSON. That to the whole body is empty.
    pub(in crate::recipe) json: Option<Pointer>,
    /// A header.
    pub(in crate::recipe) header: Option<Name>,
    /// The value of a cookie that is set.
    pub(in crate::recipe) cookie: Option<CookieName>,
    /// The first group of a regular expression for the body, or the match if it has no group.
    pub(in crate::recipe) text: Option<Pattern>,
    /// The value of a form field of an HTML page, such as a hidden one.
    pub(in crate::recipe) field: Option<String>,
    /// The text of an XML element.
    pub(in crate::recipe) xml: Option<String>,
    /// A pointer into the claims of a JWT.
    pub(in crate::recipe) claim: Option<Pointer>,
    /// The first group of a regular expression for the value, or the match if it has no group.
    pub(in crate::recipe) pattern: Option<Pattern>,
    /// The JWT of the claim: the name of a value.
    pub(in crate::recipe) of: Option<String>,
    /// It need not be there.
    pub(in crate::recipe) optional: bool,
    /// It is no secret, so it can be the name of a header.
    pub(in crate::recipe) plain: bool,
    /// How long it is good, if that is not how long the session is, as of a refresh token.
    pub(in crate::recipe) life: Option<Reads>,
}

impl Take {
    /// How many places it names. It has to be one.
    pub(in crate::recipe) fn places(&self) -> usize {
        [
            self.json.is_some(),
            self.header.is_some(),
            self.cookie.is_some(),
            self.text.is_some(),
            self.field.is_some(),
            self.xml.is_some(),
            self.claim.is_some(),
        ]
        .into_iter()
        .filter(|named| *named)
        .count()
    }

    /// Whether it looks at the body.
    pub(in crate::recipe) const fn needs_body(&self) -> bool {
        self.json.is_some() || self.text.is_some() || self.field.is_some() || self.xml.is_some()
    }

    /// Where it looks, for an error. It quotes nothing of a response.
    pub(in crate::recipe) fn describe(&self) -> String {
        match self {
            Self { json: Some(at), .. } if at.as_str().is_empty() => "a text of JSON".to_owned(),
            Self { json: Some(at), .. } => format!("JSON at {:?}", at.as_str()),
            Self {
                header: Some(name), ..
            } => format!("the header {}", name.get()),
            Self {
                cookie: Some(name), ..
            } => format!("the cookie {:?}", name.as_str()),
            Self {
                text: Some(pattern),
                ..
            } => format!("a text like {:?}", pattern.source()),
            Self {
                field: Some(name), ..
            } => format!("the form field {name:?}"),
            Self {
                xml: Some(name), ..
            } => format!("the element <{name}>"),
            Self {
                claim: Some(at), ..
            } => format!("the claim {:?}", at.as_str()),
            _ => String::new(),
        }
    }
}
