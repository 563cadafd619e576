//! Sessions that are not saved yet, and answers of the store that come late.

use std::sync::mpsc;

use auth_core::store::Version;
use auth_core::testing::Scripted;

use super::turns::whose_save_fails;
use super::*;

/// The token that a process finds which starts now, if no lease keeps it waiting.
async fn found_at_once(server: &Server, fleet: &mut Fleet) -> Option<String> {
    let cold = fleet.start(server.program("right"));
    let found = tokio::spawn(async move { cold.get().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    if !found.is_finished() {
        return None;
    }
    Some(found.await.unwrap().unwrap())
}

#[tokio::test]
async fn rule_24_the_end_of_a_cache_gives_the_lease_of_a_session_back_that_it_does_not_save() {
    for (is_rejected, logs_out) in [(false, true), (true, true), (true, false)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
        if is_rejected {
            server.answers(|_| Err(LoginError::unavailable("status 503")));
            assert!(reject(&process).await.is_err());
            server.answers(|number| session(number, Lifetime::of(HOUR)));
        }
        fleet.leap(6 * SECOND);
        if logs_out {
            process.log_out().await.unwrap();
        } else {
            process.close().await.unwrap();
        }
        let logins = server.logins();
        let found = found_at_once(&server, &mut fleet).await;
        let next = format!("token-{}", logins + 1);
        assert_eq!(found, Some(next), "{is_rejected} {logs_out}");
    }
}

#[tokio::test]
async fn rule_21_a_deadline_whose_save_is_answered_late_leaves_later_values_of_others_alone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR).idle(80 * SECOND));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    let other = fleet.start(server.program("right"));
    let used = one.get().await.unwrap();
    other.get().await.unwrap();
    fleet.leap(20 * SECOND);
    Attempt::new(&one, &used).accepted();
    let answers = Arc::new(Semaphore::new(0));
    *store.0.save_answers.lock() = Some(Arc::clone(&answers));
    store.changes();
    fleet.until_changed(&store).await;
    roll(&other, "sid=first; Path=/");
    fleet.advance(SECOND).await;
    assert_eq!(one.peek().unwrap().cookie("sid"), Some("first"));
    roll(&other, "sid=second; Path=/");
    settle().await;
    answers.add_permits(9);
    settle().await;
    let cold = fleet.start(server.program("right"));
    assert_eq!(cold.get().await.unwrap().cookie("sid"), Some("second"));
}

#[tokio::test]
async fn rule_20_who_asks_for_a_renewed_session_is_not_given_the_one_that_was_being_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let process = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let at_hand = process.fresh().unwrap();
    let renewing = process.clone();
    let renewed = tokio::spawn(async move { renewing.renew().await });
    settle().await;
    saves.add_permits(9);
    fleet.advance(2 * SECOND).await;
    let renewed = renewed.await.unwrap().unwrap();
    assert!(renewed.stamp() > at_hand.stamp(), "{}", token(&renewed));
}

#[tokio::test]
async fn rule_22_a_session_that_could_not_be_saved_ends_no_doubt_of_the_stored_token() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let first = fleet.start(rotating(&server));
    first.get().await.unwrap();
    fleet.leap(HOUR);
    // It ends, with its runtime, while its refresh is under way.
    *server.0.refresh_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let killed = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut get = Box::pin(first.get());
    {
        let _entered = killed.enter();
        assert!(futures_util::poll!(&mut get).is_pending());
    }
    std::thread::scope(|scope| {
        scope.spawn(|| killed.block_on(settle()));
    });
    assert_eq!(server.tokens_seen_once(), 1);
    drop(get);
    killed.shutdown_background();
    drop(first);
    // Its lease lapses.
    fleet.advance(36 * SECOND).await;
    *server.0.refresh_gate.lock() = None;
    // The next one can't read the notes. Its session comes after its close, and is not saved.
    let store = Faulty::new(&fleet.store);
    store.0.spoils_notes.store(true, SeqCst);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let process = fleet.start_with(rotating(&server), store.clone());
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    assert_eq!(server.logins(), 2);
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    store.0.save_fails.store(true, SeqCst);
    gate.add_permits(9);
    closed.await.unwrap().unwrap();
    store.0.save_fails.store(false, SeqCst);
    fleet.advance(6 * SECOND).await;
    let last = fleet.start(rotating(&server));
    assert_eq!(token(&last.get().await.unwrap()), "token-3");
    assert_eq!(server.tokens_seen_once(), 1);
}

#[tokio::test]
async fn rule_7_an_earlier_value_of_a_rejected_session_is_not_taken_from_the_store() {
    // It was saved by its login, or by the task that follows the store.
    for by_task in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        rolling(&server, Lifetime::of(HOUR));
        let store = Faulty::new(&fleet.store);
        store.0.save_answer_is_lost.store(true, SeqCst);
        store.0.fails.store(by_task, SeqCst);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.0.fails.store(false, SeqCst);
        fleet.until_changed(&store).await;
        store.0.save_answer_is_lost.store(false, SeqCst);
        roll(&process, "sid=rolled; Path=/");
        settle().await;
        fleet.leap(5 * SECOND);
        let current = process.peek().unwrap();
        Attempt::new(&process, &current).rejected();
        let next = process.get().await.unwrap();
        assert_eq!(next.cookie("sid"), Some("s-2"), "{by_task}");
    }
}

#[tokio::test]
async fn rule_21_a_rejection_is_noted_of_a_session_whose_save_was_not_answered() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.save_answer_is_lost.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.save_answer_is_lost.store(false, SeqCst);
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-1");
    fleet.leap(5 * SECOND);
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    assert!(reject(&process).await.is_err());
    fleet.advance(2 * SECOND).await;
    assert!(other.fresh().is_none());
}

#[tokio::test]
async fn rule_24_a_lease_that_may_have_been_given_is_given_back_by_the_next_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.lease_hangs.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    let getting = process.clone();
    let got = tokio::spawn(async move { getting.get().await.map(|got| token(&got)) });
    fleet.advance(3 * SECOND).await;
    assert_eq!(got.await.unwrap().unwrap(), "token-1");
    store.0.lease_hangs.store(false, SeqCst);
    assert_eq!(reject(&process).await.unwrap(), "token-2");
    fleet.advance(16 * SECOND).await;
    let found = found_at_once(&server, &mut fleet).await;
    assert_eq!(found.as_deref(), Some("token-2"));
}

#[test]
fn rule_24_a_login_that_waits_gives_the_lease_back_of_a_session_whose_runtime_is_gone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    };
    let store = Faulty::new(&fleet.store);
    *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let process = fleet.start_with(server.program("right"), store.clone());
    let (gone, other) = (runtime(), runtime());
    gone.block_on(async {
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
    });
    let current = process.fresh().unwrap();
    let rejecting = process.clone();
    let next = other.spawn(async move {
        Attempt::new(&rejecting, &current).rejected();
        rejecting.get().await.map(|got| token(&got))
    });
    other.block_on(settle());
    *store.0.save_gate.lock() = None;
    drop(gone);
    other.block_on(async {
        fleet.advance(2 * SECOND).await;
        assert!(next.is_finished(), "it waits for its own lease");
        assert_eq!(next.await.unwrap().unwrap(), "token-2");
    });
}

#[tokio::test]
async fn rule_25_a_session_that_was_obtained_without_the_store_is_saved_over_what_can_t_be_read() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let tenant = Program {
        variant: "tenant-b",
        ..server.program("right")
    };
    fleet.start_with(tenant, store.clone()).get().await.unwrap();
    let name = store.0.name.lock().clone();
    *store.0.serves.lock() = Some(fleet.store.load(&name).await.unwrap());
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    assert_eq!(token(&process.get().await.unwrap()), "token-2");
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    let found = found_at_once(&server, &mut fleet).await;
    assert_eq!(found.as_deref(), Some("token-2"));
}

#[tokio::test]
async fn rule_24_a_session_that_was_obtained_without_the_store_is_saved_over_one_that_is_over() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    fleet.start(rotating(&server)).get().await.unwrap();
    fleet.leap(HOUR);
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(rotating(&server), store.clone());
    assert_eq!(token(&process.get().await.unwrap()), "token-2");
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    let cold = fleet.start(rotating(&server));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_24_a_session_whose_lease_and_save_were_not_answered_is_known_as_its_own() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.lease_hangs.store(true, SeqCst);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let process = fleet.start_with(server.program("right"), store.clone());
    let getting = process.clone();
    let got = tokio::spawn(async move { getting.get().await.map(drop) });
    fleet.advance(10 * SECOND).await;
    store.0.lease_hangs.store(false, SeqCst);
    store.0.save_answer_is_lost.store(true, SeqCst);
    gate.add_permits(9);
    got.await.unwrap().unwrap();
    store.0.save_answer_is_lost.store(false, SeqCst);
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-1");
    fleet.advance(16 * SECOND).await;
    assert_eq!(reject(&other).await.unwrap(), "token-2");
    fleet.advance(2 * SECOND).await;
    assert_eq!(token(&process.fresh().unwrap()), "token-2");
}

#[tokio::test]
async fn rule_24_the_last_handle_gives_the_lease_back_of_a_session_that_is_not_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
    fleet.leap(5 * SECOND);
    drop(process);
    settle().await;
    let found = found_at_once(&server, &mut fleet).await;
    assert_eq!(found.as_deref(), Some("token-2"));
}

#[tokio::test]
async fn rule_20_who_asks_for_a_renewed_session_is_given_no_other_value_after_a_refused_refresh() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        let session = session.with_kept("refresh_token", &format!("first-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let refreshing = || Program {
        refresh: Some(Refresh::with_kept("refresh_token")),
        ..server.program("right")
    };
    let [one, other] = [(); 2].map(|()| fleet.start(refreshing()));
    one.get().await.unwrap();
    other.get().await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
    server.0.refuses_refreshes.store(true, SeqCst);
    let renewed = tokio::spawn(async move { one.renew().await });
    settle().await;
    roll(&other, "sid=rolled; Path=/");
    settle().await;
    gate.add_permits(1);
    let renewed = renewed.await.unwrap().unwrap();
    assert_eq!(renewed.cookie("sid"), Some("s-2"));
}

#[tokio::test]
async fn rule_21_a_login_that_was_stopped_saves_no_notes_beside_its_session_after_a_later_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let noted = fleet.start(server.program("also wrong"));
    assert!(refused(&noted.get().await.unwrap_err()));
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let stopped = fleet.start(server.program("right"));
    let mut get = Box::pin(stopped.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let clock = fleet.clocks.pop();
    fleet.advance(40 * SECOND).await;
    *server.0.gate.lock() = None;
    let wrong = fleet.start(server.program("wrong"));
    assert!(refused(&wrong.get().await.unwrap_err()));
    gate.add_permits(1);
    assert_eq!(token(&get.await.unwrap()), "token-2");
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    reject_stored(&mut fleet, &server).await;
    let wrong = fleet.start(server.program("wrong"));
    assert!(refused(&wrong.get().await.unwrap_err()));
    assert_eq!(server.logins(), 3);
    drop(clock);
}

#[tokio::test]
async fn rule_24_the_end_of_a_cache_asks_a_store_that_has_just_failed_once_more() {
    for logs_out in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
        if logs_out {
            process.log_out().await.unwrap();
        } else {
            process.close().await.unwrap();
        }
        let found = found_at_once(&server, &mut fleet).await;
        let expected = if logs_out { "token-2" } else { "token-1" };
        assert_eq!(found.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn rule_20_a_login_gives_no_lease_back_under_which_a_session_is_being_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    store.changes();
    fleet.until_changed(&store).await;
    *store.0.save_gate.lock() = None;
    let renewed = tokio::spawn(async move { process.renew().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert_eq!(server.logins(), 1, "it waits for the save");
    saves.add_permits(1);
    fleet.advance(SECOND).await;
    assert_eq!(renewed.await.unwrap().unwrap(), "token-2");
}

#[tokio::test]
async fn rule_22_a_login_whose_save_has_failed_ends_what_the_store_has_noted_of_its_secret() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let refused_once = async |fleet: &mut Fleet| {
        *server.0.password.lock() = "another";
        let result = fleet.start(server.program("right")).get().await;
        *server.0.password.lock() = "right";
        assert!(refused(&result.unwrap_err()));
        fleet.leap(15 * 60 * SECOND);
    };
    refused_once(&mut fleet).await;
    let store = Faulty::new(&fleet.store);
    let (_process, is_in) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
    assert!(is_in);
    fleet.advance(16 * SECOND).await;
    reject_stored(&mut fleet, &server).await;
    refused_once(&mut fleet).await;
    let next = fleet.start(server.program("right"));
    assert!(next.get().await.is_ok(), "the first cooldown again");
}

#[tokio::test]
async fn rule_21_a_logout_elsewhere_stands_of_a_session_whose_save_was_not_answered() {
    for (has_rolled, closes) in [(false, false), (true, false), (false, true)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| Ok(session(number, Lifetime::of(HOUR))?.with_cookie("sid", "s")?));
        let store = Faulty::new(&fleet.store);
        store.0.save_answer_is_lost.store(true, SeqCst);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.0.save_answer_is_lost.store(false, SeqCst);
        let other = fleet.start(server.program("right"));
        assert_eq!(token(&other.get().await.unwrap()), "token-1");
        if has_rolled {
            roll(&process, "sid=rolled; Path=/");
        }
        other.log_out().await.unwrap();
        if closes {
            process.close().await.unwrap();
        }
        fleet.advance(20 * SECOND).await;
        assert!(process.fresh().is_none(), "{has_rolled}");
        let cold = fleet.start(server.program("right"));
        assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    }
}

#[tokio::test]
async fn rule_21_a_rejection_elsewhere_stands_of_a_session_whose_save_was_not_answered() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.save_answer_is_lost.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.save_answer_is_lost.store(false, SeqCst);
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-1");
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    assert!(reject(&other).await.is_err());
    fleet.advance(20 * SECOND).await;
    assert!(process.fresh().is_none());
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-3");
}

#[tokio::test]
async fn rule_24_the_last_handle_asks_a_store_that_has_just_failed_once_more() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
    drop(process);
    settle().await;
    let found = found_at_once(&server, &mut fleet).await;
    assert_eq!(found.as_deref(), Some("token-2"));
}

#[tokio::test]
async fn rule_24_a_session_is_saved_once_though_a_late_one_was_discarded_meanwhile() {
    let mut fleet = Fleet::new();
    let (sends, sent) = mpsc::channel();
    let (answers, answer) = mpsc::channel::<()>();
    let answer = Mutex::new(answer);
    let provider = Scripted::new(move |number| {
        // It blocks its thread.
        if number == 2 {
            sends.send(()).unwrap();
            answer.lock().recv_timeout(20 * SECOND).unwrap();
        }
        session(number, Lifetime::of(HOUR))
    });
    let store = Faulty::new(&fleet.store);
    let clock = ManualClock::new();
    let process = Credentials::builder(provider)
        .clock(clock.clock())
        .store(store.clone())
        .login_timeout(10 * SECOND)
        .build();
    fleet.clocks.push(clock);
    let first = process.get().await.unwrap();
    let late = process.clone();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(async {
            Attempt::new(&late, &first).rejected();
            token(&late.get().await.unwrap())
        })
    });
    sent.recv_timeout(20 * SECOND).unwrap();
    store.0.save_fails.store(true, SeqCst);
    let getting = process.clone();
    let got = tokio::spawn(async move { getting.get().await.map(|got| token(&got)) });
    fleet.advance(16 * SECOND).await;
    assert_eq!(got.await.unwrap().unwrap(), "token-3");
    store.0.save_fails.store(false, SeqCst);
    answers.send(()).unwrap();
    assert_eq!(thread.join().unwrap(), "token-3");
    fleet.advance(20 * SECOND).await;
    assert!(store.changes() > 0);
    fleet.advance(20 * SECOND).await;
    assert_eq!(store.changes(), 0, "it is saved");
}

#[tokio::test]
async fn rule_21_a_later_value_of_others_stays_of_a_session_whose_save_was_not_answered() {
    for closes in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        rolling(&server, Lifetime::of(HOUR));
        let store = Faulty::new(&fleet.store);
        store.0.save_answer_is_lost.store(true, SeqCst);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.0.save_answer_is_lost.store(false, SeqCst);
        let other = fleet.start(server.program("right"));
        other.get().await.unwrap();
        roll(&other, "sid=rolled; Path=/");
        settle().await;
        if closes {
            process.close().await.unwrap();
        }
        fleet.advance(20 * SECOND).await;
        let value = |process: &Credentials| process.peek()?.cookie("sid").map(str::to_owned);
        let rolled = Some("rolled".to_owned());
        assert_eq!(value(&other), rolled, "{closes}");
        assert!(closes || value(&process) == rolled);
        let cold = fleet.start(server.program("right"));
        assert_eq!(cold.get().await.unwrap().cookie("sid"), Some("rolled"));
    }
}

#[tokio::test]
async fn rule_21_the_rejection_of_a_value_whose_save_was_not_answered_leaves_a_later_one_good() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    store.0.save_answer_is_lost.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    let first = process.get().await.unwrap();
    store.0.save_answer_is_lost.store(false, SeqCst);
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    roll(&other, "sid=rolled; Path=/");
    settle().await;
    fleet.leap(5 * SECOND);
    Attempt::new(&process, &first).rejected();
    let next = process.get().await.unwrap();
    assert_eq!(next.cookie("sid"), Some("rolled"));
    assert_eq!(server.logins(), 1);
    fleet.advance(2 * SECOND).await;
    assert_eq!(other.peek().unwrap().cookie("sid"), Some("rolled"));
}

#[tokio::test]
async fn rule_21_a_renewal_that_fails_leaves_the_latest_value_of_a_session_whose_save_was_not_answered()
 {
    for rolled_here in [true, false] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        rolling(&server, Lifetime::of(HOUR));
        let store = Faulty::new(&fleet.store);
        // So that the renewal looks first.
        store.0.is_silent.store(true, SeqCst);
        store.0.save_answer_is_lost.store(true, SeqCst);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.0.save_answer_is_lost.store(false, SeqCst);
        let other = fleet.start(server.program("right"));
        other.get().await.unwrap();
        let rolls = if rolled_here { &process } else { &other };
        roll(rolls, "sid=rolled; Path=/");
        settle().await;
        server.answers(|_| Err(LoginError::unavailable("status 503")));
        fleet.leap(5 * SECOND);
        assert!(process.renew().await.is_err());
        fleet.advance(20 * SECOND).await;
        for process in [&process, &other] {
            let current = process.peek().unwrap();
            assert_eq!(current.cookie("sid"), Some("rolled"), "{rolled_here}");
        }
    }
}

#[tokio::test]
async fn rule_19_a_logout_ends_a_session_that_the_store_has_lost_though_its_save_was_not_answered()
{
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    store.0.save_answer_is_lost.store(true, SeqCst);
    fleet.until_changed(&store).await;
    store.0.save_answer_is_lost.store(false, SeqCst);
    let other = fleet.start_with(server.program("right"), store.clone());
    assert_eq!(token(&other.get().await.unwrap()), "token-1");
    store.lose(&fleet);
    process.log_out().await.unwrap();
    fleet.advance(20 * SECOND).await;
    assert!(other.fresh().is_none());
}

#[tokio::test]
async fn rule_22_a_token_that_another_has_spent_is_renewed_with_the_password() {
    for is_lost in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let first = session(number, Lifetime::of(HOUR))?;
            Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
        });
        let store = Faulty::new(&fleet.store);
        store.0.save_answer_is_lost.store(is_lost, SeqCst);
        let process = fleet.start_with(rotating(&server), store.clone());
        process.get().await.unwrap();
        store.0.save_answer_is_lost.store(false, SeqCst);
        let other = fleet.start(rotating(&server));
        other.get().await.unwrap();
        server.0.refreshes_fail.store(true, SeqCst);
        assert!(other.renew().await.is_err());
        server.0.refreshes_fail.store(false, SeqCst);
        drop(other);
        fleet.leap(5 * SECOND);
        assert_eq!(
            token(&process.renew().await.unwrap()),
            "token-2",
            "{is_lost}"
        );
        assert_eq!(server.tokens_seen_once(), 1);
    }
}

#[tokio::test]
async fn rule_20_no_session_is_saved_while_a_login_gives_its_lease_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let (process, _) = whose_save_fails(&mut fleet, server.program("right"), &store).await;
    fleet.leap(5 * SECOND);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    store.changes();
    let renewed = tokio::spawn(async move { process.renew().await.map(|got| token(&got)) });
    settle().await;
    // The store tells of a change, so the cache looks there.
    let other = Change {
        version: Version::default(),
        session: SessionChange::Keep,
        notes: NotesChange::Keep,
        releases: None,
    };
    fleet.store.save("other", other).await.unwrap();
    settle().await;
    assert_eq!(
        store.changes(),
        1,
        "the lease is given back, and nothing else is saved"
    );
    *store.0.save_gate.lock() = None;
    saves.add_permits(9);
    fleet.advance(SECOND).await;
    assert_eq!(renewed.await.unwrap().unwrap(), "token-2");
}

#[tokio::test]
async fn rule_24_a_session_of_a_time_of_trouble_is_saved_though_another_was_logged_out() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    other.log_out().await.unwrap();
    store.0.fails.store(false, SeqCst);
    fleet.advance(30 * SECOND).await;
    let later = fleet.start(server.program("right"));
    let found = later.get().await.unwrap();
    assert_eq!((&*token(&found), server.logins()), ("token-1", 2));
}

#[test]
fn rule_3_no_session_stays_unsaved_for_a_task_that_is_not_driven_any_more() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    // The task saves a value, or is a login that gives the lease of the session back.
    for saves in [true, false] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        rolling(&server, Lifetime::of(HOUR));
        let store = Faulty::new(&fleet.store);
        let (driven, stopped) = (runtime(), runtime());
        let process = driven.block_on(async {
            if saves {
                let process = fleet.start_with(server.program("right"), store.clone());
                process.get().await.unwrap();
                return process;
            }
            let failed = whose_save_fails(&mut fleet, server.program("right"), &store);
            let (process, _) = failed.await;
            fleet.leap(5 * SECOND);
            process
        });
        *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
        store.changes();
        stopped.block_on(async {
            if saves {
                roll(&process, "sid=rolled; Path=/");
            } else {
                let renewed = futures_util::poll!(Box::pin(process.renew()));
                assert!(renewed.is_pending());
            }
            settle().await;
        });
        assert_eq!(store.changes(), 1, "it is at the store");
        *store.0.save_gate.lock() = None;
        let found = driven.block_on(async {
            if saves {
                store.0.fails.store(true, SeqCst);
                process.renew().await.unwrap();
                store.0.fails.store(false, SeqCst);
            }
            fleet.advance(25 * SECOND).await;
            let cold = fleet.start(server.program("right"));
            let found = tokio::spawn(async move { cold.get().await });
            fleet.advance(SECOND).await;
            assert!(found.is_finished(), "{saves}");
            found.await.unwrap().unwrap()
        });
        let last = if saves { "s-2" } else { "s-1" };
        assert_eq!(found.cookie("sid"), Some(last));
    }
}

#[tokio::test]
async fn rule_22_a_login_without_the_store_ends_what_that_has_noted_of_its_secret() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    *server.0.password.lock() = "another";
    let first = fleet.start(server.program("right")).get().await;
    assert!(refused(&first.unwrap_err()));
    // The account was unlocked.
    *server.0.password.lock() = "right";
    fleet.advance(SECOND).await;
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    assert!(process.get().await.is_ok(), "it logs in without the store");
    store.0.fails.store(false, SeqCst);
    fleet.advance(30 * SECOND).await;
    assert_eq!(server.logins(), 2);
    // It is saved and shared.
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    // The session ends at the server, seconds later.
    let own = reject(&process).await;
    let next = fleet.start(server.program("right")).get().await;
    assert!(
        own.is_ok() && next.is_ok(),
        "own {:?}, next {:?}",
        own.err(),
        next.err()
    );
}

#[tokio::test]
async fn rule_22_a_failure_that_is_found_out_without_the_store_erases_no_refusal() {
    for lease_hangs in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let first = fleet.start(server.program("wrong")).get().await;
        assert!(refused(&first.unwrap_err()));
        assert_eq!(server.logins(), 1);
        let store = Faulty::new(&fleet.store);
        store.0.fails.store(!lease_hangs, SeqCst);
        store.0.lease_hangs.store(lease_hangs, SeqCst);
        *store.0.load_gate.lock() = Some(Arc::new(Semaphore::new(0)));
        *server.0.password.lock() = "wrong";
        server.answers(|_| Err(LoginError::unavailable("status 503")));
        let process = fleet.start_with(server.program("wrong"), store.clone());
        let got = tokio::spawn(async move { process.get().await.map(drop) });
        fleet.advance(3 * SECOND).await;
        store.0.fails.store(false, SeqCst);
        store.0.lease_hangs.store(false, SeqCst);
        *store.0.load_gate.lock() = None;
        fleet.advance(20 * SECOND).await;
        assert!(got.await.unwrap().is_err());
        assert_eq!(server.logins(), 2);
        *server.0.password.lock() = "right";
        // Two minutes of the 15 have passed.
        fleet.leap(100 * SECOND);
        let next = fleet.start(server.program("wrong")).get().await;
        assert!(next.is_err());
        assert_eq!(
            server.logins(),
            2,
            "{lease_hangs}: the refusal was forgotten"
        );
    }
}

#[tokio::test]
async fn rule_19_a_close_tells_the_store_what_a_failed_login_forbids() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for _ in 0..4 {
        let store = Faulty::new(&fleet.store);
        store.0.fails.store(true, SeqCst);
        let process = fleet.start_with(server.program("wrong"), store.clone());
        assert!(process.get().await.is_err());
        store.0.fails.store(false, SeqCst);
        process.close().await.unwrap();
        // The program ends here: its clock and its tasks stand still.
        drop(process);
    }
    let cold = fleet.start(server.program("wrong"));
    assert!(cold.get().await.is_err());
    assert_eq!(server.logins(), 4, "the store knows of them");
}

#[tokio::test]
async fn rule_22_a_login_without_the_store_takes_back_no_later_refusal_of_its_secret() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    fleet.advance(SECOND).await;
    // Then the password is changed, as another process finds out.
    *server.0.password.lock() = "another";
    let other = fleet.start(server.program("right")).get().await;
    assert!(refused(&other.unwrap_err()));
    store.0.fails.store(false, SeqCst);
    fleet.advance(30 * SECOND).await;
    let found = fleet.start(server.program("right"));
    assert_eq!(token(&found.get().await.unwrap()), "token-1", "it is saved");
    reject_stored(&mut fleet, &server).await;
    let next = fleet.start(server.program("right")).get().await;
    assert!(refused(&next.unwrap_err()));
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_22_a_login_whose_late_save_fails_once_ends_what_is_noted_of_its_secret() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    *server.0.password.lock() = "another";
    let first = fleet.start(server.program("right")).get().await;
    assert!(refused(&first.unwrap_err()));
    *server.0.password.lock() = "right";
    fleet.advance(SECOND).await;
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    // It takes its lease, and can't save under that at first.
    store.0.save_fails.store(true, SeqCst);
    store.0.fails.store(false, SeqCst);
    fleet.until_changed(&store).await;
    store.0.save_fails.store(false, SeqCst);
    fleet.advance(30 * SECOND).await;
    let found = fleet.start(server.program("right"));
    assert_eq!(token(&found.get().await.unwrap()), "token-2", "it is saved");
    reject_stored(&mut fleet, &server).await;
    let next = fleet.start(server.program("right")).get().await;
    assert_eq!(token(&next.unwrap()), "token-3");
}

#[tokio::test]
async fn rule_22_a_second_login_in_an_outage_of_the_store_ends_what_is_noted_of_its_secret() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    // It has its lease, and the answers to its saves are lost.
    store.0.save_fails.store(true, SeqCst);
    process.get().await.unwrap();
    store.0.fails.store(true, SeqCst);
    fleet.advance(40 * SECOND).await;
    *server.0.password.lock() = "another";
    let other = fleet.start(server.program("right")).get().await;
    assert!(refused(&other.unwrap_err()));
    *server.0.password.lock() = "right";
    fleet.advance(SECOND).await;
    assert_eq!(reject(&process).await.unwrap(), "token-3");
    store.0.save_fails.store(false, SeqCst);
    store.0.fails.store(false, SeqCst);
    fleet.advance(30 * SECOND).await;
    let found = fleet.start(server.program("right"));
    assert_eq!(token(&found.get().await.unwrap()), "token-3", "it is saved");
    reject_stored(&mut fleet, &server).await;
    let next = fleet.start(server.program("right")).get().await;
    assert_eq!(token(&next.unwrap()), "token-4");
}

#[tokio::test]
async fn rule_22_a_newer_session_that_is_found_after_a_refused_refresh_is_refreshed() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let life = if number == 2 { 10 * SECOND } else { HOUR };
        let session = session(number, Lifetime::of(life))?;
        Ok(session.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let program = || Program {
        refresh: Some(Refresh::with_kept("refresh_token")),
        ..server.program("right")
    };
    let process = fleet.start(program());
    process.get().await.unwrap();
    let gate = Arc::new(Semaphore::new(0));
    *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
    let renewed = tokio::spawn(async move { process.renew().await.map(|new| token(&new)) });
    settle().await;
    assert_eq!(*server.0.refreshes.lock(), ["first-1"]);
    // It is stopped meanwhile, and its lease lapses.
    fleet.clocks.clear();
    fleet.advance(40 * SECOND).await;
    reject_stored(&mut fleet, &server).await;
    fleet.start(program()).get().await.unwrap();
    fleet.advance(20 * SECOND).await;
    server.0.refuses_refreshes.store(true, SeqCst);
    gate.add_permits(1);
    settle().await;
    server.0.refuses_refreshes.store(false, SeqCst);
    gate.add_permits(9);
    settle().await;
    assert_eq!(renewed.await.unwrap().unwrap(), "token-1002");
    assert_eq!(*server.0.refreshes.lock(), ["first-1", "first-2"]);
    assert_eq!(server.logins(), 2);
}
