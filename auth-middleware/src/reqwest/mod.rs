//! The integration with reqwest-middleware.

mod client;
mod error;
mod middleware;
mod pristine;
mod redact;
#[cfg(feature = "reqwest-retry")]
mod retry;
mod sending;
mod time_left;

pub use client::ClientError;
pub use error::{auth_error, body_field_error, redirect_error};
pub use middleware::AuthMiddleware;
#[cfg(feature = "reqwest-retry")]
pub use retry::AuthRetryStrategy;
