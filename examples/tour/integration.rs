//! The two integrations, behind one type that sends a request.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::Credentials;
use auth_middleware::{
    AuthContext, AuthLayer, AuthMiddleware, BoxError, Cloning, Follow, Redirects,
};
use bytes::Bytes;
use http::{Extensions, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tokio::sync::Semaphore;
use tower::limit::ConcurrencyLimit;
use tower::{ServiceBuilder, ServiceExt};

/// The integrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Reqwest,
    Tower,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Reqwest, Self::Tower];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Reqwest => "reqwest",
            Self::Tower => "tower",
        }
    }
}

/// A client with the credential's middleware or layer, and a limit of connections below it.
#[derive(Clone)]
pub(crate) enum Integration {
    Reqwest(ClientWithMiddleware),
    Tower(Box<Follow<ConcurrencyLimit<HyperClient>, Cloning>>),
}

pub(crate) type HyperClient = Client<HttpConnector, Full<Bytes>>;

fn hyper_client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A client for logins. It keeps no idle connections, which another runtime may have left.
pub(crate) fn login_client() -> HyperClient {
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_max_idle_per_host(0).build_http()
}

/// The response to a request.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Integration {
    pub(crate) fn new(
        kind: Kind,
        credentials: Credentials,
        connections: usize,
    ) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Reqwest => {
                // The servers are on loopback, so no proxy of the environment applies.
                let builder = reqwest::Client::builder().no_proxy();
                let (client, auth) = AuthMiddleware::with_client(builder, credentials)?;
                let limit = ConnectionLimit(Arc::new(Semaphore::new(connections)));
                let client = ClientBuilder::new(client).with(auth).with(limit).build();
                Self::Reqwest(client)
            }
            Kind::Tower => {
                let service = ServiceBuilder::new()
                    .layer(AuthLayer::new(credentials).follow_redirects(Redirects::new()))
                    .concurrency_limit(connections)
                    .service(hyper_client());
                Self::Tower(Box::new(service))
            }
        })
    }

    /// Sends a GET, or a POST if there is a body. The server recognises a replay by its `id`.
    pub(crate) async fn send(
        &self,
        url: &str,
        id: u64,
        body: Option<Bytes>,
    ) -> anyhow::Result<Response> {
        match self {
            Self::Reqwest(client) => {
                let request = match body {
                    Some(body) => client.post(url).body(body),
                    None => client.get(url),
                };
                let response = request.header("x-request-id", id).send().await?;
                let status = response.status();
                let body = response.bytes().await?;
                Ok(Response { status, body })
            }
            Self::Tower(service) => {
                let method = if body.is_some() { "POST" } else { "GET" };
                let request = Request::builder()
                    .method(method)
                    .uri(url)
                    .header("x-request-id", id)
                    .body(Full::new(body.unwrap_or_default()))?;
                let response = service.clone().oneshot(request).await;
                let response = response.map_err(typed)?;
                let status = response.status();
                let body = response.into_body().collect().await;
                let body = body
                    .map_err(|error| anyhow::anyhow!("the body was cut off: {error}"))?
                    .to_bytes();
                Ok(Response { status, body })
            }
        }
    }

    /// Sends a GET with these choices.
    pub(crate) async fn get_as(&self, context: AuthContext, url: &str) -> anyhow::Result<Response> {
        context.apply_to(self.send(url, 0, None)).await
    }

    /// The error of auth-core, if the request failed because it had no credential.
    pub(crate) fn auth_error(error: &anyhow::Error) -> Option<&auth_core::Error> {
        if let Some(error) = error.downcast_ref::<reqwest_middleware::Error>() {
            return auth_middleware::auth_error(error);
        }
        error.downcast_ref()
    }
}

/// Keeps the type of an auth-core error, which a boxed error hides from `anyhow`.
fn typed(error: BoxError) -> anyhow::Error {
    match error.downcast::<auth_core::Error>() {
        Ok(error) => anyhow::Error::new(*error),
        Err(other) => anyhow::Error::from_boxed(other),
    }
}

/// Limits the concurrent requests of a reqwest client to the number of connections.
struct ConnectionLimit(Arc<Semaphore>);

#[async_trait]
impl Middleware for ConnectionLimit {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let _permit = self
            .0
            .acquire()
            .await
            .map_err(reqwest_middleware::Error::middleware)?;
        next.run(request, extensions).await
    }
}
