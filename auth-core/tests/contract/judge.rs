//! What a status says.

use auth_core::{Judge, ResponseView, StatusJudge, Verdict};
use http::{HeaderMap, StatusCode};

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
