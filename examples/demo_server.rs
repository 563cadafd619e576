//! Starts a demo server and leaves it running, to try a program by hand.
//!
//! ```text
//! cargo run --example demo_server -- quinn 8080
//! ```
//!
//! The first argument is `clay`, `quinn`, `cloudio` or `v1-login`. The port is a free one unless it
//! is given. A third argument ends the server after so many seconds; otherwise Ctrl-C does.

#![allow(clippy::print_stdout, reason = "it prints how to log in")]

use std::time::Duration;

use anyhow::Context as _;
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD, Settings};
use auth_providers::{Clay, CloudIo, Login, Quinn, V1Login};
use bytes::Bytes;
use http::Request;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (server, first, rest) = start(&arguments).await?;
    println!("serving at {}", server.base_url());
    println!("account    {EMAIL}");
    println!("password   {PASSWORD}");
    println!("log in     {}", curl(&first)?);
    match rest.get(1) {
        Some(seconds) => {
            let seconds = seconds.parse().context("the time is a number of seconds")?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
        }
        None => std::future::pending().await,
    }
    println!("{} logins", server.counts().logins.total());
    server.shutdown().await;
    Ok(())
}

/// Starts the server. Returns it, the first request of a login there, and what follows its name in
/// the arguments.
async fn start(arguments: &[String]) -> anyhow::Result<(DemoServer, Request<Bytes>, Vec<String>)> {
    let [name, rest @ ..] = arguments else {
        anyhow::bail!("name an API: clay, quinn, cloudio or v1-login");
    };
    let (api, settings) = (api(name)?, settings(rest)?);
    let server = DemoServer::start_with(api, settings).await?;
    let base = server.base_url();
    let first = match api {
        Api::Clay => Clay::new(EMAIL, PASSWORD)?
            .base_url(base)?
            .request(&PASSWORD.into()),
        Api::Quinn => Quinn::new(base, EMAIL, PASSWORD)?.request(&PASSWORD.into()),
        Api::CloudIo => CloudIo::new(base, EMAIL, PASSWORD)?.request(&PASSWORD.into()),
        _ => V1Login::new(base, EMAIL, PASSWORD)?.request(&PASSWORD.into()),
    };
    Ok((server, first?, rest.to_vec()))
}

fn api(name: &str) -> anyhow::Result<Api> {
    Ok(match name {
        "clay" => Api::Clay,
        "quinn" => Api::Quinn,
        "cloudio" => Api::CloudIo,
        "v1-login" => Api::V1Login,
        _ => anyhow::bail!("no API is called {name}: clay, quinn, cloudio and v1-login are"),
    })
}

fn settings(rest: &[String]) -> anyhow::Result<Settings> {
    let port = rest.first().map_or(Ok(0), |port| port.parse());
    Ok(Settings::new().port(port.context("the port is a number up to 65535")?))
}

/// The command that sends a request and prints its answer.
fn curl(request: &Request<Bytes>) -> anyhow::Result<String> {
    let mut words = vec![
        "curl -i -X".to_owned(),
        request.method().to_string(),
        quoted(&request.uri().to_string()),
    ];
    for (name, value) in request.headers() {
        let header = format!("{name}: {}", value.to_str()?);
        words.push(format!("-H {}", quoted(&header)));
    }
    if !request.body().is_empty() {
        let body = std::str::from_utf8(request.body())?;
        words.push(format!("--data-raw {}", quoted(body)));
    }
    Ok(words.join(" "))
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
