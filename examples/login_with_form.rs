//! Logs in as a browser does: gets a page, and posts its form with the csrf value of the page. The
//! login takes two requests, and the cookie that the page sets goes from the one to the other.

#![allow(clippy::print_stdout, reason = "it prints the results")]

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use auth_core::{
    Credentials, Judge, LoginError, ResponseView, Secret, Session, StatusJudge, Verdict,
};
use auth_middleware::AuthMiddleware;
use auth_providers::{Account, Answers, Login, ReqwestTransport, Step, request, response};
use bytes::Bytes;
use http::{Request, Response, StatusCode};

mod small_server;

use small_server::{answer, has_cookie, serve};

/// A wiki whose login is a page for people.
struct Wiki(Account);

impl Login for Wiki {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn judge(&self) -> &dyn Judge {
        &WikiJudge
    }

    fn request(&self, _: &Secret) -> Result<Request<Bytes>, LoginError> {
        request::get(&self.url("/login"))
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        if let [page] = answers.all() {
            response::expect_success(page)?;
            let csrf = response::hidden_field(page, "csrf")?;
            let (user, password) = (self.0.name(), answers.secret().expose());
            let fields = [("csrf", &*csrf), ("user", user), ("password", password)];
            // The cookie that the page has set goes along by itself.
            return Ok(request::post_form(&self.url("/login"), &fields)?.into());
        }
        // The wiki shows its form again if the password is wrong, and leads on if it is right. In
        // an outage, or beyond a limit, it may show it as well.
        let answer = answers.last();
        if answer.status().is_success() && response::hidden_field(answer, "csrf").is_ok() {
            return Err(LoginError::refused("the form was shown again"));
        }
        // A server may set this cookie with any answer, even with that of an outage or a limit.
        let leads_on = answer.status().is_redirection();
        match answers.cookie("session").filter(|_| leads_on) {
            Some(cookie) => Ok(Session::new().with_set_cookie(&cookie)?.into()),
            None => Err(response::failure(answer)),
        }
    }
}

/// The wiki leads to its login page when a session is over.
struct WikiJudge;

impl Judge for WikiJudge {
    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match response.location() {
            Some("/login") => Verdict::Rejected,
            _ => StatusJudge.judge(response),
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (requests, revoked) = (Arc::default(), Arc::default());
    let site = (Arc::clone(&requests), Arc::clone(&revoked));
    let server = serve(move |request| serve_page(&request, &site.0, &site.1)).await?;
    let account = |password| Account::new("wiki", &*server.base_url, "ada", password);

    let wiki = Wiki(account("correct horse")?);
    let credentials = Credentials::new(wiki.via(ReqwestTransport::new()?));
    let builder = reqwest::Client::builder().no_proxy();
    let client = AuthMiddleware::build_client(builder, credentials)?;
    let page = || client.get(format!("{}/page", server.base_url)).send();
    println!("{}", page().await?.text().await?);

    // The session is over. The page is asked for again, after another login.
    revoked.store(true, SeqCst);
    println!("{}", page().await?.text().await?);
    let login = ["GET /login", "POST /login"];
    let first = [&login[..], &["GET /page"]].concat();
    let second = [&["GET /page"], &login[..], &["GET /page"]].concat();
    let expected = [first, second].concat();
    anyhow::ensure!(
        *requests.lock().expect("no panic") == expected,
        "two logins of two requests"
    );

    let wrong = Wiki(account("not the password")?);
    let wrong = Credentials::new(wrong.via(ReqwestTransport::new()?));
    let error = wrong.get().await.expect_err("a wrong password");
    anyhow::ensure!(error.is_login_refused(), "the error says so");
    println!("{:#}", anyhow::Error::from(error));
    Ok(())
}

/// The server's part. `revoked` makes it forget its session once.
fn serve_page(
    request: &Request<String>,
    requests: &Mutex<Vec<String>>,
    revoked: &AtomicBool,
) -> Response<String> {
    let line = format!("{} {}", request.method(), request.uri().path());
    requests.lock().expect("no panic").push(line.clone());
    let form = r#"<form method="post"><input type="hidden" name="csrf" value="c&#43;1"></form>"#;
    let form = || {
        answer(
            StatusCode::OK,
            &[("set-cookie", "csrf=c+1; HttpOnly")],
            form,
        )
    };
    match &*line {
        "GET /login" => form(),
        "POST /login" => {
            let right = "csrf=c%2B1&user=ada&password=correct+horse";
            if request.body() != right || !has_cookie(request, "csrf=c+1") {
                return form();
            }
            let session = ("set-cookie", "session=s-1; Path=/; HttpOnly");
            answer(StatusCode::SEE_OTHER, &[("location", "/"), session], "")
        }
        _ if has_cookie(request, "session=s-1") && !revoked.swap(false, SeqCst) => {
            answer(StatusCode::OK, &[], "a page of the wiki")
        }
        _ => answer(StatusCode::FOUND, &[("location", "/login")], ""),
    }
}
