//! Together with reqwest-retry.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use auth_core::{Ask, Credentials, LoginError};
use auth_middleware::{AuthContext, AuthMiddleware, AuthRetryStrategy, auth_error};
use common::{Api, Script, response};
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryDecision, RetryPolicy, RetryTransientMiddleware};

/// Retries three times, without a delay.
struct AtOnce;

impl RetryPolicy for AtOnce {
    fn should_retry(&self, _: SystemTime, past: u32) -> RetryDecision {
        if past < 3 {
            RetryDecision::Retry {
                execute_after: SystemTime::UNIX_EPOCH,
            }
        } else {
            RetryDecision::DoNotRetry
        }
    }
}

fn client(credentials: &Credentials) -> ClientWithMiddleware {
    let retry = RetryTransientMiddleware::new_with_policy_and_strategy(AtOnce, AuthRetryStrategy);
    let (client, auth) =
        AuthMiddleware::with_client(Client::builder(), credentials.clone()).unwrap();
    ClientBuilder::new(client).with(retry).with(auth).build()
}

#[tokio::test]
async fn each_attempt_carries_the_credential_current_when_it_is_sent_and_renewed_is_one_login() {
    let attempts = AtomicUsize::new(0);
    let api = Api::new(move |_| match attempts.fetch_add(1, SeqCst) {
        0 | 2 => response(503, ""),
        1 => response(401, ""),
        _ => response(200, ""),
    });
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    credentials.get().await.unwrap();
    let request = client(&credentials).get(&origin);
    let request = request.with_extension(AuthContext::new().ask(Ask::new().renewed()));
    assert_eq!(request.send().await.unwrap().status(), 200);
    let seen = api.seen();
    let carried: Vec<_> = seen.iter().map(|seen| seen.bearer().unwrap()).collect();
    assert_eq!(carried, ["token-2", "token-2", "token-3", "token-3"]);
    assert_eq!(control.logins(), 3);
}

#[tokio::test]
async fn a_refused_password_is_not_tried_again() {
    let (credentials, control) = Script::at("https://api.example.com").build();
    control.fail_next(LoginError::refused("status 401"));
    let error = client(&credentials)
        .get("https://api.example.com/")
        .send()
        .await
        .unwrap_err();
    assert!(
        auth_error(&error).unwrap().is_login_refused(),
        "found inside the error of the retry"
    );
    assert_eq!(control.logins(), 1);
}

#[tokio::test]
async fn our_error_is_found_after_retries_too() {
    let (credentials, control) = Script::at("https://api.example.com").build();
    for _ in 0..9 {
        control.fail_next(LoginError::unavailable("status 503"));
    }
    let error = client(&credentials)
        .get("https://api.example.com/")
        .send()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("3 retries"), "{error}");
    assert!(auth_error(&error).unwrap().is_unavailable());
}

#[tokio::test]
async fn a_login_that_was_unavailable_is_transient_and_the_rest_is_fatal() {
    use std::io::ErrorKind::{InvalidInput, TimedOut};

    use reqwest_retry::{Retryable, RetryableStrategy};
    let cases = [
        (LoginError::unavailable("status 503"), true),
        (LoginError::malformed("no token"), true),
        (LoginError::refused("status 401"), false),
        (LoginError::limited(None), false),
        (LoginError::misconfigured("no password"), false),
    ];
    for (error, transient) in cases {
        let (credentials, control) = Script::at("https://api.example.com").build();
        control.fail_next(error);
        // A caller with more time waits for the login after one that the server has postponed.
        let soon = Ask::new().within(Duration::from_secs(1));
        let error = credentials.get_with(soon).await.unwrap_err();
        let shown = format!("{error:?}");
        let verdict = AuthRetryStrategy.handle(&Err(reqwest_middleware::Error::middleware(error)));
        assert_eq!(
            matches!(verdict, Some(Retryable::Transient)),
            transient,
            "{shown}"
        );
        assert!(verdict.is_some());
    }
    // The request's own time-out has passed before it could be sent, or sent again.
    for (kind, transient) in [(TimedOut, true), (InvalidInput, false)] {
        let error = std::io::Error::new(kind, "");
        let verdict = AuthRetryStrategy.handle(&Err(reqwest_middleware::Error::middleware(error)));
        assert_eq!(matches!(verdict, Some(Retryable::Transient)), transient);
    }
}
