//! HTTP Basic with a session id beside it, which a server brings with a 409 whenever it wants
//! another one. The request is sent once more with it, and there is no other login.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use auth_core::{
    Credential, Credentials, Judge, LoginError, ResponseView, Secret, Session, StatusJudge, Update,
    Verdict,
};
use auth_middleware::AuthMiddleware;
use auth_providers::{Account, Answers, Login, ReqwestTransport, Step, request, response};
use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};

mod small_server;

use small_server::{answer, serve};

const SESSION_ID: HeaderName = HeaderName::from_static("x-session-id");

/// A download manager that takes the password with each request, and a session id.
struct Downloads(Account);

impl Login for Downloads {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn judge(&self) -> &dyn Judge {
        &|response: &ResponseView<'_>| match response.status {
            StatusCode::CONFLICT => Verdict::NeedsRepair,
            _ => StatusJudge.judge(response),
        }
    }

    fn updates(&self) -> bool {
        true
    }

    fn update(&self, response: &ResponseView<'_>, _: &Credential) -> Update {
        match response.headers.get(SESSION_ID) {
            Some(id) => Update::new().with_header(SESSION_ID, id.clone()),
            None => Update::new(),
        }
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        let request = request::get(&self.url("/rpc"))?;
        request::with_basic(request, self.0.name(), password.expose())
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let answer = answers.last();
        let Some(id) = answer.headers().get(SESSION_ID) else {
            return Err(response::failure(answer));
        };
        let session = Session::new().with_basic(self.0.name(), answers.secret().expose())?;
        Ok(session.with_header(SESSION_ID, id.clone()).into())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (current, requests) = (Arc::new(AtomicU32::new(1)), Arc::new(Mutex::new(0)));
    let site = (Arc::clone(&current), Arc::clone(&requests));
    let server = serve(move |request| serve_rpc(&request, &site.0, &site.1)).await?;
    let account = |password| Account::new("downloads", &*server.base_url, "ada", password);

    let downloads = Downloads(account("correct horse")?);
    let credentials = Credentials::new(downloads.via(ReqwestTransport::new()?));
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials.clone())?;
    for _ in 0..3 {
        let list = client
            .post(format!("{}/rpc", server.base_url))
            .send()
            .await?;
        println!("{}", list.text().await?);
        // The server starts anew.
        current.fetch_add(1, SeqCst);
    }
    let sent = *requests.lock().expect("no panic");
    println!("{} login, {sent} requests", credentials.status().sessions);
    anyhow::ensure!(
        (credentials.status().sessions, sent) == (1, 6),
        "a login, 3 requests, 2 more"
    );

    let wrong = Downloads(account("not the password")?);
    let wrong = Credentials::new(wrong.via(ReqwestTransport::new()?));
    let error = wrong.get().await.expect_err("a wrong password");
    anyhow::ensure!(error.is_login_refused(), "the error says so");
    Ok(())
}

/// The server's part.
fn serve_rpc(
    request: &Request<String>,
    current: &AtomicU32,
    requests: &Mutex<u32>,
) -> Response<String> {
    *requests.lock().expect("no panic") += 1;
    let header = |name: &str| request.headers().get(name)?.to_str().ok();
    // "ada:correct horse"
    if header("authorization") != Some("Basic YWRhOmNvcnJlY3QgaG9yc2U=") {
        return answer(StatusCode::UNAUTHORIZED, &[], "");
    }
    let id = current.load(SeqCst).to_string();
    if header("x-session-id") == Some(&id) {
        return answer(StatusCode::OK, &[], "nothing to download");
    }
    let mut conflict = answer(StatusCode::CONFLICT, &[], "");
    if let Ok(id) = id.parse() {
        conflict.headers_mut().insert(SESSION_ID, id);
    }
    conflict
}
