//! Parts of a session that are fields of a request's body.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Attempt, BodyField, Credential, Credentials, Identity, LoginError, Part, Provider,
    ResponseView, Secret, SecretSource, Session, SessionParts, Target, Update, When,
};
use futures_util::FutureExt;
use http::{HeaderMap, Method, StatusCode};

use crate::support::{HERE, on, set_cookie};

const READ: Target<'_> = HERE.with_method(&Method::GET);
const WRITE: Target<'_> = HERE.with_method(&Method::POST);
const ROLL: &str = "x-roll";

/// Its responses roll fields, and a repair fetches one.
struct Api(Scripted);

#[async_trait]
impl Provider for Api {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.0.secret()
    }

    fn repairs(&self) -> bool {
        true
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        Ok(Update::new().with_json_field("/csrf", "fetched")?)
    }

    fn updates(&self) -> bool {
        true
    }

    fn update(&self, response: &ResponseView<'_>, _: &Credential) -> Update {
        let Some(value) = response.headers.get(ROLL) else {
            return Update::new();
        };
        let value = value.to_str().unwrap();
        Update::new()
            .with_json_field("/auth", value)
            .and_then(|update| update.with_form_field("_sid", value))
            .unwrap()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.0.login(secret).await
    }
}

fn handle(parts: impl IntoIterator<Item = Part>) -> Credentials {
    let session = parts.into_iter().fold(Session::new(), |session, part| {
        session.with_part(part).unwrap()
    });
    let api = Api(Scripted::new(move |_| Ok(session.clone())));
    let credentials = Credentials::builder(api)
        .clock(ManualClock::new().clock())
        .build();
    credentials.blocking_get().unwrap();
    credentials
}

fn current(credentials: &Credentials) -> Arc<Credential> {
    credentials.peek().unwrap()
}

fn fields(credential: &Credential, target: Target<'_>) -> Vec<String> {
    let line = |field| match field {
        BodyField::Json { pointer, value } => format!("json {pointer} {value}"),
        BodyField::Form { name, value } => format!("form {name} {value}"),
        other => panic!("{other:?}"),
    };
    credential.body_fields(target).map(line).collect()
}

fn hear(credentials: &Credentials, headers: &HeaderMap) {
    let attempt = Attempt::new(credentials, &current(credentials));
    attempt.conclude(&ResponseView::new(StatusCode::OK, headers));
}

#[test]
fn rule_16_a_field_goes_to_the_bodies_of_requests_that_meet_its_condition_and_goes_once() {
    let writes = || When::unsafe_methods().below("/v3");
    let parts = [
        Part::json_field("/auth", "a1"),
        Part::form_field("_sid", "f1").when(writes()),
        Part::json_field("/auth", "a2").when(writes()),
        // In place of the first, which has the same name and condition.
        Part::json_field("/auth", "a3"),
        // A form may have a field that looks like a pointer.
        Part::form_field("/auth", "f2"),
    ];
    let credential = current(&handle(parts));
    assert_eq!(
        fields(&credential, READ),
        ["json /auth a3", "form /auth f2"]
    );
    assert_eq!(
        fields(&credential, WRITE),
        ["json /auth a2", "form /auth f2", "form _sid f1"]
    );
    let elsewhere = Target::new("https", "api.example.com", "/v4").with_method(&Method::POST);
    assert_eq!(
        fields(&credential, elsewhere),
        ["json /auth a3", "form /auth f2"]
    );
    // Nothing of it stands elsewhere.
    let mut request = http::Request::post("https://api.example.com/v3/me")
        .body(())
        .unwrap();
    credential.attach(&mut request).unwrap();
    assert!(request.headers().is_empty() && request.uri().query().is_none());
}

#[test]
fn rule_5_that_no_part_is_a_field_of_the_body_is_one_flag() {
    let with = handle([Part::json_field("/auth", "a").when(When::any_method().below("/x"))]);
    assert!(current(&with).has_body_fields());
    assert!(fields(&current(&with), WRITE).is_empty());
    for part in [Part::header("x-a", "a"), Part::query("a", "a")] {
        let without = current(&handle([part]));
        assert!(!without.has_body_fields() && fields(&without, WRITE).is_empty());
    }
}

#[test]
fn rule_7_a_response_rolls_a_field_and_that_is_a_revision() {
    let writes = When::unsafe_methods();
    let credentials = handle([
        Part::json_field("/auth", "a1").when(writes),
        Part::header("x-a", "a"),
    ]);
    let before = current(&credentials);
    let rolls =
        |value: &str| HeaderMap::from_iter([(ROLL.parse().unwrap(), value.parse().unwrap())]);
    hear(&credentials, &rolls("a2"));
    let after = current(&credentials);
    assert_eq!(after.stamp().revision(), 1);
    // What it has keeps its condition, and what it did not have is for every request.
    assert_eq!(fields(&after, READ), ["form _sid a2"]);
    assert_eq!(fields(&after, WRITE), ["form _sid a2", "json /auth a2"]);
    assert_eq!(fields(&before, WRITE), ["json /auth a1"]);
    hear(&credentials, &rolls("a2"));
    assert_eq!(current(&credentials).stamp().revision(), 1, "nothing new");
}

#[test]
fn rule_8_a_field_that_is_missing_is_fetched_before_a_request_carries_it() {
    let writes = When::unsafe_methods();
    let fetched = Part::fetched_json_field("/csrf").when(writes);
    let credentials = handle([Part::header("x-a", "a"), fetched]);
    let before = current(&credentials);
    assert!(!before.is_complete() && !before.has_body_fields());
    assert!(before.lacks(WRITE) && !before.lacks(READ));
    assert!(!before.lacks(WRITE.without_body()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let asked = credentials.get_for(WRITE, Ask::new());
    let after = runtime.block_on(asked).unwrap();
    assert_eq!(fields(&after, WRITE), ["json /csrf fetched"]);
    assert!(after.has_body_fields() && fields(&after, READ).is_empty());
    assert!(fields(&after, WRITE.without_body()).is_empty());
    assert_eq!(after.stamp().revision(), 1);
    // It is there now.
    let again = credentials.get_for(WRITE, Ask::new());
    let _guard = runtime.enter();
    assert!(again.now_or_never().unwrap().is_ok());
}

#[test]
fn rule_15_a_field_that_is_derived_has_the_value_of_its_cookie() {
    let session = |_| {
        Ok(Session::new()
            .with_cookie("csrf", "c%201")?
            .with_part(Part::form_field_from_cookie("plain", "csrf"))?
            .with_part(Part::json_field_from_cookie("/csrf", "csrf").percent_decoded())?)
    };
    let credentials = on(&ManualClock::new(), Scripted::new(session)).build();
    credentials.blocking_get().unwrap();
    let before = current(&credentials);
    assert_eq!(
        fields(&before, READ),
        ["form plain c%201", "json /csrf c 1"]
    );
    hear(&credentials, &set_cookie("csrf=c%202; Path=/"));
    assert_eq!(
        fields(&current(&credentials), READ),
        ["form plain c%202", "json /csrf c 2"]
    );
}

#[test]
fn a_session_of_a_field_alone_carries_something_and_is_the_same_after_it_was_plain() {
    let session = Session::new()
        .with_part(Part::json_field("/params/0", "a b").when(When::unsafe_methods().below("/x")))
        .and_then(|session| session.with_part(Part::form_field("_sid", "é")))
        .and_then(|session| session.with_part(Part::fetched_form_field("csrf")))
        .unwrap();
    assert!(!session.is_empty());
    let text = "\
session form=1
form name=_sid value=%C3%A9
form name=csrf fetched
json name=%2Fparams%2F0 value=a%20b unsafe below=%2Fx
";
    let parts = session.to_parts();
    assert_eq!(parts.expose(), text);
    let again = SessionParts::from(text).to_session().unwrap();
    assert_eq!(again.to_parts().expose(), text);
    let fetched = Part::fetched_json_field("/a");
    assert!(Session::new().with_part(fetched).unwrap().is_empty());
}

#[test]
fn a_field_without_a_place_or_a_value_is_refused_without_repeating_it() {
    for part in [
        Part::json_field("", "canary"),
        Part::json_field("auth", "canary"),
        Part::json_field("/~2", "canary"),
        Part::json_field("/auth", ""),
        Part::form_field("", "canary"),
        Part::form_field("_sid", ""),
        Part::fetched_json_field("auth"),
        Part::fetched_form_field(""),
        Part::form_field_from_cookie("_sid", ""),
        Part::json_field("/auth", "canary").when(When::any_method().below("x")),
    ] {
        let shown = format!("{part:?}");
        let error = Session::new().with_part(part).expect_err(&shown);
        assert!(!format!("{error} {error:?} {shown}").contains("canary"));
    }
    for update in [
        Update::new().with_json_field("auth", "canary"),
        Update::new().with_json_field("/auth", ""),
        Update::new().with_form_field("", "canary"),
    ] {
        assert!(!format!("{}", update.unwrap_err()).contains("canary"));
    }
}

#[test]
fn rule_17_of_a_field_only_the_place_is_printed() {
    let parts = [
        Part::json_field("/auth", "canary"),
        Part::form_field("_sid", "canary"),
    ];
    let of_parts = format!("{parts:?}");
    let credentials = handle(parts);
    let credential = current(&credentials);
    let update = Update::new().with_json_field("/auth", "canary").unwrap();
    let session = credentials.session().unwrap();
    let fields: Vec<_> = credential.body_fields(HERE).collect();
    let plain = session.to_parts();
    let printed = format!(
        "{of_parts} {credential:?} {update:#?} {session:?} {fields:?} {plain:?} {credentials:?}"
    );
    assert!(!printed.contains("canary"), "{printed}");
    assert!(printed.matches("/auth").count() >= 6, "{printed}");
    assert!(printed.matches("_sid").count() >= 5, "{printed}");
}
