//! Starts a demo server and leaves it running, to try a program by hand.
//!
//! ```text
//! cargo run --example demo_server -- quinn 8080
//! ```
//!
//! The first argument is `clay`, `quinn`, `cloudio`, `v1-login` or a recipe's file, with the values
//! of its fields as `any_recipe` takes them. The port is a free one unless it is given. A third
//! argument ends the server after so many seconds; otherwise Ctrl-C does.
//!
//! ```text
//! cargo run --example demo_server -- examples/acme.toml 8080 60
//! ```

#![allow(clippy::print_stdout, reason = "it prints how to log in")]

use std::time::Duration;

use anyhow::Context as _;
use auth_providers::demo::{Api, Counts, DemoServer, EMAIL, PASSWORD, RecipeServer, Settings};
use auth_providers::{Clay, CloudIo, Login, Quinn, V1Login};
use bytes::Bytes;
use http::Request;

mod recipe_values;

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
    Ok(())
}

/// A server that runs until it is dropped.
enum Server {
    Api(DemoServer),
    Recipe(RecipeServer),
}

impl Server {
    fn base_url(&self) -> String {
        match self {
            Self::Api(server) => server.base_url(),
            Self::Recipe(server) => server.base_url(),
        }
    }

    fn counts(&self) -> Counts {
        match self {
            Self::Api(server) => server.counts(),
            Self::Recipe(server) => server.counts(),
        }
    }
}

/// Starts the server. Returns it, the first request of a login there, and the port and the time.
async fn start(arguments: &[String]) -> anyhow::Result<(Server, Request<Bytes>, Vec<String>)> {
    let [name, rest @ ..] = arguments else {
        anyhow::bail!("name clay, quinn, cloudio, v1-login or a recipe's file");
    };
    let (password, rest) = (PASSWORD.into(), rest.to_vec());
    let Some(api) = api(name) else {
        let (recipe, values, rest) = recipe_values::read(arguments)?;
        let server = RecipeServer::start(&recipe, &values, settings(&rest)?).await?;
        let first = server.login(EMAIL, PASSWORD)?.request(&password)?;
        return Ok((Server::Recipe(server), first, rest));
    };
    let server = DemoServer::start_with(api, settings(&rest)?).await?;
    let base = server.base_url();
    let first = match api {
        Api::Clay => Clay::new(EMAIL, PASSWORD)?
            .base_url(base)?
            .request(&password)?,
        Api::Quinn => Quinn::new(base, EMAIL, PASSWORD)?.request(&password)?,
        Api::CloudIo => CloudIo::new(base, EMAIL, PASSWORD)?.request(&password)?,
        _ => V1Login::new(base, EMAIL, PASSWORD)?.request(&password)?,
    };
    Ok((Server::Api(server), first, rest))
}

fn api(name: &str) -> Option<Api> {
    Some(match name {
        "clay" => Api::Clay,
        "quinn" => Api::Quinn,
        "cloudio" => Api::CloudIo,
        "v1-login" => Api::V1Login,
        _ => return None,
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
