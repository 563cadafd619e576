//! Files that are damaged, of a later version, or not ours.

use std::fs;

use auth_core::store::{
    Change, FileStore, Lease, LeaseAsk, NotesChange, PermitAnswer, Saved, SessionChange, Store,
    Unreadable, Version,
};
use serde_json::{Value, json};

use super::folder::TestFolder;
use super::log::logged_with;
use super::{LONG, ask, log_in, opened, permit, save, session, take_lease};

/// Texts that are no file of a store, made of one that is.
fn damaged(whole: &str) -> Vec<(String, Vec<u8>)> {
    let mut texts: Vec<(String, Vec<u8>)> = [
        ("empty", &b""[..]),
        ("zeroes", &[0; 4096]),
        ("no UTF-8", b"\xff\xfe"),
        ("no JSON", b"ann's session"),
        ("another JSON", b"[1, 2]"),
        ("nothing but a format", b"{\"format\":1}"),
        ("a format that is none", b"{\"format\":0}"),
        ("a format that is a text", b"{\"format\":\"1\"}"),
        ("an open bracket", &b"[".repeat(100_000)),
    ]
    .map(|(what, text)| (what.to_owned(), text.to_vec()))
    .into();
    for length in (1..whole.trim_end().len()).step_by(7) {
        let text = whole.as_bytes()[..length].to_vec();
        texts.push((format!("cut to {length}"), text));
    }
    texts
}

/// A folder with a session in it, under the name `a`.
async fn with_session() -> (TestFolder, FileStore, Version) {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let version = log_in(&store, "a", b"s1").await;
    (folder, store, version)
}

fn edit(folder: &TestFolder, file: &str, edit: impl FnOnce(&mut Value)) {
    let path = folder.path().join(file);
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(path, value.to_string()).unwrap();
}

fn read(folder: &TestFolder, file: &str) -> Value {
    serde_json::from_slice(&fs::read(folder.path().join(file)).unwrap()).unwrap()
}

#[tokio::test]
async fn a_damaged_entry_counts_as_absent_and_is_replaced() {
    let (folder, store, first) = with_session().await;
    let path = folder.path().join("a.entry");
    let whole = fs::read_to_string(&path).unwrap();
    let mut texts = damaged(&whole);
    let no_base64 = whole.replace("\"sealed\":\"", "\"sealed\":\"!");
    assert_ne!(no_base64, whole);
    texts.push(("no base64".to_owned(), no_base64.into_bytes()));
    let mut last = first;
    for (what, text) in texts {
        fs::write(&path, text).unwrap();
        let entry = store.load("a").await.unwrap();
        assert!(session(&entry).is_none() && entry.notes.is_none(), "{what}");
        assert_eq!(entry.version, Version::default(), "{what}");
        let listed = &store.list().await.unwrap()[0];
        assert_eq!(listed.unreadable, Some(Unreadable::Damaged), "{what}");
        let version = log_in(&store, "a", b"s2").await;
        assert!(version.fence > last.fence && version.epoch == last.epoch);
        last = version;
        let entry = store.load("a").await.unwrap();
        assert_eq!(session(&entry), Some(&b"s2"[..]), "{what}");
    }
}

#[tokio::test]
async fn a_damaged_entry_is_named_once_in_the_log() {
    let (folder, store, _) = with_session().await;
    let path = folder.path().join("a.entry");
    let shown = path.display().to_string();
    assert!(logged_with(&shown).is_empty());
    for round in 1..=2 {
        fs::write(&path, "{").unwrap();
        for _ in 0..3 {
            store.load("a").await.unwrap();
        }
        let logged = logged_with(&shown);
        assert_eq!(logged.len(), round, "{logged:?}");
        assert!(logged[0].contains("damaged"), "{logged:?}");
        log_in(&store, "a", b"s2").await;
        store.load("a").await.unwrap();
    }
}

#[tokio::test]
async fn after_the_loss_of_a_lease_a_new_epoch_begins() {
    let (folder, store, first) = with_session().await;
    let path = folder.path().join("a.lease");
    let whole = fs::read_to_string(&path).unwrap();
    let mut texts = damaged(&whole);
    let without_epoch = json!({"format": 1, "epoch": 0, "fence": 1, "until": 0, "written":
        {"boot": "-", "at": {"steady": 1, "wall": 1}}});
    texts.push(("no epoch".to_owned(), without_epoch.to_string().into()));
    texts.push(("missing".to_owned(), Vec::new()));
    let mut stored = first;
    for (number, (what, text)) in texts.into_iter().enumerate() {
        fs::write(&path, text).unwrap();
        if what == "missing" {
            fs::remove_file(&path).unwrap();
        }
        // What was stored stays until something is saved.
        let entry = store.load("a").await.unwrap();
        assert_eq!(entry.version, stored, "{what}");
        let answer = store.lease("a", ask("owner")).await.unwrap();
        assert_eq!(answer.lease, Lease::NotNeeded, "{what}");
        let known = auth_core::store::LeaseAsk {
            known: Some(stored),
            ..ask("owner")
        };
        let answer = store.lease("a", known).await.unwrap();
        assert_eq!(answer.lease, Lease::Taken { fence: 1 }, "{what}");
        let epoch = read(&folder, "a.lease")["epoch"].as_u64().unwrap();
        assert!(epoch != 0 && epoch != stored.epoch, "{what}");
        stored = Version {
            epoch,
            fence: 1,
            revision: 0,
        };
        let sealed = number.to_be_bytes();
        let saved = store.save("a", save(stored, "owner", &sealed)).await;
        assert_eq!(saved.unwrap(), Saved::Made(stored), "{what}");
    }
}

#[tokio::test]
async fn an_epoch_that_was_told_is_kept_without_a_lease() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let lost = Version {
        epoch: 5,
        fence: 9,
        revision: 4,
    };
    let saved = store.save("a", save(lost, "b", b"s1")).await.unwrap();
    let Saved::Made(version) = saved else {
        panic!("{saved:?}");
    };
    assert_ne!(version.epoch, lost.epoch);
    assert_eq!(read(&folder, "a.lease")["epoch"], json!(version.epoch));
}

/// The wall clock was ahead before the machine was started again, so it can't tell how much of a
/// wait has passed until the file is written on the clock of now.
#[tokio::test]
async fn a_wait_of_before_another_start_counts_down_though_the_wall_clock_was_set_back() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let _ = store.permit("o", permit("a", 1)).await.unwrap();
    let mut before = read(&folder, "o.permits");
    before["written"]["boot"] = json!("another");
    let wall = before["written"]["at"]["wall"].as_u64().unwrap();
    before["written"]["at"]["wall"] = json!(wall + 86_400_000_000_000);
    fs::write(folder.path().join("o.permits"), before.to_string()).unwrap();
    let answer = store.permit("o", permit("b", 1)).await.unwrap();
    assert!(matches!(answer, PermitAnswer::Wait(_)), "{answer:?}");
    assert_ne!(
        read(&folder, "o.permits")["written"]["boot"],
        json!("another")
    );
}

#[tokio::test]
async fn who_is_told_to_wait_for_a_permit_writes_nothing() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let path = folder.path().join("o.permits");
    // A file that was replaced is another one, though it may hold the same.
    let kept = || {
        let inode = std::fs::metadata(&path).unwrap();
        std::os::unix::fs::MetadataExt::ino(&inode)
    };
    let asks = async |id| store.permit("o", permit(id, 1)).await.unwrap();
    assert_eq!(asks("a").await, PermitAnswer::Given);
    let held_open = fs::File::open(&path).unwrap();
    let before = kept();
    assert!(matches!(asks("b").await, PermitAnswer::Wait(_)));
    assert_eq!(kept(), before);
    store.end_permit("o", "a", LONG / 2).await.unwrap();
    assert_ne!(kept(), before);
    drop(held_open);
}

#[tokio::test]
async fn after_the_loss_of_permits_none_is_given_for_a_window() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let given = store.permit("o", permit("a", 9)).await.unwrap();
    assert_eq!(given, PermitAnswer::Given);
    let path = folder.path().join("o.permits");
    let whole = fs::read_to_string(&path).unwrap();
    for (what, text) in damaged(&whole) {
        fs::write(&path, &text).unwrap();
        // Neither an end nor a hold makes the loss forgotten.
        store.end_permit("o", "ended", LONG).await.unwrap();
        let soon = std::time::Duration::from_millis(1);
        store.hold("o", soon).await.unwrap();
        for id in ["a", "b"] {
            let answer = store.permit("o", permit(id, 9)).await.unwrap();
            let PermitAnswer::Wait(wait) = answer else {
                panic!("{what}: {answer:?}");
            };
            assert!(wait > LONG / 2 && wait <= LONG, "{what}");
        }
        assert!(read(&folder, "o.permits").get("lost").is_none(), "{what}");
    }
}

#[tokio::test]
async fn after_the_loss_of_permits_none_is_given_for_as_long_as_one_may_count() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    fs::write(folder.path().join("o.permits"), "{").unwrap();
    let ask = auth_core::store::PermitAsk {
        counts_for: LONG * 2,
        ..permit("a", 9)
    };
    let answer = store.permit("o", ask).await.unwrap();
    let PermitAnswer::Wait(wait) = answer else {
        panic!("{answer:?}");
    };
    assert!(wait > LONG && wait <= LONG * 2, "{wait:?}");
}

#[tokio::test]
async fn an_entry_of_a_later_version_is_left_alone_until_a_session_is_saved() {
    let (folder, store, _) = with_session().await;
    let later = json!({"format": 2, "sessions": []});
    edit(&folder, "a.entry", |entry| *entry = later.clone());
    assert!(session(&store.load("a").await.unwrap()).is_none());
    let listed = &store.list().await.unwrap()[0];
    assert_eq!(listed.unreadable, Some(Unreadable::LaterVersion));
    let version = take_lease(&store, "a", "owner").await;
    let notes = Change {
        session: SessionChange::Keep,
        ..save(version, "owner", b"n1")
    };
    assert!(matches!(store.save("a", notes).await, Ok(Saved::Made(_))));
    assert_eq!(read(&folder, "a.entry"), later);
    let found = async || {
        store
            .load("a")
            .await
            .unwrap()
            .notes
            .map(|notes| notes.sealed)
    };
    assert_eq!(found().await.as_deref(), Some(&b"n1"[..]), "beside it");
    let version = take_lease(&store, "a", "logout").await;
    let end = Change {
        session: SessionChange::End,
        ..save(version, "logout", b"n2")
    };
    let error = store.save("a", end).await.unwrap_err().to_string();
    assert!(error.contains("later version"), "{error}");
    assert_eq!(read(&folder, "a.entry"), later);
    // The lease was released all the same.
    let version = take_lease(&store, "a", "other").await;
    store
        .save("a", save(version, "other", b"s2"))
        .await
        .unwrap();
    let entry = store.load("a").await.unwrap();
    assert_eq!(session(&entry), Some(&b"s2"[..]));
    assert!(!folder.path().join("a.notes").exists());
}

#[tokio::test]
async fn what_is_noted_beside_an_entry_of_a_later_version_is_of_that_entry() {
    let (folder, store, _) = with_session().await;
    log_in(&store, "b", b"s1").await;
    for (name, text) in [("a", b"n1"), ("b", b"n2")] {
        let file = format!("{name}.entry");
        edit(&folder, &file, |entry| *entry = json!({"format": 2}));
        let version = take_lease(&store, name, "owner").await;
        let notes = Change {
            session: SessionChange::Keep,
            ..save(version, "owner", text)
        };
        store.save(name, notes).await.unwrap();
    }
    for (name, text) in [("a", b"n1"), ("b", b"n2")] {
        let notes = store.load(name).await.unwrap().notes;
        assert_eq!(notes.unwrap().sealed, text, "{name}");
    }
}

#[tokio::test]
async fn what_cant_be_read_stays_where_only_a_lease_is_given_back() {
    let (folder, store, _) = with_session().await;
    for unreadable in [json!("damaged"), json!({"format": 2})] {
        edit(&folder, "a.entry", |entry| *entry = unreadable.clone());
        for owner in ["one", "another"] {
            let version = take_lease(&store, "a", owner).await;
            let release = Change {
                session: SessionChange::Keep,
                notes: NotesChange::Keep,
                ..save(version, owner, b"")
            };
            store.save("a", release).await.unwrap();
            assert_eq!(read(&folder, "a.entry"), unreadable);
        }
    }
}

#[tokio::test]
async fn the_notes_of_a_failed_login_replace_a_damaged_entry() {
    let (folder, store, version) = with_session().await;
    let damaged = json!("damaged");
    edit(&folder, "a.entry", |entry| *entry = damaged.clone());
    let notes = Change {
        session: SessionChange::Keep,
        ..save(version, "owner", b"n1")
    };
    store.save("a", notes).await.unwrap();
    assert_ne!(read(&folder, "a.entry"), damaged);
    let entry = store.load("a").await.unwrap();
    assert!(session(&entry).is_none() && entry.notes.is_some() && entry.unreadable.is_none());
}

#[tokio::test]
async fn a_lease_or_permits_of_a_later_version_are_an_error_and_stay() {
    let (folder, store, version) = with_session().await;
    store.permit("o", permit("a", 9)).await.unwrap();
    for file in ["a.lease", "o.permits"] {
        edit(&folder, file, |form| form["format"] = json!(2));
    }
    let before = [read(&folder, "a.lease"), read(&folder, "o.permits")];
    let errors = [
        store.lease("a", ask("b")).await.unwrap_err(),
        store
            .save("a", save(version, "b", b"s2"))
            .await
            .unwrap_err(),
        store.permit("o", permit("b", 9)).await.unwrap_err(),
        store.end_permit("o", "a", LONG).await.unwrap_err(),
        store.hold("o", LONG).await.unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("later version"), "{error}");
    }
    let after = [read(&folder, "a.lease"), read(&folder, "o.permits")];
    assert_eq!(before, after);
    let entry = store.load("a").await.unwrap();
    assert_eq!(session(&entry), Some(&b"s1"[..]), "it can be read still");
}

#[tokio::test]
async fn fields_that_are_not_known_survive() {
    let (folder, store, version) = with_session().await;
    store.permit("o", permit("a", 9)).await.unwrap();
    let mark = json!({"of": ["a later version", 18_446_744_073_709_551_615_u64]});
    edit(&folder, "a.entry", |entry| {
        entry["new"] = mark.clone();
        entry["version"]["new"] = mark.clone();
        entry["session"]["new"] = mark.clone();
        entry["notes"]["new"] = mark.clone();
    });
    edit(&folder, "a.lease", |lease| lease["new"] = mark.clone());
    edit(&folder, "o.permits", |permits| {
        permits["new"] = mark.clone();
        permits["given"][0]["new"] = mark.clone();
    });
    let known = auth_core::store::LeaseAsk {
        known: Some(version),
        ..ask("owner")
    };
    let answer = store.lease("a", known).await.unwrap();
    let Lease::Taken { fence } = answer.lease else {
        panic!("{answer:?}");
    };
    let version = Version { fence, ..version };
    let notes = Change {
        session: SessionChange::Keep,
        ..save(version, "owner", b"n2")
    };
    store.save("a", notes).await.unwrap();
    store.permit("o", permit("b", 9)).await.unwrap();

    let entry = read(&folder, "a.entry");
    assert_eq!(entry["new"], mark);
    assert_eq!(entry["version"]["new"], mark);
    assert_eq!(entry["session"]["new"], mark, "it is the same session");
    assert_eq!(entry["notes"].get("new"), None, "they are other notes");
    assert_eq!(read(&folder, "a.lease")["new"], mark);
    let permits = read(&folder, "o.permits");
    assert_eq!(permits["given"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&permits["new"], &permits["given"][0]["new"]),
        (&mark, &mark)
    );
}

#[cfg(unix)]
#[tokio::test]
async fn files_that_others_can_write_or_that_are_no_files_count_as_absent() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};

    type Spoil = fn(&std::path::Path);
    let spoils: [(&str, Spoil); 6] = [
        ("others can write", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o620)).unwrap();
        }),
        ("others can write", |path| {
            fs::set_permissions(path, fs::Permissions::from_mode(0o602)).unwrap();
        }),
        ("another user", |path| {
            // Only root can give a file away.
            if chown(path, Some(12_345), None).is_err() {
                fs::set_permissions(path, fs::Permissions::from_mode(0o620)).unwrap();
            }
        }),
        ("no regular file", |path| {
            let target = path.with_extension("target");
            fs::rename(path, &target).unwrap();
            symlink(target, path).unwrap();
        }),
        ("no regular file", |path| {
            fs::remove_file(path).unwrap();
            symlink("nowhere", path).unwrap();
        }),
        ("no regular file", |path| {
            fs::remove_file(path).unwrap();
            let made = std::process::Command::new("mkfifo").arg(path).status();
            assert!(made.unwrap().success());
        }),
    ];
    for (why, spoil) in spoils {
        let (folder, store, _) = with_session().await;
        let path = folder.path().join("a.entry");
        let shown = path.display().to_string();
        logged_with(&shown);
        spoil(&path);
        let entry = store.load("a").await.unwrap();
        assert!(session(&entry).is_none(), "{why}");
        let logged = logged_with(&shown);
        let is_root = path.metadata().map(|found| found.uid() == 12_345);
        let told = if why == "another user" && !is_root.unwrap_or(false) {
            "others can write"
        } else {
            why
        };
        assert!(logged[0].contains(told), "{logged:?}");
        log_in(&store, "a", b"s2").await;
        let found = path.symlink_metadata().unwrap();
        assert!(found.is_file(), "{why}: it was not replaced");
        assert_eq!(found.mode() & 0o777, 0o600);
        let entry = store.load("a").await.unwrap();
        assert_eq!(session(&entry), Some(&b"s2"[..]), "{why}");
        let target = path.with_extension("target");
        if target.exists() {
            let target = fs::read_to_string(target).unwrap();
            assert!(!target.contains("czI="), "the link was followed");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_lock_file_that_is_a_link_is_not_followed() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let outside = folder.path().with_extension("outside");
    std::os::unix::fs::symlink(&outside, folder.path().join("a.lock")).unwrap();
    let error = store.lease("a", ask("b")).await.unwrap_err().to_string();
    assert!(error.contains("can't be locked"), "{error}");
    assert!(!outside.exists(), "a file was made outside the folder");
}

#[tokio::test]
async fn a_folder_that_is_gone_is_an_error() {
    let (folder, store, version) = with_session().await;
    fs::remove_dir_all(folder.path()).unwrap();
    let newer = Version {
        revision: 1,
        ..version
    };
    let saved = store.save("a", save(newer, "b", b"s2")).await;
    let error = saved.unwrap_err().to_string();
    assert!(error.contains("folder is gone"), "{error}");
}

#[tokio::test]
async fn a_file_of_sixteen_mebibytes_is_read_and_a_longer_one_is_not() {
    let (folder, store, _) = with_session().await;
    let path = folder.path().join("a.entry");
    let shown = path.display().to_string();
    logged_with(&shown);
    let mut text = fs::read(&path).unwrap();
    text.resize(16 * 1024 * 1024, b'\n');
    fs::write(&path, &text).unwrap();
    assert_eq!(session(&store.load("a").await.unwrap()), Some(&b"s1"[..]));
    text.push(b'\n');
    fs::write(&path, &text).unwrap();
    assert_eq!(session(&store.load("a").await.unwrap()), None);
    let logged = logged_with(&shown);
    assert!(logged[0].contains("it is too large"), "{logged:?}");
}

#[tokio::test]
async fn what_cant_be_looked_at_or_removed_is_an_error_and_not_absent() {
    let (folder, store, _) = with_session().await;
    fs::create_dir(folder.path().join("b.entry")).unwrap();
    assert!(store.purge("b").await.is_err());
    fs::remove_dir_all(folder.path()).unwrap();
    fs::write(folder.path(), b"").unwrap();
    assert!(store.load("a").await.is_err());
}

#[tokio::test]
async fn an_entry_of_an_unknown_format_counts_as_absent() {
    let (folder, store, _) = with_session().await;
    edit(&folder, "a.entry", |entry| entry["format"] = json!(0));
    assert_eq!(session(&store.load("a").await.unwrap()), None);
}

/// As where the folder was restored from a backup that was made while it was used.
#[tokio::test]
async fn a_lease_that_is_older_than_its_entry_gives_a_fence_that_the_session_is_saved_under() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let mut last = log_in(&store, "a", b"s1").await;
    let lease = folder.path().join("a.lease");
    let before = fs::read(&lease).unwrap();
    for round in 0..6 {
        if round == 5 {
            fs::write(&lease, &before).unwrap();
        }
        let renewal = LeaseAsk {
            known: Some(last),
            ..ask("owner")
        };
        let answer = store.lease("a", renewal).await.unwrap();
        let Lease::Taken { fence } = answer.lease else {
            panic!("{answer:?}");
        };
        last.fence = fence;
        let saved = store.save("a", save(last, "owner", b"s2")).await.unwrap();
        assert_eq!(saved, Saved::Made(last), "round {round}");
    }
}
