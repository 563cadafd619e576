//! The operating system's lock on a file, taken in a bounded time.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::store::StoreError;
use crate::store::private_file::{self, NotPrivate, Others};

/// A lock that is held. It ends when this is dropped, and when the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Drop for Lock {
    /// A child process that was forked meanwhile has the file open as well, and would hold the lock
    /// for as long as it lives.
    fn drop(&mut self) {
        // If that fails, the lock ends with the last that has the file open.
        let _ = self.file.unlock();
    }
}

/// Why a lock is not held.
#[derive(Debug)]
pub(super) enum NotLocked {
    /// Another process or thread holds it.
    Held,
    /// Its file can't be opened or locked.
    Io(io::Error),
}

/// How long to try. The cache waits for two seconds, and a message is worth more than a time-out.
/// What is done under a lock takes milliseconds, so only a process that was stopped, or that waits
/// for its disk, holds it for so long.
const LONGEST: Duration = Duration::from_millis(1_500);

/// The first pause between two tries. Each is twice as long as the one before.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

impl Lock {
    /// Takes the lock. It blocks the thread.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let mut waited = Duration::ZERO;
        let mut pause = SHORTEST_PAUSE;
        loop {
            match Self::try_take(path) {
                Ok(lock) => return Ok(lock),
                Err(NotLocked::Io(error)) => {
                    let what = if error.kind() == io::ErrorKind::NotFound {
                        "can't be made because its folder is gone; start the program again"
                    } else {
                        "can't be locked"
                    };
                    let what = format!("{} {what}", path.display());
                    return Err(StoreError::new(what).with_source(error));
                }
                Err(NotLocked::Held) if waited >= LONGEST => {
                    return Err(StoreError::new(format!(
                        "a process holds the lock of {} for longer than {LONGEST:?}; look for one \
                         that was stopped",
                        path.display()
                    )));
                }
                Err(NotLocked::Held) => {
                    thread::sleep(pause);
                    // The sum of the pauses is less than the time that has passed, by the time that
                    // the tries took.
                    waited += pause;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Takes the lock if it is free.
    pub(super) fn try_take(path: &Path) -> Result<Self, NotLocked> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private_file::for_us_alone(&mut options);
        let file = private_file::open_with(path, &mut options, Others::MustNotWrite)
            .map_err(|why| NotLocked::Io(why.into_io()))?;
        match file.try_lock() {
            Ok(()) => {
                let path = path.to_owned();
                let lock = Self { file, path };
                // It may have been removed before it was locked. The next try makes another one.
                if lock.is_in_place() {
                    Ok(lock)
                } else {
                    Err(NotLocked::Held)
                }
            }
            Err(TryLockError::WouldBlock) => Err(NotLocked::Held),
            Err(TryLockError::Error(error)) => Err(NotLocked::Io(error)),
        }
    }

    /// To be called before anything is written under the lock: someone may have removed its file,
    /// or the folder, while this process was stopped, and others have changed since then what it
    /// has read.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.is_in_place() {
            return Ok(());
        }
        let path = self.path.display();
        Err(StoreError::new(format!(
            "{path} was removed while it was locked, so nothing was changed"
        )))
    }

    /// Whether others that lock the file of this name lock this one.
    fn is_in_place(&self) -> bool {
        let found = (self.file.metadata()).and_then(|ours| Ok((ours, self.path.metadata()?)));
        found.is_ok_and(|(ours, there)| is_same(&ours, &there))
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Elsewhere a file that is open keeps its name, or is not told from another one.
#[cfg(not(unix))]
const fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

impl NotPrivate {
    /// For a file whose absence can't be gone on with.
    pub(super) fn into_io(self) -> io::Error {
        match self {
            Self::Io(error) => error,
            other => io::Error::other(other.reason()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn a_lock_ends_though_another_process_has_its_file_open_from_a_fork() {
        let path = std::env::temp_dir().join(format!("auth-core-lock-{}", std::process::id()));
        let lock = Lock::try_take(&path).unwrap();
        let inherited = lock.file.try_clone().unwrap();
        assert!(matches!(Lock::try_take(&path), Err(NotLocked::Held)));
        drop(lock);
        assert!(Lock::try_take(&path).is_ok());
        drop(inherited);
        std::fs::remove_file(&path).unwrap();
    }
}
