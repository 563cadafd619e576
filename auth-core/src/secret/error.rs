//! Why a password could not be read.

use std::sync::Arc;

use thiserror::Error;

/// A password could not be read. A clone shares the cause.
///
/// ```
/// use auth_core::{Secret, SecretError, SecretSource};
///
/// let source = SecretSource::blocking(|| -> Result<Secret, SecretError> {
///     Err(SecretError::new("the vault is sealed; unseal it"))
/// });
/// let error = source.read_blocking().expect_err("sealed");
/// assert_eq!(error.to_string(), "the vault is sealed; unseal it");
/// ```
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct SecretError {
    message: String,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl SecretError {
    /// An error. `message` says what can't be read and what to do about it. It must not contain the
    /// secret.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }
}
