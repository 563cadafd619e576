//! Rule 22: what failed logins and spent tokens forbid, for all processes.

use auth_core::Part;

use super::*;

#[tokio::test]
async fn rule_22_eight_processes_with_a_wrong_password_make_one_attempt() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("wrong")))
        .collect();
    let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
    assert!(futures_util::poll!(&mut all).is_pending());
    fleet.advance(3 * SECOND).await;
    for result in all.await {
        assert!(refused(&result.unwrap_err()));
    }
    assert_eq!(server.logins(), 1);
    // A corrected one logs in at once, and is what counts from then on.
    let corrected = fleet.start(server.program("right"));
    corrected.get().await.unwrap();
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_22_a_wall_clock_that_is_set_forward_frees_no_refused_password() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for _ in 0..2 {
        let program = fleet.start(server.program("wrong"));
        assert!(refused(&program.get().await.unwrap_err()));
        drop(program);
        fleet.store_clock.set_wall_forward(400 * 24 * HOUR);
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_22_thirteen_starts_with_a_wrong_password_make_one_attempt() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for _ in 0..13 {
        let program = fleet.start(server.program("wrong"));
        assert!(refused(&program.get().await.unwrap_err()));
        drop(program);
        fleet.advance(SECOND).await;
    }
    assert_eq!(server.logins(), 1);
    // After its cooldown it is tried again, and then for twice as long not.
    for (minutes, logins) in [(15_u8, 2), (16, 2), (15, 3)] {
        fleet.leap(u32::from(minutes) * 60 * SECOND);
        let program = fleet.start(server.program("wrong"));
        assert!(refused(&program.get().await.unwrap_err()));
        assert_eq!(server.logins(), logins);
    }
}

#[tokio::test]
async fn rule_22_a_wrong_password_is_remembered_beside_a_right_one_and_another_wrong_one() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for password in ["wrong", "also wrong", "right"] {
        let _ = fleet.start(server.program(password)).get().await;
    }
    assert_eq!(server.logins(), 3);
    for _ in 0..5 {
        reject_stored(&mut fleet, &server).await;
        for password in ["wrong", "also wrong"] {
            let refused_before = fleet.start(server.program(password)).get().await;
            assert!(refused(&refused_before.unwrap_err()));
        }
        fleet.start(server.program("right")).get().await.unwrap();
        fleet.advance(7 * SECOND).await;
    }
    assert_eq!(server.logins(), 3 + 5);
}

#[tokio::test]
async fn rule_22_of_passwords_that_are_refused_four_are_tried_in_15_minutes_by_all_starts() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for password in ["a", "b", "c", "d", "e", "f", "a"] {
        let program = fleet.start(server.program(password));
        let error = program.get().await.unwrap_err();
        assert!(refused(&error));
        // Who has corrected the password is not told that it was refused as well.
        let told = error.login_error().unwrap().to_string();
        let is_told = told.contains("not sent, because four others failed");
        assert_eq!(
            is_told,
            ["e", "f"].contains(&password),
            "{password}: {told}"
        );
        fleet.advance(7 * SECOND).await;
    }
    assert_eq!(server.logins(), 4);
    let program = fleet.start(server.program("g"));
    assert!(refused(&program.get().await.unwrap_err()));
    assert_eq!(server.logins(), 4);
    fleet.leap(15 * 60 * SECOND);
    assert!(refused(&program.get().await.unwrap_err()));
    assert_eq!(server.logins(), 5);
    fleet.start(server.program("right")).get().await.unwrap();
}

#[tokio::test]
async fn rule_22_what_may_be_a_refusal_is_tried_four_times_in_15_minutes_by_all_starts() {
    let useless: [fn() -> Result<Session, LoginError>; 2] = [
        || Err(LoginError::malformed("a page")),
        // Nothing fetches it.
        || Ok(session(1, Lifetime::of(HOUR))?.with_part(Part::fetched_header("x-csrf"))?),
    ];
    for answer in useless {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(move |_| answer());
        for _ in 0..15 * 60 / 10 {
            let program = fleet.start(server.program("right"));
            assert!(program.get().await.is_err());
            fleet.clocks.pop();
            fleet.advance(10 * SECOND).await;
        }
        assert_eq!(server.logins(), 4);
    }
}

#[tokio::test]
async fn rule_22_rejections_are_doubted_by_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    // A route that rejects every session, for a minute.
    for _ in 0..60 {
        for process in &processes {
            let _ = reject(process).await;
        }
        fleet.advance(SECOND).await;
    }
    // At once, and after 5, 10 and 20 s: as one process alone.
    assert!(server.logins() <= 5, "{}", server.logins());
}

#[tokio::test]
async fn rule_22_a_token_is_sent_once_by_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let processes: Vec<_> = (0..8).map(|_| fleet.start(rotating(&server))).collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    for expiry in 1..=100 {
        fleet.leap(HOUR);
        let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
        assert!(futures_util::poll!(&mut all).is_pending());
        fleet.advance(2 * SECOND).await;
        for result in all.await {
            assert!(result.is_ok(), "{result:?}");
        }
        assert_eq!(server.tokens_seen_once(), expiry);
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_6_a_refused_token_is_not_sent_again_because_the_deadline_has_moved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let life = Lifetime::of(600 * SECOND).idle(400 * SECOND);
        let first = session(number, life)?;
        Ok(first.with_kept("refresh_token", "reusable")?)
    });
    server.0.refuses_refreshes.store(true, SeqCst);
    let processes = [(); 2].map(|()| {
        fleet.start(Program {
            refresh: Some(Refresh::with_kept("refresh_token")),
            ..server.program("right")
        })
    });
    let accept = async || {
        for process in &processes {
            let current = process.get().await.unwrap();
            Attempt::new(process, &current).accepted();
        }
    };
    accept().await;
    fleet.leap(300 * SECOND);
    accept().await;
    fleet.advance(20 * SECOND).await;
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    assert!(server.0.refreshes.lock().is_empty());
    fleet.leap(260 * SECOND);
    // It is due. One refreshes in vain, and another has the deadline moved.
    processes[0].get().await.unwrap();
    settle().await;
    assert_eq!((server.tokens_seen_once(), server.logins()), (1, 2));
    let current = processes[1].peek().unwrap();
    Attempt::new(&processes[1], &current).accepted();
    fleet.advance(12 * SECOND).await;
    assert!(processes[0].renew().await.is_err());
    assert_eq!(server.tokens_seen_once(), 1);
}

#[tokio::test]
async fn rule_22_a_token_that_another_process_has_spent_in_vain_is_not_sent() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let processes = [(); 3].map(|()| fleet.start(rotating(&server)));
    for process in &processes {
        process.get().await.unwrap();
    }
    // Each is due, and serves the session that is good.
    fleet.leap(HOUR - 30 * SECOND);
    server.0.refreshes_fail.store(true, SeqCst);
    for process in &processes {
        process.get().await.unwrap();
        fleet.advance(SECOND).await;
    }
    assert_eq!(server.tokens_seen_once(), 1);
    // Then the password is used, and the token of the new session is sent once.
    fleet.leap(2 * HOUR);
    for process in &processes {
        process.get().await.unwrap();
        fleet.advance(SECOND).await;
    }
    assert!(server.tokens_seen_once() >= 1);
    assert!(server.logins() >= 2);
}

#[tokio::test]
async fn rule_22_a_token_that_another_process_has_spent_in_vain_is_not_sent_by_a_later_start() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let process = fleet.start(rotating(&server));
    process.get().await.unwrap();
    fleet.leap(HOUR - 30 * SECOND);
    server.0.refreshes_fail.store(true, SeqCst);
    process.get().await.unwrap();
    fleet.advance(SECOND).await;
    drop(process);
    // A month later.
    fleet.leap(29 * 24 * HOUR);
    let later = fleet.start(rotating(&server));
    assert_eq!(token(&later.get().await.unwrap()), "token-2");
    assert_eq!(server.tokens_seen_once(), 1);
}

#[tokio::test]
async fn rule_22_a_token_is_not_sent_where_the_notes_can_not_be_read() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let process = fleet.start(rotating(&server));
    process.get().await.unwrap();
    fleet.leap(HOUR - 30 * SECOND);
    server.0.refreshes_fail.store(true, SeqCst);
    process.get().await.unwrap();
    fleet.advance(SECOND).await;
    drop(process);
    assert_eq!(server.tokens_seen_once(), 1);
    // They are sealed with a key that this one does not have yet.
    let store = Faulty::new(&fleet.store);
    store.0.spoils_notes.store(true, SeqCst);
    fleet.leap(HOUR);
    let later = fleet.start_with(rotating(&server), store.clone());
    assert_eq!(token(&later.get().await.unwrap()), "token-2");
    assert_eq!(server.tokens_seen_once(), 1);
    // The next session has notes of its own.
    store.0.spoils_notes.store(false, SeqCst);
    server.0.refreshes_fail.store(false, SeqCst);
    fleet.leap(HOUR);
    assert_eq!(token(&later.get().await.unwrap()), "token-1002");
    assert_eq!((server.logins(), server.tokens_seen_once()), (2, 2));
}

#[tokio::test]
async fn rule_3_a_refresh_has_its_time_after_its_token_was_marked() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let store = Faulty::new(&fleet.store);
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(rotating(&server))
        .clock(clock.clock())
        .login_timeout(5 * SECOND)
        .store(store.clone())
        .build();
    process.get().await.unwrap();
    fleet.leap(HOUR);
    let (saves, refreshes) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    *server.0.refresh_gate.lock() = Some(Arc::clone(&refreshes));
    let get = tokio::spawn(async move { process.get().await.map(|got| token(&got)) });
    settle().await;
    fleet.advance(SECOND * 3 / 2).await;
    saves.add_permits(10);
    settle().await;
    assert_eq!(server.tokens_seen_once(), 1);
    fleet.advance(SECOND * 24 / 5).await;
    refreshes.add_permits(1);
    settle().await;
    assert!(get.is_finished(), "it was given up");
    assert_eq!(get.await.unwrap().unwrap(), "token-1001");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_22_a_refusal_that_comes_after_the_close_is_noted() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for start in 0..3 {
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let process = fleet.start(server.program("wrong"));
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        let closing = process.clone();
        let closed = tokio::spawn(async move { closing.close().await });
        settle().await;
        gate.add_permits(1);
        let _ = get.await;
        fleet.advance(SECOND).await;
        closed.await.unwrap().unwrap();
        assert_eq!(server.logins(), 1, "start {start}");
    }
}

#[tokio::test]
async fn rule_22_a_token_that_the_store_does_not_know_as_spent_is_not_sent() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(rotating(&server), store.clone());
    process.get().await.unwrap();
    fleet.leap(HOUR);
    for fault in [&store.0.save_fails, &store.0.fails] {
        fault.store(true, SeqCst);
        let by_password = format!("token-{}", server.logins() + 1);
        assert_eq!(token(&process.get().await.unwrap()), by_password);
        assert!(server.0.refreshes.lock().is_empty());
        fleet.leap(HOUR);
    }
}

#[tokio::test]
async fn rule_22_a_store_that_has_lost_its_data_is_given_no_token_again_that_was_sent() {
    for closes in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
            let session = session.with_kept("refresh_token", &format!("first-{number}"))?;
            Ok(session.with_lifetime(Lifetime::of(HOUR).idle(HOUR / 2)))
        });
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(rotating(&server), store.clone());
        process.get().await.unwrap();
        server.0.refreshes_fail.store(true, SeqCst);
        assert!(process.renew().await.is_err());
        server.0.refreshes_fail.store(false, SeqCst);
        store.lose(&fleet);
        if closes {
            process.close().await.unwrap();
        } else {
            roll(&process, "sid=rolled; Path=/");
            settle().await;
        }
        let cold = fleet.start_with(rotating(&server), store);
        let found = cold.get().await.unwrap();
        let value = if closes { "s-1" } else { "rolled" };
        assert_eq!(found.cookie("sid"), Some(value), "it is there again");
        assert_eq!(cold.renew().await.unwrap().cookie("sid"), Some("s-2"));
        assert_eq!(server.tokens_seen_once(), 1);
    }
}

#[tokio::test]
async fn rule_22_a_token_of_before_a_loss_of_the_stores_data_is_not_sent() {
    // Who renews it, after it was saved anew or not, may be the one that has saved it.
    for (is_saved_anew, by_cold) in [(false, false), (true, false), (true, true)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let session = session(number, Lifetime::of(HOUR))?.with_cookie("sid", "s")?;
            Ok(session.with_kept("refresh_token", &format!("first-{number}"))?)
        });
        let store = Faulty::new(&fleet.store);
        store.0.is_silent.store(true, SeqCst);
        let mut start = || fleet.start_with(rotating(&server), store.clone());
        let [one, other, cold] = [start(), start(), start()];
        one.get().await.unwrap();
        other.get().await.unwrap();
        // Its mark is lost before the other one has looked.
        one.renew().await.unwrap();
        assert_eq!(server.tokens_seen_once(), 1);
        store.lose(&fleet);
        if is_saved_anew {
            roll(&other, "sid=rolled; Path=/");
            settle().await;
        }
        let renews = if by_cold {
            assert_eq!(token(&cold.get().await.unwrap()), "token-1");
            cold
        } else {
            other
        };
        assert_eq!(token(&renews.renew().await.unwrap()), "token-2");
        assert_eq!(server.tokens_seen_once(), 1);
    }
}

#[tokio::test]
async fn rule_22_a_token_that_was_about_to_be_sent_is_not_left_out() {
    for by_itself in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let first = session(number, Lifetime::of(HOUR))?.with_cookie("sid", "s")?;
            Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
        });
        let [one, other] = [(); 2].map(|()| fleet.start(rotating(&server)));
        one.get().await.unwrap();
        other.get().await.unwrap();
        server.0.refreshes_not_sent.store(true, SeqCst);
        let gate = Arc::new(Semaphore::new(0));
        *server.0.refresh_gate.lock() = Some(Arc::clone(&gate));
        let renewing = one.clone();
        let renewed = tokio::spawn(async move { renewing.renew().await });
        // The other one finds the mark.
        fleet.advance(3 * SECOND).await;
        let saves = if by_itself { &one } else { &other };
        roll(saves, "sid=rolled; Path=/");
        settle().await;
        gate.add_permits(9);
        assert!(renewed.await.unwrap().is_err());
        server.0.refreshes_not_sent.store(false, SeqCst);
        let cold = fleet.start(rotating(&server));
        assert_eq!(cold.get().await.unwrap().cookie("sid"), Some("rolled"));
        assert_eq!(token(&cold.renew().await.unwrap()), "token-1001");
        assert_eq!(server.logins(), 1, "{by_itself}");
    }
}

#[tokio::test]
async fn rule_22_a_refusal_is_noted_by_a_login_whose_lease_was_not_answered() {
    // The lease was given, or not. The store answers again before the login has ended, or after.
    for (is_given, is_slow) in [(true, true), (true, false), (false, true), (false, false)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let noted = fleet.start(server.program("also wrong"));
        assert!(refused(&noted.get().await.unwrap_err()));
        let store = Faulty::new(&fleet.store);
        store.0.lease_hangs.store(is_given, SeqCst);
        store.0.hangs.store(!is_given, SeqCst);
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let process = fleet.start_with(server.program("wrong"), store.clone());
        let got = tokio::spawn(async move { process.get().await.map(drop) });
        fleet.advance(3 * SECOND).await;
        store.0.lease_hangs.store(false, SeqCst);
        store.0.hangs.store(false, SeqCst);
        if is_slow {
            fleet.advance(10 * SECOND).await;
        }
        *server.0.gate.lock() = None;
        gate.add_permits(1);
        assert!(refused(&got.await.unwrap().unwrap_err()));
        fleet.advance(10 * SECOND).await;
        for password in ["wrong", "also wrong"] {
            let cold = fleet.start(server.program(password));
            assert!(refused(&cold.get().await.unwrap_err()));
        }
        assert_eq!(server.logins(), 2, "{is_given} {is_slow}");
    }
}

#[tokio::test]
async fn rule_22_a_login_whose_lease_was_not_answered_ends_what_is_noted_of_its_secret() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|_| Err(LoginError::refused("status 401")));
    let noted = fleet.start(server.program("right"));
    assert!(refused(&noted.get().await.unwrap_err()));
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let store = Faulty::new(&fleet.store);
    store.0.lease_hangs.store(true, SeqCst);
    let load = Arc::new(Semaphore::new(0));
    *store.0.load_gate.lock() = Some(Arc::clone(&load));
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let process = fleet.start_with(server.program("right"), store.clone());
    let got = tokio::spawn(async move { process.get().await.map(drop) });
    fleet.advance(3 * SECOND).await;
    store.0.lease_hangs.store(false, SeqCst);
    *store.0.load_gate.lock() = None;
    load.add_permits(9);
    fleet.advance(10 * SECOND).await;
    gate.add_permits(1);
    got.await.unwrap().unwrap();
    assert_eq!(server.logins(), 2);
    *server.0.gate.lock() = None;
    fleet.advance(SECOND).await;
    let cold = fleet.start(server.program("right"));
    cold.get().await.unwrap();
    cold.renew().await.unwrap();
    assert_eq!(server.logins(), 3, "the secret is a good one");
}

/// As after a failover of the store: the session is there, and a mark of its token may have been.
#[tokio::test]
async fn rule_22_a_token_whose_mark_the_store_may_have_lost_is_not_sent() {
    for starts_later in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let first = session(number, Lifetime::of(HOUR))?;
            Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
        });
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(rotating(&server), store.clone());
        process.get().await.unwrap();
        store.0.lacks_notes_until.store(1, SeqCst);
        let process = if starts_later {
            fleet.start_with(rotating(&server), store.clone())
        } else {
            process
        };
        assert_eq!(
            token(&process.get().await.unwrap()),
            "token-1",
            "it is served"
        );
        fleet.leap(HOUR);
        assert_eq!(token(&process.get().await.unwrap()), "token-2");
        assert!(server.0.refreshes.lock().is_empty());
        // The next session was obtained since.
        fleet.leap(HOUR);
        assert_eq!(token(&process.get().await.unwrap()), "token-1001");
        assert_eq!((server.logins(), server.tokens_seen_once()), (2, 1));
    }
}

#[tokio::test]
async fn rule_22_what_failed_logins_forbid_holds_though_the_store_may_have_lost_marks() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(rotating(&server), store.clone());
    process.get().await.unwrap();
    store.0.lacks_notes_until.store(1, SeqCst);
    *server.0.password.lock() = "changed";
    fleet.leap(HOUR);
    // Neither the refusal nor the doubt is forgotten with the notes that have both.
    for _ in 0..3 {
        let later = fleet.start_with(rotating(&server), store.clone());
        assert!(refused(&later.get().await.unwrap_err()));
        assert_eq!((server.logins(), server.tokens_seen_once()), (2, 0));
    }
    *server.0.password.lock() = "right";
    fleet.leap(24 * HOUR);
    process.renew().await.unwrap();
    assert_eq!(server.tokens_seen_once(), 0);
    assert!(fleet.events(|event| matches!(event, Event::StoredUnreadable { .. })) == 0);
}

fn reusable(server: &Server, password: &'static str) -> Program {
    Program {
        refresh: Some(Refresh::with_kept("refresh_token")),
        ..server.program(password)
    }
}

/// A session that is over, with a refresh token that can be used again and again.
async fn over(fleet: &mut Fleet, server: &Server) {
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", "reusable")?)
    });
    let process = fleet.start(reusable(server, "right"));
    process.get().await.unwrap();
    fleet.leap(HOUR);
}

#[tokio::test]
async fn rule_22_thirteen_starts_with_a_refused_token_and_a_wrong_password_send_each_once() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    over(&mut fleet, &server).await;
    server.0.refuses_refreshes.store(true, SeqCst);
    for _ in 0..13 {
        let program = fleet.start(reusable(&server, "wrong"));
        assert!(refused(&program.get().await.unwrap_err()));
        drop(program);
        fleet.advance(SECOND).await;
    }
    assert_eq!((server.tokens_seen_once(), server.logins()), (1, 2));
    // No login follows, since the password is held back.
    let program = fleet.start(reusable(&server, "wrong"));
    assert!(program.renew().await.is_err());
    assert_eq!((server.tokens_seen_once(), server.logins()), (1, 2));
}

#[tokio::test]
async fn rule_22_a_refused_token_is_noted_though_no_login_follows() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", "reusable")?)
    });
    let both = [(); 2].map(|()| fleet.start(reusable(&server, "right")));
    for process in &both {
        process.get().await.unwrap();
    }
    server.0.refuses_refreshes.store(true, SeqCst);
    *server.0.password.lock() = "changed";
    fleet.leap(HOUR - 30 * SECOND);
    for process in &both {
        process.get().await.unwrap();
        fleet.advance(SECOND).await;
    }
    assert_eq!((server.tokens_seen_once(), server.logins()), (1, 2));
}

#[tokio::test]
async fn rule_22_a_refused_token_that_a_login_brings_back_is_sent_again() {
    for starts_later in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        over(&mut fleet, &server).await;
        let other = fleet.start(reusable(&server, "right"));
        server.0.refuses_refreshes.store(true, SeqCst);
        let process = fleet.start(reusable(&server, "right"));
        assert_eq!(token(&process.get().await.unwrap()), "token-2");
        assert_eq!(token(&other.get().await.unwrap()), "token-2");
        server.0.refuses_refreshes.store(false, SeqCst);
        fleet.leap(HOUR);
        let other = if starts_later {
            fleet.start(reusable(&server, "right"))
        } else {
            other
        };
        assert_eq!(token(&other.get().await.unwrap()), "token-1002");
        assert_eq!(server.logins(), 2);
    }
}

#[tokio::test]
async fn rule_22_a_retry_after_to_a_refresh_holds_the_refreshes_of_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    over(&mut fleet, &server).await;
    let refreshes = || server.0.refreshes.lock().len();
    let processes = [(); 3].map(|()| fleet.start(reusable(&server, "right")));
    assert_eq!(token(&processes[0].get().await.unwrap()), "token-1001");
    for process in &processes {
        process.get().await.unwrap();
    }
    fleet.leap(HOUR - 200 * SECOND);
    server.0.refreshes_wait.store(150, SeqCst);
    for process in &processes {
        process.get().await.unwrap();
        fleet.advance(SECOND).await;
    }
    let later = fleet.start(reusable(&server, "right"));
    later.get().await.unwrap();
    let told = later.renew().await.unwrap_err();
    let limited = told.login_error().map(LoginError::kind);
    assert_eq!(limited, Some(LoginErrorKind::Limited));
    assert_eq!(told.retry_after(), Some(148 * SECOND));
    assert_eq!(refreshes(), 2);
    server.0.refreshes_wait.store(0, SeqCst);
    fleet.leap(148 * SECOND);
    processes[1].get().await.unwrap();
    fleet.advance(SECOND).await;
    assert_eq!((refreshes(), server.logins()), (3, 1));
}

#[tokio::test]
async fn rule_22_a_login_does_not_end_the_wait_for_refreshes() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    over(&mut fleet, &server).await;
    server.0.refreshes_wait.store(3_000, SeqCst);
    fleet.start(reusable(&server, "right")).get().await.unwrap();
    assert_eq!(server.logins(), 2, "the password follows");
    // The session is gone, and this one has heard of no wait.
    fleet.leap(HOUR / 2);
    let ended = fleet.start(reusable(&server, "right"));
    ended.get().await.unwrap();
    ended.log_out().await.unwrap();
    fleet.start(reusable(&server, "right")).get().await.unwrap();
    assert_eq!(server.logins(), 3);
    let later = fleet.start(reusable(&server, "right"));
    later.get().await.unwrap();
    let told = later.renew().await.unwrap_err();
    assert_eq!(told.retry_after(), Some(1_200 * SECOND), "{told:?}");
    assert_eq!(server.0.refreshes.lock().len(), 1);
}

#[tokio::test]
async fn rule_22_a_limit_makes_the_cooldown_of_a_refusal_no_shorter() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    // For longer than a caller waits.
    server.answers(|_| Err(LoginError::limited(Some(600 * SECOND))));
    let minute = 60 * SECOND;
    for (password, minutes, logins) in [
        ("right", 15_u32, 1),
        ("right", 30, 2),
        // It is limited.
        ("wrong", 11, 3),
        ("right", 59, 4),
        ("right", 1, 4),
        ("right", 0, 5),
    ] {
        *server.0.password.lock() = password;
        let program = fleet.start(server.program("wrong"));
        let told = program.get().await.unwrap_err();
        assert_eq!(refused(&told), password == "right");
        assert_eq!(server.logins(), logins);
        fleet.leap(minutes * minute);
    }
}

#[tokio::test]
async fn rule_6_a_session_from_the_store_leaves_the_room_that_its_login_took() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| session(number, Lifetime::of(10 * SECOND)));
    let both = [(); 2].map(|()| fleet.start(server.program("right")));
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let mut get = Box::pin(both[0].get());
    assert!(futures_util::poll!(&mut get).is_pending());
    fleet.advance(3 * SECOND).await;
    gate.add_permits(1);
    get.await.unwrap();
    both[1].get().await.unwrap();
    let later = fleet.start(server.program("right"));
    later.get().await.unwrap();
    fleet.leap(4 * SECOND);
    assert!(both[0].fresh().is_some() && both[1].fresh().is_some() && later.fresh().is_some());
    fleet.leap(2 * SECOND);
    assert!(both[0].fresh().is_none() && both[1].fresh().is_none() && later.fresh().is_none());
}

#[tokio::test]
async fn rule_20_what_is_left_of_a_session_is_stated_when_it_is_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    // The answer to what asks for the lease is lost.
    store.0.lease_hangs.store(true, SeqCst);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    fleet.advance(3 * SECOND).await;
    store.0.lease_hangs.store(false, SeqCst);
    fleet.advance(8 * SECOND).await;
    assert_eq!(server.logins(), 1);
    // It is found out in the end that it was given, which takes a while.
    let step = Arc::new(Semaphore::new(0));
    *store.0.step_gate.lock() = Some(Arc::clone(&step));
    gate.add_permits(1);
    settle().await;
    fleet.advance(SECOND).await;
    *store.0.step_gate.lock() = None;
    step.add_permits(9);
    get.await.unwrap();
    let later = fleet.start(server.program("right"));
    later.get().await.unwrap();
    let left = later.session().unwrap().lifetime().hard_expiry();
    assert_eq!((left, server.logins()), (Some(HOUR - SECOND), 1));
}
