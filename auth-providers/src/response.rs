//! Reads the answers to a login.
//!
//! A status means what the HTTP specification says, whatever the body is and whatever it is called:
//! a 401 refuses the password, as plain text, as HTML or without a body. A session counts only if
//! it has the form that the API documents. What surrounds the form does not decide: a byte order
//! mark, white space or a label. No error repeats what a server sent, except for the status.

use std::time::{Duration, SystemTime};

use auth_core::{
    Clock, Judge, LoginError, LoginErrorKind, MAX_JUDGED_BODY, RequestHead, ResponseView, Verdict,
};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use http::{HeaderName, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use serde_json::{Number, Value};

use crate::transport::CutShort;
use crate::{iso_8601, json_body, markup};

/// The largest response to a login that is read, in bytes, after decompression.
///
/// It bounds the memory that a server can make a login take. The documented responses have less
/// than 2 KiB; the rest is room for the responses of other APIs.
pub const MAX_RESPONSE: usize = 256 * 1024;

/// The headers that ask for a wait. The first one that can be read counts.
const WAITS: [HeaderName; 2] = [RETRY_AFTER, HeaderName::from_static("x-retry-after")];

/// Succeeds for a 2xx status and fails for any other.
///
/// # Errors
/// See [`failure`].
pub fn expect_success(response: &Response<Bytes>) -> Result<(), LoginError> {
    if response.status().is_success() {
        Ok(())
    } else {
        Err(failure(response))
    }
}

/// The error that a status means, unless the API documents another meaning.
///
/// | status | error |
/// |---|---|
/// | 401 | [`LoginError::refused`] (RFC 9110, section 15.5.2), with any body or none |
/// | 429 | [`LoginError::limited`] |
/// | 408, 5xx | [`LoginError::unavailable`] |
/// | 407 | [`LoginError::malformed`]: a proxy wants a password of its own, or the API answers so |
/// | 3xx | [`LoginError::malformed`]: a redirect could send the password anywhere |
/// | any other status | [`LoginError::malformed`] |
///
/// Each with [`retry_after`]. The body and its `Content-Type` are no evidence against a 401:
/// Express, for one, labels the text of `res.status(401).send("Invalid password")` as HTML.
pub fn failure(response: &Response<Bytes>) -> LoginError {
    let status = response.status();
    let code = status.as_u16();
    let error = if status == StatusCode::TOO_MANY_REQUESTS {
        LoginError::limited(None).with_detail(format!("status {code}"))
    } else if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        LoginError::unavailable(format!("status {code}"))
    } else if status == StatusCode::PROXY_AUTHENTICATION_REQUIRED {
        // The client's own proxy answers no login over HTTPS, where its 407 ends the connection,
        // and is used over plain HTTP only by choice. So it is the server, or what stands before
        // it, that answers, and that may count wrong passwords.
        LoginError::malformed("status 407: a proxy wants a password of its own")
    } else if status == StatusCode::UNAUTHORIZED {
        LoginError::refused("status 401")
    } else if status.is_redirection() {
        LoginError::malformed(format!("status {code}: a login's redirect is not followed"))
    } else if is_html(response) {
        LoginError::malformed(format!("status {code} with HTML instead of JSON"))
    } else {
        LoginError::malformed(format!("status {code}"))
    };
    error.with_retry_after(retry_after(response.headers()))
}

/// Passes a 2xx answer to a refresh. Otherwise as [`expect_success`], but 400, 401 and 403 mean
/// that the server does not accept the token (RFC 6749, section 5.2, and what APIs without OAuth
/// answer).
///
/// # Errors
/// [`LoginError::refused`] for those, or else [`failure`].
pub fn expect_refreshed(response: &Response<Bytes>) -> Result<(), LoginError> {
    let status = response.status();
    let refused = [
        StatusCode::BAD_REQUEST,
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
    ];
    if refused.contains(&status) {
        let refused = LoginError::refused(format!("status {} to a refresh", status.as_u16()));
        return Err(refused.with_retry_after(retry_after(response.headers())));
    }
    expect_success(response)
}

/// Whether the response has all of its body. What has not may be too long, or it broke off or
/// can't be decoded; its status says enough, so that it is read all the same. A login is never
/// given a successful response of that kind, and a logout is.
pub fn is_whole(response: &Response<Bytes>) -> bool {
    response.extensions().get::<CutShort>().is_none()
}

/// What the answer to a logout means, unless the API documents another meaning.
///
/// | answer | the session |
/// |---|---|
/// | 2xx, 3xx but 307 and 308 | has ended |
/// | 401 | is over, if that was known before |
/// | any other that `judge` calls rejected | is over |
/// | any other | may still be good |
///
/// A 401 alone may ask for something else, such as a csrf token. If it does not, an API's own
/// [`Login::logged_out`](crate::Login::logged_out) passes `was_over` as true.
///
/// # Errors
/// If the session may still be good: [`failure`], or [`LoginError::malformed`] for a 401.
pub fn logged_out(
    response: &Response<Bytes>,
    judge: &dyn Judge,
    was_over: bool,
) -> Result<(), LoginError> {
    let status = response.status();
    match status {
        StatusCode::UNAUTHORIZED if was_over => Ok(()),
        // No password was sent, so none was refused.
        StatusCode::UNAUTHORIZED => Err(LoginError::malformed("status 401 to a logout")),
        // The same request would have to be made elsewhere (RFC 9110, section 15.4.8).
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
            let detail = format!(
                "status {}: a logout's redirect is not followed",
                status.as_u16()
            );
            Err(LoginError::malformed(detail))
        }
        status if status.is_success() || status.is_redirection() => Ok(()),
        _ if rejects(response, judge, None) => Ok(()),
        _ => Err(failure(response)),
    }
}

/// Passes an answer to the fetch of a part, which `asked` for it, unless `judge` says that it
/// rejects the session.
pub(crate) fn expect_session(
    response: &Response<Bytes>,
    judge: &dyn Judge,
    asked: &RequestHead,
) -> Result<(), LoginError> {
    if !rejects(response, judge, Some(asked)) {
        return Ok(());
    }
    let refused = LoginError::refused(format!("status {}", response.status().as_u16()));
    Err(refused.with_retry_after(retry_after(response.headers())))
}

/// Whether an answer to a logout, which `asked` for it, says that the session is over, to a judge
/// that needs the request to tell. A 401 alone may ask for something else.
pub(crate) fn says_over(
    response: &Response<Bytes>,
    judge: &dyn Judge,
    asked: &RequestHead,
) -> bool {
    let is_clear = judge.wants_request() && response.status() != StatusCode::UNAUTHORIZED;
    is_clear && rejects(response, judge, Some(asked))
}

/// Whether an answer to a request of a provider's own asks for a repair of the session.
pub(crate) fn asks_for_repair(
    response: &Response<Bytes>,
    judge: &dyn Judge,
    asked: &RequestHead,
) -> bool {
    verdict(response, judge, Some(asked)) == Verdict::NeedsRepair
}

fn rejects(response: &Response<Bytes>, judge: &dyn Judge, asked: Option<&RequestHead>) -> bool {
    verdict(response, judge, asked) == Verdict::Rejected
}

fn verdict(response: &Response<Bytes>, judge: &dyn Judge, asked: Option<&RequestHead>) -> Verdict {
    let mut answer = ResponseView::new(response.status(), response.headers());
    if let Some(asked) = asked.filter(|_| judge.wants_request()) {
        answer = answer.to_request(asked);
    }
    if response.body().len() <= MAX_JUDGED_BODY {
        answer = answer.with_body(response.body());
    }
    judge.judge(&answer)
}

/// Reads the body as JSON, whatever its `Content-Type` is.
///
/// Byte order marks, white space and NUL bytes around the JSON are skipped. The text is UTF-8, as
/// RFC 8259 (section 8.1) requires; a `charset` in the label does not change that, nor does it in a
/// browser. Bytes that are not UTF-8 are replaced, as a browser does, and so are escapes of half a
/// character: a name in another encoding, or one that was cut off, does not spoil the token beside
/// it.
///
/// A struct is read from an object alone, by the names of its fields. serde takes one from an array
/// as well, and a list of errors would bring a token.
///
/// # Errors
/// [`LoginError::malformed`]. Its message says whether the body is HTML, is cut short, is not JSON,
/// or is JSON of another shape.
pub fn json<T: DeserializeOwned>(response: &Response<Bytes>) -> Result<T, LoginError> {
    // The message of serde_json's error quotes the body, so only its category is kept.
    read_json(response.body()).map_err(|error| {
        LoginError::malformed(match error.classify() {
            _ if is_html(response) => "HTML instead of JSON",
            Category::Eof => "JSON that is cut short",
            Category::Data => "JSON in which a documented field is missing or has another type",
            Category::Syntax | Category::Io => "something that is not JSON",
        })
    })
}

/// JSON without what surrounds it, and with what is no character replaced.
pub(crate) fn read_json<T: DeserializeOwned>(body: &[u8]) -> serde_json::Result<T> {
    json_body::read(bare(body))
}

/// The text at a JSON pointer (RFC 6901) in the body: a string without white space around it, or a
/// number as JSON writes it. The pointer to the whole body is empty. `true` and `false` are no
/// text: in place of a token, such a flag says how the login went.
///
/// For more than one value, [`json`] reads a struct.
///
/// ```
/// use auth_providers::response;
///
/// let response = http::Response::new(r#"{"data": {"sid": "s-1", "id": 7}}"#.into());
/// assert_eq!(response::json_at(&response, "/data/sid")?, "s-1");
/// assert_eq!(response::json_at(&response, "/data/id")?, "7");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
///
/// # Errors
/// [`LoginError::malformed`], as [`json`], and if there is no such text or it is empty. The error
/// names the pointer, so that must be no part of an answer.
pub fn json_at(response: &Response<Bytes>, pointer: &str) -> Result<String, LoginError> {
    let body: Value = json(response)?;
    let text = body.pointer(pointer).and_then(text_of).unwrap_or_default();
    found(trimmed(&text), || {
        format!("JSON without a text at {pointer:?}")
    })
}

/// A string, or a number as JSON writes it. A flag is no value: some servers answer `false` to a
/// wrong password, in place of a token.
pub(crate) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => is_exact(number).then(|| number.to_string()),
        _ => None,
    }
}

/// Whether a number has the digits that the server wrote. One that is too long for 64 bits is read
/// as the nearest that fits, and as a token it would be another one.
fn is_exact(number: &Number) -> bool {
    /// From here on, a floating-point number skips integers.
    const INEXACT: f64 = 9_007_199_254_740_992.0;
    let is_short = || number.as_f64().is_some_and(|number| number.abs() < INEXACT);
    number.is_u64() || number.is_i64() || is_short()
}

/// The value of a form field of an HTML page: that of the first `<input>` with this name that has
/// one. It is hidden as a rule, such as a csrf token.
///
/// References such as `&#x2B;` are replaced. Comments and scripts are skipped.
///
/// ```
/// use auth_providers::response;
///
/// let page = r#"<form><input type="hidden" name="csrf" value="c&#43;1"></form>"#;
/// let response = http::Response::new(page.into());
/// assert_eq!(response::hidden_field(&response, "csrf")?, "c+1");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
///
/// # Errors
/// [`LoginError::malformed`], if there is no such field or its value is empty. The error names the
/// field, so that must be no part of an answer.
pub fn hidden_field(response: &Response<Bytes>, name: &str) -> Result<String, LoginError> {
    let value = markup::input_value(&String::from_utf8_lossy(response.body()), name);
    found(&value.unwrap_or_default(), || {
        format!("a page without the form field {name:?}")
    })
}

/// The text of an XML element: the first with this name, in whatever namespace, without white space
/// around it.
///
/// ```
/// use auth_providers::response;
///
/// let body = "<r:reply xmlns:r='urn:r'><r:sid>s&amp;1</r:sid></r:reply>";
/// let response = http::Response::new(body.into());
/// assert_eq!(response::xml_text(&response, "sid")?, "s&1");
/// # Ok::<(), auth_core::LoginError>(())
/// ```
///
/// # Errors
/// [`LoginError::malformed`], if there is no such element, if it is empty or if it holds others.
/// The error names the element, so that must be no part of an answer.
pub fn xml_text(response: &Response<Bytes>, element: &str) -> Result<String, LoginError> {
    let text = markup::element_text(&String::from_utf8_lossy(response.body()), element);
    found(trimmed(&text.unwrap_or_default()), || {
        format!("XML without a text in <{element}>")
    })
}

fn found(text: &str, what: impl FnOnce() -> String) -> Result<String, LoginError> {
    if text.is_empty() {
        return Err(LoginError::malformed(what()));
    }
    Ok(text.to_owned())
}

/// A value without white space and byte order marks around it.
pub(crate) fn trimmed(value: &str) -> &str {
    value.trim_matches(|letter: char| letter.is_whitespace() || letter == '\u{feff}')
}

/// What may surround a text: byte order marks, of which a server in PHP sends one for each of its
/// source files that has one, white space and NUL bytes.
const AROUND: [&[u8]; 6] = [b"\xEF\xBB\xBF", b" ", b"\t", b"\r", b"\n", b"\0"];

/// A text without what is [`AROUND`] it.
pub(crate) fn bare(mut text: &[u8]) -> &[u8] {
    while let Some(rest) = AROUND.iter().find_map(|around| {
        let behind = || text.strip_suffix(*around);
        text.strip_prefix(*around).or_else(behind)
    }) {
        text = rest;
    }
    text
}

/// The wait that a server asks for: `Retry-After` or `X-Retry-After`, in seconds or as a date. Of
/// several, in one line or in many, the longest counts.
///
/// Seconds may have a fraction, a sign `+` and a unit, as `120s`. A date may be in ISO 8601 as
/// well. It counts from the response's own `Date`, so that neither clock has to be right, and one
/// in the past is a wait of zero. Where that is missing, a date counts from the machine's clock,
/// and states nothing if it is in the past: either clock may be wrong. A large value is returned as
/// it is; the cache limits it.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let waits = WAITS;
    let values = waits.iter().flat_map(|name| headers.get_all(name));
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.filter_map(|text| read_waits(text, headers)).max()
}

/// The wait of a failed login whose answer asks for one that can't be read. It is that of a quota
/// of which nothing is documented, and the longest back-off of an outage.
const UNREADABLE_WAIT: Duration = Duration::from_secs(60);

/// The wait that the answer to a failed login asks for, in whatever form. After too many logins a
/// form that can't be read states none, because the cache then waits for the window of the quota.
pub(crate) fn wait_of(failed: &LoginError, headers: &HeaderMap) -> Option<Duration> {
    let asks = || WAITS.iter().any(|name| headers.contains_key(name));
    let unreadable = || failed.kind() != LoginErrorKind::Limited && asks();
    retry_after(headers).or_else(|| unreadable().then_some(UNREADABLE_WAIT))
}

/// The longest wait of a line, which may be several lines that a proxy has joined.
fn read_waits(line: &str, headers: &HeaderMap) -> Option<Duration> {
    // A date has a comma as well.
    let joined = || line.split(',').filter_map(read_seconds).max();
    read_seconds(line)
        .or_else(|| read_date(unquoted(line), headers))
        .or_else(joined)
}

/// How servers write the unit of a wait, if they do.
const SECONDS: [&str; 6] = ["", "s", "sec", "secs", "second", "seconds"];

fn read_seconds(text: &str) -> Option<Duration> {
    let text = unquoted(text);
    let text = text.strip_prefix('+').unwrap_or(text);
    let behind = |letter: char| !letter.is_ascii_digit() && letter != '.';
    let (number, unit) = text.split_at(text.find(behind).unwrap_or(text.len()));
    let unit = unit.trim().to_ascii_lowercase();
    let is_number = number.starts_with(|first: char| first.is_ascii_digit());
    if !is_number || !SECONDS.contains(&&*unit) {
        return None;
    }
    let seconds: f64 = number.parse().ok()?;
    // A number that is too large still means a long wait.
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"').trim()
}

/// How servers write the zone of a date, in place of `GMT`.
const ZONES: [&str; 3] = ["UTC", "+0000", "-0000"];

fn read_date(text: &str, headers: &HeaderMap) -> Option<Duration> {
    let zone = ZONES.iter().find_map(|zone| text.strip_suffix(zone));
    let in_gmt = zone.map(|date| format!("{date}GMT"));
    let http_date = httpdate::parse_http_date(in_gmt.as_deref().unwrap_or(text)).ok();
    let until = http_date.or_else(|| iso_8601::parse(text))?;
    match date(headers) {
        Some(now) => Some(until.duration_since(now).unwrap_or_default()),
        None => until.duration_since(machine_time()).ok(),
    }
}

/// The time on the machine's clock, for a wait alone: the life of a session never counts from it.
pub(crate) fn machine_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Clock::system().now().wall()
}

/// How long it is from a response to a time in it, such as the expiry of a session: ISO 8601 with
/// any offset, as `2026-11-21T12:00:00+02:00`.
///
/// The response's own `Date` counts, so that neither clock has to be right. `None` without `Date`,
/// if the time has no offset, if it can't be read, or if it has passed: then it states nothing.
/// Where an API is documented to leave the offset out and to mean UTC, append a `Z`.
///
/// ```
/// use std::time::Duration;
/// use auth_providers::response;
///
/// let noon = "Sat, 21 Nov 2026 12:00:00 GMT";
/// let response = http::Response::builder().header("date", noon).body("".into())?;
/// let left = response::time_until(&response, "2026-11-21T15:00:00.5+02:00");
/// assert_eq!(left, Some(Duration::from_millis(3_600_500)));
/// # Ok::<(), http::Error>(())
/// ```
pub fn time_until(response: &Response<Bytes>, time: &str) -> Option<Duration> {
    let left = iso_8601::parse(time)?.duration_since(date(response.headers())?);
    left.ok().filter(|left| !left.is_zero())
}

/// The time in the response's `Date` header.
pub(crate) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?).ok()
}

/// Whether the response is HTML, by its `Content-Type` or by its first character.
pub fn is_html(response: &Response<Bytes>) -> bool {
    let declared = response.headers().get(CONTENT_TYPE).is_some_and(|value| {
        value
            .as_bytes()
            .to_ascii_lowercase()
            .starts_with(b"text/html")
    });
    declared || bare(response.body()).first() == Some(&b'<')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &'static str) -> Response<Bytes> {
        Response::builder()
            .status(status)
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap()
    }

    fn wait(pairs: &[(&'static str, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        retry_after(&headers)
    }

    const NOON: (&str, &str) = ("date", "Sat, 21 Nov 2026 12:00:00 GMT");

    #[test]
    fn a_status_means_what_the_table_says() {
        for (status, kind) in [
            (401, LoginErrorKind::Refused),
            (429, LoginErrorKind::Limited),
            (408, LoginErrorKind::Unavailable),
            (500, LoginErrorKind::Unavailable),
            (503, LoginErrorKind::Unavailable),
            (307, LoginErrorKind::Malformed),
            (302, LoginErrorKind::Malformed),
            (400, LoginErrorKind::Malformed),
            (403, LoginErrorKind::Malformed),
            (404, LoginErrorKind::Malformed),
        ] {
            let error = failure(&response(status, "{}"));
            assert_eq!(error.kind(), kind, "{status}");
            let named = format!("status {status}");
            assert!(error.to_string().contains(&named), "{error}");
        }
    }

    fn labelled(status: u16, label: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        Response::builder()
            .status(status)
            .header(CONTENT_TYPE, label)
            .body(body.into())
            .unwrap()
    }

    #[test]
    fn rule_12_a_401_is_a_refusal_whatever_its_body_is_and_is_called() {
        for label in [
            "text/html",
            "Text/HTML; charset=utf-8",
            "text/plain",
            "application/json",
            "application/octet-stream",
            "nonsense",
            "",
        ] {
            for body in [
                "",
                "Invalid email or password",
                "<!doctype html>",
                "{}",
                "{",
            ] {
                let error = failure(&labelled(401, label, body));
                assert_eq!(error.kind(), LoginErrorKind::Refused, "{label} {body}");
                assert!(expect_success(&labelled(401, label, body)).is_err());
            }
        }
        for body in ["", " \r\n<html>", "\u{feff}<html>"] {
            let error = failure(&response(401, body));
            assert_eq!(error.kind(), LoginErrorKind::Refused, "no label, {body}");
        }
    }

    #[test]
    fn rule_18_a_text_in_another_encoding_does_not_spoil_the_token_beside_it() {
        let latin = labelled(
            200,
            "application/json",
            &b"{\"n\": \"Jos\xE9\", \"t\": \"t-1\"}"[..],
        );
        assert_eq!(json_at(&latin, "/t").unwrap(), "t-1");
        let utf_16: Vec<u8> = r#"{"t": "t-1"}"#.bytes().flat_map(|byte| [byte, 0]).collect();
        let utf_16 = labelled(200, "application/json", utf_16);
        let error = json_at(&utf_16, "/t").unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Malformed);
    }

    #[test]
    fn a_logout_that_is_to_be_made_elsewhere_has_not_ended_the_session() {
        let accepts = |_: &ResponseView<'_>| Verdict::Accepted;
        for (status, done) in [(302, true), (303, true), (307, false), (308, false)] {
            let answer = logged_out(&response(status, ""), &accepts, false);
            assert_eq!(answer.is_ok(), done, "{status}");
        }
    }

    #[test]
    fn rule_12_a_proxy_that_wants_a_password_refuses_none() {
        let mut proxy = labelled(407, "text/html", "<html>");
        let basic = "Basic realm=proxy".parse().unwrap();
        proxy.headers_mut().insert("proxy-authenticate", basic);
        let error = failure(&proxy);
        assert_eq!(error.kind(), LoginErrorKind::Malformed);
        assert!(error.to_string().contains("407"), "{error}");
    }

    #[test]
    fn rule_7_the_judge_of_a_logout_gets_a_body_of_64_kib_and_no_larger_one() {
        struct RejectsBodies;
        impl Judge for RejectsBodies {
            fn judge(&self, response: &ResponseView<'_>) -> Verdict {
                match response.body {
                    Some(_) => Verdict::Rejected,
                    None => Verdict::Unclear,
                }
            }
        }
        for (length, over) in [(MAX_JUDGED_BODY, true), (MAX_JUDGED_BODY + 1, false)] {
            let answer = labelled(400, "text/plain", vec![b'x'; length]);
            let logged_out = logged_out(&answer, &RejectsBodies, true);
            assert_eq!(logged_out.is_ok(), over, "{length}");
        }
    }

    #[test]
    fn rule_18_what_surrounds_json_and_what_it_is_called_does_not_decide() {
        for (before, after) in [
            ("", ""),
            ("\u{feff}", ""),
            ("\u{feff}\u{feff}", ""),
            (" \r\n\u{feff}\t", "\n"),
            ("", "\0"),
            ("", "\r\n\0\0\n"),
            ("\u{feff}", " \u{feff}\n"),
        ] {
            for label in [
                "application/json",
                "APPLICATION/JSON; charset=UTF-8",
                "application/json; charset=iso-8859-1",
                "text/html; charset=utf-8",
                "text/plain",
            ] {
                let body = format!("{before}[1]{after}");
                let served = labelled(200, label, body.clone());
                assert_eq!(json::<[u8; 1]>(&served).unwrap(), [1], "{label} {body:?}");
            }
        }
        for inside in ["[\u{feff}1]", "[1\0]", "\u{feff}", "\0", "", "[1]x"] {
            let served = labelled(200, "application/json", inside);
            assert!(json::<[u8; 1]>(&served).is_err(), "{inside:?}");
        }
        let utf_16: Vec<u8> = "\u{feff}[1]"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let error = json::<[u8; 1]>(&labelled(200, "application/json", utf_16)).unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Malformed);
    }

    #[test]
    fn rule_11_retry_after_is_read_in_seconds_or_as_a_date() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait(&[("retry-after", "7")]), seconds(7));
        assert_eq!(wait(&[("x-retry-after", " 8 ")]), seconds(8));
        assert_eq!(
            wait(&[("x-retry-after", "8"), ("retry-after", "7")]),
            seconds(8)
        );
        let date = ("retry-after", "Sat, 21 Nov 2026 12:01:30 GMT");
        assert_eq!(wait(&[NOON, date]), seconds(90));
        let past = ("retry-after", "Sat, 21 Nov 2026 11:00:00 GMT");
        assert_eq!(wait(&[NOON, past]), seconds(0));
        for date in [
            "Sat, 21 Nov 2026 12:01:30 UTC",
            "Sat, 21 Nov 2026 12:01:30 +0000",
            "Saturday, 21-Nov-26 12:01:30 GMT",
            "Sat Nov 21 12:01:30 2026",
            "2026-11-21T12:01:30Z",
            "2026-11-21T14:01:30+02:00",
            "\"2026-11-21 12:01:30Z\"",
        ] {
            assert_eq!(wait(&[NOON, ("retry-after", date)]), seconds(90), "{date}");
        }
        let elsewhere = ("retry-after", "Sat, 21 Nov 2026 12:01:30 +0200");
        assert_eq!(wait(&[NOON, elsewhere]), None);
    }

    #[test]
    fn rule_11_a_date_counts_from_the_machines_clock_if_the_response_has_none() {
        let written = |time: SystemTime| httpdate::fmt_http_date(time);
        let asked = |text: &str| wait(&[("retry-after", text)]);
        let minutes = Duration::from_secs(600);
        let left = asked(&written(machine_time() + minutes)).unwrap();
        assert!(left <= minutes, "{left:?}");
        assert!(
            left > minutes.saturating_sub(Duration::from_secs(60)),
            "{left:?}"
        );
        assert_eq!(
            asked(&written(machine_time() - minutes)),
            None,
            "a clock is wrong"
        );
        let unreadable = ("date", "today");
        let until = written(machine_time() + minutes);
        assert!(wait(&[unreadable, ("retry-after", &until)]).is_some());
    }

    #[test]
    fn rule_11_seconds_are_read_however_a_server_writes_them() {
        for text in [
            "120",
            " 120 ",
            "+120",
            "120.0",
            "120s",
            "120 s",
            "120 seconds",
            "120 Sec",
            "0120",
            "\"120\"",
            "120,",
            "7, 120",
            "120, 7",
            "soon, 120",
        ] {
            let asked = wait(&[("retry-after", text)]);
            assert_eq!(asked, Some(Duration::from_secs(120)), "{text:?}");
        }
        let seven = ("retry-after", "7");
        for other in ["120", "Sat, 21 Nov 2026 12:02:00 GMT"] {
            let other = ("retry-after", other);
            let both = [wait(&[NOON, seven, other]), wait(&[NOON, other, seven])];
            assert_eq!(both, [Some(Duration::from_secs(120)); 2], "{other:?}");
        }
    }

    #[test]
    fn rule_11_a_wait_that_cant_be_read_is_a_minute_or_the_window_after_too_many_logins() {
        let minute = Some(Duration::from_secs(60));
        let of = |status: u16, name: &'static str, text: &str| {
            let mut answer = response(status, "");
            answer.headers_mut().insert(name, text.parse().unwrap());
            wait_of(&failure(&answer), answer.headers())
        };
        for text in ["", "soon", "-1", "5m", "Thu, 01 Jan 1970 00:00:00 GMT"] {
            for name in ["retry-after", "x-retry-after"] {
                for status in [503, 403, 408] {
                    assert_eq!(of(status, name, text), minute, "{status} {name}: {text}");
                }
                assert_eq!(of(429, name, text), None, "{name}: {text}");
            }
        }
        assert_eq!(of(503, "retry-after", "0"), Some(Duration::ZERO));
        assert_eq!(of(503, "x-other", "soon"), None);
    }

    #[test]
    fn an_absurd_retry_after_neither_panics_nor_means_at_once() {
        let absurd = "9".repeat(400);
        let long = wait(&[("retry-after", &absurd)]).unwrap();
        assert!(long > Duration::from_secs(u64::from(u32::MAX)));
        assert_eq!(
            wait(&[("retry-after", "1.5")]),
            Some(Duration::from_millis(1_500))
        );
        for nonsense in [
            "", "-1", "soon", "NaN", "inf", "1e400", "+", ".5", "1.2.3", "1 2",
        ] {
            assert_eq!(wait(&[("retry-after", nonsense)]), None, "{nonsense}");
        }
        assert_eq!(
            wait(&[("retry-after", "soon"), ("x-retry-after", "3")]),
            Some(Duration::from_secs(3))
        );
    }

    #[test]
    fn rule_17_a_malformed_body_is_not_quoted() {
        #[derive(Debug, serde::Deserialize)]
        struct Token {
            #[expect(dead_code, reason = "only its type matters")]
            token: u32,
        }
        for (body, word) in [
            (r#"{"token": "canary"}"#, "another type"),
            (r#"{"canary": 1}"#, "missing"),
            (r#"{"token": "canary"#, "cut short"),
            ("canary", "not JSON"),
            ("<html>canary", "HTML"),
            ("", "cut short"),
        ] {
            let error = json::<Token>(&response(200, body)).unwrap_err();
            assert_eq!(error.kind(), LoginErrorKind::Malformed);
            let printed = format!("{error} {error:?}");
            assert!(printed.contains(word), "{printed}");
            assert!(!printed.contains("canary"), "{printed}");
        }
    }

    #[test]
    fn a_text_is_found_in_json_html_and_xml_or_the_response_is_malformed() {
        let json = response(
            200,
            r#"{"a": {"s": "t", "n": 7, "b": true, "e": "", "z": null}}"#,
        );
        assert_eq!(json_at(&json, "/a/s").unwrap(), "t");
        assert_eq!(json_at(&json, "/a/n").unwrap(), "7");
        assert_eq!(json_at(&response(200, "\"t\""), "").unwrap(), "t");
        let around = response(200, r#"{"s": "\ufefft\r\n", "no": false}"#);
        assert_eq!(json_at(&around, "/s").unwrap(), "t");
        assert!(json_at(&around, "/no").is_err());
        for pointer in ["/a", "/a/b", "/a/e", "/a/z", "/b", "a", ""] {
            let error = json_at(&json, pointer).unwrap_err();
            assert_eq!(error.kind(), LoginErrorKind::Malformed, "{pointer}");
        }
        let page = response(200, "<input name=a value=b><input name=e>");
        assert_eq!(hidden_field(&page, "a").unwrap(), "b");
        let xml = response(200, "<a>\n b </a><e> </e>");
        assert_eq!(xml_text(&xml, "a").unwrap(), "b");
        for name in ["e", "z"] {
            assert!(hidden_field(&page, name).is_err(), "{name}");
            assert!(xml_text(&xml, name).is_err(), "{name}");
        }
    }

    #[test]
    fn rule_14_a_time_counts_from_the_responses_own_date() {
        let until = |date: Option<&str>, time| {
            let mut response = response(200, "");
            if let Some(date) = date {
                response.headers_mut().insert(DATE, date.parse().unwrap());
            }
            time_until(&response, time)
        };
        let (_, noon) = NOON;
        let minute = Some(Duration::from_secs(60));
        assert_eq!(until(Some(noon), "2026-11-21T12:01:00Z"), minute);
        assert_eq!(until(Some(noon), "2026-11-21 07:01:00-0500"), minute);
        assert_eq!(until(None, "2026-11-21T12:01:00Z"), None);
        for time in [
            "2026-11-21T12:00:00Z",
            "2026-11-21T11:59:00Z",
            "2026-11-21T12:01:00",
            "soon",
        ] {
            assert_eq!(until(Some(noon), time), None, "{time}");
        }
    }
}
