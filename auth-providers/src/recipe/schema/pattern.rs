//! Regular expressions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A regular expression, which is matched in linear time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::recipe) struct Pattern {
    source: String,
    regex: regex_lite::Regex,
}

impl Pattern {
    pub(in crate::recipe) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// The first group of the first match, or the match if there is no group.
    pub(in crate::recipe) fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let found = self.regex.captures(text)?;
        let matched = found.get(1).or_else(|| found.get(0))?;
        Some(matched.as_str())
    }

    pub(in crate::recipe) fn source(&self) -> &str {
        &self.source
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(source: String) -> Result<Self, String> {
        match regex_lite::Regex::new(&source) {
            Ok(regex) => Ok(Self { source, regex }),
            Err(error) => Err(format!("{source:?} is not a regular expression: {error}")),
        }
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.source
    }
}

/// Two are equal if their texts are.
impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.source, f)
    }
}
