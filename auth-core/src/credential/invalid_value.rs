//! A value that no request can carry.

use thiserror::Error;

/// A value that can't be carried. It says which one and why, and doesn't repeat it.
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
