//! Responses that ask for another part of the session, through both integrations, over real
//! sockets.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_core::{
    Ask, Credential, Credentials, Identity, Judge, LoginError, Origin, Part, Provider,
    ResponseView, Secret, SecretSource, Session, StatusJudge, Update, Verdict, When,
};
use auth_middleware::{AuthContext, AuthLayer, AuthMiddleware, Redirects};
use bytes::Bytes;
use common::{Api, Seen, response};
use futures_util::future::join_all;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::ClientBuilder;
use tower::{ServiceBuilder, ServiceExt};

const CSRF: HeaderName = HeaderName::from_static("x-csrf");

/// What the server accepts, and what was asked of it.
#[derive(Default)]
struct Site {
    csrf: AtomicU64,
    repairs: AtomicU64,
    logins: AtomicU64,
    /// Whether a 409 brings the value.
    brings: bool,
    /// Whether no value will do.
    broken: std::sync::atomic::AtomicBool,
    /// The good token.
    token: AtomicU64,
}

impl Site {
    fn csrf(&self) -> String {
        format!("c-{}", self.csrf.load(SeqCst))
    }

    /// Of an account of its own, and so with a quota of its own.
    fn credentials(self: &Arc<Self>, url: &str) -> Credentials {
        Credentials::new(Csrf {
            identity: Identity::new("csrf", Origin::parse(url).unwrap(), "me"),
            secret: "correct horse".into(),
            site: Arc::clone(self),
        })
    }

    fn api(self: &Arc<Self>) -> Api {
        let site = Arc::clone(self);
        Api::new(move |seen| {
            let bearer = format!("t-{}", site.token.load(SeqCst));
            if seen.bearer() != Some(&bearer) {
                return response(401, "");
            }
            let right = seen
                .headers
                .get(CSRF)
                .is_some_and(|csrf| *csrf == *site.csrf());
            if right && !site.broken.load(SeqCst) {
                return response(200, "done");
            }
            let mut conflict = response(409, "");
            if site.brings {
                let value = site.csrf().parse().unwrap();
                conflict.headers_mut().insert(CSRF, value);
            }
            conflict
        })
    }
}

/// A provider whose sessions need a csrf value beside the token.
struct Csrf {
    identity: Identity,
    secret: SecretSource,
    site: Arc<Site>,
}

fn update(csrf: &str) -> Update {
    Update::new().with_header(CSRF, csrf.parse().unwrap())
}

impl Judge for Csrf {
    fn wants_body(&self, _: &ResponseView<'_>) -> bool {
        false
    }

    fn wants_request(&self) -> bool {
        false
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match response.status {
            StatusCode::CONFLICT => Verdict::NeedsRepair,
            _ => StatusJudge.judge(response),
        }
    }
}

#[async_trait]
impl Provider for Csrf {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn judge(&self) -> &dyn Judge {
        self
    }

    fn updates(&self) -> bool {
        true
    }

    fn update(&self, response: &ResponseView<'_>, _: &Credential) -> Update {
        let brought = response.headers.get(CSRF);
        brought.map_or_else(Update::new, |csrf| update(csrf.to_str().unwrap()))
    }

    fn repairs(&self) -> bool {
        !self.site.brings
    }

    async fn repair(&self, current: &Credential) -> Result<Update, LoginError> {
        assert!(current.header(&http::header::AUTHORIZATION).is_some());
        self.site.repairs.fetch_add(1, SeqCst);
        tokio::task::yield_now().await;
        if self.site.broken.load(SeqCst) {
            return Err(LoginError::unavailable("status 503"));
        }
        Ok(update(&self.site.csrf()))
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let number = self.site.logins.fetch_add(1, SeqCst) + 1;
        self.site.token.store(number, SeqCst);
        let csrf = Part::header(CSRF.as_str(), "old").when(When::unsafe_methods());
        let session = Session::new().with_bearer(&format!("t-{number}"))?;
        Ok(session.with_part(csrf)?)
    }
}

struct Test {
    site: Arc<Site>,
    api: Api,
    credentials: Credentials,
    url: String,
}

impl Test {
    async fn new(brings: bool) -> Self {
        let site = Arc::new(Site {
            brings,
            ..Site::default()
        });
        let api = site.api();
        let url = api.serve().await;
        let credentials = site.credentials(&url);
        Self {
            site,
            api,
            credentials,
            url,
        }
    }

    /// Sends so many `POST`s at once, and returns their statuses.
    async fn post(&self, tower: bool, how_many: usize) -> Vec<u16> {
        self.post_as(tower, how_many, AuthContext::new()).await
    }

    async fn post_as(&self, tower: bool, how_many: usize, context: AuthContext) -> Vec<u16> {
        if tower {
            let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let service = ServiceBuilder::new()
                .layer(AuthLayer::new(self.credentials.clone()))
                .service(client);
            let sent = (0..how_many).map(|_| {
                let request = Request::post(&self.url).extension(context.clone());
                let request = request.body(Full::from("a body")).unwrap();
                let response = service.clone().oneshot(request);
                async {
                    response
                        .await
                        .map_or(0, |response| response.status().as_u16())
                }
            });
            join_all(sent).await
        } else {
            let builder = reqwest::Client::builder();
            let (client, auth) =
                AuthMiddleware::with_client(builder, self.credentials.clone()).unwrap();
            // Without redirects, a copy is kept for this alone.
            let auth = auth.redirects(Redirects::none());
            let client = ClientBuilder::new(client).with(auth).build();
            let sent = (0..how_many).map(|_| {
                let request = client.post(&self.url).body("a body");
                let response = request.with_extension(context.clone()).send();
                async {
                    response
                        .await
                        .map_or(0, |response| response.status().as_u16())
                }
            });
            join_all(sent).await
        }
    }

    fn counts(&self) -> (u64, u64) {
        (
            self.site.logins.load(SeqCst),
            self.site.repairs.load(SeqCst),
        )
    }
}

const BOTH: [bool; 2] = [false, true];

#[tokio::test]
async fn rule_8_a_thousand_requests_that_lack_a_value_are_sent_again_with_the_one_that_came() {
    for (tower, brings) in [(false, true), (true, true), (false, false), (true, false)] {
        let test = Test::new(brings).await;
        test.credentials.get().await.unwrap();
        let statuses = test.post(tower, 1_000).await;
        assert!(
            statuses.iter().all(|status| *status == 200),
            "tower: {tower}"
        );
        assert_eq!(test.counts(), (1, u64::from(!brings)), "one step at most");
        // Those that were sent after the value had come carry it at once.
        assert!(test.api.count() <= 2_000);
        // It changes again.
        test.site.csrf.fetch_add(1, SeqCst);
        assert_eq!(test.post(tower, 1).await, [200]);
        assert_eq!(test.counts(), (1, 2 * u64::from(!brings)));
    }
}

#[tokio::test]
async fn rule_9_a_request_is_sent_again_once_for_a_rejection_and_once_for_a_repair() {
    for tower in BOTH {
        for brings in BOTH {
            let test = Test::new(brings).await;
            test.credentials.get().await.unwrap();
            // The session is dead, and the next one needs a csrf value, too.
            test.site.token.store(99, SeqCst);
            assert_eq!(test.post(tower, 1).await, [200], "tower: {tower}");
            let bodies: Vec<_> = test.api.seen().into_iter().map(|seen| seen.body).collect();
            assert_eq!(bodies, ["a body"; 3]);
            assert_eq!(test.site.logins.load(SeqCst), 2);
        }
    }
}

#[tokio::test]
async fn rule_8_a_repair_whose_replay_asks_again_starts_a_cooldown_and_casts_no_doubt() {
    for tower in BOTH {
        let test = Test::new(true).await;
        test.credentials.get().await.unwrap();
        test.site.broken.store(true, SeqCst);
        assert_eq!(test.post(tower, 1).await, [409]);
        assert_eq!(test.api.count(), 2);
        // Values are heard, and nothing is sent again.
        test.site.csrf.fetch_add(1, SeqCst);
        assert_eq!(test.post(tower, 1).await, [409]);
        assert_eq!(test.api.count(), 3);
        assert_eq!(test.counts().0, 1, "no login");
        // A rejection is believed as ever.
        test.site.broken.store(false, SeqCst);
        test.site.token.store(99, SeqCst);
        assert_eq!(
            test.post(tower, 1).await,
            [200],
            "the new session is repaired"
        );
        assert_eq!(test.counts().0, 2);
    }
}

#[tokio::test]
async fn rule_8_a_repair_that_fails_is_an_error_for_those_who_wait_and_starts_a_cooldown() {
    for tower in BOTH {
        let test = Test::new(false).await;
        test.credentials.get().await.unwrap();
        test.site.broken.store(true, SeqCst);
        assert_eq!(
            test.post(tower, 10).await,
            [0; 10],
            "the failure of the repair"
        );
        assert_eq!(test.counts(), (1, 1));
        assert_eq!(test.post(tower, 1).await, [409]);
        assert_eq!(test.counts(), (1, 1));
    }
}

#[tokio::test]
async fn rule_8_a_rejection_that_is_doubted_asks_for_no_repair() {
    for tower in BOTH {
        let mut test = Test::new(false).await;
        test.api = Api::new(|_| response(401, ""));
        test.url = test.api.serve().await;
        test.credentials = test.site.credentials(&test.url);
        for _ in 0..3 {
            assert_eq!(test.post(tower, 1).await, [401]);
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(test.counts(), (2, 0));
    }
}

#[tokio::test]
async fn rule_9_a_request_that_must_not_be_sent_twice_is_not_repaired() {
    for tower in BOTH {
        let test = Test::new(true).await;
        test.credentials.get().await.unwrap();
        let once = AuthContext::new().without_replay();
        assert_eq!(test.post_as(tower, 1, once.clone()).await, [409]);
        assert_eq!(test.api.count(), 1);
        assert_eq!(
            test.post_as(tower, 1, once).await,
            [200],
            "the value was heard"
        );
    }
}

#[tokio::test]
async fn rule_8_safe_methods_need_no_repair() {
    let test = Test::new(false).await;
    let ask = Ask::new().fail_fast();
    let credential = test.credentials.get_with(ask).await.unwrap();
    let mut request = Request::get(&test.url).body(()).unwrap();
    credential.attach(&mut request).unwrap();
    assert!(!request.headers().contains_key(CSRF));
}

/// A pair that each answer to the newest one rolls. The server takes the last two.
fn double_submit(state: Arc<Mutex<u64>>) -> Api {
    Api::new(move |seen: &Seen| {
        let mut newest = state.lock().unwrap();
        let header = seen.headers.get(CSRF).and_then(|value| value.to_str().ok());
        let pair = |number: u64| {
            let cookie = format!("csrf={number}");
            header == Some(&number.to_string())
                && seen
                    .cookie()
                    .is_some_and(|all| all.split("; ").any(|one| one == cookie))
        };
        let status = if pair(*newest) {
            *newest += 1;
            200
        } else if *newest > 0 && pair(*newest - 1) {
            200
        } else {
            403
        };
        let mut response = response(status, "");
        let line = format!("csrf={newest}; Path=/");
        let line = HeaderValue::from_str(&line).unwrap();
        response.headers_mut().insert("set-cookie", line);
        response
    })
}

struct DoubleSubmit {
    identity: Identity,
    secret: SecretSource,
    logins: Arc<AtomicU64>,
}

#[async_trait]
impl Provider for DoubleSubmit {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn judge(&self) -> &dyn Judge {
        &|response: &ResponseView<'_>| match response.status {
            StatusCode::FORBIDDEN => Verdict::NeedsRepair,
            _ => StatusJudge.judge(response),
        }
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        self.logins.fetch_add(1, SeqCst);
        let session = Session::new().with_bearer("t")?.with_cookie("csrf", "0")?;
        Ok(session.with_header_from_cookie(CSRF.as_str(), "csrf")?)
    }
}

#[tokio::test]
async fn rule_8_a_pair_that_rolls_on_every_answer_fails_no_request_and_costs_no_login() {
    for tower in BOTH {
        let api = double_submit(Arc::default());
        let url = api.serve().await;
        let logins = Arc::default();
        let credentials = Credentials::new(DoubleSubmit {
            identity: Identity::new("double", Origin::parse(&url).unwrap(), "me"),
            secret: "correct horse".into(),
            logins: Arc::clone(&logins),
        });
        let test = Test {
            site: Arc::default(),
            api,
            credentials,
            url,
        };
        for _ in 0..20 {
            let statuses = test.post(tower, 50).await;
            assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        }
        assert_eq!(logins.load(SeqCst), 1);
    }
}

#[tokio::test]
async fn rule_8_a_part_is_fetched_for_the_next_request_if_its_own_must_not_be_sent_twice() {
    for tower in BOTH {
        let test = Test::new(false).await;
        test.credentials.get().await.unwrap();
        let once = AuthContext::new().without_replay();
        assert_eq!(test.post_as(tower, 1, once.clone()).await, [409]);
        let fetched = async {
            while test.counts().1 == 0 {
                tokio::task::yield_now().await;
            }
            while test.post_as(tower, 1, once.clone()).await != [200] {}
        };
        let within = std::time::Duration::from_secs(10);
        let fetched = tokio::time::timeout(within, fetched).await;
        fetched.expect("the part was not fetched");
        assert_eq!(test.counts(), (1, 1), "tower {tower}");
    }
}
