//! Rules 10 and 11: a login that has its permits, or one of them, and is not sent yet.

use std::num::NonZeroU32;

use auth_core::store::Lease;
use auth_core::testing::{Gate, Scripted};
use auth_core::{Ask, ReadSecret, SecretError};
use tokio::runtime::Builder;

use super::accounts::Accounts;
use super::*;
use crate::support::Renewing;

fn wants_no_login() -> LoginError {
    LoginError::limited(Some(HOUR))
}

/// What a caller is told that does not wait.
async fn told(account: &Credentials) -> Duration {
    let told = account.get_with(Ask::new().fail_fast()).await;
    let Err(Error::QuotaSpent { retry_after, .. }) = told else {
        panic!("{told:?}");
    };
    retry_after
}

#[tokio::test]
async fn rule_11_a_retry_after_holds_a_login_that_waits_for_the_share() {
    let process = Accounts::new();
    process.store.0.fails.store(true, SeqCst);
    let gate = Gate::shut();
    let one = process.shares(process.provider("one").gated(&gate));
    let two = process.account("two");
    tokio::spawn(async move { one.get_with(Ask::new().fail_fast()).await.map(drop) });
    settle().await;
    drop(Accounts::get(&two));
    process.pass(SECOND).await;
    *process.answers.lock() = Err(wants_no_login);
    gate.let_through(1);
    process.pass(SECOND).await;
    *process.answers.lock() = Ok(());
    assert_eq!(told(&two).await, HOUR - SECOND, "and its callers know");
    process.pass(HOUR - 2 * SECOND).await;
    assert_eq!(process.sent(), ["one"]);
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["one", "two"]);
}

#[tokio::test]
async fn rule_11_a_retry_after_holds_a_login_that_waits_at_the_store() {
    let process = Accounts::new();
    let store = &process.store.0.inner;
    store.hold(&process.origin(), 100 * SECOND).await.unwrap();
    let two = process.account("two");
    drop(Accounts::get(&two));
    process.pass(SECOND).await;
    *process.answers.lock() = Err(wants_no_login);
    let one = process.alone(process.provider("one"));
    one.get().await.unwrap_err();
    *process.answers.lock() = Ok(());
    process.pass(SECOND).await;
    assert_eq!(told(&two).await, HOUR - SECOND, "and its callers know");
    process.pass(HOUR - 2 * SECOND).await;
    assert_eq!(process.sent(), ["one"]);
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["one", "two"]);
}

#[tokio::test]
async fn rule_23_a_store_that_states_no_wait_is_not_asked_without_a_pause() {
    let process = Accounts::new();
    process.store.0.rounds_waits.store(true, SeqCst);
    let store = &process.store.0.inner;
    store.hold(&process.origin(), 10 * SECOND).await.unwrap();
    let got = Accounts::get(&process.account("one"));
    process.pass(9 * SECOND).await;
    assert!(process.sent().is_empty());
    let asked = process.store.0.permits.load(SeqCst);
    assert!((2..=400).contains(&asked), "{asked}");
    process.pass(2 * SECOND).await;
    assert!(got.await.unwrap().is_ok());
}

/// A source that is read at once, and from then on as often as it is let.
#[derive(Clone)]
struct Slow {
    reads: Arc<AtomicU64>,
    gate: Arc<Semaphore>,
}

impl Slow {
    fn new() -> Self {
        Self {
            reads: Arc::default(),
            gate: Arc::new(Semaphore::new(1)),
        }
    }
}

#[async_trait]
impl ReadSecret for Slow {
    async fn read(&self) -> Result<Secret, SecretError> {
        self.reads.fetch_add(1, SeqCst);
        self.gate.acquire().await.unwrap().forget();
        Ok("right".into())
    }
}

#[tokio::test]
async fn rule_11_a_retry_after_holds_a_login_that_looks_at_its_secret_once_more() {
    // With its permit of the store, or with one of the share.
    for fails in [false, true] {
        let process = Accounts::new();
        process.store.0.fails.store(fails, SeqCst);
        let store = &process.store.0.inner;
        store.hold(&process.origin(), 10 * SECOND).await.unwrap();
        let first = process.shares(process.provider("first"));
        if fails {
            first.get().await.unwrap();
        }
        let (secret, quick) = (Slow::new(), process.sent());
        let provider = process.provider("two");
        let two = process.shares(provider.with_secret(SecretSource::custom(secret.clone())));
        let waiting = Accounts::get(&two);
        let until_read = async {
            while secret.reads.load(SeqCst) < 2 {
                process.pass(SECOND / 2).await;
            }
        };
        until_read.await;
        assert_eq!(process.sent(), quick);
        *process.answers.lock() = Err(wants_no_login);
        let one = process.alone(process.provider("one"));
        one.get().await.unwrap_err();
        *process.answers.lock() = Ok(());
        secret.gate.add_permits(1);
        process.pass(HOUR - SECOND).await;
        assert_eq!(process.sent(), [quick.clone(), vec!["one"]].concat());
        secret.gate.add_permits(1);
        process.store.0.fails.store(false, SeqCst);
        process.pass(7 * SECOND).await;
        assert_eq!(process.sent(), [quick, vec!["one", "two"]].concat());
        assert_eq!(secret.reads.load(SeqCst), 3, "the wait was a long one");
        waiting.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn rule_11_a_retry_after_holds_a_refresh_that_counts_and_whose_token_is_being_marked() {
    let clock = ManualClock::new();
    let store = Faulty::new(&MemoryStore::on(clock.clock()));
    let by = Refresh::with_kept("refresh_token").counts_as_login();
    let provider = renewing(by, true);
    let (logins, refreshes) = (provider.logins(), provider.refreshes());
    let credentials = provider.on(&clock).store(store.clone()).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let got = Accounts::get(&credentials);
    settle().await;
    hold(&clock).await;
    saves.add_permits(100);
    settle().await;
    for _ in 0..3_599 {
        clock.advance(SECOND);
        settle().await;
    }
    assert_eq!(refreshes.load(SeqCst), 0);
    clock.advance(SECOND);
    settle().await;
    assert_eq!((refreshes.load(SeqCst), logins.count()), (1, 1));
    assert_eq!(got.await.unwrap().unwrap(), "token-7");
    assert_eq!(store.0.takes.load(SeqCst), 2, "it is still the same flight");
}

/// A session with a token that can be used once, and the first answer to its refresh.
fn renewing(by: Refresh, is_sent: bool) -> Renewing {
    let logins = Scripted::new(|number| {
        let session = session(number, Lifetime::of(HOUR))?;
        Ok(session.with_kept("refresh_token", "r-1")?)
    });
    let first = AtomicBool::new(!is_sent);
    Renewing::new(logins).refreshed(by.single_use(), move |_| {
        if first.swap(false, SeqCst) {
            return Err(LoginError::unavailable("connection refused").not_sent());
        }
        session(7, Lifetime::of(HOUR))
    })
}

/// The server wants no login for an hour, as another account of the process is told.
async fn hold(clock: &ManualClock) {
    let origin = crate::support::tokens().identity().origin().clone();
    let other = Scripted::new(|_| Err(wants_no_login()));
    let other = other.with_identity(Identity::new("test", origin, "other"));
    let other = crate::support::on(clock, other).build();
    other.get().await.unwrap_err();
}

/// Once the session is over, the next program sends the token, which was never sent.
async fn refreshes_next(clock: &ManualClock, store: Faulty) {
    clock.advance(HOUR);
    let next = renewing(Refresh::with_kept("refresh_token"), true);
    let (logins, refreshes) = (next.logins(), next.refreshes());
    let next = next.on(clock).store(store).build();
    assert_eq!(token(&next.get().await.unwrap()), "token-7");
    assert_eq!((refreshes.load(SeqCst), logins.count()), (1, 0));
}

#[tokio::test]
async fn rule_22_a_token_whose_refresh_has_to_wait_is_not_marked_as_spent() {
    let clock = ManualClock::new();
    let store = Faulty::new(&MemoryStore::on(clock.clock()));
    let by = Refresh::with_kept("refresh_token").counts_as_login();
    let credentials = renewing(by, true).on(&clock).store(store.clone()).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let got = Accounts::get(&credentials);
    settle().await;
    hold(&clock).await;
    saves.add_permits(100);
    settle().await;
    // It waits for an hour, and is closed meanwhile.
    credentials.close().await.unwrap();
    assert!(matches!(got.await.unwrap(), Err(Error::Closed)));
    refreshes_next(&clock, store).await;
}

#[test]
fn rule_22_a_token_whose_refresh_has_to_wait_outlasts_its_runtime() {
    let runtime = || Builder::new_current_thread().build().unwrap();
    let clock = ManualClock::new();
    let store = Faulty::new(&MemoryStore::on(clock.clock()));
    let by = Refresh::with_kept("refresh_token").counts_as_login();
    let renewing = renewing(by, true);
    let (logins, refreshes) = (renewing.logins(), renewing.refreshes());
    let credentials = renewing.on(&clock).store(store.clone()).build();
    runtime().block_on(async {
        credentials.get().await.unwrap();
        clock.advance(HOUR);
        let saves = Arc::new(Semaphore::new(0));
        *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        drop(Accounts::get(&credentials));
        settle().await;
        hold(&clock).await;
        saves.add_permits(100);
        settle().await;
        assert_eq!(refreshes.load(SeqCst), 0);
    });
    runtime().block_on(async {
        *store.0.save_gate.lock() = None;
        let got = Accounts::get(&credentials);
        for _ in 0..3_700 {
            clock.advance(SECOND);
            settle().await;
        }
        assert_eq!(got.await.unwrap().unwrap(), "token-7");
        assert_eq!((refreshes.load(SeqCst), logins.count()), (1, 1));
    });
}

#[tokio::test]
async fn rule_22_a_token_that_was_not_sent_is_good_though_the_login_after_it_has_to_wait() {
    // The store may be in trouble when it is told.
    for fails in [false, true] {
        let clock = ManualClock::new();
        let store = Faulty::new(&MemoryStore::on(clock.clock()));
        let by = Refresh::with_kept("refresh_token");
        let credentials = renewing(by, false).on(&clock).store(store.clone()).build();
        credentials.get().await.unwrap();
        clock.advance(HOUR);
        hold(&clock).await;
        let saves = Arc::new(Semaphore::new(0));
        *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        let got = Accounts::get(&credentials);
        settle().await;
        saves.add_permits(1);
        settle().await;
        if fails {
            clock.advance(3 * SECOND);
            settle().await;
        }
        saves.add_permits(100);
        settle().await;
        credentials.close().await.unwrap();
        assert!(matches!(got.await.unwrap(), Err(Error::Closed)));
        clock.advance(10 * SECOND);
        settle().await;
        refreshes_next(&clock, store).await;
    }
}

#[tokio::test]
async fn rule_22_a_mark_that_was_not_answered_is_taken_back() {
    let clock = ManualClock::new();
    let store = Faulty::new(&MemoryStore::on(clock.clock()));
    let renewing = renewing(Refresh::with_kept("refresh_token"), true);
    let (logins, refreshes) = (renewing.logins(), renewing.refreshes());
    let credentials = renewing.on(&clock).store(store.clone()).build();
    credentials.get().await.unwrap();
    store.0.save_answer_is_lost.store(true, SeqCst);
    credentials.renew().await.unwrap_err();
    assert_eq!(refreshes.load(SeqCst), 0);
    store.0.save_answer_is_lost.store(false, SeqCst);
    for _ in 0..60 {
        clock.advance(SECOND);
        settle().await;
    }
    assert_eq!(token(&credentials.renew().await.unwrap()), "token-7");
    assert_eq!((refreshes.load(SeqCst), logins.count()), (1, 1));
}

#[tokio::test]
async fn rule_10_a_login_whose_permit_lapses_at_the_store_waits_for_another() {
    // 30 s and a window of 902 s.
    let lapses = 932 * SECOND;
    let process = Accounts::new();
    let store = &process.store.0.inner;
    let held = lapses + 5 * SECOND;
    store.hold(&process.origin(), held).await.unwrap();
    let one = Quota::DEFAULT.at_most(NonZeroU32::MIN);
    let first = process.shares(process.provider("first").with_quota(one));
    drop(Accounts::get(&first));
    process.pass(SECOND).await;
    let second = process.alone(process.provider("second"));
    drop(Accounts::get(&second));
    process.pass(lapses - 2 * SECOND).await;
    assert!(process.sent().is_empty());
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["second"]);
    process.pass(901 * SECOND).await;
    assert_eq!(process.sent(), ["second"]);
    assert!(told(&first).await <= SECOND, "and its callers know");
    process.pass(2 * SECOND).await;
    assert_eq!(process.sent(), ["second", "first"]);
}

#[tokio::test]
async fn rule_23_a_permit_that_comes_in_a_hold_is_given_back_to_the_store() {
    let process = Accounts::new();
    let gate = Arc::new(Semaphore::new(0));
    *process.store.0.permit_gate.lock() = Some(Arc::clone(&gate));
    drop(Accounts::get(&process.account("two")));
    settle().await;
    *process.answers.lock() = Err(wants_no_login);
    let one = process.alone(process.provider("one"));
    one.get().await.unwrap_err();
    // The machine sleeps before the answer comes.
    gate.add_permits(1);
    process.clock.advance(3 * SECOND);
    settle().await;
    let only = PermitAsk {
        id: "test",
        most: 1,
        window: 902 * SECOND,
        counts_for: SECOND,
    };
    let store = &process.store.0.inner;
    let answer = store.permit(&process.origin(), only).await.unwrap();
    assert_eq!(answer, PermitAnswer::Given, "none counts");
}

#[tokio::test]
async fn rule_23_a_permit_is_asked_for_again_if_the_machine_slept_before_its_login_was_sent() {
    let process = Accounts::new();
    let store = &process.store.0.inner;
    store.hold(&process.origin(), 10 * SECOND).await.unwrap();
    let secret = Slow::new();
    let provider = process.provider("one");
    let one = process.shares(provider.with_secret(SecretSource::custom(secret.clone())));
    drop(Accounts::get(&one));
    while secret.reads.load(SeqCst) < 2 {
        process.pass(SECOND / 2).await;
    }
    // It has lapsed by then, and the others were told to wait.
    process.clock.advance(HOUR);
    store.hold(&process.origin(), 10 * SECOND).await.unwrap();
    secret.gate.add_permits(2);
    process.pass(9 * SECOND).await;
    assert!(process.sent().is_empty());
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["one"]);
}

#[tokio::test]
async fn rule_10_a_login_that_is_given_up_before_it_is_sent_takes_nothing_of_the_share() {
    let process = Accounts::new();
    *process.store.0.permit_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let secret = Slow::new();
    let provider = process.provider("one");
    let one = process.shares(provider.with_secret(SecretSource::custom(secret.clone())));
    let waiting = Accounts::get(&one);
    while secret.reads.load(SeqCst) < 2 {
        process.pass(SECOND / 2).await;
    }
    process.store.0.fails.store(true, SeqCst);
    one.close().await.unwrap();
    waiting.await.unwrap().unwrap_err();
    let two = process.account("two");
    let waiting = Accounts::get(&two);
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["two"]);
    waiting.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_12_a_refresh_that_was_not_sent_spends_none_of_the_quota_of_refreshes() {
    let clock = ManualClock::new();
    let store = Faulty::new(&MemoryStore::on(clock.clock()));
    let one = Quota::new(1.try_into().unwrap(), HOUR);
    let by = Refresh::with_kept("refresh_token").quota(one);
    let renewing = renewing(by, true);
    let (logins, refreshes) = (renewing.logins(), renewing.refreshes());
    let credentials = renewing.on(&clock).store(store.clone()).build();
    credentials.get().await.unwrap();
    // The store can't be told of the token.
    store.0.save_fails.store(true, SeqCst);
    credentials.renew().await.unwrap_err();
    store.0.save_fails.store(false, SeqCst);
    for _ in 0..60 {
        clock.advance(SECOND);
        settle().await;
    }
    assert_eq!(token(&credentials.renew().await.unwrap()), "token-7");
    assert_eq!((refreshes.load(SeqCst), logins.count()), (1, 1));
}

#[tokio::test]
async fn rule_23_the_window_of_a_refresh_begins_with_its_end_though_its_login_waits() {
    let clock = ManualClock::new();
    let store = MemoryStore::on(clock.clock());
    let logins = Scripted::new(|number| {
        let session = session(number, Lifetime::of(HOUR))?;
        Ok(session.with_kept("refresh_token", "r-1")?)
    });
    let one = Quota::DEFAULT.at_most(NonZeroU32::MIN);
    let by = Refresh::with_kept("refresh_token").counts_as_login();
    let provider = Renewing::new(logins.with_quota(one))
        .refreshed(by, |_| Err(LoginError::unavailable("no answer")));
    let (logins, refreshes) = (provider.logins(), provider.refreshes());
    let credentials = provider.on(&clock).store(store).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR);
    let got = Accounts::get(&credentials);
    settle().await;
    assert_eq!((refreshes.load(SeqCst), logins.count()), (1, 1));
    for _ in 0..64 {
        clock.advance(SECOND);
        settle().await;
    }
    assert_eq!((refreshes.load(SeqCst), logins.count()), (1, 2));
    assert_eq!(got.await.unwrap().unwrap(), "token-2");
}

#[tokio::test]
async fn rule_23_a_login_whose_session_another_process_has_saved_is_not_sent() {
    let process = Accounts::new();
    process.store.0.fails.store(true, SeqCst);
    let first = process.account("first");
    first.get().await.unwrap();
    // It has looked in vain, and waits for the share.
    let two = process.account("two");
    let got = Accounts::get(&two);
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["first"]);
    process.store.0.fails.store(false, SeqCst);
    let other = process.account("two");
    other.get().await.unwrap();
    let store = &process.store.0.inner;
    store.hold(&process.origin(), HOUR / 4).await.unwrap();
    process.pass(6 * SECOND).await;
    two.get_with(Ask::new().fail_fast()).await.unwrap();
    process.pass(HOUR / 2).await;
    assert_eq!(process.sent(), ["first", "two"]);
    got.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_23_a_login_that_looked_in_vain_looks_once_more_before_it_is_sent() {
    let refused: fn() -> LoginError = || LoginError::refused("status 401");
    for answer in [Ok(()), Err(refused)] {
        let process = Accounts::new();
        process.store.0.fails.store(true, SeqCst);
        process.account("first").get().await.unwrap();
        // It waits for the share.
        let two = process.account("two");
        let got = Accounts::get(&two);
        process.pass(SECOND).await;
        assert_eq!(process.sent(), ["first"]);
        process.store.0.fails.store(false, SeqCst);
        *process.answers.lock() = answer;
        let other = process.account("two");
        assert_eq!(other.get().await.is_ok(), answer.is_ok());
        process.pass(HOUR / 2).await;
        assert_eq!(process.sent(), ["first", "two"]);
        assert_eq!(got.await.unwrap().is_ok(), answer.is_ok());
    }
}

#[tokio::test]
async fn rule_20_a_lease_that_is_taken_with_another_look_is_extended() {
    let process = Accounts::new();
    let faults = &process.store.0;
    let origin = process.origin();
    let hold = async || faults.inner.hold(&origin, HOUR / 4).await.unwrap();
    faults.fails.store(true, SeqCst);
    process.account("first").get().await.unwrap();
    let two = process.account("two");
    let got = Accounts::get(&two);
    process.pass(SECOND).await;
    // It has no lease, and waits at the store.
    faults.fails.store(false, SeqCst);
    hold().await;
    let leases = Arc::new(Semaphore::new(0));
    *faults.step_gate.lock() = Some(Arc::clone(&leases));
    process.pass(HOUR / 4 + SECOND).await;
    // It is about to take it, after which it waits once more.
    hold().await;
    leases.add_permits(1_000);
    process.pass(HOUR / 12).await;
    assert_eq!(process.sent(), ["first"]);
    let name = faults.name.lock().clone();
    let ask = LeaseAsk {
        owner: "other",
        lasts: SECOND,
        known: None,
        rejected: false,
        only_extends: false,
    };
    let answer = faults.inner.lease(&name, ask).await.unwrap();
    assert!(
        matches!(answer.lease, Lease::Held { .. }),
        "{:?}",
        answer.lease
    );
    process.pass(HOUR / 4).await;
    assert_eq!(process.sent(), ["first", "two"]);
    got.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_23_a_login_whose_lease_is_lost_looks_once_more_before_it_is_sent() {
    let process = Accounts::new();
    let hold = async |wait| {
        let since_loss = process.store.0.since_loss.lock().clone();
        let store = since_loss.unwrap_or_else(|| process.store.0.inner.clone());
        store.hold(&process.origin(), wait).await.unwrap();
    };
    hold(HOUR).await;
    let two = process.account("two");
    let got = Accounts::get(&two);
    process.pass(SECOND).await;
    let empty = MemoryStore::on(process.clock.clock());
    *process.store.0.since_loss.lock() = Some(empty);
    hold(60 * SECOND).await;
    // Its next extension is told so.
    process.pass(20 * SECOND).await;
    let other = process.account("two");
    let others = Accounts::get(&other);
    process.pass(HOUR / 4).await;
    assert_eq!(process.sent(), ["two"]);
    assert_eq!(got.await.unwrap().unwrap(), others.await.unwrap().unwrap());
}

#[tokio::test]
async fn rule_23_who_asks_for_a_renewed_session_is_given_what_another_process_got_meanwhile() {
    let process = Accounts::new();
    process.store.0.fails.store(true, SeqCst);
    process.account("first").get().await.unwrap();
    // It waits for the share.
    let two = process.account("two");
    let renews = two.clone();
    let got = tokio::spawn(async move {
        let ask = Ask::new().renewed().wait_for_quota();
        renews.get_with(ask).await.map(|got| token(&got))
    });
    process.pass(SECOND).await;
    process.store.0.fails.store(false, SeqCst);
    let other = process.account("two").get().await.unwrap();
    process.pass(HOUR / 2).await;
    assert_eq!(process.sent(), ["first", "two"]);
    assert_eq!(got.await.unwrap().unwrap(), token(&other));
}

#[tokio::test]
async fn rule_6_a_refresh_that_loses_its_lease_while_it_waits_is_decided_anew() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        Ok(session(number, Lifetime::of(HOUR))?.with_kept("refresh_token", "r-0")?)
    });
    let program = Program {
        refresh: Some(Refresh::with_kept("refresh_token").counts_as_login()),
        ..server.program("right")
    };
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(program, store.clone());
    process.get().await.unwrap();
    for _ in 0..9 {
        process.renew().await.unwrap();
    }
    let renewed = tokio::spawn(async move { process.renew().await.map(|new| token(&new)) });
    settle().await;
    assert_eq!(store.0.takes.load(SeqCst), 11);
    // The machine sleeps for longer than its lease lasts, and another one has it meanwhile.
    fleet.leap(40 * SECOND);
    let name = store.0.name.lock().clone();
    let known = fleet.store.load(&name).await.unwrap().version;
    let ask = LeaseAsk {
        owner: "other",
        lasts: SECOND,
        known: Some(known),
        rejected: false,
        only_extends: false,
    };
    let other = fleet.store.lease(&name, ask).await.unwrap();
    assert!(matches!(other.lease, Lease::Taken { .. }));
    settle().await;
    assert_eq!(
        server.0.refreshes.lock().len(),
        9,
        "it waits for its permit"
    );
    fleet.advance(30 * SECOND).await;
    assert_eq!(renewed.await.unwrap().unwrap(), "token-1010");
    assert_eq!(store.0.takes.load(SeqCst), 12);
    assert_eq!(server.logins(), 1);
}
