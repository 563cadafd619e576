//! A response as a recipe looks at it: conditions, and the values in it.

use std::cell::OnceCell;
use std::time::{Duration, SystemTime};

use auth_core::{ResponseView, SetCookie};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use serde_json::Value;
use zeroize::Zeroizing;

use super::schema::{
    Clause, CookieName, Expected, HeaderTest, Methods, Pointer, Reads, Take, Unit, Wait,
};
use super::values::Known;
use crate::response::{bare, date, machine_time, read_json, retry_after, text_of, trimmed};
use crate::{iso_8601, jwt, markup};

/// A response, with its body read at most once.
pub(super) struct Answer<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    /// `None` if it was not read.
    body: Option<&'a [u8]>,
    request: Option<(&'a Method, &'a str)>,
    json: OnceCell<Option<Value>>,
    text: OnceCell<String>,
}

impl<'a> Answer<'a> {
    pub(super) fn of(response: &'a Response<Bytes>) -> Self {
        Self::new(response.status(), response.headers(), Some(response.body()))
    }

    pub(super) fn of_view(view: &ResponseView<'a>) -> Self {
        let mut answer = Self::new(view.status, view.headers, view.body);
        answer.request = view.request.map(|head| (&head.method, head.uri.path()));
        answer
    }

    fn new(status: StatusCode, headers: &'a HeaderMap, body: Option<&'a [u8]>) -> Self {
        Self {
            status,
            headers,
            body,
            request: None,
            json: OnceCell::new(),
            text: OnceCell::new(),
        }
    }

    fn json(&self) -> Option<&Value> {
        let read = || read_json(self.body?).ok();
        self.json.get_or_init(read).as_ref()
    }

    fn text(&self) -> &str {
        let read = || String::from_utf8_lossy(bare(self.body.unwrap_or_default())).into_owned();
        self.text.get_or_init(read)
    }

    fn header(&self, name: &HeaderName) -> Option<&'a str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the clause's conditions for the head hold.
    pub(super) fn head_matches<M>(&self, clause: &Clause<M>) -> bool {
        let status = (clause.status.as_ref()).is_none_or(|statuses| statuses.contain(self.status));
        status
            && clause.media_type.as_ref().is_none_or(|expected| {
                let view = ResponseView::new(self.status, self.headers);
                let stated = view.media_type();
                stated.is_some_and(|stated| stated.eq_ignore_ascii_case(expected))
            })
            && clause
                .header
                .iter()
                .all(|(name, test)| self.header_is(name.get(), test))
            && clause.sets_cookie.as_ref().is_none_or(|name| {
                let mut set = auth_core::set_cookies(self.headers);
                set.any(|cookie| name.is_of(&cookie.name) && cookie.has_value())
            })
            && clause.redirect.as_ref().is_none_or(|pattern| {
                let view = ResponseView::new(self.status, self.headers);
                view.location()
                    .is_some_and(|location| pattern.matches(location))
            })
            && self.request_matches(clause)
    }

    fn request_matches<M>(&self, clause: &Clause<M>) -> bool {
        if clause.method.is_none() && clause.path.is_none() {
            return true;
        }
        let Some((method, path)) = self.request else {
            return false;
        };
        let by_method = clause.method.as_ref().is_none_or(|methods| match methods {
            Methods::Unsafe => !method.is_safe(),
            Methods::Named(names) => names.iter().any(|name| name == method.as_str()),
        });
        by_method
            && clause
                .path
                .as_ref()
                .is_none_or(|above| is_below(path, above))
    }

    fn header_is(&self, name: &HeaderName, test: &HeaderTest) -> bool {
        match test {
            HeaderTest::There(there) => self.headers.contains_key(name) == *there,
            HeaderTest::Is(expected) => {
                let mut values = self.headers.get_all(name).iter();
                values.any(|value| value.as_bytes().eq_ignore_ascii_case(expected.as_bytes()))
            }
            HeaderTest::Matches(pattern) => {
                let mut values = self.headers.get_all(name).iter();
                values.any(|value| value.to_str().is_ok_and(|value| pattern.matches(value)))
            }
        }
    }

    /// Whether all conditions of the clause hold. Those for a body that was not read don't.
    pub(super) fn matches<M>(&self, clause: &Clause<M>) -> bool {
        self.head_matches(clause) && (!needs_body(clause) || self.body_matches(clause))
    }

    fn body_matches<M>(&self, clause: &Clause<M>) -> bool {
        if self.body.is_none() {
            return false;
        }
        let is_json =
            !clause.json.is_empty() || !clause.present.is_empty() || !clause.absent.is_empty();
        let by_json = || {
            let Some(body) = self.json() else {
                return false;
            };
            let there = |at: &Pointer| {
                body.pointer(at.as_str())
                    .is_some_and(|value| !value.is_null())
            };
            clause
                .json
                .iter()
                .all(|(at, expected)| is_expected(body.pointer(at.as_str()), expected))
                && clause.present.iter().all(there)
                && !clause.absent.iter().any(there)
        };
        (!is_json || by_json())
            && (clause.text.as_ref()).is_none_or(|pattern| pattern.matches(self.text()))
    }

    /// The value at a place, unless it is empty. Of cookies, those that the login has are given.
    pub(super) fn take(
        &self,
        take: &Take,
        known: &Known<'_>,
        cookie: impl Fn(&CookieName) -> Option<SetCookie>,
    ) -> Option<Zeroizing<String>> {
        // A flag is no token, and says whether a further step is needed.
        let text_of = |value: &Value| match value {
            Value::Bool(true) if take.optional => Some("true".to_owned()),
            value => text_of(value),
        };
        let value = if let Some(at) = &take.json {
            text_of(self.json()?.pointer(at.as_str())?)
        } else if let Some(name) = &take.header {
            self.header(name.get()).map(str::to_owned)
        } else if let Some(name) = &take.cookie {
            cookie(name).map(|cookie| cookie.value)
        } else if let Some(pattern) = &take.text {
            let found = pattern.find(self.text());
            // In a page, and in XML, a value is written with references.
            let is_markup = self.text().starts_with('<');
            found.map(|found| {
                if is_markup {
                    markup::decoded(found).into_owned()
                } else {
                    found.to_owned()
                }
            })
        } else if let Some(name) = &take.field {
            markup::input_value(self.text(), name)
        } else if let Some(name) = &take.xml {
            markup::element_text(self.text(), name)
        } else if let (Some(at), Some(of)) = (&take.claim, &take.of) {
            let claims: Value = jwt::claims(known.get(of)?).ok()?;
            claims.pointer(at.as_str()).and_then(text_of)
        } else {
            None
        };
        let value = Zeroizing::new(value?);
        let value = match &take.pattern {
            Some(pattern) => pattern.find(&value)?,
            None => &value,
        };
        let bare = trimmed(value);
        (!bare.is_empty()).then(|| Zeroizing::new(bare.to_owned()))
    }

    /// A documented time, or the one at a place, from now: by the machine's clock, if the response
    /// does not say when that is.
    pub(super) fn wait(&self, wait: &Wait) -> Option<Duration> {
        match wait {
            Wait::Fixed(span) => span.get(|_| None),
            Wait::Read(reads) => {
                let now = date(self.headers).unwrap_or_else(machine_time);
                self.time_from(Some(now), reads)
            }
        }
    }

    /// The time at a place, from when the response was made.
    pub(super) fn time(&self, reads: &Reads) -> Option<Duration> {
        self.time_from(date(self.headers), reads)
    }

    fn time_from(&self, now: Option<SystemTime>, reads: &Reads) -> Option<Duration> {
        let text = self.time_text(reads)?;
        let text = text.trim();
        let number = || Duration::try_from_secs_f64(text.parse().ok()?).ok();
        // Whichever of these units is documented: a server may change from one to the other.
        let from_epoch = || {
            let since = jwt::since_epoch(text.parse().ok()?)?;
            let now = now?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            Duration::try_from_secs_f64(since).ok()?.checked_sub(now)
        };
        let from_now = |time: SystemTime| time.duration_since(now?).ok();
        match reads.unit {
            Unit::S => number(),
            Unit::Ms => number().map(|ms| ms / 1_000),
            Unit::Min => number()?.checked_mul(60),
            Unit::Iso8601 => from_now(iso_8601::parse(text)?),
            // A server may begin to write the offset that it was documented to leave out.
            Unit::Iso8601Utc => {
                let in_utc = || iso_8601::parse(&format!("{text}Z"));
                from_now(iso_8601::parse(text).or_else(in_utc)?)
            }
            Unit::Epoch | Unit::EpochMs => from_epoch(),
            Unit::HttpDate => from_now(httpdate::parse_http_date(text).ok()?),
        }
    }

    fn time_text(&self, reads: &Reads) -> Option<String> {
        if let Some(at) = &reads.json {
            text_of(self.json()?.pointer(at.as_str())?)
        } else if let Some(name) = &reads.header {
            self.header(name.get()).map(str::to_owned)
        } else {
            reads.text.as_ref()?.find(self.text()).map(str::to_owned)
        }
    }

    /// The wait that the response asks for in the usual header.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        retry_after(self.headers)
    }

    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }
}

/// Whether a clause looks at the body.
pub(super) fn needs_body<M>(clause: &Clause<M>) -> bool {
    !clause.json.is_empty()
        || !clause.present.is_empty()
        || !clause.absent.is_empty()
        || clause.text.is_some()
}

/// Whether a path is another one or below it, in whole segments.
fn is_below(path: &str, above: &str) -> bool {
    let above = above.strip_suffix('/').unwrap_or(above);
    let behind = path.strip_prefix(above);
    behind.is_some_and(|behind| behind.is_empty() || behind.starts_with('/'))
}

fn is_expected(value: Option<&Value>, expected: &Expected) -> bool {
    match expected {
        Expected::AnyOf(list) => list.iter().any(|one| match (value, one) {
            // 1 and 1.0 are the same number.
            (Some(Value::Number(value)), Value::Number(one)) => value.as_f64() == one.as_f64(),
            (Some(value), one) => value == one,
            (None, _) => false,
        }),
        Expected::Kind(kind) => value.is_some_and(|value| kind.is_of(value)),
        Expected::Matches(pattern) => value
            .and_then(Value::as_str)
            .is_some_and(|text| pattern.matches(text)),
    }
}
