//! A server that behaves as a recipe says, met by a credential cache with the same recipe.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "recipes", feature = "reqwest"))]

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use auth_core::{
    Ask, Attempt, BodyField, Conclusion, Credential, Credentials, Lifetime, LoginErrorKind,
    RequestHead, ResponseView, Target,
};
use auth_providers::demo::{EMAIL, PASSWORD, RecipeServer, ServeError, Settings};
use auth_providers::recipe::{Recipe, Values};
use auth_providers::{Login, ReqwestTransport, Transport};
use bytes::Bytes;
use http::{Method, Request, Response};

const HOUR: Duration = Duration::from_secs(3_600);

/// A program with a credential cache.
struct Program {
    credentials: Credentials,
    transport: ReqwestTransport,
}

impl Program {
    fn at(server: &RecipeServer) -> Self {
        Self::with_password(server, PASSWORD)
    }

    fn with_password(server: &RecipeServer, password: &str) -> Self {
        let transport = ReqwestTransport::new().unwrap();
        let login = server.login(EMAIL, password).unwrap();
        Self {
            credentials: Credentials::new(login.via(transport.clone())),
            transport,
        }
    }

    /// Sends a request as an integration does: once more after a login or a repair.
    async fn send(&self, server: &RecipeServer, method: Method, path: &str) -> Response<Bytes> {
        let request = Request::builder().method(method).uri(server.url(path));
        let pristine = request.body(Bytes::new()).unwrap();
        let target = Target::of(pristine.uri()).with_method(pristine.method());
        let credential = self.credentials.get_for(target, Ask::new()).await.unwrap();
        let head = RequestHead::new(pristine.method().clone(), pristine.uri().clone());
        let request = carrying(&credential, &pristine);
        let attempt = Attempt::new(&self.credentials, &credential).of_request(Some(head));
        let response = self.transport.carry(request).await.unwrap();
        let view = ResponseView::new(response.status(), response.headers());
        let conclusion = attempt.conclude(&view.with_body(response.body()));
        let (attempt, newer) = match conclusion {
            Conclusion::Replay => {
                let newer = self.credentials.get_for(target, Ask::new()).await.unwrap();
                (attempt.replay(&newer), newer)
            }
            Conclusion::Repair => {
                let newer = attempt.repaired(target, Ask::new()).await.unwrap();
                (attempt.after_repair(&newer), newer)
            }
            _ => return response,
        };
        let request = carrying(&newer, &pristine);
        let response = self.transport.carry(request).await.unwrap();
        let view = ResponseView::new(response.status(), response.headers());
        attempt.conclude(&view.with_body(response.body()));
        response
    }

    async fn get(&self, server: &RecipeServer) -> u16 {
        let response = self.send(server, Method::GET, "/v1/some/path").await;
        response.status().as_u16()
    }
}

/// The request with a session, and with a body if the session has a field for one.
fn carrying(credential: &Credential, pristine: &Request<Bytes>) -> Request<Bytes> {
    let mut request = pristine.clone();
    credential.attach(&mut request).unwrap();
    let target = Target::of(pristine.uri()).with_method(pristine.method());
    if let Some(BodyField::Json { pointer, value }) = credential.body_fields(target).next() {
        assert_eq!(pointer, "/params/0");
        let body = serde_json::json!({ "method": "call", "params": [value, 1] });
        *request.body_mut() = body.to_string().into();
    }
    request
}

/// The values of the fields that recipes have beside the account, the secret and the URL.
fn values(recipe: &Recipe) -> Values {
    let known = [
        ("client_id", "client"),
        ("client_secret", "the client's own"),
        ("database", "db"),
        ("service", "/service/"),
    ];
    let has = |(field, _): &&(&str, &str)| recipe.fields().any(|name| name == *field);
    let known = known.iter().filter(has);
    known.fold(Values::new(), |values, (field, value)| {
        values.with(*field, *value)
    })
}

fn recipe(text: &str) -> Recipe {
    text.parse().unwrap()
}

async fn start(recipe: &Recipe) -> RecipeServer {
    start_with(recipe, Settings::new()).await
}

async fn start_with(recipe: &Recipe, settings: Settings) -> RecipeServer {
    let values = values(recipe);
    let started = RecipeServer::start(recipe, &values, settings).await;
    started.unwrap()
}

/// The status of a `GET` request with a session.
async fn status_with(server: &RecipeServer, credential: &Credential) -> u16 {
    let pristine = Request::get(server.url("/v1/x"));
    let request = carrying(credential, &pristine.body(Bytes::new()).unwrap());
    sent(request).await.status().as_u16()
}

async fn sent(request: Request<Bytes>) -> Response<Bytes> {
    let transport = ReqwestTransport::new().unwrap();
    transport.carry(request).await.unwrap()
}

/// The answer to the first request of a login.
async fn first_answer(server: &RecipeServer) -> serde_json::Value {
    let login = server.login(EMAIL, PASSWORD).unwrap();
    let answer = sent(login.request(&PASSWORD.into()).unwrap()).await;
    assert_eq!(answer.status(), 200);
    auth_providers::response::json(&answer).unwrap()
}

/// A recipe whose login is one request.
fn one_step(more: &str) -> Recipe {
    let login = r#"
recipe = 1
name = "one-step"
base = "{url}"
account = "user"
fields.url.about = "where the API is"

[[login]]
post = "/login"
json = { user = "{user}", password = "{password}" }
failures = [{ status = 401, means = "refused" }]
"#;
    recipe(&format!("{login}{more}"))
}

/// What holds for every recipe.
async fn lives_a_life(recipe: &Recipe) {
    let name = recipe.name();
    let server = start(recipe).await;

    let program = Program::with_password(&server, "not the password, but long");
    let error = program.credentials.get().await.unwrap_err();
    assert!(error.is_login_refused(), "{name}: {error:?}");
    let counts = server.counts().logins;
    assert_eq!((counts.refused, counts.total()), (1, 1), "{name}");

    let program = Program::at(&server);
    assert_eq!(program.get(&server).await, 200, "{name}");
    assert_eq!(program.get(&server).await, 200, "{name}");
    let counts = server.counts();
    assert_eq!((counts.logins.ok, counts.logins.total()), (1, 2), "{name}");
    assert_eq!((counts.calls.ok, counts.calls.total()), (2, 2), "{name}");

    // Without a session, and with parts of two sessions, of which each is live.
    let other = Program::at(&server).credentials.get().await.unwrap();
    let pristine = Request::get(server.url("/v1/x"))
        .body(Bytes::new())
        .unwrap();
    program.transport.carry(pristine.clone()).await.unwrap();
    assert_eq!(server.counts().calls.unauthorized, 1, "{name}");
    let request = carrying(&other, &pristine);
    program.transport.carry(request.clone()).await.unwrap();
    if other.has_query() {
        let own = program.credentials.get().await.unwrap();
        let mut mixed = carrying(&own, &pristine);
        *mixed.headers_mut() = request.headers().clone();
        program.transport.carry(mixed).await.unwrap();
        assert_eq!(server.counts().calls.unauthorized, 2, "{name}");
    }
    let counts = server.counts();
    assert_eq!((counts.logins.ok, counts.calls.ok), (2, 3), "{name}");
    let unauthorized = counts.calls.unauthorized;

    server.revoke_all();
    assert_eq!(program.get(&server).await, 200, "{name}");
    let counts = server.counts();
    assert_eq!(
        (counts.logins.ok, counts.calls.unauthorized),
        (3, unauthorized + 1),
        "{name}"
    );

    let dead = program.credentials.get().await.unwrap();
    let login = server.login(EMAIL, PASSWORD).unwrap();
    if let Some(probe) = login.probe_request(&dead).unwrap() {
        let answer = program.transport.carry(probe.clone()).await.unwrap();
        assert!(login.is_live(&answer), "{name}");
        server.revoke_all();
        let answer = program.transport.carry(probe).await.unwrap();
        assert!(!login.is_live(&answer), "{name}");
        assert_eq!(program.get(&server).await, 200, "{name}");
    }
    let write = program.send(&server, Method::POST, "/v1/some/path").await;
    assert_eq!(write.status(), 200, "{name}");

    let newest = program.credentials.get().await.unwrap();
    if login.refresh_by().is_some() {
        let request = login.refresh_request(&newest).unwrap();
        let answer = program.transport.carry(request).await.unwrap();
        let refreshed = login.read_refresh(&answer, &newest).unwrap();
        assert!(!refreshed.is_empty(), "{name}");
        assert_eq!(server.counts().refreshes, 1, "{name}");
    }
    if let Some(logout) = login.logout_request(&newest).unwrap() {
        program.credentials.close().await.unwrap();
        assert_eq!(server.counts().logouts, 1, "{name}");
        let answer = program.transport.carry(logout).await.unwrap();
        let over = auth_core::Logout::new(auth_core::LogoutReason::Closing).of_dead_session();
        login.logged_out(&answer, over).unwrap();
        assert_eq!(server.counts().logouts, 1, "{name}: it was over");
    }
}

#[tokio::test]
async fn every_recipe_of_this_crate_is_served_or_says_why_it_is_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let (mut served, mut unserved) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let recipe = recipe(&std::fs::read_to_string(&path).unwrap());
        let started = RecipeServer::start(&recipe, &values(&recipe), Settings::new()).await;
        match started {
            Ok(_) => {
                lives_a_life(&recipe).await;
                served.push(recipe.name().to_owned());
            }
            Err(ServeError::Unserved(unserved_field)) => {
                unserved.push((recipe.name().to_owned(), unserved_field.field));
            }
            Err(error) => panic!("{}: {error:?}", recipe.name()),
        }
    }
    served.sort();
    assert!(served.len() >= 22, "{served:?}");
    assert_eq!(unserved, []);
}

/// A page with a csrf value, a form that is redirected, and a cookie.
const FORM: &str = r#"
recipe = 1
name = "form"
base = "{url}"
account = "user"
fields.url.about = "where the API is"

[[login]]
get = "/login"
ok = [{ status = 200, type = "text/html" }]
take.csrf = { field = "authenticity_token" }

[[login]]
post = "/login"
form = { user = "{user}", password = "{password}", authenticity_token = "{csrf}" }
header.Referer = "{url}/login"
ok = [{ status = 302, sets_cookie = "sid" }]
failures = [{ status = 200, type = "text/html", means = "refused" }]

[attach]
cookies = ["sid"]
header.X-CSRF-Token = { value = "{page_csrf}", methods = "unsafe" }

[[verdicts]]
means = "repair"
status = 403
json."/error" = ["csrf", "old csrf"]

[[verdicts]]
means = "rejected"
status = [302, 303]
header.Location = "/login"

[repair]
step.get = "/csrf"
step.take.page_csrf = { json = "/csrf/value" }

[logout]
step.post = "/logout"
step.ok = [{ status = 303 }]
over = [{ status = 302, header.Location = "/login" }]

[probe]
step.get = "/me"
step.ok = [{ status = 200, json."/user/id" = { kind = "number" }, present = ["/user/name"] }]
"#;

/// Tokens, a refresh token that is good once, and a client's own secret.
const TOKENS: &str = r#"
recipe = 1
name = "tokens"
base = "https://{host}/api"
account = "username"
fields.host.default = "api.tokens.example"
fields.client_secret = { secret = true }

[[login]]
post = "/oauth/token"
basic = { user = "client", password = "{client_secret}" }
form = { grant_type = "password", username = "{username}", password = "{password}" }
failures = [{ status = 400, json."/error" = "invalid_grant", means = "refused" }]
take.access = { json = "/access_token" }
take.refresh = { json = "/refresh_token", life = { json = "/refresh_expires_in" } }

[life]
stated = [{ json = "/expires_in" }]

[attach]
bearer = "{access}"

[refresh]
with = "refresh"
single_use = true
step.post = "/oauth/token"
step.basic = { user = "client", password = "{client_secret}" }
step.form = { grant_type = "refresh_token", refresh_token = "{refresh}" }

[logout]
step.post = "/oauth/revoke"
step.form = { token = "{refresh}" }
"#;

/// Values in XML, a computed signature, a claim of a JWT, and a URL that an answer states.
const ODD: &str = r#"
recipe = 1
name = "odd"
base = "{url}"
account = "user"
fields.url.about = "where the API is"

[[login]]
post = "/challenge"
xml = "<challenge user='{user}'/>"
take.salt = { xml = "salt" }
take.next = { header = "X-Next" }

[[login]]
post = "{+next}"
compute.digest = { hmac = "sha256", key = "{salt}", of = "{password}" }
header.X-Digest = "{digest}"
json = { user = "{user}", list = [1, "{salt}"] }
failures = [
    { status = 401, text = "no .* here", means = "refused" },
    { status = 422, present = ["/errors/0/code"], means = "refused" },
]
take.token = [{ text = "token=(.*)" }, { json = "/0/token" }]
take.csrf = { claim = "/csrf/value", of = "token" }

[life]
stated = [{ jwt = "token" }, { header = "X-Until", unit = "iso8601" }]

[attach]
cookie.auth = "{token}"
query.csrf = "{csrf}"

[[verdicts]]
means = "accepted"
json."/ok" = true

[[verdicts]]
means = "rejected"
status = "2xx"
"#;

/// A page that any request would ask for, if the answer before it did not say where it is.
const NEXT: &str = r#"
take.next = { json = "/next" }

[[login]]
get = "{+next}"
take.token = { json = "/token" }

[attach]
bearer = "{token}"
"#;

/// A condition that what is taken from the answer meets already.
const NESTED: &str = r#"
ok = [{ json."/data" = { kind = "object" } }]
take.token = { json = "/data/token" }

[attach]
bearer = "{token}"
"#;

#[tokio::test]
async fn logins_in_steps_are_served_as_the_recipe_says() {
    for text in [FORM, TOKENS, ODD] {
        lives_a_life(&recipe(text)).await;
    }
    for more in [NEXT, NESTED] {
        lives_a_life(&one_step(more)).await;
    }
}

#[tokio::test]
async fn a_recipe_server_that_is_shut_down_has_closed_its_port() {
    let server = start(&recipe(TOKENS)).await;
    let address = server.address();
    server.shutdown().await;
    assert!(std::net::TcpStream::connect(address).is_err());
}

/// The client's secret is in what its requests are compared with.
#[tokio::test]
async fn a_recipe_server_is_printed_without_the_secrets_of_its_values() {
    let server = start(&recipe(TOKENS)).await;
    Program::at(&server).credentials.get().await.unwrap();
    let printed = format!("{server:?}");
    assert!(printed.contains("RecipeSite {"), "{printed}");
    assert!(!printed.contains("the client's own"), "{printed}");
    // With its user name, in base64.
    assert!(!printed.contains("Y2xpZW50OnRoZSBjbGllbnQncyBvd24"));
}

#[tokio::test]
async fn a_form_is_compared_by_its_fields_and_accept_only_if_it_is_stated() {
    // Without the refresh, which looks like the login.
    let (usual, _) = TICKETS.split_once("[refresh]").unwrap();
    let stated = usual.replace("[life]", "header.Accept = \"text/plain\"\n[life]");
    for (text, accept, expected) in [
        (usual, "text/plain", 200),
        (usual, "image/png", 200),
        (&stated, "text/plain", 200),
        (&stated, "image/png", 400),
    ] {
        let server = start(&recipe(text)).await;
        let request = Request::post(server.url("/access/ticket"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept", accept)
            .body("password=correct%20horse+battery&username=ada%40example.com".into());
        let answer = sent(request.unwrap()).await;
        assert_eq!(answer.status(), expected, "{accept}: {text}");
    }
    // A client of the recipe asks for JSON, without a word of the recipe.
    let take = "take.token = { json = \"/token\" }\n[attach]\nbearer = \"{token}\"";
    let server = start(&one_step(take)).await;
    let login = server.login(EMAIL, PASSWORD).unwrap();
    let mut request = login.request(&PASSWORD.into()).unwrap();
    let accept = request
        .headers_mut()
        .insert("accept", "image/png".parse().unwrap());
    assert!(accept.is_some());
    assert_eq!(sent(request).await.status(), 200);
}

#[tokio::test]
async fn a_session_in_a_form_or_in_writes_alone_is_asked_for_there() {
    const TAKE: &str = "take.sid = { json = \"/sid\" }\n[attach]\n";
    let server = start(&one_step(&format!("{TAKE}form.sid = \"{{sid}}\""))).await;
    let sid = first_answer(&server).await["sid"].clone();
    let sid = sid.as_str().unwrap();
    let form = |body: String| {
        let request = Request::post(server.url("/v1/x"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        sent(request.body(body.into()).unwrap())
    };
    assert_eq!(form(format!("more=1&sid={sid}")).await.status(), 200);
    assert_eq!(form(format!("sid={sid}x")).await.status(), 401);
    assert_eq!(form("more=1".to_owned()).await.status(), 401);

    let writes = "header.X-Token = { value = \"{sid}\", methods = \"unsafe\" }";
    let server = start(&one_step(&format!("{TAKE}{writes}"))).await;
    for (method, expected) in [(Method::GET, 200), (Method::POST, 401)] {
        let request = Request::builder().method(method).uri(server.url("/v1/x"));
        let answer = sent(request.body(Bytes::new()).unwrap()).await;
        assert_eq!(answer.status(), expected);
    }
}

#[tokio::test]
async fn on_a_path_of_both_a_request_with_a_session_is_the_apis() {
    let both = r#"
recipe = 1
name = "both"
base = "{url}"
account = "user"
fields.url.about = "where the API is"

[[login]]
get = "/v1/x"
basic = { user = "{user}", password = "{password}" }
failures = [{ status = 401, means = "refused" }]
take.token = { header = "X-Token" }

[attach]
header.X-Token = "{token}"
"#;
    let server = start(&recipe(both)).await;
    let session = Program::at(&server).credentials.get().await.unwrap();
    assert_eq!(status_with(&server, &session).await, 200);
    let counts = server.counts();
    assert_eq!((counts.logins.total(), counts.calls.ok), (1, 1));
}

/// The steps of one login belong together, and each answer is good for one request.
#[tokio::test]
async fn a_later_step_needs_what_the_answer_before_it_brought() {
    let first = "type = \"text/html\" }]\ntake.csrf";
    let text = FORM.replace(first, &first.replace(" }]", ", sets_cookie = \"pre\" }]"));
    assert_ne!(text, FORM);
    let server = start(&recipe(&text)).await;
    let open = async || {
        let request = Request::get(server.url("/login"));
        let answer = sent(request.body(Bytes::new()).unwrap()).await;
        let page = String::from_utf8(answer.body().to_vec()).unwrap();
        let (_, value) = page.split_once("value=\"").unwrap();
        let (csrf, _) = value.split_once('"').unwrap();
        let cookie = auth_core::set_cookies(answer.headers()).next().unwrap();
        (csrf.to_owned(), format!("pre={}", cookie.value))
    };
    let post = async |csrf: &str, cookie: &str, password: &str| {
        let request = Request::post(server.url("/login"))
            .header("content-type", "application/x-www-form-urlencoded")
            .header("referer", server.url("/login"))
            .header("cookie", cookie);
        let form = format!("user={EMAIL}&password={password}&authenticity_token={csrf}");
        sent(request.body(form.into()).unwrap())
            .await
            .status()
            .as_u16()
    };
    let right = PASSWORD.replace(' ', "+");
    let (csrf, cookie) = open().await;
    assert_eq!(post("another", &cookie, &right).await, 400);
    assert_eq!(post(&csrf, "other=1", &right).await, 400);
    assert_eq!(post(&csrf, &cookie, "wrong").await, 200);
    assert_eq!(post(&csrf, &cookie, &right).await, 400, "it was refused");
    let (csrf, cookie) = open().await;
    assert_eq!(post(&csrf, &cookie, &right).await, 302);
    assert_eq!(post(&csrf, &cookie, &right).await, 400, "it has logged in");
    let counts = server.counts().logins;
    assert_eq!((counts.ok, counts.refused, counts.malformed), (1, 1, 4));
}

#[tokio::test]
async fn a_logout_ends_its_own_session_or_all_of_its_account() {
    for (ends, other) in [("", 200), ("\nends = \"account\"", 401)] {
        let logout = "\n[attach]\nbearer = \"{token}\"\n[logout]\nstep.post = \"/logout\"";
        let take = "take.token = { json = \"/token\" }";
        let settings = Settings::new().account(EMAIL, PASSWORD);
        let settings = settings.account("grace@example.com", "nanoseconds");
        let server = start_with(&one_step(&format!("{take}{logout}{ends}")), settings).await;
        let session = async |account, password: &'static str| {
            let login = server.login(account, password).unwrap();
            let provider = login.via(ReqwestTransport::new().unwrap());
            Credentials::new(provider).get().await.unwrap()
        };
        let ended = session(EMAIL, PASSWORD).await;
        let own = session(EMAIL, PASSWORD).await;
        let graces = session("grace@example.com", "nanoseconds").await;
        let login = server.login(EMAIL, PASSWORD).unwrap();
        sent(login.logout_request(&ended).unwrap().unwrap()).await;
        for (session, expected) in [(ended, 401), (own, other), (graces, 200)] {
            assert_eq!(status_with(&server, &session).await, expected, "{ends}");
        }
    }
}

#[tokio::test]
async fn a_refresh_with_the_session_itself_comes_before_its_end() {
    let server = start(&one_step(
        "take.token = { json = \"/token\" }\n[life]\nfixed = \"2h\"\n\
         [attach]\nbearer = \"{token}\"\n[refresh]\nstep.post = \"/renew\"",
    ))
    .await;
    let session = Program::at(&server).credentials.get().await.unwrap();
    let login = server.login(EMAIL, PASSWORD).unwrap();
    for (refreshes, is_good) in [(1, true), (1, false)] {
        let answer = sent(login.refresh_request(&session).unwrap()).await;
        assert_eq!(login.read_refresh(&answer, &session).is_ok(), is_good);
        assert_eq!(server.counts().refreshes, refreshes);
        server.advance(2 * HOUR);
    }
}

#[tokio::test]
async fn an_answer_states_lives_and_what_is_asked_for_and_no_more() {
    let server = start(&recipe(TOKENS)).await;
    let login = server.login(EMAIL, PASSWORD).unwrap();
    let answer = sent(login.request(&PASSWORD.into()).unwrap()).await;
    assert!(!answer.headers().contains_key("set-cookie"));
    let body: serde_json::Value = auth_providers::response::json(&answer).unwrap();
    // An hour, and 30 days.
    assert_eq!(body["expires_in"], 3_600);
    assert_eq!(body["refresh_expires_in"], 2_592_000);
    let request = Request::get(server.url("/v1/x")).body(Bytes::new());
    let answer = sent(request.unwrap()).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert_eq!(answer.body(), "{}");

    // Of an API that keeps all cookies, and names none.
    let take = "take.token = { json = \"/token\" }";
    let jar = "[attach]\nbearer = \"{token}\"\nall_cookies = true";
    let server = start(&one_step(&format!("{take}\n{jar}"))).await;
    let login = server.login(EMAIL, PASSWORD).unwrap();
    let answer = sent(login.request(&PASSWORD.into()).unwrap()).await;
    let cookies = auth_core::set_cookies(answer.headers());
    let names: Vec<_> = cookies.map(|cookie| cookie.name).collect();
    assert_eq!(names, ["session"]);

    let optional = r#"
take.token = { json = "/token" }
take.nick = { json = "/nick", optional = true }
take.code = { json = "/code", optional = true }
take.odd = { json = "/odd", pattern = 'o=(.*)', optional = true }

[[login]]
when = "code"
post = "/second"
json = { code = "{code}", nick = "{nick}" }
take.token = { json = "/token" }

[attach]
bearer = "{token}"

[life]
stated = [{ text = 'life=(.*)' }, { json = "/life" }]
"#;
    let server = start(&one_step(optional)).await;
    let body = first_answer(&server).await;
    let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["life", "nick", "token"]);
    assert_eq!(body["life"], 3_600);
}

#[tokio::test]
async fn use_extends_a_session_with_an_idle_timeout() {
    let settings = Settings::new().lifetime(Lifetime::unknown().idle(HOUR));
    let server = start_with(&recipe(TOKENS), settings).await;
    let session = Program::at(&server).credentials.get().await.unwrap();
    for _ in 0..2 {
        server.advance(Duration::from_secs(3_540));
        assert_eq!(status_with(&server, &session).await, 200);
    }
    server.advance(HOUR);
    assert_eq!(status_with(&server, &session).await, 401);
}

#[tokio::test]
async fn a_refresh_token_is_taken_once_and_counted_when_it_comes_again() {
    let server = start(&recipe(TOKENS)).await;
    let program = Program::at(&server);
    let first = program.credentials.get().await.unwrap();
    server.advance(Duration::from_secs(3_599));
    assert_eq!(program.get(&server).await, 200);
    server.advance(Duration::from_secs(1));
    assert_eq!(program.get(&server).await, 200, "the token has expired");
    let counts = server.counts();
    assert_eq!((counts.logins.ok, counts.refreshes), (1, 1));
    let login = server.login(EMAIL, PASSWORD).unwrap();
    let reused = login.refresh_request(&first).unwrap();
    let answer = program.transport.carry(reused).await.unwrap();
    let error = login.read_refresh(&answer, &first).unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::Refused);
    let counts = server.counts();
    assert_eq!((counts.refreshes, counts.reused_tokens), (1, 1));
    // The refresh token states 30 days.
    let current = program.credentials.get().await.unwrap();
    let request = login.refresh_request(&current).unwrap();
    server.advance(24 * 30 * HOUR);
    let answer = program.transport.carry(request).await.unwrap();
    assert!(login.read_refresh(&answer, &current).is_err());
    assert_eq!(server.counts().reused_tokens, 1, "it has expired");
    let spent = login.refresh_request(&first).unwrap();
    let answer = program.transport.carry(spent).await.unwrap();
    assert!(login.read_refresh(&answer, &first).is_err());
    assert_eq!(server.counts().reused_tokens, 1, "and so has the spent one");

    // So does that of a session that lives on.
    let settings = Settings::new().lifetime(Lifetime::of(24 * 60 * HOUR));
    let server = start_with(&recipe(TOKENS), settings).await;
    let program = Program::at(&server);
    let current = program.credentials.get().await.unwrap();
    let login = server.login(EMAIL, PASSWORD).unwrap();
    let request = login.refresh_request(&current).unwrap();
    server.advance(24 * 30 * HOUR);
    assert_eq!(program.get(&server).await, 200);
    let answer = program.transport.carry(request).await.unwrap();
    assert!(login.read_refresh(&answer, &current).is_err());
}

#[tokio::test]
async fn a_csrf_value_is_fetched_once_and_again_when_it_is_old() {
    let server = start(&recipe(FORM)).await;
    let program = Program::at(&server);
    assert_eq!(program.get(&server).await, 200);
    assert_eq!(server.counts().repairs, 0, "a read needs none");
    for _ in 0..2 {
        let response = program.send(&server, Method::POST, "/items").await;
        assert_eq!(response.status(), 200);
    }
    assert_eq!(server.counts().repairs, 1);
    server.outdate_repaired();
    assert_eq!(program.get(&server).await, 200);
    assert_eq!(
        server.counts().calls.repair_asked,
        0,
        "it does not carry it"
    );
    let response = program.send(&server, Method::DELETE, "/items/1").await;
    assert_eq!(response.status(), 200);
    let counts = server.counts();
    assert_eq!((counts.repairs, counts.calls.repair_asked), (2, 1));
    assert_eq!(counts.logins.ok, 1);
    let call = server.last_call().unwrap();
    assert_eq!(call.uri(), "/items/1");
    assert!(call.headers().contains_key("x-csrf-token"));
    // A write without it is refused, before the first fetch as well.
    let cold = Program::at(&server).credentials.get().await.unwrap();
    let mut request = Request::post(server.url("/items"))
        .body(Bytes::new())
        .unwrap();
    cold.attach(&mut request).unwrap();
    let answer = program.transport.carry(request).await.unwrap();
    assert_eq!(answer.status(), 403);
    let credential = program.credentials.get().await.unwrap();
    let mut request = Request::post(server.url("/items"))
        .body(Bytes::new())
        .unwrap();
    credential.attach(&mut request).unwrap();
    request.headers_mut().remove("x-csrf-token");
    let answer = program.transport.carry(request).await.unwrap();
    assert_eq!(answer.status(), 403);
    // Each session has its own, whichever is the newest.
    let one = Program::at(&server);
    one.credentials.get().await.unwrap();
    Program::at(&server).credentials.get().await.unwrap();
    let response = one.send(&server, Method::POST, "/items").await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_login_that_is_not_the_recipes_is_malformed() {
    let server = start(&recipe(FORM)).await;
    let transport = ReqwestTransport::new().unwrap();
    let send = async |body: &'static str, kind: &str| {
        let request = Request::post(server.url("/login"))
            .header("content-type", kind)
            .header("referer", server.url("/login"));
        let answer = transport.carry(request.body(Bytes::from_static(body.as_bytes())).unwrap());
        answer.await.unwrap().status().as_u16()
    };
    let form = "application/x-www-form-urlencoded";
    let whole = "user=ada%40example.com&password=correct+horse+battery&authenticity_token=1";
    for (body, kind) in [
        ("", form),
        ("user=a&password=b", form),
        (whole, form),
        (whole, "text/plain"),
        ("user=a&password=b&authenticity_token=1&more=1", form),
    ] {
        assert_eq!(send(body, kind).await, 400, "{body} {kind}");
    }
    assert_eq!(server.counts().logins.malformed, 5);
    assert_eq!(server.counts().logins.ok, 0);
}

#[tokio::test]
async fn a_recipe_server_has_limits_outages_and_new_passwords() {
    let two = NonZeroU32::new(2).unwrap();
    let settings = Settings::new().login_limit(two, Duration::from_secs(60));
    let recipe = recipe(TOKENS);
    let server = start_with(&recipe, settings).await;
    let kind = async |password: &str| {
        let program = Program::with_password(&server, password);
        let error = program.credentials.get().await.unwrap_err();
        error.login_error().map(auth_core::LoginError::kind)
    };
    server.set_login_outage(true);
    assert_eq!(kind(PASSWORD).await, Some(LoginErrorKind::Unavailable));
    server.set_login_outage(false);
    server.set_password(EMAIL, "new");
    assert_eq!(kind(PASSWORD).await, Some(LoginErrorKind::Refused));
    let error = Program::with_password(&server, "new")
        .credentials
        .get_with(Ask::new().at_most(Duration::ZERO))
        .await;
    assert!(error.is_err());
    let counts = server.counts().logins;
    assert_eq!((counts.unavailable, counts.refused), (1, 1));
    server.advance(Duration::from_secs(60));
    let program = Program::with_password(&server, "new");
    program.credentials.get().await.unwrap();
    assert_eq!(server.counts().logins.ok, 1);
}

#[tokio::test]
async fn the_limit_and_the_life_are_the_recipes_unless_they_are_set() {
    let limits = "[limits]\nlogins = 1\nwindow = \"10m\"\n[life]\nfixed = \"2h\"\n[attach]";
    let recipe = recipe(&FORM.replace("[attach]", limits));
    let server = start(&recipe).await;
    let (one, two) = (Program::at(&server), Program::at(&server));
    one.credentials.get().await.unwrap();
    let login = two.credentials.get_with(Ask::new().at_most(Duration::ZERO));
    assert!(
        login.await.is_err(),
        "the client keeps to the recipe's limit"
    );
    let dead = one.credentials.get().await.unwrap();
    let probe = server.login(EMAIL, PASSWORD).unwrap().probe_request(&dead);
    let probe = probe.unwrap().unwrap();
    let status = async || {
        let answer = one.transport.carry(probe.clone()).await.unwrap();
        answer.status().as_u16()
    };
    server.advance(Duration::from_secs(7_195));
    assert_eq!(status().await, 200);
    server.advance(Duration::from_secs(5));
    assert_eq!(status().await, 302);
    // By hand, since the client waits for its own quota.
    let first = Request::get(server.url("/login"))
        .body(Bytes::new())
        .unwrap();
    for (expected, limited) in [(200, 0), (429, 1)] {
        let answer = one.transport.carry(first.clone()).await.unwrap();
        assert_eq!(answer.status(), expected);
        assert_eq!(server.counts().logins.limited, limited);
    }
}

/// A session that is refreshed with itself, by a request that looks like a login.
const TICKETS: &str = r#"
recipe = 1
name = "tickets"
base = "{url}"
account = "username"
fields.url.about = "where the API is"

[[login]]
post = "/access/ticket"
form = { username = "{username}", password = "{password}" }
failures = [{ status = 401, means = "refused" }]
take.ticket = { json = "/data/ticket" }

[life]
fixed = "2h"
absolute = "5h"

[attach]
cookie.Ticket = "{ticket}"

[refresh]
with = "ticket"
counts_as_login = true
step.post = "/access/ticket"
step.form = { username = "{username}", password = "{ticket}" }

[[verdicts]]
means = "rejected"
status = 440
path = "/v2"
json."/code" = 7
text = 'session over'

[[verdicts]]
means = "rejected"
status = 419
"#;

#[tokio::test]
async fn a_refresh_token_that_is_no_single_use_one_is_taken_again_and_takes_no_permit() {
    let text = TOKENS.replace(
        "single_use = true\nstep.post = \"/oauth/token\"",
        "step.post = \"/renew\"",
    );
    assert!(!text.contains("single_use"));
    let limits = "[limits]\nlogins = 1\nwindow = \"10m\"\n[logout]";
    let server = start(&recipe(&text.replace("[logout]", limits))).await;
    let program = Program::at(&server);
    let first = program.credentials.get().await.unwrap();
    let login = server.login(EMAIL, PASSWORD).unwrap();
    for _ in 0..2 {
        let request = login.refresh_request(&first).unwrap();
        let answer = program.transport.carry(request).await.unwrap();
        login.read_refresh(&answer, &first).unwrap();
    }
    let counts = server.counts();
    assert_eq!((counts.refreshes, counts.reused_tokens), (2, 0));
    assert_eq!((counts.logins.ok, counts.logins.limited), (1, 0));
}

#[tokio::test]
async fn a_refresh_may_look_like_a_login_and_an_absolute_life_ends_all_the_same() {
    let server = start(&recipe(TICKETS)).await;
    let program = Program::at(&server);
    assert_eq!(program.get(&server).await, 200);
    for refreshes in 1..=2 {
        server.advance(2 * HOUR);
        assert_eq!(program.get(&server).await, 200);
        let counts = server.counts();
        assert_eq!((counts.refreshes, counts.logins.total()), (refreshes, 1));
    }
    let first = program.credentials.get().await.unwrap();
    let status = async |path: &str| {
        let mut request = Request::get(server.url(path)).body(Bytes::new()).unwrap();
        first.attach(&mut request).unwrap();
        program
            .transport
            .carry(request)
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    server.advance(HOUR.checked_sub(Duration::from_secs(5)).unwrap());
    assert_eq!(status("/v1/x").await, 200);
    server.advance(Duration::from_secs(5));
    assert_eq!(
        status("/v1/x").await,
        419,
        "after an hour of two, and five in all"
    );
    assert_eq!(status("/v2/x").await, 440, "by the path");
}

#[tokio::test]
async fn the_client_reads_the_life_that_the_answers_state() {
    let near = |left: Option<Duration>, life: Duration| {
        left.is_some_and(|left| left <= life && life.abs_diff(left) < Duration::from_secs(30))
    };
    let header = ODD.replace("{ jwt = \"token\" }, ", "");
    let token = ODD.replace(", { header = \"X-Until\", unit = \"iso8601\" }", "");
    assert!(header.contains("X-Until") && !token.contains("X-Until"));
    for text in [TOKENS, &header, &token] {
        let life = HOUR / 2;
        let settings = Settings::new().lifetime(Lifetime::of(life));
        let server = start_with(&recipe(text), settings).await;
        server.advance(24 * HOUR);
        let program = Program::at(&server);
        program.credentials.get().await.unwrap();
        let status = program.credentials.status();
        assert!(near(status.expires_in, life), "{status:?}");
    }
    let quinn = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes/quinn.toml");
    let quinn = recipe(&std::fs::read_to_string(quinn).unwrap());
    let settings = Settings::new().lifetime(Lifetime::unknown().idle(HOUR));
    let server = start_with(&quinn, settings).await;
    let program = Program::at(&server);
    program.credentials.get().await.unwrap();
    let status = program.credentials.status();
    assert!(near(status.idle_in, HOUR), "{status:?}");
}

/// What stands for itself in a regular expression only if it is escaped: a dot, a question mark.
#[tokio::test]
async fn a_text_with_escapes_is_served() {
    const LOGIN: &str = r#"
recipe = 1
name = "texts"
base = "{url}"
account = "user"
fields.url.about = "where the API is"

[[login]]
post = "/login"
form = { user = "{user}", password = "{password}" }
ok = [{ status = 200, text = '^Ok\.$' }]
failures = [
    { status = 200, text = '^Fails\.$', means = "refused" },
    { redirect = '/login\.php\?error', means = "refused" },
]

[attach]
cookies = ["SID"]

[[verdicts]]
means = "rejected"
redirect = '/login\.php'
"#;
    let server = start(&recipe(LOGIN)).await;
    let program = Program::at(&server);
    assert_eq!(program.get(&server).await, 200);
    server.revoke_all();
    assert_eq!(program.get(&server).await, 200);
    assert_eq!(server.counts().logins.ok, 2);
    let wrong = Program::with_password(&server, "wrong");
    let error = wrong.credentials.get().await.unwrap_err();
    let kind = error.login_error().unwrap().kind();
    assert_eq!(kind, LoginErrorKind::Refused);
}

#[tokio::test]
async fn what_cant_be_served_without_guessing_is_an_error_with_its_field() {
    let login = |more: &str| {
        format!(
            r#"
recipe = 1
name = "x"
base = "{{url}}"
fields.url.about = "where the API is"
{more}
[attach]
bearer = "{{token}}"
"#
        )
    };
    for (more, field) in [
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\n\
             take.token = { json = \"/t\", pattern = 't=(.*)' }",
            "login[0].take.token",
        ),
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\n\
             take.token = { json = \"/t\" }\n[[verdicts]]\nmeans = \"rejected\"\n\
             json.\"/code\" = 7\ntext = '^over'",
            "verdicts[0].text",
        ),
        // No text at all, and the start of a word in place of a character.
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\n\
             take.token = { json = \"/t\" }\n[[verdicts]]\nmeans = \"rejected\"\n\
             text = '^$'",
            "verdicts[0].text",
        ),
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\n\
             take.token = { json = \"/t\" }\n[[verdicts]]\nmeans = \"rejected\"\n\
             text = '^\\<over$'",
            "verdicts[0].text",
        ),
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\n\
             take.token = { text = 't=(.*)' }",
            "login[0].take.token",
        ),
        (
            "[[login]]\npost = \"/\"\nok = [{ json.\"/a\" = { matches = 'a+' } }]\n\
             failures = [{ status = 401, means = \"refused\" }]\ntake.token = { json = \"/t\" }",
            "login[0].ok[0].json.\"/a\"",
        ),
        (
            "scope = [\"https://elsewhere.example\"]\n[[login]]\npost = \"https://elsewhere.example/\"\n\
             failures = [{ status = 401, means = \"refused\" }]\ntake.token = { json = \"/t\" }",
            "login[0].post",
        ),
        (
            "[[login]]\npost = \"/\"\nheader.X-Time = \"{now}\"\ncompute.now = { time = \"s\" }\n\
             failures = [{ status = 401, means = \"refused\" }]\ntake.token = { json = \"/t\" }",
            "login[0].compute.now",
        ),
        (
            "[[login]]\npost = \"/\"\n\
             failures = [{ status = 401, text = 'a+', means = \"refused\" }]\n\
             take.token = { json = \"/t\" }",
            "login[0].failures[0].text",
        ),
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\n\
             take.token = { json = \"/t\" }\n[life]\nstated = [{ text = 'life=(.*)' }]",
            "life.stated[0]",
        ),
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\n\
             take.token = { json = \"/t\" }\n[[verdicts]]\nmeans = \"rejected\"\ntext = 'a+'",
            "verdicts[0].text",
        ),
        (
            "[[login]]\npost = \"/\"\nfailures = [{ status = 401, means = \"refused\" }]\nheader.X-Id = \"{id}\"\ncompute.id = { uuid = true }\ntake.token = { json = \"/t\" }",
            "login[0].compute.id",
        ),
    ] {
        let more = more.replace("take.token", "json.password = \"{password}\"\ntake.token");
        let recipe = recipe(&login(&more));
        let started = RecipeServer::start(&recipe, &Values::new(), Settings::new()).await;
        match started {
            Err(ServeError::Unserved(unserved)) => assert_eq!(unserved.field, field, "{unserved}"),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_made_and_not_read_as_meant_is_an_error_with_its_field() {
    const OK_IS_NONE: &str = "step.failures = [{ status = 200, means = \"refused\" }]";
    for (step, field) in [
        ("[refresh]\nstep.post = \"/renew\"", "refresh.step"),
        (
            "header.X-Csrf = \"{csrf}\"\n[repair]\nstep.get = \"/csrf\"\n\
             step.take.csrf = { json = \"/c\" }",
            "repair.step",
        ),
        ("[probe]\nstep.get = \"/me\"", "probe.step"),
    ] {
        let more = format!(
            "take.token = {{ json = \"/t\" }}\n[attach]\nbearer = \"{{token}}\"\n\
             {step}\n{OK_IS_NONE}"
        );
        assert_eq!(unserved(&one_step(&more)).await, field);
    }
    // The answer to a wrong password, which another failure takes first.
    let failures = "failures = [\n    \
        { status = 400, absent = [\"/x\"], means = \"malformed\" },\n    \
        { status = 400, means = \"refused\" },\n]";
    let text = TICKETS.replace(
        "failures = [{ status = 401, means = \"refused\" }]",
        failures,
    );
    assert_ne!(text, TICKETS);
    assert_eq!(unserved(&recipe(&text)).await, "login[0].failures");
}

/// The field of a recipe that can't be served.
async fn unserved(recipe: &Recipe) -> String {
    match RecipeServer::start(recipe, &Values::new(), Settings::new()).await {
        Err(ServeError::Unserved(unserved)) => unserved.field,
        other => panic!("{other:?}"),
    }
}
