//! Where the processes of a test keep what they share: a folder, or a Redis.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::server::RedisServer;

pub(crate) enum Place {
    Folder(PathBuf),
    Redis(RedisServer),
}

impl Place {
    #[allow(
        clippy::unnecessary_wraps,
        reason = "a Redis can't be had everywhere, and a test has one of both"
    )]
    pub(crate) fn folder() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("fleet-{}-{number}", std::process::id());
        Some(Self::Folder(
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name),
        ))
    }

    /// `None`, and a line that says so, if there is no `redis-server`.
    pub(crate) fn redis() -> Option<Self> {
        RedisServer::start().map(Self::Redis)
    }

    /// As a process is told of it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Folder(folder) => folder.to_str().unwrap().to_owned(),
            Self::Redis(server) => server.url(),
        }
    }

    /// Everything that is there: the names and what they hold.
    pub(crate) async fn dump(&self) -> Vec<u8> {
        match self {
            Self::Folder(folder) => {
                let mut dump = Vec::new();
                for file in fs::read_dir(folder).unwrap() {
                    let path = file.unwrap().path();
                    dump.extend(path.to_str().unwrap().as_bytes());
                    dump.extend(fs::read(path).unwrap());
                }
                dump
            }
            Self::Redis(server) => dump(server).await,
        }
    }
}

async fn dump(server: &RedisServer) -> Vec<u8> {
    let mut connection = server.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut dump = Vec::new();
    for key in keys {
        dump.extend(key.as_bytes());
        let kind: String = redis::cmd("TYPE")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        let all = match &*kind {
            "string" => redis::cmd("GET").arg(&key).to_owned(),
            "hash" => redis::cmd("HGETALL").arg(&key).to_owned(),
            "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).to_owned(),
            other => panic!("{key} is a {other}"),
        };
        let all: redis::Value = all.query_async(&mut connection).await.unwrap();
        bytes_of(&all, &mut dump);
    }
    dump
}

fn bytes_of(value: &redis::Value, bytes: &mut Vec<u8>) {
    match value {
        redis::Value::BulkString(text) => bytes.extend(text),
        redis::Value::Array(values) => values.iter().for_each(|value| bytes_of(value, bytes)),
        other => {
            let mut text = String::new();
            let _ = write!(text, "{other:?}");
            bytes.extend(text.as_bytes());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Folder(folder) = self {
            let _ = fs::remove_dir_all(folder);
        }
    }
}
