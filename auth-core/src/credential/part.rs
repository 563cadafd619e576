//! A header, a query pair or a field of the body that a provider adds to a session.

use std::fmt;

use zeroize::Zeroizing;

use super::body_field::FieldName;
use super::line::{Line, damaged};
use super::{InvalidValue, When};

/// A header, a query pair or a [field of the body](Self#fields-of-the-body) of a session, with the
/// [condition](When) under which requests carry it, derived from a cookie, or fetched before the
/// first request that carries it.
///
/// What every request carries has a method of its own: see [`Session`](crate::Session). A part is
/// checked when it is [added](crate::Session::with_part).
///
/// ```
/// use auth_core::{Part, Session, When};
///
/// // A double submit: a write is accepted if the header equals the cookie.
/// let csrf = Part::header_from_cookie("x-csrf-token", "csrftoken").when(When::unsafe_methods());
/// let session = Session::new()
///     .with_cookie("sessionid", "s1")?
///     .with_cookie("csrftoken", "c1")?
///     .with_part(csrf)?;
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
///
/// # Fields of the body
///
/// Some APIs want the session in the body of each request: in JSON, as the JSON-RPC servers of ubus
/// and of Zabbix before 6.4, or in a form.
///
/// ```
/// use auth_core::{Part, Session, When};
///
/// let rpc = Part::json_field("/params/0", "c1a8b2").when(When::any_method().below("/ubus"));
/// let session = Session::new()
///     .with_part(rpc)?
///     .with_part(Part::form_field("_sid", "c1a8b2"))?;
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
///
/// The integrations set it on a copy of the body, each time that the request is sent. The caller's
/// own body stays as it is, and so is what a redirect takes off the scope. How a body is changed,
/// and which ones can be, is told in `auth-middleware`. A request without a body goes without the
/// field, and any other that can't have it is not sent.
///
/// # Fetched parts
///
/// A csrf value often has an endpoint of its own, and only writes need it. A part that is fetched
/// is declared by the login without a value:
///
/// ```
/// use auth_core::{Part, Session, When};
///
/// let csrf = Part::fetched_header("x-csrf-token").when(When::unsafe_methods());
/// let session = Session::new().with_bearer("t-1")?.with_part(csrf)?;
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
///
/// A request that would carry it is not sent while it is missing. The integrations get it first, by
/// [`Provider::repair`](crate::Provider::repair), once for all callers. Requests that would not
/// carry it neither wait nor fetch. Then it is a part as any other. It may come with any response
/// as well, by [`Provider::update`](crate::Provider::update). It ends with its session: the next
/// login declares it again or, if its response has it, adds it with its value.
///
/// If it can't be fetched, the request is not sent, and its caller gets the
/// [`Error::Login`](crate::Error::Login) of the failure. A program without an integration gets a
/// credential that has it from [`Credentials::get_for`](crate::Credentials::get_for).
#[derive(Clone)]
pub struct Part {
    pub(super) place: Place,
    pub(super) source: Source,
    pub(super) when: When,
}

/// Where a part stands in a request.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Header(String),
    Query(String),
    Field(FieldName),
}

/// Where the value of a part comes from.
#[derive(Clone)]
pub(super) enum Source {
    Value(Zeroizing<Vec<u8>>),
    Cookie(FromCookie),
    /// It is missing until it is fetched.
    Fetched,
}

/// A cookie that a part has its value from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromCookie {
    pub(super) name: String,
    pub(super) percent_decoded: bool,
}

impl Part {
    /// A header, which replaces one of the same name on the request. It is marked sensitive.
    ///
    /// ```
    /// use auth_core::{Part, Session, When};
    ///
    /// let tenant = Part::header("x-tenant", "7").when(When::any_method().below("/v3"));
    /// let session = Session::new().with_bearer("t-1")?.with_part(tenant)?;
    /// # drop(session);
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    pub fn header(name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        Self::of(Place::Header(name.into()), stated(value.as_ref()))
    }

    /// A pair of the query, which replaces one of the same name. Both are percent-encoded when they
    /// are attached.
    pub fn query(name: impl Into<String>, value: impl AsRef<str>) -> Self {
        Self::of(Place::Query(name.into()), stated(value.as_ref().as_bytes()))
    }

    /// A string in a body of JSON, which `pointer` (RFC 6901) names, such as `/auth` or
    /// `/params/0`. It replaces what is there. What it stands in must be there.
    pub fn json_field(pointer: impl Into<String>, value: impl AsRef<str>) -> Self {
        let place = Place::Field(FieldName::Json(pointer.into()));
        Self::of(place, stated(value.as_ref().as_bytes()))
    }

    /// A pair of a body of `application/x-www-form-urlencoded`, which replaces those of the same
    /// name. Both are percent-encoded when they are set.
    pub fn form_field(name: impl Into<String>, value: impl AsRef<str>) -> Self {
        let place = Place::Field(FieldName::Form(name.into()));
        Self::of(place, stated(value.as_ref().as_bytes()))
    }

    /// A header whose value is that of the session's cookie of this name, byte for byte, also after
    /// the server has rolled it. It is not sent while the session has no such cookie, or if its
    /// value can't be in a header.
    pub fn header_from_cookie(name: impl Into<String>, cookie: impl Into<String>) -> Self {
        Self::of(Place::Header(name.into()), from_cookie(cookie.into()))
    }

    /// As [`header_from_cookie`](Self::header_from_cookie), in the query.
    pub fn query_from_cookie(name: impl Into<String>, cookie: impl Into<String>) -> Self {
        Self::of(Place::Query(name.into()), from_cookie(cookie.into()))
    }

    /// As [`header_from_cookie`](Self::header_from_cookie), as a [JSON
    /// field](Self::json_field).
    pub fn json_field_from_cookie(pointer: impl Into<String>, cookie: impl Into<String>) -> Self {
        let place = Place::Field(FieldName::Json(pointer.into()));
        Self::of(place, from_cookie(cookie.into()))
    }

    /// As [`header_from_cookie`](Self::header_from_cookie), as a [form field](Self::form_field).
    pub fn form_field_from_cookie(name: impl Into<String>, cookie: impl Into<String>) -> Self {
        let place = Place::Field(FieldName::Form(name.into()));
        Self::of(place, from_cookie(cookie.into()))
    }

    /// A header whose value is fetched before the first request that carries it. See [fetched
    /// parts](Self#fetched-parts).
    pub fn fetched_header(name: impl Into<String>) -> Self {
        Self::of(Place::Header(name.into()), Source::Fetched)
    }

    /// As [`fetched_header`](Self::fetched_header), in the query.
    pub fn fetched_query(name: impl Into<String>) -> Self {
        Self::of(Place::Query(name.into()), Source::Fetched)
    }

    /// As [`fetched_header`](Self::fetched_header), as a [JSON field](Self::json_field). It is
    /// fetched before the first request that meets the condition, with a body or without.
    pub fn fetched_json_field(pointer: impl Into<String>) -> Self {
        Self::of(
            Place::Field(FieldName::Json(pointer.into())),
            Source::Fetched,
        )
    }

    /// As [`fetched_json_field`](Self::fetched_json_field), as a [form field](Self::form_field).
    pub fn fetched_form_field(name: impl Into<String>) -> Self {
        Self::of(Place::Field(FieldName::Form(name.into())), Source::Fetched)
    }

    /// Takes the percent-encoding off the cookie's value, as a script in a browser does that reads
    /// the cookie. A value that is not from a cookie stays as it is.
    ///
    /// ```
    /// use auth_core::{Part, Session, Target, testing};
    /// use http::HeaderMap;
    ///
    /// // As Laravel's cookie, which a script decodes before it sends it back.
    /// let part = Part::header_from_cookie("x-xsrf-token", "XSRF-TOKEN").percent_decoded();
    /// let session = Session::new().with_cookie("XSRF-TOKEN", "a%3D")?.with_part(part)?;
    /// let mut headers = HeaderMap::new();
    /// let target = Target::new("https", "api.example.com", "/v3/me");
    /// testing::credential(session).attach_headers(target, &mut headers);
    /// assert_eq!(headers["x-xsrf-token"], "a=");
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    pub fn percent_decoded(mut self) -> Self {
        if let Source::Cookie(cookie) = &mut self.source {
            cookie.percent_decoded = true;
        }
        self
    }

    /// Sets which requests carry it. Unless this is called, every request within the scope does.
    pub fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    /// The part of a line.
    pub(crate) fn read(line: Line<'_>) -> Result<Self, InvalidValue> {
        let name = line.need("name")?.to_string();
        let place = match line.kind() {
            "header" => Place::Header(name),
            "json" => Place::Field(FieldName::Json(name)),
            "form" => Place::Field(FieldName::Form(name)),
            _ => Place::Query(name),
        };
        let source = match (line.bytes("value"), line.text("cookie")?) {
            (Some(value), None) => Source::Value(value),
            (None, Some(cookie)) => from_cookie(cookie.to_string()),
            (None, None) if line.flag("fetched") => Source::Fetched,
            _ => return Err(damaged()),
        };
        let when = When {
            unsafe_only: line.flag("unsafe"),
            below: line.texts("below")?,
        };
        let part = Self::of(place, source).when(when);
        Ok(if line.flag("percent-decoded") {
            part.percent_decoded()
        } else {
            part
        })
    }

    fn of(place: Place, source: Source) -> Self {
        Self {
            place,
            source,
            when: When::any_method(),
        }
    }
}

fn stated(value: &[u8]) -> Source {
    Source::Value(Zeroizing::new(value.to_vec()))
}

fn from_cookie(name: String) -> Source {
    Source::Cookie(FromCookie {
        name,
        percent_decoded: false,
    })
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut part = f.debug_struct("Part");
        part.field("place", &self.place);
        match &self.source {
            Source::Cookie(cookie) => {
                part.field("cookie", cookie);
            }
            Source::Fetched => {
                part.field("fetched", &true);
            }
            Source::Value(_) => {}
        }
        part.field("when", &self.when).finish_non_exhaustive()
    }
}
