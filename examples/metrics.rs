//! What a cache tells a recorder of the `metrics` crate, as Prometheus scrapes it.
//!
//! auth-core's feature `metrics` is all that the cache needs: there is nothing to set on it.

#![allow(clippy::print_stdout, reason = "it prints the scrape")]

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Context, ensure};
use auth_core::clock::ShiftedClock;
use auth_core::{Credentials, Quota};
use auth_middleware::{AuthMiddleware, auth_error};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD, RecipeServer, Settings};
use auth_providers::recipe::{Recipe, Values};
use auth_providers::{Login, Quinn, ReqwestTransport};
use metrics_exporter_prometheus::PrometheusBuilder;
use reqwest_middleware::ClientWithMiddleware;
use tokio::task::JoinSet;

/// In seconds. A login takes from 50 ms to 30 s, and a wait for the quota up to minutes.
const BUCKETS: [f64; 4] = [0.25, 2.0, 30.0, 300.0];

const WRONG_PASSWORD: &str = "correct horse, wrong battery";
const CLIENT_SECRET: &str = "a staple of the client";

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

    let api = refresh_within_the_quota().await?;

    // Each request that was rejected was sent once more.
    let replays = server.counts().calls.unauthorized;
    // A cache tells its recorder after its callers, so the last counts may take a moment.
    for _ in 0..100 {
        if scrape.render().contains("auth_client_refreshes{") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let scrape = scrape.render();
    println!("{scrape}");
    let quinn = common_labels("quinn", &server.base_url())?;
    let oauth = common_labels("oauth-password", &api.base_url())?;
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
        is_scraped(&scrape, name, &format!("{quinn}{labels}"), count)?;
    }
    for (name, labels) in [
        ("logins", r#",auth_cause="first",auth_outcome="success""#),
        ("refreshes", r#",auth_cause="asked",auth_outcome="success""#),
        ("login_wait_count", ""),
    ] {
        is_scraped(&scrape, name, &format!("{oauth}{labels}"), 1)?;
    }
    for secret in [EMAIL, PASSWORD, WRONG_PASSWORD, CLIENT_SECRET] {
        ensure!(!scrape.contains(secret), "{secret} is in the scrape");
    }
    server.shutdown().await;
    api.shutdown().await;
    Ok(())
}

/// Renews a session by its refresh token, which counts as a login, so that it waits for the quota
/// of one login a minute. All but the last second of the wait is skipped. Returns the server.
async fn refresh_within_the_quota() -> anyhow::Result<RecipeServer> {
    let recipe = include_str!("../auth-providers/recipes/oauth_password.toml");
    let fields = Values::new()
        .with("client_id", "metrics")
        .with("client_secret", CLIENT_SECRET);
    let server = RecipeServer::start(&recipe.parse::<Recipe>()?, &fields, Settings::new()).await?;
    let oauth = server.login(EMAIL, PASSWORD)?;
    let clock = ShiftedClock::new();
    let credentials = Credentials::builder(oauth.via(ReqwestTransport::new()?))
        .quota(Quota::DEFAULT.at_most(NonZeroU32::MIN))
        .clock(clock.clock())
        .build();
    credentials.get().await?;
    clock.advance(Duration::from_secs(61));
    credentials.renew().await?;
    Ok(server)
}

/// The labels that every series of this provider at this server has.
fn common_labels(provider: &str, base_url: &str) -> anyhow::Result<String> {
    let port = base_url.rsplit(':').next().context("it has a port")?;
    Ok(format!(
        r#"auth_provider="{provider}",server_address="127.0.0.1",server_port="{port}""#
    ))
}

fn is_scraped(scrape: &str, name: &str, labels: &str, count: u64) -> anyhow::Result<()> {
    let line = format!("auth_client_{name}{{{labels}}} {count}");
    ensure!(scrape.lines().any(|it| it == line), "not there: {line}");
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
