//! What a response says.

use std::sync::Arc;

use auth_core::clock::ManualClock;
use auth_core::{Attempt, Conclusion, Judge, ResponseView, StatusJudge, Verdict};
use http::{HeaderMap, StatusCode};

use crate::support::{on, tokens};

#[test]
fn rule_15_2xx_and_3xx_accept_and_what_lies_between_says_nothing() {
    let headers = HeaderMap::new();
    for (status, verdict) in [
        (200, Verdict::Accepted),
        (204, Verdict::Accepted),
        (304, Verdict::Accepted),
        (307, Verdict::Accepted),
        (101, Verdict::Unclear),
        (400, Verdict::Unproven),
        (401, Verdict::Rejected),
        (403, Verdict::NotPermitted),
        (404, Verdict::Unproven),
        (407, Verdict::Unclear),
        (409, Verdict::Unproven),
        (422, Verdict::Unproven),
        (429, Verdict::Unproven),
        (500, Verdict::Unproven),
        (501, Verdict::Unproven),
        (502, Verdict::Unclear),
        (503, Verdict::Unclear),
        (504, Verdict::Unclear),
        (505, Verdict::Unproven),
        (511, Verdict::Unclear),
        (599, Verdict::Unproven),
        (600, Verdict::Unclear),
    ] {
        let response = ResponseView::new(StatusCode::from_u16(status).unwrap(), &headers);
        assert_eq!(StatusJudge.judge(&response), verdict, "{status}");
        assert!(!StatusJudge.wants_body(response.status));
    }
}

#[tokio::test]
async fn rule_7_a_closure_judges_what_a_response_says_and_gets_no_body() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let credential = credentials.get().await.unwrap();
    let judge = |response: &ResponseView<'_>| {
        assert!(response.body.is_none());
        match response.headers.get("location") {
            Some(to) if to == "/login" => Verdict::Rejected,
            _ => StatusJudge.judge(response),
        }
    };
    let attempt = Attempt::new(&credentials, &credential).judged_by(Some(Arc::new(judge)));
    let every = (100..600).map(|status| StatusCode::from_u16(status).unwrap());
    assert!(every.into_iter().all(|status| !attempt.wants_body(status)));
    let mut headers = HeaderMap::new();
    let conclude = |headers: &HeaderMap| {
        let response = ResponseView::new(StatusCode::FOUND, headers);
        attempt.conclude(&response)
    };
    assert_eq!(conclude(&headers), Conclusion::HandOn);
    headers.insert("location", "/login".parse().unwrap());
    assert_eq!(conclude(&headers), Conclusion::Replay);
}
