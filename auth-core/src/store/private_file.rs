//! Files that belong to this user alone.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Why a file is not read.
#[derive(Debug)]
pub(super) enum NotPrivate {
    /// It is not there, or can't be opened.
    Io(io::Error),
    /// It is a symbolic link, a folder, a pipe or a device.
    NotAFile,
    /// It belongs to another user.
    #[cfg_attr(not(unix), allow(dead_code, reason = "it is not asked there"))]
    NotOurs,
    /// Other users can do with it what its mode says.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there are no modes there"))]
    Exposed(u32),
}

/// What other users must not be able to do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    /// They may read it, because what it holds is sealed.
    #[cfg_attr(
        not(feature = "file"),
        allow(dead_code, reason = "entries are read so")
    )]
    MustNotWrite,
    /// They must not even read it.
    MustNotRead,
}

#[cfg(feature = "file")]
impl NotPrivate {
    /// Why, in a text.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Io(_) => "it can't be opened",
            Self::NotAFile => "it is no regular file",
            Self::NotOurs => "it belongs to another user",
            Self::Exposed(_) => "others can write it",
        }
    }
}

impl From<io::Error> for NotPrivate {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Opens a file for reading. It follows no symbolic link and waits for no pipe.
pub(super) fn open(path: &Path, others: Others) -> Result<File, NotPrivate> {
    let mut options = OpenOptions::new();
    options.read(true);
    open_with(path, &mut options, others)
}

/// Opens a file as the options say, and checks what was opened, not what has the name.
pub(super) fn open_with(
    path: &Path,
    options: &mut OpenOptions,
    others: Others,
) -> Result<File, NotPrivate> {
    let file = match no_link(options).open(path) {
        Ok(file) => file,
        Err(error) => {
            let is_file = path.symlink_metadata().map(|found| found.is_file());
            return Err(if is_file.unwrap_or(true) {
                error.into()
            } else {
                NotPrivate::NotAFile
            });
        }
    };
    let found = file.metadata()?;
    if !found.is_file() || is_link(path) {
        return Err(NotPrivate::NotAFile);
    }
    check(&found, others)?;
    Ok(file)
}

/// Creates a file that only this user can read. It fails if the name is taken.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    for_us_alone(&mut options).open(path)
}

#[cfg(unix)]
pub(super) fn for_us_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

#[cfg(not(unix))]
pub(super) fn for_us_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Has the names of a folder outlive a crash of the machine. Windows has no such call, and some
/// file systems refuse it: there a crash may bring back the file that was replaced, which is whole.
pub(super) fn sync_folder(folder: &Path) {
    if cfg!(unix) {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
}

/// Whether what was found belongs to this user, and to no other.
#[cfg(unix)]
pub(super) fn check(found: &std::fs::Metadata, others: Others) -> Result<(), NotPrivate> {
    use std::os::unix::fs::MetadataExt as _;

    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(NotPrivate::NotOurs);
    }
    let forbidden = match others {
        Others::MustNotWrite => 0o022,
        Others::MustNotRead => 0o077,
    };
    let mode = found.mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(NotPrivate::Exposed(mode));
    }
    Ok(())
}

/// Elsewhere the folder says who may do what, and this crate does not ask it.
#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "it is checked on unix")]
pub(super) fn check(_: &std::fs::Metadata, _: Others) -> Result<(), NotPrivate> {
    Ok(())
}

#[cfg(unix)]
fn no_link(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;

    use rustix::fs::OFlags;

    // Without `NONBLOCK`, the opening of a pipe would wait for its writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    options.custom_flags(flags.bits().cast_signed())
}

#[cfg(not(unix))]
fn no_link(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// On unix the opening has failed.
#[cfg(unix)]
const fn is_link(_: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn is_link(path: &Path) -> bool {
    let found = path.symlink_metadata();
    found.is_ok_and(|found| found.is_symlink())
}
