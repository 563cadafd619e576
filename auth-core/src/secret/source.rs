//! The source of a password, read at each login.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::reading::{Place, read_at};
use super::{Secret, SecretError, can_be_typed};

/// The source of an identity's password: a value, an environment variable, a file, or code of the
/// user.
///
/// It is read before each login. After a refusal, a change of the variable or file is noticed, and
/// the new password is used at once, without a wait for the cooldown of the old one.
///
/// Whatever the source is, the password is the text [as it would be typed](crate::as_typed): a byte
/// order mark before it and one line break after it are not part of it.
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
    Blocking(Arc<dyn Fn() -> Result<Secret, SecretError> + Send + Sync>),
    Custom(Arc<dyn ReadSecret>),
}

/// Reads a password from elsewhere, such as a vault.
///
/// It must not block its thread. Code that blocks is for [`SecretSource::blocking`]: on a blocking
/// thread of a runtime, a call that hangs would keep the runtime from ending, and each login would
/// add one.
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
        Self(Source::Value(secret.into().typed()))
    }

    /// An environment variable of this process, read at each login.
    pub fn variable(name: impl AsRef<OsStr>) -> Self {
        Self(Source::Variable(name.as_ref().to_owned()))
    }

    /// A file in UTF-8 of at most 64 KiB, read at each login.
    ///
    /// It may hang, as a pipe without a writer does, or a file on a network: it is read as
    /// [`blocking`](Self::blocking) code is, by at most one thread of the process.
    pub fn file(path: impl AsRef<Path>) -> Self {
        Self(Source::File(path.as_ref().to_owned()))
    }

    /// Code of the user that may block, such as a call to the system's keychain.
    ///
    /// It is called on a thread of its own, and not again before it has returned: logins that need
    /// the password meanwhile wait for the same call, within their time-outs. No runtime waits for
    /// the thread when it shuts down.
    ///
    /// ```
    /// use auth_core::{SecretError, SecretSource};
    ///
    /// let source = SecretSource::blocking(|| {
    ///     let output = std::process::Command::new("pass").args(["show", "acme"]).output();
    ///     let output = output
    ///         .map_err(|error| SecretError::new("`pass` can't be run").with_source(error))?;
    ///     let text = String::from_utf8(output.stdout);
    ///     Ok(text.map_err(|_| SecretError::new("`pass show acme` is not UTF-8"))?.into())
    /// });
    /// # let _ = source;
    /// ```
    pub fn blocking(
        read: impl Fn() -> Result<Secret, SecretError> + Send + Sync + 'static,
    ) -> Self {
        Self(Source::Blocking(Arc::new(read)))
    }

    /// Async code of the user.
    pub fn custom(reader: impl ReadSecret) -> Self {
        Self(Source::Custom(Arc::new(reader)))
    }

    /// Reads the current password. One that is empty or can't be typed is an error, because no
    /// login can succeed with it.
    ///
    /// # Errors
    /// [`SecretError`] if the variable is not set or not Unicode, the file can't be read or is too
    /// large, the user's code failed, or the password is empty or [can't be
    /// typed](crate::can_be_typed).
    ///
    /// # Cancel safety
    /// The future may be dropped at any time. Code that blocks, such as the reading of a file, runs
    /// on. If the password is read again meanwhile, that waits for the same result.
    pub async fn read(&self) -> Result<Secret, SecretError> {
        let secret = match &self.0 {
            // It was taken as typed when it was given.
            Source::Value(secret) => secret.clone(),
            Source::Variable(name) => read_variable(name)?.typed(),
            Source::File(path) => {
                let place = Place::File(path.clone());
                let path = path.clone();
                read_at(place, move || read_file(&path)).await?.typed()
            }
            Source::Blocking(read) => {
                let place = Place::Code(Arc::as_ptr(read).addr());
                let read = Arc::clone(read);
                read_at(place, move || read()).await?.typed()
            }
            Source::Custom(reader) => reader.read().await?.typed(),
        };
        self.usable(secret)
    }

    /// As [`read`](Self::read), for code that is not async. It blocks its thread for as long as the
    /// file or the user's code does.
    ///
    /// ```
    /// use auth_core::SecretSource;
    ///
    /// let source = SecretSource::value("correct horse\n");
    /// assert_eq!(source.read_blocking()?.expose(), "correct horse", "as it would be typed");
    /// # Ok::<(), auth_core::SecretError>(())
    /// ```
    ///
    /// # Errors
    /// As [`read`](Self::read), and for a [`custom`](Self::custom) source, which is async.
    pub fn read_blocking(&self) -> Result<Secret, SecretError> {
        let secret = match &self.0 {
            Source::Value(secret) => secret.clone(),
            Source::Variable(name) => read_variable(name)?.typed(),
            Source::File(path) => read_file(path)?.typed(),
            Source::Blocking(read) => read()?.typed(),
            Source::Custom(_) => {
                return Err(SecretError::new(format!(
                    "{self:?} is async; read it first and give its value"
                )));
            }
        };
        self.usable(secret)
    }

    /// The secret, unless no login can succeed with it.
    fn usable(&self, secret: Secret) -> Result<Secret, SecretError> {
        if secret.is_empty() {
            return Err(SecretError::new(format!("{self:?} is empty")));
        }
        if !can_be_typed(secret.expose()) {
            return Err(SecretError::new(format!(
                "{self:?} contains a line break or another control character, which can't be typed"
            )));
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
    ///
    /// ```
    /// use auth_core::SecretSource;
    ///
    /// let variable = SecretSource::variable("CLAY_PASSWORD");
    /// assert!(variable.is_same(&SecretSource::variable("CLAY_PASSWORD")));
    /// let value = SecretSource::value("correct horse");
    /// assert!(!variable.is_same(&value), "whatever the variable holds");
    /// ```
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Source::Value(one), Source::Value(two)) => one.fingerprint() == two.fingerprint(),
            (Source::Variable(one), Source::Variable(two)) => one == two,
            (Source::File(one), Source::File(two)) => one == two,
            (Source::Blocking(one), Source::Blocking(two)) => Arc::ptr_eq(one, two),
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

fn read_file(path: &Path) -> Result<Secret, SecretError> {
    let shown = path.display();
    let bytes = read_whole(path).map_err(|error| {
        SecretError::new(format!("file {shown} can't be read")).with_source(error)
    })?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| SecretError::new(format!("file {shown} is not UTF-8")))?;
    Ok(text.into())
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
            Source::Blocking(_) | Source::Custom(_) => {
                f.write_str("the password of a custom source")
            }
        }
    }
}
