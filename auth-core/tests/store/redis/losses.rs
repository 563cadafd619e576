//! A Redis that has lost what it had confirmed, and the refresh tokens that can be used once.

use std::time::Duration;

use auth_core::store::{
    Change, Lease, LeaseAsk, NotesChange, RedisStore, Saved, SessionChange, Store as _, Version,
};
use redis::aio::MultiplexedConnection;
use tokio::time::sleep;

use super::server::RedisServer;
use super::{MINUTE, ask, lease, of_user, save, saves_one};
use crate::programs::{LIFE, LoginServer, Process};

/// What the server has now is what it has after its next start.
async fn snapshot(server: &RedisServer) {
    let mut raw = server.connection().await;
    let () = redis::cmd("SAVE").query_async(&mut raw).await.unwrap();
}

/// It gives permits at once, as if those of before the start counted no more.
async fn forget_permits(raw: &mut MultiplexedConnection) {
    for pattern in ["auth:*:quota", "auth:*:permits"] {
        let mut keys = redis::cmd("KEYS");
        let keys: Vec<String> = keys.arg(pattern).query_async(raw).await.unwrap();
        for key in keys {
            let () = redis::cmd("DEL").arg(key).query_async(raw).await.unwrap();
        }
    }
}

async fn get(process: &Process) {
    process.credentials.get().await.unwrap();
}

/// A process has refreshed, and the server comes back with what was there before.
#[tokio::test]
async fn rule_22_a_token_is_not_sent_that_redis_may_have_lost_the_mark_of() {
    let Some(mut redis) = RedisServer::start() else {
        return;
    };
    let server = LoginServer::new();
    let first = server.start(redis.store());
    get(&first).await;
    snapshot(&redis).await;
    first.clock.advance(2 * LIFE);
    get(&first).await;
    assert_eq!(server.tokens(), ["token-of-login-1"]);
    redis.restart();
    forget_permits(&mut redis.connection().await).await;

    let later = server.start(redis.store());
    get(&later).await;
    assert_eq!(server.logins(), 1, "the session is served");
    later.clock.advance(2 * LIFE);
    get(&later).await;
    assert_eq!(server.tokens(), ["token-of-login-1"]);
    assert_eq!(server.logins(), 2);
    // The token of the session that was saved since is good, for all.
    let another = server.start(redis.store());
    get(&another).await;
    another.clock.advance(2 * LIFE);
    get(&another).await;
    assert_eq!(server.tokens(), ["token-of-login-1", "token-of-login-2"]);
    assert_eq!(server.logins(), 2);
}

/// The session is the same, and the mark alone is lost.
#[tokio::test]
async fn rule_22_a_token_is_not_sent_again_by_who_has_the_session_of_before_the_loss_of_its_mark() {
    let Some(mut redis) = RedisServer::start() else {
        return;
    };
    let server = LoginServer::new();
    let [one, other] = [(); 2].map(|()| server.start(redis.store()));
    get(&one).await;
    get(&other).await;
    snapshot(&redis).await;
    // Its process is gone before there is an answer.
    server.hangs();
    one.clock.advance(2 * LIFE);
    let credentials = one.credentials.clone();
    let hanging = tokio::spawn(async move { credentials.get().await.is_ok() });
    while server.tokens().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    redis.restart();
    hanging.abort();
    forget_permits(&mut redis.connection().await).await;

    other.clock.advance(2 * LIFE);
    get(&other).await;
    assert_eq!(server.tokens(), ["token-of-login-1"]);
    assert_eq!(server.logins(), 2);
}

async fn may_lack_notes(store: &RedisStore) -> bool {
    store.load("n").await.unwrap().may_lack_notes
}

/// The session was obtained before, whenever a revision of it is saved.
#[tokio::test]
async fn rule_22_notes_may_be_lost_until_a_session_is_saved_that_was_obtained_since() {
    let Some(mut redis) = RedisServer::start() else {
        return;
    };
    let store = redis.store();
    assert!(!may_lack_notes(&store).await, "nothing is there");
    let saved = saves_one(&store, "n").await;
    let noted = Change {
        session: SessionChange::Keep,
        notes: NotesChange::Save(b"notes".into(), MINUTE),
        ..save(saved, b"")
    };
    assert_eq!(store.save("n", noted).await.unwrap(), Saved::Made(saved));
    assert!(!may_lack_notes(&store).await);
    // One login is under way at the restart, and has its lease in the snapshot.
    let known = LeaseAsk {
        known: Some(saved),
        ..ask("before")
    };
    let before = store.lease("n", known).await.unwrap();
    assert!(!before.entry.may_lack_notes);
    let Lease::Taken { fence } = before.lease else {
        panic!("{before:?}");
    };
    snapshot(&redis).await;
    redis.restart();
    assert!(may_lack_notes(&store).await);
    let entry = store.load("n").await.unwrap();
    assert!(
        entry.session.is_some() && entry.notes.is_some(),
        "it has them"
    );
    let rolled = Version {
        revision: 1,
        ..saved
    };
    let change = save(rolled, b"rolled");
    assert_eq!(store.save("n", change).await.unwrap(), Saved::Made(rolled));
    assert!(may_lack_notes(&store).await);
    // Whether the lease is extended first, or not.
    let answer = store.lease("n", known).await.unwrap();
    assert!(answer.entry.may_lack_notes);
    let of_before = Version { fence, ..saved };
    let change = Change {
        releases: Some("before".into()),
        ..save(of_before, b"of before")
    };
    assert_eq!(
        store.save("n", change).await.unwrap(),
        Saved::Made(of_before)
    );
    assert!(may_lack_notes(&store).await);

    let known = LeaseAsk {
        known: Some(of_before),
        ..ask("since")
    };
    let answer = store.lease("n", known).await.unwrap();
    assert!(answer.entry.may_lack_notes);
    let Lease::Taken { fence } = answer.lease else {
        panic!("{answer:?}");
    };
    let since = Version { fence, ..saved };
    let change = save(since, b"since");
    assert_eq!(store.save("n", change).await.unwrap(), Saved::Made(since));
    assert!(!may_lack_notes(&store).await);
    assert!(!may_lack_notes(&redis.store()).await);
}

/// A fence of before may have been lost with the notes. It was the time of then.
#[tokio::test]
async fn rule_22_a_session_that_was_lost_and_is_saved_again_may_lack_notes() {
    let Some(mut redis) = RedisServer::start() else {
        return;
    };
    let store = redis.store();
    saves_one(&store, "n").await;
    snapshot(&redis).await;
    let first = store.load("n").await.unwrap().version;
    let known = LeaseAsk {
        known: Some(first),
        ..ask("a")
    };
    let Lease::Taken { fence } = store.lease("n", known).await.unwrap().lease else {
        panic!("the lease was free");
    };
    redis.restart();
    lease_after(&store, first).await;
    let lost = Version {
        fence,
        revision: 1,
        ..first
    };
    let saved = store.save("n", save(lost, b"lost")).await.unwrap();
    assert_eq!(saved, Saved::Made(lost));
    assert!(may_lack_notes(&store).await);
}

/// Another process asks for the lease, and gives it back.
async fn lease_after(store: &RedisStore, known: Version) {
    let known = LeaseAsk {
        known: Some(known),
        ..ask("b")
    };
    let answer = store.lease("n", known).await.unwrap();
    assert!(answer.entry.may_lack_notes);
}

#[tokio::test]
async fn rule_22_a_note_of_the_run_that_is_damaged_counts_as_absent_and_is_replaced() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let store = redis.store();
    let mut raw = redis.connection().await;
    for (field, damaged) in [
        ("run", "damaged"),
        ("run.after", "damaged"),
        ("run.after", ""),
    ] {
        let version = saves_one(&store, "n").await;
        let mut damage = redis::cmd("HSET");
        damage.arg("auth:{n}:entry").arg(field).arg(damaged);
        let () = damage.query_async(&mut raw).await.unwrap();
        assert!(may_lack_notes(&store).await, "{field}");
        store.purge("n").await.unwrap();
        assert!(!may_lack_notes(&store).await, "nothing is there");
        let next = saves_one(&store, "n").await;
        assert!(next.fence > version.fence && !may_lack_notes(&store).await);
        store.purge("n").await.unwrap();
    }
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_run_knows_of_no_loss() {
    let Some(mut redis) = RedisServer::start() else {
        return;
    };
    let rules = "~auth:* &auth:* +@all -info";
    let store = of_user(&redis, &mut redis.connection().await, rules).await;
    let version = lease(&store, "n", "a").await;
    store.save("n", save(version, b"session")).await.unwrap();
    assert!(!may_lack_notes(&store).await);
    assert!(may_lack_notes(&redis.store()).await, "another may ask");
    snapshot(&redis).await;
    redis.restart();
    let store = of_user(&redis, &mut redis.connection().await, rules).await;
    assert!(!may_lack_notes(&store).await);
}
