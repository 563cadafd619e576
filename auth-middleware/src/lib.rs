//! To come.
#[cfg(feature = "reqwest")]
mod attach;
mod context;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod peeked;
#[cfg(feature = "tower")]
mod replay;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "reqwest")]
mod scope;
#[cfg(feature = "tower")]
mod tower;
#[cfg(any(feature = "reqwest", feature = "tower"))]
mod verdict;

#[cfg(feature = "reqwest-retry")]
pub use self::reqwest::AuthRetryStrategy;
#[cfg(feature = "reqwest")]
pub use self::reqwest::{AuthMiddleware, auth_error};
#[cfg(feature = "tower")]
pub use self::tower::{Auth, AuthBody, AuthFuture, AuthLayer, BoxError};
pub use context::{AuthContext, scope};
#[cfg(feature = "tower")]
pub use replay::{Buffering, Cloning, NoReplay, ReplayBody, ReplayMode};
#[cfg(feature = "reqwest")]
pub use scope::redirect_policy;
