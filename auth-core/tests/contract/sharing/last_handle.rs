//! Rule 19: what a cache leaves in the store whose last handle is gone.

use super::*;

/// Drops the last handle while the refresh of a session that is over is under way.
async fn over(server: &Server, fleet: &mut Fleet) -> Arc<Semaphore> {
    server.answers(|number| {
        Ok(session(number, Lifetime::of(60 * SECOND))?.with_kept("refresh_token", "r-0")?)
    });
    let process = fleet.start(rotating(server));
    process.get().await.unwrap();
    fleet.advance(61 * SECOND).await;
    let gate = Arc::new(Semaphore::new(0));
    *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    assert_eq!(server.tokens_seen_once(), 1);
    drop(get);
    drop(process);
    gate
}

#[tokio::test]
async fn rule_19_a_slow_refresh_whose_last_handle_is_gone_is_waited_for() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let gate = over(&server, &mut fleet).await;
    // Well within the login's time-out of 30 s. No login can follow.
    fleet.advance(8 * SECOND).await;
    gate.add_permits(10);
    fleet.advance(SECOND).await;
    *server.0.refresh_gate.lock() = None;
    let next = fleet.start(rotating(&server));
    assert_eq!(token(&next.get().await.unwrap()), "token-1001");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_19_a_retry_after_of_a_refresh_whose_last_handle_is_gone_is_told() {
    for drops in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            Ok(session(number, Lifetime::of(60 * SECOND))?.with_kept("refresh_token", "r-0")?)
        });
        let lasting = |server: &Server| Program {
            refresh: Some(Refresh::with_kept("refresh_token")),
            ..server.program("right")
        };
        let process = fleet.start(lasting(&server));
        process.get().await.unwrap();
        fleet.advance(61 * SECOND).await;
        let gate = Arc::new(Semaphore::new(0));
        *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
        server.0.refreshes_wait.store(600, SeqCst);
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        drop(get);
        let mut kept = Some(process);
        if drops {
            kept = None;
        }
        *server.0.password.lock() = "other";
        gate.add_permits(10);
        fleet.advance(SECOND).await;
        *server.0.refresh_gate.lock() = None;
        assert_eq!(server.0.refreshes.lock().len(), 1);
        let next = fleet.start(lasting(&server));
        let _ = next.get().await;
        assert_eq!(server.0.refreshes.lock().len(), 1, "drops: {drops}");
        drop(kept);
    }
}

#[tokio::test]
async fn rule_19_a_value_that_rolls_before_the_last_handle_is_dropped_is_saved() {
    for at_once in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        rolling(&server, Lifetime::of(HOUR));
        let process = fleet.start(server.program("right"));
        process.get().await.unwrap();
        roll(&process, "sid=rolled; Path=/");
        if !at_once {
            settle().await;
        }
        drop(process);
        fleet.advance(20 * SECOND).await;
        let next = fleet.start(server.program("right"));
        let found = next.get().await.unwrap();
        assert_eq!(found.cookie("sid"), Some("rolled"), "at once: {at_once}");
    }
}

#[tokio::test]
async fn rule_19_no_refresh_is_sent_after_the_last_handle_is_gone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        Ok(session(number, Lifetime::of(HOUR))?.with_kept("refresh_token", "r-0")?)
    });
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(rotating(&server), store.clone());
    process.get().await.unwrap();
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let mut renewed = Box::pin(process.renew());
    assert!(futures_util::poll!(&mut renewed).is_pending());
    settle().await;
    assert_eq!(server.tokens_seen_once(), 0, "it is being marked");
    drop(renewed);
    drop(process);
    saves.add_permits(10);
    fleet.advance(SECOND).await;
    assert_eq!(server.tokens_seen_once(), 0);
}

#[tokio::test]
async fn rule_19_a_login_without_a_time_out_whose_last_handle_is_gone_gives_its_lease_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    *server.0.gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(server.program("right"))
        .clock(clock.clock())
        .store(fleet.store.clone())
        .login_timeout(Duration::MAX)
        .build();
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    assert_eq!(server.logins(), 1);
    drop(get);
    drop(process);
    *server.0.gate.lock() = None;
    for _ in 0..30 {
        fleet.leap(600 * SECOND);
        settle().await;
    }
    let next = fleet.start(server.program("right"));
    let got = tokio::spawn(async move { next.get().await.map(|it| token(&it)) });
    fleet.advance(200 * SECOND).await;
    assert!(got.is_finished());
    let got = got.await.unwrap();
    assert!(got.is_ok(), "{got:?}");
}

#[tokio::test]
async fn rule_19_a_sent_login_ends_in_the_store_though_its_last_handle_is_gone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    // A handle for each call, whose caller waits for less than a login takes.
    for _ in 0..6 {
        let process = fleet.start(server.program("wrong"));
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        fleet.advance(2 * SECOND).await;
    }
    gate.add_permits(10);
    fleet.advance(5 * SECOND).await;
    let process = fleet.start(server.program("wrong"));
    assert!(refused(&process.get().await.unwrap_err()));
    assert_eq!(server.logins(), 1);

    // And so does one that brings a session.
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let process = fleet.start(server.program("right"));
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    drop(get);
    drop(process);
    gate.add_permits(10);
    fleet.advance(SECOND).await;
    let process = fleet.start(server.program("right"));
    assert_eq!(token(&process.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
    assert!(server.0.logouts.lock().is_empty());
}

#[tokio::test]
async fn rule_19_a_sent_refresh_ends_in_the_store_though_its_last_handle_is_gone() {
    for is_refused in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            Ok(session(number, Lifetime::of(HOUR))?.with_kept("refresh_token", "r-0")?)
        });
        let process = fleet.start(rotating(&server));
        process.get().await.unwrap();
        let gate = Arc::new(Semaphore::new(0));
        *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
        server.0.refuses_refreshes.store(is_refused, SeqCst);
        let mut renewed = Box::pin(process.renew());
        assert!(futures_util::poll!(&mut renewed).is_pending());
        settle().await;
        assert_eq!(server.tokens_seen_once(), 1);
        drop(renewed);
        drop(process);
        gate.add_permits(10);
        fleet.advance(SECOND).await;
        assert_eq!(server.logins(), 1, "none follows, for there is no caller");
        let process = fleet.start(rotating(&server));
        let found = token(&process.get().await.unwrap());
        let wanted = if is_refused { "token-1" } else { "token-1001" };
        assert_eq!(found, wanted);
        process.renew().await.unwrap();
        let wanted = if is_refused { 1 } else { 2 };
        assert_eq!(server.tokens_seen_once(), wanted);
        assert_eq!(server.logins(), if is_refused { 2 } else { 1 });
    }
}

#[tokio::test]
async fn rule_19_an_unsent_login_ends_with_its_last_handle() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let permits = Arc::new(Semaphore::new(0));
    *store.0.permit_gate.lock() = Some(Arc::clone(&permits));
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    drop(get);
    drop(process);
    permits.add_permits(10);
    fleet.advance(5 * SECOND).await;
    assert_eq!(server.logins(), 0);
}
