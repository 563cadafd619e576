//! Rule 19: what a close and a logout leave in the store.

use std::sync::mpsc;

use auth_core::testing::Scripted;

use super::turns::whose_save_fails;
use super::*;

#[tokio::test]
async fn rule_19_a_close_during_a_renewal_leaves_the_new_session() {
    for logs_out in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| session(number, Lifetime::of(HOUR).idle(HOUR / 2)));
        let process = fleet.start(server.program("right"));
        process.get().await.unwrap();
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let renewing = process.clone();
        let renewed = tokio::spawn(async move { renewing.renew().await });
        settle().await;
        assert_eq!(server.logins(), 2);
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
        let _ = renewed.await.unwrap();
        closed.await.unwrap().unwrap();
        *server.0.gate.lock() = None;
        let next = fleet.start(server.program("right"));
        let found = token(&next.get().await.unwrap());
        if logs_out {
            let mut ended = server.0.logouts.lock().clone();
            ended.sort();
            assert_eq!(
                (found.as_str(), &ended[..]),
                ("token-3", &["token-1".to_owned(), "token-2".to_owned()][..])
            );
        } else {
            assert_eq!(
                (found.as_str(), server.0.logouts.lock().len()),
                ("token-2", 0)
            );
        }
    }
}

#[tokio::test]
async fn rule_19_a_close_while_the_session_is_saved_waits_for_that() {
    for logs_out in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let saves = Arc::new(Semaphore::new(0));
        *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        let process = fleet.start_with(server.program("right"), store);
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        assert!(process.fresh().is_some(), "it is served, and being saved");
        let closing = process.clone();
        let closed = tokio::spawn(async move {
            if logs_out {
                closing.log_out().await
            } else {
                closing.close().await
            }
        });
        settle().await;
        assert!(!closed.is_finished());
        saves.add_permits(10);
        let _ = get.await;
        closed.await.unwrap().unwrap();
        let next = fleet.start(server.program("right"));
        let found = token(&next.get().await.unwrap());
        assert_eq!(found, if logs_out { "token-2" } else { "token-1" });
        assert_eq!(server.0.logouts.lock().len(), usize::from(logs_out));
    }
}

#[tokio::test]
async fn rule_19_close_leaves_the_session_and_log_out_ends_it_for_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    one.close().await.unwrap();
    assert!(server.0.logouts.lock().is_empty());
    assert!(other.fresh().is_some());
    // By a command that has not used it yet.
    let command = fleet.start(server.program("right"));
    command.log_out().await.unwrap();
    assert_eq!(*server.0.logouts.lock(), ["token-1"]);
    fleet.advance(2 * SECOND).await;
    assert!(other.fresh().is_none(), "it was told");
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_19_a_superseded_session_is_not_logged_out_where_another_may_use_it() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(server.program("right"))
        .clock(clock.clock())
        .store(fleet.store.clone())
        .log_out_superseded(SECOND)
        .build();
    process.get().await.unwrap();
    process.renew().await.unwrap();
    fleet.advance(10 * SECOND).await;
    assert_eq!(server.logins(), 2);
    assert!(server.0.logouts.lock().is_empty());
}

#[tokio::test]
async fn rule_21_a_refresh_under_way_at_a_logout_elsewhere_brings_a_session_of_its_own() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let one = fleet.start(rotating(&server));
    one.get().await.unwrap();
    let command = fleet.start(server.program("right"));
    let gate = Arc::new(Semaphore::new(0));
    *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
    let renewing = one.clone();
    let renewed = tokio::spawn(async move { renewing.renew().await });
    settle().await;
    assert_eq!(server.tokens_seen_once(), 1);
    command.log_out().await.unwrap();
    gate.add_permits(1);
    assert_eq!(token(&renewed.await.unwrap().unwrap()), "token-1001");
    assert_eq!(*server.0.logouts.lock(), ["token-1"]);
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1001");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_19_a_session_that_comes_long_after_a_logout_is_logged_out_and_not_left_in_the_store()
{
    let mut fleet = Fleet::new();
    let (sends, sent) = mpsc::channel();
    let (answers, answer) = mpsc::channel::<()>();
    let answer = Mutex::new(answer);
    let provider = Arc::new(Scripted::new(move |number| {
        // It blocks its thread.
        if number == 1 {
            sends.send(()).unwrap();
            answer.lock().recv_timeout(20 * SECOND).unwrap();
        }
        session(number, Lifetime::of(HOUR))
    }));
    let logouts = provider.logouts();
    let mut start = || {
        let clock = ManualClock::new();
        fleet.clocks.push(clock.clone());
        let process = Credentials::builder(Arc::clone(&provider)).clock(clock.clock());
        process.store(fleet.store.clone()).build()
    };
    let (process, cold) = (start(), start());
    let late = process.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            assert!(late.get().await.is_err());
            settle().await;
        });
    });
    sent.recv_timeout(20 * SECOND).unwrap();
    let closed = tokio::spawn(async move { process.log_out().await.map(|()| process) });
    fleet.advance(70 * SECOND).await;
    assert!(closed.is_finished(), "its time is bounded");
    let process = closed.await.unwrap().unwrap();
    answers.send(()).unwrap();
    thread.join().unwrap();
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    assert_eq!(logouts.count(), 1);
    drop(process);
}

#[tokio::test]
async fn rule_19_a_logout_waits_for_values_that_are_being_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| Ok(session(number, Lifetime::of(HOUR))?.with_cookie("sid", "s")?));
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.lose(&fleet);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    roll(&process, "sid=rolled; Path=/");
    settle().await;
    *store.0.save_gate.lock() = None;
    let closed = tokio::spawn(async move { process.log_out().await });
    settle().await;
    saves.add_permits(1);
    settle().await;
    closed.await.unwrap().unwrap();
    let cold = fleet.start_with(server.program("right"), store);
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_19_what_a_slow_store_takes_long_to_save_does_not_come_after_a_logout() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
    let steps = Arc::new(Semaphore::new(0));
    *store.0.step_gate.lock() = Some(Arc::clone(&steps));
    // Its lease lapses, and another logs in. That session is over soon, and can be refreshed.
    fleet.leap(36 * SECOND);
    server.answers(|number| {
        let short = session(number, Lifetime::of(SECOND))?;
        Ok(short.with_kept("refresh_token", "first")?)
    });
    fleet.start(rotating(&server)).get().await.unwrap();
    let closed = tokio::spawn(async move { process.log_out().await });
    settle().await;
    let almost = 2 * SECOND - SECOND / 20;
    for _ in 0..3 {
        fleet.advance(almost).await;
        steps.add_permits(1);
        settle().await;
    }
    *store.0.step_gate.lock() = None;
    fleet.advance(SECOND).await;
    assert!(closed.is_finished());
    closed.await.unwrap().unwrap();
    steps.add_permits(9);
    settle().await;
    let logins = server.logins();
    let cold = fleet.start(server.program("right"));
    let found = token(&cold.get().await.unwrap());
    assert_eq!(found, format!("token-{}", logins + 1));
}

#[tokio::test]
async fn rule_19_a_logout_ends_what_was_superseded_since_another_process_has_looked() {
    // The other one has saved its session, or had no answer to that.
    for is_answered in [true, false] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        store.0.save_answer_is_lost.store(!is_answered, SeqCst);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.0.save_answer_is_lost.store(false, SeqCst);
        for number in 1..3 {
            let command = fleet.start(server.program("right"));
            let found = token(&command.get().await.unwrap());
            assert_eq!(found, format!("token-{number}"));
            command.log_out().await.unwrap();
        }
        fleet.advance(20 * SECOND).await;
        assert!(process.fresh().is_none(), "{is_answered}");
        let cold = fleet.start(server.program("right"));
        assert_eq!(token(&cold.get().await.unwrap()), "token-3");
    }
}

#[tokio::test]
async fn rule_19_a_logout_ends_the_session_at_hand_and_a_newer_one_that_it_finds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store);
    process.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    assert_eq!(reject(&other).await.unwrap(), "token-2");
    assert_eq!(token(&process.fresh().unwrap()), "token-1");
    process.log_out().await.unwrap();
    let mut ended = server.0.logouts.lock().clone();
    ended.sort();
    assert_eq!(ended, ["token-1", "token-2"]);
}

#[tokio::test]
async fn rule_19_a_logout_after_a_close_takes_nothing_from_what_that_leaves_in_the_store() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let process = fleet.start(server.program("right"));
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    let too_late = |ended: Result<(), Error>| ended.is_err_and(|error| error.is_closed());
    assert!(too_late(process.log_out().await));
    gate.add_permits(9);
    closed.await.unwrap().unwrap();
    assert!(too_late(process.log_out().await));
    process.close().await.unwrap();
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-1");
    assert_eq!(server.0.logouts.lock().len(), 0);
    cold.log_out().await.unwrap();
    cold.log_out().await.unwrap();
}

#[tokio::test]
async fn rule_19_a_logout_after_the_store_has_lost_its_data_ends_the_session_for_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = session(number, Lifetime::of(HOUR))?;
        Ok(session.with_cookie("sid", &format!("s-{number}"))?)
    });
    let store = Faulty::new(&fleet.store);
    let mut start = || fleet.start_with(server.program("right"), store.clone());
    let [one, other, next] = [start(), start(), start()];
    one.get().await.unwrap();
    other.get().await.unwrap();
    assert_eq!(server.logins(), 1);
    store.lose(&fleet);
    one.log_out().await.unwrap();
    assert_eq!(*server.0.logouts.lock(), ["token-1"]);
    // What the other one saves of it must not bring it back.
    roll(&other, "sid=rolled; Path=/");
    settle().await;
    assert_eq!(token(&next.get().await.unwrap()), "token-2");
    fleet.advance(10 * SECOND).await;
    let told = token(&other.get().await.unwrap());
    assert_eq!((told.as_str(), server.logins()), ("token-2", 2));
}

#[tokio::test]
async fn rule_19_a_logout_is_no_failure_where_another_process_has_rolled_a_csrf_value() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| Ok(session(number, Lifetime::of(HOUR))?.with_cookie("csrf", "one")?));
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let one = fleet.start_with(server.program("right"), store.clone());
    let other = fleet.start(server.program("right"));
    one.get().await.unwrap();
    let current = other.get().await.unwrap();
    Attempt::new(&other, &current).cookies_set(&crate::support::set_cookie("csrf=two; Path=/"));
    settle().await;
    let ended = one.log_out().await;
    let logouts = server.0.logouts.lock().clone();
    assert!(ended.is_ok(), "{ended:?}");
    assert_eq!(
        logouts,
        ["token-1", "token-1"],
        "perhaps the second one is what counts"
    );
}

#[tokio::test]
async fn rule_19_a_logout_that_fails_is_a_failure_where_nothing_was_logged_out_before_it() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| Ok(session(number, Lifetime::of(HOUR))?.with_cookie("csrf", "one")?));
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let one = fleet.start_with(server.program("right"), store);
    let other = fleet.start(server.program("right"));
    let first = one.get().await.unwrap();
    let current = other.get().await.unwrap();
    server.answers(|_| Err(LoginError::refused("status 401")));
    Attempt::new(&one, &first).rejected();
    settle().await;
    assert!(one.fresh().is_none());
    Attempt::new(&other, &current).cookies_set(&crate::support::set_cookie("csrf=two; Path=/"));
    settle().await;
    server.0.logouts.lock().push("token-1".into());
    assert!(one.log_out().await.is_err());
    assert_eq!(*server.0.logouts.lock(), ["token-1", "token-1"]);
}
