//! Rule 23: the permits of the store.

use std::num::NonZeroU32;

use auth_core::Ask;
use auth_core::clock::Clock;
use auth_core::testing::{Gate, Scripted};

use super::accounts::Accounts;
use super::*;
use crate::support::Renewing;

/// Logs in with ten other accounts of a process.
async fn spend_quota(server: &Server, clock: &Clock) {
    for number in 0..10 {
        let origin = server.0.identity.origin().clone();
        let identity = Identity::new("other", origin, number.to_string());
        let other = crate::support::tokens().with_identity(identity);
        let other = Credentials::builder(other).clock(clock.clone()).build();
        other.get().await.unwrap();
    }
}

#[tokio::test]
async fn rule_23_a_spent_quota_of_the_process_keeps_nobody_from_a_stored_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let process = fleet.start(server.program("right"));
    let clock = fleet.clocks.last().unwrap().clock();
    spend_quota(&server, &clock).await;
    // No clock moves.
    assert_eq!(token(&process.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_20_a_caller_that_would_be_turned_away_for_the_quota_looks_in_the_store_first() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let clock = fleet.clocks.last().unwrap().clock();
    spend_quota(&server, &clock).await;
    let at_once = || process.get_with(Ask::new().fail_fast());
    let refused = |got: Result<_, Error>| assert!(matches!(got, Err(Error::QuotaSpent { .. })));
    for got in join_all((0..100).map(|_| at_once())).await {
        refused(got);
    }
    assert_eq!(store.0.loads.load(SeqCst), 1, "one of them looks for all");
    assert_eq!(store.0.leases.load(SeqCst), 0, "and takes no lease");
    fleet.start(server.program("right")).get().await.unwrap();
    refused(at_once().await);
    fleet.leap(SECOND);
    let renewed = Ask::new().renewed().fail_fast();
    refused(process.get_with(renewed).await);
    assert_eq!(store.0.loads.load(SeqCst), 1);
    for got in join_all((0..100).map(|_| at_once())).await {
        assert_eq!(token(&got.unwrap()), "token-1");
    }
    assert_eq!(store.0.loads.load(SeqCst), 2);
    let loaded = |event: &Event| matches!(event, Event::Loaded { .. });
    assert_eq!(fleet.events(loaded), 1);
}

#[tokio::test]
async fn rule_20_a_caller_with_little_time_does_not_wait_for_a_store_that_hangs() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("wrong"), store.clone());
    process.get().await.unwrap_err();
    fleet.leap(SECOND);
    fleet.start(server.program("right")).get().await.unwrap();
    store.0.hangs.store(true, SeqCst);
    let little = Ask::new().within(SECOND / 2);
    let mut got = Box::pin(process.get_with(little));
    assert!(futures_util::poll!(&mut got).is_pending());
    fleet.leap(SECOND / 2);
    settle().await;
    let got = futures_util::FutureExt::now_or_never(got).unwrap();
    assert!(matches!(got, Err(Error::Login { .. })), "{got:?}");
}

/// A program whose login has failed, in a second in which another process has logged in.
async fn refused(fleet: &mut Fleet, server: &Server) -> (Credentials, Faulty) {
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("wrong"), store.clone());
    process.get().await.unwrap_err();
    fleet.leap(SECOND);
    fleet.start(server.program("right")).get().await.unwrap();
    (process, store)
}

#[tokio::test]
async fn rule_20_no_caller_waits_for_the_look_of_another_one_that_is_not_driven() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (process, store) = refused(&mut fleet, &server).await;
    let gate = Arc::new(Semaphore::new(0));
    *store.0.load_gate.lock() = Some(Arc::clone(&gate));
    // It is polled no more, and the look that it has begun goes on.
    let mut first = Box::pin(process.get());
    assert!(futures_util::poll!(&mut first).is_pending());
    settle().await;
    let mut second = Box::pin(process.get());
    assert!(futures_util::poll!(&mut second).is_pending());
    gate.add_permits(1);
    settle().await;
    let got = futures_util::FutureExt::now_or_never(second).unwrap();
    assert_eq!(token(&got.unwrap()), "token-2");
    assert_eq!(store.0.loads.load(SeqCst), 1);
    drop(first);

    // Nor where the runtime of the look is not driven any more.
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (process, store) = refused(&mut fleet, &server).await;
    let stopped = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut first = Box::pin(process.get());
    {
        let _entered = stopped.enter();
        assert!(futures_util::poll!(&mut first).is_pending());
    }
    let mut second = Box::pin(process.get());
    assert!(futures_util::poll!(&mut second).is_pending());
    fleet.leap(2 * SECOND);
    settle().await;
    let got = futures_util::FutureExt::now_or_never(second).unwrap();
    assert!(matches!(got, Err(Error::Login { .. })), "{got:?}");
    assert_eq!(token(&process.get().await.unwrap()), "token-2");
    assert_eq!(store.0.loads.load(SeqCst), 1);
    stopped.shutdown_background();
}

#[tokio::test]
async fn rule_20_a_look_that_ends_late_ends_no_newer_one() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (process, store) = refused(&mut fleet, &server).await;
    let stopped = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut first = Box::pin(process.get());
    {
        let _entered = stopped.enter();
        assert!(futures_util::poll!(&mut first).is_pending());
    }
    fleet.leap(2 * SECOND);
    let gate = Arc::new(Semaphore::new(0));
    *store.0.load_gate.lock() = Some(Arc::clone(&gate));
    let mut second = Box::pin(process.get());
    assert!(futures_util::poll!(&mut second).is_pending());
    settle().await;
    // The task of the first one is dropped.
    stopped.shutdown_background();
    settle().await;
    assert!(futures_util::poll!(&mut second).is_pending());
    // Nor is another one begun beside it.
    let mut third = Box::pin(process.get());
    assert!(futures_util::poll!(&mut third).is_pending());
    settle().await;
    assert_eq!(store.0.loads.load(SeqCst), 1);
    gate.add_permits(1);
    settle().await;
    for got in [second, third] {
        let got = futures_util::FutureExt::now_or_never(got).unwrap();
        assert_eq!(token(&got.unwrap()), "token-2");
    }
}

#[tokio::test]
async fn rule_20_a_caller_that_fails_fast_waits_a_quarter_of_a_second_for_the_store() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (process, store) = refused(&mut fleet, &server).await;
    store.0.hangs.store(true, SeqCst);
    let mut got = Box::pin(process.get_with(Ask::new().fail_fast()));
    assert!(futures_util::poll!(&mut got).is_pending());
    fleet.leap(SECOND / 4);
    settle().await;
    let got = futures_util::FutureExt::now_or_never(got).unwrap();
    assert!(matches!(got, Err(Error::Login { .. })), "{got:?}");
}

#[tokio::test]
async fn rule_19_a_close_ends_the_look_of_a_caller_that_would_be_turned_away() {
    for logs_out in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let (process, store) = refused(&mut fleet, &server).await;
        let gate = Arc::new(Semaphore::new(0));
        *store.0.load_gate.lock() = Some(Arc::clone(&gate));
        let mut got = Box::pin(process.get());
        assert!(futures_util::poll!(&mut got).is_pending());
        settle().await;
        let closing = process.clone();
        let closed = tokio::spawn(async move {
            if logs_out {
                let _ = closing.log_out().await;
            } else {
                closing.close().await.unwrap();
            }
        });
        settle().await;
        let got = futures_util::FutureExt::now_or_never(got).unwrap();
        assert!(matches!(got, Err(Error::Closed)), "{got:?}");
        gate.add_permits(9);
        closed.await.unwrap();
    }
}

#[tokio::test]
async fn rule_21_a_session_that_a_caller_has_found_is_followed() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let clock = fleet.clocks.last().unwrap().clock();
    spend_quota(&server, &clock).await;
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    // No flight has begun here.
    let at_once = Ask::new().fail_fast();
    process.get_with(at_once).await.unwrap();
    assert_eq!(store.0.leases.load(SeqCst), 0);
    other.log_out().await.unwrap();
    fleet.advance(11 * SECOND).await;
    assert!(process.fresh().is_none());
}

#[tokio::test]
async fn rule_13_a_caller_that_is_served_does_not_look() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| match number {
        1 => session(number, Lifetime::of(HOUR).idle(60 * SECOND)),
        _ => Err(LoginError::unavailable("status 503").with_retry_after(Some(HOUR))),
    });
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    // Lapsed by its idle timeout, and perhaps good.
    fleet.leap(61 * SECOND);
    assert_eq!(token(&process.get().await.unwrap()), "token-1");
    fleet.leap(SECOND);
    store.0.hangs.store(true, SeqCst);
    let got = futures_util::FutureExt::now_or_never(process.get());
    assert_eq!(token(&got.unwrap().unwrap()), "token-1");
}

#[tokio::test]
async fn rule_20_a_login_that_has_failed_keeps_no_one_from_a_session_of_another_process() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let process = fleet.start(server.program("wrong"));
    process.get().await.unwrap_err();
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    process.get().await.unwrap_err();
    fleet.leap(SECOND);
    let blocking = process.clone();
    let got = tokio::task::spawn_blocking(move || blocking.blocking_get());
    assert_eq!(token(&got.await.unwrap().unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
    // It is served, and not only once.
    reject(&other).await.unwrap();
    fleet.advance(10 * SECOND).await;
    assert_eq!(token(&process.get().await.unwrap()), "token-3");
}

#[tokio::test]
async fn rule_23_no_more_logins_than_the_quota_in_any_minute_by_all_processes() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    let mut seen = Vec::new();
    for second in 0..600 {
        for process in &processes {
            let process = process.clone();
            tokio::spawn(async move {
                let _ = process.get().await;
            });
        }
        let before = server.logins();
        fleet.advance(SECOND).await;
        seen.extend((before..server.logins()).map(|_| second));
    }
    assert!(seen.len() >= 10, "{seen:?}");
    for window in seen.windows(11) {
        assert!(window[10] - window[0] >= 60, "{seen:?}");
    }
}

#[tokio::test]
async fn rule_23_a_login_after_a_refused_refresh_that_counts_takes_a_permit_of_its_own() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let short = session(number, Lifetime::of(2 * SECOND))?;
        Ok(short.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    server.0.refuses_refreshes.store(true, SeqCst);
    let counted = Refresh::with_kept("refresh_token").single_use();
    let counted = counted.counts_as_login();
    let processes: Vec<_> = (0..3)
        .map(|_| {
            let refresh = Some(counted.clone());
            fleet.start(Program {
                refresh,
                ..server.program("right")
            })
        })
        .collect();
    let sent = || server.logins() + server.0.refreshes.lock().len() as u64;
    let mut seen = Vec::new();
    for second in 0..130 {
        for process in &processes {
            let process = process.clone();
            tokio::spawn(async move {
                let _ = process.get().await;
            });
        }
        let before = sent();
        fleet.advance(SECOND).await;
        seen.extend((before..sent()).map(|_| second));
    }
    assert!(!server.0.refreshes.lock().is_empty() && seen.len() > 10);
    for window in seen.windows(11) {
        assert!(window[10] - window[0] >= 60, "{seen:?}");
    }
}

#[tokio::test]
async fn rule_23_the_permits_of_many_accounts_are_counted_by_the_store() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let mut waiting = Vec::new();
    for account in 0..30 {
        let other = Server::new();
        let origin = server.0.identity.origin().clone();
        let identity = Identity::new("shared", origin, format!("user-{account}"));
        let state = Arc::into_inner(other.0).unwrap();
        let other = Server(Arc::new(ServerState { identity, ..state }));
        let process = fleet.start(other.program("right"));
        let get = async move {
            process
                .get_with(auth_core::Ask::new().wait_for_quota())
                .await
        };
        waiting.push((tokio::spawn(get), other));
    }
    let logins = |waiting: &[(_, Server)]| -> u64 {
        waiting.iter().map(|(_, server)| server.logins()).sum()
    };
    fleet.advance(SECOND).await;
    assert_eq!(logins(&waiting), 10);
    fleet.advance(60 * SECOND).await;
    assert_eq!(logins(&waiting), 10, "the window and its margin are 62 s");
    fleet.advance(3 * SECOND).await;
    assert_eq!(logins(&waiting), 20);
    fleet.advance(64 * SECOND).await;
    assert_eq!(logins(&waiting), 30);
    for (get, _) in waiting {
        get.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn rule_23_a_retry_after_holds_all_that_share_the_store() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let one = fleet.start(server.program("right"));
    let limited = one.get_with(auth_core::Ask::new().fail_fast()).await;
    assert!(limited.unwrap_err().is_rate_limited());
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let told = {
        let mut get = Box::pin(other.get_with(auth_core::Ask::new().fail_fast()));
        assert!(futures_util::poll!(&mut get).is_pending());
        fleet.advance(SECOND).await;
        get.await.unwrap_err()
    };
    let Error::QuotaSpent { retry_after, .. } = told else {
        panic!("{told:?}");
    };
    assert!(retry_after > 25 * SECOND, "{retry_after:?}");
    assert_eq!(server.logins(), 1);
    fleet.advance(30 * SECOND).await;
    assert!(other.get().await.is_ok());
}

#[tokio::test]
async fn rule_23_the_others_are_held_before_they_can_have_the_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let holds = Arc::new(Semaphore::new(0));
    *store.0.hold_gate.lock() = Some(Arc::clone(&holds));
    server.answers(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let fail_fast = auth_core::Ask::new().fail_fast();
    let one = fleet.start_with(server.program("right"), store);
    let first = tokio::spawn(async move { one.get_with(fail_fast).await.map(|got| token(&got)) });
    settle().await;
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let second =
        tokio::spawn(async move { other.get_with(fail_fast).await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert_eq!(server.logins(), 1);
    holds.add_permits(1);
    assert!(first.await.unwrap().unwrap_err().is_rate_limited());
    fleet.advance(SECOND).await;
    let told = second.await.unwrap().unwrap_err();
    assert!(matches!(told, Error::QuotaSpent { .. }), "{told:?}");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_23_a_permit_that_has_lapsed_while_the_machine_slept_is_asked_for_again() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let clocks = [&fleet.store_clock, &fleet.clocks[0]];
    *store.0.sleeps.lock() = clocks.map(|clock| (clock.clone(), HOUR)).to_vec();
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let get = tokio::spawn(async move { process.get().await.map(drop) });
    settle().await;
    assert_eq!(server.logins(), 1);
    let origin = fleet.store.seal().name(b"origin https://api.example.com");
    let only = PermitAsk {
        id: "test",
        most: 1,
        window: 62 * SECOND,
        counts_for: SECOND,
    };
    let answer = fleet.store.permit(&origin, only).await.unwrap();
    assert_eq!(answer, PermitAnswer::Wait(97 * SECOND), "the login counts");
    get.abort();
}

#[tokio::test]
async fn rule_23_a_login_that_is_sent_late_and_times_out_counts_for_a_window_more() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    // The answer to it comes as late as it may.
    let clocks = [&fleet.store_clock, &fleet.clocks[0]];
    *store.0.sleeps.lock() = clocks.map(|clock| (clock.clone(), 2 * SECOND)).to_vec();
    *server.0.gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let get = tokio::spawn(async move { process.get().await.map(drop) });
    settle().await;
    assert_eq!(server.logins(), 1);
    fleet.advance(30 * SECOND).await;
    assert!(get.await.unwrap().is_err());
    let origin = fleet.store.seal().name(b"origin https://api.example.com");
    let only = PermitAsk {
        id: "test",
        most: 1,
        window: 62 * SECOND,
        counts_for: SECOND,
    };
    let answer = fleet.store.permit(&origin, only).await.unwrap();
    let PermitAnswer::Wait(wait) = answer else {
        panic!("{answer:?}");
    };
    assert!(wait >= 62 * SECOND, "{wait:?} after its time-out");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_23_a_retry_after_that_the_store_could_not_be_told_is_told_later() {
    // The store is in trouble, or fails this step alone.
    for fails in [true, false] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        server.answers(|_| Err(LoginError::limited(Some(60 * SECOND))));
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let fail_fast = auth_core::Ask::new().fail_fast();
        let one = fleet.start_with(server.program("right"), store.clone());
        let got = tokio::spawn(async move { one.get_with(fail_fast).await.map(drop) });
        settle().await;
        store.0.fails.store(fails, SeqCst);
        store.0.hold_fails.store(!fails, SeqCst);
        *server.0.gate.lock() = None;
        gate.add_permits(1);
        assert!(got.await.unwrap().unwrap_err().is_rate_limited());
        settle().await;
        store.0.fails.store(false, SeqCst);
        store.0.hold_fails.store(false, SeqCst);
        fleet.advance(10 * SECOND).await;
        let other = fleet.start(server.program("right"));
        let other = tokio::spawn(async move { other.get_with(fail_fast).await.map(drop) });
        fleet.advance(SECOND).await;
        let told = other.await.unwrap().unwrap_err();
        let Error::QuotaSpent { retry_after, .. } = told else {
            panic!("{told:?}");
        };
        assert!(retry_after > 45 * SECOND && retry_after <= 50 * SECOND);
        assert_eq!(server.logins(), 1, "{fails}");
    }
}

#[tokio::test]
async fn rule_10_a_refresh_that_is_sent_late_counts_from_the_end_of_its_own_time_out() {
    let clock = ManualClock::new();
    let store = Faulty::new(&MemoryStore::on(clock.clock()));
    let logins = Scripted::new(|number| {
        let session = session(number, Lifetime::of(HOUR))?;
        Ok(session.with_kept("refresh_token", "r-1")?)
    });
    let by = Refresh::with_kept("refresh_token")
        .single_use()
        .counts_as_login();
    let hangs = Arc::new(Semaphore::new(0));
    let one = Quota::DEFAULT.at_most(NonZeroU32::MIN);
    let provider = Renewing::new(logins.with_quota(one))
        .refreshed(by, |number| session(number, Lifetime::of(HOUR)))
        .gated(&hangs);
    let refreshes = provider.refreshes();
    let credentials = provider.on(&clock).store(store.clone()).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let waiter = tokio::spawn({
        let (credentials, ask) = (credentials.clone(), Ask::new().within(HOUR));
        async move { credentials.get_with(ask).await }
    });
    settle().await;
    // It has its permit, and its token is marked a second later.
    clock.advance(SECOND);
    saves.add_permits(100);
    settle().await;
    assert_eq!(refreshes.load(SeqCst), 1);
    clock.advance(30 * SECOND);
    settle().await;
    let error = credentials.get_with(Ask::new().fail_fast()).await;
    let error = error.unwrap_err();
    assert!(matches!(error, Error::QuotaSpent { .. }), "{error:?}");
    assert_eq!(error.retry_after(), Some(62 * SECOND));
    waiter.abort();
}

#[tokio::test]
async fn rule_23_the_wait_that_a_refresh_is_told_holds_all_before_its_login_follows() {
    // The store may be in trouble when it is to be told.
    for fails in [false, true] {
        let clock = ManualClock::new();
        let store = Faulty::new(&MemoryStore::on(clock.clock()));
        let logins = Scripted::new(|number| {
            let session = session(number, Lifetime::of(HOUR))?;
            Ok(session.with_kept("refresh_token", "r-1")?)
        });
        let by = Refresh::with_kept("refresh_token").counts_as_login();
        let gate = Arc::new(Semaphore::new(0));
        let provider = Renewing::new(logins)
            .refreshed(by, |_| Err(LoginError::limited(Some(300 * SECOND))))
            .gated(&gate);
        let credentials = provider.on(&clock).store(store.clone()).build();
        credentials.get().await.unwrap();
        clock.advance(HOUR);
        let waiter = tokio::spawn({
            let credentials = credentials.clone();
            async move { credentials.get_with(Ask::new().within(HOUR)).await }
        });
        settle().await;
        store.0.fails.store(fails, SeqCst);
        gate.add_permits(1);
        settle().await;
        for _ in 0..10 {
            clock.advance(SECOND);
            settle().await;
        }
        store.0.fails.store(false, SeqCst);
        for _ in 0..10 {
            clock.advance(SECOND);
            settle().await;
        }
        let store = &store.0.inner;
        let origin = store.seal().name(b"origin https://api.example.com");
        let ask = PermitAsk {
            id: "test",
            most: 10,
            window: 62 * SECOND,
            counts_for: SECOND,
        };
        let answer = store.permit(&origin, ask).await.unwrap();
        assert_eq!(answer, PermitAnswer::Wait(280 * SECOND), "{fails}");
        clock.advance(280 * SECOND);
        settle().await;
        assert_eq!(token(&waiter.await.unwrap().unwrap()), "token-2");
    }
}

#[tokio::test]
async fn rule_10_a_caller_goes_before_a_renewal_that_waits_for_the_store() {
    let process = Accounts::new();
    let one = Quota::DEFAULT.at_most(NonZeroU32::MIN);
    let account = |name| process.shares(process.provider(name).with_quota(one));
    let renews = account("renews");
    renews.get().await.unwrap();
    // Another process has the only permit when the session is due, and for a while after that.
    process.pass(HOUR - 240 * SECOND).await;
    let store = &process.store.0.inner;
    let ask = PermitAsk {
        id: "other",
        most: 1,
        window: 60 * SECOND,
        counts_for: 30 * SECOND,
    };
    let given = store.permit(&process.origin(), ask).await.unwrap();
    assert_eq!(given, PermitAnswer::Given);
    renews.get().await.unwrap();
    process.pass(SECOND).await;
    let got = Accounts::get(&account("caller"));
    process.pass(40 * SECOND).await;
    assert_eq!(process.sent(), ["renews", "caller"]);
    got.await.unwrap().unwrap();
    renews.get().await.unwrap();
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["renews", "caller"]);
    process.pass(70 * SECOND).await;
    renews.get().await.unwrap();
    process.pass(SECOND).await;
    assert_eq!(process.sent(), ["renews", "caller", "renews"]);
}

#[tokio::test]
async fn rule_20_a_renewal_that_would_wait_for_a_permit_of_the_store_keeps_no_lease() {
    let process = Accounts::new();
    let account = || crate::support::on(&process.clock, process.provider("account"));
    let kept = account().keep_fresh().store(process.store.clone()).build();
    kept.get().await.unwrap();
    let other = account().store(process.store.clone()).build();
    other.get().await.unwrap();
    let store = &process.store.0.inner;
    store.hold(&process.origin(), HOUR).await.unwrap();
    let leases = || process.store.0.leases.load(SeqCst);
    let before = leases();
    process.pass(58 * 60 * SECOND).await;
    let asked = leases() - before;
    assert!((1..10).contains(&asked), "{asked} leases");
    // Otherwise this one would wait for the lease of the renewal.
    let at_once = Ask::new().renewed().fail_fast();
    let told = tokio::spawn(async move { other.get_with(at_once).await });
    settle().await;
    assert!(told.is_finished());
    let told = told.await.unwrap();
    assert!(matches!(told, Err(Error::QuotaSpent { .. })), "{told:?}");
    process.pass(125 * SECOND).await;
    assert_eq!(process.sent(), ["account", "account"]);
    kept.get().await.unwrap();
}

#[tokio::test]
async fn rule_20_a_renewal_that_would_wait_for_a_permit_of_its_process_keeps_no_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let renews = fleet.start(server.program("right"));
    let clock = fleet.clocks.last().unwrap().clock();
    let other = fleet.start(server.program("right"));
    for process in [&renews, &other] {
        process.get().await.unwrap();
    }
    fleet.leap(HOUR - 60 * SECOND);
    spend_quota(&server, &clock).await;
    // The session is due.
    renews.get().await.unwrap();
    settle().await;
    let renewed = Ask::new().renewed();
    let got = tokio::spawn(async move { other.get_with(renewed).await });
    settle().await;
    // No clock has moved.
    assert!(got.is_finished());
    assert_eq!(token(&got.await.unwrap().unwrap()), "token-2");
}

#[tokio::test]
async fn rule_10_a_renewal_asks_the_store_after_the_callers() {
    let process = Accounts::new();
    let renews = process.account("renews");
    renews.get().await.unwrap();
    process.pass(HOUR - 60 * SECOND).await;
    let store = &process.store.0.inner;
    for (id, seconds) in [("1", 30), ("2", 900), ("3", 900), ("4", 900), ("5", 900)] {
        let ask = PermitAsk {
            id,
            most: 5,
            window: 60 * SECOND,
            counts_for: seconds * SECOND,
        };
        let given = store.permit(&process.origin(), ask).await.unwrap();
        assert_eq!(given, PermitAnswer::Given);
    }
    renews.get().await.unwrap();
    process.pass(SECOND / 2).await;
    let got = Accounts::get(&process.account("caller"));
    process.pass(35 * SECOND).await;
    assert_eq!(process.sent(), ["renews", "caller"]);
    got.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_20_who_waits_for_the_lease_of_a_login_that_is_sent_is_told_nothing_before_its_time() {
    let process = Accounts::new();
    let gate = Gate::shut();
    let sends = process.shares(process.provider("account").gated(&gate));
    let sent = Accounts::get(&sends);
    process.pass(SECOND).await;
    let other = process.account("account");
    let fails_fast = tokio::spawn(async move { other.get_with(Ask::new().fail_fast()).await });
    process.pass(15 * SECOND).await;
    assert!(!fails_fast.is_finished());
    gate.let_through(1);
    process.pass(3 * SECOND).await;
    assert_eq!(token(&fails_fast.await.unwrap().unwrap()), "token-1");
    sent.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_20_who_waits_for_the_lease_of_a_login_that_waits_is_told() {
    let process = Accounts::new();
    let store = &process.store.0.inner;
    store.hold(&process.origin(), HOUR).await.unwrap();
    let [one, other] = [(); 2].map(|()| process.account("account"));
    let patient = |account: &Credentials| {
        let account = account.clone();
        tokio::spawn(async move { account.get_with(Ask::new().within(2 * HOUR)).await })
    };
    let waits = patient(&one);
    process.pass(SECOND).await;
    let waits_too = patient(&other);
    let fails_fast = other.clone();
    let told = tokio::spawn(async move { fails_fast.get_with(Ask::new().fail_fast()).await });
    process.pass(45 * SECOND).await;
    assert!(told.is_finished());
    let told = told.await.unwrap();
    assert!(matches!(told, Err(Error::QuotaSpent { .. })), "{told:?}");
    // So is one that comes later, at once.
    let fails_fast = other.clone();
    let told = tokio::spawn(async move { fails_fast.get_with(Ask::new().fail_fast()).await });
    settle().await;
    assert!(told.is_finished());
    process.pass(HOUR).await;
    assert_eq!(process.sent(), ["account"]);
    waits.await.unwrap().unwrap();
    waits_too.await.unwrap().unwrap();
}
