//! The errors, and what to do about each.

#[allow(clippy::module_inception, reason = "a file for each noun")]
mod error;
mod exchange;
mod login;

pub use error::Error;
pub(crate) use exchange::Exchange;
pub(crate) use login::LONGEST_RETRY_AFTER;
pub use login::{LoginError, LoginErrorKind};
