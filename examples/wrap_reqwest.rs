//! Wraps an existing reqwest client. Its requests carry the credential from then on.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use auth_core::Credentials;
use auth_middleware::{AuthContext, AuthMiddleware};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{Clay, Login, ReqwestTransport};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Stands in for https://api.clay.com, the default base URL of `Clay::new`.
    let server = DemoServer::start(Api::Clay).await?;
    let clay = Clay::new(EMAIL, PASSWORD)?.base_url(server.base_url())?;
    let workspaces = clay.url("/v3/my-workspaces");

    let credentials = Credentials::new(clay.via(ReqwestTransport::new()?));
    // The client keeps its own configuration, but for redirects: the middleware follows them, and
    // the credential goes to no other host. The server is on loopback, so there is no proxy.
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials.clone())?;

    // A request logs in if there is no session. Four hundred at once cause one login.
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..400 {
        requests.spawn(client.get(&workspaces).send());
    }
    while let Some(response) = requests.join_next().await {
        anyhow::ensure!(response??.status() == 200, "each request is served");
    }
    println!("400 requests, {} login", server.counts().logins.ok);
    anyhow::ensure!(server.counts().logins.ok == 1, "one login for all requests");

    // The server revokes its sessions. Callers do not notice.
    server.revoke_all();
    let response = client
        .post(&workspaces)
        .body("a body that goes out twice")
        .send()
        .await?;
    println!(
        "after a revocation: {}, echoed: {:?}",
        response.status(),
        response.text().await?
    );

    // A request can opt out: it is sent without a credential.
    let response = client
        .get(&workspaces)
        .with_extension(AuthContext::skip())
        .send()
        .await?;
    println!("skipped: {}", response.status());
    anyhow::ensure!(response.status() == 401, "it was sent without a credential");

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
