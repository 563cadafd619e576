//! The front for reqwest-middleware.

mod error;
mod hidden;
mod middleware;
#[cfg(feature = "reqwest-retry")]
mod retry;
mod sending;

pub use error::auth_error;
pub use middleware::AuthMiddleware;
#[cfg(feature = "reqwest-retry")]
pub use retry::AuthRetryStrategy;
