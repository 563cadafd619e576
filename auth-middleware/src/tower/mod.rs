//! The integration with tower.

mod attach;
#[cfg(feature = "follow")]
mod follow;
mod future;
mod head;
mod layer;
mod origin;
mod replay;
mod service;

#[cfg(feature = "follow")]
pub use follow::{Follow, FollowFuture, FollowLayer};
pub use future::AuthFuture;
pub use layer::AuthLayer;
pub use replay::{Buffering, Cloning, InMemory, NoReplay, ReplayMode};
pub use service::Auth;

/// The error of the tower integration: that of the inner service, an [`auth_core::Error`], an
/// [`auth_core::InvalidValue`] or a [`BodyFieldError`](crate::BodyFieldError). `downcast_ref` tells
/// them apart.
///
/// ```
/// use auth_middleware::BoxError;
///
/// fn explain(error: &BoxError) -> &'static str {
///     match error.downcast_ref::<auth_core::Error>() {
///         Some(error) if error.is_login_refused() => "check the password",
///         Some(_) => "could not log in",
///         None => "the request failed",
///     }
/// }
/// # let _ = explain;
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
