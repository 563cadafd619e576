//! Wraps a reqwest client that is already there: from then on its requests are logged in.

#![allow(clippy::print_stdout, reason = "it shows what came back")]

use auth_core::Credentials;
use auth_middleware::{AuthContext, AuthMiddleware, redirect_policy};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{Clay, Login, ReqwestTransport};
use reqwest_middleware::ClientBuilder;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Stands in for https://api.clay.com, which is where `Clay::new` goes by itself.
    let server = DemoServer::start(Api::Clay).await?;
    let clay = Clay::new(EMAIL, PASSWORD)?.base_url(server.base_url())?;
    let workspaces = clay.url("/v3/my-workspaces");

    let credentials = Credentials::new(clay.via(ReqwestTransport::new()?));
    // The client is yours, with whatever it is set up for. It only must not carry credentials to other hosts.
    let reqwest_client = reqwest::Client::builder()
        .redirect(redirect_policy(credentials.scope().clone()))
        // The server is on this machine.
        .no_proxy()
        .build()?;
    let client = ClientBuilder::new(reqwest_client)
        .with(AuthMiddleware::new(credentials.clone()))
        .build();

    // The first request logs in. So do four hundred at once: one login.
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..400 {
        requests.spawn(client.get(&workspaces).send());
    }
    while let Some(answer) = requests.join_next().await {
        anyhow::ensure!(answer??.status() == 200, "each of them is served");
    }
    println!("400 requests, {} login", server.counts().logins.ok);
    anyhow::ensure!(server.counts().logins.ok == 1, "one login for all of them");

    // The server forgets its sessions. Nobody notices.
    server.revoke_all();
    let answer = client
        .post(&workspaces)
        .body("a body that goes out twice")
        .send()
        .await?;
    println!(
        "after a revocation: {}, echoed: {:?}",
        answer.status(),
        answer.text().await?
    );

    // A request of its own kind: without a credential, and so without a session.
    let answer = client
        .get(&workspaces)
        .with_extension(AuthContext::skip())
        .send()
        .await?;
    println!("skipped: {}", answer.status());
    anyhow::ensure!(answer.status() == 401, "it went out bare");

    credentials.close().await?;
    let error = client
        .get(&workspaces)
        .send()
        .await
        .expect_err("the handle is closed");
    let error = auth_middleware::auth_error(&error).map(ToString::to_string);
    println!("after close: {}", error.unwrap_or_default());
    server.shutdown().await;
    Ok(())
}
