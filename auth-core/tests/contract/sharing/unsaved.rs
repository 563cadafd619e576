//! Sessions that are not saved yet, and answers of the store that come late.

use super::*;

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
    while store.0.changes.lock().is_empty() {
        fleet.advance(SECOND).await;
    }
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
    // It ends while its refresh is under way.
    *server.0.refresh_gate.lock() = Some(Arc::new(Semaphore::new(0)));
    let mut get = Box::pin(first.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    assert_eq!(server.tokens_seen_once(), 1);
    drop(get);
    drop(first);
    settle().await;
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
