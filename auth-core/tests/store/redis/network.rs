//! Redis is down, slow, behind a bad network, or used from several runtimes.

use std::time::Duration;

use auth_core::store::{
    Change, Keys, Lease, LeaseAsk, PermitAnswer, RedisStore, Saved, Store as _, Version,
};
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};

use super::proxy::{Mood, Proxy};
use super::server::RedisServer;
use super::{BOUND, ask, lease, permits, save, saves_one};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn through(proxy: &Proxy) -> RedisStore {
    RedisStore::connect(&proxy.url(), Keys::from_bytes([7; 32])).unwrap()
}

/// It fails, and in time.
async fn fails(store: &RedisStore) -> String {
    let failed = timeout(BOUND, store.load("n")).await.expect("in time");
    failed.unwrap_err().to_string()
}

#[tokio::test]
async fn a_fleet_starts_while_redis_is_down() {
    let Some(mut server) = RedisServer::stopped(&[]) else {
        return;
    };
    let store = server.store();
    assert!(fails(&store).await.contains("nothing listens"));
    let mut changed = Box::pin(store.changed("n"));
    assert!(
        timeout(BOUND / 4, &mut changed).await.is_err(),
        "it never comes"
    );
    server.run();
    saves_one(&store, "n").await;
}

#[tokio::test]
async fn after_a_crash_an_empty_redis_has_another_epoch_and_takes_the_session_of_before() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    let before = saves_one(&store, "n").await;
    server.kill();
    assert!(fails(&store).await.contains("nothing listens"));
    server.run();
    let entry = store.load("n").await.unwrap();
    assert!(entry.session.is_none());
    let epoch = lease(&store, "n", "b").await.epoch;
    assert_ne!(epoch, before.epoch);
    let saved = store.save("n", save(before, b"of before")).await.unwrap();
    let expected = Version {
        epoch,
        fence: 0,
        revision: 1,
    };
    assert_eq!(saved, Saved::Made(expected));
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_costs_no_operation() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    // Its runtime is not driven while Redis starts anew, so nothing tells it of the end.
    let (store, runtime) = (server.store(), runtime());
    tokio::task::spawn_blocking(move || {
        runtime.block_on(saves_one(&store, "n"));
        server.restart();
        runtime.block_on(store.load("n")).unwrap();
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_paused_redis_is_given_up_in_time_and_used_again() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    saves_one(&store, "n").await;
    server.pause();
    let failures = futures_util::future::join_all((0..20).map(|_| fails(&store)));
    for failure in failures.await {
        assert!(failure.contains("did not answer"), "{failure}");
    }
    server.resume();
    assert!(store.load("n").await.unwrap().session.is_some());
}

#[tokio::test]
async fn a_network_that_swallows_everything_is_given_up_in_time_and_left() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::to(server.port()).await;
    let store = through(&proxy);
    saves_one(&store, "n").await;
    proxy.set(Mood::Swallow);
    assert!(fails(&store).await.contains("did not answer"));
    // The old connection is lost for good; a new one would do.
    proxy.set(Mood::Pass);
    assert!(store.load("n").await.unwrap().session.is_some());
}

#[tokio::test]
async fn a_caller_that_gives_up_early_does_not_keep_a_dead_connection_alive() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::to(server.port()).await;
    let store = through(&proxy);
    saves_one(&store, "n").await;
    proxy.set(Mood::Swallow);
    let given_up = timeout(Duration::from_millis(50), store.load("n")).await;
    assert!(given_up.is_err());
    proxy.set(Mood::Pass);
    let quick = timeout(Duration::from_secs(1), store.load("n")).await;
    assert!(quick.unwrap().unwrap().session.is_some());
}

#[tokio::test]
async fn who_gives_up_listening_to_a_slow_redis_keeps_its_connection() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::to(server.port()).await;
    let store = through(&proxy);
    saves_one(&store, "n").await;
    let mut raw = server.connection().await;
    let mut connections = async || {
        let mut stats = redis::cmd("INFO");
        let stats: String = stats.arg("stats").query_async(&mut raw).await.unwrap();
        let number = stats.split_once("total_connections_received:").unwrap().1;
        number.split_once('\r').unwrap().0.to_owned()
    };
    let before = connections().await;
    proxy.set(Mood::Slow);
    let given_up = timeout(Duration::from_millis(50), store.changed("n")).await;
    assert!(given_up.is_err());
    store.load("n").await.unwrap();
    assert_eq!(connections().await, before);
}

#[tokio::test]
async fn a_connection_that_is_cut_while_it_is_opened_is_opened_again() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::to(server.port()).await;
    // The first answer is that to the greeting.
    proxy.set(Mood::CutAtAnswer);
    let entry = through(&proxy).load("n").await.unwrap();
    assert!(entry.session.is_none());
}

#[tokio::test]
async fn a_save_whose_answer_was_lost_is_known_for_its_own() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let proxy = Proxy::to(server.port()).await;
    let store = through(&proxy);
    // So that the scripts are known, and the save is sent at once.
    saves_one(&store, "another").await;
    let version = lease(&store, "n", "a").await;
    proxy.set(Mood::CutAtAnswer);
    let change = Change {
        releases: Some("a".into()),
        ..save(version, b"session")
    };
    let saved = store.save("n", change).await.unwrap();
    assert_eq!(saved, Saved::Made(version));
    // Another's save of the same version is another's.
    let other = store
        .save("n", save(version, b"session of another"))
        .await
        .unwrap();
    assert_eq!(other, Saved::Newer(version));
    let same = store.save("n", save(version, b"session")).await.unwrap();
    assert_eq!(same, Saved::Newer(version), "not asked again, but anew");
}

#[tokio::test]
async fn a_failover_is_followed_on_open_connections_and_costs_a_window() {
    let Some(first) = RedisServer::start() else {
        return;
    };
    let second = RedisServer::start().unwrap();
    let proxy = Proxy::to(first.port()).await;
    let store = through(&proxy);
    saves_one(&store, "n").await;
    permits::given(&store, "a").await;
    let (mut one, mut two) = (first.connection().await, second.connection().await);
    follow(&mut two, "127.0.0.1", &first.port().to_string()).await;
    let replica = second.store();
    timeout(20 * BOUND, async {
        while replica
            .load("n")
            .await
            .is_ok_and(|entry| entry.session.is_none())
        {
            sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();

    follow(&mut two, "NO", "ONE").await;
    follow(&mut one, "127.0.0.1", &second.port().to_string()).await;
    proxy.lead_to(second.port());
    let answer = store.permit("origin", permits::ask("b")).await.unwrap();
    assert!(matches!(answer, PermitAnswer::Wait(_)), "{answer:?}");
    assert!(replica.purge("n").await.unwrap());
    let entry = store.load("n").await.unwrap();
    assert!(entry.session.is_none(), "it reads from where it writes");
}

/// As a replica that takes over, and has not had it.
#[tokio::test]
async fn after_the_loss_of_the_last_save_no_fence_is_given_again() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (server.store(), server.store());
    let kept = saves_one(&one, "n").await;
    let mut raw = server.connection().await;
    let () = redis::cmd("SAVE").query_async(&mut raw).await.unwrap();
    let ask = LeaseAsk {
        known: Some(kept),
        ..ask("a")
    };
    let answer = one.lease("n", ask).await.unwrap();
    let Lease::Taken { fence } = answer.lease else {
        panic!("{answer:?}");
    };
    let lost = Version { fence, ..kept };
    let saved = one.save("n", save(lost, b"lost")).await.unwrap();
    assert_eq!(saved, Saved::Made(lost));
    server.restart();
    assert_eq!(other.load("n").await.unwrap().version, kept);
    let answer = other.lease("n", ask).await.unwrap();
    let Lease::Taken { fence } = answer.lease else {
        panic!("{answer:?}");
    };
    let next = Version { fence, ..kept };
    assert!(next.is_newer_than(lost), "{next:?}, {lost:?}");
    let saved = other.save("n", save(next, b"next")).await.unwrap();
    assert_eq!(saved, Saved::Made(next));
}

async fn follow(server: &mut MultiplexedConnection, host: &str, port: &str) {
    let mut follow = redis::cmd("REPLICAOF");
    follow.arg(host).arg(port);
    let () = follow.query_async(server).await.unwrap();
}

#[test]
fn a_runtime_that_ends_or_is_not_driven_takes_nothing_from_another() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    let (ends, idle, other) = (runtime(), runtime(), runtime());
    ends.block_on(saves_one(&store, "n"));
    drop(ends);
    idle.block_on(async {
        timeout(BOUND, store.changed("n")).await.unwrap();
        store.load("n").await.unwrap();
    });
    other.block_on(async {
        let quick = timeout(BOUND / 2, store.load("n")).await;
        assert!(quick.unwrap().unwrap().session.is_some());
        timeout(BOUND / 2, store.changed("n")).await.unwrap();
        let heard = async { tokio::join!(store.changed("m"), saves_one(&store, "m")) };
        timeout(BOUND, heard).await.unwrap();
    });
    idle.block_on(store.load("n")).unwrap();
}

#[test]
fn without_a_runtime_it_says_so() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    let failed = futures_util::FutureExt::now_or_never(store.load("n"));
    assert!(
        failed
            .unwrap()
            .unwrap_err()
            .to_string()
            .contains("no Tokio runtime")
    );
}

#[tokio::test]
async fn the_last_clone_closes_the_connections() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let mut raw = server.connection().await;
    let mut clients = async || {
        let mut list = redis::cmd("CLIENT");
        let list: String = list.arg("LIST").query_async(&mut raw).await.unwrap();
        list.lines().count()
    };
    assert_eq!(clients().await, 1);
    let store = server.store();
    let clone = store.clone();
    timeout(BOUND, store.changed("n")).await.unwrap();
    saves_one(&store, "n").await;
    drop(store);
    clone.load("n").await.unwrap();
    assert_eq!(
        clients().await,
        2,
        "one for commands and notices, of both clones"
    );
    drop(clone);
    let begun = Instant::now();
    while clients().await > 1 {
        assert!(begun.elapsed() < BOUND, "the connection stays open");
        sleep(Duration::from_millis(5)).await;
    }
}
