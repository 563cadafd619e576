//! Sends requests to the API of any recipe, through both integrations, with one login.
//!
//! ```text
//! cargo run --example any_recipe -- RECIPE.toml url=https://acme.example email=ada@example.com \
//!     password=env:ACME_PASSWORD "GET /v1/me" 'POST /v1/items {"name": "horse"}'
//! ```
//!
//! Without arguments it starts a server of its own.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::env::args;

use anyhow::Context as _;
use auth_core::Credentials;
use auth_middleware::{AuthLayer, AuthMiddleware};
use auth_providers::recipe::{Recipe, RecipeLogin, Values};
use auth_providers::{Login, ReqwestTransport};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{ServiceBuilder, ServiceExt as _};

mod acme_server;
mod recipe_values;
mod small_server;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = args().skip(1).collect();
    if !arguments.is_empty() {
        let (recipe, values, requests) = recipe_values::read(&arguments)?;
        return send(&recipe, &values, &requests).await;
    }
    let (_server, values) = acme_server::start().await?;
    let requests = ["GET /v1/me".to_owned(), "GET /v1/me".to_owned()];
    send(&acme_server::RECIPE.parse()?, &values, &requests).await
}

async fn send(recipe: &Recipe, values: &Values, requests: &[String]) -> anyhow::Result<()> {
    let login = recipe.login(values)?;
    let credentials = Credentials::new(login.clone().via(ReqwestTransport::new()?));
    let calls: Vec<Call> = requests
        .iter()
        .map(|text| Call::read(&login, text))
        .collect::<Result<_, _>>()?;
    through_reqwest(&credentials, &calls).await?;
    through_tower(&credentials, &calls).await?;
    let logins = credentials.get().await?.stamp().generation();
    println!("{logins} login{}", if logins == 1 { "" } else { "s" });
    credentials.close().await?;
    println!("logged out");
    Ok(())
}

/// A request from the command line.
struct Call {
    method: Method,
    url: String,
    body: Option<String>,
}

impl Call {
    /// The type of the body: JSON, or else a form.
    fn kind(&self) -> &'static str {
        match self.body.as_deref() {
            Some(body) if body.starts_with(['{', '[']) => "application/json",
            _ => "application/x-www-form-urlencoded",
        }
    }

    /// Reads `METHOD /path`, and perhaps a body of JSON or of a form.
    fn read(login: &RecipeLogin, text: &str) -> anyhow::Result<Self> {
        let mut words = text.splitn(3, ' ');
        let method = words.next().unwrap_or_default().parse()?;
        let path = words.next().filter(|path| path.starts_with('/'));
        let path = path.context("a request is a method and a path, as \"GET /v1/me\"")?;
        Ok(Self {
            method,
            url: login.url(path),
            body: words.next().map(str::to_owned),
        })
    }
}

async fn through_reqwest(credentials: &Credentials, calls: &[Call]) -> anyhow::Result<()> {
    let client = AuthMiddleware::build_client(reqwest::Client::builder(), credentials.clone())?;
    for call in calls {
        let mut request = client.request(call.method.clone(), &call.url);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, call.kind()).body(body.clone());
        }
        let response = request.send().await?;
        println!(
            "reqwest: {} {}",
            response.status().as_u16(),
            shown(&response.text().await?)
        );
    }
    Ok(())
}

async fn through_tower(credentials: &Credentials, calls: &[Call]) -> anyhow::Result<()> {
    if calls.iter().any(|call| call.url.starts_with("https://")) {
        println!("tower: not run, since this client has no TLS");
        return Ok(());
    }
    let client = Client::builder(TokioExecutor::new()).build_http();
    let stack = ServiceBuilder::new()
        .layer(AuthLayer::new(credentials.clone()).in_memory())
        .service(client);
    for call in calls {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(&call.url);
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, call.kind());
        }
        let request = request.body(Full::new(Bytes::from(
            call.body.clone().unwrap_or_default(),
        )))?;
        let sent = stack.clone().oneshot(request).await;
        let response = sent.map_err(anyhow::Error::from_boxed)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await?;
        println!(
            "tower: {status} {}",
            shown(&String::from_utf8_lossy(&body.to_bytes()))
        );
    }
    Ok(())
}

/// The beginning of a body.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}
