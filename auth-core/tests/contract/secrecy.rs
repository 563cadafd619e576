//! Rule 17: every secret contains a canary, and nothing that is printed contains it.

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{Attempt, Event, Identity, Lifetime, LoginError, Session};
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

fn session_error() -> LoginError {
    let token = format!("{CANARY}\n");
    Session::new().with_bearer(&token).unwrap_err().into()
}
