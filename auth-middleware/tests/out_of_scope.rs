//! Rule 16: a request that misses the credential's scope passes without it, and not in silence.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;
#[path = "common/follow.rs"]
mod follow;

use auth_core::Credentials;
use auth_middleware::{AuthContext, AuthLayer, AuthMiddleware, Redirects};
use bytes::Bytes;
use common::{Api, Log, ORIGIN, Script, get, response};
use follow::moved;
use http::{HeaderValue, Request};
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

/// A storage host is another matter.
#[tokio::test]
async fn rule_16_a_redirect_to_another_name_of_a_host_in_scope_warns_and_is_counted() {
    let redirecting = |near: &str, far: &str| {
        let [near, far] = [near, far].map(|to| HeaderValue::try_from(to).unwrap());
        Api::new(move |seen| match seen.uri.path() {
            "/near" => moved(302, near.clone()),
            "/far" => moved(302, far.clone()),
            "/here" => moved(302, HeaderValue::from_static("/there")),
            _ => response(200, ""),
        })
    };
    let (log, _guard) = Log::start();
    let api = redirecting(
        "https://api.example.com:8443/path",
        "https://storage.example.org/path",
    );
    let (credentials, _) = Script::at(ORIGIN).build();
    let follows = AuthLayer::new(credentials.clone()).follow_redirects(Redirects::new());
    let send = async |path, context: Option<AuthContext>| {
        let api = api.clone();
        let service = follows.layer(service_fn(move |request| api.clone().handle(request)));
        let mut request = get(&format!("{ORIGIN}{path}"));
        if let Some(context) = context {
            request.extensions_mut().insert(context);
        }
        service.oneshot(request).await.unwrap();
    };
    for path in ["/near", "/far", "/here"] {
        send(path, None).await;
    }
    send(
        "/near",
        Some(AuthContext::new().identity(credentials.clone())),
    )
    .await;
    send("/near", Some(AuthContext::skip())).await;
    assert_eq!(credentials.status().out_of_scope, 2);
    assert_eq!(api.count(), 10);
    let [line] = log.lines().try_into().unwrap();
    assert_warns(&line, &["api.example.com:8443", "the port is another one"]);

    let (log, _guard) = Log::start();
    let served = Api::new(|_| response(200, ""));
    let there = served.serve().await;
    let port = there.rsplit_once(':').unwrap().1;
    let api = redirecting(
        &format!("{there}/path"),
        &format!("http://storage.example.org:{port}/path"),
    );
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let address = there.strip_prefix("http://").unwrap().parse().unwrap();
    let builder = Client::builder().resolve("storage.example.org", address);
    let client = AuthMiddleware::build_client(builder, credentials.clone()).unwrap();
    for path in ["/near", "/far", "/near"] {
        client.get(format!("{origin}{path}")).send().await.unwrap();
    }
    assert_eq!((credentials.status().out_of_scope, served.count()), (2, 3));
    let [line] = log.lines().try_into().unwrap();
    assert_warns(&line, &[&there, "the port is another one"]);
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
