//! Logins as values whose sessions are refreshed and repaired.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "reqwest", feature = "tower"))]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::{
    Ask, Attempt, Credential, Credentials, Event, Identity, Judge, Lifetime, LoginError, Part,
    Provider as _, Refresh, ResponseView, Secret, Session, Target, Update, Verdict, testing,
};
use auth_providers::{Account, Answers, Login, Step, Transport, request, response};
use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;
use tokio::net::TcpListener;

mod common;

use common::both;

const BASE: &str = "https://acme.example/app";
const HERE: Target<'_> = Target::new("https", "acme.example", "/app/me");

/// Access tokens and refresh tokens. A refresh goes to the URL that the session keeps.
struct Acme(Account);

impl Acme {
    fn new() -> Self {
        Self(Account::new("acme", BASE, "ada", "correct horse").unwrap())
    }
}

fn session(answer: &Response<Bytes>) -> Result<Session, LoginError> {
    let mut session = Session::new().with_bearer(&response::json_at(answer, "/access")?)?;
    for name in ["refresh", "url"] {
        if let Ok(value) = response::json_at(answer, &format!("/{name}")) {
            session = session.with_kept(name, &value)?;
        }
    }
    Ok(session.with_lifetime(Lifetime::of(Duration::from_secs(300))))
}

impl Login for Acme {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn request(&self, secret: &Secret) -> Result<Request<Bytes>, LoginError> {
        request::post_form(&self.url("/login"), &[("password", secret.expose())])
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        response::expect_success(answers.last())?;
        Ok(session(answers.last())?.into())
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_kept("refresh").single_use())
    }

    fn refresh_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
        let own = self.url("/refresh");
        let url = current.kept("url").unwrap_or(&own);
        let token = current.kept("refresh").unwrap_or_default();
        request::post_form(url, &[("token", token)])
    }

    fn read_refresh(
        &self,
        answer: &Response<Bytes>,
        _: &Credential,
    ) -> Result<Session, LoginError> {
        response::expect_refreshed(answer)?;
        session(answer)
    }

    fn repairs(&self) -> bool {
        true
    }

    fn repair_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
        request::get(current.kept("url").unwrap_or(&self.url("/csrf")))
    }

    fn read_repair(&self, answer: &Response<Bytes>, _: &Credential) -> Result<Update, LoginError> {
        response::expect_success(answer)?;
        let csrf = response::json_at(answer, "/csrf")?;
        Ok(Update::new().with_query("csrf", &csrf)?)
    }
}

type Script = Box<dyn Fn(&str) -> Response<Bytes> + Send + Sync>;

/// Answers by path, and notes each request.
struct Scripted {
    answer: Script,
    sent: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Transport for Scripted {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        let headers = request.headers();
        assert!(!headers.contains_key("authorization") && !headers.contains_key("cookie"));
        let body = String::from_utf8_lossy(request.body()).into_owned();
        self.sent.lock().push(format!("{} {body}", request.uri()));
        Ok((self.answer)(request.uri().path()))
    }
}

/// A handle, the requests of its logins and refreshes, and the failures of refreshes.
struct Handle {
    credentials: Credentials,
    clock: ManualClock,
    sent: Arc<Mutex<Vec<String>>>,
    failures: Arc<Mutex<Vec<String>>>,
}

impl Handle {
    fn new(acme: Acme, answer: impl Fn(&str) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        let (sent, failures) = (Arc::default(), Arc::default());
        let transport = Scripted {
            answer: Box::new(answer),
            sent: Arc::clone(&sent),
        };
        let (clock, log) = (ManualClock::new(), Arc::clone(&failures));
        let log: Arc<Mutex<Vec<String>>> = log;
        let credentials = Credentials::builder(acme.via(transport))
            .clock(clock.clock())
            .observer(move |_: &Identity, event: &Event| {
                if let Event::RefreshFailed {
                    kind, retry_after, ..
                } = event
                {
                    log.lock().push(format!("{} {retry_after:?}", kind.name()));
                }
            })
            .build();
        Self {
            credentials,
            clock,
            sent,
            failures,
        }
    }

    async fn after_expiry(&self) -> Arc<Credential> {
        self.credentials.get().await.unwrap();
        self.clock.advance(Duration::from_secs(300));
        self.credentials.get().await.unwrap()
    }
}

fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Response<Bytes> {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    answer.body(Bytes::from(body.to_owned())).unwrap()
}

const TOKENS: &str = r#"{"access": "a", "refresh": "r"}"#;

#[tokio::test]
async fn rule_18_a_refresh_carries_the_values_of_its_own_session_that_it_states() {
    let handle = Handle::new(Acme::new(), |path| match path {
        "/app/login" => answer(200, &[], TOKENS),
        _ => answer(200, &[], r#"{"access": "b"}"#),
    });
    let refreshed = handle.after_expiry().await;
    assert_eq!(refreshed.kept("refresh"), Some("r"), "it stays");
    let sent = [
        "https://acme.example/app/login password=correct+horse",
        "https://acme.example/app/refresh token=r",
    ];
    assert_eq!(*handle.sent.lock(), sent);
}

#[tokio::test]
async fn rule_6_what_a_server_answers_to_a_token_that_it_does_not_accept_is_no_refused_password() {
    for status in [400, 401, 403] {
        let handle = Handle::new(Acme::new(), move |path| match path {
            "/app/login" => answer(200, &[], TOKENS),
            _ => answer(status, &[], r#"{"error": "invalid_grant"}"#),
        });
        handle.after_expiry().await;
        assert_eq!(handle.sent.lock().len(), 3, "the login follows");
        assert!(handle.failures.lock()[0].starts_with("refused"));
        assert_eq!(handle.credentials.status().failure, None);
    }
}

#[tokio::test]
async fn rule_11_the_retry_after_of_a_refresh_is_heard_whatever_its_status_is() {
    for (status, body) in [(503, ""), (429, ""), (200, "not JSON"), (404, "")] {
        let handle = Handle::new(Acme::new(), move |path| match path {
            "/app/login" => answer(200, &[], TOKENS),
            _ => answer(status, &[("retry-after", "70")], body),
        });
        handle.after_expiry().await;
        let failure = handle.failures.lock()[0].clone();
        assert!(failure.ends_with("Some(70s)"), "{status}: {failure}");
    }
}

#[tokio::test]
async fn rule_18_a_refresh_goes_to_no_origin_that_is_neither_the_logins_nor_in_the_scope() {
    let handle = Handle::new(Acme::new(), |path| match path {
        "/app/login" => answer(
            200,
            &[],
            r#"{"access": "a", "refresh": "r", "url": "https://evil.example/"}"#,
        ),
        _ => answer(200, &[], TOKENS),
    });
    handle.after_expiry().await;
    let sent = handle.sent.lock();
    assert!(sent.iter().all(|line| !line.contains("evil")), "{sent:?}");
    assert_eq!(sent.len(), 2, "the password is used");
}

#[tokio::test]
async fn a_lifetime_that_was_set_holds_for_refreshed_sessions() {
    let day = Duration::from_secs(86_400);
    let acme = Acme::new().lifetime(Lifetime::of(day));
    let handle = Handle::new(acme, |_| answer(200, &[], TOKENS));
    let first = handle.credentials.get().await.unwrap();
    Attempt::new(&handle.credentials, &first).rejected();
    handle.credentials.get().await.unwrap();
    assert_eq!(handle.sent.lock().len(), 2);
    assert_eq!(handle.credentials.status().expires_in, Some(day));
}

#[tokio::test]
async fn rule_6_a_connection_that_was_refused_has_sent_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    for transport in both() {
        let request = request::post_form(&url, &[("token", "r")]).unwrap();
        let error = transport.carry(request).await.unwrap_err();
        assert!(error.is_not_sent(), "{error}");
    }
}

#[tokio::test]
async fn rule_6_a_connection_that_broke_off_may_have_sent_it() {
    for transport in both() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = async { drop(listener.accept().await) };
        let request = request::post_form(&url, &[("token", "r")]).unwrap();
        let ((), answer) = tokio::join!(server, transport.carry(request));
        let error = answer.unwrap_err();
        assert!(!error.is_not_sent(), "{error}");
    }
}

#[tokio::test]
async fn rule_8_a_login_as_a_value_fetches_the_part_that_a_response_asks_for() {
    let handle = Handle::new(Acme::new(), |path| match path {
        "/app/login" => answer(200, &[], TOKENS),
        _ => answer(200, &[], r#"{"csrf": "c-1"}"#),
    });
    let first = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    let repaired = attempt.repaired(HERE, Ask::new()).await.unwrap();
    assert_eq!(repaired.stamp().revision(), 1);
    assert_eq!(repaired.query_secrets().collect::<Vec<_>>(), ["c-1"]);
    assert_eq!(handle.sent.lock()[1], "https://acme.example/app/csrf ");
}

#[tokio::test]
async fn rule_8_the_retry_after_of_a_repair_is_heard_whatever_its_status_is() {
    for (status, asks, body, wait) in [
        (200, "70", "not JSON", 70),
        (503, "70", "", 70),
        (503, "soon", "", 60),
    ] {
        let sent = Arc::default();
        let says = answer(status, &[("retry-after", asks)], body);
        let answer = Box::new(move |_: &str| says.clone());
        let acme = Acme::new().via(Scripted { answer, sent });
        let current = testing::credential(Session::new().with_bearer("a").unwrap());
        let failed = acme.repair(&current).await.unwrap_err();
        let expected = Some(Duration::from_secs(wait));
        assert_eq!(failed.retry_after(), expected, "{status} {asks}");
    }
}

#[tokio::test]
async fn rule_15_the_cookies_of_a_repair_come_with_its_part() {
    let mut account = Account::new("acme", BASE, "ada", "correct horse").unwrap();
    account.set_keep_cookies();
    let handle = Handle::new(Acme(account), |path| {
        if path == "/app/login" {
            return answer(200, &[("set-cookie", "sid=s-1; Path=/")], TOKENS);
        }
        let cookies = [
            ("set-cookie", "sid=s-2; Path=/"),
            ("set-cookie", "own=o; Path=/app"),
        ];
        answer(200, &cookies, r#"{"csrf": "c-1"}"#)
    });
    let first = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    let repaired = attempt.repaired(HERE, Ask::new()).await.unwrap();
    assert_eq!(repaired.query_secrets().collect::<Vec<_>>(), ["c-1"]);
    assert_eq!(repaired.cookie("sid"), Some("s-2"));
    assert_eq!(repaired.cookie("own"), Some("o"));

    // A session that names no cookies takes none.
    let handle = Handle::new(Acme::new(), |path| match path {
        "/app/login" => answer(200, &[], TOKENS),
        _ => answer(
            200,
            &[("set-cookie", "own=o; Path=/app")],
            r#"{"csrf": "c-1"}"#,
        ),
    });
    let first = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    let repaired = attempt.repaired(HERE, Ask::new()).await.unwrap();
    assert_eq!(repaired.cookie("own"), None);
}

#[tokio::test]
async fn rule_18_a_repair_goes_to_no_origin_that_is_neither_the_logins_nor_in_the_scope() {
    let handle = Handle::new(Acme::new(), |_| {
        answer(
            200,
            &[],
            r#"{"access": "a", "url": "https://evil.example/", "csrf": "c-1"}"#,
        )
    });
    let first = handle.credentials.get().await.unwrap();
    let attempt = Attempt::new(&handle.credentials, &first);
    attempt.repaired(HERE, Ask::new()).await.unwrap_err();
    assert_eq!(handle.sent.lock().len(), 1);
}

/// A login whose sessions lack a part. Its API answers 200 to a dead session.
struct Portal(Account);

impl Login for Portal {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn judge(&self) -> &dyn Judge {
        &|response: &ResponseView<'_>| match (response.body, response.request) {
            (Some(b"expired"), _) => Verdict::Rejected,
            // Of this path alone, it means that.
            (Some(b"login"), Some(head)) if head.uri.path() == "/app/csrf" => {
                assert_eq!(head.method, "GET");
                assert_eq!(head.uri.query(), None, "without the session's");
                Verdict::Rejected
            }
            _ => Verdict::Accepted,
        }
    }

    fn request(&self, secret: &Secret) -> Result<Request<Bytes>, LoginError> {
        request::post_form(&self.url("/login"), &[("password", secret.expose())])
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let session = Session::new().with_query("token", &text(answers.last())?)?;
        Ok(session.with_part(Part::fetched_query("csrf"))?.into())
    }

    fn repairs(&self) -> bool {
        true
    }

    fn repair_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
        let mut request = request::get(&self.url("/csrf"))?;
        current.attach(&mut request)?;
        Ok(request)
    }

    fn read_repair(&self, answer: &Response<Bytes>, _: &Credential) -> Result<Update, LoginError> {
        Ok(Update::new().with_query("csrf", &text(answer)?)?)
    }
}

fn text(answer: &Response<Bytes>) -> Result<String, LoginError> {
    let text = String::from_utf8(answer.body().to_vec());
    text.map_err(|_| LoginError::malformed("no text"))
}

#[tokio::test]
async fn rule_8_a_fetch_whose_answer_the_judge_calls_rejected_is_followed_by_a_login() {
    // The second is a verdict that looks at the request.
    for says in ["expired", "login"] {
        fetch_rejected_with(says).await;
    }
}

async fn fetch_rejected_with(says: &'static str) {
    let sent = Arc::<Mutex<Vec<String>>>::default();
    let logins = AtomicU64::new(0);
    let transport = Scripted {
        answer: Box::new(move |path| match path {
            "/app/login" => answer(200, &[], &(logins.fetch_add(1, SeqCst) + 1).to_string()),
            _ if logins.load(SeqCst) == 1 => answer(200, &[], says),
            _ => answer(200, &[], "c"),
        }),
        sent: Arc::clone(&sent),
    };
    let portal = Portal(Account::new("portal", BASE, "ada", "correct horse").unwrap());
    let credentials = Credentials::builder(portal.via(transport))
        .clock(ManualClock::new().clock())
        .build();
    let credential = credentials.get_for(HERE, Ask::new()).await.unwrap();
    assert_eq!(
        credential.attach_query(HERE, None).unwrap(),
        "token=2&csrf=c"
    );
    let fetches = sent
        .lock()
        .iter()
        .filter(|url| url.contains("/csrf"))
        .cloned()
        .collect::<Vec<_>>();
    let fetch = |token: u8| format!("{BASE}/csrf?token={token} ");
    assert_eq!(fetches, [fetch(1), fetch(2)]);
    assert_eq!(sent.lock().len(), 4);
}
