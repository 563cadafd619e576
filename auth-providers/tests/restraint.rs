//! How often a login that was written without a thought of it is tried again.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(clippy::disallowed_methods, reason = "callers at the same time")]

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, Event, Identity, Judge, LoginError, Moment,
    Pool, Quota, ReadSecret, RequestHead, ResponseView, Secret, SecretError, SecretSource, Session,
    StatusJudge, Verdict,
};
use auth_providers::{Account, Answers, Login, Step, Transport, request, response};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

const SECOND: Duration = Duration::from_secs(1);

/// An API that is described in the few lines of `examples/custom_provider.rs`, and its logout.
struct Acme(Account);

#[derive(serde::Deserialize)]
struct ResponseBody {
    token: String,
}

impl Acme {
    fn new() -> Self {
        Self(
            Account::new(
                "acme",
                "https://acme.example.com",
                "ada",
                "not the password",
            )
            .unwrap(),
        )
    }
}

impl Login for Acme {
    fn account(&self) -> &Account {
        &self.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0
    }

    fn judge(&self) -> &dyn Judge {
        &AcmeJudge
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        let body = BTreeMap::from([("user", self.0.name()), ("password", password.expose())]);
        request::post_json(&self.url("/login"), &body)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let response = answers.last();
        if response.status() == 409 {
            return Err(LoginError::seats_exhausted("status 409"));
        }
        response::expect_success(response)?;
        let ResponseBody { token } = response::json(response)?;
        Ok(Session::new().with_bearer(&token)?.into())
    }

    fn logout_request(
        &self,
        credential: &Credential,
    ) -> Result<Option<Request<Bytes>>, LoginError> {
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url("/logout").parse().unwrap();
        credential.attach(&mut request)?;
        Ok(Some(request))
    }
}

/// This API answers with 403 and these words when a session is over, and with 410 to its logout.
struct AcmeJudge;

impl Judge for AcmeJudge {
    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        let is_logout = |asked: &RequestHead| asked.uri.path() == "/logout";
        match response.body {
            Some(b"session is over") if response.status == 403 => Verdict::Rejected,
            _ if response.status == 410 && response.request.is_some_and(is_logout) => {
                Verdict::Rejected
            }
            _ => StatusJudge.judge(response),
        }
    }
}

/// An answer as a server writes it.
#[derive(Clone, Copy)]
struct Answer {
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

impl Answer {
    const fn new(status: u16, body: &'static str) -> Self {
        Self {
            status,
            headers: &[],
            body,
        }
    }

    const fn with(self, headers: &'static [(&'static str, &'static str)]) -> Self {
        Self { headers, ..self }
    }

    fn response(self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from_static(self.body.as_bytes()));
        *response.status_mut() = self.status.try_into().unwrap();
        for (name, value) in self.headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        response
    }
}

const TOKEN: Answer = Answer::new(200, r#"{"token":"t-1"}"#);

/// Answers each login and each logout with the same, and notes when a login arrived.
#[derive(Clone)]
struct Server {
    clock: ManualClock,
    login: Answer,
    logout: Answer,
    logins: Arc<Mutex<Vec<Moment>>>,
}

impl Server {
    fn new(clock: &ManualClock, login: Answer, logout: Answer) -> Self {
        Self {
            clock: clock.clone(),
            login,
            logout,
            logins: Arc::default(),
        }
    }
}

#[async_trait]
impl Transport for Server {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        if request.uri().path() == "/logout" {
            return Ok(self.logout.response());
        }
        self.logins.lock().push(self.clock.clock().now());
        Ok(self.login.response())
    }
}

/// When the logins arrive if a caller asks as often as stated, for as long.
async fn asked(answer: Answer, every: Duration, times: u32) -> Vec<Duration> {
    let clock = ManualClock::new();
    let server = Server::new(&clock, answer, answer);
    let logins = Arc::clone(&server.logins);
    let credentials = Credentials::builder(Acme::new().via(server))
        .clock(clock.clock())
        .build();
    let start = clock.clock().now();
    for _ in 0..times {
        let ask = Ask::new().fail_fast();
        credentials.get_with(ask).await.unwrap_err();
        clock.advance(every);
    }
    let logins = logins.lock();
    logins.iter().map(|at| at.since(start)).collect()
}

#[tokio::test]
async fn rule_12_a_wrong_password_is_tried_four_times_in_15_minutes_however_a_server_says_it() {
    const FORM: &str = "<form action='/login'><input name='password'></form>";
    let html: &[_] = &[("content-type", "text/html; charset=utf-8")];
    let json: &[_] = &[("content-type", "application/json")];
    // The attempts in an hour. A refusal's cooldown is 15 minutes, and then 30.
    let (wrong, unsure) = (3..=3, 6..=7);
    for (way, answer, attempts) in [
        (
            "401 JSON",
            Answer::new(401, r#"{"error":"x"}"#).with(json),
            wrong.clone(),
        ),
        (
            "401 HTML",
            Answer::new(401, "Invalid password").with(html),
            wrong.clone(),
        ),
        (
            "403",
            Answer::new(403, r#"{"error":"x"}"#).with(json),
            unsure.clone(),
        ),
        (
            "400",
            Answer::new(400, r#"{"error":"x"}"#).with(json),
            unsure.clone(),
        ),
        ("422", Answer::new(422, "").with(json), unsure.clone()),
        ("200 text", Answer::new(200, "Fails."), unsure.clone()),
        (
            "200 form",
            Answer::new(200, FORM).with(html),
            unsure.clone(),
        ),
        (
            "200 false",
            Answer::new(200, "false").with(json),
            unsure.clone(),
        ),
        (
            "200 JSON list",
            Answer::new(200, r#"["Invalid email or password"]"#).with(json),
            unsure.clone(),
        ),
        (
            "302",
            Answer::new(302, "").with(&[("location", "/login?error=1")]),
            unsure.clone(),
        ),
        ("204", Answer::new(204, ""), unsure.clone()),
    ] {
        let arrived = asked(answer, SECOND, 3_600).await;
        assert!(attempts.contains(&arrived.len()), "{way}: {arrived:?}");
        for start in &arrived {
            let window = *start..*start + 900 * SECOND;
            let within = arrived.iter().filter(|at| window.contains(*at)).count();
            assert!(within <= 4, "{way}: {within} from {start:?}");
        }
    }
}

/// Those that say "not now" are tested below. A 407 is mostly the server's own, since the proxy of
/// a client answers no login over HTTPS.
#[tokio::test]
async fn rule_12_each_4xx_that_does_not_say_not_now_is_tried_four_times_in_15_minutes() {
    const PROXY: &[(&str, &str)] = &[("proxy-authenticate", "Basic realm=proxy")];
    let statuses = (400..500).filter(|status| ![408, 429].contains(status));
    let plain = statuses.map(|status| Answer::new(status, "{}"));
    let proxy = Answer::new(407, "").with(PROXY);
    for answer in plain.chain([proxy]) {
        let arrived = asked(answer, 5 * SECOND, 180).await;
        let most = if answer.status == 401 { 1 } else { 4 };
        assert_eq!(arrived.len(), most, "status {}", answer.status);
    }
}

#[tokio::test]
async fn rule_12_an_outage_is_tried_again_within_a_minute() {
    for status in [408, 500, 502, 503] {
        let arrived = asked(Answer::new(status, ""), SECOND, 3_600).await;
        let longest = arrived
            .windows(2)
            .map(|two| two[1].saturating_sub(two[0]))
            .max();
        assert!(longest.unwrap() <= 61 * SECOND, "{status}");
    }
}

#[tokio::test]
async fn rule_11_a_retry_after_counts_on_every_failed_login() {
    let wait: &[_] = &[("retry-after", "900")];
    for answer in [
        Answer::new(423, "").with(wait),
        Answer::new(403, "").with(wait),
        Answer::new(400, "").with(wait),
        Answer::new(409, "").with(wait),
        Answer::new(401, "{}").with(wait),
        Answer::new(429, "").with(wait),
        Answer::new(503, "").with(wait),
        Answer::new(302, "").with(wait),
        Answer::new(200, "Fails.").with(wait),
        Answer::new(200, r#"{"token":""}"#).with(wait),
    ] {
        let arrived = asked(answer, SECOND / 20, 20 * 899).await;
        assert_eq!(arrived.len(), 1, "status {}", answer.status);
    }
}

#[tokio::test]
async fn rule_11_a_retry_after_that_cant_be_read_is_a_minute_at_least() {
    const WAITS: [&[(&str, &str)]; 4] = [
        &[("retry-after", "soon")],
        &[("retry-after", "")],
        &[("x-retry-after", "-5")],
        &[("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT")],
    ];
    for wait in WAITS {
        for status in [429, 503, 403] {
            let answer = Answer::new(status, "").with(wait);
            let arrived = asked(answer, SECOND, 60).await;
            assert_eq!(arrived.len(), 1, "status {status}, {wait:?}");
        }
    }
}

/// Closes a session, which was rejected before or not. Returns whether the close succeeded, and
/// whether each logout was confirmed.
async fn closed(answer: Answer, rejected: bool) -> (bool, Vec<bool>) {
    let clock = ManualClock::new();
    let confirmed = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&confirmed);
    let server = Server::new(&clock, TOKEN, answer);
    let builder = Credentials::builder(Acme::new().via(server))
        .clock(clock.clock())
        .log_out_superseded(SECOND)
        .observer(move |_: &Identity, event: &Event| {
            if let Event::LoggedOut { confirmed } = event {
                log.lock().push(*confirmed);
            }
        });
    let credentials = builder.build();
    let session = credentials.get().await.unwrap();
    if rejected {
        let outside = std::thread::scope(|scope| {
            // No runtime, so no login begins.
            let reject = || Attempt::new(&credentials, &session).rejected();
            scope.spawn(reject).join().unwrap()
        });
        assert_eq!(outside, Conclusion::Replay);
    }
    let closed = credentials.close().await.is_ok();
    let confirmed = confirmed.lock().clone();
    (closed, confirmed)
}

#[tokio::test]
async fn rule_19_a_401_confirms_a_logout_only_where_the_session_was_known_to_be_over() {
    let csrf = Answer::new(401, "missing csrf token");
    assert_eq!(closed(csrf, false).await, (false, vec![false]));
    assert_eq!(closed(csrf, true).await, (true, vec![true]));
}

#[tokio::test]
async fn rule_19_what_says_that_a_session_is_over_is_no_failure_of_its_logout() {
    for rejected in [false, true] {
        for over in [Answer::new(403, "session is over"), Answer::new(410, "")] {
            assert_eq!(closed(over, rejected).await, (true, vec![true]));
        }
        assert_eq!(
            closed(Answer::new(204, ""), rejected).await,
            (true, vec![true])
        );
        for answer in [Answer::new(403, "not permitted"), Answer::new(500, "")] {
            assert_eq!(closed(answer, rejected).await, (false, vec![false]));
        }
    }
}

/// Follows the redirect of the login's answer, as many logins do.
struct Follows(Acme);

impl Login for Follows {
    fn account(&self) -> &Account {
        &self.0.0
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.0.0
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        self.0.request(password)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        match answers.location() {
            Some(location) => Ok(request::get(&location)?.into()),
            None => self.0.read(answers),
        }
    }
}

/// A next request has no answer.
struct Hangs(Server, u8);

#[async_trait]
impl Transport for Hangs {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        if request.uri().path() != "/login" {
            match self.1 {
                0 => std::future::pending::<()>().await,
                1 => return Err(LoginError::unavailable("no response")),
                _ => return Err(LoginError::timed_out("the client's time-out has passed")),
            }
        }
        self.0.carry(request).await
    }
}

#[tokio::test]
async fn rule_12_a_next_request_without_an_answer_is_no_outage() {
    let mut all = Vec::new();
    for how in 0..3 {
        let clock = ManualClock::new();
        let answer = Answer::new(302, "").with(&[("location", "/error?code=wrong")]);
        let server = Server::new(&clock, answer, answer);
        let logins = Arc::clone(&server.logins);
        let credentials = Credentials::builder(Follows(Acme::new()).via(Hangs(server, how)))
            .clock(clock.clock())
            .build();
        for _ in 0..900 {
            let credentials = credentials.clone();
            tokio::spawn(async move {
                let _ = credentials.get_with(Ask::new().fail_fast()).await;
            });
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            clock.advance(SECOND);
        }
        all.push(logins.lock().len());
    }
    assert!(
        all.iter().all(|arrived| (2..=4).contains(arrived)),
        "{all:?} attempts in 15 minutes"
    );
}

struct Slow(AtomicU64);

#[async_trait]
impl ReadSecret for Slow {
    async fn read(&self) -> Result<Secret, SecretError> {
        if self.0.fetch_add(1, SeqCst) > 0 {
            std::future::pending::<()>().await;
        }
        Ok("not the password".into())
    }
}

struct Gated(Server, Arc<Semaphore>);

#[async_trait]
impl Transport for Gated {
    async fn carry(&self, request: Request<Bytes>) -> Result<Response<Bytes>, LoginError> {
        let answer = self.0.carry(request).await;
        self.1.acquire().await.unwrap().forget();
        answer
    }
}

#[tokio::test]
async fn rule_12_the_next_handle_looks_before_it_sends_though_its_source_is_slow() {
    let clock = ManualClock::new();
    let refused = Answer::new(401, "");
    let server = Server::new(&clock, refused, refused);
    let (logins, gate) = (Arc::clone(&server.logins), Arc::new(Semaphore::new(0)));
    let hands = clock.clone();
    let pool = Pool::with(NonZeroUsize::new(9).unwrap(), move |builder| {
        builder.clock(hands.clock())
    });
    let add = || {
        let source = SecretSource::custom(Slow(0.into()));
        let one = NonZeroU32::MIN;
        let account = Account::new("acme", "https://acme2.example.com", "ada", source).unwrap();
        let login = Acme(account).quota(Quota::new(one, 60 * SECOND));
        pool.add(login.via(Gated(server.clone(), Arc::clone(&gate))))
            .unwrap()
    };
    let first = add();
    let begun = first.clone();
    tokio::spawn(async move { begun.get().await });
    settle().await;
    pool.remove(first.identity());
    let second = add();
    let begun = second.clone();
    tokio::spawn(async move { begun.get_with(Ask::new().wait_for_quota()).await });
    settle().await;
    gate.add_permits(9);
    settle().await;
    assert_eq!(logins.lock().len(), 1);
    for _ in 0..70 {
        clock.advance(SECOND);
        settle().await;
    }
    assert_eq!(logins.lock().len(), 1, "the password was refused 62 s ago");
}

/// Two handles of one account, whose logins are under way: the first one has left the pool.
struct Two {
    clock: ManualClock,
    pool: Pool,
    server: Server,
    gates: [Arc<Semaphore>; 3],
}

impl Two {
    async fn new() -> (Self, [Credentials; 2], JoinHandle<()>) {
        let clock = ManualClock::new();
        let outage = Answer::new(503, "");
        let hands = clock.clone();
        let nine = NonZeroUsize::new(9).unwrap();
        let two = Self {
            server: Server::new(&clock, outage, outage),
            pool: Pool::with(nine, move |builder| builder.clock(hands.clock())),
            clock,
            gates: [(); 3].map(|()| Arc::new(Semaphore::new(0))),
        };
        let first = two.add(outage, 0);
        let caller = begin(&first);
        settle().await;
        two.pool.remove(first.identity());
        let second = two.add(Answer::new(401, ""), 1);
        begin(&second);
        settle().await;
        assert_eq!(two.logins(), 2);
        (two, [first, second], caller)
    }

    fn add(&self, answer: Answer, gate: usize) -> Credentials {
        let mut server = self.server.clone();
        server.login = answer;
        let gated = Gated(server, Arc::clone(&self.gates[gate]));
        self.pool.add(Acme::new().via(gated)).unwrap()
    }

    fn logins(&self) -> usize {
        self.server.logins.lock().len()
    }

    async fn answer(&self, gate: usize) {
        self.gates[gate].add_permits(9);
        settle().await;
    }

    /// The last of them asks again, or the next one asks.
    async fn asks_again(&self, last: Credentials, is_next: bool) {
        self.clock.advance(2 * SECOND);
        self.gates[2].add_permits(9);
        if is_next {
            last.close().await.unwrap();
            let _ = self.add(Answer::new(401, ""), 2).get().await;
        } else {
            let _ = last.get().await;
        }
        assert_eq!(self.logins(), 2, "2 s after a refusal");
    }
}

fn begin(credentials: &Credentials) -> JoinHandle<()> {
    let credentials = credentials.clone();
    tokio::spawn(async move { drop(credentials.get().await) })
}

async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn rule_12_an_outage_of_one_handle_takes_nothing_back_of_a_refusal_of_another() {
    for is_next in [false, true] {
        let (two, [first, second], _) = Two::new().await;
        two.answer(1).await;
        two.answer(0).await;
        let last = if is_next { second } else { first };
        two.asks_again(last, is_next).await;
    }
}

#[tokio::test]
async fn rule_12_a_handle_that_is_dropped_takes_nothing_back_of_a_refusal_of_another() {
    for is_next in [false, true] {
        let (two, [first, second], caller) = Two::new().await;
        two.answer(1).await;
        caller.abort();
        settle().await;
        drop(first);
        two.asks_again(second, is_next).await;
    }
}
