//! What a response says.

use std::sync::Arc;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Attempt, Conclusion, Judge, Lifetime, MAX_JUDGED_BODY, ResponseView, StatusJudge, Verdict,
};
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::support::{HOUR, SECOND, on, token, tokens};

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
        assert!(!StatusJudge.wants_body(&response));
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
    let mut headers = HeaderMap::new();
    for status in (100..600).map(|status| StatusCode::from_u16(status).unwrap()) {
        assert!(!attempt.wants_body(&ResponseView::new(status, &headers)));
    }
    let conclude = |headers: &HeaderMap| {
        let response = ResponseView::new(StatusCode::FOUND, headers);
        attempt.conclude(&response)
    };
    assert_eq!(conclude(&headers), Conclusion::HandOn);
    headers.insert("location", "/login".parse().unwrap());
    assert_eq!(conclude(&headers), Conclusion::Replay);
}

/// A head with these fields.
fn head(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn json_is_told_by_its_type_and_short_json_by_its_length_too() {
    for (media_type, is_json) in [
        ("application/json", true),
        ("Application/JSON ; charset=UTF-8", true),
        ("application/problem+json", true),
        ("application/vnd.api+JSON;v=1", true),
        ("Text/JSON;charset=UTF-8", true),
        ("application/jsonp", false),
        ("application/json-seq", false),
        ("text/html; of=application/json", false),
        ("json", false),
        ("", false),
    ] {
        let headers = head(&[("content-type", media_type), ("content-length", "10")]);
        let view = ResponseView::new(StatusCode::OK, &headers);
        assert_eq!(view.is_json(), is_json, "{media_type}");
        assert_eq!(view.is_json_of_at_most(10), is_json, "{media_type}");
        assert!(!view.is_json_of_at_most(9));
    }
    for length in ["", "-1", "ten", "10, 10"] {
        let headers = head(&[("content-type", "text/json"), ("content-length", length)]);
        let view = ResponseView::new(StatusCode::OK, &headers);
        assert_eq!(view.content_length(), None, "{length}");
        assert_eq!(view.media_type(), Some("text/json"));
    }
    let headers = head(&[("content-type", "application/json")]);
    let view = ResponseView::new(StatusCode::OK, &headers);
    assert!(view.is_json() && !view.is_json_of_at_most(usize::MAX));
    let bare = HeaderMap::new();
    let bare = ResponseView::new(StatusCode::OK, &bare);
    assert_eq!((bare.media_type(), bare.is_json()), (None, false));
}

#[tokio::test]
async fn rule_7_what_arrives_piece_by_piece_is_never_read_ahead() {
    struct WantsAll;
    impl Judge for WantsAll {
        fn wants_body(&self, head: &ResponseView<'_>) -> bool {
            assert!(head.body.is_none());
            true
        }
        fn judge(&self, response: &ResponseView<'_>) -> Verdict {
            StatusJudge.judge(response)
        }
    }
    let credentials = on(&ManualClock::new(), tokens()).build();
    let credential = credentials.get().await.unwrap();
    let attempt = Attempt::new(&credentials, &credential).judged_by(Some(Arc::new(WantsAll)));
    let wants = |status: u16, fields: &[(&'static str, &str)]| {
        let status = StatusCode::from_u16(status).unwrap();
        attempt.wants_body(&ResponseView::new(status, &head(fields)))
    };
    for media_type in [
        "text/event-stream",
        "TEXT/Event-Stream;charset=utf-8",
        "multipart/x-mixed-replace; boundary=x",
        "Multipart/Mixed",
        "audio/mpeg",
        "video/mp4",
        "application/grpc",
        "application/grpc-web+proto",
        "application/connect+json",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json-seq",
        "application/stream+json",
        // A parameter in latin-1 is no part of the type.
        "text/event-stream; name=\u{e9}",
        "application/geo+json-seq",
        "Application/JSONLines",
        "application/x-jsonl",
        "application/json-lines",
        "application/x-ldjson",
        "text/x-ndjson",
        "application/vnd.amazon.eventstream",
        "application/json;stream=watch",
        "application/vnd.acme+json; charset=utf-8; Stream=1",
    ] {
        assert!(!wants(200, &[("content-type", media_type)]), "{media_type}");
        assert!(!wants(401, &[("content-type", media_type)]), "{media_type}");
    }
    for media_type in [
        "application/json",
        "text/html",
        "text/plain",
        "text/event-streams",
        "application/json; upstream=1",
        "é",
    ] {
        assert!(wants(200, &[("content-type", media_type)]), "{media_type}");
    }
    assert!(wants(200, &[]) && !wants(101, &[]) && !wants(199, &[]));
    assert_eq!(MAX_JUDGED_BODY, 65_536);
    assert!(wants(403, &[("content-length", "65536")]));
    assert!(!wants(403, &[("content-length", "65537")]));
    assert!(wants(403, &[("content-encoding", "Identity")]));
    assert!(!wants(403, &[("content-encoding", "gzip")]));
    let twice = [("content-encoding", "identity"), ("content-encoding", "br")];
    assert!(!wants(403, &twice));
}

#[test]
fn only_a_redirect_leads_elsewhere() {
    let there = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static("/login"))]);
    let nowhere = HeaderMap::new();
    for (status, headers, location) in [
        (302, &there, Some("/login")),
        (201, &there, None),
        (302, &nowhere, None),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(ResponseView::new(status, headers).location(), location);
    }
}

/// What its responses say is in their trailers.
struct ByTrailers;

impl Judge for ByTrailers {
    fn judge(&self, _: &ResponseView<'_>) -> Verdict {
        Verdict::Unproven
    }

    fn wants_trailers(&self, head: &ResponseView<'_>) -> bool {
        head.status == StatusCode::OK
    }

    fn judge_trailers(&self, trailers: &HeaderMap) -> Verdict {
        match trailers.get("verdict").map(HeaderValue::as_bytes) {
            Some(b"accepted") => Verdict::Accepted,
            Some(b"rejected") => Verdict::Rejected,
            _ => Verdict::Unproven,
        }
    }
}

#[tokio::test]
async fn rule_7_trailers_are_heard_if_the_judge_wants_them() {
    let clock = ManualClock::new();
    let life = Lifetime::of(HOUR).idle(10 * SECOND);
    let credentials = on(&clock, Scripted::tokens(life)).build();
    let headers = HeaderMap::new();
    let view = |status| ResponseView::new(status, &headers);
    let credential = credentials.get().await.unwrap();
    let attempt = Attempt::new(&credentials, &credential);
    assert!(!attempt.wants_trailers(&view(StatusCode::OK)), "by default");

    let hears = |trailers: &[_]| {
        let attempt = Attempt::new(&credentials, &credentials.fresh().unwrap());
        let attempt = attempt.judged_by(Some(Arc::new(ByTrailers)));
        assert!(attempt.wants_trailers(&view(StatusCode::OK)));
        assert!(!attempt.wants_trailers(&view(StatusCode::BAD_GATEWAY)));
        attempt.conclude_trailers(&head(trailers));
    };
    clock.advance(6 * SECOND);
    hears(&[("verdict", "accepted")]);
    clock.advance(6 * SECOND);
    assert!(credentials.fresh().is_some(), "it has slid");
    hears(&[("verdict", "unproven")]);
    clock.advance(3 * SECOND);
    hears(&[("verdict", "rejected")]);
    assert!(credentials.fresh().is_none());
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
}

/// Integrations follow it, so a judge must see the login page in it.
#[test]
fn rule_7_a_location_is_seen_though_it_is_not_ascii() {
    for (sent, seen) in [
        (&b"/login?next=%2F"[..], "/login?next=%2F"),
        ("/login?next=/café".as_bytes(), "/login?next=/café"),
        (b"/login?next=/caf\xe9/x", "/login?next=/caf"),
        (b"/login\t", "/login\t"),
        (b"", ""),
    ] {
        let location = HeaderValue::from_bytes(sent).unwrap();
        let headers = HeaderMap::from_iter([(LOCATION, location)]);
        let view = ResponseView::new(StatusCode::FOUND, &headers);
        assert_eq!(view.location(), Some(seen));
    }
}
