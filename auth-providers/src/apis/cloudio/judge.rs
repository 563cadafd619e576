use auth_core::{Judge, ResponseView, StatusJudge, Verdict};
use http::StatusCode;
use serde::Deserialize;

use crate::response::read_json;

/// Distinguishes an expired session from a missing permission. CloudIO documents no difference.
///
/// A wrong `Rejected` costs a login, and every request without permission would cause one, within
/// the cache's bounds. A wrong `NotPermitted` leaves an expired session in use. A 403 is `Rejected`
/// only if the title or message of its JSON says that the session, a token or the csrf value is
/// expired, invalid or missing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CloudIoJudge {
    pub(super) forbidden_is_rejected: bool,
}

impl Judge for CloudIoJudge {
    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        head.status == StatusCode::FORBIDDEN && !self.forbidden_is_rejected
    }

    fn wants_request(&self) -> bool {
        false
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        let forbidden = response.status == StatusCode::FORBIDDEN;
        if forbidden && (self.forbidden_is_rejected || response.body.is_some_and(blames_session)) {
            Verdict::Rejected
        } else {
            StatusJudge.judge(response)
        }
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    title: Option<String>,
    message: Option<String>,
}

/// The words are guesses: CloudIO documents the form of its errors, but not their messages.
const SUBJECTS: &[&str] = &["session", "token", "jwt", "csrf", "xsrf"];
/// A text rejects the session if one of these is near one of the [`SUBJECTS`].
const FAULTS: &[&str] = &[
    "expired",
    "invalid",
    "missing",
    "mismatch",
    "unknown",
    "timeout",
    "timed",
    "terminated",
    "ended",
    "revoked",
];
/// A text with one of these phrases rejects the session as well.
const PHRASES: &[&str] = &[
    "session not found",
    "no active session",
    "no session",
    "not logged in",
    "not authenticated",
    "authentication required",
    "login required",
];
/// The largest distance from a subject to a fault, in words. It is 3 in "session has been
/// terminated", and larger in "your session is good, but the role is invalid".
const REACH: usize = 3;

fn blames_session(body: &[u8]) -> bool {
    let Ok(refusal) = read_json::<ErrorBody>(body) else {
        return false;
    };
    [refusal.title, refusal.message]
        .iter()
        .flatten()
        .any(|text| says_so(&text.to_ascii_lowercase()))
}

fn says_so(text: &str) -> bool {
    let words: Vec<&str> = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let plain = words.join(" ");
    PHRASES.iter().any(|phrase| plain.contains(phrase))
        || words.iter().enumerate().any(|(index, word)| {
            let near = &words[index.saturating_sub(REACH)..words.len().min(index + REACH + 1)];
            SUBJECTS.contains(word) && near.iter().any(|word| FAULTS.contains(word))
        })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    fn verdict(judge: CloudIoJudge, status: u16, body: Option<&str>) -> Verdict {
        let headers = HeaderMap::new();
        let mut response = ResponseView::new(StatusCode::from_u16(status).unwrap(), &headers);
        if let Some(body) = body {
            response = response.with_body(body.as_bytes());
        }
        judge.judge(&response)
    }

    fn wants(judge: CloudIoJudge, status: StatusCode) -> bool {
        judge.wants_body(&ResponseView::new(status, &HeaderMap::new()))
    }

    fn message(text: &str) -> String {
        serde_json::json!({ "code": 403, "status": "ERROR", "title": "Access Denied", "message": text })
            .to_string()
    }

    #[test]
    fn a_401_rejects_and_a_403_only_if_it_blames_the_session() {
        let judge = CloudIoJudge::default();
        assert_eq!(verdict(judge, 401, None), Verdict::Rejected);
        assert!(wants(judge, StatusCode::FORBIDDEN) && !wants(judge, StatusCode::OK));
        for text in [
            "Session expired",
            "Invalid CSRF token!",
            "Your session has been terminated",
            "The session timed out.",
            "jwt expired",
            "csrf is missing",
        ] {
            let verdict = verdict(judge, 403, Some(&message(text)));
            assert_eq!(verdict, Verdict::Rejected, "{text}");
        }
        for text in [
            "Access Denied - Invalid username and/or password!",
            "You lack the role Sessions Administrator",
            "Your session is good, but the role is invalid",
            "This trial has expired",
            "",
        ] {
            let verdict = verdict(judge, 403, Some(&message(text)));
            assert_eq!(verdict, Verdict::NotPermitted, "{text}");
        }
    }

    #[test]
    fn rule_7_a_byte_order_mark_before_a_rejection_does_not_hide_it() {
        let body = format!("\u{feff}{}\r\n", message("Session expired"));
        let verdict = verdict(CloudIoJudge::default(), 403, Some(&body));
        assert_eq!(verdict, Verdict::Rejected);
    }

    #[test]
    fn a_403_that_cant_be_read_is_not_a_rejection() {
        let judge = CloudIoJudge::default();
        for body in [
            None,
            Some("<html>session expired"),
            Some("session expired"),
            Some(r#"{"message": 1}"#),
        ] {
            assert_eq!(verdict(judge, 403, body), Verdict::NotPermitted, "{body:?}");
        }
    }

    #[test]
    fn every_403_rejects_if_the_user_says_so() {
        let judge = CloudIoJudge {
            forbidden_is_rejected: true,
        };
        assert!(!wants(judge, StatusCode::FORBIDDEN));
        assert_eq!(verdict(judge, 403, None), Verdict::Rejected);
        assert_eq!(verdict(judge, 200, None), Verdict::Accepted);
    }
}
