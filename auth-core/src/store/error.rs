//! Why a store did not do what it was asked.

use std::borrow::Cow;
use std::fmt;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a store did not do what it was asked: it can't be reached, took too long, or can't be used.
///
/// No request fails for it. The cache goes on without the store: see [rule
/// 24](crate::contract#rule-24).
///
/// ```
/// use std::error::Error as _;
/// use auth_core::store::StoreError;
///
/// let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
/// let error = StoreError::new("the database can't be reached").with_source(cause);
/// assert_eq!(error.to_string(), "the database can't be reached");
/// assert!(error.source().is_some());
/// ```
#[derive(Debug)]
pub struct StoreError {
    what: Cow<'static, str>,
    source: Option<BoxError>,
}

impl StoreError {
    /// `what` says what failed, and what its user can do. It quotes nothing that was stored.
    pub fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }

    /// Adds the cause. Its text must hold no secret, such as the password in a URL.
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The failure and its causes in one text, for the log.
    pub(crate) fn reason(&self) -> String {
        let first = self
            .source
            .as_deref()
            .map(|source| source as &dyn std::error::Error);
        let causes = std::iter::successors(first, |cause| cause.source());
        causes.fold(self.what.to_string(), |reason, cause| {
            format!("{reason}: {cause}")
        })
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}
