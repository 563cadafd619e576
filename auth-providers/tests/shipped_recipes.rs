//! What the recipes of this crate make of servers in states that are not every day's.

#![cfg(feature = "recipes")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::{
    Credential, LoginError, Provider as _, ResponseView, Session, Verdict, basic, testing,
};
use auth_providers::recipe::{Recipe, RecipeLogin, Values};
use auth_providers::{Answers, Login as _, Step, Transport};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use parking_lot::Mutex;

const USER: [(&str, &str); 2] = [("username", "ada"), ("password", "pw")];

fn recipe(text: &str, values: &[(&str, &str)]) -> RecipeLogin {
    let recipe: Recipe = text.parse().unwrap();
    let all = Values::new().with("url", "https://api.example.com");
    let values = values
        .iter()
        .fold(all, |all, (name, value)| all.with(*name, *value));
    recipe.login(&values).unwrap()
}

/// A Jenkins. Each start gives the session's cookie another name, and a crumb belongs to the
/// session of that cookie.
#[derive(Clone, Default)]
struct Jenkins(Arc<Mutex<(usize, usize)>>);

#[async_trait]
impl Transport for Jenkins {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        let mut state = self.0.lock();
        let (start, sessions) = &mut *state;
        let cookies = request.headers().get("cookie");
        let cookies = cookies.map_or("", |value| value.to_str().unwrap());
        let name = format!("JSESSIONID.{start:08x}=");
        let own = cookies
            .split("; ")
            .find_map(|pair| pair.strip_prefix(&*name));
        let mut answer = Response::builder();
        let session = own.map_or_else(
            || {
                *sessions += 1;
                format!("node{sessions}")
            },
            str::to_owned,
        );
        if own.is_none() {
            answer = answer.header("set-cookie", format!("{name}{session}; Path=/; HttpOnly"));
        }
        if request.uri().path() == "/crumbIssuer/api/json" {
            let body = format!(r#"{{"crumb":"c-{session}","crumbRequestField":"Jenkins-Crumb"}}"#);
            return Ok(answer.body(body.into()).unwrap());
        }
        let crumb = request.headers().get("jenkins-crumb");
        let is_good = crumb.is_some_and(|crumb| *crumb == *format!("c-{session}"));
        let (status, body) = if is_good {
            (201, "")
        } else {
            (403, "No valid crumb was included in the request")
        };
        Ok(answer.status(status).body(body.into()).unwrap())
    }
}

#[tokio::test]
async fn rule_8_after_a_restart_of_jenkins_a_repair_brings_the_cookie_of_the_crumb() {
    let jenkins = Jenkins::default();
    let provider = recipe(include_str!("../recipes/jenkins.toml"), &USER).via(jenkins.clone());
    let build = async |credential: &Credential| {
        let request = Request::post("https://api.example.com/job/a/build");
        let mut request = request.body(Bytes::new()).unwrap();
        credential.attach(&mut request).unwrap();
        jenkins.carry(request).await.unwrap().status().as_u16()
    };
    let session = provider.login(&"pw".into()).await.unwrap();
    let credential = testing::credential(session);
    assert_eq!(build(&credential).await, 201);
    jenkins.0.lock().0 += 1;
    assert_eq!(
        build(&credential).await,
        403,
        "it has forgotten its sessions"
    );
    let repaired = provider.repair(&credential).await.unwrap();
    let credential = credential.updated(&repaired).unwrap();
    assert_eq!(build(&credential).await, 201, "{credential:?}");
}

#[test]
fn the_id_of_an_oauth_client_is_encoded_as_a_form_has_it() {
    // RFC 6749, appendix B. Some servers decode nothing.
    let (id, secret) = ("my-client_1.web", "3f2b8c1e-9d7a-4b6c");
    let client = [("client_id", id), ("client_secret", secret)];
    let text = include_str!("../recipes/oauth_client_credentials.toml");
    let request = recipe(text, &client).request(&secret.into()).unwrap();
    assert_eq!(
        request.headers()["authorization"],
        basic(id, secret).unwrap()
    );
    let client = [("client_id", "my client"), ("client_secret", "a:b")];
    let request = recipe(text, &client).request(&"a:b".into()).unwrap();
    assert_eq!(
        request.headers()["authorization"],
        basic("my%20client", "a%3Ab").unwrap()
    );
}

fn logged_in(login: &RecipeLogin, answer: &'static str) -> Session {
    let (url, secret) = (
        "https://api.example.com/oauth2/token".parse().unwrap(),
        "pw".into(),
    );
    let answers = Answers::new(&url, Response::new(answer.into()), &secret);
    match login.read(&answers) {
        Ok(Step::Session(session)) => session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_without_a_refresh_token_is_a_session_and_is_revoked_itself() {
    // RFC 6749, section 5.1: it is optional.
    let [user, password] = USER;
    let client = [
        user,
        password,
        ("client_id", "client"),
        ("client_secret", "key"),
    ];
    let lasting = recipe(include_str!("../recipes/oauth_password.toml"), &client);
    let rotating = include_str!("../recipes/oauth_password_rotating.toml");
    let rotating = recipe(rotating, &client[..3]);
    for login in [lasting, rotating] {
        for (answer, revoked) in [
            (r#"{"access_token":"t-1","expires_in":3600}"#, "token=t-1"),
            (
                r#"{"access_token":"t-1","refresh_token":"r-1"}"#,
                "token=r-1",
            ),
        ] {
            let credential = testing::credential(logged_in(&login, answer));
            let request = login.logout_request(&credential).unwrap().unwrap();
            let body = String::from_utf8_lossy(request.body()).into_owned();
            assert!(body.split('&').any(|pair| pair == revoked), "{body}");
        }
    }
}

#[test]
fn rule_7_a_dead_session_of_odoo_is_noticed_where_answers_have_no_length() {
    let text = include_str!("../recipes/odoo.toml");
    let [user, password] = USER;
    let login = recipe(text, &[user, password, ("database", "prod")]);
    let judge = login.judge();
    let mut headers = HeaderMap::new();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert("content-type", json);
    let body = br#"{"jsonrpc":"2.0","error":{"code":100,"message":"Odoo Session Expired"}}"#;
    let head = ResponseView::new(StatusCode::OK, &headers);
    assert!(judge.wants_body(&head));
    assert_eq!(judge.judge(&head.with_body(body)), Verdict::Rejected);
}
