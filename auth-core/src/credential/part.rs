//! A header or a query pair that a provider adds to a session.

use std::fmt;

use zeroize::Zeroizing;

use super::line::{Line, damaged};
use super::{InvalidValue, When};

/// A header or a query pair of a session, with the [condition](When) under which requests carry it,
/// or derived from a cookie.
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
}

/// Where the value of a part comes from.
#[derive(Clone)]
pub(super) enum Source {
    Value(Zeroizing<Vec<u8>>),
    Cookie(FromCookie),
}

/// A cookie that a part has its value from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FromCookie {
    pub(super) name: String,
    pub(super) percent_decoded: bool,
}

impl Part {
    /// A header, which replaces one of the same name on the request. It is marked sensitive.
    pub fn header(name: impl Into<String>, value: impl AsRef<[u8]>) -> Self {
        Self::of(Place::Header(name.into()), stated(value.as_ref()))
    }

    /// A pair of the query, which replaces one of the same name. Both are percent-encoded when they
    /// are attached.
    pub fn query(name: impl Into<String>, value: impl AsRef<str>) -> Self {
        Self::of(Place::Query(name.into()), stated(value.as_ref().as_bytes()))
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

    /// Takes the percent-encoding off the cookie's value, as a script in a browser does that reads
    /// the cookie. A value that is not from a cookie stays as it is.
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

    /// The header or the query pair of a line.
    pub(crate) fn read(line: Line<'_>) -> Result<Self, InvalidValue> {
        let name = line.need("name")?.to_string();
        let place = match line.kind() {
            "header" => Place::Header(name),
            _ => Place::Query(name),
        };
        let source = match (line.bytes("value"), line.text("cookie")?) {
            (Some(value), None) => Source::Value(value),
            (None, Some(cookie)) => from_cookie(cookie.to_string()),
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
        if let Source::Cookie(cookie) = &self.source {
            part.field("cookie", cookie);
        }
        part.field("when", &self.when).finish_non_exhaustive()
    }
}
