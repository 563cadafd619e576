//! Rule 5: allocations and sizes on the fast path.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use allocation_counter::measure;
use auth_middleware::AuthLayer;
use bytes::Bytes;
use common::{Kind, ORIGIN, Script};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response};
use http_body_util::Empty;
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
