//! Passwords, and their sources.

mod error;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod secret;
mod source;

pub use error::SecretError;
pub(crate) use secret::Fingerprint;
pub use secret::Secret;
pub use source::{ReadSecret, SecretSource};
