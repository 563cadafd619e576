//! Values of a session that are saved beside logins, and what its end leaves in the store.

use super::*;
use crate::support::set_cookie;

/// The login's cookie is `s-1`, `s-2` and so on.
fn by_cookie(server: &Server) {
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
}

/// A response of this process sets the cookie.
async fn rolls(process: &Credentials, line: &'static str) {
    let current = process.get().await.unwrap();
    Attempt::new(process, &current).cookies_set(&set_cookie(line));
}

/// The cookie that a process finds which starts now.
async fn stored(fleet: &mut Fleet, server: &Server) -> String {
    let cold = fleet.start(server.program("right"));
    let found = cold.get().await.unwrap();
    found.cookie("sid").unwrap().to_owned()
}

#[tokio::test]
async fn rule_21_what_has_not_changed_is_saved_once() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    fleet.advance(30 * SECOND).await;
    assert_eq!(store.changes(), 1);
    rolls(&process, "sid=rolled; Path=/").await;
    fleet.advance(30 * SECOND).await;
    assert_eq!(store.changes(), 1);
    // What it finds is not saved again, and no lease was taken for it.
    let finds = fleet.start_with(server.program("right"), store.clone());
    finds.get().await.unwrap();
    fleet.advance(30 * SECOND).await;
    assert_eq!(store.changes(), 0);
}

#[tokio::test]
async fn rule_21_values_of_a_session_that_was_logged_out_are_refused_once() {
    for closes in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let session = session(number, Lifetime::of(HOUR))?;
            Ok(session.with_cookie("sid", &format!("s-{number}"))?)
        });
        let store = Faulty::new(&fleet.store);
        store.0.is_silent.store(true, SeqCst);
        let (one, other) = (
            fleet.start(server.program("right")),
            fleet.start_with(server.program("right"), store.clone()),
        );
        one.get().await.unwrap();
        other.get().await.unwrap();
        one.log_out().await.unwrap();
        assert_eq!(store.changes(), 0);
        rolls(&other, "sid=rolled; Path=/").await;
        if closes {
            other.close().await.unwrap();
        } else {
            settle().await;
        }
        assert_eq!(store.changes(), 1, "{closes}");
        assert_eq!(stored(&mut fleet, &server).await, "s-2");
    }
}

#[tokio::test]
async fn rule_21_values_that_roll_while_the_session_is_saved_are_saved_after_it() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let process = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let current = process.fresh().unwrap();
    Attempt::new(&process, &current).cookies_set(&set_cookie("sid=rolled; Path=/"));
    settle().await;
    saves.add_permits(9);
    get.await.unwrap();
    settle().await;
    assert_eq!(stored(&mut fleet, &server).await, "rolled");
}

#[tokio::test]
async fn rule_19_values_that_roll_while_the_session_is_saved_are_left_there_by_a_close() {
    for rolls in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        by_cookie(&server);
        let store = Faulty::new(&fleet.store);
        let saves = Arc::new(Semaphore::new(0));
        *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        let process = fleet.start_with(server.program("right"), store.clone());
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        let current = process.fresh().unwrap();
        if rolls {
            Attempt::new(&process, &current).cookies_set(&set_cookie("sid=rolled; Path=/"));
            settle().await;
        }
        let closing = process.clone();
        let closed = tokio::spawn(async move { closing.close().await });
        settle().await;
        assert!(!closed.is_finished());
        saves.add_permits(9);
        closed.await.unwrap().unwrap();
        assert_eq!(store.changes(), 1 + usize::from(rolls));
        let left = if rolls { "rolled" } else { "s-1" };
        assert_eq!(stored(&mut fleet, &server).await, left);
    }
}

#[tokio::test]
async fn rule_21_values_whose_save_had_not_begun_are_left_in_the_store_by_a_close() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let process = fleet.start(server.program("right"));
    process.get().await.unwrap();
    rolls(&process, "sid=rolled; Path=/").await;
    // The task that saves is not polled before the cache is closed.
    process.close().await.unwrap();
    assert_eq!(stored(&mut fleet, &server).await, "rolled");
}

#[tokio::test]
async fn rule_24_values_of_a_session_whose_save_was_not_answered_are_shared() {
    for (is_there, closes) in [(true, false), (false, false), (true, true), (false, true)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        by_cookie(&server);
        let store = Faulty::new(&fleet.store);
        let fault = if is_there {
            &store.0.save_answer_is_lost
        } else {
            &store.0.save_fails
        };
        fault.store(true, SeqCst);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        rolls(&process, "sid=rolled; Path=/").await;
        settle().await;
        fault.store(false, SeqCst);
        if closes {
            fleet.leap(6 * SECOND);
            process.close().await.unwrap();
        } else {
            fleet.advance(16 * SECOND).await;
        }
        assert_eq!(
            stored(&mut fleet, &server).await,
            "rolled",
            "{is_there} {closes}"
        );
    }
}

#[tokio::test]
async fn rule_24_what_another_has_saved_since_a_save_was_not_answered_stays() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let store = Faulty::new(&fleet.store);
    store.0.save_fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    // Its lease lapses before it looks again.
    store.0.fails.store(true, SeqCst);
    fleet.advance(40 * SECOND).await;
    assert_eq!(stored(&mut fleet, &server).await, "s-2");
    store.0.fails.store(false, SeqCst);
    store.0.save_fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    assert_eq!(stored(&mut fleet, &server).await, "s-2");
    assert_eq!(
        process.fresh().unwrap().cookie("sid"),
        Some("s-1"),
        "it is not due"
    );
}

#[tokio::test]
async fn rule_21_an_answer_is_heard_though_another_process_has_moved_the_deadline() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR).idle(80 * SECOND)))
    });
    let [one, other] = [(); 2].map(|()| fleet.start(server.program("right")));
    let under_way = one.get().await.unwrap();
    let used = other.get().await.unwrap();
    let is_loaded = fleet.events(is_loaded);
    fleet.leap(20 * SECOND);
    Attempt::new(&other, &used).accepted();
    fleet.advance(20 * SECOND).await;
    fleet.leap(50 * SECOND);
    assert!(one.fresh().is_some(), "the other one has used it");
    assert_eq!(
        fleet.events(self::is_loaded),
        is_loaded,
        "it is the same value"
    );
    Attempt::new(&one, &under_way).cookies_set(&set_cookie("sid=rolled; Path=/"));
    assert_eq!(one.fresh().unwrap().cookie("sid"), Some("rolled"));
}

#[tokio::test]
async fn rule_21_a_value_that_is_being_saved_brings_its_session_back_until_it_is_rejected_again() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    let other = fleet.start(server.program("right"));
    one.get().await.unwrap();
    let rejected = other.get().await.unwrap();
    let (saves, logins) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    rolls(&one, "sid=rolled; Path=/").await;
    settle().await;
    *server.0.gate.lock() = Some(Arc::clone(&logins));
    Attempt::new(&other, &rejected).rejected();
    let next = tokio::spawn(async move { other.get().await.map(|_| ()) });
    settle().await;
    assert_eq!(
        server.logins(),
        2,
        "the rejection is noted, and the lease is taken"
    );
    saves.add_permits(9);
    settle().await;
    assert_eq!(stored(&mut fleet, &server).await, "rolled");
    logins.add_permits(9);
    next.await.unwrap().unwrap();
    assert_eq!(stored(&mut fleet, &server).await, "s-2");
}

#[tokio::test]
async fn rule_21_of_two_values_at_a_time_the_last_one_counts() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let [one, other] = [(); 2].map(|()| fleet.start(server.program("right")));
    one.get().await.unwrap();
    other.get().await.unwrap();
    rolls(&one, "sid=one; Path=/").await;
    settle().await;
    assert_eq!(stored(&mut fleet, &server).await, "one");
    rolls(&other, "sid=other; Path=/").await;
    settle().await;
    assert_eq!(stored(&mut fleet, &server).await, "other");
}

#[tokio::test]
async fn rule_21_a_deadline_is_saved_over_no_value_that_another_has_saved_meanwhile() {
    for fails in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
            Ok(session.with_lifetime(Lifetime::of(HOUR).idle(80 * SECOND)))
        });
        let store = Faulty::new(&fleet.store);
        let one = fleet.start_with(server.program("right"), store.clone());
        let other = fleet.start(server.program("right"));
        let current = one.get().await.unwrap();
        other.get().await.unwrap();
        fleet.leap(20 * SECOND);
        Attempt::new(&one, &current).accepted();
        // Its deadline is being saved, or could not be saved.
        let saves = Arc::new(Semaphore::new(0));
        *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        store.0.save_fails.store(fails, SeqCst);
        store.changes();
        fleet.until_changed(&store).await;
        rolls(&other, "sid=rolled; Path=/").await;
        settle().await;
        store.0.save_fails.store(false, SeqCst);
        saves.add_permits(9);
        settle().await;
        assert_eq!(stored(&mut fleet, &server).await, "rolled");
        fleet.advance(20 * SECOND).await;
        for process in [&one, &other] {
            let found = process.fresh().unwrap();
            assert_eq!(found.cookie("sid"), Some("rolled"), "{fails}");
        }
    }
}

#[tokio::test]
async fn rule_21_a_value_of_an_older_session_changes_nothing_of_a_newer_one() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let [one, other] = [(); 2].map(|()| fleet.start(server.program("right")));
    one.get().await.unwrap();
    other.get().await.unwrap();
    one.renew().await.unwrap();
    rolls(&other, "sid=older; Path=/").await;
    settle().await;
    assert_eq!(stored(&mut fleet, &server).await, "s-2");
}

#[test]
fn rule_21_values_are_saved_again_after_the_runtime_of_a_save_is_gone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    };
    let process = fleet.start(server.program("right"));
    runtime().block_on(async {
        process.get().await.unwrap();
        // The task is never polled.
        rolls(&process, "sid=lost; Path=/").await;
    });
    runtime().block_on(async {
        rolls(&process, "sid=rolled; Path=/").await;
        settle().await;
        assert_eq!(stored(&mut fleet, &server).await, "rolled");
    });
}

#[test]
fn rule_21_values_are_saved_again_where_the_runtime_of_a_save_is_not_driven_any_more() {
    // The task has not begun, or is at the store.
    for is_under_way in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        by_cookie(&server);
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.build().unwrap()
        };
        let store = Faulty::new(&fleet.store);
        let (stopped, driven) = (runtime(), runtime());
        let process = fleet.start_with(server.program("right"), store.clone());
        driven.block_on(async {
            process.get().await.unwrap();
        });
        if is_under_way {
            *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
        }
        stopped.block_on(async {
            rolls(&process, "sid=stopped; Path=/").await;
            if is_under_way {
                settle().await;
            }
        });
        *store.0.save_gate.lock() = None;
        driven.block_on(async {
            fleet.advance(20 * SECOND).await;
            assert_eq!(stored(&mut fleet, &server).await, "stopped");
            rolls(&process, "sid=later; Path=/").await;
            fleet.advance(3 * SECOND).await;
            assert_eq!(stored(&mut fleet, &server).await, "later");
        });
        // Driven again, the first task changes nothing of what the second has saved.
        stopped.block_on(settle());
        driven.block_on(async {
            assert_eq!(stored(&mut fleet, &server).await, "later");
            rolls(&process, "sid=last; Path=/").await;
            // Its step has come too late, so the store is left alone for a while.
            fleet.advance(20 * SECOND).await;
            assert_eq!(stored(&mut fleet, &server).await, "last");
        });
    }
}

#[test]
fn rule_21_a_save_that_was_replaced_changes_nothing_of_what_another_process_saves() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    };
    let store = Faulty::new(&fleet.store);
    let (stopped, driven) = (runtime(), runtime());
    let process = fleet.start_with(server.program("right"), store.clone());
    driven.block_on(async {
        process.get().await.unwrap();
    });
    let gate = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&gate));
    stopped.block_on(async {
        rolls(&process, "sid=stopped; Path=/").await;
        settle().await;
    });
    *store.0.save_gate.lock() = None;
    driven.block_on(async {
        fleet.advance(20 * SECOND).await;
        assert_eq!(stored(&mut fleet, &server).await, "stopped");
    });
    store.0.is_silent.store(true, SeqCst);
    driven.block_on(async {
        fleet.advance(20 * SECOND).await;
        let other = fleet.start(server.program("right"));
        rolls(&other, "sid=others; Path=/").await;
        settle().await;
    });
    // Driven again before the next look, it hears that a newer value is there.
    gate.add_permits(1);
    stopped.block_on(settle());
    driven.block_on(async {
        assert_eq!(stored(&mut fleet, &server).await, "others");
        fleet.advance(20 * SECOND).await;
        assert_eq!(stored(&mut fleet, &server).await, "others");
        let current = process.get().await.unwrap();
        assert_eq!(current.cookie("sid"), Some("others"));
    });
}

#[test]
fn rule_21_values_whose_save_has_died_with_its_runtime_are_left_in_the_store_by_a_close() {
    for is_under_way in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        by_cookie(&server);
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder.build().unwrap()
        };
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        runtime().block_on(async {
            process.get().await.unwrap();
            rolls(&process, "sid=rolled; Path=/").await;
            if is_under_way {
                *store.0.save_gate.lock() = Some(Arc::new(Semaphore::new(0)));
                settle().await;
            }
        });
        *store.0.save_gate.lock() = None;
        runtime().block_on(async {
            process.close().await.unwrap();
            assert_eq!(
                stored(&mut fleet, &server).await,
                "rolled",
                "{is_under_way}"
            );
        });
    }
}

#[test]
fn rule_21_values_that_roll_outside_any_runtime_are_left_in_the_store_by_a_close() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let process = fleet.start(server.program("right"));
    let current = process.blocking_get().unwrap();
    Attempt::new(&process, &current).cookies_set(&set_cookie("sid=rolled; Path=/"));
    process.blocking_close().unwrap();
    let next = fleet.start(server.program("right"));
    assert_eq!(next.blocking_get().unwrap().cookie("sid"), Some("rolled"));
}

#[tokio::test]
async fn rule_19_close_leaves_what_is_left_of_the_idle_timeout() {
    for (idle, saves) in [(Some(80 * SECOND), 1), (None, 0)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(move |number| {
            let life = Lifetime::of(HOUR);
            session(number, idle.map_or(life, |idle| life.idle(idle)))
        });
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.changes();
        fleet.advance(5 * SECOND).await;
        let current = process.get().await.unwrap();
        Attempt::new(&process, &current).accepted();
        process.close().await.unwrap();
        assert_eq!(store.changes(), saves);
        fleet.leap(77 * SECOND);
        let next = fleet.start(server.program("right"));
        assert_eq!(token(&next.get().await.unwrap()), "token-1");
    }
}

#[tokio::test]
async fn rule_19_a_session_that_is_not_saved_and_the_stored_one_are_both_logged_out() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(true, SeqCst);
    assert_eq!(reject(&process).await.unwrap(), "token-2");
    store.0.fails.store(false, SeqCst);
    fleet.leap(6 * SECOND);
    process.log_out().await.unwrap();
    let mut ended = server.0.logouts.lock().clone();
    ended.sort();
    assert_eq!(ended, ["token-1", "token-2"]);
}

#[tokio::test]
async fn rule_24_values_that_could_not_be_saved_keep_no_newer_session_away() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    let other = fleet.start(server.program("right"));
    one.get().await.unwrap();
    other.get().await.unwrap();
    store.0.save_fails.store(true, SeqCst);
    rolls(&one, "sid=lost; Path=/").await;
    settle().await;
    other.renew().await.unwrap();
    store.0.save_fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    let current = one.fresh().unwrap();
    assert_eq!(current.cookie("sid"), Some("s-2"));
    assert_eq!(stored(&mut fleet, &server).await, "s-2");
}

#[tokio::test]
async fn rule_19_a_close_leaves_no_older_value_over_a_newer_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    by_cookie(&server);
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    let other = fleet.start(server.program("right"));
    one.get().await.unwrap();
    other.get().await.unwrap();
    store.0.save_fails.store(true, SeqCst);
    rolls(&one, "sid=lost; Path=/").await;
    settle().await;
    other.renew().await.unwrap();
    store.0.save_fails.store(false, SeqCst);
    fleet.leap(6 * SECOND);
    one.close().await.unwrap();
    assert_eq!(stored(&mut fleet, &server).await, "s-2");
}

#[tokio::test]
async fn rule_24_a_session_that_was_never_saved_and_is_over_is_not_left_by_a_close() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    fleet.leap(2 * HOUR);
    process.close().await.unwrap();
    let changes = store.0.changes.lock().clone();
    let is_kept = |change: &Change| matches!(change.session, SessionChange::Keep);
    assert!(changes.iter().all(is_kept), "{changes:?}");
}

#[tokio::test]
async fn rule_21_values_that_roll_are_shared_as_revisions() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let one = fleet.start(server.program("right"));
    let first = one.get().await.unwrap();
    let rolled = crate::support::set_cookie("sid=rolled; Path=/");
    Attempt::new(&one, &first).cookies_set(&rolled);
    settle().await;
    let other = fleet.start(server.program("right"));
    let found = other.get().await.unwrap();
    assert_eq!(found.cookie("sid"), Some("rolled"));
    // And one that has the session gets its next value.
    let current = one.get().await.unwrap();
    let again = crate::support::set_cookie("sid=again; Path=/");
    Attempt::new(&one, &current).cookies_set(&again);
    fleet.advance(2 * SECOND).await;
    let current = other.fresh().unwrap();
    assert_eq!(current.cookie("sid"), Some("again"));
    assert_eq!(
        current.stamp().generation(),
        found.stamp().generation(),
        "the same session"
    );
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_21_an_idle_deadline_that_has_moved_by_an_eighth_is_saved() {
    // An eighth of an hour is 450 s.
    for (used_after, logins) in [(440 * SECOND, 2), (460 * SECOND, 1)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| session(number, Lifetime::unknown().idle(HOUR)));
        let one = fleet.start(server.program("right"));
        let current = one.get().await.unwrap();
        fleet.leap(used_after);
        Attempt::new(&one, &current).accepted();
        fleet.advance(20 * SECOND).await;
        // It ends without a word to the store.
        drop(one);
        fleet.leap(HOUR - 60 * SECOND);
        let next = fleet.start(server.program("right"));
        let found = token(&next.get().await.unwrap());
        assert_eq!(
            (server.logins(), found),
            (logins, format!("token-{logins}"))
        );
    }
}

#[tokio::test]
async fn rule_21_a_rejected_session_is_not_taken_again_because_its_deadline_has_moved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| session(number, Lifetime::of(HOUR).idle(60 * SECOND)));
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    // Its clock stands still, so that it does not look.
    let clock = fleet.clocks.remove(0);
    fleet.advance(20 * SECOND).await;
    let current = other.get().await.unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(10 * SECOND).await;
    assert_eq!(reject(&one).await.unwrap(), "token-2");
    fleet.clocks.push(clock);
    fleet.advance(10 * SECOND).await;
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_values_that_roll_right_before_a_close_are_left_in_the_store() {
    for under_way in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
            Ok(session.with_lifetime(Lifetime::of(HOUR)))
        });
        let store = Faulty::new(&fleet.store);
        let one = fleet.start_with(server.program("right"), store.clone());
        let first = one.get().await.unwrap();
        let saves = Arc::new(Semaphore::new(0));
        if under_way {
            *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        }
        let rolled = crate::support::set_cookie("sid=rolled; Path=/");
        Attempt::new(&one, &first).cookies_set(&rolled);
        if under_way {
            settle().await;
            let current = one.get().await.unwrap();
            let again = crate::support::set_cookie("sid=again; Path=/");
            Attempt::new(&one, &current).cookies_set(&again);
        }
        let closing = one.clone();
        let closed = tokio::spawn(async move { closing.close().await });
        settle().await;
        saves.add_permits(10);
        closed.await.unwrap().unwrap();
        settle().await;
        let other = fleet.start(server.program("right"));
        let found = other.get().await.unwrap();
        let last = if under_way { "again" } else { "rolled" };
        assert_eq!(found.cookie("sid"), Some(last));
    }
}

#[tokio::test]
async fn rule_21_a_close_leaves_what_another_has_saved_meanwhile() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(2 * SECOND).await;
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let renewing = one.clone();
    let renewed = tokio::spawn(async move { renewing.renew().await });
    settle().await;
    assert_eq!(server.logins(), 2);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    roll(&one, "sid=rolled; Path=/");
    settle().await;
    let closing = one.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    // It was being saved at the close.
    saves.add_permits(1);
    fleet.advance(3 * SECOND).await;
    assert_eq!(other.peek().unwrap().cookie("sid"), Some("rolled"));
    roll(&other, "sid=newest; Path=/");
    fleet.advance(SECOND).await;
    assert!(!closed.is_finished());
    saves.add_permits(10);
    gate.add_permits(1);
    settle().await;
    let _ = renewed.await.unwrap();
    closed.await.unwrap().unwrap();
    fleet.advance(3 * SECOND).await;
    assert_eq!(other.peek().unwrap().cookie("sid"), Some("newest"));
}

#[tokio::test]
async fn rule_21_a_close_does_not_bring_a_rejected_session_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR).idle(60 * SECOND));
    let one = fleet.start(server.program("right"));
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let fail_fast = auth_core::Ask::new().fail_fast();
    let current = one.peek().unwrap();
    Attempt::new(&one, &current).rejected();
    assert!(one.get_with(fail_fast).await.is_err());
    // It has not looked yet.
    other.close().await.unwrap();
    rolling(&server, Lifetime::of(HOUR).idle(60 * SECOND));
    fleet.leap(10 * SECOND);
    let next = fleet.start(server.program("right"));
    let found = next.get().await.unwrap();
    assert_ne!(found.cookie("sid"), Some("s-1"));
}

#[tokio::test]
async fn rule_15_a_revision_of_another_process_moves_no_idle_deadline_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR).idle(120 * SECOND));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(10 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    // Until 130 s.
    roll(&other, "sid=rolled; Path=/");
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(40 * SECOND).await;
    // Until 170 s.
    let current = one.peek().unwrap();
    Attempt::new(&one, &current).accepted();
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    assert_eq!(one.peek().unwrap().cookie("sid"), Some("rolled"));
    fleet.advance(70 * SECOND).await;
    assert!(one.fresh().is_some(), "140 s");
}

#[tokio::test]
async fn rule_21_a_slow_store_is_not_saved_to_again_and_again() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    fleet.advance(2 * SECOND).await;
    let before = store.0.saves.load(SeqCst);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    roll(&one, "sid=rolled; Path=/");
    fleet.advance(SECOND / 2).await;
    roll(&one, "sid=again; Path=/");
    for _ in 0..40 {
        // Each save takes a second and a half.
        fleet.advance(3 * SECOND / 2).await;
        saves.add_permits(1);
        settle().await;
    }
    let times = store.0.saves.load(SeqCst) - before;
    assert!(times <= 3, "{times} saves of two values");
}

#[tokio::test]
async fn rule_20_a_login_that_finds_another_value_of_its_session_uses_that() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let one = fleet.start_with(server.program("right"), store);
    let other = fleet.start(server.program("right"));
    let used = one.get().await.unwrap();
    other.get().await.unwrap();
    roll(&other, "sid=rolled; Path=/");
    settle().await;
    assert_eq!(
        Attempt::new(&one, &used).rejected(),
        auth_core::Conclusion::Replay
    );
    let newer = one.get().await.unwrap();
    assert_eq!(newer.cookie("sid"), Some("rolled"));
    assert_eq!(server.logins(), 1);
}
