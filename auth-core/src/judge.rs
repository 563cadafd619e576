//! What a response says about the credential that its request carried.

use http::{HeaderMap, StatusCode};

/// The part of a response that a [`Judge`] sees.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResponseView<'a> {
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
            status,
            headers,
            body: None,
        }
    }

    /// Adds the body.
    pub const fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }
}

/// What a response says about the credential that its request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The server accepted the credential. A sliding session slides.
    Accepted,
    /// The server no longer knows the session. A login may help.
    Rejected,
    /// The session is good, but not permitted to do this. Another login would not help.
    NotPermitted,
    /// The response says nothing about the credential, as a proxy's 502.
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
///     fn judge(&self, response: &ResponseView<'_>) -> Verdict {
///         match response.body {
///             Some(b"session expired") => Verdict::Rejected,
///             _ => StatusJudge.judge(response),
///         }
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

    /// The verdict on a response.
    fn judge(&self, response: &ResponseView<'_>) -> Verdict;
}

/// A judge by the status alone: 401 rejects, 403 is not permitted, 2xx and 3xx accept, and the rest
/// is unclear.
#[derive(Clone, Copy, Debug, Default)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a unit judge, to be named as a value"
)]
pub struct StatusJudge;

impl Judge for StatusJudge {
    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match response.status {
            StatusCode::UNAUTHORIZED => Verdict::Rejected,
            StatusCode::FORBIDDEN => Verdict::NotPermitted,
            status if status.is_success() || status.is_redirection() => Verdict::Accepted,
            _ => Verdict::Unclear,
        }
    }
}
