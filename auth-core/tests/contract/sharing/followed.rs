//! The task that follows the store.

use super::*;

/// A session of an hour that ends 80 s after its last request.
fn sliding(server: &Server) {
    server.answers(|number| session(number, Lifetime::of(HOUR).idle(80 * SECOND)));
}

/// A request that is accepted, sent now.
async fn uses(process: &Credentials) {
    let current = process.get().await.unwrap();
    Attempt::new(process, &current).accepted();
}

#[tokio::test]
async fn rule_21_a_session_that_one_process_uses_stays_good_for_the_others() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    sliding(&server);
    let process = fleet.start(server.program("right"));
    for _ in 0..30 {
        uses(&process).await;
        fleet.advance(10 * SECOND).await;
    }
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_21_an_idle_deadline_is_saved_once_it_has_moved_by_more_than_an_eighth() {
    for (sent_after, saves) in [(0, 0), (5, 0), (10, 0), (11, 1)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        sliding(&server);
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        store.changes();
        fleet.leap(sent_after * SECOND);
        uses(&process).await;
        fleet.advance(30 * SECOND).await;
        assert_eq!(store.changes(), saves, "after {sent_after} s of 80");
    }
}

#[tokio::test]
async fn rule_21_what_the_others_have_done_to_a_session_is_an_event() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    assert_eq!(fleet.events(is_loaded), 1);
    one.renew().await.unwrap();
    fleet.advance(2 * SECOND).await;
    assert_eq!(token(&other.fresh().unwrap()), "token-2");
    assert_eq!(fleet.events(is_loaded), 2);
    fleet.advance(30 * SECOND).await;
    assert_eq!(fleet.events(is_loaded), 2, "nothing has changed");
    one.log_out().await.unwrap();
    fleet.advance(2 * SECOND).await;
    let is_ended = |event: &Event| matches!(event, Event::Ended { .. });
    assert_eq!(fleet.events(is_ended), 1);
}

#[test]
fn rule_21_the_store_is_followed_again_after_the_runtime_of_a_login_is_gone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.build().unwrap()
    };
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    runtime().block_on(async {
        one.get().await.unwrap();
        other.get().await.unwrap();
    });
    runtime().block_on(async {
        assert_eq!(reject(&one).await.unwrap(), "token-2");
        fleet.advance(10 * SECOND).await;
        assert_eq!(
            token(&other.fresh().unwrap()),
            "token-1",
            "nothing is driven"
        );
        other.renew().await.unwrap();
        assert_eq!(reject(&one).await.unwrap(), "token-3");
        one.renew().await.unwrap();
        fleet.advance(10 * SECOND).await;
        assert_eq!(token(&other.fresh().unwrap()), "token-4");
    });
}

#[tokio::test]
async fn rule_19_a_cache_that_is_gone_does_not_keep_its_store() {
    for closes in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        fleet.advance(2 * SECOND).await;
        if closes {
            process.close().await.unwrap();
        }
        drop(process);
        settle().await;
        assert_eq!(Arc::strong_count(&store.0), 1, "its task is gone");
    }
}

#[tokio::test]
async fn rule_21_a_store_that_tells_of_no_changes_is_looked_at_every_five_to_ten_seconds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    fleet.advance(100 * SECOND).await;
    let looks = store.0.loads.load(SeqCst);
    assert!((10..=20).contains(&looks), "{looks}");
}

#[tokio::test]
async fn rule_21_a_cache_follows_its_store_once_however_often_it_logs_in() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.is_silent.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    for _ in 0..5 {
        process.renew().await.unwrap();
    }
    fleet.advance(100 * SECOND).await;
    let looks = store.0.loads.load(SeqCst);
    assert!((10..=20).contains(&looks), "{looks}");
}

#[tokio::test]
async fn rule_21_a_cache_without_a_session_does_not_look_for_changes_of_one() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("wrong"), store.clone());
    process.get().await.unwrap_err();
    fleet.advance(60 * SECOND).await;
    assert_eq!(
        store.0.loads.load(SeqCst),
        0,
        "its next login looks by itself"
    );
}

#[tokio::test]
async fn rule_16_values_of_a_session_that_another_process_has_replaced_are_known_for_a_while() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = session(number, Lifetime::of(HOUR))?;
        Ok(session.with_query("sid", &format!("v-{number}"))?)
    });
    let [one, other] = [(); 2].map(|()| fleet.start(server.program("right")));
    one.get().await.unwrap();
    other.get().await.unwrap();
    reject(&other).await.unwrap();
    fleet.advance(10 * SECOND).await;
    let current = one.fresh().unwrap();
    let known: Vec<&str> = current.query_secrets().collect();
    assert_eq!(known, ["v-2", "v-1"]);
}
