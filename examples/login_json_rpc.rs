//! Logs in to a JSON-RPC server, which answers everything with 200: a wrong password, a session
//! that is over, and success are told apart by the body.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use auth_core::{
    Credentials, Judge, LoginError, ResponseView, Secret, Session, StatusJudge, Verdict,
};
use auth_middleware::AuthMiddleware;
use auth_providers::{Account, Answers, Login, ReqwestTransport, Step, request, response};
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

mod small_server;

use small_server::{answer, serve};

/// A monitoring server. Its method `login` returns a token.
struct Monitor(Account);

const WRONG: &str = "-32500";
const OVER: i64 = -32_602;

impl Login for Monitor {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn judge(&self) -> &dyn Judge {
        &MonitorJudge
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        let params = [self.0.name(), password.expose()];
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "login", "params": params});
        request::post_json(&self.url("/rpc"), &call)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let answer = answers.last();
        response::expect_success(answer)?;
        match response::json_at(answer, "/error/code").as_deref() {
            Ok(WRONG) => Err(LoginError::refused("the error is about the password")),
            Ok(_) => Err(LoginError::malformed("an error")),
            Err(_) => {
                let token = response::json_at(answer, "/result")?;
                Ok(Session::new().with_bearer(&token)?.into())
            }
        }
    }
}

/// Looks at the body of an answer that is 200, if it is short JSON. The answers of downloads and
/// streams are not held back for it.
struct MonitorJudge;

impl Judge for MonitorJudge {
    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        head.status == StatusCode::OK && head.is_json_of_at_most(4 * 1024)
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        let body = response.body.map(serde_json::from_slice::<Value>);
        match body {
            Some(Ok(reply)) if reply["error"]["code"] == OVER => Verdict::Rejected,
            _ => StatusJudge.judge(response),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let logins = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&logins);
    let server = serve(move |request| serve_call(&request, &counted)).await?;
    let account = |password| Account::new("monitor", &*server.base_url, "ada", password);

    let monitor = Monitor(account("correct horse")?);
    let credentials = Credentials::new(monitor.via(ReqwestTransport::new()?));
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials)?;
    let call = || {
        let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "hosts", "params": [] });
        let request = client.post(format!("{}/rpc", server.base_url));
        request.body(call.to_string()).send()
    };
    println!("{}", call().await?.text().await?);
    anyhow::ensure!(logins.load(SeqCst) == 1, "one login");

    // The server knows the token of its newest login alone, and has forgotten this one.
    logins.fetch_add(1, SeqCst);
    let answer = call().await?.text().await?;
    println!("{answer}");
    anyhow::ensure!(
        answer.contains("hosts of token 3"),
        "the call was sent again, after a login"
    );

    let wrong = Monitor(account("not the password")?);
    let wrong = Credentials::new(wrong.via(ReqwestTransport::new()?));
    let error = wrong.get().await.expect_err("a wrong password");
    anyhow::ensure!(error.is_login_refused(), "the error says so");
    println!("{:#}", anyhow::Error::from(error));
    Ok(())
}

/// The server's part. Each login has a number, and only the newest one is known.
fn serve_call(request: &Request<String>, logins: &AtomicU32) -> Response<String> {
    let call: Value = serde_json::from_str(request.body()).unwrap_or_default();
    let newest = || format!("token-{}", logins.load(SeqCst));
    let carried = request.headers().get(AUTHORIZATION);
    let is_known = carried.is_some_and(|carried| *carried == *format!("Bearer {}", newest()));
    let mut reply = json!({ "jsonrpc": "2.0", "id": call["id"] });
    if call["method"] == "login" && call["params"] == json!(["ada", "correct horse"]) {
        logins.fetch_add(1, SeqCst);
        reply["result"] = newest().into();
    } else if call["method"] == "login" {
        reply["error"] = json!({ "code": -32_500, "message": "Incorrect user name or password." });
    } else if is_known {
        reply["result"] = json!([format!("hosts of {}", newest().replace('-', " "))]);
    } else {
        reply["error"] =
            json!({ "code": OVER, "message": "Session terminated, re-login, please." });
    }
    let kind = [("content-type", "application/json")];
    answer(StatusCode::OK, &kind, reply.to_string())
}
