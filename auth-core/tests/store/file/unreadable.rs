//! What observers and the log learn of an entry that can't be read.

use std::fs;
use std::path::{Path, PathBuf};

use auth_core::store::{Keys, Unreadable};
use auth_core::testing::Scripted;
use auth_core::{Credentials, Lifetime, LoginError};

use super::FileStore;
use super::folder::TestFolder;
use super::log::logged_with;
use crate::programs::{LIFE, LoginServer};

/// The entry of the only identity in the folder.
fn entry(folder: &TestFolder) -> PathBuf {
    let files = fs::read_dir(folder.path()).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let is_entry = |path: &PathBuf| path.extension().is_some_and(|end| end == "entry");
    paths.into_iter().find(is_entry).unwrap()
}

fn opened(folder: &TestFolder) -> FileStore {
    FileStore::with_keys(folder.path(), Keys::from_bytes([7; 32])).unwrap()
}

#[cfg(unix)]
#[tokio::test]
async fn rule_25_an_entry_whose_file_can_not_be_read_is_told_with_each_look() {
    type Spoil = fn(&Path);
    let spoils: [(Unreadable, Spoil); 4] = [
        (Unreadable::Damaged, |path| fs::write(path, "{").unwrap()),
        (Unreadable::LaterVersion, |path| {
            fs::write(path, "{\"format\":2}").unwrap();
        }),
        (Unreadable::Damaged, |path| {
            let whole = fs::read(path).unwrap();
            fs::write(path, &whole[..whole.len() / 2]).unwrap();
        }),
        (Unreadable::Damaged, |path| {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path, fs::Permissions::from_mode(0o622)).unwrap();
        }),
    ];
    for (why, spoil) in spoils {
        let (folder, server) = (TestFolder::new(), LoginServer::new());
        let first = server.start(opened(&folder));
        first.credentials.get().await.unwrap();
        assert!(first.unreadable().is_empty());
        first.credentials.close().await.unwrap();
        let path = entry(&folder);
        spoil(&path);
        let process = server.start(opened(&folder));
        process.credentials.get().await.unwrap();
        assert_eq!(server.logins(), 2, "{why:?}: it is as if it was not there");
        // The login has looked once.
        assert_eq!(process.unreadable(), [why]);
        // It is replaced by the session of that login.
        let next = server.start(opened(&folder));
        next.credentials.get().await.unwrap();
        assert_eq!((server.logins(), next.unreadable()), (2, Vec::new()));
    }
}

/// The event has a line in the log of its own, which can't name the file.
#[tokio::test]
async fn rule_25_the_log_warns_of_an_entry_once_for_each_event() {
    let (folder, server) = (TestFolder::new(), LoginServer::new());
    let first = server.start(opened(&folder));
    first.credentials.get().await.unwrap();
    let path = entry(&folder);
    let shown = path.display().to_string();
    logged_with(&shown);
    fs::write(&path, "{").unwrap();
    server
        .start(opened(&folder))
        .credentials
        .get()
        .await
        .unwrap();
    let logged = logged_with(&shown);
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert!(logged[0].starts_with("DEBUG"), "{logged:?}");
    // What has no event is a warning.
    let lease = path.with_extension("lease");
    let shown = lease.display().to_string();
    fs::write(&lease, "{").unwrap();
    let again = server.start(opened(&folder));
    again.credentials.get().await.unwrap();
    again.credentials.renew().await.unwrap();
    let logged = logged_with(&shown);
    assert!(logged[0].starts_with("WARN"), "{logged:?}");
}

#[tokio::test]
async fn rule_22_whatever_the_entry_is_a_wrong_password_is_tried_once() {
    for spoiled in ["{\"format\":2}", "{"] {
        let folder = TestFolder::new();
        let program = |provider| {
            Credentials::builder(provider)
                .store(opened(&folder))
                .build()
        };
        let right = program(Scripted::tokens(Lifetime::of(LIFE)));
        right.get().await.unwrap();
        right.close().await.unwrap();
        fs::write(entry(&folder), spoiled).unwrap();
        let mut attempts = 0;
        for _ in 0..13 {
            let wrong = Scripted::new(|_| Err(LoginError::refused("status 401")));
            let logins = wrong.logins();
            let error = program(wrong).get().await.unwrap_err();
            assert!(error.is_login_refused(), "{error}");
            attempts += logins.count();
        }
        assert_eq!(attempts, 1, "{spoiled}");
    }
}
