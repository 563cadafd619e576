//! The body of a request that may be sent twice, and of a response that a judge has read.

#[cfg(feature = "tower")]
mod at_once;
#[cfg(feature = "tower")]
mod auth;
mod peeked;
#[cfg(feature = "tower")]
mod replay;

#[cfg(feature = "tower")]
pub(crate) use at_once::{Whole, has_data};
#[cfg(feature = "tower")]
pub use auth::AuthBody;
pub(crate) use peeked::Peeked;
#[cfg(feature = "tower")]
pub use replay::ReplayBody;
#[cfg(feature = "tower")]
pub(crate) use replay::SharedBuffer;
