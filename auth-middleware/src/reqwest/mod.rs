//! The integration with reqwest-middleware.

mod error;
mod middleware;
mod redact;
mod redirect;
#[cfg(feature = "reqwest-retry")]
mod retry;
mod sending;

pub use error::auth_error;
pub use middleware::AuthMiddleware;
pub use redirect::redirect_policy;
#[cfg(feature = "reqwest-retry")]
pub use retry::AuthRetryStrategy;
