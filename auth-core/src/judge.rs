//! What a response says about the credential that its request carried.

use http::header::LOCATION;
use http::{HeaderMap, Method, StatusCode, Uri};

/// The part of a response that a [`Judge`] sees.
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
    /// The body, if the judge asked for it and it is at most [`MAX_JUDGED_BODY`] long.
    pub body: Option<&'a [u8]>,
}

/// The largest body that is read for a judge, in bytes. Error pages are smaller, and a larger body
/// is not delayed for the judge.
pub const MAX_JUDGED_BODY: usize = 64 * 1024;

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

    /// Where the response redirects to: its `Location`, as it was sent.
    pub fn location(&self) -> Option<&'a str> {
        let redirects = self.status.is_redirection();
        let location = self.headers.get(LOCATION).filter(|_| redirects)?;
        location.to_str().ok()
    }
}

/// The request that a response answers, as the caller or the redirect wrote it: without the
/// credential.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The server accepted the credential. A sliding session slides.
    Accepted,
    /// The server no longer knows the session. A login may help.
    Rejected,
    /// The session is good, but not permitted to do this. Another login would not help.
    NotPermitted,
    /// The session is good, and the request lacks a part of it, or carries one that the server does
    /// not take any more: a csrf value, or a session id. Another login would not help.
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
///
/// /// An API that sends 403 both for an expired session and for a missing permission.
/// struct ByBody;
///
/// impl Judge for ByBody {
///     fn wants_body(&self, status: http::StatusCode) -> bool {
///         status == 403
///     }
///
///     fn wants_request(&self) -> bool {
///         false
///     }
///
///     fn judge(&self, response: &ResponseView<'_>) -> Verdict {
///         match response.body {
///             Some(b"session expired") => Verdict::Rejected,
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
    /// Whether the verdict on a response with this status needs its body. The body is then read
    /// before the caller gets the response, up to [`MAX_JUDGED_BODY`] bytes. The caller still gets
    /// all of it.
    fn wants_body(&self, status: StatusCode) -> bool {
        let _ = status;
        false
    }

    /// Whether the verdict needs the method and the URL of the request. To keep them costs an
    /// allocation for each request.
    fn wants_request(&self) -> bool {
        true
    }

    /// The verdict on a response.
    fn judge(&self, response: &ResponseView<'_>) -> Verdict;
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
