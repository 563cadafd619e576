//! Passwords, and their sources.

mod error;
mod reading;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod secret;
mod source;
mod typed;

pub use error::SecretError;
pub(crate) use secret::Fingerprint;
pub use secret::Secret;
pub use source::{ReadSecret, SecretSource};
pub use typed::{as_typed, can_be_typed};
