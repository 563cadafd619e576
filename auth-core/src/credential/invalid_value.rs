//! A value that a request can't carry.

use thiserror::Error;

/// A value that a request can't carry. The message names the value and the reason, and does not
/// repeat the value.
///
/// ```
/// use auth_core::Session;
///
/// let error = Session::new().with_bearer("two\nlines").expect_err("no header has two lines");
/// assert!(!error.to_string().contains("two"), "the value is not repeated: {error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the {what} {why}")]
pub struct InvalidValue {
    what: &'static str,
    why: &'static str,
}

impl InvalidValue {
    pub(crate) const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }
}
