//! Together with reqwest-retry.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, SystemTime};

use auth_core::clock::ManualClock;
use auth_core::{Ask, Credentials, LoginError};
use auth_middleware::{AuthContext, AuthMiddleware, AuthRetryStrategy, auth_error};
use common::{Api, ApiResponse, Script, Seen, response};
use http::Method;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::{RetryDecision, RetryPolicy, RetryTransientMiddleware};

/// Retries three times, without a delay, but by this clock after a minute each.
struct AtOnce(ManualClock);

impl RetryPolicy for AtOnce {
    fn should_retry(&self, _: SystemTime, past: u32) -> RetryDecision {
        if past < 3 {
            self.0.advance(Duration::from_secs(60));
            RetryDecision::Retry {
                execute_after: SystemTime::UNIX_EPOCH,
            }
        } else {
            RetryDecision::DoNotRetry
        }
    }
}

fn client(credentials: &Credentials) -> ClientWithMiddleware {
    after_minutes(credentials, ManualClock::new())
}

/// A client whose retries find it a minute later by this clock.
fn after_minutes(credentials: &Credentials, clock: ManualClock) -> ClientWithMiddleware {
    let policy = AtOnce(clock);
    let retry = RetryTransientMiddleware::new_with_policy_and_strategy(policy, AuthRetryStrategy);
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

/// Takes orders, and answers with a redirect of this status to where the order is.
fn shop(
    status: u16,
    location: &'static str,
    order: impl Fn(&Seen) -> ApiResponse + Send + Sync + 'static,
) -> Api {
    Api::new(move |seen| {
        if seen.uri.path() != "/orders" {
            return order(seen);
        }
        let mut response = response(status, "");
        let location = location.parse().unwrap();
        response.headers_mut().insert("location", location);
        response
    })
}

/// How many requests have placed an order.
fn orders(shop: &Api) -> usize {
    let seen = shop.seen();
    let placed = seen.iter().filter(|seen| seen.uri.path() == "/orders");
    placed.count()
}

#[tokio::test]
async fn rule_9_a_post_that_was_answered_303_is_not_retried_if_the_next_hop_gets_no_credential() {
    let shop = shop(303, "/orders/1", |seen| match seen.bearer() {
        Some("token-1") => response(401, ""),
        _ => response(200, ""),
    });
    let origin = shop.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    credentials.get().await.unwrap();
    control.fail_next(LoginError::unavailable("status 503"));
    let soon = AuthContext::new().ask(Ask::new().within(Duration::from_secs(1)));
    let client = after_minutes(&credentials, control.clock.clone());
    let request = client.post(format!("{origin}/orders"));
    let error = request.with_extension(soon).send().await.unwrap_err();
    assert!(auth_error(&error).unwrap().is_unavailable(), "{error:?}");
    assert_eq!(orders(&shop), 1);
}

#[tokio::test]
async fn rule_9_a_post_that_was_answered_303_is_not_retried_if_its_time_has_passed_since() {
    let (credentials, control) = Script::at(common::ORIGIN).build();
    credentials.get().await.unwrap();
    let clock = control.clock.clone();
    let shop = Api::new(move |seen| {
        clock.advance(Duration::from_secs(9));
        let mut response = response(
            if seen.method == Method::POST {
                303
            } else {
                200
            },
            "",
        );
        let location = http::HeaderValue::from_static("/orders/1");
        response.headers_mut().insert("location", location);
        response
    });
    let url = format!("{}/orders", shop.serve().await);
    for context in [AuthContext::new(), AuthContext::skip()] {
        let request = client(&credentials).post(&url).with_extension(context);
        let request = request.timeout(Duration::from_secs(5));
        let error = request.send().await.unwrap_err();
        let reqwest_middleware::Error::Middleware(error) = &error else {
            panic!("{error:?}");
        };
        let Some(reqwest_retry::RetryError::Error(error)) = error.downcast_ref() else {
            panic!("it was retried: {error:?}");
        };
        let reqwest_middleware::Error::Middleware(error) = error else {
            panic!("{error:?}");
        };
        let late: &std::io::Error = error.downcast_ref().unwrap();
        assert_eq!(late.kind(), std::io::ErrorKind::TimedOut);
    }
    assert_eq!(shop.count(), 2);
}

#[tokio::test]
async fn rule_9_a_post_that_was_redirected_to_a_get_is_not_retried_if_that_fails() {
    // No server listens at this port.
    let nowhere = "http://127.0.0.1:1/";
    for status in [301, 302, 303] {
        for (location, got) in [("/orders/1", Some(503)), (nowhere, None)] {
            let shop = shop(status, location, |_| response(503, ""));
            let origin = shop.serve().await;
            let (credentials, _) = Script::at(&origin).build();
            let sent = client(&credentials).post(format!("{origin}/orders"));
            let sent = sent.send().await;
            if let Err(error) = &sent {
                let printed = format!("{error:?}");
                assert!(printed.contains("has been done"), "{printed}");
            }
            let status = sent.ok().map(|response| response.status().as_u16());
            assert_eq!((status, orders(&shop)), (got, 1), "{location}");
        }
    }
}

#[tokio::test]
async fn rule_9_an_error_says_that_a_post_has_been_done_whose_redirects_lead_nowhere() {
    let to_itself = |_: &Seen| {
        let mut response = response(303, "");
        let location = http::HeaderValue::from_static("/orders/1");
        response.headers_mut().insert("location", location);
        response
    };
    let shop = Api::new(to_itself);
    let origin = shop.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    for path in ["/orders", "/orders/1"] {
        let sent = client(&credentials).post(format!("{origin}{path}")).send();
        let printed = format!("{:?}", sent.await.unwrap_err());
        assert!(printed.contains("has been done"), "{printed}");
    }
    assert_eq!(shop.count(), 4);
}

#[tokio::test]
async fn rule_9_a_request_whose_method_no_redirect_has_changed_is_retried() {
    for (status, method) in [
        (302, Method::GET),
        (303, Method::GET),
        (303, Method::HEAD),
        // Nothing has been done at the first URL.
        (307, Method::POST),
    ] {
        let shop = shop(status, "/here", |_| response(503, ""));
        let origin = shop.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let request = client(&credentials).request(method, format!("{origin}/orders"));
        assert_eq!(request.send().await.unwrap().status(), 503);
        assert_eq!(orders(&shop), 4, "{status}");
    }
}
