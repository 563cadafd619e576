//! The two fronts, as one thing to send a request through.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::Credentials;
use auth_middleware::{Auth, AuthLayer, AuthMiddleware, BoxError};
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

/// Which front.
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

/// A client with the credentials in front of it, and a limit of connections below them.
#[derive(Clone)]
pub(crate) enum Front {
    Reqwest(ClientWithMiddleware),
    Tower(Box<Auth<ConcurrencyLimit<HyperClient>>>),
}

pub(crate) type HyperClient = Client<HttpConnector, Full<Bytes>>;

pub(crate) fn hyper_client() -> HyperClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Front {
    pub(crate) fn new(
        kind: Kind,
        credentials: Credentials,
        connections: usize,
    ) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Reqwest => {
                // The servers are on this machine, whatever proxy the environment names.
                let client = reqwest::Client::builder().no_proxy().build()?;
                let slots = Slots(Arc::new(Semaphore::new(connections)));
                let client = ClientBuilder::new(client)
                    .with(AuthMiddleware::new(credentials))
                    .with(slots)
                    .build();
                Self::Reqwest(client)
            }
            Kind::Tower => {
                let service = ServiceBuilder::new()
                    .layer(AuthLayer::new(credentials))
                    .concurrency_limit(connections)
                    .service(hyper_client());
                Self::Tower(Box::new(service))
            }
        })
    }

    /// Sends a GET, or a POST if there is a body. `id` tells the server which request this is, when it comes twice.
    pub(crate) async fn send(
        &self,
        url: &str,
        id: u64,
        body: Option<Bytes>,
    ) -> anyhow::Result<Reply> {
        match self {
            Self::Reqwest(client) => {
                let request = match body {
                    Some(body) => client.post(url).body(body),
                    None => client.get(url),
                };
                let response = request.header("x-request-id", id).send().await?;
                let status = response.status();
                let body = response.bytes().await?;
                Ok(Reply { status, body })
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
                    .map_err(|error| anyhow::anyhow!("the body broke off: {error}"))?
                    .to_bytes();
                Ok(Reply { status, body })
            }
        }
    }

    /// Why a request could not have a credential, if that is why it failed.
    pub(crate) fn auth_error(error: &anyhow::Error) -> Option<&auth_core::Error> {
        if let Some(error) = error.downcast_ref::<reqwest_middleware::Error>() {
            return auth_middleware::auth_error(error);
        }
        error.downcast_ref()
    }
}

/// Keeps the type of our errors, which a boxed error hides from `anyhow`.
fn typed(error: BoxError) -> anyhow::Error {
    match error.downcast::<auth_core::Error>() {
        Ok(ours) => anyhow::Error::new(*ours),
        Err(other) => anyhow::Error::from_boxed(other),
    }
}

/// As many requests of a reqwest client at a time as there are connections.
struct Slots(Arc<Semaphore>);

#[async_trait]
impl Middleware for Slots {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let _slot = self
            .0
            .acquire()
            .await
            .map_err(reqwest_middleware::Error::middleware)?;
        next.run(request, extensions).await
    }
}
