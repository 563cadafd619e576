//! Redirects in a tower stack: a service around [`Auth`](super::Auth), which sends each hop.

mod future;
mod kept;
mod layer;
mod sent;
mod service;

pub use future::FollowFuture;
pub use layer::FollowLayer;
pub(super) use sent::Sent;
pub use service::Follow;
