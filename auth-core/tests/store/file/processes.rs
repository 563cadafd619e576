//! Processes that share a folder, and processes that are killed.
//!
//! A child is this test program once more, with an ignored test that does what a variable says.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use auth_core::store::{
    Change, FileStore, Lease, LeaseAsk, PermitAnswer, Saved, SessionChange, Store as _, Version,
};

use super::folder::TestFolder;
use super::{LONG, ask, log_in, opened, permit, save, session};

const FOLDER: &str = "AUTH_CORE_TEST_FOLDER";
const ROLE: &str = "AUTH_CORE_TEST_ROLE";

/// A child that is killed when the test ends.
struct Running(Child);

impl Running {
    fn start(folder: &TestFolder, role: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "file::processes::child",
                "--ignored",
                "--nocapture",
            ])
            .env(FOLDER, folder.path())
            .env(ROLE, role)
            .stdout(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    fn ended(mut self) {
        assert!(self.0.wait().unwrap().success());
    }

    /// With SIGKILL on unix.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "the tests below run it in processes of their own"]
async fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let store = FileStore::open(folder).unwrap();
    match &*std::env::var(ROLE).unwrap() {
        "count" => count(&store).await,
        "permits" => take_permits(&store).await,
        "write" => write_for_ever(&store).await,
        "lock" => lock_for_ever(&store).await,
        other => panic!("{other}"),
    }
}

const ROUNDS: u64 = 15;

/// Adds one to a number, under a lease each time.
async fn count(store: &FileStore) {
    let owner = format!("process-{}", std::process::id());
    for _ in 0..ROUNDS {
        let answer = loop {
            let known = store.load("a").await.unwrap().version;
            let ask = LeaseAsk {
                known: known.is_of_a_session().then_some(known),
                ..ask(&owner)
            };
            let answer = store.lease("a", ask).await.unwrap();
            if matches!(answer.lease, Lease::Taken { .. }) {
                break answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let Lease::Taken { fence } = answer.lease else {
            unreachable!()
        };
        let number = session(&answer.entry)
            .map_or(0, |sealed| u64::from_be_bytes(sealed.try_into().unwrap()));
        let version = Version {
            epoch: answer.entry.version.epoch,
            fence,
            revision: 0,
        };
        let next = save(version, &owner, &(number + 1).to_be_bytes());
        assert_eq!(store.save("a", next).await.unwrap(), Saved::Made(version));
    }
}

#[tokio::test]
async fn processes_log_in_one_at_a_time() {
    let folder = TestFolder::new();
    let children = [(); 3].map(|()| Running::start(&folder, "count"));
    for child in children {
        child.ended();
    }
    let entry = opened(&folder).load("a").await.unwrap();
    let number = u64::from_be_bytes(session(&entry).unwrap().try_into().unwrap());
    assert_eq!(number, 3 * ROUNDS, "two had the lease at once");
    assert_eq!(entry.version.fence, 3 * ROUNDS, "a fence for each lease");
}

const QUOTA: u32 = 7;

async fn take_permits(store: &FileStore) {
    for number in 0..10 {
        let id = format!("{}-{number}", std::process::id());
        let answer = store.permit("o", permit(&id, QUOTA)).await.unwrap();
        if answer == PermitAnswer::Given {
            // It tells the parent, which has no other way to know.
            let version = log_in(store, &format!("given-{id}"), b"").await;
            assert_eq!(version.fence, 1);
        }
    }
}

#[tokio::test]
async fn processes_share_the_quota_exactly() {
    let folder = TestFolder::new();
    let children = [(); 3].map(|()| Running::start(&folder, "permits"));
    for child in children {
        child.ended();
    }
    let given = opened(&folder).list().await.unwrap().len();
    assert_eq!(given, QUOTA as usize);
}

/// The text of a revision: long, and such that two of them mixed are noticed.
fn text_of(revision: u64) -> Vec<u8> {
    revision.to_be_bytes().repeat(4_000)
}

async fn write_for_ever(store: &FileStore) {
    let known = store.load("a").await.unwrap().version;
    let mut version = if known.is_of_a_session() {
        known
    } else {
        log_in(store, "a", &text_of(0)).await
    };
    loop {
        version.revision += 1;
        let change = Change {
            releases: None,
            ..save(version, "", &text_of(version.revision))
        };
        assert_eq!(store.save("a", change).await.unwrap(), Saved::Made(version));
    }
}

#[tokio::test]
async fn a_process_that_is_killed_leaves_the_entry_whole() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let mut last = 0;
    for round in 0..12 {
        let child = Running::start(&folder, "write");
        let start = Instant::now();
        let began = loop {
            let revision = store.load("a").await.unwrap().version.revision;
            if revision > last {
                break revision;
            }
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "it does not write"
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        last = began;
        // It is killed at another point of its work each time.
        for _ in 0..=round {
            last = whole(&store, last).await;
        }
        child.kill();
        last = whole(&store, last).await;
    }
    // The lock went with its process, and fences go on.
    let known = store.load("a").await.unwrap().version;
    let ask = LeaseAsk {
        known: Some(known),
        ..ask("parent")
    };
    let answer = store.lease("a", ask).await.unwrap();
    assert_eq!(answer.lease, Lease::Taken { fence: 2 });
}

/// Checks that the entry is whole, and returns its revision.
async fn whole(store: &FileStore, last: u64) -> u64 {
    let entry = store.load("a").await.unwrap();
    let revision = entry.version.revision;
    assert!(revision >= last, "{revision} after {last}");
    let text = text_of(revision);
    assert!(
        session(&entry) == Some(&text[..]),
        "{revision} is not whole"
    );
    assert!(entry.notes.unwrap().sealed == text, "{revision} is mixed");
    revision
}

async fn lock_for_ever(store: &FileStore) {
    let folder = std::env::var_os(FOLDER).unwrap();
    let lock = File::open(std::path::Path::new(&folder).join("a.lock")).unwrap();
    lock.lock().unwrap();
    // It tells the parent.
    log_in(store, "locked", b"").await;
    std::thread::sleep(LONG);
    drop(lock);
}

#[tokio::test]
async fn a_lock_that_another_holds_is_waited_for_in_a_bounded_time() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let version = log_in(&store, "a", b"s1").await;
    let child = Running::start(&folder, "lock");
    let start = Instant::now();
    while session(&store.load("locked").await.unwrap()).is_none() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "it does not lock"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let start = Instant::now();
    let error = store.lease("a", ask("b")).await.unwrap_err().to_string();
    let took = start.elapsed();
    assert!(error.contains("a process holds the lock of"), "{error}");
    assert!(took > Duration::from_secs(1), "{took:?}: no patience");
    assert!(took < Duration::from_secs(10), "{took:?}: no bound");
    let entry = store.load("a").await.unwrap();
    assert_eq!(session(&entry), Some(&b"s1"[..]), "who reads needs no lock");
    log_in(&store, "b", b"s1").await;

    child.kill();
    let ended = Change {
        session: SessionChange::End,
        ..save(version, "b", b"n1")
    };
    let saved = store.save("a", ended).await.unwrap();
    assert_eq!(
        saved,
        Saved::Made(version),
        "the lock went with its process"
    );
}
