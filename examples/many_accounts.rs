//! Many accounts of one API behind one client: a pool finds the session, and each request says whose it is.

#![allow(clippy::print_stdout, reason = "it shows what came back")]

use std::num::NonZeroUsize;

use auth_core::{Pool, PoolError, Provider};
use auth_middleware::{AuthContext, AuthMiddleware, redirect_policy};
use auth_providers::demo::{Api, DemoServer, Settings};
use auth_providers::{Login, Quinn, ReqwestTransport};
use reqwest_middleware::ClientBuilder;

const ACCOUNTS: usize = 8;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let email = |number: usize| format!("account-{number}@example.com");
    let password = |number: usize| format!("password of account {number}");
    let mut settings = Settings::new();
    for number in 0..ACCOUNTS {
        settings = settings.account(email(number), password(number));
    }
    let server = DemoServer::start_with(Api::Quinn, settings).await?;
    let me = server.url("/api/auth/me");

    // The transport is shared, and so is the login quota: it counts attempts per address, not per account.
    let transport = ReqwestTransport::new()?;
    let pool = Pool::new(NonZeroUsize::new(1_000).expect("not zero"));
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        let quinn = Quinn::new(server.base_url(), email(number), password(number))?;
        let provider = quinn.via(transport.clone());
        accounts.push(Provider::identity(&provider).clone());
        pool.add(provider)?;
    }

    // One client for all of them. The first account is who it is when a request doesn't say.
    let first = pool.find(&accounts[0]).expect("it was added");
    let client = reqwest::Client::builder()
        .redirect(redirect_policy(first.scope().clone()))
        .no_proxy()
        .build()?;
    let client = ClientBuilder::new(client)
        .with(AuthMiddleware::new(first))
        .build();
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..400 {
        let whose = pool
            .find(&accounts[number % ACCOUNTS])
            .expect("it was added");
        let request = client
            .get(&me)
            .with_extension(AuthContext::new().identity(whose));
        requests.spawn(request.send());
    }
    while let Some(answer) = requests.join_next().await {
        anyhow::ensure!(answer??.status() == 200, "each of them is served");
    }
    let counts = server.counts();
    println!(
        "{} requests of {ACCOUNTS} accounts, {} logins",
        counts.calls.ok, counts.logins.ok
    );
    anyhow::ensure!(
        counts.logins.ok == ACCOUNTS as u64,
        "one login for each account"
    );

    // A name alone gets nobody's session: the secret has to come from the same source.
    let intruder = Quinn::new(server.base_url(), email(1), "a guess, long enough")?;
    let refused = pool.add(intruder.via(transport));
    println!(
        "with another password: {}",
        refused.as_ref().expect_err("refused")
    );
    anyhow::ensure!(
        refused.is_err_and(|error| error == PoolError::DifferentSource),
        "for that reason"
    );
    server.shutdown().await;
    Ok(())
}
