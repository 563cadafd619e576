//! The store in memory.

use std::error::Error as _;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::store::{
    Change, Entry, LeaseAnswer, LeaseAsk, MemoryStore, NotesChange, PermitAnswer, PermitAsk, Saved,
    Seal, SessionChange, Store, StoreError, Stored, Unreadable, Version,
};

use crate::conformance::{Fresh, NAME, a_change_of_another_process_is_noticed, made, save, take};

fn fresh() -> Fresh<MemoryStore> {
    let store = MemoryStore::new();
    Fresh::new(store.clone(), store, ())
}

conformance!(fresh());

#[tokio::test]
async fn a_change_is_noticed() {
    a_change_of_another_process_is_noticed(&fresh()).await;
}

#[tokio::test]
async fn a_change_is_heard_by_who_waits_for_its_name() {
    let store = MemoryStore::new();
    let [mut changed, mut another] = [NAME, "another"].map(|name| Box::pin(store.changed(name)));
    assert!(futures_util::poll!(&mut changed).is_pending());
    assert!(futures_util::poll!(&mut another).is_pending());
    let version = take(&store, "a").await;
    assert!(futures_util::poll!(&mut changed).is_pending());
    made(&store, save(version, b"s1")).await;
    assert!(futures_util::poll!(&mut changed).is_ready());
    assert!(futures_util::poll!(&mut another).is_pending());
}

#[test]
fn a_store_in_memory_prints_its_name() {
    assert_eq!(format!("{:?}", MemoryStore::new()), "MemoryStore { .. }");
}

/// A store that leaves out what it may.
struct Least(MemoryStore);

#[async_trait]
impl Store for Least {
    fn seal(&self) -> &dyn Seal {
        self.0.seal()
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        self.0.load(name).await
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        self.0.lease(name, ask).await
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        self.0.save(name, change).await
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        self.0.permit(origin, ask).await
    }

    async fn end_permit(&self, origin: &str, id: &str, lasts: Duration) -> Result<(), StoreError> {
        self.0.end_permit(origin, id, lasts).await
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        self.0.hold(origin, wait).await
    }
}

#[tokio::test]
async fn a_store_that_does_not_tell_of_changes_never_does() {
    let store = Least(MemoryStore::new());
    let mut told = store.changed("a");
    assert!(futures_util::poll!(&mut told).is_pending());
    store.hold("o", Duration::ZERO).await.unwrap();
    assert!(futures_util::poll!(&mut told).is_pending());
}

#[test]
fn an_error_of_a_store_has_its_cause_as_its_source() {
    let error = StoreError::new("it can't be opened");
    assert!(error.source().is_none());
    let error = error.with_source("the disk is full");
    let cause = error.source().map(ToString::to_string);
    assert_eq!(cause.as_deref(), Some("the disk is full"));
}

#[test]
fn what_cant_be_read_says_why() {
    for (why, text) in [
        (
            Unreadable::LaterVersion,
            "it was written by a later version",
        ),
        (Unreadable::UnknownKey, "it was sealed with another key"),
        (Unreadable::Damaged, "it is damaged, or another identity's"),
    ] {
        assert_eq!(why.to_string(), text);
    }
}

#[test]
fn what_is_sealed_prints_its_length_alone() {
    let (sealed, second) = (b"canary".to_vec(), Duration::from_secs(1));
    let stored = Stored {
        sealed: sealed.clone(),
        age: second,
    };
    let session = |change: SessionChange| format!("{change:?}");
    let notes = |change: NotesChange| format!("{change:?}");
    let printed = [
        format!("{stored:?}"),
        session(SessionChange::Save(sealed.clone(), second)),
        notes(NotesChange::Save(sealed, second)),
    ];
    for printed in printed {
        assert!(printed.contains('6') && printed.contains("1s"), "{printed}");
        assert!(!printed.contains("canary") && !printed.contains("99"));
    }
    for (printed, expected) in [
        (session(SessionChange::Keep), "Keep"),
        (session(SessionChange::Reject), "Reject"),
        (session(SessionChange::End), "End"),
        (notes(NotesChange::Keep), "Keep"),
    ] {
        assert_eq!(printed, expected);
    }
}

#[tokio::test]
async fn a_release_is_told_and_a_look_that_changes_nothing_is_not() {
    let store = MemoryStore::new();
    let ask = |owner| LeaseAsk {
        owner,
        lasts: Duration::from_secs(60),
        known: None,
        rejected: false,
        only_extends: false,
    };
    store.lease("n", ask("a")).await.unwrap();
    let mut told = store.changed("n");
    assert!(futures_util::poll!(&mut told).is_pending());
    store.lease("n", ask("b")).await.unwrap();
    assert!(futures_util::poll!(&mut told).is_pending());
    let release = Change {
        version: Version::default(),
        session: SessionChange::Keep,
        notes: NotesChange::Keep,
        releases: Some("a".to_owned()),
    };
    store.save("n", release).await.unwrap();
    assert!(futures_util::poll!(&mut told).is_ready());
}
