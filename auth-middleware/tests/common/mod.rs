//! A scripted provider, and an API that records the requests that it receives.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock};

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::{
    Credentials, Identity, Judge, LoginError, Origin, Part, Provider, Scope, Secret, SecretSource,
    Session, StatusJudge, When,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

pub const ORIGIN: &str = "https://api.example.com";

/// What a credential attaches its token to.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bearer,
    Cookie,
    Query,
    /// All three, and a header that only this API has.
    All,
    /// A bearer token, and a part that writes lack. It is never fetched.
    Lacking,
    /// [`All`](Self::All) from the first login, and a bearer token alone from later ones.
    AllThenBearer,
}

type Hook = Box<dyn Fn() -> futures_util::future::BoxFuture<'static, ()> + Send + Sync>;

/// A provider whose logins return `token-1`, `token-2`, …
pub struct Script {
    identity: Identity,
    scope: Scope,
    secret: SecretSource,
    kind: Kind,
    prefix: &'static str,
    judge: Arc<dyn Judge>,
    control: Arc<Control>,
}

/// The part of a [`Script`] that the test keeps.
pub struct Control {
    pub logins: AtomicUsize,
    pub failures: Mutex<VecDeque<LoginError>>,
    pub gate: Semaphore,
    pub gated: std::sync::atomic::AtomicBool,
    pub hook: Mutex<Option<Arc<Hook>>>,
    /// The clocks of its cache. They stand still until a test advances them.
    pub clock: ManualClock,
}

impl Control {
    pub fn logins(&self) -> usize {
        self.logins.load(SeqCst)
    }

    pub fn fail_next(&self, error: LoginError) {
        self.failures.lock().unwrap().push_back(error);
    }

    /// Holds logins until permits are added to `gate`.
    pub fn hold(&self) {
        self.gated.store(true, SeqCst);
    }

    pub fn release(&self) {
        self.gated.store(false, SeqCst);
        self.gate.add_permits(1_000);
    }

    /// Runs `hook` at the start of each login, for example to send a request.
    pub fn during_login<F>(&self, hook: impl Fn() -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let hook: Hook = Box::new(move || Box::pin(hook()));
        *self.hook.lock().unwrap() = Some(Arc::new(hook));
    }
}

impl Script {
    pub fn at(origin: &str) -> Self {
        // Each script has its own account and its own login origin, so that tests don't share a
        // quota.
        static ACCOUNTS: AtomicUsize = AtomicUsize::new(0);
        let account = ACCOUNTS.fetch_add(1, SeqCst);
        let login = Origin::parse(&format!("https://login-{account}.example.com")).unwrap();
        Self {
            identity: Identity::new("script", login, format!("me-{account}@example.com")),
            scope: Scope::only(Origin::parse(origin).unwrap()),
            secret: "canary-password".into(),
            kind: Kind::Bearer,
            prefix: "token",
            judge: Arc::new(StatusJudge),
            control: Arc::new(Control {
                logins: AtomicUsize::new(0),
                failures: Mutex::default(),
                gate: Semaphore::new(0),
                gated: false.into(),
                hook: Mutex::default(),
                clock: ManualClock::new(),
            }),
        }
    }

    pub fn and(mut self, origin: &str) -> Self {
        self.scope = self.scope.and(Origin::parse(origin).unwrap());
        self
    }

    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub fn prefix(mut self, prefix: &'static str) -> Self {
        self.prefix = prefix;
        self
    }

    pub fn judge(mut self, judge: impl Judge) -> Self {
        self.judge = Arc::new(judge);
        self
    }

    pub fn build(self) -> (Credentials, Arc<Control>) {
        let control = Arc::clone(&self.control);
        let clock = control.clock.clock();
        (Credentials::builder(self).clock(clock).build(), control)
    }
}

#[async_trait]
impl Provider for Script {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn scope(&self) -> Scope {
        self.scope.clone()
    }

    fn judge(&self) -> &dyn Judge {
        &*self.judge
    }

    fn repairs(&self) -> bool {
        matches!(self.kind, Kind::Lacking)
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let control = &self.control;
        let number = control.logins.fetch_add(1, SeqCst) + 1;
        let hook = control.hook.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook().await;
        }
        if control.gated.load(SeqCst) {
            let permit = control.gate.acquire().await.unwrap();
            permit.forget();
        }
        if let Some(error) = control.failures.lock().unwrap().pop_front() {
            return Err(error);
        }
        let token = format!("{}-{number}", self.prefix);
        let session = Session::new();
        Ok(match self.kind {
            Kind::Bearer => session.with_bearer(&token)?,
            Kind::AllThenBearer if number > 1 => session.with_bearer(&token)?,
            Kind::Lacking => session
                .with_bearer(&token)?
                .with_part(Part::fetched_header("x-csrf").when(When::unsafe_methods()))?,
            Kind::Cookie => session.with_cookie("sid", &token)?,
            Kind::Query => session.with_query("csrf", &format!("{token}/&é"))?,
            Kind::All | Kind::AllThenBearer => session
                .with_bearer(&token)?
                .with_cookie("sid", &token)?
                .with_query("csrf", &token)?
                .with_header(
                    http::HeaderName::from_static("x-api-key"),
                    token.parse().unwrap(),
                ),
        })
    }
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: Option<HeaderMap>,
}

impl Seen {
    pub fn bearer(&self) -> Option<&str> {
        let value = self.headers.get("authorization")?.to_str().unwrap();
        Some(value.strip_prefix("Bearer ").unwrap_or(value))
    }

    pub fn cookie(&self) -> Option<&str> {
        Some(self.headers.get("cookie")?.to_str().unwrap())
    }
}

/// Asserts that the second of two requests carries only `token-2`, and nothing else of the first
/// login.
pub fn assert_nothing_old(seen: &[Seen]) {
    let [first, second] = seen else {
        panic!("two requests expected, not {}", seen.len());
    };
    assert!(first.cookie().is_some() && first.headers.contains_key("x-api-key"));
    assert_eq!(first.uri.query(), Some("page=2&csrf=token-1"));
    assert_eq!(second.bearer(), Some("token-2"));
    assert_eq!(second.cookie(), None);
    assert!(!second.headers.contains_key("x-api-key"));
    assert_eq!(second.uri.query(), Some("page=2"));
}

pub type ApiResponse = Response<Full<Bytes>>;
type Respond = Box<dyn Fn(&Seen) -> ApiResponse + Send + Sync>;

/// An API in memory, or behind a real socket.
#[derive(Clone)]
pub struct Api {
    seen: Arc<Mutex<Vec<Seen>>>,
    respond: Arc<Respond>,
}

impl Api {
    pub fn new(respond: impl Fn(&Seen) -> ApiResponse + Send + Sync + 'static) -> Self {
        Self {
            seen: Arc::default(),
            respond: Arc::new(Box::new(respond)),
        }
    }

    /// An API that accepts only this token.
    pub fn accepting(token: &'static str) -> Self {
        Self::new(move |seen| {
            let carried = seen.bearer().or(seen.cookie()).or(seen.uri.query());
            if carried.is_some_and(|carried| carried.contains(token)) {
                response(200, "fine")
            } else {
                response(401, "who are you")
            }
        })
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub async fn handle<B>(self, request: Request<B>) -> Result<ApiResponse, Infallible>
    where
        B: Body<Data = Bytes>,
        B::Error: std::fmt::Debug,
    {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        let seen = Seen {
            method: head.method,
            uri: head.uri,
            version: head.version,
            headers: head.headers,
            body: body.to_bytes(),
            trailers,
        };
        let response = (self.respond)(&seen);
        self.seen.lock().unwrap().push(seen);
        Ok(response)
    }

    /// Serves on loopback until the test's runtime ends. Returns the origin.
    #[allow(clippy::disallowed_methods, reason = "the server of a test")]
    pub async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let api = api.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        api.clone().handle::<hyper::body::Incoming>(request)
                    });
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        format!("http://{address}")
    }
}

/// Runs the other tasks of a current-thread runtime until `done` returns true. No time passes.
pub async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}

pub fn response(status: u16, body: &'static str) -> ApiResponse {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

pub fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

/// Rejects a 403 whose body contains "expired". Any other 403 is a missing permission.
pub struct BodyJudge;

impl Judge for BodyJudge {
    fn wants_body(&self, head: &auth_core::ResponseView<'_>) -> bool {
        head.status == StatusCode::FORBIDDEN
    }

    fn judge(&self, response: &auth_core::ResponseView<'_>) -> auth_core::Verdict {
        if response.status != StatusCode::FORBIDDEN {
            return StatusJudge.judge(response);
        }
        match response.body {
            Some(body) if body.windows(7).any(|word| word == b"expired") => {
                auth_core::Verdict::Rejected
            }
            Some(_) => auth_core::Verdict::NotPermitted,
            None => auth_core::Verdict::Unclear,
        }
    }
}

/// What this thread logs.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The warnings.
    pub fn start() -> (Self, tracing::subscriber::DefaultGuard) {
        Self::at(tracing::Level::WARN)
    }

    pub fn at(level: tracing::Level) -> (Self, tracing::subscriber::DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .with_max_level(level)
            .finish();
        hear_every_thread();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// While a program has only one subscriber, a line that is met first on another thread is off for
/// all of them. Keeps a second one, which takes nothing.
fn hear_every_thread() {
    static OTHER: OnceLock<tracing::Dispatch> = OnceLock::new();
    OTHER.get_or_init(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new()));
}
