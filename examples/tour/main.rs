//! The whole task under load: four login APIs, two integrations, and what the servers counted.
//!
//! `cargo run --example tour` starts a demo server for each API and integration. It sends thousands
//! of concurrent requests through a cold start, a renewal, an expiry, a revocation in mid-flight,
//! an outage of the login and a wrong password. Then it follows redirects, away and back, and shows
//! what a foreign server got. At the end it prints what the servers counted, and what the caches
//! told a recorder of the `metrics` crate. If anything breaks a promise, it names the promise and
//! exits non-zero.
//!
//! `cargo run --example tour --features tls -- --api clay --email you@example.com` does one login
//! and one probe against the real service. The password comes from the environment variable
//! `AUTH_PASSWORD`, never from an argument. For the APIs that have no host of their own, add
//! `--base-url https://your.instance`.

#![allow(clippy::print_stdout, reason = "it prints its progress and its result")]

mod connections;
mod integration;
mod real;
mod redirects;
mod report;
mod scenario;
mod scrape;
mod steps;

use std::process::ExitCode;

use anyhow::{Context, bail};
use auth_providers::demo::Api;

use integration::Kind;
use report::Report;
use scenario::{Finished, Scenario};
use scrape::Recorder;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    if let Some(api) = arguments.api {
        let email = arguments.email.context("--email is missing")?;
        return real::visit(api, &email, arguments.base_url.as_deref()).await;
    }
    let connections = connections::most();
    println!(
        "{} requests in flight over up to {connections} connections, for each API and integration\n",
        steps::REQUESTS
    );
    let recorder = Recorder::install()?;
    let mut report = Report::default();
    for api in Api::ALL {
        for kind in Kind::ALL {
            report.add(run(api, kind, connections).await?);
        }
    }
    let scrape = recorder.scrape(report.finished()).await;
    for kind in Kind::ALL {
        report.add_broken(kind, redirects::run(kind).await?);
    }
    Ok(report.close(&scrape))
}

async fn run(api: Api, kind: Kind, connections: usize) -> anyhow::Result<Finished> {
    let mut scenario = Scenario::start(api, kind, connections).await?;
    steps::run(&mut scenario).await?;
    Ok(scenario.finish().await)
}

#[derive(Default)]
struct Arguments {
    api: Option<Api>,
    email: Option<String>,
    base_url: Option<String>,
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut arguments = Self::default();
        while let Some(word) = words.next() {
            let value = words
                .next()
                .with_context(|| format!("{word} wants a value"))?;
            match word.as_str() {
                "--api" => {
                    arguments.api = Some(match value.as_str() {
                        "clay" => Api::Clay,
                        "quinn" => Api::Quinn,
                        "cloudio" => Api::CloudIo,
                        "v1-login" => Api::V1Login,
                        _ => bail!("--api is clay, quinn, cloudio or v1-login"),
                    });
                }
                "--email" => arguments.email = Some(value),
                "--base-url" => arguments.base_url = Some(value),
                _ => bail!(
                    "the arguments are --api, --email and --base-url; the password is in AUTH_PASSWORD"
                ),
            }
        }
        if arguments.api.is_none() && (arguments.email.is_some() || arguments.base_url.is_some()) {
            bail!("--email and --base-url go with --api");
        }
        Ok(arguments)
    }
}
