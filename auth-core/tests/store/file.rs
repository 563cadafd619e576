//! The store in files.

mod broken;
mod folder;
mod log;
mod opening;
mod privacy;
mod processes;
mod trouble;
mod unreadable;

use std::path::Path;
use std::time::Duration;

use auth_core::store::{
    Change, Entry, FileStore, Lease, LeaseAsk, NotesChange, PermitAsk, Saved, SessionChange, Store,
    Version,
};

use self::folder::TestFolder;
use crate::conformance::{Fresh, a_change_of_another_process_is_noticed};

fn fresh() -> Fresh<FileStore> {
    let folder = TestFolder::new();
    let open = || FileStore::open(folder.path()).unwrap();
    Fresh::new(open(), open(), folder)
}

conformance!(fresh());

#[tokio::test]
async fn a_change_is_noticed() {
    a_change_of_another_process_is_noticed(&fresh()).await;
}

/// As where a program begins with as many accounts.
#[tokio::test]
async fn of_more_steps_at_a_time_than_threads_none_fails() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let names: Vec<_> = (0..200)
        .map(|account| format!("account-{account}"))
        .collect();
    let leases = names.iter().map(|name| store.lease(name, ask("a")));
    for answer in futures_util::future::join_all(leases).await {
        assert_eq!(answer.unwrap().lease, Lease::Taken { fence: 1 });
    }
}

const LONG: Duration = Duration::from_secs(600);

fn opened(folder: &TestFolder) -> FileStore {
    FileStore::open(folder.path()).unwrap()
}

fn ask(owner: &str) -> LeaseAsk<'_> {
    LeaseAsk {
        owner,
        lasts: LONG,
        known: None,
        rejected: false,
        only_extends: false,
    }
}

fn permit(id: &str, most: u32) -> PermitAsk<'_> {
    PermitAsk {
        id,
        most,
        window: LONG,
        counts_for: LONG,
    }
}

/// A change that saves a session and notes, and releases the lease.
fn save(version: Version, owner: &str, sealed: &[u8]) -> Change {
    Change {
        version,
        session: SessionChange::Save(sealed.to_vec(), LONG),
        notes: NotesChange::Save(sealed.to_vec(), LONG),
        releases: Some(owner.to_owned()),
    }
}

/// Takes the lease. Returns the version that is saved under it.
async fn take_lease(store: &FileStore, name: &str, owner: &str) -> Version {
    let answer = store.lease(name, ask(owner)).await.unwrap();
    let Lease::Taken { fence } = answer.lease else {
        panic!("{answer:?}");
    };
    Version {
        epoch: answer.epoch,
        fence,
        revision: 0,
    }
}

/// Logs in: takes the lease and saves a session.
async fn log_in(store: &FileStore, name: &str, sealed: &[u8]) -> Version {
    let version = take_lease(store, name, "owner").await;
    let saved = store.save(name, save(version, "owner", sealed)).await;
    assert_eq!(saved.unwrap(), Saved::Made(version));
    version
}

fn session(entry: &Entry) -> Option<&[u8]> {
    entry.session.as_ref().map(|stored| &stored.sealed[..])
}

fn files(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn what_is_stored_is_listed_and_purged() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    assert!(store.list().await.unwrap().is_empty());
    let sealed = store.seal().seal("token", b"").unwrap();
    let first = log_in(&store, "a", &sealed).await;
    log_in(&store, "b", b"garbage").await;
    log_in(&store, "c", &sealed).await;
    let ended = Change {
        session: SessionChange::End,
        notes: NotesChange::Save(sealed.clone(), Duration::ZERO),
        ..save(log_in(&store, "d", &sealed).await, "owner", b"")
    };
    store.save("d", ended).await.unwrap();

    let listed = store.list().await.unwrap();
    let names: Vec<_> = listed.iter().map(|stored| &stored.name[..]).collect();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert_eq!(listed[0].version, first);
    assert!(listed[0].session_age.is_some_and(|age| age < LONG));
    assert!(listed[0].notes_age.is_some() && !listed[0].is_over);
    assert_eq!(listed[0].unreadable, None);
    assert!(listed[1].unreadable.is_some());
    assert!(listed[3].is_over && listed[3].session_age.is_none());

    // Those who still have the session of d are to learn of its logout.
    assert_eq!(store.purge_older(Duration::ZERO).await.unwrap(), 3);
    assert!(store.load("d").await.unwrap().was_logged_out());
    for name in ["a", "b", "c"] {
        log_in(&store, name, &sealed).await;
    }
    assert_eq!(store.purge_older(LONG).await.unwrap(), 0);
    assert!(store.purge("a").await.unwrap());
    assert!(!store.purge("a").await.unwrap());
    assert!(session(&store.load("a").await.unwrap()).is_none());
    let again = log_in(&store, "a", &sealed).await;
    assert_ne!(again.epoch, first.epoch, "the marks are gone");
    assert!(again.fence > first.fence, "fences do not begin anew");
    assert!(store.purge("d").await.unwrap());
    let older = store.purge_older(Duration::ZERO).await.unwrap();
    assert_eq!(older, 3, "each was saved some time ago");
    log_in(&store, "a", &sealed).await;
    assert_eq!(store.purge_all().await.unwrap(), 1);
    assert!(
        !files(folder.path())
            .iter()
            .any(|file| file.contains(".entry"))
    );
}

#[tokio::test]
async fn a_name_that_leads_out_of_the_folder_is_refused() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let long = "a".repeat(200);
    for name in [
        "", "..", "../x", "a/b", "a\\b", "a.b", "ä", "a b", "C:a", &long,
    ] {
        assert!(store.load(name).await.is_err(), "{name}");
        assert!(store.lease(name, ask("a")).await.is_err(), "{name}");
        assert!(store.permit(name, permit("a", 1)).await.is_err(), "{name}");
        assert!(store.purge(name).await.is_err(), "{name}");
    }
    assert_eq!(files(folder.path()), ["key", "lock"]);
}
