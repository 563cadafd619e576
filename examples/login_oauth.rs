//! Logs in by OAuth 2.0's password grant, and refreshes with a token that can be used once. The
//! password is used once, however often the access token ends.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::{Credential, Credentials, Lifetime, LoginError, Refresh, Secret, Session};
use auth_middleware::AuthMiddleware;
use auth_providers::{Account, Answers, Login, ReqwestTransport, Step, request, response};
use bytes::Bytes;
use http::{Request, Response, StatusCode};

mod small_server;

use small_server::{answer, serve};

/// An API with OAuth 2.0 tokens. How a client's own secret goes along stands at `Login`.
struct Acme(Account);

/// What the token endpoint answers (RFC 6749, section 5.1).
fn session(answer: &Response<Bytes>) -> Result<Session, LoginError> {
    let session = Session::new().with_bearer(&response::json_at(answer, "/access_token")?)?;
    let seconds = response::json_at(answer, "/expires_in")?.parse().ok();
    let life = Duration::from_secs(seconds.unwrap_or(300));
    let session = session.with_lifetime(Lifetime::of(life));
    match response::json_at(answer, "/refresh_token") {
        Ok(token) => Ok(session.with_kept("refresh_token", &token)?),
        Err(_) => Ok(session),
    }
}

impl Login for Acme {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        let user = [("grant_type", "password"), ("username", self.0.name())];
        let grant = [&user[..], &[("password", password.expose())]].concat();
        request::post_form(&self.url("/oauth/token"), &grant)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        response::expect_success(answers.last())?;
        Ok(session(answers.last())?.into())
    }

    fn refresh_by(&self) -> Option<Refresh> {
        // It goes to the login's own path, where the server counts both.
        let by_token = Refresh::with_kept("refresh_token").single_use();
        Some(by_token.counts_as_login())
    }

    fn refresh_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
        let token = current.kept("refresh_token").unwrap_or_default();
        let grant = [("grant_type", "refresh_token"), ("refresh_token", token)];
        request::post_form(&self.url("/oauth/token"), &grant)
    }

    fn read_refresh(
        &self,
        answer: &Response<Bytes>,
        _: &Credential,
    ) -> Result<Session, LoginError> {
        response::expect_refreshed(answer)?;
        session(answer)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let site: Arc<Site> = Arc::default();
    let of_server = Arc::clone(&site);
    let server = serve(move |request| of_server.serve(&request)).await?;
    let acme = Acme(Account::new(
        "acme",
        &*server.base_url,
        "ada",
        "correct horse",
    )?);
    let credentials = Credentials::new(acme.via(ReqwestTransport::new()?));
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials)?;
    let url = format!("{}/me", server.base_url);
    for _ in 0..4 {
        println!("{}", client.get(&url).send().await?.text().await?);
        // The access token is revoked. The refresh token is not.
        site.state().access.clear();
    }
    let state = site.state();
    println!(
        "{} login with the password, {} refreshes",
        state.logins,
        state.used.len()
    );
    anyhow::ensure!(
        (state.logins, state.used.len()) == (1, 3),
        "one password login"
    );
    anyhow::ensure!(!state.reused, "each refresh token is sent once");
    Ok(())
}

/// The server's part.
#[derive(Default)]
struct Site(Mutex<State>);

#[derive(Default)]
struct State {
    logins: usize,
    issued: usize,
    /// The access token that is good now.
    access: String,
    used: HashSet<String>,
    reused: bool,
}

impl Site {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no panic")
    }

    fn serve(&self, request: &Request<String>) -> Response<String> {
        let mut state = self.state();
        let header = request.headers().get("authorization");
        let authorization = header
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        if request.uri().path() == "/me" {
            return if !state.access.is_empty()
                && authorization == format!("Bearer {}", state.access)
            {
                answer(StatusCode::OK, &[], "ada")
            } else {
                answer(StatusCode::UNAUTHORIZED, &[], "")
            };
        }
        let body = request.body();
        if let Some(token) = body.strip_prefix("grant_type=refresh_token&refresh_token=") {
            state.reused |= !state.used.insert(token.to_owned());
            if token != format!("refresh-{}", state.issued) {
                return answer(StatusCode::BAD_REQUEST, &[], r#"{"error":"invalid_grant"}"#);
            }
        } else if body == "grant_type=password&username=ada&password=correct+horse" {
            state.logins += 1;
        } else {
            return answer(StatusCode::BAD_REQUEST, &[], r#"{"error":"invalid_grant"}"#);
        }
        state.issued += 1;
        state.access = format!("access-{}", state.issued);
        let tokens = format!(
            r#"{{"access_token":"{}","token_type":"Bearer","expires_in":300,"refresh_token":"refresh-{}"}}"#,
            state.access, state.issued
        );
        answer(
            StatusCode::OK,
            &[("content-type", "application/json")],
            tokens,
        )
    }
}
