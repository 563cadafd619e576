//! What a body is to have, and the copy that has it.

use auth_core::{BodyField, Credential, Target};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use super::error::{BodyFieldError, MAX_EDITED_BODY};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The names of JSON beside those that end in `+json`. Zabbix documents the last two.
const JSON_TYPES: [&str; 3] = [JSON, "application/json-rpc", "application/jsonrequest"];

/// The fields that the body of a request is to have. There is at least one.
pub(crate) struct Wanted<'a>(Vec<BodyField<'a>>);

impl<'a> Wanted<'a> {
    /// The fields for a request to this target, if any goes there.
    ///
    /// # Errors
    /// [`BodyFieldError::FeatureOff`].
    pub(crate) fn by(
        credential: &'a Credential,
        target: Target<'_>,
    ) -> Result<Option<Self>, BodyFieldError> {
        let fields: Vec<_> = credential.body_fields(target).collect();
        if fields.is_empty() {
            return Ok(None);
        }
        if cfg!(not(feature = "body-fields")) {
            return Err(BodyFieldError::FeatureOff);
        }
        Ok(Some(Self(fields)))
    }

    /// Those that a body with these headers can have.
    ///
    /// # Errors
    /// [`BodyFieldError::MediaType`], [`BodyFieldError::Encoded`] and
    /// [`BodyFieldError::UnknownField`].
    pub(crate) fn for_body(self, headers: &HeaderMap) -> Result<Edit<'a>, BodyFieldError> {
        let (mut json, mut form) = (Vec::new(), Vec::new());
        for field in self.0 {
            match field {
                BodyField::Json { pointer, value } => json.push((pointer, value)),
                BodyField::Form { name, value } => form.push((name, value)),
                _ => return Err(BodyFieldError::UnknownField),
            }
        }
        let wanted = if json.is_empty() { FORM } else { JSON };
        let edit = match Kind::of(headers) {
            Some(Kind::Json) if !json.is_empty() => Edit::Json(json),
            Some(Kind::Form) if !form.is_empty() => Edit::Form(form),
            _ => return Err(BodyFieldError::MediaType { wanted }),
        };
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if encodings.any(|value| !value.as_bytes().eq_ignore_ascii_case(b"identity")) {
            return Err(BodyFieldError::Encoded);
        }
        Ok(edit)
    }
}

enum Kind {
    Json,
    Form,
}

impl Kind {
    /// What the `Content-Type` says, if it is one of these.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let stated = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = stated.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        if essence == FORM {
            Some(Self::Form)
        } else if JSON_TYPES.contains(&&*essence) || essence.ends_with("+json") {
            Some(Self::Json)
        } else {
            None
        }
    }
}

/// The fields that are set in a body, by their places.
#[cfg_attr(
    not(feature = "body-fields"),
    allow(dead_code, reason = "there is none without the feature")
)]
pub(crate) enum Edit<'a> {
    Json(Vec<(&'a str, &'a str)>),
    Form(Vec<(&'a str, &'a str)>),
}

impl Edit<'_> {
    /// A copy of a body, in which the fields are set. It is zeroed when its last clone is dropped.
    ///
    /// # Errors
    /// [`BodyFieldError::TooLong`], [`BodyFieldError::NotJson`] and [`BodyFieldError::NoPlace`].
    pub(crate) fn copy(&self, body: &[u8]) -> Result<Bytes, BodyFieldError> {
        if body.len() > MAX_EDITED_BODY {
            return Err(BodyFieldError::TooLong);
        }
        self.set(body)
    }

    #[cfg(feature = "body-fields")]
    fn set(&self, body: &[u8]) -> Result<Bytes, BodyFieldError> {
        Ok(match self {
            Self::Json(fields) => Bytes::from_owner(super::json::with(body, fields)?),
            Self::Form(fields) => Bytes::from_owner(super::form::with(body, fields)),
        })
    }

    #[cfg(not(feature = "body-fields"))]
    #[allow(
        clippy::unused_self,
        reason = "the same call with and without the feature"
    )]
    fn set(&self, _: &[u8]) -> Result<Bytes, BodyFieldError> {
        Err(BodyFieldError::FeatureOff)
    }

    /// Corrects a length that the caller has stated. Where none is stated, the client does it.
    pub(crate) fn state_length(length: usize, headers: &mut HeaderMap) {
        if headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    fn kind(stated: &'static str) -> &'static str {
        let value = HeaderValue::from_static(stated);
        match Kind::of(&HeaderMap::from_iter([(CONTENT_TYPE, value)])) {
            Some(Kind::Json) => "json",
            Some(Kind::Form) => "form",
            None => "-",
        }
    }

    #[test]
    fn rule_16_a_media_type_is_told_by_its_name() {
        for stated in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/json-rpc",
            "application/jsonrequest",
            "application/vnd.api+json ;v=1",
        ] {
            assert_eq!(kind(stated), "json", "{stated}");
        }
        assert_eq!(
            kind("application/x-www-form-urlencoded;charset=UTF-8"),
            "form"
        );
        for stated in [
            "",
            "text/plain",
            "multipart/form-data; boundary=application/json",
            "application/jsonp",
            "application/json, text/plain",
            "json",
            "application/x-ndjson",
        ] {
            assert_eq!(kind(stated), "-", "{stated}");
        }
        assert!(Kind::of(&HeaderMap::new()).is_none());
    }

    const A_JSON: BodyField<'_> = BodyField::Json {
        pointer: "/auth",
        value: "j",
    };
    const A_FORM: BodyField<'_> = BodyField::Form {
        name: "_sid",
        value: "f",
    };

    fn edit(fields: &[BodyField<'static>], stated: &'static str) -> Result<String, BodyFieldError> {
        let value = HeaderValue::from_static(stated);
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
        let edit = Wanted(fields.to_vec()).for_body(&headers)?;
        let copy = edit.copy(if stated == JSON { b"{}" } else { b"a=1" })?;
        Ok(String::from_utf8(copy.to_vec()).unwrap())
    }

    #[test]
    #[cfg(feature = "body-fields")]
    fn rule_16_a_body_has_the_fields_of_its_own_kind() {
        let both = [A_JSON, A_FORM];
        assert_eq!(edit(&both, JSON).unwrap(), r#"{"auth":"j"}"#);
        assert_eq!(edit(&both, FORM).unwrap(), "a=1&_sid=f");
        for (fields, stated, wanted) in [
            (&[A_JSON][..], FORM, JSON),
            (&[A_FORM], JSON, FORM),
            (&both, "text/plain", JSON),
        ] {
            let error = edit(fields, stated).unwrap_err();
            assert_eq!(error, BodyFieldError::MediaType { wanted });
        }
    }

    #[test]
    #[cfg(not(feature = "body-fields"))]
    fn rule_16_without_the_feature_no_body_is_changed() {
        for (field, stated) in [(A_JSON, JSON), (A_FORM, FORM)] {
            assert_eq!(edit(&[field], stated), Err(BodyFieldError::FeatureOff));
        }
    }

    #[test]
    fn rule_16_a_body_that_is_encoded_is_not_looked_into() {
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(JSON))]);
        for (encoding, fails) in [("identity", false), ("Identity", false), ("gzip", true)] {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
            let edit = Wanted(vec![A_JSON]).for_body(&headers);
            assert_eq!(edit.err(), fails.then_some(BodyFieldError::Encoded));
        }
    }
}
