//! Logouts that need a part of the session which is missing or out of date, as those of Rails.

#![cfg(feature = "recipes")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::{Credential, LoginError, LoginErrorKind, Logout, LogoutReason, Provider, testing};
use auth_providers::recipe::{Recipe, Values};
use auth_providers::{Login as _, Transport};
use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;

const DEVISE: &str = r#"
recipe = 1
name = "devise"
base = "https://app.example"
account = "email"

[[login]]
get = "/users/sign_in"
take.page_csrf = { field = "authenticity_token" }

[[login]]
post = "/users/sign_in"
form = { authenticity_token = "{page_csrf}", "user[email]" = "{email}", "user[password]" = "{password}" }
failures = [{ status = 422, text = 'Invalid Email or password', means = "refused" }]
ok = [{ status = [302, 303], sets_cookie = "_app_session" }]

[attach]
cookies = ["_app_session"]
header.X-CSRF-Token = { value = "{csrf}", methods = "unsafe" }

[[verdicts]]
redirect = '/users/sign_in'
means = "rejected"
[[verdicts]]
status = 422
text = 'change you wanted was rejected'
means = "repair"

[repair]
step.get = "/"
step.take.csrf = { text = '<meta name="csrf-token" content="([^"]+)"' }

[logout]
step.delete = "/users/sign_out"
step.ok = [{ status = [204, 303] }]
"#;

/// A Rails application. It rolls its cookie with each answer, and wants the last one of its csrf
/// values, each of which a page brings.
#[derive(Clone, Default)]
struct Rails(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    lines: Vec<String>,
    rolled: usize,
    /// How many of its next csrf values are out of date when they arrive.
    stale: usize,
    dead: bool,
    /// Whether it answers 503.
    down: bool,
}

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
    let answer = Response::builder().status(status);
    let answer =
        (headers.iter()).fold(answer, |answer, (name, value)| answer.header(*name, *value));
    answer
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

#[async_trait]
impl Transport for Rails {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        let header = |name: &str| {
            let value = request.headers().get(name);
            value.map_or("", |value| value.to_str().unwrap()).to_owned()
        };
        let mut known = self.0.lock();
        let line = format!("{} {}", request.method(), request.uri().path());
        known.lines.push(line.clone());
        let is_live = !known.dead && header("cookie") == format!("_app_session=s{}", known.rolled);
        let csrf = format!("c{}", known.rolled);
        known.rolled += 1;
        let cookie = format!("_app_session=s{}; Path=/; HttpOnly", known.rolled);
        let cookie = ("set-cookie", &*cookie);
        Ok(match &*line {
            _ if known.down => answer(503, &[cookie], ""),
            "GET /users/sign_in" => {
                let form = r#"<input type="hidden" name="authenticity_token" value="p1">"#;
                answer(200, &[cookie], form)
            }
            "POST /users/sign_in" => answer(303, &[("location", "/"), cookie], ""),
            "POST /revoke" => answer(204, &[], ""),
            _ if !is_live => answer(302, &[("location", "/users/sign_in")], ""),
            "GET /" => {
                let stale = known.stale > 0;
                known.stale = known.stale.saturating_sub(1);
                let csrf = format!("c{}", if stale { 0 } else { known.rolled });
                let page = format!(r#"<meta name="csrf-token" content="{csrf}" />"#);
                answer(200, &[cookie], &page)
            }
            _ if header("x-csrf-token") == csrf => {
                known.dead = true;
                answer(303, &[("location", "/")], "")
            }
            _ => answer(422, &[cookie], "The change you wanted was rejected."),
        })
    }
}

/// Logs in, and then out of what `session` makes of that session.
async fn log_out(
    session: impl AsyncFnOnce(&dyn Provider, Credential) -> Credential,
    (stale, dead, was_over): (usize, bool, bool),
) -> (Result<(), LoginError>, Vec<String>) {
    log_out_by(DEVISE, session, (stale, dead, was_over)).await
}

async fn log_out_by(
    recipe: &str,
    session: impl AsyncFnOnce(&dyn Provider, Credential) -> Credential,
    (stale, dead, was_over): (usize, bool, bool),
) -> (Result<(), LoginError>, Vec<String>) {
    let set = |known: &mut Known| (known.stale, known.dead) = (stale, dead);
    log_out_from(recipe, session, set, was_over).await
}

async fn log_out_from(
    recipe: &str,
    session: impl AsyncFnOnce(&dyn Provider, Credential) -> Credential,
    set: impl FnOnce(&mut Known),
    was_over: bool,
) -> (Result<(), LoginError>, Vec<String>) {
    let values = Values::new().with("email", "ada").with("password", "pw");
    let login = recipe.parse::<Recipe>().unwrap().login(&values).unwrap();
    let rails = Rails::default();
    let provider = login.via(rails.clone());
    let begun = provider.login(&"pw".into()).await.unwrap();
    let credential = session(&provider, testing::credential(begun)).await;
    {
        let mut known = rails.0.lock();
        known.lines.clear();
        set(&mut known);
    }
    let logout = Logout::new(LogoutReason::Closing);
    let logout = if was_over {
        logout.of_dead_session()
    } else {
        logout
    };
    let told = provider.logout(&credential, logout).await;
    let lines = rails.0.lock().lines.clone();
    (told, lines)
}

async fn as_begun(_: &dyn Provider, credential: Credential) -> Credential {
    credential
}

/// The session that a page had given a csrf value, which another page has replaced since.
async fn with_an_old_value(provider: &dyn Provider, credential: Credential) -> Credential {
    let fetched = provider.repair(&credential).await.unwrap();
    let credential = credential.updated(&fetched).unwrap();
    let cookies = provider.repair(&credential).await.unwrap();
    let old = credential.header(&"x-csrf-token".parse().unwrap()).unwrap();
    let new = credential.updated(&cookies).unwrap();
    let old = auth_core::Update::new().with_header("x-csrf-token".parse().unwrap(), old.clone());
    new.updated(&old).unwrap()
}

const PAGE: &str = "GET /";
const SIGN_OUT: &str = "DELETE /users/sign_out";

#[tokio::test]
async fn rule_19_a_logout_waits_for_the_part_that_only_a_repair_takes() {
    let (told, lines) = log_out(as_begun, (0, false, false)).await;
    assert_eq!(lines, [PAGE, SIGN_OUT]);
    told.unwrap();
}

#[tokio::test]
async fn rule_19_a_logout_that_is_asked_for_another_part_is_sent_once_more() {
    let (told, lines) = log_out(with_an_old_value, (0, false, false)).await;
    assert_eq!(lines, [SIGN_OUT, PAGE, SIGN_OUT]);
    told.unwrap();

    let (told, lines) = log_out(with_an_old_value, (9, false, false)).await;
    assert_eq!(lines, [SIGN_OUT, PAGE, SIGN_OUT], "and no third time");
    assert_eq!(told.unwrap_err().kind(), LoginErrorKind::Malformed);
}

#[tokio::test]
async fn rule_19_a_logout_that_asks_for_no_part_is_sent_once() {
    // It fails, and so does the fetch that another one begins with.
    for (session_is_whole, line) in [(true, SIGN_OUT), (false, PAGE)] {
        for was_over in [false, true] {
            let down = |known: &mut Known| known.down = true;
            let (told, lines) = if session_is_whole {
                log_out_from(DEVISE, with_an_old_value, down, was_over).await
            } else {
                log_out_from(DEVISE, as_begun, down, was_over).await
            };
            assert_eq!(lines, [line]);
            assert_eq!(told.unwrap_err().kind(), LoginErrorKind::Unavailable);
        }
    }
    // What the recipe calls the end of the session is one, whatever it is to other requests.
    let over = format!("{DEVISE}over = [{{ status = 422 }}]");
    let (told, lines) = log_out_by(&over, with_an_old_value, (0, false, false)).await;
    assert_eq!(lines, [SIGN_OUT]);
    told.unwrap();
}

#[tokio::test]
async fn rule_19_a_repair_for_a_logout_that_is_refused_refuses_no_password() {
    let (told, lines) = log_out(as_begun, (0, true, true)).await;
    assert_eq!(lines, [PAGE]);
    told.unwrap();

    let (told, _) = log_out(as_begun, (0, true, false)).await;
    assert_eq!(told.unwrap_err().kind(), LoginErrorKind::Malformed);
}

/// As that of OAuth, which takes a token in the body.
#[tokio::test]
async fn rule_19_a_logout_that_carries_nothing_of_the_session_fetches_no_part() {
    let (recipe, _) = DEVISE.split_once("[logout]").unwrap();
    let recipe = format!(
        "{recipe}[logout]\nstep = {{ post = \"/revoke\", session = false, form = {{ client = \"a\" }} }}"
    );
    for dead in [false, true] {
        let (told, lines) = log_out_by(&recipe, as_begun, (0, dead, false)).await;
        assert_eq!(lines, ["POST /revoke"]);
        told.unwrap();
    }
}
