//! The new values that an answer brings, beside its cookies.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::body_field::FieldName;
use super::kept::KeptValue;
use super::{InvalidValue, SentTo, SetCookie, Target, set_cookies};

/// The new values of a session that a response brings, beside its cookies: headers, query pairs,
/// fields of the body and kept values. [`Provider::update`](crate::Provider::update) reads them,
/// and [`Provider::repair`](crate::Provider::repair) fetches them.
///
/// A part of the session that has the name gets the value, and stays under its condition. One that
/// is derived from a cookie follows its cookie alone. One that is [to be
/// fetched](crate::Part#fetched-parts) is there then. What the session does not have is added, for
/// every request.
///
/// ```
/// use auth_core::Update;
/// use http::{HeaderMap, HeaderName, HeaderValue};
///
/// const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
///
/// fn update(headers: &HeaderMap) -> Update {
///     match headers.get("x-updated-csrf-token") {
///         Some(csrf) => Update::new().with_header(CSRF, csrf.clone()),
///         None => Update::new(),
///     }
/// }
/// # let brings = HeaderMap::from_iter([(CSRF, HeaderValue::from_static("c2"))]);
/// # assert!(update(&brings).is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Update {
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) query: Vec<(String, String)>,
    pub(super) fields: Vec<(FieldName, Zeroizing<String>)>,
    pub(super) kept: Vec<KeptValue>,
    /// Of a repair's response.
    pub(super) cookies: Option<SetBy>,
}

/// The cookies that a response sets, and where its request was sent.
#[derive(Clone)]
pub(crate) struct SetBy {
    cookies: Vec<SetCookie>,
    sent_to: SentTo,
}

impl SetBy {
    pub(crate) fn new(response: &HeaderMap, target: Target<'_>) -> Self {
        Self {
            cookies: set_cookies(response).collect(),
            sent_to: SentTo::new(target),
        }
    }

    pub(super) fn cookies(&self) -> &[SetCookie] {
        &self.cookies
    }

    pub(super) fn target(&self) -> Target<'_> {
        self.sent_to.target()
    }
}

impl Update {
    /// No new value.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a header. It is marked sensitive.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Sets a pair of the query.
    ///
    /// # Errors
    /// [`InvalidValue`] if the name or the value is empty.
    pub fn with_query(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        check_pair(name, value)?;
        self.query.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Sets a [JSON field](crate::Part::json_field) of the body.
    ///
    /// # Errors
    /// [`InvalidValue`] if `pointer` is no JSON pointer or names the whole body, or if the value is
    /// empty.
    pub fn with_json_field(self, pointer: &str, value: &str) -> Result<Self, InvalidValue> {
        self.with_field(FieldName::Json(pointer.to_owned()), value)
    }

    /// Sets a [form field](crate::Part::form_field) of the body.
    ///
    /// # Errors
    /// [`InvalidValue`] if the name or the value is empty.
    pub fn with_form_field(self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.with_field(FieldName::Form(name.to_owned()), value)
    }

    fn with_field(mut self, name: FieldName, value: &str) -> Result<Self, InvalidValue> {
        let value = name.checked(value.as_bytes())?.to_owned();
        self.fields.push((name, Zeroizing::new(value)));
        Ok(self)
    }

    /// Sets a value that the session keeps. See [`Session::with_kept`](crate::Session::with_kept).
    ///
    /// ```
    /// use auth_core::{Session, Update, testing};
    ///
    /// let session = Session::new().with_bearer("t-1")?.with_kept("refresh_token", "r-1")?;
    /// let update = Update::new().with_kept("refresh_token", "r-2")?;
    /// let after = testing::credential(session).updated(&update).expect("it goes on");
    /// assert_eq!(after.kept("refresh_token"), Some("r-2"));
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the name or the value is empty.
    pub fn with_kept(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.kept.push(KeptValue::new(name, value, None)?);
        Ok(self)
    }

    /// As [`with_kept`](Self::with_kept), for a value that is good for `life`, counted from the
    /// receipt of the response.
    ///
    /// # Errors
    /// As [`with_kept`](Self::with_kept).
    pub fn with_kept_for(
        mut self,
        name: &str,
        value: &str,
        life: Duration,
    ) -> Result<Self, InvalidValue> {
        self.kept.push(KeptValue::new(name, value, Some(life))?);
        Ok(self)
    }

    /// Adds the cookies of the response to a [repair](crate::Provider::repair), whose request went
    /// to `target`: a csrf value belongs to the cookie that comes with it. They count as those of
    /// any response do. Those of a response that [`Provider::update`](crate::Provider::update)
    /// reads count by themselves.
    ///
    /// ```
    /// use auth_core::{Session, Target, Update, testing};
    /// use http::HeaderMap;
    ///
    /// let mut answer = HeaderMap::new();
    /// answer.insert("set-cookie", "csrftoken=c2".parse()?);
    /// let sent_to = Target::new("https", "api.example.com", "/csrf");
    /// let update = Update::new().with_cookies(&answer, sent_to);
    /// let session = Session::new().with_cookie("csrftoken", "c1")?;
    /// let after = testing::credential(session).updated(&update).expect("it goes on");
    /// assert_eq!(after.cookie("csrftoken"), Some("c2"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_cookies(mut self, response: &HeaderMap, target: Target<'_>) -> Self {
        let set_by = SetBy::new(response, target);
        if !set_by.cookies.is_empty() {
            self.cookies = Some(set_by);
        }
        self
    }

    /// The cookies of a repair, and where its request went.
    pub(crate) fn set_cookies(&self) -> (&[SetCookie], Target<'_>) {
        match &self.cookies {
            Some(by) => (by.cookies(), by.target()),
            None => (&[], Target::new("", "", "")),
        }
    }

    /// Whether it sets nothing.
    pub const fn is_empty(&self) -> bool {
        self.carries_nothing() && self.kept.is_empty() && self.cookies.is_none()
    }

    pub(super) const fn carries_nothing(&self) -> bool {
        self.headers.is_empty() && self.query.is_empty() && self.fields.is_empty()
    }
}

pub(super) fn check_pair(name: &str, value: &str) -> Result<(), InvalidValue> {
    if name.is_empty() {
        return Err(InvalidValue::new("query parameter's name", "is empty"));
    }
    if value.is_empty() {
        return Err(InvalidValue::new("query parameter's value", "is empty"));
    }
    Ok(())
}

impl fmt::Debug for Update {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        let query: Vec<&str> = self.query.iter().map(|(name, _)| name.as_str()).collect();
        let fields: Vec<&str> = self.fields.iter().map(|(name, _)| name.text()).collect();
        let kept: Vec<&str> = self.kept.iter().map(|kept| kept.name.as_str()).collect();
        f.debug_struct("Update")
            .field("headers", &headers)
            .field("query", &query)
            .field("body", &fields)
            .field("kept", &kept)
            .field(
                "cookies",
                &self.cookies.as_ref().map_or(0, |by| by.cookies.len()),
            )
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use http::header::SET_COOKIE;

    use super::*;

    #[test]
    fn an_update_is_empty_until_it_sets_something() {
        assert!(Update::new().is_empty());
        let header = HeaderName::from_static("x-csrf-token");
        let target = Target::new("https", "api.example.com", "/");
        let with_cookies = |headers: &_| Update::new().with_cookies(headers, target);
        assert!(with_cookies(&HeaderMap::new()).is_empty());
        let set = HeaderValue::from_static("sid=s");
        let answer = HeaderMap::from_iter([(SET_COOKIE, set)]);
        assert!(!with_cookies(&answer).is_empty());
        for update in [
            Ok(Update::new().with_header(header, HeaderValue::from_static("c"))),
            Update::new().with_query("csrf", "c"),
            Update::new().with_json_field("/auth", "c"),
            Update::new().with_form_field("_sid", "c"),
            Update::new().with_kept("refresh_token", "r"),
        ] {
            assert!(!update.unwrap().is_empty());
        }
    }
}
