//! Why a recipe can't be used.

use std::fmt;

/// A recipe that can't be used, found when it is loaded.
///
/// The message names the field, the line, and what to write instead. It quotes the recipe alone,
/// and no text or number that stands where another type is expected.
///
/// ```
/// # #[cfg(feature = "recipes")] {
/// use auth_providers::recipe::Recipe;
///
/// let error = "recipe = 1\nname = \"acme\"\nbsae = \"https://acme.example\"".parse::<Recipe>();
/// let error = error.expect_err("a typing error");
/// assert_eq!(error.line(), Some(3));
/// assert!(error.to_string().contains("`bsae`"));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipeError {
    pub(super) field: String,
    pub(super) line: Option<usize>,
    pub(super) problem: String,
}

impl RecipeError {
    pub(super) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            line: None,
            problem: problem.into(),
        }
    }

    /// Where the mistake is, as `login[0].take.token`. Empty if it is none of a field.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The line in the text, counted from one, if it was read from a text.
    pub const fn line(&self) -> Option<usize> {
        self.line
    }
}

/// How serde begins and ends what it quotes, and what that is.
const QUOTED: [(&str, &str, &str); 4] = [
    ("string \"", "\"", "a text"),
    ("integer `", "`", "a number"),
    ("floating point `", "`", "a number"),
    ("character `", "`", "a text"),
];

/// What serde says, without a text or a number of the wrong type or value, which may be a secret.
pub(super) fn unquoted(message: &str) -> String {
    let begins = ["invalid type: ", "invalid value: "];
    let Some(found) = begins.iter().find_map(|begin| message.strip_prefix(begin)) else {
        return message.to_owned();
    };
    let quoted = QUOTED.iter().find(|(begin, ..)| found.starts_with(begin));
    let expected = quoted.and_then(|(_, end, what)| {
        // The text may hold the same words, but what is expected ends the message.
        let (_, expected) = found.rsplit_once(&format!("{end}, expected "))?;
        Some(format!("invalid type: {what}, expected {expected}"))
    });
    expected.unwrap_or_else(|| message.to_owned())
}

impl fmt::Display for RecipeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the recipe can't be used")?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if !self.field.is_empty() {
            write!(f, ", `{}`", self.field)?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for RecipeError {}
