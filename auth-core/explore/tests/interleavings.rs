//! Explores interleavings of the real cache. Every lock, atomic, slot and spawn is a point where
//! another thread may run first.
//!
//! Each test runs some thousand random schedules, and as many with few context switches, where most
//! bugs are. A schedule that fails is printed, and `shuttle::replay` repeats it. Two things are not
//! explored: memory orders weaker than sequential consistency, and the internals of governor, of
//! tokio's channels and of futures.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::store::MemoryStore;
use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, Error, Identity, Lifetime, LoginError,
    Logout, Origin, Part, Provider, Quota, Refresh, Secret, SecretSource, Session, Target, Update,
};
use futures_util::future::select_all;
use shuttle::future::{block_on, spawn};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

const SCHEDULES: usize = 2_000;
const HERE: Target<'_> = Target::new("https", "api.example.com", "/");
const HOUR: Duration = Duration::from_secs(3_600);

fn explore(run: impl Fn() + Send + Sync + Copy + 'static) {
    // A login with a store needs more than the 32 KiB that a thread of the model has.
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    Runner::new(RandomScheduler::new(SCHEDULES), config.clone()).run(run);
    Runner::new(PctScheduler::new(3, SCHEDULES), config).run(run);
}

/// How a login ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Succeeds,
    Fails,
    Panics,
    /// The first login hangs for ever, later ones succeed.
    HangsOnce,
    /// Logins succeed, and refreshes fail.
    CantRefresh,
    /// Sessions lack a part until it is fetched.
    Lacks,
    /// Refresh tokens can be used once, and every second refresh fails after it was sent.
    Rotates,
}

/// Yields in the middle of each login, and counts how many logins are in flight at once.
#[derive(Clone)]
struct Counting {
    identity: Identity,
    secret: SecretSource,
    script: Script,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    logins: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    logouts: AtomicU64,
    repairs: AtomicU64,
    /// The refresh tokens that were sent.
    seen: Mutex<Vec<String>>,
}

impl Counting {
    fn new(script: Script) -> Self {
        let origin = Origin::parse("https://api.example.com").unwrap();
        Self {
            identity: Identity::new("counting", origin, "me"),
            secret: "secret".into(),
            script,
            counts: Arc::default(),
        }
    }

    fn logins(&self) -> u64 {
        self.counts.logins.load(SeqCst)
    }

    fn logouts(&self) -> u64 {
        self.counts.logouts.load(SeqCst)
    }

    fn most_in_flight(&self) -> u64 {
        self.counts.most_in_flight.load(SeqCst)
    }
}

fn rotated(name: &str) -> Result<Session, LoginError> {
    let session = Session::new()
        .with_bearer(name)?
        .with_kept("refresh", name)?;
    Ok(session.with_lifetime(Lifetime::of(HOUR)))
}

#[async_trait]
impl Provider for Counting {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let counts = &self.counts;
        let number = counts.logins.fetch_add(1, SeqCst) + 1;
        let in_flight = counts.in_flight.fetch_add(1, SeqCst) + 1;
        counts.most_in_flight.fetch_max(in_flight, SeqCst);
        shuttle::future::yield_now().await;
        let result = match self.script {
            Script::Fails => Err(LoginError::unavailable("status 503")),
            Script::Panics => panic!("a bug in the provider"),
            Script::HangsOnce if number == 1 => std::future::pending().await,
            Script::Rotates => rotated(&format!("login-{number}")),
            Script::Lacks => Ok(Session::new()
                .with_cookie("session", &format!("value-{number}"))?
                .with_part(Part::fetched_query("csrf"))?
                .with_lifetime(Lifetime::of(HOUR))),
            Script::Succeeds | Script::HangsOnce | Script::CantRefresh => Ok(Session::new()
                .with_cookie("session", &format!("value-{number}"))?
                .with_lifetime(Lifetime::of(HOUR))),
        };
        counts.in_flight.fetch_sub(1, SeqCst);
        result
    }

    fn refresh_by(&self) -> Option<Refresh> {
        match self.script {
            Script::CantRefresh => Some(Refresh::with_session()),
            Script::Rotates => Some(Refresh::with_kept("refresh").single_use()),
            _ => None,
        }
    }

    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        if let Some(token) = current.kept("refresh") {
            shuttle::future::yield_now().await;
            let number = {
                let mut seen = self.counts.seen.lock().unwrap();
                assert!(!seen.contains(&token.to_owned()), "{token} is sent twice");
                seen.push(token.to_owned());
                seen.len()
            };
            shuttle::future::yield_now().await;
            if number % 2 == 1 {
                return rotated(&format!("refresh-{number}"));
            }
        }
        shuttle::future::yield_now().await;
        Err(LoginError::unavailable("status 503"))
    }

    fn repairs(&self) -> bool {
        true
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        let counts = &self.counts;
        let number = counts.repairs.fetch_add(1, SeqCst) + 1;
        let in_flight = counts.in_flight.fetch_add(1, SeqCst) + 1;
        counts.most_in_flight.fetch_max(in_flight, SeqCst);
        shuttle::future::yield_now().await;
        counts.in_flight.fetch_sub(1, SeqCst);
        Ok(Update::new().with_query("csrf", &number.to_string())?)
    }

    async fn logout(&self, _: &Credential, _: Logout) -> Result<(), LoginError> {
        self.counts.logouts.fetch_add(1, SeqCst);
        Ok(())
    }
}

fn build(script: Script) -> (Counting, Credentials, ManualClock) {
    let provider = Counting::new(script);
    let clock = ManualClock::new();
    let credentials = Credentials::builder(provider.clone())
        .clock(clock.clock())
        .build();
    (provider, credentials, clock)
}

#[test]
fn rule_1_concurrent_gets_are_one_login() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await.unwrap().stamp().generation() })
            })
            .collect();
        block_on(async {
            for caller in callers {
                assert_eq!(caller.await.unwrap(), 1);
            }
        });
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_1_a_failing_login_is_one_login_for_all_its_waiters() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Fails);
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await.unwrap_err().is_unavailable() })
            })
            .collect();
        block_on(async {
            for caller in callers {
                assert!(caller.await.unwrap());
            }
        });
        assert_eq!(
            provider.logins(),
            1,
            "later callers get the remembered failure"
        );
    });
}

#[test]
fn rule_2_a_login_outlives_all_its_callers() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await })
            })
            .collect();
        for caller in &callers {
            caller.abort();
        }
        block_on(async {
            for caller in callers {
                let _ = caller.await;
            }
            assert_eq!(credentials.get().await.unwrap().stamp().generation(), 1);
        });
        assert_eq!(
            provider.logins(),
            1,
            "the login outlived the callers that were aborted"
        );
    });
}

#[test]
fn rule_3_a_panic_in_the_provider_releases_every_waiter() {
    // The code under test catches the panic, so its message is only noise.
    std::panic::set_hook(Box::new(|_| {}));
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Panics);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await.unwrap_err().is_misconfigured() })
            })
            .collect();
        block_on(async {
            for caller in callers {
                assert!(caller.await.unwrap());
            }
        });
        assert_eq!(provider.logins(), 1);
        assert!(!credentials.status().login_under_way);
    });
    let _ = std::panic::take_hook();
}

#[test]
fn rule_3_a_login_that_hangs_releases_every_waiter_when_it_times_out() {
    explore(|| {
        let (provider, credentials, clock) = build(Script::HangsOnce);
        let callers: Vec<_> = (0..2)
            .map(|_| {
                let credentials = credentials.clone();
                spawn(async move { credentials.get().await })
            })
            .collect();
        let time = spawn(async move {
            loop {
                shuttle::future::yield_now().await;
                clock.advance(Duration::from_secs(4));
            }
        });
        block_on(async {
            for caller in callers {
                // A caller that joined the first login gets its failure. A later one gets the next
                // login's session, or the remembered failure.
                match caller.await.unwrap() {
                    Ok(credential) => assert!(credential.stamp().generation() >= 1),
                    Err(error) => assert!(error.is_unavailable(), "{error:?}"),
                }
            }
            time.abort();
            // All the time may pass before the login task is polled for the first time.
            assert!(provider.logins() >= 1 || credentials.status().login_under_way);
            drop(credentials);
            no_task_left().await;
        });
    });
}

/// Waits until no task of the cache is left. One that waits for a lock when the model's run ends is
/// an error of the model's.
async fn no_task_left() {
    for _ in 0..10_000 {
        if auth_core::runtime::tasks() == 0 {
            return;
        }
        shuttle::future::yield_now().await;
    }
    panic!("a task is left");
}

/// A window of a second and its margin, and the time that a login takes. Together they are shorter
/// than the 5 s after which a task counts as not driven, so no login is superseded here.
const WINDOW: Duration = Duration::from_secs(3);
const BUSY: Duration = Duration::from_millis(400);
const TIMEOUT: Duration = Duration::from_secs(1);

/// An account at an origin with a quota, whose logins take a while, or never end.
fn account(name: &str, clock: &ManualClock, logins: u32, hangs: bool) -> Credentials {
    let origin = Origin::parse("https://busy.example.com").unwrap();
    let provider = Busy {
        identity: Identity::new("busy", origin, name),
        quota: Quota::new(logins.try_into().unwrap(), Duration::from_secs(1)),
        inner: Counting::new(Script::Succeeds),
        clock: clock.clone(),
        hangs,
    };
    Credentials::builder(provider)
        .clock(clock.clock())
        .login_timeout(TIMEOUT)
        .build()
}

struct Busy {
    identity: Identity,
    quota: Quota,
    inner: Counting,
    clock: ManualClock,
    hangs: bool,
}

#[async_trait]
impl Provider for Busy {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn quota(&self) -> Quota {
        self.quota
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        if self.hangs {
            return std::future::pending().await;
        }
        shuttle::future::yield_now().await;
        self.clock.advance(BUSY);
        self.inner.login(secret).await
    }
}

/// How long the quota makes a caller wait.
async fn wait_at(credentials: &Credentials) -> Duration {
    match credentials.get_with(Ask::new().fail_fast()).await {
        Err(Error::QuotaSpent { retry_after }) => retry_after,
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule_10_a_permit_is_bound_until_its_login_has_ended_whatever_runs_meanwhile() {
    explore(|| {
        let clock = ManualClock::new();
        let start = clock.clock().now();
        let callers = ["one", "other"].map(|name| {
            let account = account(name, &clock, 1, false);
            spawn(async move {
                let ask = Ask::new().wait_for_quota();
                account.get_with(ask).await.unwrap();
            })
        });
        block_on(async {
            let (_, _, mut left) = select_all(callers).await;
            // Whether the other one is in the queue by now or not, and whatever it was told.
            clock.advance(WINDOW);
            left.remove(0).await.unwrap();
        });
        let took = clock.clock().now().steady_since(start);
        assert_eq!(took, BUSY + WINDOW + BUSY);
    });
}

#[test]
fn rule_10_a_login_that_is_dropped_while_another_ends_counts_until_its_time_out() {
    explore(|| {
        let clock = ManualClock::new();
        let ended = account("ended", &clock, 2, false);
        let [first, second] = ["first", "second"].map(|name| account(name, &clock, 2, false));
        let dropped = account("dropped", &clock, 2, true);
        let ends = spawn(async move { ended.get().await.unwrap().stamp() });
        let drops = spawn(async move {
            let mut get = Box::pin(dropped.get());
            assert!(futures_util::poll!(&mut get).is_pending());
            shuttle::future::yield_now().await;
        });
        block_on(async {
            ends.await.unwrap();
            drops.await.unwrap();
            no_task_left().await;
            // The dropped login has been sent before the other ended, or after, or not at all.
            if first.get_with(Ask::new().fail_fast()).await.is_ok() {
                return;
            }
            assert_eq!(wait_at(&first).await, WINDOW, "since the other ended");
            clock.advance(WINDOW);
            first.get_with(Ask::new().fail_fast()).await.unwrap();
            let left = wait_at(&second).await;
            let given = [Duration::ZERO, BUSY];
            let since = BUSY + WINDOW + BUSY;
            let free = given.map(|at| (at + TIMEOUT + WINDOW).saturating_sub(since));
            assert!(free.contains(&left), "{left:?} of {free:?}");
        });
    });
}

#[test]
fn rule_7_a_get_concurrent_with_a_rejection_never_serves_the_rejected_generation() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let rejecting: Vec<_> = (0..2)
                .map(|_| {
                    let (credentials, sent) = (credentials.clone(), sent.clone());
                    spawn(async move {
                        assert_eq!(sent.rejected(), Conclusion::Replay);
                        let next = credentials.get().await.unwrap();
                        assert_eq!(next.stamp().generation(), 2);
                        assert!(
                            credentials
                                .fresh()
                                .is_none_or(|fresh| fresh.stamp().generation() == 2)
                        );
                    })
                })
                .collect();
            let reading = spawn({
                let credentials = credentials.clone();
                async move {
                    let mut last = 0;
                    for _ in 0..4 {
                        let generation = credentials.get().await.unwrap().stamp().generation();
                        assert!(
                            generation >= last,
                            "an older generation is never served again"
                        );
                        last = generation;
                    }
                }
            });
            for task in rejecting {
                task.await.unwrap();
            }
            reading.await.unwrap();
        });
        assert_eq!(provider.logins(), 2);
        assert_eq!(provider.most_in_flight(), 1);
    });
}

#[test]
fn rule_7_a_rejection_concurrent_with_a_renewal_is_one_login_at_a_time() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let renewing = spawn({
                let credentials = credentials.clone();
                async move { credentials.renew().await.unwrap().stamp().generation() }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    assert_eq!(sent.rejected(), Conclusion::Replay);
                    credentials.get().await.unwrap().stamp().generation()
                }
            });
            assert!(renewing.await.unwrap() > 1);
            assert!(rejecting.await.unwrap() > 1);
        });
        // A rejection that comes first starts a login, which the renewal joins or follows.
        assert!(provider.logins() <= 3);
        assert_eq!(provider.most_in_flight(), 1);
    });
}

#[test]
fn rule_6_a_failed_refresh_concurrent_with_a_rejection_is_followed_by_one_login() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::CantRefresh);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let renewing = spawn({
                let credentials = credentials.clone();
                // It gets the session of the login that follows, if the rejection came in between.
                async move { credentials.renew().await.is_ok() }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    assert_eq!(sent.rejected(), Conclusion::Replay);
                    credentials.get().await.unwrap().stamp().generation()
                }
            });
            let _ = renewing.await.unwrap();
            assert_eq!(rejecting.await.unwrap(), 2);
        });
        assert_eq!(provider.logins(), 2);
        assert_eq!(provider.most_in_flight(), 1);
    });
}

#[test]
fn rule_6_a_token_that_can_be_used_once_is_sent_once() {
    explore(|| {
        // The provider checks that it is given no token twice.
        let (_provider, credentials, clock) = build(Script::Rotates);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let renewing = spawn({
                let credentials = credentials.clone();
                async move {
                    let _ = credentials.renew().await;
                    let _ = credentials.renew().await;
                }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    Attempt::new(&credentials, &first).rejected();
                    // Its deadline may pass meanwhile.
                    let _ = credentials.get().await;
                }
            });
            let leaving = spawn({
                let credentials = credentials.clone();
                async move {
                    clock.advance(HOUR);
                    let mut get = Box::pin(credentials.get());
                    let _ = futures_util::poll!(&mut get);
                }
            });
            for task in [renewing, rejecting, leaving] {
                task.await.unwrap();
            }
            credentials.get().await.unwrap();
        });
    });
}

#[test]
fn rule_8_all_that_ask_for_a_repair_get_the_one_that_is_under_way() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let tasks: Vec<_> = (0..3)
                .map(|number| {
                    let attempt = Attempt::new(&credentials, &first);
                    spawn(async move {
                        let mut repaired = Box::pin(attempt.repaired(HERE, Ask::new()));
                        if number == 2 {
                            // This caller is gone before the repair ends, or joins it late.
                            let _ = futures_util::poll!(&mut repaired);
                            return;
                        }
                        let stamp = repaired.await.unwrap().stamp();
                        assert_eq!((stamp.generation(), stamp.revision()), (1, 1));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(provider.counts.repairs.load(SeqCst), 1);
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_8_a_repair_concurrent_with_a_rejection_ends_with_the_newer_session() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let attempt = Attempt::new(&credentials, &first);
            let repairing = spawn({
                let attempt = attempt.clone();
                async move { attempt.repaired(HERE, Ask::new()).await.unwrap().stamp() }
            });
            let rejecting = spawn({
                let credentials = credentials.clone();
                async move {
                    // It is late if the repair came first, and starts nothing.
                    assert_eq!(attempt.rejected(), Conclusion::Replay);
                    credentials.get().await.unwrap().stamp()
                }
            });
            for stamp in [repairing.await.unwrap(), rejecting.await.unwrap()] {
                assert!(stamp > first.stamp());
            }
        });
        assert!(provider.logins() <= 2);
    });
}

#[test]
fn rule_8_a_missing_part_is_fetched_once_while_responses_roll_the_session() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Lacks);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let credentials = credentials.clone();
                    spawn(async move {
                        let got = credentials.get_for(HERE, Ask::new()).await.unwrap();
                        assert!(got.has_query() && !got.lacks(HERE));
                    })
                })
                .collect();
            let sent = Attempt::new(&credentials, &first);
            let mut headers = http::HeaderMap::new();
            headers.insert("set-cookie", "session=rolled".parse().unwrap());
            spawn(async move { sent.cookies_set(&headers) });
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(provider.counts.repairs.load(SeqCst), 1);
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_19_close_during_a_fetch_releases_its_callers_and_leaves_no_task() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Lacks);
        block_on(async {
            credentials.get().await.unwrap();
            let caller = spawn({
                let credentials = credentials.clone();
                async move { credentials.get_for(HERE, Ask::new()).await }
            });
            let closing = spawn({
                let credentials = credentials.clone();
                async move { credentials.close().await }
            });
            let got = caller.await.unwrap();
            assert!(matches!(got, Ok(_) | Err(Error::Closed)), "{got:?}");
            closing.await.unwrap().unwrap();
            drop(credentials);
            no_task_left().await;
        });
        assert_eq!(provider.logouts(), 1);
    });
}

#[test]
fn rule_19_close_during_a_failed_refresh_logs_out_the_login_that_follows_it() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::CantRefresh);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let renewing = spawn({
                let credentials = credentials.clone();
                async move { credentials.renew().await }
            });
            let rejecting = spawn(async move { sent.rejected() });
            let closing = spawn({
                let credentials = credentials.clone();
                async move { credentials.close().await }
            });
            let _ = renewing.await.unwrap();
            let rejected = rejecting.await.unwrap() == Conclusion::Replay;
            closing.await.unwrap().unwrap();
            drop(credentials);
            no_task_left().await;
            // A session that was rejected is logged out only by choice.
            let kept = u64::from(rejected);
            assert_eq!(provider.logouts(), provider.logins() - kept);
        });
    });
}

#[test]
fn rule_15_a_late_update_does_not_touch_a_newer_generation() {
    explore(|| {
        let (_provider, credentials, _clock) = build(Script::Succeeds);
        block_on(async {
            let first = credentials.get().await.unwrap();
            let sent = Attempt::new(&credentials, &first);
            let mut headers = http::HeaderMap::new();
            headers.insert("set-cookie", "session=rolled".parse().unwrap());
            let updating = spawn(async move { sent.cookies_set(&headers) });
            let renewing = spawn({
                let credentials = credentials.clone();
                async move { credentials.renew().await.unwrap() }
            });
            updating.await.unwrap();
            renewing.await.unwrap();
            let current = credentials.get().await.unwrap();
            assert_eq!(
                (current.stamp().generation(), current.cookie("session")),
                (2, Some("value-2"))
            );
        });
    });
}

#[test]
fn rule_19_close_during_a_login_logs_out_its_session() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let caller = spawn({
            let credentials = credentials.clone();
            async move { credentials.get().await }
        });
        let closing = spawn({
            let credentials = credentials.clone();
            async move { credentials.close().await }
        });
        block_on(async {
            let got = caller.await.unwrap();
            assert!(matches!(got, Ok(_) | Err(Error::Closed)), "{got:?}");
            closing.await.unwrap().unwrap();
            assert!(credentials.fresh().is_none());
            assert!(credentials.get().await.unwrap_err().is_closed());
        });
        assert_eq!(
            provider.logouts(),
            provider.logins(),
            "each session that was issued is logged out"
        );
    });
}

#[test]
fn rule_19_dropping_the_last_handle_during_a_login_leaves_no_task() {
    explore(|| {
        let (provider, credentials, _clock) = build(Script::Succeeds);
        let caller = spawn({
            let credentials = credentials.clone();
            async move { credentials.get().await }
        });
        caller.abort();
        drop(credentials);
        block_on(async {
            let _ = caller.await;
            no_task_left().await;
        });
        assert_eq!(provider.logouts(), 0);
    });
}

/// Two processes with one store, each with a clock of its own.
fn fleet(script: Script) -> (Counting, MemoryStore, [(Credentials, ManualClock); 2]) {
    let (provider, store_clock) = (Counting::new(script), ManualClock::new());
    let store = MemoryStore::on(store_clock.clock());
    let processes = [(); 2].map(|()| {
        let clock = ManualClock::new();
        let credentials = Credentials::builder(provider.clone())
            .clock(clock.clock())
            .store(store.clone())
            .build();
        (credentials, clock)
    });
    (provider, store, processes)
}

/// Gets a credential in each process. Their clocks go on meanwhile, since a wait that begins after
/// the other process's save ends by its own clock: in small steps, so that no step of the store
/// times out because the model ran something else.
async fn get_in_each(processes: &[(Credentials, ManualClock); 2]) -> Vec<Arc<Credential>> {
    let gets = processes.iter().map(|(credentials, _)| {
        let credentials = credentials.clone();
        spawn(async move { credentials.get().await.unwrap() })
    });
    let gets: Vec<_> = gets.collect();
    while !gets.iter().all(shuttle::future::JoinHandle::is_finished) {
        for (_, clock) in processes {
            clock.advance(Duration::from_millis(20));
        }
        shuttle::future::yield_now().await;
    }
    let mut got = Vec::new();
    for get in gets {
        got.push(get.await.unwrap());
    }
    got
}

#[test]
fn rule_20_two_processes_make_one_login_and_get_one_session() {
    explore(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        block_on(async move {
            let got = get_in_each(&processes).await;
            assert_eq!(got[0].cookie("session"), got[1].cookie("session"));
            drop(processes);
            no_task_left().await;
        });
        assert_eq!(provider.logins(), 1);
    });
}

#[test]
fn rule_21_two_rejections_in_two_processes_are_one_login() {
    explore(|| {
        let (provider, _store, processes) = fleet(Script::Succeeds);
        block_on(async move {
            let got = get_in_each(&processes).await;
            for ((credentials, _), got) in processes.iter().zip(&got) {
                let sent = Attempt::new(credentials, got);
                spawn(async move { sent.rejected() }).await.unwrap();
            }
            let got = get_in_each(&processes).await;
            assert_eq!(got[0].cookie("session"), got[1].cookie("session"));
            assert_eq!(got[0].cookie("session"), Some("value-2"));
            drop(processes);
            no_task_left().await;
        });
        assert_eq!((provider.logins(), provider.most_in_flight()), (2, 1));
    });
}
