//! What is in Redis tells nothing, and neither does an error.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::thread;

use auth_core::store::{
    Change, Keys, NotesChange, RedisStore, Seal as _, SessionChange, Store as _,
};

use super::server::RedisServer;
use super::{MINUTE, lease, permits, save};

const CANARY: &str = "canary-p4ss";

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn redis_holds_neither_accounts_nor_sessions_that_can_be_read() {
    let Some(server) = RedisServer::start() else {
        return;
    };
    let keys = Keys::random().unwrap();
    let store = RedisStore::connect(&server.url(), keys.clone()).unwrap();
    let name = keys.name(format!("account {CANARY}").as_bytes());
    let sealed = |what: &str| keys.seal(&format!("{what} {CANARY}"), b"context").unwrap();
    let version = lease(&store, &name, "a").await;
    let change = Change {
        session: SessionChange::Save(sealed("session"), MINUTE),
        notes: NotesChange::Save(sealed("notes"), MINUTE),
        ..save(version, b"")
    };
    store.save(&name, change).await.unwrap();
    permits::given(&store, "a").await;

    let mut raw = server.connection().await;
    let mut all = redis::cmd("KEYS");
    let names: Vec<String> = all.arg("*").query_async(&mut raw).await.unwrap();
    let mut expected = ["entry", "notes", "session"].map(|part| format!("auth:{{{name}}}:{part}"));
    expected.sort();
    let mut found: Vec<_> = names
        .iter()
        .filter(|key| key.contains(&name))
        .cloned()
        .collect();
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(names.len(), 5, "and two of the origin: {names:?}");
    for key in &names {
        assert!(!key.contains(CANARY));
        let mut dump = redis::cmd("DUMP");
        let bytes: Vec<u8> = dump.arg(key).query_async(&mut raw).await.unwrap();
        assert!(!contains(&bytes, CANARY), "{key}");
    }
    // The search finds what is there to be found.
    let mut set = redis::cmd("SET");
    let () = set
        .arg("k")
        .arg(CANARY)
        .query_async(&mut raw)
        .await
        .unwrap();
    let mut dump = redis::cmd("DUMP");
    let bytes: Vec<u8> = dump.arg("k").query_async(&mut raw).await.unwrap();
    assert!(contains(&bytes, CANARY));
}

#[tokio::test]
async fn a_refused_password_is_told_and_not_repeated() {
    let Some(server) = RedisServer::start_with(&["--requirepass", "another"]) else {
        return;
    };
    let url = format!("redis://:{CANARY}@127.0.0.1:{}", server.port());
    let store = RedisStore::connect(&url, Keys::from_bytes([7; 32])).unwrap();
    let error = store.load("n").await.unwrap_err();
    assert!(error.to_string().contains("correct the URL"), "{error}");
    let printed = format!("{error} {error:?} {store:?}");
    assert!(!printed.contains(CANARY), "{printed}");
    let store = RedisStore::connect(&server.url(), Keys::from_bytes([7; 32])).unwrap();
    let error = store.load("n").await.unwrap_err();
    assert!(error.to_string().contains("correct the URL"), "{error:?}");
}

#[tokio::test]
async fn a_server_that_repeats_the_password_in_its_answer_is_not_quoted() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        while let Ok((mut client, _)) = listener.accept() {
            let mut asked = [0; 1024];
            let _ = client.read(&mut asked);
            // As Redis did before its sixth version.
            let answer =
                format!("-ERR unknown command `HELLO`, with args beginning with: `{CANARY}`\r\n");
            let _ = client.write_all(answer.repeat(4).as_bytes());
        }
    });
    let url = format!("redis://user:{CANARY}@127.0.0.1:{port}");
    let store = RedisStore::connect(&url, Keys::from_bytes([7; 32])).unwrap();
    let error = store.load("n").await.unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains(CANARY), "{printed}");
    assert!(error.to_string().contains("Redis 6.2"), "{printed}");
}
