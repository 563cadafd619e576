//! Recipes of APIs that want the session in the body of each request.

#![cfg(feature = "recipes")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use auth_core::testing::Scripted;
use auth_core::{BodyField, Credential, Credentials, ResponseView, Session, Target, Update};
use auth_providers::recipe::{Recipe, RecipeLogin, Values};
use auth_providers::{Answers, Login, Step};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

const UBUS: &str = r#"
recipe = 1
name = "ubus"
documents = ["OpenWrt: ubus over HTTP"]
base = "https://router.example.com"
account = "username"

[[login]]
post = "/ubus"
json = { jsonrpc = "2.0", id = 1, method = "call", params = ["0", "session", "login", { username = "{username}", password = "{password}" }] }
failures = [{ json."/result/0" = [6], means = "refused" }]
take.sid = { json = "/result/1/ubus_rpc_session" }

[life]
idle = "5m"

[attach]
body."/params/0" = { value = "{sid}", below = ["/ubus"] }
form.sid = { value = "{sid}", methods = "unsafe" }
form.token = "{csrf}"

[capture]
sid = { header = "x-sid" }

[[verdicts]]
status = 403
means = "repair"

[repair]
step.get = "/csrf"
step.take.csrf = { json = "/csrf" }

[logout]
step.post = "/ubus"
step.json = { method = "call", params = ["{sid}", "session", "destroy", {}] }
"#;

fn login(text: &str) -> RecipeLogin {
    let recipe: Recipe = text.parse().unwrap();
    let values = Values::new().with("username", "root");
    recipe.login(&values.with("password", "pw")).unwrap()
}

fn session(login: &RecipeLogin) -> Session {
    let secret = "pw".into();
    let uri = "https://router.example.com/ubus".parse().unwrap();
    let answer = r#"{"result": [0, {"ubus_rpc_session": "c1a8"}]}"#;
    let answers = Answers::new(&uri, Response::new(answer.into()), &secret);
    match login.read(&answers).unwrap() {
        Step::Session(session) => session,
        step => panic!("{step:?}"),
    }
}

/// The credential of a session, without its missing parts: nothing fetches them here.
fn credential(session: &Session) -> Arc<Credential> {
    let parts = session.to_parts();
    let there = parts
        .expose()
        .lines()
        .filter(|line| !line.ends_with(" fetched"));
    let text = there.collect::<Vec<_>>().join("\n");
    let session = auth_core::SessionParts::from(text).to_session().unwrap();
    let credentials = Credentials::new(Scripted::new(move |_| Ok(session.clone())));
    credentials.blocking_get().unwrap()
}

fn fields(credential: &Credential, method: &Method, path: &str) -> Vec<String> {
    let target = Target::new("https", "router.example.com", path).with_method(method);
    let line = |field| match field {
        BodyField::Json { pointer, value } => format!("{pointer} {value}"),
        BodyField::Form { name, value } => format!("{name} {value}"),
        other => panic!("{other:?}"),
    };
    credential.body_fields(target).map(line).collect()
}

#[test]
fn a_recipe_puts_the_session_in_bodies_under_its_conditions() {
    let login = login(UBUS);
    let session = session(&login);
    let parts = session.to_parts();
    let missing = "form name=token fetched\n";
    assert!(parts.expose().contains(missing), "{}", parts.expose());
    let credential = credential(&session);
    let both = ["/params/0 c1a8", "sid c1a8"];
    assert_eq!(fields(&credential, &Method::POST, "/ubus"), both);
    assert_eq!(fields(&credential, &Method::GET, "/ubus"), both[..1]);
    assert_eq!(fields(&credential, &Method::POST, "/cgi"), both[1..]);
    // Its own logout names the value.
    let logout = login.logout_request(&credential).unwrap();
    let body = std::str::from_utf8(logout.body()).unwrap();
    assert!(
        body.contains(r#"["c1a8","session","destroy",{}]"#),
        "{body}"
    );
}

#[test]
fn what_a_response_or_a_repair_brings_rolls_the_fields() {
    let login = login(UBUS);
    let credential = credential(&session(&login));
    let headers =
        HeaderMap::from_iter([("x-sid".parse().unwrap(), HeaderValue::from_static("d2"))]);
    let view = ResponseView::new(StatusCode::OK, &headers);
    let captured = format!("{:?}", login.update(&view, &credential));
    assert!(
        captured.contains(r#"body: ["/params/0", "sid"]"#),
        "{captured}"
    );
    let answer = Response::new(Bytes::from(r#"{"csrf": "c"}"#));
    let repaired = login.read_repair(&answer, &credential).unwrap();
    let expected = Update::new().with_form_field("token", "c").unwrap();
    assert_eq!(format!("{repaired:?}"), format!("{expected:?}"));
}

#[test]
fn a_field_without_a_place_is_a_mistake_with_its_field() {
    let place = r#"body."/params/0""#;
    for (new, field, says) in [
        (r#"body."""#, "attach.body.", "less than the whole body"),
        (
            r#"body."params""#,
            "attach.body.params",
            "is not a JSON pointer",
        ),
        (r#"body."/~2""#, "attach.body./~2", "is not a JSON pointer"),
    ] {
        let error = UBUS.replace(place, new).parse::<Recipe>().err().unwrap();
        assert_eq!(error.field(), field, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let unknown = UBUS.replace(r#"token = "{csrf}""#, r#"token = "{csfr}""#);
    let error = unknown.parse::<Recipe>().err().unwrap();
    assert_eq!(error.field(), "attach.form.token", "{error}");
}
