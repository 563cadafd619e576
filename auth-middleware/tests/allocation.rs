//! Rule 5: allocations and sizes on the fast path.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use allocation_counter::measure;
use async_trait::async_trait;
use auth_middleware::{AuthLayer, AuthMiddleware};
use bytes::Bytes;
use common::{Kind, ORIGIN, Script};
use futures_util::FutureExt;
use http::{Extensions, HeaderValue, Request, Response};
use http_body_util::Empty;
use reqwest::ResponseBuilderExt;
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use tower::{Layer, Service};

#[derive(Clone)]
struct Inner;

impl Service<Request<()>> for Inner {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        drop(request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// A request whose header map has room for one more header.
fn request(url: &str) -> Request<()> {
    let mut request = Request::get(url).body(()).unwrap();
    request
        .headers_mut()
        .insert("accept", HeaderValue::from_static("*/*"));
    request
}

#[test]
fn rule_5_a_fresh_credential_without_replay_adds_no_allocation() {
    adds_no_allocation(Kind::Bearer);
}

#[test]
fn rule_5_a_missing_part_adds_no_allocation_to_requests_that_would_not_carry_it() {
    adds_no_allocation(Kind::Lacking);
}

fn adds_no_allocation(kind: Kind) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (credentials, _) = Script::at(ORIGIN).kind(kind).build();
    runtime.block_on(credentials.get()).unwrap();
    let mut service = AuthLayer::new(credentials).without_replay().layer(Inner);
    for url in [
        "https://api.example.com/me",
        "https://elsewhere.example.com/me",
    ] {
        // A first request, so that the measured ones find everything initialised, and the warning
        // of the one out of the scope given.
        let first = service.call(request(url));
        first.now_or_never().unwrap().unwrap();
        let requests: Vec<_> = (0..10).map(|_| request(url)).collect();
        let counted = measure(|| {
            for request in requests {
                let response = service.call(request).now_or_never().unwrap().unwrap();
                assert_eq!(response.status(), 200);
            }
        });
        assert_eq!(counted.count_total, 0, "{url}");
    }
}

#[test]
fn the_future_without_replay_is_small() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let mut service = AuthLayer::new(credentials).without_replay().layer(Inner);
    let future = service.call(request("https://elsewhere.example.com/me"));
    let inner = size_of::<<Inner as Service<Request<()>>>::Future>();
    assert!(
        size_of_val(&future) <= inner + 96,
        "{} bytes",
        size_of_val(&future)
    );
}

/// Measures the future of the middleware, which is one allocation of each request.
struct Sized(AuthMiddleware);

#[async_trait]
impl Middleware for Sized {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let future = self.0.handle(request, extensions, next);
        // The fast path of glibc's allocator ends at 1,032 bytes.
        assert!(size_of_val(&*future) <= 1024, "{}", size_of_val(&*future));
        future.await
    }
}

/// The end of the chain, in place of a network.
struct Answering;

#[async_trait]
impl Middleware for Answering {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let response = Response::builder().url(request.url().clone());
        Ok(response.body("").unwrap().into())
    }
}

#[tokio::test]
async fn the_future_of_a_reqwest_call_is_small() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let (client, auth) =
        AuthMiddleware::with_client(reqwest::Client::builder(), credentials).unwrap();
    let client = ClientBuilder::new(client).with(Sized(auth)).with(Answering);
    let response = client.build().get(ORIGIN).send().await.unwrap();
    assert_eq!(response.status(), 200);
}
