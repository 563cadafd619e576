//! Why there are no keys.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::private_file::NotPrivate;

/// Why there are no [`Keys`](super::Keys). The texts say what to do.
///
/// ```
/// use auth_core::store::{KeyError, Keys};
///
/// let error = Keys::parse("correct horse battery staple").expect_err("a passphrase");
/// assert!(matches!(error, KeyError::Malformed { .. }));
/// assert!(error.to_string().contains("openssl rand -hex 32"));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is no key.
    #[error(
        "{place} is no key: a key is 32 random bytes, as 64 hex digits or in base64; make one with \
         `openssl rand -hex 32`"
    )]
    Malformed {
        /// Where the text is from.
        place: String,
    },
    /// The environment variable is not set.
    #[error(
        "environment variable {} is not set; it should hold a key, made with `openssl rand -hex 32`",
        .name.display()
    )]
    NotSet {
        /// Its name.
        name: OsString,
    },
    /// The file can't be read or made.
    #[error("key file {} can't be read or made", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is a symbolic link, a folder, a pipe or a device.
    #[error("key file {} is no regular file; give the path of the file itself", .path.display())]
    NotAFile {
        /// Its path.
        path: PathBuf,
    },
    /// The file belongs to another user.
    #[error(
        "key file {} belongs to another user; run as that user, or make a key file of your own",
        .path.display()
    )]
    NotOurs {
        /// Its path.
        path: PathBuf,
    },
    /// Other users can read the file.
    #[error(
        "key file {} can be read by others (its mode is {mode:03o}); run `chmod 600` on it, and \
         consider making a new key",
        .path.display()
    )]
    Exposed {
        /// Its path.
        path: PathBuf,
        /// The mode of the file.
        mode: u32,
    },
    /// The system has no random numbers to make a key of.
    #[error("the system gives no random numbers to make a key of")]
    NoRandomNumbers {
        /// Why.
        source: getrandom::Error,
    },
}

impl KeyError {
    pub(super) fn of_file(path: &std::path::Path, why: NotPrivate) -> Self {
        let path = path.to_owned();
        match why {
            NotPrivate::Io(source) => Self::File { path, source },
            NotPrivate::NotAFile => Self::NotAFile { path },
            NotPrivate::NotOurs => Self::NotOurs { path },
            NotPrivate::Exposed(mode) => Self::Exposed { path, mode },
        }
    }
}
