//! Fields that are damaged, and what observers learn of them.

use auth_core::store::Unreadable;

use super::server::RedisServer;
use crate::programs::LoginServer;

#[tokio::test]
async fn rule_25_a_damaged_field_is_told_and_stays_until_a_session_is_saved() {
    let Some(redis) = RedisServer::start() else {
        return;
    };
    let mut raw = redis.connection().await;
    for (part, field) in [
        ("session", "saved"),
        ("entry", "version.epoch"),
        ("entry", "version.fence"),
        ("entry", "version.revision"),
    ] {
        for damaged in [None, Some("damaged")] {
            let what = format!("{part}-{field}-{}", damaged.unwrap_or("missing"));
            let server = LoginServer::new();
            let store = redis.store().prefix(&what);
            let first = server.start(store.clone());
            first.credentials.get().await.unwrap();
            assert!(first.unreadable().is_empty(), "{what}");
            let name = store.list().await.unwrap()[0].name.clone();
            let mut damage = redis::cmd(if damaged.is_some() { "HSET" } else { "HDEL" });
            let key = format!("{what}:{{{name}}}:{part}");
            damage.arg(key).arg(field).arg(damaged);
            let () = damage.query_async(&mut raw).await.unwrap();

            let process = server.start(store.clone());
            process.credentials.get().await.unwrap();
            assert_eq!(server.logins(), 2, "{what}");
            let told = process.unreadable();
            assert!(!told.is_empty(), "{what}");
            assert!(told.iter().all(|told| *told == Unreadable::Damaged));
            let next = server.start(store);
            next.credentials.get().await.unwrap();
            assert_eq!((server.logins(), next.unreadable()), (2, Vec::new()));
        }
    }
}
