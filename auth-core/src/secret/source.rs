//! The source of a password, read at each login.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::{Secret, SecretError};

/// The source of an identity's password: a value, an environment variable, a file, or code of the
/// user.
///
/// It is read before each login. After a refusal, a change of the variable or file is noticed, and
/// the new password is used at once, without a wait for the cooldown of the old one.
///
/// A `&str` or `String` converts into a source of that value.
///
/// ```
/// use auth_core::SecretSource;
///
/// let fixed: SecretSource = "correct horse".into();
/// let variable = SecretSource::variable("CLAY_PASSWORD");
/// let file = SecretSource::file("/run/secrets/clay");
/// # let _ = (fixed, variable, file);
/// ```
#[derive(Clone)]
pub struct SecretSource(Source);

#[derive(Clone)]
enum Source {
    Value(Secret),
    Variable(OsString),
    File(PathBuf),
    Custom(Arc<dyn ReadSecret>),
}

/// Reads a password from elsewhere, such as a keychain or a vault.
///
/// ```
/// use auth_core::{ReadSecret, Secret, SecretError, SecretSource};
///
/// struct Vault;
///
/// #[async_trait::async_trait]
/// impl ReadSecret for Vault {
///     async fn read(&self) -> Result<Secret, SecretError> {
///         Ok("correct horse".into())
///     }
/// }
///
/// let source = SecretSource::custom(Vault);
/// # let _ = source;
/// ```
///
/// # Cancel safety
/// The future may be dropped at any await: when the last handle is dropped, or after [the login's
/// time-out](crate::CredentialsBuilder::login_timeout).
#[async_trait]
pub trait ReadSecret: Send + Sync + 'static {
    /// Reads the current password.
    ///
    /// # Errors
    /// A [`SecretError`] that says what to do about it. The message must not contain the secret.
    async fn read(&self) -> Result<Secret, SecretError>;
}

impl SecretSource {
    /// A fixed value.
    pub fn value(secret: impl Into<Secret>) -> Self {
        Self(Source::Value(secret.into()))
    }

    /// An environment variable of this process, read at each login.
    pub fn variable(name: impl AsRef<OsStr>) -> Self {
        Self(Source::Variable(name.as_ref().to_owned()))
    }

    /// A file in UTF-8 of at most 64 KiB, read at each login. One line break at its end is not part
    /// of the password.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self(Source::File(path.as_ref().to_owned()))
    }

    /// Code of the user.
    pub fn custom(reader: impl ReadSecret) -> Self {
        Self(Source::Custom(Arc::new(reader)))
    }

    /// Reads the current password. An empty one is an error, because no login can succeed with it.
    ///
    /// # Errors
    /// [`SecretError`] if the variable is not set or not Unicode, the file can't be read or is too
    /// large, the user's code failed, or the password is empty.
    ///
    /// # Panics
    /// If a file is read outside a tokio runtime.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time. A file that is being read is read to its end on a
    /// blocking thread.
    pub async fn read(&self) -> Result<Secret, SecretError> {
        let secret = match &self.0 {
            Source::Value(secret) => secret.clone(),
            Source::Variable(name) => read_variable(name)?,
            Source::File(path) => read_file(path.clone()).await?,
            Source::Custom(reader) => reader.read().await?,
        };
        if secret.is_empty() {
            return Err(SecretError::new(format!("{self:?} is empty")));
        }
        Ok(secret)
    }

    /// The value, if it is fixed, for checks that need no login.
    pub const fn fixed(&self) -> Option<&Secret> {
        match &self.0 {
            Source::Value(secret) => Some(secret),
            _ => None,
        }
    }

    /// Whether both are the same source: an equal value, the same variable, file or reader.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::Value(one), Source::Value(two)) => one.fingerprint() == two.fingerprint(),
            (Source::Variable(one), Source::Variable(two)) => one == two,
            (Source::File(one), Source::File(two)) => one == two,
            (Source::Custom(one), Source::Custom(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

fn read_variable(name: &OsStr) -> Result<Secret, SecretError> {
    let shown = name.display();
    let Some(value) = std::env::var_os(name) else {
        return Err(SecretError::new(format!(
            "environment variable {shown} is not set"
        )));
    };
    value.into_string().map(Secret::from).map_err(|value| {
        drop(Zeroizing::new(value.into_encoded_bytes()));
        SecretError::new(format!("environment variable {shown} is not Unicode"))
    })
}

async fn read_file(path: PathBuf) -> Result<Secret, SecretError> {
    let shown = path.display().to_string();
    // A file system that hangs must not block a worker thread of the runtime.
    let bytes = tokio::task::spawn_blocking(move || read_whole(&path))
        .await
        .map_err(|error| {
            SecretError::new(format!("reading {shown} was interrupted")).with_source(error)
        })?
        .map_err(|error| {
            SecretError::new(format!("file {shown} can't be read")).with_source(error)
        })?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| SecretError::new(format!("file {shown} is not UTF-8")))?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    Ok(line.strip_suffix('\r').unwrap_or(line).into())
}

/// Reads a file into memory that is zeroed. The buffer is allocated once, because growing it would
/// leave copies behind.
fn read_whole(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len().min(LONGEST_FILE);
    let mut bytes = Zeroizing::new(Vec::with_capacity(
        usize::try_from(length).unwrap_or(0) + SPARE,
    ));
    file.take(LONGEST_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(std::io::Error::other("it is too large for a password"));
    }
    Ok(bytes)
}

/// The longest file that is read as a password, in bytes.
const LONGEST_FILE: u64 = 64 * 1024;

/// `read_to_end` needs spare capacity to see the end of the file without growing the buffer. It
/// probes with 32 bytes.
const SPARE: usize = 32;

impl From<&str> for SecretSource {
    fn from(value: &str) -> Self {
        Self::value(value)
    }
}

impl From<String> for SecretSource {
    fn from(value: String) -> Self {
        Self::value(value)
    }
}

impl From<Secret> for SecretSource {
    fn from(value: Secret) -> Self {
        Self::value(value)
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Value(_) => f.write_str("the password given"),
            Source::Variable(name) => write!(f, "environment variable {}", name.display()),
            Source::File(path) => write!(f, "file {}", path.display()),
            Source::Custom(_) => f.write_str("the password of a custom source"),
        }
    }
}
