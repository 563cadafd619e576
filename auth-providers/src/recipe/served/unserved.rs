use thiserror::Error;

/// A part of a recipe that no answer can be made of, so that a demo server would have to guess.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("a demo server can't serve `{field}` of the recipe: {problem}")]
#[non_exhaustive]
pub struct Unserved {
    /// Where it stands, as `login[0].take.token`.
    pub field: String,
    /// Why.
    pub problem: String,
}

impl Unserved {
    pub(crate) fn new(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn pattern(field: impl Into<String>) -> Self {
        Self::new(
            field,
            "no text is made for a regular expression, unless it is that text",
        )
    }
}
