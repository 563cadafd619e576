//! Many accounts of one API behind one client. A pool finds the session, and each request names its
//! account.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::num::NonZeroUsize;

use auth_core::{Pool, PoolError, Provider};
use auth_middleware::{AuthContext, AuthMiddleware};
use auth_providers::demo::{Api, DemoServer, Settings};
use auth_providers::{Login, Quinn, ReqwestTransport};

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

    // The accounts share the transport. They share the login quota as well, because the server
    // counts attempts per address, not per account. With more accounts than the quota allows in two
    // windows, ask with `Ask::new().wait_for_quota()`.
    let transport = ReqwestTransport::new()?;
    let pool = Pool::new(NonZeroUsize::new(1_000).expect("not zero"));
    let mut accounts = Vec::new();
    for number in 0..ACCOUNTS {
        let quinn = Quinn::new(server.base_url(), email(number), password(number))?;
        let provider = quinn.via(transport.clone());
        accounts.push(Provider::identity(&provider).clone());
        pool.add(provider)?;
    }

    // One client for all accounts. A request that names no account uses the first one.
    let first = pool.find(&accounts[0]).expect("it was added");
    let client = AuthMiddleware::build_client(reqwest::Client::builder().no_proxy(), first)?;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..400 {
        let credentials = pool
            .find(&accounts[number % ACCOUNTS])
            .expect("it was added");
        let request = client
            .get(&me)
            .with_extension(AuthContext::new().identity(credentials));
        requests.spawn(request.send());
    }
    while let Some(response) = requests.join_next().await {
        anyhow::ensure!(response??.status() == 200, "each request is served");
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

    // The name of an account alone does not give access to its session: the secret has to come from
    // the same source.
    let other = Quinn::new(server.base_url(), email(1), "a guess, long enough")?;
    let refused = pool.add(other.via(transport));
    println!(
        "with another password: {}",
        refused.as_ref().expect_err("refused")
    );
    anyhow::ensure!(
        refused.is_err_and(|error| error == PoolError::DifferentSource),
        "the source differs"
    );
    server.shutdown().await;
    Ok(())
}
