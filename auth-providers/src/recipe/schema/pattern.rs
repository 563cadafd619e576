//! Regular expressions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The size of a compiled pattern, in bytes. The time to match is proportional to it and to the
/// length of the text, so this bounds the time that a login of 256 KiB may take.
#[cfg(feature = "recipes")]
const LARGEST: usize = 16 * 1024;

/// A regular expression, which is matched in linear time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::recipe) struct Pattern {
    source: String,
    #[cfg(feature = "recipes")]
    regex: regex_lite::Regex,
}

#[cfg(feature = "recipes")]
impl Pattern {
    pub(in crate::recipe) fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// A text that it matches, if it is made of such a text alone, with or without anchors and
    /// escapes.
    #[cfg(feature = "demo")]
    pub(in crate::recipe) fn literal(&self) -> Option<String> {
        let source = self.source.strip_prefix("(?i)").unwrap_or(&self.source);
        let source = source.strip_prefix('^').unwrap_or(source);
        let source = source.strip_suffix('$').unwrap_or(source);
        let mut text = String::with_capacity(source.len());
        let mut letters = source.chars();
        while let Some(letter) = letters.next() {
            text.push(match letter {
                // Before a letter or a digit, it is a class or a place.
                '\\' => letters.next().filter(char::is_ascii_punctuation)?,
                letter if ".+*?()|[]{}^$".contains(letter) => return None,
                letter => letter,
            });
        }
        (!text.is_empty() && self.matches(&text)).then_some(text)
    }

    /// The first group of the first match, or the match if there is no group.
    pub(in crate::recipe) fn find<'a>(&self, text: &'a str) -> Option<&'a str> {
        let found = self.regex.captures(text)?;
        // A group that took no part is no value.
        let group = usize::from(self.regex.captures_len() > 1);
        Some(found.get(group)?.as_str())
    }
}

impl Pattern {
    pub(in crate::recipe) fn source(&self) -> &str {
        &self.source
    }
}

/// Without the feature there are no regular expressions.
#[cfg(not(feature = "recipes"))]
#[allow(clippy::unused_self, reason = "the same calls as with it")]
impl Pattern {
    pub(in crate::recipe) const fn matches(&self, _: &str) -> bool {
        false
    }

    pub(in crate::recipe) const fn find<'a>(&self, _: &'a str) -> Option<&'a str> {
        None
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    #[cfg(not(feature = "recipes"))]
    fn try_from(source: String) -> Result<Self, String> {
        Err(format!("{source:?} needs the feature `recipes`"))
    }

    #[cfg(feature = "recipes")]
    fn try_from(source: String) -> Result<Self, String> {
        let regex = regex_lite::RegexBuilder::new(&source)
            .size_limit(LARGEST)
            .build();
        match regex {
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
