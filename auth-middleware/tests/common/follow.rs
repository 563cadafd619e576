//! What sends a request through either integration and follows its redirects.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use auth_core::Credentials;
use auth_middleware::{AuthContext, AuthLayer, AuthMiddleware, Redirects};
use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use reqwest::Client;
use reqwest_middleware::ClientBuilder;
use tower::{ServiceBuilder, ServiceExt};

use crate::common::{Api, ApiResponse, response};

/// Which integration sends the request.
#[derive(Clone, Copy, Debug)]
pub enum Via {
    Reqwest,
    Tower,
}

pub const BOTH: [Via; 2] = [Via::Reqwest, Via::Tower];

/// What the caller gets.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub body: Bytes,
}

pub type Failed = Box<dyn std::error::Error + Send + Sync>;

pub async fn send(
    via: Via,
    credentials: &Credentials,
    redirects: Redirects,
    request: Request<&'static str>,
) -> Result<Got, Failed> {
    let (head, body) = request.into_parts();
    match via {
        Via::Reqwest => {
            let (client, auth) =
                AuthMiddleware::with_client(Client::builder(), credentials.clone())?;
            let client = ClientBuilder::new(client)
                .with(auth.redirects(redirects))
                .build();
            let mut request = client
                .request(head.method, head.uri.to_string())
                .headers(head.headers);
            if !body.is_empty() {
                request = request.body(body);
            }
            if let Some(context) = head.extensions.get::<AuthContext>() {
                request = request.with_extension(context.clone());
            }
            let response = request.send().await?;
            Ok(Got {
                status: response.status().as_u16(),
                body: response.bytes().await?,
            })
        }
        Via::Tower => {
            let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let service = ServiceBuilder::new()
                .layer(AuthLayer::new(credentials.clone()).follow_redirects(redirects))
                .service(client);
            let request = Request::from_parts(head, Full::from(body));
            let response = service.oneshot(request).await?;
            Ok(Got {
                status: response.status().as_u16(),
                body: response.into_body().collect().await?.to_bytes(),
            })
        }
    }
}

pub fn get(url: &str) -> Request<&'static str> {
    Request::get(url).body("").unwrap()
}

pub fn post(url: &str) -> Request<&'static str> {
    Request::post(url).body("a body").unwrap()
}

/// Redirects `/away` with this status and `Location`, and answers other paths with 200.
pub fn redirecting(status: u16, location: &str) -> Api {
    let location: HeaderValue = location.parse().unwrap();
    Api::new(move |seen| match seen.uri.path() {
        "/away" => moved(status, location.clone()),
        _ => response(200, "here"),
    })
}

pub fn moved(status: u16, location: HeaderValue) -> ApiResponse {
    let mut response = response(status, "");
    response.headers_mut().insert("location", location);
    response
}
