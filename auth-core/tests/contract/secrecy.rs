//! Rule 17: every secret contains a canary, and nothing that is printed contains it.

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Attempt, Event, Identity, Lifetime, LoginError, Part, Session, SessionParts, Update, When,
};
use http::HeaderValue;
use std::error::Error as _;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::support::{HERE, HOUR, on};

const CANARY: &str = "canary4711";

fn session(number: u64) -> Result<Session, LoginError> {
    Ok(Session::new()
        .with_bearer(&format!("{CANARY}-token-{number}"))?
        .with_cookie("session", &format!("{CANARY}-cookie"))?
        .with_query("csrf", &format!("{CANARY}-csrf"))?
        .with_part(Part::header("x-csrf", format!("{CANARY}-csrf")).when(When::unsafe_methods()))?
        .with_part(Part::query("write", format!("{CANARY}-csrf")).when(When::unsafe_methods()))?
        .with_header_from_cookie("x-twin", "session")?
        .with_kept("account", &format!("{CANARY}-account"))?
        .with_kept_for("refresh_token", &format!("{CANARY}-refresh"), HOUR)?
        .with_lifetime(Lifetime::of(HOUR)))
}

#[tokio::test]
async fn rule_17_no_secret_appears_in_anything_that_prints() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let provider = Scripted::new(|number| match number {
        1 => session(number),
        _ => Err(session_error()),
    })
    .with_secret(format!("{CANARY}-password"));
    let issued = format!("{:?}", session(0).unwrap());
    assert!(issued.contains("session"), "names are no secrets: {issued}");
    let mut printed = vec![format!("{provider:?} {issued}")];
    let builder =
        on(&ManualClock::new(), provider).observer(move |identity: &Identity, event: &Event| {
            log.lock().push(format!("{identity:?} {event:?}"));
        });
    printed.push(format!("{builder:?}"));
    assert!(printed[1].contains("Identity(scripted at https://api.example.com)"));
    let credentials = builder.build();
    let credential = credentials.get().await.unwrap();
    let attempt = Attempt::new(&credentials, &credential);
    let mut headers = http::HeaderMap::new();
    credential.attach_headers(HERE, &mut headers);
    headers.insert(
        "set-cookie",
        HeaderValue::from_static("session=canary4711-rolled"),
    );
    printed.push(
        format!("{headers:?}").replace("\"session=canary4711-rolled\"", "the server's own header"),
    );
    printed.push(format!(
        "{credential:?} {attempt:?} {credentials:?} {:?}",
        credentials.status()
    ));
    assert!(format!("{credentials:?}").contains("Identity(scripted at https://api.example.com)"));
    attempt.cookies_set(&headers);
    printed.push(format!("{:#?}", credentials.get().await.unwrap()));
    let error = credentials.renew().await.unwrap_err();
    let source = error.source().unwrap();
    printed.push(format!("{error} {error:?} {source} {source:?}"));
    printed.extend(events.lock().drain(..));
    assert!(printed.len() > 6, "events were observed");
    for line in printed {
        assert!(!line.is_empty() && !line.contains(CANARY), "{line}");
    }
}

#[test]
fn rule_17_parts_updates_and_plain_sessions_print_names_alone() {
    let secret = format!("{CANARY} /=1");
    let session = session(1).unwrap().with_basic("me", &secret).unwrap();
    let parts = session.to_parts();
    assert!(parts.expose().contains(CANARY), "it holds them");
    let update = Update::new()
        .with_header(
            http::header::AUTHORIZATION,
            HeaderValue::from_static("canary4711"),
        )
        .with_query("csrf", &secret)
        .and_then(|update| update.with_kept("account", &secret))
        .and_then(|update| update.with_kept_for("refresh_token", &secret, HOUR))
        .unwrap();
    let broken = SessionParts::from(format!("{CANARY} header\nheader value={CANARY} name=%FF"));
    let aged = session.clone().aged(HOUR / 2);
    let part = Part::query("csrf", &secret).when(When::any_method().below("/api"));
    for (printed, names) in [
        (
            format!("{session:?} {session:#?}"),
            "refresh_token account x-csrf x-twin write",
        ),
        (
            format!("{aged:?}"),
            "refresh_token account x-csrf x-twin write",
        ),
        (
            format!("{parts:?} {parts:#?}"),
            "authorization x-csrf x-twin session write account",
        ),
        (
            format!("{update:?} {update:#?}"),
            "authorization csrf refresh_token account",
        ),
        (format!("{:?}", Part::header("x-csrf", &secret)), "x-csrf"),
        (format!("{part:?}"), "csrf /api"),
        (
            format!("{:?}", Part::header_from_cookie("x-twin", "sid")),
            "x-twin sid",
        ),
        (
            format!("{broken:?} {:?}", broken.to_session().unwrap_err()),
            "damaged",
        ),
    ] {
        assert!(!printed.contains(CANARY), "{printed}");
        for name in names.split(' ') {
            assert!(printed.contains(name), "{name}: {printed}");
        }
    }
}

fn session_error() -> LoginError {
    let token = format!("{CANARY}\n");
    Session::new().with_bearer(&token).unwrap_err().into()
}
