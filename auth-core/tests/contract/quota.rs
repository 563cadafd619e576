//! Rule 10 as the server counts it: by the arrival of a login, at any time while that is under way.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Credential, Credentials, CredentialsBuilder, Error, Identity, Lifetime, LoginError,
    Origin, Provider, Quota, Secret, SecretSource, Session,
};
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::late_server::{LateServer, Trip};
use crate::support::{SECOND, session, settle};

/// The window of the default quota, with the margin.
const PERIOD: Duration = Duration::from_secs(62);
const MINUTE: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = CredentialsBuilder::DEFAULT_LOGIN_TIMEOUT;
const ONE: Quota = Quota::new(NonZeroU32::MIN, MINUTE);

type Caller = JoinHandle<Result<Arc<Credential>, Error>>;

fn get(credentials: &Credentials, ask: Ask) -> Caller {
    let credentials = credentials.clone();
    tokio::spawn(async move { credentials.get_with(ask).await })
}

/// As many cold accounts as that, each with a caller.
fn cold(server: &LateServer, accounts: usize, ask: Ask) -> Vec<Caller> {
    let account = |number| {
        let name = format!("account-{number}");
        get(&server.account(&name, Quota::DEFAULT).build(), ask)
    };
    (0..accounts).map(account).collect()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// When the last of these logins ends, if each begins as soon as the quota allows it.
fn earliest_end(trips: &[Trip]) -> Duration {
    let mut free = [Duration::ZERO; 10];
    let mut last = Duration::ZERO;
    for trip in trips {
        free.sort();
        let end = free[0] + trip.answered.unwrap();
        free[0] = end + PERIOD;
        last = last.max(end);
    }
    last
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn rule_10_fifty_cold_accounts_are_in_as_soon_as_a_server_that_stalls_allows(
        trips in prop::collection::vec((0..=25_000_u64, 0..=100_u64), 50),
    ) {
        let trips: Vec<Trip> = trips
            .into_iter()
            .map(|(stall, part)| {
                let millis = Duration::from_millis;
                Trip::of(millis(stall * part / 100), millis(stall))
            })
            .collect();
        runtime().block_on(async {
            let plan = trips.clone();
            let server = LateServer::new(&ManualClock::new(), move |number| plan[number]);
            let callers = cold(&server, 50, Ask::new().wait_for_quota());
            server.until_ended(&callers).await;
            for caller in callers {
                caller.await.unwrap().unwrap();
            }
            assert_eq!(server.now(), earliest_end(&trips));
            assert_eq!(server.arrived().len(), 50);
            let most = server.most_in(MINUTE);
            assert!(most <= 10, "{most} in a minute: {:?}", server.arrived());
        });
    }
}

#[tokio::test]
async fn rule_10_a_server_that_was_busy_counts_no_more_than_it_allows() {
    let hands = ManualClock::new();
    let busy = 25 * SECOND;
    let server = LateServer::new(&hands, move |number| match number {
        0..10 => Trip::of(busy, busy),
        _ => Trip::of(Duration::ZERO, SECOND / 5),
    });
    let callers = cold(&server, 20, Ask::new());
    server.until_ended(&callers).await;
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    let expected = [[busy; 10], [busy + PERIOD; 10]].concat();
    assert_eq!(server.arrived(), expected);
    assert_eq!(server.most_in(MINUTE), 10);
}

#[tokio::test]
async fn rule_10_a_login_that_its_client_has_given_up_may_still_arrive() {
    for (error, lost) in [
        (LoginError::timed_out("after 5 s"), TIMEOUT),
        // As of a later request of the login.
        (
            LoginError::malformed("no answer").with_source(LoginError::timed_out("after 5 s")),
            TIMEOUT,
        ),
        (LoginError::unavailable("status 503"), Duration::ZERO),
    ] {
        let hands = ManualClock::new();
        let error = std::sync::Mutex::new(Some(error));
        let provider = Scripted::new(move |_| Err(error.lock().unwrap().take().unwrap()));
        let build = |provider: Scripted| {
            let provider = provider.with_quota(ONE);
            Credentials::builder(provider).clock(hands.clock()).build()
        };
        assert!(build(provider).get().await.is_err());
        let second = build(Scripted::tokens(Lifetime::unknown()));
        let told = second.get_with(Ask::new().fail_fast()).await.unwrap_err();
        assert_eq!(told.retry_after(), Some(lost + PERIOD), "{told}");
    }
}

/// A tenant whose login is at another host than its API.
struct Tenant(Scripted);

#[async_trait]
impl Provider for Tenant {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.0.secret()
    }

    fn login_origin(&self) -> Origin {
        Origin::parse("https://login.example.com").unwrap()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.0.login(secret).await
    }
}

#[tokio::test]
async fn rule_10_what_counts_is_where_the_login_goes() {
    let hands = ManualClock::new();
    let mut let_in = 0;
    for number in 0..11 {
        let origin = Origin::parse(&format!("https://tenant-{number}.example.com")).unwrap();
        let tenant = Tenant(Scripted::tokens(Lifetime::unknown()).with_origin(origin));
        let boxed: Box<dyn Provider> = Box::new(tenant);
        let credentials = Credentials::builder(boxed).clock(hands.clock()).build();
        let told = credentials.get_with(Ask::new().fail_fast()).await;
        let_in += usize::from(told.is_ok());
    }
    assert_eq!(let_in, 10);
}

#[tokio::test]
async fn rule_10_at_the_defaults_two_windows_get_through_and_all_others_are_told_at_once() {
    let hands = ManualClock::new();
    let server = LateServer::new(&hands, |_| Trip::of(SECOND / 10, SECOND / 5));
    let callers = cold(&server, 50, Ask::new());
    settle().await;
    server.pass(SECOND).await;
    let (told, waiting): (Vec<_>, Vec<_>) = callers.into_iter().partition(Caller::is_finished);
    assert_eq!((told.len(), waiting.len()), (10 + 30, 10));
    let mut waits = Vec::new();
    for caller in told {
        match caller.await.unwrap() {
            Ok(_) => {}
            Err(Error::QuotaSpent { retry_after, .. }) => waits.push(retry_after.as_secs()),
            Err(error) => panic!("{error}"),
        }
    }
    // One that gives up moves those behind it up.
    assert_eq!(waits, [124; 30]);
    server.until_ended(&waiting).await;
    for caller in waiting {
        caller.await.unwrap().unwrap();
    }
    assert!(server.now() < PERIOD + SECOND);
}

/// How the first login becomes lost, and the time at which it does.
#[derive(Clone, Copy, Debug)]
enum Loss {
    TimeOut,
    Drop,
    Panic,
    RuntimeDropped,
    /// Nothing says so: its task is not driven any more, and no caller waits for it.
    Abandoned,
    /// A caller has found that its task is not driven.
    Superseded,
}

/// When the second account's login was sent.
fn sent_after(loss: Loss) -> Duration {
    let hands = ManualClock::new();
    // It arrives as late as a login within the time-out can.
    let late = TIMEOUT - SECOND / 1_000;
    let server = LateServer::new(&hands, move |number| match (number, loss) {
        (0, Loss::Panic) => Trip::of(late, SECOND),
        (0, _) => Trip::unanswered(late),
        _ => Trip::of(Duration::ZERO, Duration::ZERO),
    });
    let first = match loss {
        Loss::Panic => server.scripted("first", ONE, Scripted::new(|_| panic!("a bug"))),
        _ => server.account("first", ONE),
    };
    let first = first.build();
    let second = server.account("second", ONE).build();
    let (home, mut away) = (runtime(), Some(runtime()));
    home.block_on(async {
        let caller = match loss {
            Loss::RuntimeDropped | Loss::Abandoned | Loss::Superseded => {
                let away = away.as_ref().unwrap();
                let caller = away.spawn({
                    let first = first.clone();
                    async move { first.get().await }
                });
                std::thread::scope(|scope| {
                    scope.spawn(|| away.block_on(settle())).join().unwrap();
                });
                caller
            }
            _ => get(&first, Ask::new()),
        };
        server.pass(SECOND).await;
        assert_eq!(server.sent(), [Duration::ZERO], "{loss:?}");
        let superseding = match loss {
            Loss::Drop => {
                caller.abort();
                drop(first);
                None
            }
            Loss::RuntimeDropped => {
                away.take().unwrap().shutdown_background();
                drop(first);
                None
            }
            Loss::Superseded => Some(get(&first, Ask::new().wait_for_quota())),
            _ => None,
        };
        settle().await;
        let ask = Ask::new().wait_for_quota();
        let waiter = match superseding {
            Some(waiter) => waiter,
            None => get(&second, ask),
        };
        server.until_ended(&[waiter]).await;
        assert_eq!(server.most_in(MINUTE), 1, "{loss:?}");
        server.sent()[1]
    })
}

#[test]
fn rule_10_the_window_of_a_login_that_may_still_arrive_begins_when_its_time_out_ends() {
    for loss in [
        Loss::TimeOut,
        Loss::Drop,
        Loss::Panic,
        Loss::RuntimeDropped,
        Loss::Abandoned,
        Loss::Superseded,
    ] {
        assert_eq!(sent_after(loss), TIMEOUT + PERIOD, "{loss:?}");
    }
}

#[tokio::test]
async fn rule_10_the_window_of_a_failed_login_begins_when_it_failed() {
    let server = LateServer::new(&ManualClock::new(), |_| Trip::of(SECOND, 5 * SECOND));
    let fails = Scripted::new(|_| Err(LoginError::unavailable("status 503")));
    let failing = server.scripted("failing", ONE, fails).build();
    let failed = get(&failing, Ask::new());
    settle().await;
    let next = get(
        &server.account("next", ONE).build(),
        Ask::new().wait_for_quota(),
    );
    server.until_ended(&[failed, next]).await;
    assert_eq!(server.sent(), [Duration::ZERO, 5 * SECOND + PERIOD]);
}

#[test]
fn rule_10_a_login_that_ends_long_after_its_time_out_counts_from_its_end() {
    // The task is not driven for long, and finds its answer when it is driven again.
    let hands = ManualClock::new();
    let server = LateServer::new(&hands, |_| Trip::of(Duration::ZERO, 10 * SECOND));
    let (away, first) = (runtime(), server.account("first", ONE).build());
    let drive = |asked: bool| {
        let driven = async {
            let mut get = Box::pin(first.get());
            assert!(!asked || futures_util::poll!(&mut get).is_pending());
            settle().await;
        };
        std::thread::scope(|scope| {
            scope.spawn(|| away.block_on(driven)).join().unwrap();
        });
    };
    drive(true);
    runtime().block_on(server.pass(80 * SECOND));
    drive(false);
    assert!(first.fresh().is_some());
    let second = server.account("second", ONE).build();
    let error = second
        .blocking_get_with(Ask::new().fail_fast())
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(PERIOD));
}

#[tokio::test]
async fn rule_10_while_logins_are_under_way_callers_are_told_the_earliest_time_and_again() {
    let hands = ManualClock::new();
    let server = LateServer::new(&hands, |_| Trip::of(SECOND, 29 * SECOND));
    let under_way = get(&server.account("under way", ONE).build(), Ask::new());
    settle().await;
    let told = server.account("told", ONE).build();
    let within = |seconds| get(&told, Ask::new().within(seconds * SECOND));
    // It may end at once, and then the permit is free in 62 s, and a login takes 3 s perhaps.
    let (too_short, enough, plenty) = (within(65), within(66), within(121));
    settle().await;
    assert!(too_short.is_finished() && !enough.is_finished());
    server.pass(20 * SECOND).await;
    let asked = told.get_with(Ask::new().fail_fast()).await.unwrap_err();
    assert_eq!(
        asked.retry_after(),
        Some(PERIOD),
        "it may still end at once"
    );
    settle().await;
    let error = enough.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::QuotaSpent { retry_after, .. } if retry_after == PERIOD),
        "told again: {error:?}"
    );
    server.pass(10 * SECOND).await;
    assert!(under_way.is_finished() && !plenty.is_finished());
    let asked = told.get_with(Ask::new().fail_fast()).await.unwrap_err();
    assert_eq!(asked.retry_after(), Some(PERIOD - SECOND), "known by now");
    server.until_ended(std::slice::from_ref(&plenty)).await;
    plenty.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_10_a_caller_is_told_at_once_if_the_login_would_end_after_its_deadline() {
    let server = LateServer::new(&ManualClock::new(), |_| Trip::of(SECOND, 10 * SECOND));
    let first = get(&server.account("first", ONE).build(), Ask::new());
    server.until_ended(std::slice::from_ref(&first)).await;
    let second = server.account("second", ONE).build();
    // The permit is free in 62 s, and the last login took 10 s.
    let short = second.get_with(Ask::new().within(72 * SECOND)).await;
    assert!(matches!(
        short,
        Err(Error::QuotaSpent { retry_after, .. }) if retry_after == PERIOD
    ));
    let long = get(&second, Ask::new().within(73 * SECOND));
    server.until_ended(std::slice::from_ref(&long)).await;
    long.await.unwrap().unwrap();
    // A login that needs no permit first is waited for, however short the time is.
    let third = server.account("third", Quota::DEFAULT).build();
    server.pass(PERIOD).await;
    let quick = get(&third, Ask::new().within(SECOND));
    server.until_ended(std::slice::from_ref(&quick)).await;
    let error = quick.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }), "{error:?}");
}

#[tokio::test]
async fn rule_10_no_time_out_binds_a_permit_for_ever() {
    let server = LateServer::new(&ManualClock::new(), |_| Trip::unanswered(SECOND));
    let endless = server.account("endless", ONE).login_timeout(Duration::MAX);
    let endless = endless.build();
    let caller = get(&endless, Ask::new());
    settle().await;
    caller.abort();
    drop(endless);
    settle().await;
    let next = server.account("next", ONE).build();
    let error = next.get_with(Ask::new().fail_fast()).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(60 * MINUTE + PERIOD));
}

#[tokio::test]
async fn rule_10_who_waits_for_the_quota_waits_for_a_day_or_its_own_limit() {
    let server = LateServer::new(&ManualClock::new(), |_| Trip::of(SECOND, SECOND));
    let day = Quota::new(NonZeroU32::MIN, 24 * 60 * MINUTE - 10 * SECOND);
    let spender = get(&server.account("spender", day).build(), Ask::new());
    server.until_ended(std::slice::from_ref(&spender)).await;
    let waits = server.account("waits", day).fail_fast().build();
    let patient = get(&waits, Ask::new().wait_for_quota());
    let limited = get(&waits, Ask::new().wait_for_quota().within(60 * MINUTE));
    settle().await;
    assert!(!patient.is_finished() && limited.is_finished());
    let error = limited.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::QuotaSpent { .. }), "{error:?}");
    let longer = Quota::new(NonZeroU32::MIN, 24 * 60 * MINUTE);
    let told = server.account("told", longer).build();
    let error = told.get_with(Ask::new().wait_for_quota()).await;
    assert!(matches!(error, Err(Error::QuotaSpent { .. })), "{error:?}");
}

#[tokio::test]
async fn rule_4_a_request_with_a_session_does_not_wait_for_a_permit() {
    let hands = ManualClock::new();
    let server = LateServer::new(&hands, |_| Trip::of(Duration::ZERO, Duration::ZERO));
    let idle = Scripted::new(|number| session(number, Lifetime::unknown().idle(60 * MINUTE)));
    let idle = server.scripted("idle", Quota::DEFAULT, idle).build();
    server.until_ended(&[get(&idle, Ask::new())]).await;
    hands.advance(120 * MINUTE);
    server.until_ended(&cold(&server, 10, Ask::new())).await;
    let mut get = Box::pin(idle.get());
    assert!(
        matches!(futures_util::poll!(&mut get), Poll::Ready(Ok(_))),
        "past its idle deadline it may still be good"
    );
}
