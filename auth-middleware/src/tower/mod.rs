//! The integration with tower.

mod future;
mod layer;
mod replay;
mod service;

pub use future::AuthFuture;
pub use layer::AuthLayer;
pub use replay::{Buffering, Cloning, NoReplay, ReplayMode};
pub use service::Auth;

/// The error of the tower integration: the inner service's own, or an [`auth_core::Error`], to be
/// found by `downcast_ref`.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
