//! The turn of a login at the store: its lease, its permit, and the notes that it leaves.

use auth_core::Ask;
use auth_core::store::{NotesChange, SessionChange};

use super::*;

/// The login's refresh token is `first-1`, `first-2` and so on.
fn with_tokens(server: &Server) {
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
}

fn refreshing(server: &Server, by: Refresh) -> Program {
    Program {
        refresh: Some(by),
        ..server.program("right")
    }
}

#[tokio::test]
async fn rule_21_a_rejection_is_noted_before_the_login_that_follows_it_is_over() {
    // By the one that has logged in, or by the one that has found its session.
    for rejects in 0..2 {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let both = [(); 2].map(|()| fleet.start(server.program("right")));
        for process in &both {
            process.get().await.unwrap();
        }
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let mut rejecting = Box::pin(reject(&both[rejects]));
        assert!(futures_util::poll!(&mut rejecting).is_pending());
        fleet.advance(10 * SECOND).await;
        assert_eq!(server.logins(), 2);
        assert!(both[1 - rejects].fresh().is_none(), "{rejects}");
        gate.add_permits(1);
        assert_eq!(rejecting.await.unwrap(), "token-2");
    }
}

#[tokio::test]
async fn rule_20_who_asks_for_a_renewed_session_is_given_no_other_value_of_the_one_at_hand() {
    for rolls in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        super::rolling(&server, Lifetime::of(HOUR).idle(80 * SECOND));
        let store = Faulty::new(&fleet.store);
        store.0.is_silent.store(true, SeqCst);
        let one = fleet.start_with(server.program("right"), store);
        let other = fleet.start(server.program("right"));
        one.get().await.unwrap();
        let used = other.get().await.unwrap();
        fleet.leap(20 * SECOND);
        if rolls {
            super::roll(&other, "sid=rolled; Path=/");
        }
        Attempt::new(&other, &used).accepted();
        other.close().await.unwrap();
        let before = one.fresh().unwrap().stamp();
        let renewed = one.renew().await.unwrap();
        assert_eq!(renewed.cookie("sid"), Some("s-2"));
        assert!(renewed.stamp() > before);
    }
}

#[tokio::test]
async fn rule_22_a_refresh_that_is_refused_looks_whether_it_was_a_race() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    with_tokens(&server);
    let by = || Refresh::with_kept("refresh_token");
    let one = fleet.start(refreshing(&server, by()));
    one.get().await.unwrap();
    fleet.leap(HOUR);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
    let mut get = Box::pin(one.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    assert_eq!(server.0.refreshes.lock().len(), 1);
    // Its process is stopped until its lease has lapsed. Another one takes its turn.
    *server.0.refresh_gate.lock() = None;
    let clock = fleet.clocks.remove(0);
    fleet.advance(40 * SECOND).await;
    let other = fleet.start(refreshing(&server, by()));
    assert_eq!(token(&other.get().await.unwrap()), "token-1002");
    server.0.refuses_refreshes.store(true, SeqCst);
    gate.add_permits(1);
    assert_eq!(token(&get.await.unwrap()), "token-1002");
    let failed = |event: &Event| matches!(event, Event::RefreshFailed { .. });
    assert_eq!((server.logins(), fleet.events(failed)), (1, 0));
    drop(clock);
}

#[tokio::test]
async fn rule_22_a_token_that_was_refused_is_noted_though_the_store_was_looked_at_since() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    with_tokens(&server);
    let by = || Refresh::with_kept("refresh_token");
    let one = fleet.start(refreshing(&server, by()));
    one.get().await.unwrap();
    fleet.leap(HOUR);
    server.0.refuses_refreshes.store(true, SeqCst);
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    // The login that follows waits for its permit.
    let origin = fleet.store.seal().name(b"origin https://api.example.com");
    fleet.store.hold(&origin, HOUR / 6).await.unwrap();
    let waits = |one: &Credentials| {
        let one = one.clone();
        let ask = Ask::new().wait_for_quota();
        tokio::spawn(async move { one.get_with(ask).await })
    };
    let got = waits(&one);
    settle().await;
    // Its process is stopped until its lease has lapsed, and another has had it.
    let clock = fleet.clocks.remove(0);
    fleet.advance(40 * SECOND).await;
    let other = fleet.start(server.program("right"));
    let others = waits(&other);
    settle().await;
    other.close().await.unwrap();
    others.await.unwrap().unwrap_err();
    clock.advance(40 * SECOND);
    fleet.clocks.push(clock);
    fleet.advance(HOUR / 6).await;
    got.await.unwrap().unwrap_err();
    assert_eq!((server.logins(), server.0.refreshes.lock().len()), (2, 1));
    let third = fleet.start(refreshing(&server, by()));
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    fleet.leap(HOUR / 60);
    assert_eq!(token(&third.get().await.unwrap()), "token-3");
    assert_eq!(server.0.refreshes.lock().len(), 1);
}

#[tokio::test]
async fn rule_23_a_refresh_that_is_not_sent_gives_its_permit_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    with_tokens(&server);
    let by = || Refresh::with_kept("refresh_token").single_use();
    let store = Faulty::new(&fleet.store);
    let counted = refreshing(&server, by().counts_as_login());
    let one = fleet.start_with(counted, store.clone());
    one.get().await.unwrap();
    fleet.leap(HOUR);
    let gate = Arc::new(Semaphore::new(0));
    *store.0.permit_gate.lock() = Some(Arc::clone(&gate));
    let mut get = Box::pin(one.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    // Its process is stopped, and another one spends the token.
    let clock = fleet.clocks.remove(0);
    fleet.advance(40 * SECOND).await;
    let other = fleet.start(refreshing(&server, by()));
    assert_eq!(token(&other.get().await.unwrap()), "token-1001");
    gate.add_permits(1);
    assert_eq!(token(&get.await.unwrap()), "token-1001");
    assert_eq!(server.tokens_seen_once(), 1);
    let origin = fleet.store.seal().name(b"origin https://api.example.com");
    let only = PermitAsk {
        id: "test",
        most: 1,
        window: 62 * SECOND,
        counts_for: SECOND,
    };
    let permit = fleet.store.permit(&origin, only).await.unwrap();
    assert_eq!(permit, PermitAnswer::Given, "none counts");
    drop(clock);
}

#[tokio::test]
async fn rule_22_a_token_that_was_marked_and_not_sent_is_good_for_the_next() {
    // The mark may be the only note, or another token may be spent as well.
    for spent in [0, 1] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        with_tokens(&server);
        let by = || Refresh::with_kept("refresh_token").single_use();
        let one = fleet.start(refreshing(&server, by()));
        one.get().await.unwrap();
        if spent == 1 {
            fleet.leap(HOUR);
            assert_eq!(token(&one.get().await.unwrap()), "token-1001");
        }
        // It is due, and served.
        fleet.leap(HOUR - 30 * SECOND);
        server.0.refreshes_not_sent.store(true, SeqCst);
        one.get().await.unwrap();
        fleet.advance(SECOND).await;
        drop(one);
        server.0.refreshes_not_sent.store(false, SeqCst);
        fleet.leap(HOUR);
        let next = fleet.start(refreshing(&server, by()));
        let expected = format!("token-{}", 1_001 + spent);
        assert_eq!(token(&next.get().await.unwrap()), expected);
        assert_eq!((server.logins(), server.tokens_seen_once()), (1, 1 + spent));
    }
}

#[tokio::test]
async fn rule_23_the_permit_of_a_login_that_may_still_arrive_counts_for_its_time_out_as_well() {
    for (panics, counts_for) in [(false, 62), (true, 97)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(move |number| {
            assert!(!panics, "as told");
            session(number, Lifetime::of(HOUR))
        });
        let process = fleet.start(server.program("right"));
        assert_eq!(process.get().await.is_err(), panics);
        let origin = fleet.store.seal().name(b"origin https://api.example.com");
        let only = PermitAsk {
            id: "test",
            most: 1,
            window: 62 * SECOND,
            counts_for: SECOND,
        };
        let wait = PermitAnswer::Wait(counts_for * SECOND);
        assert_eq!(fleet.store.permit(&origin, only).await.unwrap(), wait);
    }
}

#[tokio::test]
async fn rule_20_a_lease_whose_answer_was_lost_is_released_with_the_login() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.lease_hangs.store(true, SeqCst);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let process = fleet.start_with(server.program("right"), store.clone());
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    fleet.advance(3 * SECOND).await;
    assert_eq!(server.logins(), 1, "it goes on without the store");
    store.0.lease_hangs.store(false, SeqCst);
    fleet.advance(10 * SECOND).await;
    *server.0.gate.lock() = None;
    gate.add_permits(1);
    get.await.unwrap();
    drop(process);
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await });
    settle().await;
    assert!(waiting.is_finished(), "the lease is free");
}

#[tokio::test]
async fn rule_22_a_login_ends_what_the_store_has_noted_of_its_secret() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let get = async |fleet: &mut Fleet| {
        let process = fleet.start(server.program("right"));
        process.get().await.is_ok()
    };
    *server.0.password.lock() = "another";
    assert!(!get(&mut fleet).await);
    fleet.leap(15 * 60 * SECOND);
    *server.0.password.lock() = "right";
    assert!(get(&mut fleet).await);
    reject_stored(&mut fleet, &server).await;
    *server.0.password.lock() = "another";
    assert!(!get(&mut fleet).await);
    assert_eq!(server.logins(), 3);
    fleet.leap(15 * 60 * SECOND);
    *server.0.password.lock() = "right";
    assert!(get(&mut fleet).await, "the first cooldown again");
}

#[test]
fn rule_3_waiters_decide_anew_where_the_runtime_is_gone_that_saves_their_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    };
    let store = Faulty::new(&fleet.store);
    *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let process = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(process.get());
    let (gone, other) = (runtime(), runtime());
    gone.block_on(async {
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        assert_eq!(server.logins(), 1);
        assert!(futures_util::poll!(&mut get).is_pending());
    });
    drop(gone);
    other.block_on(async {
        let got = futures_util::poll!(&mut get);
        assert!(matches!(got, std::task::Poll::Ready(Ok(_))));
    });
}

#[tokio::test]
async fn rule_24_the_event_of_a_store_that_fails_says_why() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    fleet
        .start_with(server.program("right"), store)
        .get()
        .await
        .unwrap();
    let told = |event: &Event| matches!(event, Event::StoreFailed { reason } if reason == "as told: the disk is full");
    assert_eq!(fleet.events(told), 1);
}

#[tokio::test]
async fn rule_24_a_store_that_has_failed_is_asked_again_after_five_seconds() {
    for (after, asked) in [(4 * SECOND, false), (5 * SECOND, true)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        store.0.fails.store(true, SeqCst);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.0.fails.store(false, SeqCst);
        fleet.leap(after);
        assert_eq!(reject(&process).await.unwrap(), "token-2");
        assert_eq!(store.changes() > 0, asked, "after {after:?}");
    }
}

#[tokio::test]
async fn rule_25_a_session_of_another_account_that_was_moved_in_place_is_not_found() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let tenant = Program {
        variant: "tenant-b",
        ..server.program("right")
    };
    let other = fleet.start_with(tenant, store.clone());
    other.get().await.unwrap();
    let name = store.0.name.lock().clone();
    *store.0.serves.lock() = Some(fleet.store.load(&name).await.unwrap());
    let process = fleet.start_with(server.program("right"), store);
    assert_eq!(token(&process.get().await.unwrap()), "token-2");
    let unreadable = |event: &Event| matches!(event, Event::StoredUnreadable { .. });
    assert!(fleet.events(unreadable) >= 1);
}

#[tokio::test]
async fn rule_19_a_late_session_that_could_not_be_saved_is_logged_out_by_log_out_alone() {
    for logs_out in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        assert_eq!(server.logins(), 1);
        store.0.save_fails.store(true, SeqCst);
        let closing = process.clone();
        let closed = tokio::spawn(async move {
            if logs_out {
                closing.log_out().await
            } else {
                closing.close().await
            }
        });
        settle().await;
        gate.add_permits(1);
        let _ = get.await;
        // The store has none, so there is nothing to tell it.
        closed.await.unwrap().unwrap();
        assert_eq!(server.0.logouts.lock().len(), usize::from(logs_out));
    }
}

#[tokio::test]
async fn rule_19_a_logout_waits_for_all_that_is_being_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let process = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    // It is rejected while it is being saved, so the next login is under way as well.
    Attempt::new(&process, &process.fresh().unwrap()).rejected();
    let mut next = Box::pin(process.get());
    assert!(futures_util::poll!(&mut next).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.log_out().await });
    settle().await;
    assert!(!closed.is_finished());
    saves.add_permits(9);
    closed.await.unwrap().unwrap();
    let logins = server.logins();
    let cold = fleet.start(server.program("right"));
    let found = token(&cold.get().await.unwrap());
    assert_eq!(found, format!("token-{}", logins + 1));
}

#[tokio::test]
async fn rule_19_a_logout_waits_for_a_save_that_takes_longer_than_the_login() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (gate, saves) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(server.program("right"))
        .clock(clock.clock())
        .store(store)
        .login_timeout(SECOND)
        .build();
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.log_out().await });
    settle().await;
    fleet.advance(Duration::from_millis(900)).await;
    gate.add_permits(1);
    settle().await;
    fleet.advance(Duration::from_millis(1_900)).await;
    assert!(!closed.is_finished(), "the session is being saved");
    saves.add_permits(9);
    closed.await.unwrap().unwrap();
    *server.0.gate.lock() = None;
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_24_a_close_saves_what_was_being_saved_when_it_began() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    // The task that follows the store has the lease, and saves.
    store.changes();
    fleet.until_changed(&store).await;
    *store.0.save_gate.lock() = None;
    process.close().await.unwrap();
    let next = fleet.start(server.program("right"));
    let found = tokio::spawn(async move { next.get().await.map(|got| token(&got)) });
    fleet.advance(15 * SECOND).await;
    assert_eq!(found.await.unwrap().unwrap(), "token-1");
}

/// A process that has rejected `token-1` without its store and logged in anew, while another has
/// moved the deadline of the stored session.
async fn superseded_without_its_store(
    server: &Server,
    fleet: &mut Fleet,
    store: &Faulty,
) -> Credentials {
    server.answers(|number| session(number, Lifetime::of(HOUR).idle(80 * SECOND)));
    let one = fleet.start_with(server.program("right"), store.clone());
    let other = fleet.start(server.program("right"));
    one.get().await.unwrap();
    let used = other.get().await.unwrap();
    store.0.fails.store(true, SeqCst);
    assert_eq!(reject(&one).await.unwrap(), "token-2");
    fleet.advance(12 * SECOND).await;
    Attempt::new(&other, &used).accepted();
    fleet.advance(12 * SECOND).await;
    store.0.fails.store(false, SeqCst);
    one
}

#[tokio::test]
async fn rule_24_a_session_that_is_not_saved_is_saved_over_later_values_of_the_one_before_it() {
    for closes in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let one = superseded_without_its_store(&server, &mut fleet, &store).await;
        if closes {
            fleet.leap(6 * SECOND);
            one.close().await.unwrap();
        } else {
            fleet.advance(20 * SECOND).await;
        }
        let cold = fleet.start(server.program("right"));
        assert_eq!(token(&cold.get().await.unwrap()), "token-2");
        assert_eq!(server.logins(), 2);
    }
}

#[tokio::test]
async fn rule_7_a_rejected_session_is_not_taken_again_though_others_have_moved_its_deadline() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let one = superseded_without_its_store(&server, &mut fleet, &store).await;
    fleet.leap(6 * SECOND);
    assert_eq!(reject(&one).await.unwrap(), "token-3");
}

#[tokio::test]
async fn rule_24_a_session_that_is_not_saved_is_saved_over_one_that_was_saved_too_late() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let process = fleet.start_with(server.program("right"), store.clone());
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    // It is rejected while it is being saved, and superseded without the store.
    store.0.fails.store(true, SeqCst);
    assert_eq!(reject(&process).await.unwrap(), "token-2");
    store.0.fails.store(false, SeqCst);
    saves.add_permits(9);
    assert_eq!(token(&get.await.unwrap()), "token-2");
    fleet.advance(20 * SECOND).await;
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
}

/// A process whose session could not be saved. The store is asked again after five seconds.
pub(super) async fn whose_save_fails(
    fleet: &mut Fleet,
    program: Program,
    store: &Faulty,
) -> (Credentials, bool) {
    let process = fleet.start_with(program, store.clone());
    store.0.save_fails.store(true, SeqCst);
    let is_in = process.get().await.is_ok();
    store.0.save_fails.store(false, SeqCst);
    (process, is_in)
}

#[tokio::test]
async fn rule_24_a_session_whose_save_has_failed_is_saved_while_the_others_wait_for_its_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(20 * SECOND).await;
    assert!(waiting.is_finished(), "the lease is free");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-1");
    assert_eq!(server.logins(), 1);
    drop(process);
}

#[tokio::test]
async fn rule_24_a_lease_whose_answer_was_lost_is_the_one_that_the_session_is_saved_under() {
    for (is_slow, is_second) in [(false, false), (true, false), (false, true)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        if is_second {
            process.get().await.unwrap();
            let current = process.peek().unwrap();
            Attempt::new(&process, &current).rejected();
        }
        store.0.lease_hangs.store(true, SeqCst);
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let get = tokio::spawn(async move { process.get().await.map(|_| process) });
        fleet.advance(3 * SECOND).await;
        store.0.lease_hangs.store(false, SeqCst);
        if is_slow {
            fleet.advance(10 * SECOND).await;
        }
        *server.0.gate.lock() = None;
        gate.add_permits(1);
        let process = get.await.unwrap().unwrap();
        let other = fleet.start(server.program("right"));
        let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
        fleet
            .advance(if is_slow { SECOND } else { 20 * SECOND })
            .await;
        assert!(waiting.is_finished(), "the lease is free");
        let token = format!("token-{}", 1 + u64::from(is_second));
        assert_eq!(waiting.await.unwrap().unwrap(), token);
        drop(process);
    }
}

#[test]
fn rule_19_a_session_whose_save_has_died_with_its_runtime_is_left_by_a_close() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    };
    let store = Faulty::new(&fleet.store);
    *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let process = fleet.start_with(server.program("right"), store.clone());
    runtime().block_on(async {
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        assert!(process.fresh().is_some());
    });
    *store.0.save_gate.lock() = None;
    runtime().block_on(async {
        process.close().await.unwrap();
        let next = fleet.start(server.program("right"));
        let found = tokio::spawn(async move { next.get().await.map(|got| token(&got)) });
        settle().await;
        assert!(found.is_finished(), "the lease is free");
        assert_eq!(found.await.unwrap().unwrap(), "token-1");
    });
}

#[tokio::test]
async fn rule_20_a_login_does_not_wait_for_the_lease_of_its_own_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
    fleet.leap(5 * SECOND);
    let next = tokio::spawn(async move { reject(&process).await });
    settle().await;
    assert!(next.is_finished(), "the lease is free");
    assert_eq!(next.await.unwrap().unwrap(), "token-2");
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_24_a_login_that_fails_with_its_store_gives_its_lease_back_after_five_seconds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (_, is_in) = whose_save_fails(&mut fleet, server.program("wrong"), &store).await;
    assert!(!is_in);
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(6 * SECOND).await;
    assert!(waiting.is_finished(), "the lease is free");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-2");
}

#[tokio::test]
async fn rule_22_a_refusal_that_could_not_be_noted_is_noted_after_five_seconds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (_, is_in) = whose_save_fails(&mut fleet, server.program("wrong"), &store).await;
    assert!(!is_in);
    fleet.advance(6 * SECOND).await;
    let other = fleet.start(server.program("wrong"));
    assert!(refused(&other.get().await.unwrap_err()));
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_a_login_that_ends_after_the_close_and_is_not_saved_keeps_no_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let process = fleet.start_with(server.program("right"), store.clone());
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    store.0.save_fails.store(true, SeqCst);
    gate.add_permits(1);
    closed.await.unwrap().unwrap();
    store.0.save_fails.store(false, SeqCst);
    *server.0.gate.lock() = None;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(6 * SECOND).await;
    assert!(waiting.is_finished(), "the lease is free");
}

#[tokio::test]
async fn rule_24_a_save_that_arrives_after_its_time_is_known_as_its_own() {
    for (one_rolls, late) in [(false, 0), (true, 0), (true, 1), (true, 2)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
            Ok(session.with_lifetime(Lifetime::of(HOUR)))
        });
        let rolls = |process: &Credentials, line| {
            let current = process.fresh().unwrap();
            Attempt::new(process, &current).cookies_set(&crate::support::set_cookie(line));
        };
        let store = Faulty::new(&fleet.store);
        let arrives = Arc::new(Semaphore::new(0));
        *store.0.late_saves.lock() = Some(Arc::clone(&arrives));
        let one = fleet.start_with(server.program("right"), store.clone());
        let getting = one.clone();
        let get = tokio::spawn(async move { getting.get().await.map(|_| ()) });
        fleet.advance(3 * SECOND).await;
        get.await.unwrap().unwrap();
        if late == 1 {
            rolls(&one, "sid=rolled; Path=/");
        }
        *store.0.late_saves.lock() = None;
        arrives.add_permits(1);
        settle().await;
        let other = fleet.start(server.program("right"));
        other.get().await.unwrap();
        if late == 2 {
            rolls(&one, "sid=rolled; Path=/");
            fleet.leap(6 * SECOND);
            one.close().await.unwrap();
        } else {
            fleet.advance(20 * SECOND).await;
        }
        if late == 0 {
            rolls(if one_rolls { &one } else { &other }, "sid=rolled; Path=/");
        }
        fleet.advance(20 * SECOND).await;
        for process in [&one, &other].into_iter().skip(usize::from(late == 2)) {
            let found = process.fresh().unwrap();
            assert_eq!(found.cookie("sid"), Some("rolled"), "{one_rolls} {late}");
        }
        assert_eq!(server.logins(), 1);
    }
}

#[tokio::test]
async fn rule_24_a_session_that_was_saved_late_by_the_task_that_follows_is_known_as_its_own() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    let arrives = Arc::new(Semaphore::new(0));
    *store.0.late_saves.lock() = Some(Arc::clone(&arrives));
    store.changes();
    fleet.until_changed(&store).await;
    *store.0.late_saves.lock() = None;
    fleet.advance(3 * SECOND).await;
    arrives.add_permits(1);
    fleet.advance(20 * SECOND).await;
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    assert_eq!(reject(&other).await.unwrap(), "token-2");
    fleet.advance(2 * SECOND).await;
    assert_eq!(token(&process.fresh().unwrap()), "token-2");
}

#[tokio::test]
async fn rule_22_a_session_that_is_being_saved_is_saved_by_its_login_alone_with_its_notes() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let process = fleet.start_with(server.program("right"), store.clone());
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    // The store tells of a change, so the task that follows it looks.
    let changes_nothing = Change {
        version: auth_core::store::Version::default(),
        session: SessionChange::Keep,
        notes: NotesChange::Keep,
        releases: None,
    };
    let name = store.0.name.lock().clone();
    fleet.store.save(&name, changes_nothing).await.unwrap();
    fleet.advance(3 * SECOND / 2).await;
    assert_eq!((store.0.loads.load(SeqCst), store.changes()), (1, 1));
}

#[tokio::test]
async fn rule_19_a_logout_waits_for_what_the_task_that_follows_saves() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    let arrives = Arc::new(Semaphore::new(0));
    *store.0.late_saves.lock() = Some(Arc::clone(&arrives));
    store.changes();
    fleet.until_changed(&store).await;
    *store.0.late_saves.lock() = None;
    let closed = tokio::spawn(async move { process.log_out().await });
    settle().await;
    assert!(!closed.is_finished(), "it is being saved");
    arrives.add_permits(1);
    closed.await.unwrap().unwrap();
    let cold = fleet.start(server.program("right"));
    let found = tokio::spawn(async move { cold.get().await.map(|got| token(&got)) });
    settle().await;
    assert!(found.is_finished(), "the lease is free");
    assert_eq!(found.await.unwrap().unwrap(), "token-2");
    assert_eq!(*server.0.logouts.lock(), ["token-1"]);
    assert_eq!(Arc::strong_count(&store.0), 1, "the task is gone");
}

#[tokio::test]
async fn rule_21_what_has_no_known_life_is_stored_for_a_month_and_notes_for_a_year() {
    const DAY: Duration = crate::support::DAY;
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    server.answers(|number| session(number, Lifetime::unknown()));
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    server.answers(|_| Err(LoginError::refused("status 401")));
    process.renew().await.unwrap_err();
    let changes = store.0.changes.lock().clone();
    let stored_for = changes.iter().filter_map(|change| match &change.session {
        SessionChange::Save(_, keep_for) => Some(*keep_for),
        _ => None,
    });
    assert_eq!(stored_for.collect::<Vec<_>>(), [30 * DAY]);
    let noted_for = changes.iter().filter_map(|change| match &change.notes {
        NotesChange::Save(_, keep_for) => Some(*keep_for),
        NotesChange::Keep => None,
    });
    assert_eq!(noted_for.collect::<Vec<_>>(), [366 * DAY]);
}

#[tokio::test]
async fn rule_22_a_login_that_the_notes_forbid_notes_nothing() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let first = fleet.start_with(server.program("wrong"), store.clone());
    first.get().await.unwrap_err();
    store.changes();
    let next = fleet.start_with(server.program("wrong"), store.clone());
    next.get().await.unwrap_err();
    assert_eq!(server.logins(), 1);
    let changes = store.0.changes.lock().clone();
    assert!(changes.iter().all(|change| change.releases.is_some()));
    let notes = |change: &Change| matches!(change.notes, NotesChange::Save(..));
    assert!(!changes.iter().any(notes), "{changes:?}");
}

#[tokio::test]
async fn rule_24_a_store_that_never_needs_a_login_keeps_none_away() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.never_needs.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    let task = tokio::spawn(async move { process.get().await.map(|got| token(&got)) });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(task.is_finished(), "{} looks", store.0.leases.load(SeqCst));
    assert_eq!(task.await.unwrap().unwrap(), "token-1");
    assert_eq!(store.0.leases.load(SeqCst), 2);
}

#[tokio::test]
async fn rule_24_a_session_obtained_without_the_store_gives_the_lease_of_the_one_before_back() {
    // The save of the one before fails, or arrives before its successor's, or after it.
    for arrives in [None, Some(0), Some(16)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let late = Arc::new(Semaphore::new(0));
        store.0.save_fails.store(arrives.is_none(), SeqCst);
        *store.0.late_saves.lock() = Some(Arc::clone(&late));
        let process = fleet.start_with(server.program("right"), store.clone());
        let getting = process.clone();
        let got = tokio::spawn(async move { getting.get().await.map(|got| token(&got)) });
        fleet.advance(3 * SECOND).await;
        assert_eq!(got.await.unwrap().unwrap(), "token-1");
        store.0.save_fails.store(false, SeqCst);
        *store.0.late_saves.lock() = None;
        assert_eq!(reject(&process).await.unwrap(), "token-2");
        if arrives == Some(0) {
            late.add_permits(1);
            settle().await;
        }
        fleet.advance(16 * SECOND).await;
        if arrives == Some(16) {
            late.add_permits(1);
            settle().await;
        }
        let next = fleet.start(server.program("right"));
        let found = tokio::spawn(async move { next.get().await.map(|got| token(&got)) });
        fleet.advance(SECOND).await;
        assert!(found.is_finished(), "{arrives:?}: it waits for the lease");
        assert_eq!(found.await.unwrap().unwrap(), "token-2", "{arrives:?}");
        assert_eq!(server.logins(), 2);
    }
}

#[tokio::test]
async fn rule_24_a_session_that_gives_a_lease_back_is_saved_over_what_others_have_rolled_since() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let late = Arc::new(Semaphore::new(0));
    *store.0.late_saves.lock() = Some(Arc::clone(&late));
    let process = fleet.start_with(server.program("right"), store.clone());
    let getting = process.clone();
    let got = tokio::spawn(async move { getting.get().await.map(drop) });
    fleet.advance(3 * SECOND).await;
    got.await.unwrap().unwrap();
    *store.0.late_saves.lock() = None;
    process.renew().await.unwrap();
    assert_eq!(server.logins(), 2);
    late.add_permits(1);
    settle().await;
    let other = fleet.start(server.program("right"));
    assert_eq!(other.get().await.unwrap().cookie("sid"), Some("s-1"));
    roll(&other, "sid=rolled; Path=/");
    fleet.advance(16 * SECOND).await;
    let next = fleet.start(server.program("right"));
    assert_eq!(next.get().await.unwrap().cookie("sid"), Some("s-2"));
}
