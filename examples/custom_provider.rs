//! Adds an API of your own. Its login is a value. The rest is as for the APIs that are built in.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::time::Duration;

use auth_core::{
    Credentials, Identity, Judge, Lifetime, LoginError, ResponseView, Secret, Session, StatusJudge,
    Verdict,
};
use auth_middleware::AuthMiddleware;
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD, Settings};
use auth_providers::{Account, Answers, Login, ReqwestTransport, Step, request, response};
use bytes::Bytes;
use http::{Request, StatusCode};
use serde::{Deserialize, Serialize};

/// An API that takes an e-mail address and a password at `/v1/login`, and responds with a token
/// that is valid for a day.
struct Acme(Account);

#[derive(Serialize)]
struct RequestBody<'a> {
    email: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct ResponseBody {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    token: String,
}

impl Login for Acme {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn judge(&self) -> &dyn Judge {
        &AcmeJudge
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        let body = RequestBody {
            email: self.0.name(),
            password: password.expose(),
        };
        // Keeps the password in memory that is zeroed when it is dropped.
        request::post_json(&self.url("/v1/login"), &body)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let response = answers.last();
        // This API responds with 400 to a wrong password. Other failures are as for any API.
        if response.status() == StatusCode::BAD_REQUEST {
            return Err(LoginError::refused("status 400"));
        }
        response::expect_success(response)?;
        let body: ResponseBody = response::json(response)?;
        let day = Duration::from_secs(86_400);
        Ok(Session::new()
            .with_bearer(&body.data.token)?
            .with_lifetime(Lifetime::of(day))
            .into())
    }
}

/// This API responds with 419 when a session is over.
struct AcmeJudge;

impl Judge for AcmeJudge {
    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        if response.status.as_u16() == 419 {
            return Verdict::Rejected;
        }
        StatusJudge.judge(response)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The demo server of the V1 login stands in for Acme's, because the two logins are alike.
    let settings = Settings::new().login_latency(Duration::from_millis(20));
    let server = DemoServer::start_with(Api::V1Login, settings).await?;
    let acme = Acme(Account::new("acme", server.base_url(), EMAIL, PASSWORD)?);

    let credentials = Credentials::builder(acme.via(ReqwestTransport::new()?))
        .observer(|_: &Identity, event: &auth_core::Event| println!("  {event:?}"))
        .build();
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials.clone())?;
    let response = client.get(server.url("/v1/me")).send().await?;
    println!("{}", response.status());
    anyhow::ensure!(response.status() == 200, "the request is logged in");

    let wrong = Account::new("acme", server.base_url(), EMAIL, "not the password")?;
    let wrong = Credentials::new(Acme(wrong).via(ReqwestTransport::new()?));
    let error = wrong.get().await.expect_err("a wrong password");
    anyhow::ensure!(error.is_login_refused(), "the error says so");
    println!("{:#}", anyhow::Error::from(error));
    server.shutdown().await;
    Ok(())
}
