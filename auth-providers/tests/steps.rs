//! Logins of several requests.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "reqwest", feature = "tower"))]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::{
    Ask, Attempt, Credential, Credentials, Error, Lifetime, LoginError, LoginErrorKind, LoginMark,
    Logout, LogoutReason, Origin, Provider, Quota, Scope, Secret, Session,
};
use auth_providers::{Account, Answers, BaseUrl, Login, Step, Transport, request, response};
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use parking_lot::Mutex;

mod common;

use common::{both, printed};

const BASE: &str = "https://acme.example/app";
const PASSWORD: &str = "canary-password";

type Read = fn(&Acme, &Answers<'_>) -> Result<Step, LoginError>;

/// A login that begins with a page and goes on as its function says.
#[derive(Debug)]
struct Acme {
    account: Account,
    read: Read,
    client_secret: Secret,
}

impl Acme {
    fn new(read: Read) -> Self {
        Self::at(BASE, read)
    }

    fn at(base: &str, read: Read) -> Self {
        Self {
            account: Account::new("acme", base, "ada", PASSWORD).unwrap(),
            read,
            client_secret: "canary-client".into(),
        }
    }

    /// The second request of most tests: the field of the page, and both secrets.
    fn form(&self, path: &str, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let csrf = response::hidden_field(answers.last(), "csrf")?;
        let fields = [("csrf", &*csrf), ("password", answers.secret().expose())];
        let form = request::post_form(&self.url(path), &fields)?;
        Ok(request::with_basic(form, "client", self.client_secret.expose())?.into())
    }
}

impl Login for Acme {
    fn account(&self) -> &Account {
        &self.account
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    fn request(&self, _: &Secret) -> Result<Request<Bytes>, LoginError> {
        request::get(&self.url("/login"))
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        (self.read)(self, answers)
    }

    fn logout_request(
        &self,
        credential: &Credential,
    ) -> Result<Option<Request<Bytes>>, LoginError> {
        let url = credential.kept("logout");
        url.map(request::get).transpose()
    }
}

/// A page, a form, and the session's cookie.
fn page_and_form(acme: &Acme, answers: &Answers<'_>) -> Result<Step, LoginError> {
    response::expect_success(answers.last())?;
    if let [_page] = answers.all() {
        return acme.form("/login/form", answers);
    }
    let missing = || LoginError::malformed("no cookie");
    let cookie = answers.cookie("sid").ok_or_else(missing)?;
    Ok(Session::new().with_set_cookie(&cookie)?.into())
}

fn answer(status: u16, headers: &[(&'static str, &str)], body: &'static str) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(body.as_bytes()));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        answer.headers_mut().append(*name, value.parse().unwrap());
    }
    answer
}

const PAGE: &str = r#"<form><input type=hidden name=csrf value="canary&#43;csrf"></form>"#;

fn page() -> Response<Bytes> {
    answer(200, &[("set-cookie", "canary-pre=canary")], PAGE)
}

fn done() -> Response<Bytes> {
    answer(200, &[("set-cookie", "sid=canary-sid; Path=/")], "")
}

/// Gives its answers in order, the last one again and again, and notes the requests.
#[derive(Clone)]
struct Server {
    answers: Arc<Vec<Response<Bytes>>>,
    requests: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Server {
    fn new(answers: impl IntoIterator<Item = Response<Bytes>>) -> Self {
        Self {
            answers: Arc::new(answers.into_iter().collect()),
            requests: Arc::default(),
        }
    }

    /// Each request as its method, its path and its cookies.
    fn lines(&self) -> Vec<String> {
        let requests = self.requests.lock();
        let line = |request: &Request<Bytes>| {
            let cookies = request.headers().get(COOKIE);
            let cookies = cookies.map_or("-", |cookies| cookies.to_str().unwrap());
            format!("{} {} {cookies}", request.method(), request.uri().path())
        };
        requests.iter().map(line).collect()
    }
}

#[async_trait]
impl Transport for Server {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        let mut requests = self.requests.lock();
        requests.push(request);
        let at = requests.len().min(self.answers.len()) - 1;
        Ok(self.answers[at].clone())
    }
}

async fn login(login: Acme, server: &Server) -> Result<Session, LoginError> {
    login.via(server.clone()).login(&PASSWORD.into()).await
}

async fn fail(acme: Acme, server: &Server) -> LoginError {
    let error = login(acme, server).await.unwrap_err();
    let text = printed(&error);
    assert!(!text.contains("canary"), "{text}");
    error
}

#[tokio::test]
async fn a_login_sends_its_requests_in_order_with_the_secrets_at_hand() {
    let server = Server::new([page(), done()]);
    let session = login(Acme::new(page_and_form), &server).await.unwrap();
    assert!(!session.is_empty());
    let lines = ["GET /app/login -", "POST /app/login/form canary-pre=canary"];
    assert_eq!(server.lines(), lines);
    let requests = server.requests.lock();
    let form = "csrf=canary%2Bcsrf&password=canary-password";
    assert_eq!(*requests[1].body(), form);
    let headers = requests[1].headers();
    let basic = "Basic Y2xpZW50OmNhbmFyeS1jbGllbnQ=";
    assert_eq!(headers["authorization"], basic);
    assert!(headers["authorization"].is_sensitive() && headers[COOKIE].is_sensitive());
}

#[tokio::test]
async fn rule_18_a_request_of_a_login_carries_what_a_user_agent_would_send_of_its_answers() {
    fn three(acme: &Acme, answers: &Answers<'_>) -> Result<Step, LoginError> {
        match answers.all() {
            [_] => Ok(request::get(&acme.url("/login/two"))?.into()),
            [_, _] => Ok(request::get("https://acme.example/three")?.into()),
            [_, _, _] => Ok(request::get("https://data.example/app/login/four")?.into()),
            _ => Ok(Session::new().with_bearer("t")?.into()),
        }
    }

    let first = [
        "everywhere=1; Path=/; Secure",
        "default=1",
        "narrow=1; Path=/app/login",
        "domain=1; Path=/; Domain=acme.example",
        "foreign=1; Path=/; Domain=data.example",
        "replaced=1; Path=/",
        "deleted=1; Path=/",
        "dead=1; Path=/; Max-Age=0",
    ];
    let second = ["replaced=2; Path=/", "deleted=; Path=/; Max-Age=0"];
    let sets = |lines: &[&str]| {
        let mut answer = answer(200, &[], "");
        for line in lines {
            answer
                .headers_mut()
                .append(SET_COOKIE, line.parse().unwrap());
        }
        answer
    };
    let server = Server::new([sets(&first), sets(&second), sets(&[])]);
    let mut acme = Acme::new(three);
    let data = Origin::parse("https://data.example").unwrap();
    acme.account_mut().set_scope(Scope::only(data));
    login(acme, &server).await.unwrap();
    let expected = [
        "GET /app/login -",
        "GET /app/login/two narrow=1; default=1; everywhere=1; domain=1; replaced=1; deleted=1",
        "GET /three everywhere=1; domain=1; replaced=2",
        "GET /app/login/four -",
    ];
    assert_eq!(server.lines(), expected);
}

#[tokio::test]
async fn a_secure_cookie_goes_over_tls_or_to_this_machine() {
    let cookies = [
        ("set-cookie", "a=1; Path=/; Secure"),
        ("set-cookie", "b=2; Path=/"),
    ];
    for (base, expected) in [
        ("https://acme.example", "a=1; b=2"),
        ("http://127.0.0.1:1", "a=1; b=2"),
        ("http://acme.example", "b=2"),
    ] {
        let server = Server::new([answer(200, &cookies, PAGE), done()]);
        let acme = Acme::new(page_and_form);
        let acme = acme.base_url(BaseUrl::allow_plain_http(base).unwrap());
        login(acme.unwrap(), &server).await.unwrap();
        assert_eq!(server.lines()[1], format!("POST /login/form {expected}"));
    }
}

#[tokio::test]
async fn a_cookie_header_of_the_requests_own_stands() {
    fn own(acme: &Acme, answers: &Answers<'_>) -> Result<Step, LoginError> {
        if answers.all().len() == 2 {
            return Ok(Session::new().with_bearer("t")?.into());
        }
        let mut next = request::get(&acme.url("/two"))?;
        next.headers_mut().insert(COOKIE, "own=1".parse().unwrap());
        Ok(next.into())
    }

    let server = Server::new([page(), done()]);
    login(Acme::new(own), &server).await.unwrap();
    assert_eq!(server.lines()[1], "GET /app/two own=1");
}

#[tokio::test]
async fn rule_18_a_login_carries_nothing_of_an_earlier_session() {
    let server = Server::new([page(), done(), page(), done()]);
    let credentials = Credentials::new(Acme::new(page_and_form).via(server.clone()));
    credentials.get().await.unwrap();
    credentials.get_with(Ask::new().renewed()).await.unwrap();
    let once = ["GET /app/login -", "POST /app/login/form canary-pre=canary"];
    assert_eq!(server.lines(), [once, once].concat());
}

/// Goes where the last answer leads, for ever.
fn follow(_: &Acme, answers: &Answers<'_>) -> Result<Step, LoginError> {
    match answers.location() {
        Some(location) => Ok(request::get(&location)?.into()),
        None => page_and_form(&Acme::new(follow), answers),
    }
}

#[tokio::test]
async fn rule_18_no_answer_leads_a_login_elsewhere() {
    for location in [
        "https://evil.example/app/login",
        "//evil.example/",
        "http://acme.example/app/login",
        "https://acme.example:8443/app/login",
        "https://acme.example.evil.example/",
        "https://acme.example@evil.example/",
        "https://canary:canary@acme.example/app/login",
        "https://evil.example:443\\@acme.example/",
        "https://acme.example./",
        "http://127.0.0.1/",
        "ftp://acme.example/",
        "javascript:canary",
    ] {
        let redirect = answer(302, &[("location", location), ("retry-after", "7")], "");
        let server = Server::new([redirect]);
        let error = fail(Acme::new(follow), &server).await;
        assert_eq!(server.lines(), ["GET /app/login -"], "{location}");
        assert_eq!(error.kind(), LoginErrorKind::Malformed, "{location}");
        assert_eq!(
            error.retry_after(),
            Some(Duration::from_secs(7)),
            "{location}"
        );
    }
    for (location, path) in [
        ("two", "/app/two"),
        ("/app/two", "/app/two"),
        ("https://ACME.example:443/app/two", "/app/two"),
        ("/app/my page", "/app/my%20page"),
    ] {
        let redirect = answer(302, &[("location", location)], "");
        let server = Server::new([redirect, done()]);
        login(
            Acme::new(|_, answers| match answers.location() {
                Some(location) => Ok(request::get(&location)?.into()),
                None => Ok(Session::new().with_bearer("t")?.into()),
            }),
            &server,
        )
        .await
        .unwrap();
        assert_eq!(server.lines()[1], format!("GET {path} -"));
    }
}

#[tokio::test]
async fn rule_18_the_first_request_and_a_logout_stay_within_the_scope_as_well() {
    struct Elsewhere(Acme);

    impl Login for Elsewhere {
        fn account(&self) -> &Account {
            &self.0.account
        }

        fn account_mut(&mut self) -> &mut Account {
            &mut self.0.account
        }

        fn request(&self, _: &Secret) -> Result<Request<Bytes>, LoginError> {
            request::get("https://login.example/login")
        }

        fn read(&self, _: &Answers<'_>) -> Result<Step, LoginError> {
            Ok(Session::new().with_bearer("t")?.into())
        }
    }

    let server = Server::new([done()]);
    let elsewhere = || Elsewhere(Acme::new(page_and_form));
    let (refused, password) = (elsewhere().via(server.clone()), PASSWORD.into());
    let error = refused.login(&password).await.unwrap_err();
    assert_eq!(error.kind(), LoginErrorKind::Misconfigured);
    assert!(error.to_string().contains("scope"), "{error}");
    assert!(server.lines().is_empty());

    let mut within = elsewhere();
    let login = Origin::parse("https://login.example").unwrap();
    let scope = within.account().scope().and(login);
    within.account_mut().set_scope(scope);
    within.via(server).login(&PASSWORD.into()).await.unwrap();

    let server = Server::new([done()]);
    let acme = Acme::new(|_, _| {
        let session = Session::new().with_bearer("t")?;
        Ok(session.with_kept("logout", "https://evil.example/")?.into())
    });
    let acme = acme.via(server.clone());
    let credentials = Credentials::new(acme);
    let credential = credentials.get().await.unwrap();
    let acme = Acme::new(page_and_form).via(server.clone());
    let logout = acme.logout(&credential, Logout::new(LogoutReason::Closing));
    assert_eq!(logout.await.unwrap_err().kind(), LoginErrorKind::Malformed);
    assert_eq!(server.lines().len(), 1, "no logout was sent");
}

#[tokio::test]
async fn rule_18_a_login_that_goes_in_a_circle_ends_after_ten_requests() {
    let circle = answer(302, &[("location", "/app/login"), ("retry-after", "7")], "");
    let server = Server::new([circle]);
    let error = fail(Acme::new(follow), &server).await;
    assert_eq!(error.kind(), LoginErrorKind::Malformed);
    assert!(error.to_string().contains("10 requests"), "{error}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(server.lines().len(), 10);

    let ninth = vec![answer(302, &[("location", "/app/login")], ""); 9];
    let server = Server::new(ninth.into_iter().chain([done()]));
    let acme = Acme::new(|_, answers| match answers.location() {
        Some(location) => Ok(request::get(&location)?.into()),
        None => Ok(Session::new().with_bearer("t")?.into()),
    });
    login(acme, &server).await.unwrap();
}

#[tokio::test]
async fn rule_11_the_retry_after_of_the_last_answer_counts() {
    let seven = [("retry-after", "7")];
    for (status, kind) in [
        (401, LoginErrorKind::Refused),
        (429, LoginErrorKind::Limited),
        (503, LoginErrorKind::Unavailable),
        (302, LoginErrorKind::Malformed),
    ] {
        let server = Server::new([page(), answer(status, &seven, "canary")]);
        let error = fail(Acme::new(page_and_form), &server).await;
        assert_eq!(error.kind(), kind);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    }
    let early = answer(200, &seven, PAGE);
    let server = Server::new([early, answer(401, &[], "")]);
    let error = fail(Acme::new(page_and_form), &server).await;
    assert_eq!(error.retry_after(), None, "an earlier answer's is past");
}

#[tokio::test]
async fn rule_12_a_next_request_that_cant_be_sent_is_no_mistake_of_the_configuration() {
    /// Sends what it is given, but for its second request.
    struct Picky(Server, fn() -> LoginError);

    #[async_trait]
    impl Transport for Picky {
        async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
            if request.uri().path() == "/app/login/form" {
                return Err(self.1());
            }
            self.0.carry(request).await
        }
    }

    let bad_url = Acme::new(|_, _| Ok(request::get("two words")?.into()));
    let error = fail(bad_url, &Server::new([page()])).await;
    assert_eq!(error.kind(), LoginErrorKind::Malformed);
    let refused = || LoginError::misconfigured("not this one");
    // Of an outage that came with the answer it can't be told.
    let unreachable = || LoginError::unavailable("not this one").not_sent();
    for fails in [refused as fn() -> LoginError, unreachable] {
        let unsent = Acme::new(page_and_form).via(Picky(Server::new([page()]), fails));
        let error = unsent.login(&PASSWORD.into()).await.unwrap_err();
        assert_eq!(error.kind(), LoginErrorKind::Malformed);
        assert!(printed(&error).contains("not this one"));
    }
}

#[tokio::test]
async fn a_session_that_carries_nothing_is_a_failed_login() {
    let server = Server::new([page(), done()]);
    let acme = Acme::new(|acme, answers| match answers.all() {
        [_] => acme.form("/form", answers),
        _ => Ok(Session::new().into()),
    });
    let error = fail(acme, &server).await;
    assert_eq!(error.kind(), LoginErrorKind::Malformed);
}

#[tokio::test]
async fn the_options_hold_for_a_login_of_several_requests() {
    let minute = Lifetime::of(Duration::from_secs(60));
    let balanced = [
        ("set-cookie", "pinned=1; Path=/"),
        ("set-cookie", "sid=early; Path=/"),
        ("set-cookie", "login=1"),
        ("set-cookie", "gone=1; Path=/"),
    ];
    let last = [
        ("set-cookie", "sid=s; Path=/; Max-Age=9"),
        ("set-cookie", "gone=; Path=/; Max-Age=0"),
    ];
    let server = Server::new([answer(200, &balanced, PAGE), answer(200, &last, "")]);
    let acme = Acme::new(page_and_form).lifetime(minute).keep_cookies();
    let session = login(acme, &server).await.unwrap();
    assert_eq!(session.lifetime(), minute);
    let cookies = |path| {
        let uri = format!("https://acme.example{path}").parse().unwrap();
        let header = session.cookie_header(auth_core::Target::of(&uri));
        header.unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(cookies("/data"), "sid=s; pinned=1");
    assert_eq!(cookies("/app/x"), "login=1; sid=s; pinned=1");
    let server = Server::new([answer(200, &balanced, PAGE), answer(200, &last, "")]);
    let session = login(Acme::new(page_and_form), &server).await.unwrap();
    assert_eq!(
        session.lifetime().hard_expiry(),
        Some(Duration::from_secs(9))
    );
    let root = auth_core::Target::new("https", "acme.example", "/app/x");
    assert_eq!(session.cookie_header(root).unwrap(), "sid=s");
}

#[tokio::test]
async fn rule_10_all_requests_of_a_login_are_one_permit() {
    let clock = ManualClock::new();
    let quota = Quota::new(NonZeroU32::MIN, Duration::from_secs(60));
    let server = Server::new([page(), done(), page(), done()]);
    let acme = Acme::new(page_and_form).quota(quota);
    let credentials = Credentials::builder(acme.via(server.clone()))
        .clock(clock.clock())
        .build();
    credentials.get().await.unwrap();
    assert_eq!(server.lines().len(), 2);
    let again = Ask::new().renewed().fail_fast();
    let second = credentials.get_with(again).await;
    assert!(second.is_err(), "the next login waits for the window");
    clock.advance(Duration::from_secs(90));
    credentials.get_with(again).await.unwrap();
    assert_eq!(server.lines().len(), 4);
}

#[tokio::test]
async fn rule_18_each_request_of_a_login_is_marked() {
    let server = Server::new([page(), done()]);
    let credentials = Credentials::new(Acme::new(page_and_form).via(server.clone()));
    credentials.get().await.unwrap();
    let requests = server.requests.lock();
    assert_eq!(requests.len(), 2);
    for request in requests.iter() {
        assert!(request.extensions().get::<LoginMark>().is_some());
        let refused = Attempt::refuse_loop(&credentials, request.extensions());
        assert!(matches!(refused, Err(Error::LoginLoop)));
    }
}

#[tokio::test]
async fn rule_17_nothing_of_a_login_is_printed() {
    let server = Server::new([page(), done()]);
    let acme = Acme::new(page_and_form);
    let text = format!("{acme:?}");
    assert!(!text.contains("canary"), "{text}");
    let url = acme.url("/login?canary").parse().unwrap();
    let secret = PASSWORD.into();
    let answers = Answers::new(&url, page(), &secret);
    let next = acme.read(&answers).unwrap();
    let text = format!("{answers:?} {next:?}");
    assert!(!text.contains("canary"), "{text}");
    let answers = answers.and(&url, done());
    let last = acme.read(&answers).unwrap();
    assert!(!format!("{last:?}").contains("canary"), "{last:?}");
    let credentials = Credentials::new(acme.via(server.clone()));
    let credential = credentials.get().await.unwrap();
    let text = format!("{credentials:?} {credential:?}");
    assert!(!text.contains("canary"), "{text}");
    // A page without the field is quoted nowhere.
    let server = Server::new([answer(200, &[], "<input name='canary' value='canary'>")]);
    let error = fail(Acme::new(page_and_form), &server).await;
    assert!(error.to_string().contains("csrf"), "{error}");
}

/// Answers a page and then a form over a socket, one connection for each request.
#[tokio::test]
async fn a_login_of_several_requests_runs_over_both_transports() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    for transport in both() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut requests = Vec::new();
            for answer in [
                format!(
                    "set-cookie: pre=1; Secure\r\ncontent-length: {}\r\n\r\n{PAGE}",
                    PAGE.len()
                ),
                "set-cookie: sid=s\r\ncontent-length: 0\r\n\r\n".to_owned(),
            ] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") && !request.ends_with(PASSWORD.as_bytes()) {
                    assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
                }
                requests.push(String::from_utf8(request).unwrap().to_ascii_lowercase());
                let answer = format!("HTTP/1.1 200 OK\r\n{answer}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
            requests
        });
        let acme = Acme::at(&base, page_and_form).via(transport);
        acme.login(&PASSWORD.into()).await.unwrap();
        let requests = tasks.join_next().await.unwrap().unwrap();
        assert!(requests[0].starts_with("get /login http/1.1\r\n"));
        assert!(!requests[0].contains("\r\ncookie:") && !requests[0].contains("content-"));
        assert!(requests[1].starts_with("post /login/form http/1.1\r\n"));
        assert!(
            requests[1].contains("\r\ncookie: pre=1\r\n"),
            "{}",
            requests[1]
        );
        let form = "content-type: application/x-www-form-urlencoded\r\n";
        assert!(requests[1].contains(form), "{}", requests[1]);
        assert!(requests[1].ends_with("\r\n\r\ncsrf=canary%2bcsrf&password=canary-password"));
    }
}
