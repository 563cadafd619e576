//! Rule 21: rejections that cross processes.

use super::*;

#[tokio::test]
async fn rule_21_a_revocation_costs_one_login_and_no_failed_request() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    let replays = join_all(processes.iter().map(reject));
    let mut replays = Box::pin(replays);
    assert!(futures_util::poll!(&mut replays).is_pending());
    fleet.advance(SECOND).await;
    for replay in replays.await {
        assert_eq!(replay.unwrap(), "token-2");
    }
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_a_late_rejection_does_not_retire_what_another_has_fetched() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    assert_eq!(reject(&one).await.unwrap(), "token-2");
    assert_eq!(
        reject(&other).await.unwrap(),
        "token-2",
        "found, and no login"
    );
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_the_others_give_a_rejected_session_up_within_ten_seconds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    reject(&one).await.unwrap();
    fleet.advance(10 * SECOND).await;
    let current = other.fresh().expect("the new one, unasked");
    assert_eq!((token(&current).as_str(), server.logins()), ("token-2", 2));
}

#[tokio::test]
async fn rule_21_a_login_that_was_stopped_does_not_save_over_a_newer_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let stopped = fleet.start_with(server.program("right"), store.clone());
    let mut get = Box::pin(stopped.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    assert_eq!(server.logins(), 1);
    // Its clock stands still, and the others' goes on.
    let clock = fleet.clocks.remove(0);
    fleet.advance(40 * SECOND).await;
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    saves.add_permits(10);
    assert_eq!(token(&get.await.unwrap()), "token-1", "it uses its own");
    fleet.clocks.push(clock);
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    assert_eq!(
        reject(&stopped).await.unwrap(),
        "token-2",
        "and then what is stored"
    );
    assert_eq!(server.logins(), 2);
}

/// Two processes share a session of the password, and the first one refreshes it.
async fn refreshed(fleet: &mut Fleet, server: &Server) -> [Credentials; 2] {
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let both = [(); 2].map(|()| fleet.start(refreshing(server)));
    for process in &both {
        process.get().await.unwrap();
    }
    fleet.leap(HOUR);
    for process in &both {
        assert_eq!(token(&process.get().await.unwrap()), "token-1001");
    }
    both
}

fn refreshing(server: &Server) -> Program {
    Program {
        refresh: Some(Refresh::with_kept("refresh_token")),
        ..server.program("right")
    }
}

#[tokio::test]
async fn rule_8_a_refreshed_session_that_others_reject_at_its_first_use_is_followed_by_the_password()
 {
    for starts_later in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let [_, other] = refreshed(&mut fleet, &server).await;
        let other = if starts_later {
            fleet.start(refreshing(&server))
        } else {
            other
        };
        assert_eq!(reject(&other).await.unwrap(), "token-2");
        assert_eq!((server.tokens_seen_once(), server.logins()), (1, 2));
    }
}

#[tokio::test]
async fn rule_8_a_refreshed_session_that_one_process_knows_as_good_is_refreshed_by_the_others() {
    for (closes, starts_later) in [(false, false), (false, true), (true, true)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let [one, other] = refreshed(&mut fleet, &server).await;
        let current = one.peek().unwrap();
        Attempt::new(&one, &current).accepted();
        if closes {
            one.close().await.unwrap();
        } else {
            fleet.advance(12 * SECOND).await;
        }
        let other = if starts_later {
            fleet.start(refreshing(&server))
        } else {
            fleet.advance(12 * SECOND).await;
            other
        };
        assert_eq!(reject(&other).await.unwrap(), "token-1002");
        assert_eq!((server.tokens_seen_once(), server.logins()), (2, 1));
    }
}

#[tokio::test]
async fn rule_21_that_a_refreshed_session_is_good_is_saved_once() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let _both = refreshed(&mut fleet, &server).await;
    let store = Faulty::new(&fleet.store);
    let third = fleet.start_with(refreshing(&server), store.clone());
    third.get().await.unwrap();
    fleet.advance(12 * SECOND).await;
    assert_eq!(store.changes(), 0, "it is not known yet");
    let current = third.peek().unwrap();
    Attempt::new(&third, &current).accepted();
    fleet.advance(30 * SECOND).await;
    assert_eq!(store.changes(), 1);
    fleet.advance(60 * SECOND).await;
    third.close().await.unwrap();
    assert_eq!(store.changes(), 0);
}

/// A program that does not share the store logs in to the same account every ten seconds, which
/// ends the session of the others each time. Each of their logins helps, until the next one.
#[tokio::test]
async fn rule_22_of_the_logins_that_rejections_cause_in_a_minute_all_are_told() {
    for count in [1, 8] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let processes: Vec<_> = (0..count)
            .map(|_| fleet.start(server.program("right")))
            .collect();
        for process in &processes {
            process.get().await.unwrap();
        }
        let mut logins = Vec::new();
        for round in 0..40 {
            // What was obtained until now is dead.
            let dead = server.logins();
            let number = |text: &str| text.strip_prefix("token-").unwrap().parse::<u64>();
            // A request of one process after the other, beginning with another one each time.
            for offset in 0..count {
                let process = &processes[(round + offset) % count];
                let current = process.get().await.unwrap();
                if number(&token(&current)).unwrap() <= dead {
                    Attempt::new(process, &current).rejected();
                    let next = process.get().await.unwrap();
                    if number(&token(&next)).unwrap() > dead {
                        crate::support::replay(process, &next).accepted();
                    }
                }
            }
            logins.push(server.logins() - dead);
            fleet.advance(10 * SECOND).await;
        }
        let minutes = logins.windows(6).map(|minute| minute.iter().sum::<u64>());
        assert_eq!(minutes.max(), Some(3), "{count} processes: {logins:?}");
    }
}

#[tokio::test]
async fn rule_22_a_process_whose_rejections_are_long_ago_takes_back_nothing_of_others() {
    for had_one in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        store.0.is_silent.store(true, SeqCst);
        let old = fleet.start_with(server.program("right"), store.clone());
        old.get().await.unwrap();
        if had_one {
            let current = old.get().await.unwrap();
            Attempt::new(&old, &current).rejected();
            let next = old.get().await.unwrap();
            crate::support::replay(&old, &next).accepted();
        }
        fleet.advance(120 * SECOND).await;
        let busy = fleet.start(server.program("right"));
        for _ in 0..3 {
            let current = busy.get().await.unwrap();
            let before = server.logins();
            Attempt::new(&busy, &current).rejected();
            let next = busy.get().await.unwrap();
            crate::support::replay(&busy, &next).accepted();
            assert_eq!(server.logins(), before + 1);
        }
        busy.log_out().await.unwrap();
        // No rejection has caused this one.
        old.renew().await.unwrap();
        let next = fleet.start(server.program("right"));
        let current = next.get().await.unwrap();
        let before = server.logins();
        Attempt::new(&next, &current).rejected();
        let _ = next.get().await;
        assert_eq!(
            server.logins(),
            before,
            "three in a minute, had_one: {had_one}"
        );
    }
}
