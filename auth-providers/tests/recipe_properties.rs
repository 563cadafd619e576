//! What holds for every recipe, every value and every answer.

#![cfg(feature = "recipes")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::{Arc, LazyLock};

use auth_core::testing::Scripted;
use auth_core::{Credential, Credentials, ResponseView, Session};
use auth_providers::recipe::{Recipe, RecipeLogin, Values};
use auth_providers::{Answers, Login, response};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use proptest::prelude::*;

/// A recipe with a value in each context, and a construct of each kind.
const ALL: &str = r#"
recipe = 1
name = "all"
base = "https://api.example.com/base"
account = "user"
fields.value.about = "anything"
fields.other.optional = true

[[login]]
post = "/x/{value}/y"
query = { q = "{value}", fixed = "1" }
header = { x-value = "v={value};", x-user = "{user}", x-secret = "{password}" }
json = { deep = [{ value = "{value}" }, 1], other = "{other}" }
compute.hash = { sha256 = "{value}" }
failures = [
  { status = [400, 401], means = "refused" },
  { json."/error" = { matches = "wait" }, means = "limited", wait = { text = '(\d+) s' } },
  { absent = [""], means = "malformed" },
]
take.token = [{ json = "/token" }, { header = "x-token" }, { cookie = "token" }, { text = 't=(\w+)' }, { field = "t" }, { xml = "t" }]
take.claim = { claim = "/csrf", of = "token", optional = true }
take.refresh = { json = "/refresh", optional = true, life = { json = "/refresh_in", unit = "ms" } }

[life]
default = "1h"
stated = [
  { json = "/in" }, { json = "/at", unit = "iso8601" }, { header = "x-until", unit = "http_date" },
  { jwt = "token" }, { cookie = "sid" }, { json = "/epoch", unit = "epoch_ms" },
]
idle = "10m"
margin = "1s"

[attach]
bearer = "{token}"
optional_cookies = ["sid", "S*"]
all_cookies = true
header.x-claim = { value = "{claim}", methods = "unsafe", below = ["/api"] }
header.x-sid = { cookie = "sid", percent_decoded = true }
query.claim = "{claim}"

[capture]
claim = [{ header = "x-claim" }, { json = "/claim" }]

[refresh]
with = "refresh"
single_use = true
step.post = "/refresh"
step.form = { refresh = "{refresh}", value = "{value}" }

[repair]
step.get = "/claim"
step.take.claim = { json = "/claim" }

[logout]
step.post = "/logout"
step.xml = "<a b='{value}'>{value}</a>"
over = [{ status = 404 }]

[[verdicts]]
status = 200
path = "/api"
json."/error/code" = [106, "dead"]
means = "rejected"

[[verdicts]]
status = "4xx"
text = 'csrf|claim'
means = "repair"
"#;

fn login(value: &str) -> Option<RecipeLogin> {
    let recipe: Recipe = ALL.parse().unwrap();
    let values = Values::new()
        .with("user", "ada")
        .with("password", "pw")
        .with("value", value);
    recipe.login(&values).ok()
}

fn first(login: &RecipeLogin) -> Option<Request<Bytes>> {
    login.request(&"pw".into()).ok()
}

/// A session of the recipe, as a cache holds it. It is one login, since the quota is the process's.
static CURRENT: LazyLock<Arc<Credential>> = LazyLock::new(|| {
    let session = || Ok(Session::new().with_bearer("t")?.with_kept("refresh", "r")?);
    let credentials = Credentials::new(Scripted::new(move |_| session()));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(credentials.get()).unwrap()
});

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn a_value_stays_in_its_place(value in any::<String>()) {
        let Some(login) = login(&value) else { return Ok(()) };
        let Some(request) = first(&login) else { return Ok(()) };
        let value = auth_core::as_typed(&value);

        let body: serde_json::Value = serde_json::from_slice(request.body()).unwrap();
        prop_assert_eq!(body, serde_json::json!({ "deep": [{ "value": value }, 1] }));

        let url = url::Url::parse(&request.uri().to_string()).unwrap();
        prop_assert_eq!(url.host_str(), Some("api.example.com"));
        let segments: Vec<_> = url.path_segments().unwrap().collect();
        prop_assert_eq!(segments.len(), 4);
        let decoded = percent_encoding::percent_decode_str(segments[2]).decode_utf8().unwrap();
        prop_assert_eq!(&*decoded, value);
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let expected = [("fixed".to_owned(), "1".to_owned()), ("q".to_owned(), value.to_owned())];
        prop_assert_eq!(pairs, expected);

        let header = request.headers()["x-value"].as_bytes();
        let expected = format!("v={value};");
        prop_assert_eq!(header, expected.as_bytes());
    }

    #[test]
    fn a_value_stays_in_its_element_its_attribute_and_its_form_field(value in "[^\\p{C}]{1,40}") {
        let Some(login) = login(&value) else { return Ok(()) };
        let logout = login.logout_request(&CURRENT).unwrap();
        let answer = Response::new(logout.body().clone());
        prop_assert_eq!(response::xml_text(&answer, "a").unwrap_or_default(), value.trim());
        let refresh = login.refresh_request(&CURRENT).unwrap();
        let pairs: Vec<_> = url::form_urlencoded::parse(refresh.body()).into_owned().collect();
        let expected = [("refresh".to_owned(), "r".to_owned()), ("value".to_owned(), value)];
        prop_assert_eq!(pairs, expected);
    }

    #[test]
    fn no_answer_panics(
        status in 100_u16..1000,
        headers in prop::collection::vec((0..6_usize, "[ -~]{0,40}"), 0..6),
        body in prop_oneof![
            any::<Vec<u8>>(),
            "[ -~]{0,60}".prop_map(String::into_bytes),
            "\\{\"(token|refresh|in|at|epoch|error|claim)\": (1e400|-1|\"[ -~&&[^\"\\\\]]{0,30}\"|null|\\[\\]|9{30})\\}".prop_map(String::into_bytes),
        ],
    ) {
        const NAMES: [&str; 6] = ["set-cookie", "x-token", "x-until", "x-claim", "date", "retry-after"];
        let login = login("v").unwrap();
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = StatusCode::from_u16(status).unwrap();
        for (name, value) in headers {
            answer.headers_mut().append(NAMES[name], HeaderValue::try_from(value).unwrap());
        }
        let (url, secret) = (Uri::from_static("https://api.example.com/base/x"), "pw".into());
        let _ = login.read(&Answers::new(&url, answer.clone(), &secret));
        let _ = login.read_refresh(&answer, &CURRENT);
        let _ = login.read_repair(&answer, &CURRENT);
        let view = ResponseView::new(answer.status(), answer.headers());
        let _ = login.judge().wants_body(&view);
        let view = view.with_body(answer.body());
        let _ = login.judge().judge(&view);
        let _ = login.update(&view, &CURRENT);
    }

    #[test]
    fn no_recipe_panics(at in 0..ALL.len(), length in 0..12_usize, text in "[ -~\n]{0,12}") {
        let end = (at + length).min(ALL.len());
        let changed = format!("{}{text}{}", &ALL[..at], &ALL[end..]);
        if let Err(error) = changed.parse::<Recipe>() {
            prop_assert!(error.line().is_some(), "{}", error);
        }
    }
}

#[test]
fn a_value_that_leads_elsewhere_is_refused_before_it_is_sent() {
    for value in [".", "..", "%2e", ".%2E", ""] {
        let sent = login(value).and_then(|login| first(&login));
        let path = sent.map(|request| request.uri().path().to_owned());
        let is_literal = value.contains('%');
        assert_eq!(path.is_some(), is_literal, "{value:?} {path:?}");
    }
}
