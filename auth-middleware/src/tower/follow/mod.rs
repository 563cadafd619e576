//! Redirects in a tower stack: a service around [`Auth`](super::Auth), which sends each hop.

mod future;
mod kept;
mod layer;
mod service;

pub use future::FollowFuture;
pub use layer::FollowLayer;
pub use service::Follow;
