//! The store in Redis, against a `redis-server` of the test's own.

mod losses;
mod model;
mod network;
mod permits;
mod proxy;
mod secrecy;
mod server;
mod unreadable;

use std::time::Duration;

use auth_core::store::{
    Change, Keys, Lease, LeaseAsk, NotesChange, PermitAnswer, RedisStore, Saved, SessionChange,
    Store as _, Version,
};
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use server::RedisServer;

use crate::conformance::{Fresh, a_change_of_another_process_is_noticed};

const MINUTE: Duration = Duration::from_secs(60);
/// What the cache grants a store.
const BOUND: Duration = Duration::from_secs(2);

fn fresh() -> Option<Fresh<RedisStore>> {
    let server = RedisServer::start()?;
    Some(Fresh::new(server.store(), server.store(), server))
}

conformance!(fresh());

#[tokio::test]
async fn a_change_is_noticed() {
    let Some(fresh) = fresh() else {
        return;
    };
    // It listens from now on.
    fresh.two.changed("entry-1").await;
    a_change_of_another_process_is_noticed(&fresh).await;
}

fn ask(owner: &str) -> LeaseAsk<'_> {
    LeaseAsk {
        owner,
        lasts: MINUTE,
        known: None,
        rejected: false,
        only_extends: false,
    }
}

fn save(version: Version, sealed: &[u8]) -> Change {
    Change {
        version,
        session: SessionChange::Save(sealed.to_vec(), MINUTE),
        notes: NotesChange::Keep,
        releases: None,
    }
}

/// The version of a session obtained under a lease that is taken now.
async fn lease(store: &RedisStore, name: &str, owner: &str) -> Version {
    let answer = store.lease(name, ask(owner)).await.unwrap();
    let Lease::Taken { fence } = answer.lease else {
        panic!("{:?}", answer.lease);
    };
    Version {
        epoch: answer.epoch,
        fence,
        revision: 0,
    }
}

async fn saves_one(store: &RedisStore, name: &str) -> Version {
    let version = lease(store, name, "a").await;
    let change = Change {
        releases: Some("a".into()),
        ..save(version, b"session")
    };
    let saved = store.save(name, change).await.unwrap();
    assert_eq!(saved, Saved::Made(version));
    version
}

#[tokio::test]
async fn two_processes_have_one_lease_and_one_session() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (server.store(), server.store());
    let version = lease(&one, "n", "one").await;
    let held = other.lease("n", ask("other")).await.unwrap();
    assert!(matches!(held.lease, Lease::Held { left } if left <= MINUTE && left > MINUTE / 2));
    let change = Change {
        releases: Some("one".into()),
        ..save(version, b"session")
    };
    assert_eq!(one.save("n", change).await.unwrap(), Saved::Made(version));
    let answer = other.lease("n", ask("other")).await.unwrap();
    assert_eq!(answer.lease, Lease::NotNeeded);
    assert_eq!(answer.entry.session.unwrap().sealed, b"session");
}

#[tokio::test]
async fn after_the_clock_was_set_back_a_lease_lasts_no_longer_than_was_asked_for() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (server.store(), server.store());
    lease(&one, "n", "one").await;
    let mut raw = server.connection().await;
    // By a tenth of a second, or by eight hours. Its owner may be at its login.
    for later in [100_000, 8 * 3_600_000_000_u64] {
        let mut later_by = redis::cmd("HINCRBY");
        later_by.arg("auth:{n}:entry").arg("lease.until").arg(later);
        let () = later_by.query_async(&mut raw).await.unwrap();
        let mut last = MINUTE;
        for _ in 0..3 {
            let answer = other.lease("n", ask("other")).await.unwrap().lease;
            let Lease::Held { left } = answer else {
                panic!("{answer:?}");
            };
            assert!(left <= last && left > MINUTE / 2, "{left:?}");
            // It goes on from the first look.
            tokio::time::sleep(Duration::from_millis(2)).await;
            last = left - Duration::from_millis(1);
        }
    }
}

#[tokio::test]
async fn a_lease_lapses_by_itself_and_the_late_save_of_its_owner_is_refused() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (server.store(), server.store());
    let short = LeaseAsk {
        lasts: Duration::from_millis(30),
        ..ask("one")
    };
    let Lease::Taken { fence: first } = one.lease("n", short).await.unwrap().lease else {
        panic!("the lease was free");
    };
    let version = timeout(BOUND, async {
        loop {
            let answer = other.lease("n", ask("other")).await.unwrap();
            match answer.lease {
                Lease::Held { left } => tokio::time::sleep(left).await,
                Lease::Taken { fence } => {
                    assert!(fence > first);
                    let epoch = answer.epoch;
                    return Version {
                        epoch,
                        fence,
                        revision: 0,
                    };
                }
                Lease::NotNeeded => panic!("nothing is there"),
            }
        }
    })
    .await
    .unwrap();
    assert_eq!(
        other.save("n", save(version, b"new")).await.unwrap(),
        Saved::Made(version)
    );
    let late = Version {
        fence: first,
        ..version
    };
    assert_eq!(
        one.save("n", save(late, b"late")).await.unwrap(),
        Saved::Newer(version)
    );
    assert_eq!(one.load("n").await.unwrap().session.unwrap().sealed, b"new");
}

#[tokio::test]
async fn an_age_grows_on_the_clock_of_the_server() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    saves_one(&store, "n").await;
    let mut raw = server.connection().await;
    let clock = || redis::cmd("TIME");
    let (before, _): (u64, u64) = clock().query_async(&mut raw).await.unwrap();
    // As one that was saved an hour ago.
    let an_hour_ago = (before - 3600) * 1_000_000;
    let mut set = redis::cmd("HSET");
    set.arg("auth:{n}:session").arg("saved").arg(an_hour_ago);
    let () = set.query_async(&mut raw).await.unwrap();
    let age = store.load("n").await.unwrap().session.unwrap().age;
    assert!(age >= 60 * MINUTE && age < 61 * MINUTE, "{age:?}");
    // The clock was set back since.
    let mut set = redis::cmd("HSET");
    set.arg("auth:{n}:session")
        .arg("saved")
        .arg((before + 3600) * 1_000_000);
    let () = set.query_async(&mut raw).await.unwrap();
    assert_eq!(
        store.load("n").await.unwrap().session.unwrap().age,
        Duration::ZERO
    );
}

#[tokio::test]
async fn rule_25_fields_that_are_damaged_count_as_absent_and_are_replaced() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    let mut raw = server.connection().await;
    for (part, field) in [
        ("session", "saved"),
        ("session", "sealed"),
        ("notes", "saved"),
        ("entry", "version.epoch"),
        ("entry", "version.fence"),
        ("entry", "version.revision"),
        ("entry", "lease.epoch"),
        ("entry", "lease.fence"),
        ("entry", "lease.until"),
        ("entry", "lease.lasts"),
    ] {
        for damaged in [None, Some("damaged"), Some("")] {
            let name = format!("{part}-{field}-{damaged:?}")
                .replace(|sign: char| !sign.is_alphanumeric(), "-");
            let version = lease(&store, &name, "a").await;
            let change = Change {
                notes: NotesChange::Save(b"notes".into(), MINUTE),
                ..save(version, b"session")
            };
            assert_eq!(
                store.save(&name, change).await.unwrap(),
                Saved::Made(version)
            );
            let mut damage = redis::cmd(if damaged.is_some() { "HSET" } else { "HDEL" });
            damage
                .arg(format!("auth:{{{name}}}:{part}"))
                .arg(field)
                .arg(damaged);
            let () = damage.query_async(&mut raw).await.unwrap();
            let found = store.load(&name).await.expect(&name);
            assert!(
                found.version == version || found.session.is_none(),
                "{name}"
            );
            // Whether the sealed bytes are damaged is for the seal to say.
            let is_seen = !field.starts_with("lease") && (field != "sealed" || damaged.is_none());
            assert_eq!(found.unreadable.is_some(), is_seen, "{name}");
            let known = LeaseAsk {
                known: Some(found.version),
                ..ask("a")
            };
            let answer = store.lease(&name, known).await.expect(&name);
            let Lease::Taken { fence } = answer.lease else {
                panic!("{name}: {answer:?}");
            };
            let version = Version {
                epoch: answer.epoch,
                fence,
                revision: 1,
            };
            let saved = store.save(&name, save(version, b"next")).await.unwrap();
            assert_eq!(saved, Saved::Made(version), "{name}");
            let found = store.load(&name).await.unwrap();
            assert_eq!(found.session.unwrap().sealed, b"next", "{name}");
            assert_eq!(found.unreadable.is_some(), part == "notes", "{name}");
        }
    }
}

#[tokio::test]
async fn a_number_that_is_too_large_counts_as_absent() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    let mut raw = server.connection().await;
    for field in [
        "version.epoch",
        "version.fence",
        "version.revision",
        "lease.epoch",
        "lease.fence",
        "lease.until",
    ] {
        let name = field.replace('.', "-");
        let version = lease(&store, &name, "a").await;
        let saved = store.save(&name, save(version, b"session")).await.unwrap();
        assert_eq!(saved, Saved::Made(version));
        let mut damage = redis::cmd("HSET");
        damage
            .arg(format!("auth:{{{name}}}:entry"))
            .arg(field)
            .arg("9".repeat(30));
        let () = damage.query_async(&mut raw).await.unwrap();
        let loaded = store.load(&name).await;
        assert!(loaded.is_ok(), "{name}: {loaded:?}");
        let known = LeaseAsk {
            known: Some(loaded.unwrap().version),
            ..ask("b")
        };
        let leased = store.lease(&name, known).await;
        assert!(leased.is_ok(), "{name}: {leased:?}");
    }
}

#[tokio::test]
async fn what_need_not_be_kept_lapses_and_fences_outlive_it() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    let version = lease(&store, "n", "a").await;
    let day = 24 * 60 * MINUTE;
    let change = Change {
        session: SessionChange::Save(b"session".into(), MINUTE),
        notes: NotesChange::Save(b"notes".into(), day),
        ..save(version, b"")
    };
    assert_eq!(store.save("n", change).await.unwrap(), Saved::Made(version));
    let mut raw = server.connection().await;
    let mut lives = async |part: &str| {
        let mut left = redis::cmd("PTTL");
        left.arg(format!("auth:{{n}}:{part}"));
        let left: u64 = left.query_async(&mut raw).await.unwrap();
        Duration::from_millis(left)
    };
    let session = lives("session").await;
    assert!(session <= MINUTE && session > MINUTE / 2);
    let notes = lives("notes").await;
    assert!(notes <= day && notes > day - MINUTE);
    let leases = lives("entry").await;
    assert!(leases > 91 * day - MINUTE, "{leases:?}");
    // A shorter one shortens the session's life and no other.
    let rolled = Version {
        revision: 1,
        ..version
    };
    let change = Change {
        session: SessionChange::Save(b"rolled".into(), MINUTE / 2),
        ..save(rolled, b"")
    };
    assert_eq!(store.save("n", change).await.unwrap(), Saved::Made(rolled));
    assert!(lives("session").await <= MINUTE / 2);
    assert!(lives("entry").await > 91 * day - MINUTE);
    // What is to be kept for ever, is for a hundred years.
    let rolled = Version {
        revision: 2,
        ..version
    };
    let change = Change {
        session: SessionChange::Save(b"rolled".into(), Duration::MAX),
        ..save(rolled, b"")
    };
    assert_eq!(store.save("n", change).await.unwrap(), Saved::Made(rolled));
    assert!(lives("session").await > 36_000 * day);
    assert!(lives("entry").await > 36_000 * day);
}

#[tokio::test]
async fn a_change_is_heard_by_who_waits_for_its_name() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (server.store(), server.store());
    // The first wait begins to listen, and can't know what was before.
    timeout(BOUND, other.changed("n")).await.unwrap();
    let mut changed = Box::pin(other.changed("n"));
    assert!(futures_util::poll!(&mut changed).is_pending());
    saves_one(&one, "another").await;
    // What is published comes in order, so this one comes after the other.
    let mut marker = Box::pin(other.changed("marker"));
    assert!(futures_util::poll!(&mut marker).is_pending());
    saves_one(&one, "marker").await;
    timeout(BOUND, marker).await.unwrap();
    assert!(
        futures_util::poll!(&mut changed).is_pending(),
        "of another name"
    );
    let version = saves_one(&one, "n").await;
    timeout(BOUND, changed).await.unwrap();

    // So are a rejection, by whichever step it comes, an end, and a release.
    let rejects = Change {
        session: SessionChange::Reject,
        ..save(version, b"")
    };
    let ends = Change {
        session: SessionChange::End,
        ..rejects.clone()
    };
    let rejects_by_lease = LeaseAsk {
        known: Some(version),
        rejected: true,
        ..ask("a")
    };
    let releases = Change {
        session: SessionChange::Keep,
        releases: Some("a".into()),
        ..save(
            Version {
                fence: 0,
                ..version
            },
            b"",
        )
    };
    for step in 0..4 {
        let mut changed = Box::pin(other.changed("n"));
        assert!(futures_util::poll!(&mut changed).is_pending());
        match step {
            0 => drop(one.lease("n", rejects_by_lease).await.unwrap()),
            1 => drop(one.save("n", rejects.clone()).await.unwrap()),
            2 => drop(one.save("n", ends.clone()).await.unwrap()),
            _ => {
                let saved = one.save("n", releases.clone()).await.unwrap();
                assert_eq!(saved, Saved::Newer(version), "released all the same");
            }
        }
        timeout(BOUND, changed).await.unwrap();
    }
}

#[tokio::test]
async fn who_waits_listens_again_after_a_restart() {
    let Some(mut server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    timeout(BOUND, store.changed("n")).await.unwrap();
    let mut changed = Box::pin(store.changed("n"));
    assert!(futures_util::poll!(&mut changed).is_pending());
    server.restart();
    timeout(BOUND, changed)
        .await
        .expect("it may have missed something");
    timeout(BOUND, store.changed("n"))
        .await
        .expect("it listens anew");
    let mut changed = Box::pin(store.changed("n"));
    assert!(futures_util::poll!(&mut changed).is_pending());
    saves_one(&server.store(), "n").await;
    timeout(BOUND, changed).await.unwrap();
}

#[tokio::test]
async fn a_prefix_keeps_tenants_apart() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let (one, other) = (server.store().prefix("one"), server.store().prefix("other"));
    saves_one(&one, "n").await;
    assert!(other.load("n").await.unwrap().session.is_none());
    saves_one(&other, "n").await;
    assert_eq!(other.purge_all().await.unwrap(), 1);
    assert!(one.load("n").await.unwrap().session.is_some());
}

#[tokio::test]
async fn entries_are_listed_and_purged() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    assert!(store.list().await.unwrap().is_empty());
    // More than one step of the search, and more than one batch.
    let mut names: Vec<_> = (0..1500).map(|number| format!("{number:x}")).collect();
    for batch in names.chunks(100) {
        let saves = batch.iter().map(|name| saves_one(&store, name));
        futures_util::future::join_all(saves).await;
    }
    names.sort();
    // One that was leased and never saved is not stored.
    lease(&store, "leased", "a").await;
    let listed = store.list().await.unwrap();
    let found: Vec<_> = listed.iter().map(|stored| stored.name.clone()).collect();
    assert_eq!(found, names);
    let stored = &listed[0];
    assert!(stored.session_age.is_some() && stored.notes_age.is_none() && !stored.is_over);
    assert!(stored.unreadable.is_some(), "it was never sealed");

    let before = store.load("0").await.unwrap().version;
    assert!(store.purge("0").await.unwrap());
    assert!(!store.purge("0").await.unwrap(), "it is gone");
    let entry = store.load("0").await.unwrap();
    assert!(entry.session.is_none() && entry.version == Version::default());
    let leased = lease(&store, "0", "a").await;
    assert_ne!(leased.epoch, before.epoch, "the marks are gone");
    assert!(leased.fence > before.fence);
    let version = store.load("1").await.unwrap().version;
    let ended = Change {
        session: SessionChange::End,
        ..save(version, b"")
    };
    store.save("1", ended).await.unwrap();
    assert_eq!(store.purge_older(MINUTE).await.unwrap(), 0);
    assert_eq!(store.purge_older(Duration::ZERO).await.unwrap(), 1498);
    assert!(store.load("1").await.unwrap().was_logged_out());
    saves_one(&store, "1").await;
    assert_eq!(store.purge_all().await.unwrap(), 1);
    assert!(store.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn rule_25_keys_of_another_program_under_the_prefix_are_passed_over() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let store = server.store();
    saves_one(&store, "n").await;
    let mut raw = server.connection().await;
    for key in [&b"auth:{text}:entry"[..], b"auth:{\xff}:entry"] {
        let mut set = redis::cmd("SET");
        set.arg(key).arg("x");
        let () = set.query_async(&mut raw).await.unwrap();
    }
    let listed = store.list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|stored| &stored.name[..]).collect();
    assert_eq!(names, ["n"]);
    assert!(store.load("text").await.unwrap().session.is_none());
    let error = store.lease("text", ask("a")).await.unwrap_err();
    assert!(error.to_string().contains("another program"), "{error}");
    assert_eq!(store.purge_all().await.unwrap(), 1);
    let left: String = redis::cmd("GET")
        .arg("auth:{text}:entry")
        .query_async(&mut raw)
        .await
        .unwrap();
    assert_eq!(left, "x");
}

/// A store of a user with these rules.
async fn of_user(server: &RedisServer, raw: &mut MultiplexedConnection, rules: &str) -> RedisStore {
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER")
        .arg("u")
        .arg("reset")
        .arg("on")
        .arg(">p");
    user.arg(rules.split_whitespace().collect::<Vec<_>>());
    let () = user.query_async(raw).await.unwrap();
    let url = format!("redis://u:p@127.0.0.1:{}", server.port());
    RedisStore::connect(&url, Keys::from_bytes([7; 32])).unwrap()
}

#[tokio::test]
async fn a_user_with_the_documented_permissions_can_do_all() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let mut raw = server.connection().await;
    let rules = "~auth:* &auth:* +@connection +@hash +@sortedset +evalsha +script|load +time +pttl \
                 +pexpire +del +info +publish +subscribe +scan";
    let store = of_user(&server, &mut raw, rules).await;
    timeout(BOUND, store.changed("n")).await.unwrap();
    let mut changed = Box::pin(store.changed("n"));
    assert!(futures_util::poll!(&mut changed).is_pending());
    saves_one(&store, "n").await;
    timeout(BOUND, changed).await.unwrap();
    permits::given(&store, "a").await;
    store.end_permit("origin", "a", MINUTE).await.unwrap();
    store.hold("origin", MINUTE).await.unwrap();
    let () = redis::cmd("FLUSHALL").query_async(&mut raw).await.unwrap();
    let lost = store.permit("origin", permits::ask("b")).await.unwrap();
    assert!(
        matches!(lost, PermitAnswer::Wait(_)),
        "it may ask for the run id"
    );
    saves_one(&store, "n").await;
    assert_eq!(store.list().await.unwrap().len(), 1);
    assert_eq!(store.purge_all().await.unwrap(), 1);
}

#[tokio::test]
async fn a_user_without_info_and_notices_can_do_the_rest() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let mut raw = server.connection().await;
    let rules = "~auth:* +@all -info -publish -subscribe";
    let store = of_user(&server, &mut raw, rules).await;
    saves_one(&store, "n").await;
    permits::given(&store, "a").await;
    let mut connections = async || {
        let mut stats = redis::cmd("INFO");
        let stats: String = stats.arg("stats").query_async(&mut raw).await.unwrap();
        let number = stats.split_once("total_connections_received:").unwrap().1;
        number.split_once('\r').unwrap().0.to_owned()
    };
    let before = connections().await;
    let changed = timeout(BOUND / 4, store.changed("n")).await;
    assert!(changed.is_err(), "it never comes");
    saves_one(&store, "another").await;
    assert_eq!(
        connections().await,
        before,
        "the connection is as good as before"
    );
}

#[tokio::test]
async fn each_step_stays_in_one_slot_of_a_cluster() {
    let Some(server) = RedisServer::start_with(&["--cluster-enabled", "yes"]) else {
        return;
    };
    let store = server.store();
    let error = store.lease("n", ask("a")).await.unwrap_err();
    assert!(
        error.to_string().contains("an endpoint that routes"),
        "{error:?}"
    );
    let mut raw = server.connection().await;
    let mut slots = redis::cmd("CLUSTER");
    slots.arg("ADDSLOTS").arg((0..16384).collect::<Vec<_>>());
    let () = slots.query_async(&mut raw).await.unwrap();
    timeout(10 * BOUND, async {
        while store.lease("n", ask("a")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .unwrap();
    saves_one(&store, "n").await;
    permits::given(&store, "a").await;
    store.end_permit("origin", "a", MINUTE).await.unwrap();
    store.hold("origin", MINUTE).await.unwrap();
    assert_eq!(store.purge_all().await.unwrap(), 1);
}

#[tokio::test]
async fn a_failure_says_what_to_do() {
    // One that has never reached its primary.
    let replica = ["--replicaof", "127.0.0.1 1"];
    let Some(replica) = RedisServer::start_with(&replica) else {
        return;
    };
    let error = replica.store().lease("n", ask("a")).await.unwrap_err();
    assert!(error.to_string().contains("name the primary"), "{error:?}");
    let full = ["--maxmemory", "1"];
    let full = RedisServer::start_with(&full).unwrap();
    let error = full.store().lease("n", ask("a")).await.unwrap_err();
    assert!(
        error.to_string().contains("memory of Redis is full"),
        "{error:?}"
    );
    let server = RedisServer::start().unwrap();
    let mut raw = server.connection().await;
    for rules in ["~other:* +@all", "~auth:* +@all -evalsha"] {
        let store = of_user(&server, &mut raw, rules).await;
        let error = store.lease("n", ask("a")).await.unwrap_err();
        assert!(
            error.to_string().contains("lacks a permission"),
            "{error:?}"
        );
    }
    let mut set = redis::cmd("SET");
    set.arg("auth:{n}:entry").arg("text");
    let _: () = set.query_async(&mut raw).await.unwrap();
    let error = server.store().lease("n", ask("a")).await.unwrap_err();
    assert!(error.to_string().contains("another program's"), "{error:?}");
    let url = format!("{}/99", server.url());
    let store = RedisStore::connect(&url, Keys::from_bytes([7; 32])).unwrap();
    let error = store.lease("n", ask("a")).await.unwrap_err();
    assert!(
        error.to_string().contains("correct that number"),
        "{error:?}"
    );
    let crowded = RedisServer::start_with(&["--maxclients", "2"]).unwrap();
    let client = redis::Client::open(crowded.url()).unwrap();
    let mut others = Vec::new();
    while let Ok(other) = client.get_multiplexed_async_connection().await {
        others.push(other);
    }
    let error = crowded.store().lease("n", ask("a")).await.unwrap_err();
    assert!(error.to_string().contains("`maxclients`"), "{error:?}");
}
