//! Why a folder can't be a store.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::store::KeyError;

/// Why a folder can't be a store. The texts say what to do.
///
/// ```
/// use auth_core::store::{FileStore, FolderError};
///
/// # let file = std::env::temp_dir().join(format!("auth-core-file-{}", std::process::id()));
/// std::fs::write(&file, "")?;
/// let error = FileStore::open(&file).expect_err("it is a file");
/// assert!(matches!(error, FolderError::NotAFolder { .. } | FolderError::Io { .. }));
/// # std::fs::remove_file(file)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FolderError {
    /// There is no key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The folder, or a file in it, can't be made or used.
    #[error("{} can't be made or used", .path.display())]
    Io {
        /// The path of the folder or of the file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no folder, or a symbolic link to one.
    #[error("{} is no folder; give the path of the folder itself", .path.display())]
    NotAFolder {
        /// Its path.
        path: PathBuf,
    },
    /// The folder belongs to another user.
    #[error(
        "folder {} belongs to another user; run as that user, or give a folder of your own",
        .path.display()
    )]
    NotOurs {
        /// Its path.
        path: PathBuf,
    },
    /// Other users have access to the folder.
    #[error(
        "folder {} is open to others (its mode is {mode:03o}); run `chmod 700` on it",
        .path.display()
    )]
    Exposed {
        /// Its path.
        path: PathBuf,
        /// The mode of the folder.
        mode: u32,
    },
    /// The file system has no locks.
    #[error(
        "files in folder {} can't be locked; give a folder on a local disk", .path.display()
    )]
    NoLocks {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
