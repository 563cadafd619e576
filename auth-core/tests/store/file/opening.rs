//! What a folder and a key file must be.

use std::fs;
use std::time::{Duration, SystemTime};

use auth_core::store::{FileStore, Keys, Seal as _, Store as _};
#[cfg(unix)]
use auth_core::store::{FolderError, KeyError};

use super::folder::TestFolder;
use super::{files, log_in, opened};

#[tokio::test]
async fn folder_and_key_are_made_for_their_user_alone() {
    let folder = TestFolder::new();
    let path = folder.path().join("deeper");
    let store = FileStore::open(&path).unwrap();
    log_in(&store, "a", b"s1").await;
    store.hold("o", Duration::from_secs(1)).await.unwrap();
    assert_eq!(
        files(&path),
        [
            "a.entry",
            "a.lease",
            "a.lock",
            "key",
            "lock",
            "o.permits",
            "o.permits.lock"
        ]
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;

        let mode = |path: &std::path::Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&path)), (0o700, 0o700));
        for file in files(&path) {
            assert_eq!(mode(&path.join(&file)), 0o600, "{file}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_is_not_its_users_alone_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    let folder = TestFolder::new();
    drop(opened(&folder));
    let path = folder.path();
    let set = |mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [
        0o777, 0o770, 0o755, 0o750, 0o701, 0o710, 0o740, 0o704, 0o1777,
    ] {
        set(mode);
        let error = FileStore::open(path).unwrap_err();
        assert!(matches!(error, FolderError::Exposed { .. }), "{mode:o}");
        let error = error.to_string();
        assert!(error.contains("chmod 700"), "{error}");
        assert!(error.contains(&format!("{:03o}", mode & 0o777)), "{error}");
        let error = FileStore::with_keys(path, Keys::from_bytes([1; 32]));
        assert!(error.is_err(), "{mode:o}");
    }
    set(0o700);
    drop(opened(&folder));

    let link = path.with_extension("link");
    symlink(path, &link).unwrap();
    for link in [link.clone(), link.join(""), link.join(".")] {
        let error = FileStore::open(&link).unwrap_err();
        let shown = link.display();
        assert!(matches!(error, FolderError::NotAFolder { .. }), "{shown}");
    }
    let file = path.join("key");
    let error = FileStore::open(file).unwrap_err();
    assert!(matches!(error, FolderError::NotAFolder { .. }));
    let error = FileStore::open(path.join("key/below")).unwrap_err();
    assert!(matches!(error, FolderError::Io { .. }));

    // Only root can give a folder away.
    if chown(path, Some(12_345), None).is_ok() {
        let error = FileStore::open(path).unwrap_err();
        assert!(matches!(error, FolderError::NotOurs { .. }));
    }
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    let folder = TestFolder::new();
    drop(opened(&folder));
    let path = folder.path().join("key");
    let set = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o640, 0o604, 0o644, 0o620, 0o610, 0o601] {
        set(mode);
        let error = FileStore::open(folder.path()).unwrap_err();
        let is_exposed = matches!(error, FolderError::Key(KeyError::Exposed { .. }));
        assert!(is_exposed, "{mode:o}: {error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    set(0o400);
    let name = Keys::from_file(&path).unwrap().name(b"");

    let link = path.with_extension("link");
    symlink(&path, &link).unwrap();
    let error = Keys::from_file(&link).unwrap_err();
    assert!(matches!(error, KeyError::NotAFile { .. }), "{error}");
    let error = Keys::from_file(folder.path()).unwrap_err();
    assert!(matches!(error, KeyError::NotAFile { .. }), "{error}");
    symlink("nowhere", path.with_extension("dangling")).unwrap();
    let error = Keys::from_file(path.with_extension("dangling")).unwrap_err();
    assert!(matches!(error, KeyError::NotAFile { .. }), "{error}");
    assert!(!folder.path().join("nowhere").exists());
    assert_eq!(Keys::from_file(&path).unwrap().name(b""), name);

    if chown(&path, Some(12_345), None).is_ok() {
        let error = Keys::from_file(&path).unwrap_err();
        assert!(matches!(error, KeyError::NotOurs { .. }), "{error}");
    }
}

#[test]
fn a_key_file_without_a_key_is_refused_and_left() {
    let folder = TestFolder::new();
    drop(opened(&folder));
    let path = folder.path().join("key");
    let long = "ab,".repeat(5_000);
    for text in ["", "\n", "canary", "00", &long] {
        fs::write(&path, text).unwrap();
        let error = Keys::from_file(&path).unwrap_err().to_string();
        assert!(
            error.contains("key") && !error.contains("canary"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, format!("{}\n# \n", "00".repeat(32))).unwrap();
    assert!(Keys::from_file(&path).is_err(), "there are no comments");
    fs::write(&path, format!("{}\n{}\n", "11".repeat(32), "22".repeat(32))).unwrap();
    let keys = Keys::from_file(&path).unwrap();
    assert_eq!(keys.name(b""), Keys::from_bytes([0x22; 32]).name(b""));
    let sealed = keys.seal("s", b"").unwrap();
    assert!(Keys::from_bytes([0x11; 32]).open(&sealed, b"").is_ok());
}

#[test]
fn of_many_who_make_the_key_file_all_get_the_same_key() {
    let folder = TestFolder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let path = folder.path().join("key");
    let names: Vec<_> = std::thread::scope(|scope| {
        let name = || Keys::from_file(&path).unwrap().name(b"ann");
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(name)).collect();
        let names = threads.into_iter().map(|thread| thread.join().unwrap());
        names.collect()
    });
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    assert_eq!(files(folder.path()), ["key"]);
}

#[test]
fn what_a_killed_process_has_left_is_removed_when_it_is_old() {
    let folder = TestFolder::new();
    drop(opened(&folder));
    let write = |file: &str, age: u64| {
        let path = folder.path().join(file);
        fs::write(&path, "half").unwrap();
        let written = SystemTime::now() - Duration::from_secs(age);
        let opened = fs::File::options().write(true).open(path).unwrap();
        opened.set_modified(written).unwrap();
    };
    write("a.entry.0011.tmp", 2 * 3_600);
    write("a.notes.0011.tmp", 2 * 3_600);
    write("b.entry.0011.tmp", 60);
    write("c.entry", 1_000_000);
    drop(opened(&folder));
    assert_eq!(
        files(folder.path()),
        ["b.entry.0011.tmp", "c.entry", "key", "lock"]
    );
}

/// Such as the folder of a program that keeps files of its own there, or a home.
#[test]
fn what_others_have_left_in_the_folder_stays_however_old_it_is() {
    let folder = TestFolder::new();
    drop(opened(&folder));
    let theirs = [
        "a.entry.tmp",
        "a.entry.0011.tmp.tmp",
        "a.other.0011.tmp",
        "b b.entry.0011.tmp",
        "draft.0011.tmp",
        "draft.tmp",
        "key.tmp",
        "keys.0011.tmp",
    ];
    let ours = [
        "a-1.entry.0011.tmp",
        "a.lease.0011.tmp",
        "a.permits.0011.tmp",
        "key.0011.tmp",
    ];
    for file in theirs.iter().chain(&ours) {
        let path = folder.path().join(file);
        fs::write(&path, "text").unwrap();
        let written = SystemTime::now() - Duration::from_secs(1_000_000);
        let opened = fs::File::options().write(true).open(path).unwrap();
        opened.set_modified(written).unwrap();
    }
    drop(opened(&folder));
    let mut left: Vec<_> = theirs.iter().chain(&["key", "lock"]).collect();
    left.sort_unstable();
    let found = files(folder.path());
    assert_eq!(
        found.iter().map(String::as_str).collect::<Vec<_>>(),
        left.into_iter().copied().collect::<Vec<_>>()
    );
}

#[test]
fn the_key_of_a_variable_is_read() {
    let read = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "file::opening::child_reads_a_variable",
            "--ignored",
        ])
        .env(
            "AUTH_CORE_TEST_KEYS",
            format!("{},{}", "11".repeat(32), "22".repeat(32)),
        )
        .output()
        .unwrap();
    assert!(read.status.success(), "{read:?}");
}

#[test]
#[ignore = "the test above runs it in a process of its own"]
fn child_reads_a_variable() {
    let Some(_) = std::env::var_os("AUTH_CORE_TEST_KEYS") else {
        return;
    };
    let keys = Keys::from_env("AUTH_CORE_TEST_KEYS").unwrap();
    assert_eq!(keys.name(b""), Keys::from_bytes([0x22; 32]).name(b""));
}

/// A key file of this length, with as many keys as fit, in a folder of its own.
fn key_file(folder: &TestFolder, length: usize) -> std::path::PathBuf {
    fs::create_dir_all(folder.path()).unwrap();
    let path = folder.path().join("keys");
    let line = format!("{}\n", "1f".repeat(32));
    let mut text = line.repeat(length / line.len());
    text.push_str(&"\n".repeat(length - text.len()));
    fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    path
}

#[test]
fn a_key_file_of_four_kibibytes_is_read_and_a_longer_one_is_refused() {
    for (length, is_read) in [(65, true), (4_096, true), (4_097, false), (9_000, false)] {
        let folder = TestFolder::new();
        let path = key_file(&folder, length);
        assert_eq!(Keys::from_file(path).is_ok(), is_read, "{length} bytes");
    }
}

#[test]
fn a_key_file_that_is_empty_may_be_written_by_now_and_is_read_again() {
    let folder = TestFolder::new();
    let path = key_file(&folder, 0);
    let begun = std::time::Instant::now();
    assert!(Keys::from_file(path).is_err());
    assert!(begun.elapsed() >= Duration::from_millis(400), "20 times");
}

#[cfg(target_os = "linux")]
#[test]
fn a_key_file_is_made_where_its_name_leaves_no_room_for_another_one() {
    let folder = TestFolder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let path = folder.path().join("k".repeat(250));
    let made = Keys::from_file(&path).unwrap();
    let sealed = made.seal("token", b"").unwrap();
    let read = Keys::from_file(&path).unwrap();
    assert_eq!(read.open(&sealed, b"").unwrap().expose(), "token");
}

#[cfg(unix)]
#[test]
fn a_key_file_that_cant_be_made_says_why() {
    let folder = TestFolder::new();
    fs::create_dir_all(folder.path()).unwrap();
    let error = Keys::from_file(folder.path().join("keys/")).unwrap_err();
    let KeyError::File { source, .. } = error else {
        panic!("{error}");
    };
    assert_eq!(source.kind(), std::io::ErrorKind::IsADirectory);
}

#[test]
fn a_folder_whose_lock_cant_be_opened_has_locks_all_the_same() {
    let folder = TestFolder::new();
    drop(opened(&folder));
    let lock = folder.path().join("lock");
    fs::remove_file(&lock).unwrap();
    fs::create_dir(&lock).unwrap();
    let error = FileStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, FolderError::Io { .. }), "{error}");
}

#[test]
fn a_store_in_files_prints_its_name() {
    let folder = TestFolder::new();
    assert_eq!(format!("{:?}", opened(&folder)), "FileStore { .. }");
}
