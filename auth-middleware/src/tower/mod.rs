//! The front for tower stacks.

mod body;
mod future;
mod layer;
mod service;

pub use body::AuthBody;
pub use future::AuthFuture;
pub use layer::AuthLayer;
pub use service::Auth;

/// The error of the tower front: the inner service's own, or an [`auth_core::Error`], to be found by `downcast_ref`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
