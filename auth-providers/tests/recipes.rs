//! What a recipe's author and its user meet.

#![cfg(feature = "recipes")]

use std::time::Duration;

use auth_core::{Lifetime, Session};
use auth_providers::recipe::{Recipe, Values};
use auth_providers::{Answers, Login, Step};
use bytes::Bytes;
use http::{Request, Response};

const PROXMOX: &str = r#"
recipe = 1
name = "proxmox"
documents = ["Proxmox VE API: Ticket and CSRF token"]
base = "https://{host}:8006"
account = "username"

[fields.host]
about = "the machine, as pve1.example.com"

[[login]]
post = "/api2/json/access/ticket"
form = { username = "{username}", password = "{password}" }
failures = [{ status = 401, means = "refused" }]
take.ticket = { json = "/data/ticket" }
take.csrf = { json = "/data/CSRFPreventionToken" }

[life]
fixed = "2h"

[attach]
cookie.PVEAuthCookie = "{ticket}"
header.CSRFPreventionToken = { value = "{csrf}", methods = "unsafe" }

[refresh]
with = "ticket"
counts_as_login = true
step.post = "/api2/json/access/ticket"
step.form = { username = "{username}", password = "{ticket}" }
"#;

fn values() -> Values {
    Values::new()
        .with("host", "pve1.example.com")
        .with("username", "ada@pam")
        .with("password", "correct & horse")
}

fn request(login: &impl Login) -> Request<Bytes> {
    login.request(&"correct & horse".into()).unwrap()
}

fn session(login: &impl Login, answer: &'static str) -> Session {
    let secret = "correct & horse".into();
    let answers = Answers::new(request(login).uri(), Response::new(answer.into()), &secret);
    match login.read(&answers).unwrap() {
        Step::Session(session) => session,
        step => panic!("{step:?}"),
    }
}

#[test]
fn a_recipe_makes_the_documented_request_and_reads_the_documented_answer() {
    let recipe: Recipe = PROXMOX.parse().unwrap();
    let login = recipe.login(values()).unwrap();
    let request = request(&login);
    assert_eq!(request.method(), "POST");
    assert_eq!(
        request.uri(),
        "https://pve1.example.com:8006/api2/json/access/ticket"
    );
    assert_eq!(
        *request.body(),
        "password=correct+%26+horse&username=ada%40pam"
    );
    let answer = r#"{"data": {"ticket": "t-1", "CSRFPreventionToken": "c-1"}}"#;
    let session = session(&login, answer);
    assert_eq!(session.lifetime(), Lifetime::of(Duration::from_secs(7_200)));
}
