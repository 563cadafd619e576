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
    /// The body, if the judge asked for it and it was no larger than [`MAX_JUDGED_BODY`].
    pub body: Option<&'a [u8]>,
}

/// The largest body that is read for a judge, in bytes: an error page is smaller, and a larger one is not held back for it.
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

    /// The same, with its body.
    pub const fn with_body(mut self, body: &'a [u8]) -> Self {
        self.body = Some(body);
        self
    }
}

/// What a response says of the credential that its request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The server took the credential. A sliding session slides.
    Accepted,
    /// The server no longer knows the session: log in again.
    Rejected,
    /// The session is good, but not for this: another login would not help.
    NotPermitted,
    /// Nothing can be read from it: a proxy's 502, say.
    Unclear,
}

/// Reads verdicts. A provider brings its own where 401 is not the whole story.
pub trait Judge: Send + Sync + 'static {
    /// Whether the verdict on a response of this status needs its body. The body is then read before the caller gets the
    /// response, up to [`MAX_JUDGED_BODY`] bytes, and the caller still gets all of it.
    fn wants_body(&self, status: StatusCode) -> bool {
        let _ = status;
        false
    }

    /// The verdict.
    fn judge(&self, response: &ResponseView<'_>) -> Verdict;
}

/// 401 is a rejection, 403 is not; 2xx and 3xx accept; the rest proves nothing.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_15_2xx_and_3xx_accept_and_a_502_proves_nothing() {
        let headers = HeaderMap::new();
        for (status, verdict) in [
            (200, Verdict::Accepted),
            (204, Verdict::Accepted),
            (304, Verdict::Accepted),
            (307, Verdict::Accepted),
            (101, Verdict::Unclear),
            (400, Verdict::Unclear),
            (401, Verdict::Rejected),
            (403, Verdict::NotPermitted),
            (429, Verdict::Unclear),
            (502, Verdict::Unclear),
        ] {
            let response = ResponseView::new(StatusCode::from_u16(status).unwrap(), &headers);
            assert_eq!(StatusJudge.judge(&response), verdict, "{status}");
            assert!(!StatusJudge.wants_body(response.status));
        }
    }
}
