//! What one process of a fleet does: it has a cache with a store, and does what its parent asks
//! for, a line for each question and each answer.

use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use auth_core::store::{
    Change, Entry, FileStore, Keys, LeaseAnswer, LeaseAsk, PermitAnswer, PermitAsk, RedisStore,
    Saved, Seal, SessionChange, Store, StoreError,
};
use auth_core::{
    Ask, Credential, Credentials, Event, Identity, Lifetime, LoginError, Quota, Refresh, Secret,
    Session,
};
use auth_middleware::AuthMiddleware;
use auth_providers::{Account, Answers, Login, ReqwestTransport, Step, request, response};
use bytes::Bytes;
use http::{Request, Response};
use reqwest_middleware::ClientWithMiddleware;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::logged;

/// The variable with the [`Setup`] of a child.
pub(crate) const SETUP: &str = "AUTH_FLEET_TEST_SETUP";

/// What an answer begins with. The rest that the process prints is the log.
pub(crate) const ANSWER: char = '@';

/// The key of a store in Redis. A folder has its own.
pub(crate) const KEY: [u8; 32] = [7; 32];

/// Requests that are under way at a time.
const CONNECTIONS: usize = 32;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) base_url: String,
    /// A folder, or the URL of a Redis.
    pub(crate) store: String,
    pub(crate) account: String,
    pub(crate) password: String,
    pub(crate) login_timeout: Duration,
    pub(crate) logins: u32,
    pub(crate) window: Duration,
    /// The longest back-off.
    pub(crate) backoff: Duration,
    /// The process stops when it is about to save its first session, until it is told to go on.
    pub(crate) stops_in_save: bool,
    /// Whether all that is logged is printed.
    pub(crate) logs: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the tests run it in processes of their own"]
async fn child() {
    let Ok(setup) = std::env::var(SETUP) else {
        return;
    };
    let setup: Setup = serde_json::from_str(&setup).unwrap();
    if setup.logs {
        logged::print_all();
    }
    let process = Arc::new(Process::new(&setup));
    let (sender, mut questions) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || sender.send(line.unwrap()).is_err() {
                break;
            }
        }
    });
    say(&json!("ready"));
    while let Some(question) = questions.recv().await {
        let words: Vec<&str> = question.split(' ').collect();
        let number = |index: usize| words.get(index).map_or(0, |word| word.parse().unwrap());
        let answer = match words[0] {
            "get" => process.get(Duration::from_millis(number(1))).await,
            "keep_trying" => process.keep_trying().await,
            "tasks" => process.tasks(number(1)).await,
            "until" => process.until(number(1)).await,
            "status" => process.status(),
            "close" => json!(process.credentials.close().await.is_ok()),
            "log_out" => json!(process.credentials.log_out().await.is_ok()),
            other => panic!("{other}"),
        };
        say(&answer);
    }
    // The parent is gone, or has what it wants.
    std::process::exit(0);
}

fn say(answer: &Value) {
    let mut stdout = std::io::stdout().lock();
    // The line before may be the test harness's, without an end.
    writeln!(stdout, "\n{ANSWER}{answer}").unwrap();
    stdout.flush().unwrap();
}

struct Process {
    credentials: Credentials,
    client: ClientWithMiddleware,
    url: String,
    counts: Arc<Counts>,
    connections: Arc<Semaphore>,
}

#[derive(Default)]
struct Counts {
    /// Steps at the store, without the looks.
    steps: AtomicU64,
    /// Looks of the task that follows the store, which succeeded.
    looks: AtomicU64,
    /// Saves of a session, and of those the ones that were made.
    saves: AtomicU64,
    made_saves: AtomicU64,
    /// Saves that were refused, because a newer session was there.
    refused_saves: AtomicU64,
    store_failed: AtomicU64,
    unreadable: AtomicU64,
    loaded: AtomicU64,
    rejected: AtomicU64,
    refresh_failed: AtomicU64,
}

impl Process {
    fn new(setup: &Setup) -> Self {
        let counts: Arc<Counts> = Arc::default();
        let inner: Arc<dyn Store> = if setup.store.starts_with("redis://") {
            Arc::new(RedisStore::connect(&setup.store, Keys::from_bytes(KEY)).unwrap())
        } else {
            Arc::new(FileStore::open(&setup.store).unwrap())
        };
        let store = Counted {
            inner,
            counts: Arc::clone(&counts),
            stops: AtomicBool::new(setup.stops_in_save),
        };
        let quota = Quota::new(setup.logins.try_into().unwrap(), setup.window);
        let mut account = Account::new(
            "fleet",
            &*setup.base_url,
            &*setup.account,
            setup.password.as_str(),
        )
        .unwrap();
        account.set_documented_quota(quota);
        let fleet = Fleet { account };
        let seen = Arc::clone(&counts);
        let credentials = Credentials::builder(fleet.via(ReqwestTransport::new().unwrap()))
            .store(store)
            .login_timeout(setup.login_timeout)
            .backoff(Duration::from_millis(10), setup.backoff)
            .observer(move |_: &Identity, event: &Event| {
                let count = match event {
                    Event::StoreFailed { .. } => &seen.store_failed,
                    Event::StoredUnreadable { .. } => &seen.unreadable,
                    Event::Loaded { .. } => &seen.loaded,
                    Event::Rejected { .. } => &seen.rejected,
                    Event::RefreshFailed { .. } => &seen.refresh_failed,
                    _ => return,
                };
                count.fetch_add(1, SeqCst);
            })
            .build();
        let builder = reqwest::Client::builder().no_proxy();
        let client = AuthMiddleware::build_client(builder, credentials.clone()).unwrap();
        Self {
            credentials,
            client,
            url: format!("{}/me", setup.base_url),
            counts,
            connections: Arc::new(Semaphore::new(CONNECTIONS)),
        }
    }

    /// A session, within this time.
    async fn get(&self, within: Duration) -> Value {
        let start = Instant::now();
        let got = self.credentials.get_with(Ask::new().within(within)).await;
        let took = u64::try_from(start.elapsed().as_millis()).unwrap();
        match got {
            Ok(credential) => json!({ "session": credential.kept("number"), "took": took }),
            Err(error) => json!({
                "refused": error.is_login_refused(),
                "error": format!("{:#}", anyhow::Error::from(error)),
                "took": took,
            }),
        }
    }

    /// Asks for a session again and again, as a program does whose requests don't end.
    async fn keep_trying(&self) -> Value {
        loop {
            if let Ok(credential) = self.credentials.get().await {
                return json!({ "session": credential.kept("number") });
            }
            // The failure is told again until the back-off ends.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// So many requests at once, each by a task of its own.
    async fn tasks(self: &Arc<Self>, number: u64) -> Value {
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..number {
            let process = Arc::clone(self);
            tasks.spawn(async move { process.request().await });
        }
        let (mut failed, mut errors) = (0, Vec::new());
        let mut first = None;
        while let Some(result) = tasks.join_next().await {
            first.get_or_insert_with(|| start.elapsed().as_millis());
            if let Err(error) = result.unwrap() {
                failed += 1;
                errors.push(error);
                errors.truncate(3);
            }
        }
        json!({
            "ok": number - failed, "failed": failed, "errors": errors,
            "first": u64::try_from(first.unwrap_or_default()).unwrap(),
            "took": u64::try_from(start.elapsed().as_millis()).unwrap(),
        })
    }

    async fn request(&self) -> Result<(), String> {
        // All wait for the one login, and then for a connection.
        self.credentials
            .get()
            .await
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
        let _permit = self.connections.acquire().await.unwrap();
        let response = self.client.get(&self.url).send().await;
        let response = response.map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
        if response.status() == 200 {
            Ok(())
        } else {
            Err(format!("status {}", response.status()))
        }
    }

    /// One request after another, until the server has issued so many sessions.
    async fn until(&self, sessions: u64) -> Value {
        let (mut ok, mut failed, mut errors) = (0, 0, Vec::new());
        loop {
            match self.request().await {
                Ok(()) => ok += 1,
                Err(error) => {
                    failed += 1;
                    errors.push(error);
                    errors.truncate(3);
                }
            }
            let current = self.credentials.peek();
            let number = current.and_then(|current| current.kept("number")?.parse::<u64>().ok());
            if number.is_some_and(|number| number >= sessions) {
                return json!({ "ok": ok, "failed": failed, "errors": errors });
            }
        }
    }

    fn status(&self) -> Value {
        let count = |count: &AtomicU64| count.load(SeqCst);
        json!({
            "steps": count(&self.counts.steps),
            "looks": count(&self.counts.looks),
            "saves": count(&self.counts.saves),
            "made_saves": count(&self.counts.made_saves),
            "refused_saves": count(&self.counts.refused_saves),
            "store_failed": count(&self.counts.store_failed),
            "unreadable": count(&self.counts.unreadable),
            "loaded": count(&self.counts.loaded),
            "rejected": count(&self.counts.rejected),
            "refresh_failed": count(&self.counts.refresh_failed),
        })
    }
}

/// The login of [`Site`](super::site::Site).
struct Fleet {
    account: Account,
}

/// More refreshes than a test makes.
const REFRESHES: u32 = 1_000_000;

fn session(answer: &Response<Bytes>) -> Result<Session, LoginError> {
    let text = |path| response::json_at(answer, path);
    let session = Session::new()
        .with_bearer(&text("/access")?)?
        .with_cookie("sid", &text("/cookie")?)?
        .with_kept("refresh", &text("/refresh")?)?
        .with_kept("number", &text("/number")?)?;
    match text("/life").ok().and_then(|life| life.parse().ok()) {
        Some(life) => Ok(session.with_lifetime(Lifetime::of(Duration::from_millis(life)))),
        None => Ok(session),
    }
}

impl Login for Fleet {
    fn account(&self) -> &Account {
        &self.account
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    fn request(&self, password: &Secret) -> Result<Request<Bytes>, LoginError> {
        let form = [
            ("account", self.account.name()),
            ("password", password.expose()),
        ];
        request::post_form(&self.url("/login"), &form)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        response::expect_success(answers.last())?;
        let session = session(answers.last())?;
        Ok(session.into())
    }

    fn refresh_by(&self) -> Option<Refresh> {
        let most = REFRESHES.try_into().unwrap();
        let quota = Quota::new(most, Duration::from_secs(60));
        Some(Refresh::with_kept("refresh").single_use().quota(quota))
    }

    fn refresh_request(&self, current: &Credential) -> Result<Request<Bytes>, LoginError> {
        let token = current.kept("refresh").unwrap_or_default();
        request::post_form(&self.url("/refresh"), &[("token", token)])
    }

    fn read_refresh(
        &self,
        answer: &Response<Bytes>,
        _: &Credential,
    ) -> Result<Session, LoginError> {
        response::expect_refreshed(answer)?;
        session(answer)
    }
}

/// A store that counts its steps.
struct Counted {
    inner: Arc<dyn Store>,
    counts: Arc<Counts>,
    /// The process stops before it saves its first session.
    stops: AtomicBool,
}

impl Counted {
    fn step(&self) -> &dyn Store {
        self.counts.steps.fetch_add(1, SeqCst);
        &*self.inner
    }
}

#[async_trait]
impl Store for Counted {
    fn seal(&self) -> &dyn Seal {
        self.inner.seal()
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        let entry = self.inner.load(name).await?;
        self.counts.looks.fetch_add(1, SeqCst);
        Ok(entry)
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        self.step().lease(name, ask).await
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        let is_session = matches!(change.session, SessionChange::Save(..));
        if is_session && self.stops.swap(false, SeqCst) {
            stop_this_process();
        }
        self.counts.steps.fetch_add(1, SeqCst);
        let (inner, name) = (Arc::clone(&self.inner), name.to_owned());
        let counts = Arc::clone(&self.counts);
        // It goes on if its cache has given it up.
        let save = tokio::spawn(async move {
            let saved = inner.save(&name, change).await;
            counts.saves.fetch_add(u64::from(is_session), SeqCst);
            match saved {
                Ok(Saved::Newer(_)) => counts.refused_saves.fetch_add(1, SeqCst),
                Ok(Saved::Made(_)) => counts.made_saves.fetch_add(1, SeqCst),
                Err(_) => 0,
            };
            saved
        });
        save.await.unwrap()
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        self.step().permit(origin, ask).await
    }

    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError> {
        self.step().end_permit(origin, id, counts_for).await
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        self.step().hold(origin, wait).await
    }

    async fn changed(&self, name: &str) {
        self.inner.changed(name).await;
    }
}

/// Returns once the process was stopped and goes on: another of its threads may take the signal,
/// and this one would run on for a moment.
fn stop_this_process() {
    let mut last = Instant::now();
    kill_process(getpid(), Signal::STOP).unwrap();
    loop {
        std::thread::sleep(Duration::from_millis(1));
        let now = Instant::now();
        if now.duration_since(last) > Duration::from_secs(1) {
            return;
        }
        last = now;
    }
}
