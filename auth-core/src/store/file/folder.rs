//! The folder, and the reading and writing of its files.

use std::fs::{self, DirBuilder};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use data_encoding::HEXLOWER;

use super::error::FolderError;
use super::lock::{Lock, NotLocked};
use crate::clock::{nanos, shared_now};
use crate::store::private_file::{self, NotPrivate, Others};

/// A folder that is ours alone.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// What is read of a file.
pub(super) enum Text {
    Missing,
    /// It is not taken for one of ours, and why.
    Refused(&'static str),
    Bytes(Vec<u8>),
}

impl Folder {
    /// Makes the folder if it is not there, and checks it.
    pub(super) fn open(path: &Path) -> Result<Self, FolderError> {
        // Absolute, because the working folder may change. Put together again, because with a slash
        // at its end a link would be followed.
        let path: PathBuf = std::path::absolute(path)
            .map_err(|source| FolderError::Io {
                path: path.to_owned(),
                source,
            })?
            .components()
            .collect();
        let failed = |source| FolderError::Io {
            path: path.clone(),
            source,
        };
        if let Err(error) = path.symlink_metadata() {
            if error.kind() != io::ErrorKind::NotFound {
                return Err(failed(error));
            }
            make(&path).map_err(failed)?;
        }
        let found = path.symlink_metadata().map_err(failed)?;
        if !found.is_dir() {
            return Err(FolderError::NotAFolder { path });
        }
        if let Err(why) = private_file::check(&found, Others::MustNotRead) {
            return Err(match why {
                NotPrivate::Exposed(mode) => FolderError::Exposed { path, mode },
                NotPrivate::NotOurs => FolderError::NotOurs { path },
                other => failed(other.into_io()),
            });
        }
        let folder = Self(path);
        folder.try_lock()?;
        folder.clean();
        Ok(folder)
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// Whether files can be locked here is found out at the start, and not at the first login.
    fn try_lock(&self) -> Result<(), FolderError> {
        match Lock::try_take(&self.path("lock")) {
            Ok(_) | Err(NotLocked::Held) => Ok(()),
            Err(NotLocked::Io(source)) if has_no_locks(&source) => Err(FolderError::NoLocks {
                path: self.0.clone(),
                source,
            }),
            Err(NotLocked::Io(source)) => Err(FolderError::Io {
                path: self.path("lock"),
                source,
            }),
        }
    }

    /// Removes what processes that were killed have left. What is not old may be in use, and the
    /// folder may have files of others.
    fn clean(&self) {
        let now = shared_now().wall;
        for file in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            if !file.file_name().to_str().is_some_and(is_temporary) {
                continue;
            }
            let written = file.metadata().and_then(|found| found.modified());
            let written = written
                .ok()
                .and_then(|at| at.duration_since(UNIX_EPOCH).ok());
            let age = written.map(|at| now.saturating_sub(nanos(at)));
            if age.is_some_and(|age| age > nanos(OLD)) {
                let _ = fs::remove_file(file.path());
            }
        }
    }

    /// The names of the entries.
    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for file in fs::read_dir(&self.0)? {
            let file = file?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(".entry"));
            names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a file. It is an error only if the file may be whole and can't be read now.
    pub(super) fn read(&self, file: &str) -> io::Result<Text> {
        let opened = private_file::open(&self.path(file), Others::MustNotWrite);
        let opened = match opened {
            Ok(opened) => opened,
            Err(NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Text::Missing);
            }
            Err(NotPrivate::Io(error)) => return Err(error),
            Err(other) => return Ok(Text::Refused(other.reason())),
        };
        let mut bytes = Vec::new();
        opened.take(LONGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LONGEST {
            return Ok(Text::Refused("it is too large"));
        }
        Ok(Text::Bytes(bytes))
    }

    /// Puts a file in the place of the old one, so that a reader finds one of the two whole.
    pub(super) fn write(&self, file: &str, text: &[u8]) -> io::Result<()> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)?;
        let temporary = format!("{file}.{}.{TEMPORARY}", HEXLOWER.encode(&random));
        let temporary = self.path(&temporary);
        let written = private_file::create(&temporary).and_then(|mut opened| {
            opened.write_all(text)?;
            // Before the rename: else a crash of the machine could leave an empty file.
            opened.sync_all()
        });
        let renamed = written.and_then(|()| fs::rename(&temporary, self.path(file)));
        if renamed.is_err() {
            let _ = fs::remove_file(&temporary);
        } else {
            private_file::sync_folder(&self.0);
        }
        renamed
    }

    /// Removes a file, and says whether it was there.
    pub(super) fn remove(&self, file: &str) -> io::Result<bool> {
        match fs::remove_file(self.path(file)) {
            Ok(()) => {
                private_file::sync_folder(&self.0);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A value that is another one when the file has been replaced, mostly: a file that is written
    /// within the same tick of the clock may get the number of the one before.
    pub(super) fn mark(&self, file: &str) -> Mark {
        let found = self.path(file).symlink_metadata().ok()?;
        Some((number(&found), found.len(), found.modified().ok()))
    }
}

/// See [`Folder::mark`].
pub(super) type Mark = Option<(u64, u64, Option<std::time::SystemTime>)>;

/// The end of the name of a file that is being written.
const TEMPORARY: &str = "tmp";

/// Whether a file of this name is one of ours that is, or was, being written.
fn is_temporary(file: &str) -> bool {
    let parts: Vec<_> = file.split('.').collect();
    let (of, random) = match parts[..] {
        [KEY, random, TEMPORARY] => (KEY, random),
        [
            name,
            "entry" | "lease" | "notes" | "permits",
            random,
            TEMPORARY,
        ] => (name, random),
        _ => return false,
    };
    is_name(of) && !random.is_empty() && random.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The name of the key's file.
pub(super) const KEY: &str = "key";

/// When a file that is being written is left over. A write takes milliseconds, or the time that a
/// process was stopped for.
const OLD: Duration = Duration::from_secs(3_600);

/// The longest file that is read, in bytes. A session has some kilobytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// Whether it can stand in the name of a file, everywhere.
pub(super) fn is_name(name: &str) -> bool {
    let fits = (1..=128).contains(&name.len());
    fits && name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(unix)]
fn has_no_locks(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    error.kind() == io::ErrorKind::Unsupported
        || errno.is_some_and(|errno| {
            [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP].contains(&errno)
        })
}

#[cfg(not(unix))]
fn has_no_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

#[cfg(unix)]
fn number(found: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
const fn number(_: &fs::Metadata) -> u64 {
    0
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::fs::File;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_file_system_without_locks_is_told_from_one_in_trouble() {
        for (errno, is_without) in [
            (Errno::NOLCK, true),
            (Errno::NOSYS, true),
            (Errno::OPNOTSUPP, true),
            (Errno::IO, false),
            (Errno::ACCESS, false),
        ] {
            let error = io::Error::from_raw_os_error(errno.raw_os_error());
            assert_eq!(has_no_locks(&error), is_without, "{errno:?}");
        }
        assert!(has_no_locks(&io::ErrorKind::Unsupported.into()));
        assert!(!has_no_locks(&io::ErrorKind::NotFound.into()));
    }

    #[test]
    fn a_file_that_was_replaced_by_one_of_its_length_and_time_has_another_mark() {
        let folder = format!("auth-core-marks-{}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(folder));
        make(&folder.0).unwrap();
        let write = |file: &str| {
            let opened = File::create(folder.path(file)).unwrap();
            (&opened).write_all(b"text").unwrap();
            opened.set_modified(UNIX_EPOCH + OLD).unwrap();
        };
        write("a");
        let mark = folder.mark("a");
        assert!(mark.is_some() && folder.mark("a") == mark);
        write("b");
        fs::rename(folder.path("b"), folder.path("a")).unwrap();
        assert_ne!(folder.mark("a"), mark);
        fs::remove_dir_all(&folder.0).unwrap();
    }
}
