//! What a reader of the folder learns.

use std::fs;

use auth_core::store::{Keys, Seal as _, Store as _};

use super::folder::TestFolder;
use super::{FileStore, ask, log_in, opened, permit, session};

#[tokio::test]
async fn rule_17_the_folder_shows_neither_accounts_nor_sessions() {
    let folder = TestFolder::new();
    let store = opened(&folder);
    let seal = store.seal();
    let name = seal.name(b"canary-account at https://canary-origin.example");
    let origin = seal.name(b"https://canary-origin.example");
    let sealed = seal.seal("canary-token", b"canary-account").unwrap();
    log_in(&store, &name, &sealed).await;
    store.permit(&origin, permit("login-1", 3)).await.unwrap();

    let mut seen = format!("{store:?} {:?}", store.list().await.unwrap());
    for file in fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        seen += &path.display().to_string();
        let bytes = fs::read(path).unwrap();
        seen += &String::from_utf8_lossy(&bytes);
    }
    assert!(seen.contains(&name), "the search finds nothing");
    for plain in ["canary", &data_encoding(b"canary-token")] {
        assert!(!seen.contains(plain), "{plain}");
    }
    // Of another folder, nothing can be opened, and no name is the same.
    let other_folder = TestFolder::new();
    let other = opened(&other_folder);
    assert_ne!(other.seal().name(b"https://canary-origin.example"), origin);
    assert!(other.seal().open(&sealed, b"canary-account").is_err());
}

/// The first letters of the text in base64.
fn data_encoding(text: &[u8]) -> String {
    let encoded = auth_core::basic(std::str::from_utf8(text).unwrap(), "").unwrap();
    let encoded = encoded.to_str().unwrap().trim_start_matches("Basic ");
    encoded[..text.len()].to_owned()
}

#[tokio::test]
async fn an_entry_of_another_key_is_told_and_can_be_replaced() {
    let folder = TestFolder::new();
    let (old, new) = (Keys::from_bytes([1; 32]), Keys::from_bytes([2; 32]));
    let store = FileStore::with_keys(folder.path(), old.clone()).unwrap();
    let sealed = old.seal("token", b"").unwrap();
    log_in(&store, "a", &sealed).await;

    let rotated = FileStore::with_keys(folder.path(), new.clone().and(old)).unwrap();
    assert_eq!(rotated.list().await.unwrap()[0].unreadable, None);
    let entry = rotated.load("a").await.unwrap();
    let opened = rotated.seal().open(session(&entry).unwrap(), b"");
    assert_eq!(opened.unwrap().expose(), "token");

    let other = FileStore::with_keys(folder.path(), new).unwrap();
    let listed = other.list().await.unwrap();
    let unknown = Some(auth_core::store::Unreadable::UnknownKey);
    assert_eq!(listed[0].unreadable, unknown);
    let answer = other.lease("a", ask("b")).await.unwrap();
    let entry = answer.entry;
    assert_eq!(session(&entry), Some(&sealed[..]), "the cache says why");
}
