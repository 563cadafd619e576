//! What a response says about the credential that its request carried.

use std::time::Duration;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};

/// The part of a response that a [`Judge`] sees.
///
/// ```
/// use auth_core::ResponseView;
/// use http::{HeaderMap, StatusCode, header};
///
/// let mut headers = HeaderMap::new();
/// headers.insert(header::CONTENT_TYPE, "application/problem+json; charset=utf-8".parse()?);
/// headers.insert(header::CONTENT_LENGTH, "27".parse()?);
/// let view = ResponseView::new(StatusCode::FORBIDDEN, &headers);
/// assert_eq!(view.media_type(), Some("application/problem+json"));
/// assert!(view.is_json_of_at_most(4 * 1024) && view.body.is_none());
/// # Ok::<(), http::header::InvalidHeaderValue>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseView<'a> {
    /// The request that was answered, if the judge [wants it](Judge::wants_request). After a
    /// redirect, it is the request of the last hop.
    pub request: Option<&'a RequestHead>,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, if the judge [asked for it](Judge::wants_body) and all of it could be read ahead.
    pub body: Option<&'a [u8]>,
}

/// The largest body that is read for a judge, in bytes. Error pages are smaller, and a larger body
/// is not delayed for the judge: one that says so in its `Content-Length` is not read at all.
///
/// ```
/// use auth_core::{MAX_JUDGED_BODY, ResponseView};
///
/// /// In `Judge::wants_body`, for an API whose errors are JSON of any length.
/// fn wants_body(head: &ResponseView<'_>) -> bool {
///     head.status.is_client_error() && head.is_json_of_at_most(MAX_JUDGED_BODY)
/// }
/// # drop(wants_body);
/// ```
pub const MAX_JUDGED_BODY: usize = 64 * 1024;

/// The longest time for which a body is read for a judge. A server that says why it rejects a
/// request does so at once, and a slow link carries [`MAX_JUDGED_BODY`] in less. A body that takes
/// longer may never end.
///
/// ```
/// use std::time::Duration;
/// use auth_core::MAX_JUDGED_TIME;
///
/// // The time-out of a client whose judge reads bodies is longer than that.
/// let timeout = Duration::from_secs(30);
/// assert!(timeout > MAX_JUDGED_TIME);
/// ```
pub const MAX_JUDGED_TIME: Duration = Duration::from_secs(5);

impl<'a> ResponseView<'a> {
    /// A response without its body.
    pub const fn new(status: StatusCode, headers: &'a HeaderMap) -> Self {
        Self {
            request: None,
            status,
            headers,
            body: None,
        }
    }

    /// Adds the request that was answered.
    pub const fn to_request(mut self, request: &'a RequestHead) -> Self {
        self.request = Some(request);
        self
    }

    /// Adds the body.
    pub const fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }

    /// Where the response redirects to: its `Location`, as it was sent. Of one that is not UTF-8,
    /// only what comes before the first such byte: a redirect to a login page is told by how it
    /// begins.
    ///
    /// ```
    /// use auth_core::ResponseView;
    /// use http::{HeaderMap, StatusCode, header::LOCATION};
    ///
    /// let headers = HeaderMap::from_iter([(LOCATION, "/login?next=%2F".parse()?)]);
    /// let redirect = ResponseView::new(StatusCode::FOUND, &headers);
    /// assert!(redirect.location().is_some_and(|to| to.starts_with("/login")));
    /// assert_eq!(ResponseView::new(StatusCode::CREATED, &headers).location(), None);
    /// # Ok::<(), http::header::InvalidHeaderValue>(())
    /// ```
    pub fn location(&self) -> Option<&'a str> {
        let redirects = self.status.is_redirection();
        let location = self.headers.get(LOCATION).filter(|_| redirects)?;
        let text = location.as_bytes().utf8_chunks().next();
        Some(text.map_or("", |text| text.valid()))
    }

    /// Whether a parameter of the media type says that the body is a stream, as
    /// `application/json;stream=watch` of Kubernetes does.
    fn is_said_to_stream(&self) -> bool {
        self.content_type().skip(1).any(|parameter| {
            let name = parameter.trim_ascii_start().get(.."stream=".len());
            name.is_some_and(|name| name.eq_ignore_ascii_case(b"stream="))
        })
    }

    /// The `Content-Type` as it was sent, but without its parameters. Compare it without regard to
    /// case (RFC 9110, section 8.3.1).
    pub fn media_type(&self) -> Option<&'a str> {
        // A parameter may hold what is not ASCII.
        let media_type = self.content_type().next()?;
        std::str::from_utf8(media_type).ok().map(str::trim)
    }

    /// The media type and its parameters.
    fn content_type(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let stated = self.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let pieces = stated.map(|stated| stated.split(|byte| *byte == b';'));
        pieces.into_iter().flatten()
    }

    /// The `Content-Length`, in bytes. A server that writes while it still computes states none. A
    /// client that decompresses a body takes its length away.
    pub fn content_length(&self) -> Option<u64> {
        let text = self.headers.get(CONTENT_LENGTH)?.to_str().ok()?;
        text.parse().ok()
    }

    /// Whether the `Content-Type` is `application/json` or `text/json`, or ends in `+json` (WHATWG
    /// MIME Sniffing, "JSON MIME type"; RFC 6839, section 3.1).
    pub fn is_json(&self) -> bool {
        self.media_type().is_some_and(|media_type| {
            let is = |json: &str| media_type.eq_ignore_ascii_case(json);
            is("application/json") || is("text/json") || ends_with(media_type, "+json")
        })
    }

    /// Whether this is [JSON](Self::is_json) whose [`Content-Length`](Self::content_length) is
    /// stated and at most so many bytes: what a verdict is, and a download or a stream is not.
    pub fn is_json_of_at_most(&self, bytes: usize) -> bool {
        let is_small = |length| length <= bytes as u64;
        self.content_length().is_some_and(is_small) && self.is_json()
    }

    /// Whether the body may be read before the caller gets it, whatever a judge wants. See
    /// [`Judge::wants_body`].
    #[inline(never)]
    pub(crate) fn may_be_read_ahead(&self) -> bool {
        let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
        !self.status.is_informational()
            && (self.content_length()).is_none_or(|length| length <= MAX_JUDGED_BODY as u64)
            && !self.media_type().is_some_and(is_streamed)
            && !self.is_said_to_stream()
            && self.headers.get_all(CONTENT_ENCODING).iter().all(is_plain)
    }
}

/// Media types whose body may go on for as long as its request does, or whose parts are read one by
/// one. None of them is a verdict: the status of gRPC is in the trailers.
const STREAMED: &[&str] = &[
    "text/event-stream",
    "application/x-ndjson",
    "application/ndjson",
    "text/x-ndjson",
    "application/jsonl",
    "application/x-jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
    "application/json-lines",
    "application/x-ldjson",
    "application/json-seq",
    "application/stream+json",
    "application/vnd.amazon.eventstream",
];
/// The same, for all types that begin so.
const STREAMED_FAMILIES: &[&str] = &[
    "multipart/",
    "audio/",
    "video/",
    "application/grpc",
    "application/connect+",
];

fn is_streamed(media_type: &str) -> bool {
    STREAMED
        .iter()
        .any(|streamed| media_type.eq_ignore_ascii_case(streamed))
        || (STREAMED_FAMILIES.iter()).any(|family| starts_with(media_type, family))
        // RFC 8091.
        || ends_with(media_type, "+json-seq")
}

/// Without regard to case.
fn starts_with(text: &str, start: &str) -> bool {
    let head = text.as_bytes().get(..start.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes()))
}

/// Without regard to case.
fn ends_with(text: &str, end: &str) -> bool {
    let at = text.len().checked_sub(end.len());
    at.is_some_and(|at| text.as_bytes()[at..].eq_ignore_ascii_case(end.as_bytes()))
}

/// The request that a response answers, as the caller or the redirect wrote it: without the
/// credential.
///
/// ```
/// use auth_core::{RequestHead, ResponseView, StatusJudge, Judge, Verdict};
/// use http::{HeaderMap, Method, StatusCode};
///
/// /// A path that answers 401 to all but administrators.
/// fn judge(response: &ResponseView<'_>) -> Verdict {
///     match response.request {
///         Some(request) if request.uri.path().starts_with("/admin/") => Verdict::NotPermitted,
///         _ => StatusJudge.judge(response),
///     }
/// }
/// let request = RequestHead::new(Method::GET, "https://api.example.com/admin/users".parse()?);
/// let headers = HeaderMap::new();
/// let view = ResponseView::new(StatusCode::UNAUTHORIZED, &headers);
/// assert_eq!(judge(&view), Verdict::Rejected);
/// assert_eq!(judge(&view.to_request(&request)), Verdict::NotPermitted);
/// # Ok::<(), http::uri::InvalidUri>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestHead {
    /// The method.
    pub method: Method,
    /// The URL.
    pub uri: Uri,
}

impl RequestHead {
    /// A request without its headers.
    pub const fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri }
    }
}

/// What a response says about the credential that its request carried.
///
/// | | slides the session | its cookies and [values](crate::Provider::update) count | |
/// |---|---|---|---|
/// | `Accepted` | yes | yes | |
/// | `NotPermitted`, `Unproven` | no | yes | |
/// | `NeedsRepair` | no | yes | a part of the session is fetched, unless the response brings it |
/// | `Unclear` | no | no | |
/// | `Rejected` | no | no | a login may begin |
///
/// Those of a response with the status 407, 502, 503, 504 or 511 never count: something between the
/// client and the API has written it.
///
/// ```
/// use auth_core::{Judge, ResponseView, Verdict};
///
/// /// An API that says 403 for a dead session, and names it.
/// fn judge() -> impl Judge {
///     |response: &ResponseView<'_>| match response.status.as_u16() {
///         200..=399 => Verdict::Accepted,
///         403 if response.headers.contains_key("x-session-expired") => Verdict::Rejected,
///         403 => Verdict::NotPermitted,
///         502..=504 => Verdict::Unclear,
///         _ => Verdict::Unproven,
///     }
/// }
/// # drop(judge());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The server accepted the credential. A sliding session slides.
    Accepted,
    /// The server no longer knows the session. A login may help.
    Rejected,
    /// The session is good, but not permitted to do this. Another login would not help.
    NotPermitted,
    /// The request lacks a part of the session, or carries one that the server does not take any
    /// more: a csrf value, or a session id. Another login would not help. It does not show that the
    /// session is good, since many servers look at the csrf value first.
    ///
    /// The response brings the part itself, in a cookie or in [a value that the provider
    /// reads](crate::Provider::update), or else the provider [fetches](crate::Provider::repair) it.
    /// Then the request is sent once more.
    NeedsRepair,
    /// The API itself has answered, and does not say whether it accepted the credential, as with a
    /// 404 or a 500.
    Unproven,
    /// The response may not come from the API at all, as a proxy's 502.
    Unclear,
}

/// Decides what a response says about its credential. A provider has its own judge if a status
/// alone does not tell.
///
/// ```
/// use auth_core::{Judge, ResponseView, StatusJudge, Verdict};
/// use http::StatusCode;
///
/// /// An API that answers 200 with an error in its JSON when a session is over.
/// struct ByBody;
///
/// impl Judge for ByBody {
///     fn wants_body(&self, head: &ResponseView<'_>) -> bool {
///         head.status == StatusCode::OK && head.is_json_of_at_most(4 * 1024)
///     }
///
///     fn judge(&self, response: &ResponseView<'_>) -> Verdict {
///         match response.body {
///             Some(br#"{"error":"session expired"}"#) => Verdict::Rejected,
///             _ => StatusJudge.judge(response),
///         }
///     }
/// }
/// ```
///
/// A closure is a judge, too. It gets no bodies:
///
/// ```
/// use auth_core::{Judge, ResponseView, StatusJudge, Verdict};
///
/// /// An API that sends an expired session to its login page.
/// fn judge() -> impl Judge {
///     |response: &ResponseView<'_>| match response.headers.get("location") {
///         Some(to) if to.as_bytes().starts_with(b"/login") => Verdict::Rejected,
///         _ => StatusJudge.judge(response),
///     }
/// }
/// ```
pub trait Judge: Send + Sync + 'static {
    /// Whether the verdict needs the body of the response with this head, which is a view without a
    /// body. By default it does not.
    ///
    /// The body that it wants is read before the caller gets the response, and the caller still
    /// gets all of it. So the caller waits for the end of the body, or for more than
    /// [`MAX_JUDGED_BODY`] bytes of it, or for [`MAX_JUDGED_TIME`]. A body that has not ended by
    /// then is not in the view, and the verdict is by the head. Ask for the status first, and want
    /// the body of a success only if it is [short and says so](ResponseView::is_json_of_at_most): a
    /// download or a stream without a length would be held back, its first part with the rest.
    ///
    /// Whatever the judge says, these are not read, and their verdict is by their head:
    ///
    /// - what arrives piece by piece by its type: `text/event-stream`, `multipart/*`, `audio/*`,
    ///   `video/*`, `application/grpc*`, `application/connect+*`, JSON in lines or sequences
    ///   (`application/x-ndjson`, `jsonl`, `x-jsonlines`, `json-seq`, `stream+json` and the like),
    ///   and any type with a parameter `stream`, as `application/json;stream=watch`;
    /// - a status below 200, such as 101, after which the connection speaks another protocol;
    /// - a `Content-Length` above [`MAX_JUDGED_BODY`];
    /// - a `Content-Encoding`, which the client below has not decoded. If it decodes by itself, it
    ///   takes that header away, and the `Content-Length` with it.
    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        let _ = head;
        false
    }

    /// Whether the verdict needs the method and the URL of the request. To keep them costs an
    /// allocation for each request. The judge of a provider is asked once, by each cache.
    fn wants_request(&self) -> bool {
        true
    }

    /// The verdict on a response.
    fn judge(&self, response: &ResponseView<'_>) -> Verdict;

    /// Whether the trailers of the response with this head say more than its head, as with gRPC. By
    /// default they do not. It is asked once the head was judged and the response is handed to the
    /// caller.
    ///
    /// Trailers come after the body, which the caller has by then. So a rejection in them is not
    /// replayed: the caller gets it, and the next request finds a new session. They are heard if
    /// the caller reads the body to its end. Trailers of a body that was [read
    /// ahead](Self::wants_body) are not heard.
    ///
    /// The tower integration hears trailers. The other integrations get none from their clients.
    fn wants_trailers(&self, head: &ResponseView<'_>) -> bool {
        let _ = head;
        false
    }

    /// The verdict on the trailers of a response whose [trailers were
    /// wanted](Self::wants_trailers). [`Accepted`](Verdict::Accepted) and
    /// [`Rejected`](Verdict::Rejected) count. Let the verdict on the head be
    /// [`Unproven`](Verdict::Unproven) then, so that a response is not accepted before it has
    /// ended.
    fn judge_trailers(&self, trailers: &HeaderMap) -> Verdict {
        let _ = trailers;
        Verdict::Unproven
    }
}

impl<F> Judge for F
where
    F: Fn(&ResponseView<'_>) -> Verdict + Send + Sync + 'static,
{
    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        self(response)
    }
}

/// A judge by the status alone.
///
/// | status | verdict |
/// |---|---|
/// | 2xx, 3xx | [`Accepted`](Verdict::Accepted) |
/// | 401 | [`Rejected`](Verdict::Rejected) |
/// | 403 | [`NotPermitted`](Verdict::NotPermitted) |
/// | 407, 502, 503, 504, 511, and what is no final status | [`Unclear`](Verdict::Unclear) |
/// | any other 4xx or 5xx | [`Unproven`](Verdict::Unproven) |
///
/// A redirect is accepted wherever it leads. So a website that sends a dead session to its login
/// page needs a judge that reads the [location](ResponseView::location). To this one the page is a
/// success, and an anonymous session that the redirect begins is a new value of the dead one.
///
/// ```
/// use auth_core::{Judge, ResponseView, StatusJudge, Verdict};
/// use http::{HeaderMap, StatusCode};
///
/// let headers = HeaderMap::new();
/// let verdict = |status| StatusJudge.judge(&ResponseView::new(status, &headers));
/// assert_eq!(verdict(StatusCode::UNAUTHORIZED), Verdict::Rejected);
/// assert_eq!(verdict(StatusCode::NOT_FOUND), Verdict::Unproven);
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a unit judge, to be named as a value"
)]
pub struct StatusJudge;

impl Judge for StatusJudge {
    fn wants_request(&self) -> bool {
        false
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match response.status.as_u16() {
            401 => Verdict::Rejected,
            403 => Verdict::NotPermitted,
            200..=399 => Verdict::Accepted,
            status if is_from_between(status) => Verdict::Unclear,
            400..=599 => Verdict::Unproven,
            _ => Verdict::Unclear,
        }
    }
}

/// Whether proxies, gateways and captive portals answer with this status, and not the API (RFC
/// 9110, sections 15.5.8 and 15.6.3 to 15.6.5; RFC 6585, section 6).
pub(crate) const fn is_from_between(status: u16) -> bool {
    matches!(status, 407 | 502..=504 | 511)
}
