//! What a cache tells a recorder of the `metrics` crate, as Prometheus scrapes it.
//!
//! auth-core's feature `metrics` is all that the cache needs: there is nothing to set on it.

#![allow(clippy::print_stdout, reason = "it prints the scrape")]

use anyhow::{Context, ensure};
use auth_core::Credentials;
use auth_middleware::{AuthMiddleware, auth_error};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{Login, Quinn, ReqwestTransport};
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest_middleware::ClientWithMiddleware;
use tokio::task::JoinSet;

/// In seconds. A login takes from 50 ms to 30 s, and a wait for the quota up to minutes.
const BUCKETS: [f64; 4] = [0.25, 2.0, 30.0, 300.0];

const WRONG_PASSWORD: &str = "correct horse, wrong battery";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The exporter's feature `http-listener` would serve the scrape. Here it is printed.
    let recorder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)?
        .build_recorder();
    let scrape = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    auth_core::metrics::describe();

    let server = DemoServer::start(Api::Quinn).await?;
    let me = server.url("/api/auth/me");
    let transport = ReqwestTransport::new()?;
    let quinn = |password| Quinn::new(server.base_url(), EMAIL, password);
    let credentials = Credentials::new(quinn(PASSWORD)?.via(transport.clone()));
    let client = client(&credentials)?;

    // Four hundred requests cause one login. After a revocation, the rejected ones are replayed.
    all_served(&client, &me).await?;
    server.revoke_all();
    all_served(&client, &me).await?;
    credentials.renew().await?;

    // Another program has the wrong password, and asks three times. The server is asked once.
    let wrong = Credentials::new(quinn(WRONG_PASSWORD)?.via(transport));
    let client = self::client(&wrong)?;
    for _ in 0..3 {
        let error = client.get(&me).send().await.err();
        let error = error.context("no login, no response")?;
        let refused = auth_error(&error).is_some_and(auth_core::Error::is_login_refused);
        ensure!(refused, "the caller is told why: {error}");
    }
    credentials.close().await?;

    // Each request that was rejected was sent once more.
    let replays = server.counts().calls.unauthorized;
    let scrape = scrape.render();
    println!("{scrape}");
    let base = server.base_url();
    let port = base.rsplit(':').next().context("it has a port")?;
    let common =
        format!(r#"auth_provider="quinn",server_address="127.0.0.1",server_port="{port}""#);
    for (name, labels, count) in [
        ("logins", r#",auth_cause="first",auth_outcome="success""#, 1),
        (
            "logins",
            r#",auth_cause="rejection",auth_outcome="success""#,
            1,
        ),
        ("logins", r#",auth_cause="asked",auth_outcome="success""#, 1),
        (
            "logins",
            r#",auth_cause="first",auth_outcome="failure",error_type="refused""#,
            1,
        ),
        ("rejections", r#",auth_outcome="believed""#, 1),
        ("replays", "", replays),
        ("callers_turned_away", r#",error_type="refused""#, 3),
        ("logouts", r#",auth_outcome="confirmed""#, 1),
    ] {
        let line = format!("auth_client_{name}{{{common}{labels}}} {count}");
        ensure!(
            scrape.lines().any(|scraped| scraped == line),
            "not there: {line}"
        );
    }
    for secret in [EMAIL, PASSWORD, WRONG_PASSWORD] {
        ensure!(!scrape.contains(secret), "{secret} is in the scrape");
    }
    server.shutdown().await;
    Ok(())
}

fn client(credentials: &Credentials) -> anyhow::Result<ClientWithMiddleware> {
    let builder = reqwest::Client::builder().no_proxy();
    Ok(AuthMiddleware::build_client(builder, credentials.clone())?)
}

async fn all_served(client: &ClientWithMiddleware, url: &str) -> anyhow::Result<()> {
    let mut requests = JoinSet::new();
    for _ in 0..400 {
        requests.spawn(client.get(url).send());
    }
    while let Some(response) = requests.join_next().await {
        ensure!(response??.status() == 200, "each request is served");
    }
    Ok(())
}
