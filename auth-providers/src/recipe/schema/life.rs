//! How long a session is good.

use serde::{Deserialize, Serialize};

use super::leaf::{CookieName, Name, Pointer, Span};
use super::pattern::Pattern;

/// How long a session is good. What is left out is unknown, and the session is used until it is
/// rejected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Life {
    /// The documented life. A response that states less shortens it.
    pub(in crate::recipe) fixed: Option<Span>,
    /// The life unless a response states another.
    pub(in crate::recipe) default: Option<Span>,
    /// Where responses state it. Of several, the earliest counts.
    pub(in crate::recipe) stated: Vec<Stated>,
    /// The inactivity that ends it.
    pub(in crate::recipe) idle: Option<Span>,
    /// Where responses state another one.
    pub(in crate::recipe) idle_stated: Vec<Stated>,
    /// The longest life, however active it is.
    pub(in crate::recipe) absolute: Option<Span>,
    /// What is taken off a life that a response states.
    pub(in crate::recipe) margin: Option<Span>,
    /// Whether it is renewed ahead of its end. Not on a server with one session for each user.
    pub(in crate::recipe) renew_ahead: bool,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            fixed: None,
            default: None,
            stated: Vec::new(),
            idle: None,
            idle_stated: Vec::new(),
            absolute: None,
            margin: None,
            renew_ahead: true,
        }
    }
}

impl Life {
    /// All spans of time in it.
    pub(in crate::recipe) fn spans(&self) -> impl Iterator<Item = &Span> {
        let all = [
            &self.fixed,
            &self.default,
            &self.idle,
            &self.absolute,
            &self.margin,
        ];
        all.into_iter().flatten()
    }
}

/// A place in a response where a life is stated.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) struct Stated {
    /// A pointer into a body of JSON, to a number or a text.
    pub(in crate::recipe) json: Option<Pointer>,
    /// A header.
    pub(in crate::recipe) header: Option<Name>,
    /// The first group of a regular expression for the body.
    pub(in crate::recipe) text: Option<Pattern>,
    /// The life of this cookie. Of those in `attach.cookies` it counts by itself.
    pub(in crate::recipe) cookie: Option<CookieName>,
    /// The `exp` of a JWT that was taken under this name.
    pub(in crate::recipe) jwt: Option<String>,
    /// What the number or text is.
    pub(in crate::recipe) unit: Unit,
}

/// What a number or a text that states a time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(in crate::recipe) enum Unit {
    /// A number of seconds.
    #[default]
    S,
    /// A number of milliseconds.
    Ms,
    /// A number of minutes.
    Min,
    /// A time in ISO 8601, with an offset.
    Iso8601,
    /// A time in ISO 8601, without an offset, in UTC.
    Iso8601Utc,
    /// A time in seconds since 1970.
    Epoch,
    /// A time in milliseconds since 1970.
    EpochMs,
    /// A time as in the `Date` header.
    HttpDate,
}
