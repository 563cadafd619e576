//! The quota: exact over all processes, and held back when it may be lost.

use std::time::Duration;

use auth_core::store::{PermitAnswer, PermitAsk, RedisStore, Store as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::server::RedisServer;
use super::{BOUND, MINUTE};

pub(crate) fn ask(id: &str) -> PermitAsk<'_> {
    PermitAsk {
        id,
        most: 2,
        window: MINUTE,
        counts_for: 2 * MINUTE,
    }
}

pub(crate) async fn given(store: &RedisStore, id: &str) {
    let answer = store.permit("origin", ask(id)).await.unwrap();
    assert_eq!(answer, PermitAnswer::Given);
}

/// The wait is about as long as this.
async fn waits(store: &RedisStore, id: &str, about: Duration) {
    let answer = store.permit("origin", ask(id)).await.unwrap();
    let PermitAnswer::Wait(wait) = answer else {
        panic!("{id} is given");
    };
    assert!(wait <= about && wait > about - MINUTE / 2, "{wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_window_has_more_permits_than_the_quota_whoever_asks() {
    const MOST: u32 = 3;
    const WINDOW: Duration = Duration::from_millis(300);
    const EACH: usize = 2;
    let Some(server) = RedisServer::start() else {
        return;
    };
    let mut processes = JoinSet::new();
    for process in 0..8 {
        let store = server.store();
        processes.spawn(async move {
            let mut permits = Vec::new();
            for login in 0..EACH {
                let id = format!("{process}-{login}");
                let ask = PermitAsk {
                    id: &id,
                    most: MOST,
                    window: WINDOW,
                    counts_for: WINDOW,
                };
                loop {
                    let asked = Instant::now();
                    match store.permit("origin", ask).await.unwrap() {
                        PermitAnswer::Given => {
                            permits.push((asked, Instant::now()));
                            break;
                        }
                        PermitAnswer::Wait(wait) => {
                            assert!(wait > Duration::ZERO && wait <= WINDOW);
                            sleep(wait).await;
                        }
                    }
                }
            }
            permits
        });
    }
    let all = processes.join_all().await.concat();
    assert_eq!(all.len(), 8 * EACH);
    // Each was given between its question and its answer.
    for (begin, _) in &all {
        let end = *begin + WINDOW;
        let within = all
            .iter()
            .filter(|(asked, answered)| asked >= begin && *answered < end);
        assert!(within.count() <= MOST as usize);
    }
}

#[tokio::test]
async fn a_login_that_was_not_sent_costs_nothing_and_a_hold_holds() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (server.store(), server.store());
    given(&one, "a").await;
    given(&other, "b").await;
    given(&one, "a").await;
    waits(&one, "c", 2 * MINUTE).await;
    other.end_permit("origin", "b", MINUTE).await.unwrap();
    waits(&one, "c", MINUTE).await;
    one.end_permit("origin", "a", Duration::ZERO).await.unwrap();
    given(&one, "c").await;
    one.end_permit("origin", "c", Duration::ZERO).await.unwrap();
    other.hold("origin", 3 * MINUTE).await.unwrap();
    other.hold("origin", MINUTE).await.unwrap();
    waits(&one, "d", 3 * MINUTE).await;
}

#[tokio::test]
async fn fields_that_are_damaged_count_as_absent() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    given(&store, "a").await;
    let mut raw = server.connection().await;
    for field in ["since", "held_until", "lost"] {
        let mut damage = redis::cmd("HSET");
        damage.arg("auth:{origin}:quota").arg(field).arg("damaged");
        let () = damage.query_async(&mut raw).await.unwrap();
    }
    given(&store, "b").await;
    waits(&store, "c", 2 * MINUTE).await;
    store.hold("origin", 3 * MINUTE).await.unwrap();
    waits(&store, "c", 3 * MINUTE).await;
}

#[tokio::test]
async fn a_loss_whose_time_is_damaged_holds_back_for_a_window_and_not_for_ever() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    given(&store, "a").await;
    let mut raw = server.connection().await;
    for (field, value) in [("lost", "1"), ("since", "damaged")] {
        let mut damage = redis::cmd("HSET");
        damage.arg("auth:{origin}:quota").arg(field).arg(value);
        let () = damage.query_async(&mut raw).await.unwrap();
    }
    let ask = PermitAsk {
        id: "b",
        most: 10,
        window: Duration::from_millis(200),
        counts_for: Duration::from_millis(200),
    };
    let mut answer = store.permit("origin", ask).await.unwrap();
    for _ in 0..20 {
        if answer == PermitAnswer::Given {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = store.permit("origin", ask).await.unwrap();
    }
    panic!("after ten windows: {answer:?}");
}

#[tokio::test]
async fn a_redis_that_was_emptied_gives_no_permit_for_a_window_once_it_is_known() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let (veteran, other) = (server.store(), server.store());
    // A first start waits for nothing.
    given(&veteran, "a").await;
    given(&other, "b").await;
    server.restart();
    waits(&veteran, "c", 2 * MINUTE).await;
    waits(&other, "d", 2 * MINUTE).await;
    waits(&server.store(), "e", 2 * MINUTE).await;
}

#[tokio::test]
async fn a_loss_without_a_restart_is_known_to_who_had_a_permit() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let veteran = server.store();
    given(&veteran, "a").await;
    let mut raw = server.connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut raw).await.unwrap();
    waits(&veteran, "b", 2 * MINUTE).await;
}

#[tokio::test]
async fn a_loss_without_a_restart_is_known_though_a_new_process_was_the_first_to_ask() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (store, new) = (server.store(), server.store());
    given(&store, "a").await;
    let mut raw = server.connection().await;
    let () = redis::cmd("FLUSHALL").query_async(&mut raw).await.unwrap();
    // It can't know.
    given(&new, "b").await;
    waits(&store, "c", 2 * MINUTE).await;
    waits(&new, "d", 2 * MINUTE).await;
}

#[tokio::test]
async fn a_loss_is_known_though_a_new_process_was_the_first_to_ask() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let veteran = server.store();
    given(&veteran, "a").await;
    server.restart();
    // It can't know.
    given(&server.store(), "b").await;
    waits(&veteran, "c", 2 * MINUTE).await;
    waits(&server.store(), "d", 2 * MINUTE).await;
}

#[tokio::test]
async fn a_loss_of_more_than_a_window_ago_holds_nothing_back() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let veteran = server.store();
    given(&veteran, "a").await;
    server.restart();
    given(&server.store(), "b").await;
    let mut raw = server.connection().await;
    let long_ago = 1_000_000;
    let mut set = redis::cmd("HSET");
    set.arg("auth:{origin}:quota").arg("since").arg(long_ago);
    let () = set.query_async(&mut raw).await.unwrap();
    given(&veteran, "c").await;
}

#[tokio::test]
async fn a_redis_that_comes_back_with_older_data_gives_no_permit_for_a_window() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    given(&server.store(), "a").await;
    let mut raw = server.connection().await;
    let () = redis::cmd("SAVE").query_async(&mut raw).await.unwrap();
    server.restart();
    // No process remembers but Redis itself.
    waits(&server.store(), "b", 2 * MINUTE).await;
    let bound = tokio::time::timeout(BOUND, server.store().load("n")).await;
    assert!(bound.unwrap().is_ok(), "all else goes on");
}

#[tokio::test]
async fn a_loss_is_known_to_who_might_not_ask_for_the_run_meanwhile() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let veteran = server.store();
    given(&veteran, "a").await;
    let mut raw = server.connection().await;
    let mut forbid = redis::cmd("ACL");
    forbid.arg("SETUSER").arg("default").arg("-info");
    let () = forbid.query_async(&mut raw).await.unwrap();
    given(&veteran, "b").await;
    server.restart();
    waits(&veteran, "c", 2 * MINUTE).await;
}
