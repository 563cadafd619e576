//! A field of a request's body.

use std::fmt;

use super::InvalidValue;

/// A field that a credential sets in the body of a request, with its value. Its `Debug` form shows
/// the place and not the value.
///
/// An integration that does not know a kind of field must not send the request without it.
///
/// ```
/// use auth_core::{BodyField, Credentials, Part, Session, Target, testing::Scripted};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let provider = Scripted::new(|_| {
///     Ok(Session::new().with_part(Part::json_field("/params/0", "s-1"))?)
/// });
/// let credential = Credentials::new(provider).get().await?;
/// let target = Target::new("https", "api.example.com", "/ubus");
/// for field in credential.body_fields(target) {
///     match field {
///         BodyField::Json { pointer, value } => {
///             assert_eq!((pointer, value), ("/params/0", "s-1"));
///         }
///         other => panic!("the integration can't set {other:?}"),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyField<'a> {
    /// A string in a body of JSON.
    Json {
        /// Where it stands: a JSON pointer (RFC 6901) that is not empty.
        pointer: &'a str,
        /// The string, not encoded.
        value: &'a str,
    },
    /// A pair of a body of `application/x-www-form-urlencoded`.
    Form {
        /// Its name, not encoded.
        name: &'a str,
        /// Its value, not encoded.
        value: &'a str,
    },
}

impl fmt::Debug for BodyField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json { pointer, .. } => f.debug_tuple("Json").field(pointer).finish(),
            Self::Form { name, .. } => f.debug_tuple("Form").field(name).finish(),
        }
    }
}

/// Which field of a body it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FieldName {
    /// A JSON pointer.
    Json(String),
    Form(String),
}

impl FieldName {
    /// The kind of its line in a session's plain form.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Form(_) => "form",
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Self::Json(text) | Self::Form(text) => text,
        }
    }

    pub(super) fn with<'a>(&'a self, value: &'a str) -> BodyField<'a> {
        match self {
            Self::Json(pointer) => BodyField::Json { pointer, value },
            Self::Form(name) => BodyField::Form { name, value },
        }
    }

    pub(super) fn check(&self) -> Result<(), InvalidValue> {
        match self {
            Self::Form(name) if name.is_empty() => {
                Err(InvalidValue::new("form field's name", "is empty"))
            }
            Self::Json(pointer) if !is_pointer(pointer) => Err(InvalidValue::new(
                "JSON field's pointer",
                "does not begin with a slash, or has a tilde without 0 or 1 after it",
            )),
            _ => Ok(()),
        }
    }

    /// The value, if a field may have it.
    pub(super) fn checked<'a>(&self, value: &'a [u8]) -> Result<&'a str, InvalidValue> {
        self.check()?;
        match std::str::from_utf8(value) {
            Ok("") => Err(InvalidValue::new("body field's value", "is empty")),
            Ok(text) => Ok(text),
            Err(_) => Err(InvalidValue::new("body field's value", "is not UTF-8")),
        }
    }
}

/// Whether it is a JSON pointer to less than the whole document (RFC 6901, section 3).
fn is_pointer(text: &str) -> bool {
    let mut after_tildes = text.split('~').skip(1);
    text.starts_with('/') && after_tildes.all(|rest| rest.starts_with(['0', '1']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_less_than_the_whole_document() {
        for pointer in ["/", "/a", "/params/0", "/a~1b/~0~01/-", "//"] {
            assert!(is_pointer(pointer), "{pointer}");
        }
        for text in ["", "a", "a/b", "/~", "/a~2", "/~/0", "/a~"] {
            assert!(!is_pointer(text), "{text}");
        }
    }
}
