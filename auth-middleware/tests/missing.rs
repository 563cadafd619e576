//! Parts of a session that are fetched before the first request that carries them, through both
//! integrations, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use auth_core::{
    Ask, Credential, Credentials, Error, Identity, LoginError, Origin, Part, Provider, Secret,
    SecretSource, Session, Update, When,
};
use auth_middleware::{AuthContext, AuthLayer, AuthMiddleware, Redirects, auth_error};
use bytes::Bytes;
use common::{Api, Seen, response, until};
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;
use tower::{ServiceBuilder, ServiceExt};

const CSRF: HeaderName = HeaderName::from_static("x-csrf");
const BOTH: [bool; 2] = [false, true];

/// What the server accepts, how fetches go, and how many there were.
struct Site {
    /// The login whose token is good.
    good: AtomicU64,
    logins: AtomicU64,
    fetches: AtomicU64,
    /// Lets fetches through.
    gate: Semaphore,
    /// Whether fetches fail.
    broken: AtomicBool,
    /// How many fetches are answered with 401, whatever the session is.
    refuses: AtomicU64,
    /// Whether the login brings the value.
    brings: AtomicBool,
    repairs: AtomicBool,
}

impl Site {
    /// Writes below `/api` need the value of their session. `/moved` leads there.
    fn answer(&self, seen: &Seen) -> common::ApiResponse {
        let good = self.good.load(SeqCst);
        if seen.bearer() != Some(&*format!("t-{good}")) {
            return response(401, "");
        }
        if seen.uri.path() == "/moved" {
            let mut moved = response(307, "");
            let to = HeaderValue::from_static("/api/x");
            moved.headers_mut().insert("location", to);
            return moved;
        }
        let needs = seen.method != Method::GET && seen.uri.path().starts_with("/api");
        let csrf = seen.headers.get(CSRF).map(HeaderValue::as_bytes);
        let right = csrf == Some(format!("c-{good}").as_bytes());
        match (needs, csrf) {
            (true, _) if !right => response(403, ""),
            (false, Some(_)) => response(400, "a value that no request has asked for"),
            _ => response(200, "done"),
        }
    }
}

struct Lazy {
    identity: Identity,
    secret: SecretSource,
    site: Arc<Site>,
}

#[async_trait]
impl Provider for Lazy {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn repairs(&self) -> bool {
        self.site.repairs.load(SeqCst)
    }

    async fn repair(&self, current: &Credential) -> Result<Update, LoginError> {
        let site = &self.site;
        site.fetches.fetch_add(1, SeqCst);
        site.gate.acquire().await.unwrap().forget();
        if site.broken.load(SeqCst) {
            return Err(LoginError::unavailable("status 503"));
        }
        let bearer = current.header(&http::header::AUTHORIZATION).unwrap();
        let number = bearer.to_str().unwrap().strip_prefix("Bearer t-").unwrap();
        let refuses = |left: u64| left.checked_sub(1);
        if number != site.good.load(SeqCst).to_string()
            || site.refuses.fetch_update(SeqCst, SeqCst, refuses).is_ok()
        {
            return Err(LoginError::refused("status 401"));
        }
        let csrf = format!("c-{number}").parse().unwrap();
        Ok(Update::new().with_header(CSRF, csrf))
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let number = self.site.logins.fetch_add(1, SeqCst) + 1;
        self.site.good.store(number, SeqCst);
        let csrf = if self.site.brings.load(SeqCst) {
            Part::header(CSRF.as_str(), format!("c-{number}"))
        } else {
            Part::fetched_header(CSRF.as_str())
        };
        let writes = When::unsafe_methods().below("/api");
        let session = Session::new().with_bearer(&format!("t-{number}"))?;
        Ok(session.with_part(csrf.when(writes))?)
    }
}

struct Test {
    site: Arc<Site>,
    api: Api,
    credentials: Credentials,
    url: String,
}

type Answer = Result<u16, Error>;

impl Test {
    async fn new() -> Self {
        let site = Arc::new(Site {
            good: AtomicU64::new(0),
            logins: AtomicU64::new(0),
            fetches: AtomicU64::new(0),
            gate: Semaphore::new(1_000),
            broken: false.into(),
            refuses: AtomicU64::new(0),
            brings: false.into(),
            repairs: true.into(),
        });
        let served = Arc::clone(&site);
        let api = Api::new(move |seen| served.answer(seen));
        let url = api.serve().await;
        let credentials = Credentials::new(Lazy {
            identity: Identity::new("lazy", Origin::parse(&url).unwrap(), "me"),
            secret: "correct horse".into(),
            site: Arc::clone(&site),
        });
        Self {
            site,
            api,
            credentials,
            url,
        }
    }

    /// The same, whose fetches wait.
    async fn shut() -> Self {
        let test = Self::new().await;
        test.site.gate.forget_permits(1_000);
        test
    }

    /// Sends so many requests at once.
    async fn send(&self, tower: bool, method: Method, path: &str, how_many: usize) -> Vec<Answer> {
        let context = AuthContext::new();
        self.send_as(tower, method, path, how_many, context).await
    }

    async fn send_as(
        &self,
        tower: bool,
        method: Method,
        path: &str,
        how_many: usize,
        context: AuthContext,
    ) -> Vec<Answer> {
        let url = format!("{}{path}", self.url);
        if tower {
            let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let layer = AuthLayer::new(self.credentials.clone());
            let service = ServiceBuilder::new()
                .layer(layer.follow_redirects(Redirects::new()))
                .service(client);
            let sent = (0..how_many).map(|_| {
                let request = Request::builder().method(method.clone()).uri(&url);
                let request = request.extension(context.clone());
                let request = request.body(Full::from("a body")).unwrap();
                let response = service.clone().oneshot(request);
                async {
                    match response.await {
                        Ok(response) => Ok(response.status().as_u16()),
                        Err(error) => Err(error.downcast_ref::<Error>().unwrap().clone()),
                    }
                }
            });
            join_all(sent).await
        } else {
            let builder = reqwest::Client::builder();
            let client = AuthMiddleware::build_client(builder, self.credentials.clone()).unwrap();
            let sent = (0..how_many).map(|_| {
                let request = client.request(method.clone(), &url).body("a body");
                let response = request.with_extension(context.clone()).send();
                async {
                    match response.await {
                        Ok(response) => Ok(response.status().as_u16()),
                        Err(error) => Err(auth_error(&error).unwrap().clone()),
                    }
                }
            });
            join_all(sent).await
        }
    }

    async fn write(&self, tower: bool, how_many: usize) -> Vec<Answer> {
        self.send(tower, Method::POST, "/api/x", how_many).await
    }

    /// Logins and fetches.
    fn counts(&self) -> (u64, u64) {
        let (logins, fetches) = (&self.site.logins, &self.site.fetches);
        (logins.load(SeqCst), fetches.load(SeqCst))
    }
}

fn all(answers: &[Answer], status: u16) -> bool {
    let is = |answer: &Answer| matches!(answer, Ok(it) if *it == status);
    answers.iter().all(is)
}

#[tokio::test]
async fn rule_8_a_thousand_first_writes_fetch_their_part_once_and_all_of_them_carry_it() {
    for tower in BOTH {
        for warm in BOTH {
            let test = Test::new().await;
            if warm {
                let read = test.send(tower, Method::GET, "/api/x", 1).await;
                assert!(all(&read, 200));
            }
            let before = test.api.count();
            assert!(all(&test.write(tower, 1_000).await, 200), "tower: {tower}");
            assert_eq!(test.counts(), (1, 1));
            assert_eq!(test.api.count() - before, 1_000, "each was sent once");
        }
    }
}

#[tokio::test]
async fn rule_8_reads_and_other_paths_are_sent_while_a_part_is_fetched_and_fetch_none() {
    for tower in BOTH {
        let test = Test::shut().await;
        for (method, path) in [(Method::GET, "/api/x"), (Method::POST, "/other")] {
            let answers = test.send(tower, method, path, 10).await;
            assert!(all(&answers, 200));
        }
        assert_eq!(test.counts(), (1, 0));
        let mut writes = Box::pin(test.write(tower, 10));
        assert!(futures_util::poll!(&mut writes).is_pending());
        until(|| test.counts().1 == 1).await;
        for (method, path) in [(Method::GET, "/api/x"), (Method::POST, "/other")] {
            let answers = test.send(tower, method, path, 10).await;
            assert!(all(&answers, 200));
        }
        assert_eq!(test.api.count(), 40, "no write was sent");
        test.site.gate.add_permits(1);
        assert!(all(&writes.await, 200));
        assert_eq!(test.counts(), (1, 1));
    }
}

#[tokio::test]
async fn rule_8_if_the_fetch_fails_nothing_is_sent_and_all_get_the_error() {
    for tower in BOTH {
        let test = Test::new().await;
        test.site.broken.store(true, SeqCst);
        for _ in 0..2 {
            for answer in test.write(tower, 1_000).await {
                let error = answer.unwrap_err();
                assert!(error.is_unavailable() && error.retry_after().is_some());
            }
        }
        assert_eq!(test.counts(), (1, 1));
        assert_eq!(test.api.count(), 0);
    }
}

#[tokio::test]
async fn rule_8_a_provider_that_fetches_none_is_told_before_anything_is_sent() {
    for tower in BOTH {
        let test = Test::new().await;
        test.site.repairs.store(false, SeqCst);
        for method in [Method::GET, Method::POST] {
            let answers = test.send(tower, method, "/api/x", 10).await;
            for answer in answers {
                assert!(answer.unwrap_err().is_misconfigured());
            }
        }
        assert_eq!((test.counts(), test.api.count()), ((1, 0), 0));
    }
}

#[tokio::test]
async fn rule_8_a_replay_with_a_new_session_fetches_its_part_first() {
    for tower in BOTH {
        let test = Test::new().await;
        assert!(all(&test.write(tower, 1).await, 200));
        // The server has forgotten the session.
        test.site.good.store(99, SeqCst);
        assert!(all(&test.write(tower, 1).await, 200));
        assert_eq!(test.counts(), (2, 2));
        let seen = test.api.seen();
        let carried = seen.iter().map(|seen| seen.headers[CSRF].clone());
        assert_eq!(carried.collect::<Vec<_>>(), ["c-1", "c-1", "c-2"]);
        assert_eq!(seen[2].body, "a body");
    }
}

#[tokio::test]
async fn rule_8_a_login_that_brings_the_part_leaves_nothing_to_fetch() {
    for tower in BOTH {
        let test = Test::new().await;
        test.site.brings.store(true, SeqCst);
        assert!(all(&test.write(tower, 100).await, 200));
        assert_eq!(test.counts(), (1, 0));
    }
}

#[tokio::test]
async fn rule_8_a_hop_that_would_carry_a_missing_part_fetches_it_first() {
    for tower in BOTH {
        let test = Test::new().await;
        assert!(all(&test.send(tower, Method::GET, "/moved", 1).await, 200));
        assert_eq!(test.counts(), (1, 0), "a read");
        assert!(all(&test.send(tower, Method::POST, "/moved", 1).await, 200));
        assert_eq!(test.counts(), (1, 1));
        let seen = test.api.seen();
        assert_eq!(seen.len(), 4);
        assert!(!seen[2].headers.contains_key(CSRF));
        assert_eq!(seen[3].headers[CSRF], "c-1");
        assert_eq!(seen[3].body, "a body");
    }
}

#[tokio::test]
async fn rule_8_the_fetch_of_a_dead_session_is_followed_by_a_login_before_anything_is_sent() {
    for tower in BOTH {
        let test = Test::new().await;
        test.credentials.get().await.unwrap();
        test.site.good.store(99, SeqCst);
        assert!(all(&test.write(tower, 1_000).await, 200));
        assert_eq!(test.counts(), (2, 2));
        assert_eq!(test.api.count(), 1_000);
    }
}

#[tokio::test]
async fn rule_8_where_every_fetch_is_refused_one_login_is_spent_and_nothing_is_sent() {
    for tower in BOTH {
        let test = Test::new().await;
        test.site.refuses.store(1_000, SeqCst);
        for _ in 0..2 {
            for answer in test.write(tower, 100).await {
                let error = answer.unwrap_err();
                assert!(
                    error.is_unavailable() && !error.is_login_refused(),
                    "{error}"
                );
            }
        }
        assert_eq!(test.counts(), (2, 2));
        assert_eq!(test.api.count(), 0);
    }
}

#[tokio::test]
async fn rule_8_a_request_that_is_dropped_while_it_waits_for_a_part_stops_no_other() {
    for tower in BOTH {
        let test = Test::shut().await;
        let mut first = Box::pin(test.write(tower, 1));
        assert!(futures_util::poll!(&mut first).is_pending());
        let mut others = Box::pin(test.write(tower, 10));
        assert!(futures_util::poll!(&mut others).is_pending());
        until(|| {
            let _ = futures_util::FutureExt::now_or_never(&mut first);
            let _ = futures_util::FutureExt::now_or_never(&mut others);
            test.counts().1 == 1
        })
        .await;
        drop(first);
        test.site.gate.add_permits(1);
        assert!(all(&others.await, 200));
        assert_eq!((test.counts(), test.api.count()), ((1, 1), 10));
    }
}

#[tokio::test]
async fn rule_8_a_request_that_must_not_be_sent_twice_waits_for_its_part_all_the_same() {
    for tower in BOTH {
        let test = Test::new().await;
        let once = AuthContext::new().without_replay();
        let answers = test.send_as(tower, Method::POST, "/api/x", 1, once).await;
        assert!(all(&answers, 200));
    }
}

#[tokio::test]
async fn a_renewal_is_done_though_the_part_of_the_new_session_cant_be_fetched() {
    for tower in BOTH {
        let test = Test::new().await;
        test.credentials.get().await.unwrap();
        test.site.broken.store(true, SeqCst);
        let context = AuthContext::new().ask(Ask::new().renewed());
        for _ in 0..3 {
            let context = context.clone();
            let answers = test
                .send_as(tower, Method::POST, "/api/x", 1, context)
                .await;
            assert!(answers[0].is_err());
        }
        assert_eq!(test.counts(), (2, 1));
    }
}
