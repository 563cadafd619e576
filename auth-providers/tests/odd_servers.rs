//! Login servers that answer a wrong password in ways that no documentation mentions, over real
//! sockets: how each is understood, how often it is asked again, and that nothing is repeated.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "reqwest", feature = "tower"))]

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::{Ask, Credentials, Event, Identity, LoginErrorKind, Provider};
use auth_providers::demo::Api;
use parking_lot::Mutex;

mod common;

use common::{Canned, both, over_reqwest, printed, provider};

const SECOND: Duration = Duration::from_secs(1);
const CANARY: &str = "canary-password";

/// What came of asking a server for a session.
struct Asked {
    /// The kind of each login's failure.
    kinds: Vec<LoginErrorKind>,
    /// Errors and events, as they are printed.
    printed: String,
    hits: usize,
}

/// Asks once each second, for so many seconds. `None` if a login succeeds.
async fn asked(server: &Canned, provider: impl Provider, seconds: u32) -> Option<Asked> {
    let clock = ManualClock::new();
    let events = Arc::new(Mutex::new((Vec::new(), String::new())));
    let log = Arc::clone(&events);
    let credentials = Credentials::builder(provider)
        .clock(clock.clock())
        .observer(move |_: &Identity, event: &Event| {
            let (kinds, printed) = &mut *log.lock();
            if let Event::LoginFailed { kind, .. } = event {
                kinds.push(*kind);
            }
            let _ = writeln!(printed, "{event:?}");
        })
        .build();
    for _ in 0..seconds {
        let error = credentials.get_with(Ask::new().fail_fast()).await.err()?;
        events.lock().1.push_str(&printed(&error));
        clock.advance(SECOND);
    }
    let (kinds, printed) = std::mem::take(&mut *events.lock());
    Some(Asked {
        kinds,
        printed,
        hits: server.hits(),
    })
}

fn answer(status: &str, headers: &[&str], body: &str) -> String {
    let headers = [headers, &[""]].concat().join("\r\n");
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

const USER: &str = r#"{"message":"Login successful","user":{"id":1}}"#;
const HTML: &str = "content-type: text/html; charset=utf-8";
const ANONYMOUS: &str = "set-cookie: sessionId=canary-anonymous; Path=/; HttpOnly";

const PAGE: &str = "<html><title>Too many attempts</title>canary-password is wrong</html>";

/// Answers with pages and cookies of any kind.
fn pages() -> Vec<(LoginErrorKind, String)> {
    use LoginErrorKind::{Malformed, Refused, Unavailable};
    vec![
        (Malformed, answer("200 OK", &[HTML], PAGE)),
        (Malformed, answer("200 OK", &[HTML, ANONYMOUS], PAGE)),
        (
            Malformed,
            answer("200 OK", &[], r#"{"error":"canary","token":null}"#),
        ),
        (Malformed, answer("200 OK", &[], "")),
        (Malformed, answer("200 OK", &[], USER)),
        (
            Malformed,
            answer("200 OK", &["set-cookie: sessionId="], USER),
        ),
        (
            Malformed,
            answer("200 OK", &["set-cookie: sessionId=\"\""], USER),
        ),
        (
            Malformed,
            answer("200 OK", &["set-cookie: sessionId=; Max-Age=0"], USER),
        ),
        (
            Malformed,
            answer(
                "200 OK",
                &["set-cookie: sessionId=deleted; Max-Age=0"],
                USER,
            ),
        ),
        (
            Malformed,
            answer(
                "200 OK",
                &["set-cookie: sessionId=x; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
                USER,
            ),
        ),
        (
            Malformed,
            answer(
                "200 OK",
                &[ANONYMOUS, "set-cookie: sessionId=; Path=/; Max-Age=0"],
                USER,
            ),
        ),
        (Refused, answer("401 Unauthorized", &[ANONYMOUS], USER)),
        (
            Malformed,
            answer(
                "302 Found",
                &["location: /login?error=canary", ANONYMOUS],
                "",
            ),
        ),
        (
            Malformed,
            answer(
                "302 Found",
                &["location: /login?error=canary", ANONYMOUS],
                USER,
            ),
        ),
        (Unavailable, answer("500 Oops", &[HTML, ANONYMOUS], PAGE)),
    ]
}

/// Answers whose head can't be read.
fn heads() -> Vec<(LoginErrorKind, String)> {
    use LoginErrorKind::Malformed;
    vec![
        (
            Malformed,
            format!("HTTP/1.1 401 Unauthorized\r\ncanary password\r\n\r\n{PAGE}"),
        ),
        (Malformed, "HTTP/1.1 canary\r\n\r\n".to_owned()),
        (Malformed, format!("{PAGE}\r\n\r\n")),
        (
            Malformed,
            answer("401 Unauthorized", &["content-length: 7, canary"], PAGE),
        ),
        (
            Malformed,
            answer("401 Unauthorized", &["x-canary: canary"; 200], PAGE),
        ),
    ]
}

/// Answers with no more than a status, which others may precede.
fn statuses() -> Vec<(LoginErrorKind, String)> {
    use LoginErrorKind::{Malformed, Refused, Unavailable};
    let mut cases = Vec::new();
    let hint = "HTTP/1.1 103 Early Hints\r\nlink: </x>; rel=preload\r\n\r\n";
    let go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    for first in [hint, go_on] {
        let last = answer("401 Unauthorized", &[], "");
        cases.push((Refused, format!("{first}{first}{last}")));
    }
    for (status, kind) in [
        ("101 Switching", Malformed),
        ("300 Choices", Malformed),
        ("304 Not Modified", Malformed),
        ("402 Pay", Malformed),
        ("407 Proxy", Malformed),
        ("418 Teapot", Malformed),
        ("423 Locked", Malformed),
        ("425 Early", Malformed),
        ("451 Legal", Malformed),
        ("499 Gone", Malformed),
        ("501 No", Unavailable),
        ("505 Version", Unavailable),
        ("511 Network", Unavailable),
        ("599 Odd", Unavailable),
        ("600 Odd", Malformed),
        ("999 Denied", Malformed),
    ] {
        cases.push((kind, answer(status, &[], "")));
    }
    cases
}

/// Each is asked for 14 minutes, in which a refusal is one login, and what may be one is four.
#[tokio::test]
async fn rule_12_an_odd_answer_is_what_its_status_says_and_a_success_is_one_with_a_session() {
    use LoginErrorKind::{Malformed, Refused};
    let cases = [pages(), heads(), statuses()].concat();
    for (index, (kind, answer)) in cases.into_iter().enumerate() {
        // Each over one of them, for they are compared elsewhere.
        let transport = both().into_iter().nth(index % 2).unwrap();
        let server = Canned::start(answer.clone()).await;
        let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
        let asked = asked(&server, quinn, 14 * 60).await;
        let asked = asked.unwrap_or_else(|| panic!("a session of {answer}"));
        assert!(
            asked.kinds.iter().all(|it| *it == kind),
            "{answer}: {:?}",
            asked.kinds
        );
        match kind {
            Refused => assert_eq!(asked.hits, 1, "{answer}"),
            Malformed => assert!((3..=4).contains(&asked.hits), "{answer}: {}", asked.hits),
            _ => assert!(asked.hits > 10, "{answer}: {}", asked.hits),
        }
        assert!(
            !asked.printed.contains("canary"),
            "{answer}: {}",
            asked.printed
        );
    }
}

#[tokio::test]
async fn rule_12_a_token_that_is_none_is_no_session() {
    for token in [
        "null",
        "[]",
        r#"["canary"]"#,
        r#"{"token":"canary"}"#,
        r#""""#,
        r#"" \r\n""#,
        "false",
        "true",
        r#""canary\r\nx: y""#,
        r#""canary\n1""#,
        r#""canary\u0000""#,
        r#""canary\u007f""#,
    ] {
        let body = format!(r#"{{"success":true,"data":{{"token":{token}}}}}"#);
        for body in [body.clone(), format!("[{body}]")] {
            let server = Canned::start(answer("200 OK", &[], &body)).await;
            let v1 = provider(Api::V1Login, &server.base_url, CANARY, over_reqwest());
            let asked = asked(&server, v1, 14 * 60).await;
            let asked = asked.unwrap_or_else(|| panic!("a session of {body}"));
            let malformed = |kind: &LoginErrorKind| *kind == LoginErrorKind::Malformed;
            assert!(
                asked.kinds.iter().all(malformed),
                "{body}: {:?}",
                asked.kinds
            );
            assert!((3..=4).contains(&asked.hits), "{body}: {}", asked.hits);
            assert!(
                !asked.printed.contains("canary"),
                "{body}: {}",
                asked.printed
            );
        }
    }
}

/// The body never ends, and the login's time-out passes. The status was read nevertheless.
#[tokio::test]
async fn rule_12_a_status_counts_even_if_its_body_does_not_end() {
    use LoginErrorKind::{Limited, Malformed, Refused, TimedOut, Unavailable};
    const ENDLESS: &str = "retry-after: 9\r\ntransfer-encoding: chunked\r\n\r\n6\r\ncanary\r\n";
    for (head, kind) in [
        ("HTTP/1.1 200 OK\r\n", Malformed),
        ("HTTP/1.1 302 Found\r\n", Malformed),
        ("HTTP/1.1 401 Unauthorized\r\n", Refused),
        ("HTTP/1.1 403 Forbidden\r\n", Malformed),
        ("HTTP/1.1 429 Many\r\n", Limited),
        ("HTTP/1.1 503 Later\r\n", Unavailable),
        ("", TimedOut),
    ] {
        for transport in both() {
            let answer = match head {
                "" => String::new(),
                head => format!("{head}{ENDLESS}"),
            };
            let server = Canned::start_and_stall(answer).await;
            let quinn = provider(Api::Quinn, &server.base_url, CANARY, transport);
            let clock = ManualClock::new();
            let credentials = Credentials::builder(quinn).clock(clock.clock()).build();
            let stalled = async {
                while server.stalled() == 0 {
                    tokio::task::yield_now().await;
                }
                // What was written to loopback is there to be read.
                for _ in 0..2_000 {
                    tokio::task::yield_now().await;
                }
                // The login's time-out.
                clock.advance(30 * SECOND);
            };
            let ask = Ask::new().fail_fast();
            let (login, ()) = tokio::join!(credentials.get_with(ask), stalled);
            let error = login.unwrap_err();
            let failed = error.login_error().unwrap();
            assert_eq!(failed.kind(), kind, "{head}{error}");
            if kind != TimedOut {
                let nine = Some(9 * SECOND);
                assert_eq!(failed.retry_after(), nine, "{head}");
                let printed = printed(&error);
                assert!(printed.contains("did not end in time"), "{printed}");
                assert!(!printed.contains("canary"), "{printed}");
            }
        }
    }
}
