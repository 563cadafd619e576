//! Adds a layer to a tower stack over hyper-util's client. Reqwest is not involved, not even for
//! the login.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::time::Duration;

use auth_core::{Ask, Credentials};
use auth_middleware::{AuthContext, AuthLayer};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
use auth_providers::{CloudIo, Login, TowerTransport};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tower::{Service, ServiceBuilder, ServiceExt};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let server = DemoServer::start(Api::CloudIo).await?;
    let hyper_client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();

    // The login has its own client, because it must not pass through the layer that waits for it,
    // nor take a connection that another runtime may have left idle.
    let login_client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http::<Full<Bytes>>();
    let cloudio = CloudIo::new(server.base_url(), EMAIL, PASSWORD)?;
    let query = cloudio.url("/v1/query");
    let credentials = Credentials::new(cloudio.via(TowerTransport::new(login_client)));

    let mut service = ServiceBuilder::new()
        .layer(AuthLayer::new(credentials.clone()))
        .concurrency_limit(64)
        .service(hyper_client);

    let request = Request::post(&query)
        // Waits no longer than this for a credential.
        .extension(AuthContext::new().ask(Ask::new().within(Duration::from_secs(10))))
        .body(Full::from("select 1"))?;
    let response = service
        .ready()
        .await
        .map_err(anyhow::Error::from_boxed)?
        .call(request)
        .await;
    let response = response.map_err(anyhow::Error::from_boxed)?;
    let status = response.status();
    let echoed = response.into_body().collect().await?.to_bytes();
    println!("{status}, echoed: {echoed:?}");

    // A revocation ends both values of the session, the token in a header and the csrf value in the
    // query. One login renews both.
    server.revoke_all();
    let request = Request::post(&query).body(Full::from("select 2"))?;
    let response = service
        .ready()
        .await
        .map_err(anyhow::Error::from_boxed)?
        .call(request)
        .await;
    let response = response.map_err(anyhow::Error::from_boxed)?;
    println!("after a revocation: {}", response.status());
    anyhow::ensure!(response.status() == 200, "recovered");
    anyhow::ensure!(server.counts().logins.ok == 2, "by one login");
    println!("{:?}", credentials.status());
    server.shutdown().await;
    Ok(())
}
