//! Rules 17 and 25: what is stored is sealed, and what can not be read is as if it was not there.

use super::*;

#[test]
fn rule_17_what_is_stored_is_not_printed() {
    // The store in memory seals nothing.
    let sealed = b"canary".to_vec();
    let stored = Stored {
        sealed: sealed.clone(),
        age: SECOND,
    };
    let entry = Entry {
        session: Some(stored.clone()),
        notes: Some(stored),
        ..Entry::default()
    };
    let kept = Kept {
        sealed: sealed.clone(),
        saved: ManualClock::new().clock().now(),
        keep_for: SECOND,
    };
    let change = Change {
        version: auth_core::store::Version::default(),
        session: SessionChange::Save(sealed.clone(), SECOND),
        notes: NotesChange::Save(sealed, SECOND),
        releases: None,
    };
    let printed = format!("{entry:?} {kept:?} {change:?}");
    assert!(!printed.contains("99, 97, 110"), "{printed}");
    assert_eq!(printed.matches("6 bytes").count(), 5, "{printed}");
}

#[tokio::test]
async fn rule_25_no_session_of_another_variant_or_account_is_found() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let tenant = Program {
        variant: "tenant-b",
        ..server.program("right")
    };
    let other = fleet.start(tenant);
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_25_what_was_moved_in_place_is_not_found_and_is_replaced() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    *store.0.serves.lock() = Some(Entry {
        version: auth_core::store::Version {
            epoch: 7,
            fence: 3,
            revision: 0,
        },
        session: Some(auth_core::store::Stored {
            sealed: fleet
                .store
                .seal()
                .seal("session form=1\n", b"another")
                .unwrap(),
            age: SECOND,
        }),
        ..Entry::default()
    });
    let process = fleet.start_with(server.program("right"), store.clone());
    assert_eq!(token(&process.get().await.unwrap()), "token-1");
    let unreadable = fleet.events(|event| matches!(event, Event::StoredUnreadable { .. }));
    assert!(unreadable >= 1);
}

/// Puts something that can't be read in the place of the session. Returns the entry's name.
async fn spoil(store: &Faulty, fleet: &Fleet) -> String {
    let name = store.0.name.lock().clone();
    let mut version = fleet.store.load(&name).await.unwrap().version;
    version.revision += 1;
    let spoils = Change {
        version,
        session: SessionChange::Save(b"of another key".to_vec(), HOUR),
        notes: NotesChange::Keep,
        releases: None,
    };
    fleet.store.save(&name, spoils).await.unwrap();
    name
}

#[tokio::test]
async fn rule_25_a_logout_in_the_place_of_what_cant_be_read_is_no_failure_and_told_to_all() {
    for by_another in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        let name = spoil(&store, &fleet).await;
        let logs_out = if by_another {
            fleet.start(server.program("right"))
        } else {
            process.clone()
        };
        logs_out.log_out().await.unwrap();
        assert!(fleet.events(|event| matches!(event, Event::StoredUnreadable { .. })) >= 1);
        assert!(fleet.store.load(&name).await.unwrap().was_logged_out());
        let ended = server.0.logouts.lock().len();
        assert_eq!(ended, usize::from(!by_another));
        fleet.advance(11 * SECOND).await;
        assert!(process.peek().is_none());
    }
}

#[tokio::test]
async fn rule_20_in_the_place_of_what_cant_be_read_one_process_logs_in() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    process.close().await.unwrap();
    spoil(&store, &fleet).await;
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let programs = [(); 2].map(|()| fleet.start(server.program("right")));
    let mut all = Box::pin(join_all(programs.iter().map(Credentials::get)));
    for _ in 0..2 {
        assert!(futures_util::poll!(&mut all).is_pending());
        fleet.advance(SECOND).await;
    }
    gate.add_permits(2);
    fleet.advance(3 * SECOND).await;
    for got in all.await {
        assert_eq!(token(&got.unwrap()), "token-2");
    }
    assert_eq!(server.logins(), 2);
}

/// What the seal can't open, and what the store itself finds unreadable.
#[tokio::test]
async fn rule_25_what_can_not_be_read_is_an_event_with_each_look() {
    type Spoil = fn(&Faulty);
    let spoils: [(Unreadable, Spoil); 3] = [
        (Unreadable::Damaged, |store| {
            store.0.spoils_notes.store(true, SeqCst);
        }),
        (Unreadable::Damaged, |store| {
            *store.0.unreadable.lock() = Some(Unreadable::Damaged);
        }),
        (Unreadable::LaterVersion, |store| {
            *store.0.unreadable.lock() = Some(Unreadable::LaterVersion);
        }),
    ];
    for (why, spoil) in spoils {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        // A refusal is noted.
        assert!(fleet.start(server.program("wrong")).get().await.is_err());
        let store = Faulty::new(&fleet.store);
        let process = fleet.start_with(server.program("right"), store.clone());
        process.get().await.unwrap();
        fleet.advance(SECOND).await;
        let told = |event: &Event| matches!(event, Event::StoredUnreadable { .. });
        assert_eq!(fleet.events(told), 0);
        let looks = || store.0.loads.load(SeqCst) + store.0.leases.load(SeqCst);
        let before = looks();
        spoil(&store);
        fleet.advance(60 * SECOND).await;
        assert!(process.peek().is_some(), "what is at hand is served");
        let looked = usize::try_from(looks() - before).unwrap();
        let of_it = |event: &Event| *event == Event::StoredUnreadable { why };
        assert!(looked > 1);
        assert_eq!((fleet.events(told), fleet.events(of_it)), (looked, looked));
    }
}
