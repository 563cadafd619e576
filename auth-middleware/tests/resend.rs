//! The span of a request that is sent once more, in both integrations.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use async_trait::async_trait;
use auth_middleware::{AuthLayer, AuthMiddleware};
use common::{Api, Log, ORIGIN, Script, get};
use http::Extensions;
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tower::{Layer, ServiceExt, service_fn};

/// A client's own span and what it logs there.
fn send() {
    tracing::info_span!("client").in_scope(|| tracing::info!("a request is sent"));
}

/// Of two requests, the second has the span of ours, and the client's is below it.
#[track_caller]
fn assert_the_second_is_a_replay(log: &Log) {
    let sent = |line: &String| line.contains("a request is sent");
    let lines: Vec<_> = log.lines().into_iter().filter(sent).collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(!lines[0].contains("auth."), "{}", lines[0]);
    assert!(!lines[0].contains("resend_count"), "{}", lines[0]);
    let span = "auth.replay{http.request.resend_count=1}:client:";
    assert!(lines[1].contains(span), "{}", lines[1]);
}

#[tokio::test]
async fn a_replay_of_the_tower_integration_has_a_span_with_its_count() {
    let (log, _guard) = Log::at(tracing::Level::INFO);
    let (credentials, _) = Script::at(ORIGIN).build();
    let api = Api::accepting("-2");
    let client = service_fn(move |request| {
        send();
        api.clone().handle(request)
    });
    let auth = AuthLayer::new(credentials).layer(client);
    let response = auth.oneshot(get(&format!("{ORIGIN}/me"))).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_the_second_is_a_replay(&log);
}

/// A middleware below ours. It runs when it is polled.
struct Below;

#[async_trait]
impl Middleware for Below {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        tokio::task::yield_now().await;
        send();
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn a_replay_of_the_reqwest_integration_has_a_span_with_its_count() {
    let (log, _guard) = Log::at(tracing::Level::INFO);
    let api = Api::accepting("-2");
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let (client, auth) = AuthMiddleware::with_client(Client::builder(), credentials).unwrap();
    let client = ClientBuilder::new(client).with(auth).with(Below).build();
    let response = client.get(format!("{origin}/me")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_the_second_is_a_replay(&log);
}
