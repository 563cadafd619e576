//! Rule 16: a request that misses the credential's scope passes without it, and not in silence.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use auth_core::Credentials;
use auth_middleware::{AuthContext, AuthLayer, AuthMiddleware};
use bytes::Bytes;
use common::{Api, Log, ORIGIN, Script, get, response};
use http::Request;
use http_body_util::Full;
use reqwest::Client;
use reqwest_middleware::ClientWithMiddleware;
use tower::{Layer, ServiceExt, service_fn};

async fn send(api: &Api, credentials: &Credentials, request: Request<Full<Bytes>>) {
    let api = api.clone();
    AuthLayer::new(credentials.clone())
        .layer(service_fn(move |request| api.clone().handle(request)))
        .oneshot(request)
        .await
        .unwrap();
}

fn client(credentials: &Credentials) -> ClientWithMiddleware {
    AuthMiddleware::build_client(Client::builder(), credentials.clone()).unwrap()
}

#[track_caller]
fn assert_warns(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
    assert!(line.contains("AuthContext::skip()"), "{line}");
    for secret in ["path", "canary", "me-"] {
        assert!(!line.contains(secret), "{secret} is printed: {line}");
    }
}

#[tokio::test]
async fn rule_16_a_reqwest_client_that_misses_the_scope_warns_once_and_counts_all() {
    let (log, _guard) = Log::start();
    let api = Api::new(|_| response(200, ""));
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let client = client(&credentials);
    let near = origin.replace("127.0.0.1", "localhost");
    for number in 0..3 {
        let url = format!("{near}/path/{number}?token=canary");
        client.get(url).send().await.unwrap();
    }
    client.get(format!("{origin}/me")).send().await.unwrap();
    assert_eq!(credentials.status().out_of_scope, 3);
    let carried: Vec<_> = api
        .seen()
        .iter()
        .map(|seen| seen.bearer().is_some())
        .collect();
    assert_eq!(carried, [false, false, false, true]);
    let [line] = log.lines().try_into().unwrap();
    let identity = format!("{:?}", credentials.identity());
    let scope = format!("scope={origin}");
    assert_warns(
        &line,
        &[&near, &identity, &scope, "another name of this machine"],
    );
}

#[tokio::test]
async fn rule_16_a_tower_request_that_misses_the_scope_warns_once_and_is_counted() {
    let (log, _guard) = Log::start();
    let api = Api::new(|_| response(200, ""));
    let (credentials, _) = Script::at(ORIGIN).build();
    for url in [
        "/path?token=canary",
        "https://api.example.com./path",
        "http://api.example.com/path",
        "https://example.com/path",
    ] {
        for _ in 0..2 {
            send(&api, &credentials, get(url)).await;
        }
    }
    assert_eq!(credentials.status().out_of_scope, 8);
    assert!(api.seen().iter().all(|seen| seen.bearer().is_none()));
    let lines = log.lines();
    let told = [
        ["a URL without an origin", "its URL is relative"],
        ["https://api.example.com.", "a dot at the end"],
        ["http://api.example.com", "the scheme is another one"],
        ["https://example.com", "the host is another one"],
    ];
    assert_eq!(lines.len(), told.len(), "{lines:?}");
    for (line, parts) in lines.iter().zip(&told) {
        assert_warns(line, parts);
    }
}

#[tokio::test]
async fn rule_16_a_request_that_needs_no_credential_is_neither_a_warning_nor_counted() {
    let (log, _guard) = Log::start();
    let api = Api::new(|_| response(200, ""));
    let (credentials, _) = Script::at(ORIGIN).build();
    let (other, _) = Script::at("https://other.example.com").build();
    let mut skips = get("https://example.com/");
    skips.extensions_mut().insert(AuthContext::skip());
    send(&api, &credentials, skips).await;
    let mut of_other = get("https://other.example.com/");
    let context = AuthContext::new().identity(other.clone());
    of_other.extensions_mut().insert(context.clone());
    send(&api, &credentials, of_other).await;
    assert_eq!(log.lines(), [""; 0]);
    assert_eq!(credentials.status().out_of_scope, 0);

    // Of another identity's request, its own scope is what counts.
    let mut misses_other = get(ORIGIN);
    misses_other.extensions_mut().insert(context);
    send(&api, &credentials, misses_other).await;
    assert_eq!(log.lines().len(), 1);
    let counts = [&credentials, &other].map(|each| each.status().out_of_scope);
    assert_eq!(counts, [0, 1]);
}
