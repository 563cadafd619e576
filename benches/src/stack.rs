//! Services that respond at once, and what a program without auth-middleware uses in its place.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{Extensions, HeaderValue, Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use reqwest::ResponseBuilderExt;
use reqwest_middleware::{Middleware, Next};
use tower::Service;
use tower::retry::Policy;

/// The URL of all requests, which is in the scope of every credential here.
pub const URL: &str = "https://api.example.com/v3/me";

/// A request with five headers, and a body that is cheap to clone.
///
/// # Panics
/// Never: all of it is literal.
pub fn request() -> Request<Full<Bytes>> {
    Request::get(URL)
        .header(HOST, "api.example.com")
        .header(USER_AGENT, "bench/1")
        .header(ACCEPT, "application/json")
        .header(ACCEPT_ENCODING, "gzip")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from_static(b"{}")))
        .expect("a literal request")
}

/// The same request for reqwest.
///
/// # Panics
/// Never: all of it is literal.
pub fn reqwest_request() -> reqwest::Request {
    let request = request().map(|_| reqwest::Body::from("{}"));
    request.try_into().expect("a literal request")
}

/// A tower service that responds at once and allocates nothing.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Responding;

impl<B> Service<Request<B>> for Responding {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(request.headers().contains_key(AUTHORIZATION));
        drop(request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// A policy for tower's `Retry` that clones each request, and sends it again once if it gets a 401.
#[derive(Clone, Copy, Debug)]
pub struct CloneOnce {
    again: bool,
}

impl Default for CloneOnce {
    fn default() -> Self {
        Self { again: true }
    }
}

impl<B: Clone, R, E> Policy<Request<B>, Response<R>, E> for CloneOnce {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<B>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Ready<()>> {
        let rejected =
            matches!(result, Ok(response) if response.status() == StatusCode::UNAUTHORIZED);
        (rejected && std::mem::take(&mut self.again)).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
        Some(request.clone())
    }
}

/// A middleware by hand for reqwest-middleware: it inserts a header.
#[derive(Clone, Debug)]
pub struct Inserting(HeaderValue);

impl Inserting {
    /// Inserts this value.
    pub const fn new(value: HeaderValue) -> Self {
        Self(value)
    }
}

#[async_trait]
impl Middleware for Inserting {
    async fn handle(
        &self,
        mut request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        request.headers_mut().insert(AUTHORIZATION, self.0.clone());
        next.run(request, extensions).await
    }
}

/// The end of a reqwest-middleware chain: it responds at once, in place of the network.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Terminal;

#[async_trait]
impl Middleware for Terminal {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let response = Response::builder()
            .url(request.url().clone())
            .body(Bytes::new())
            .map_err(reqwest_middleware::Error::middleware)?;
        Ok(response.into())
    }
}
