//! Redirects, hop by hop. Both integrations follow them with this room, which does no I/O.
//!
//! 1. An integration sends a hop as a request of its own: with a credential if its URL is in scope,
//!    judged by its own URL, and replayed alone.
//! 2. It asks the [`Chain`] for the next [`Hop`], if the response redirects.
//! 3. It makes the next request from the pristine copy of the hop, to which no credential was
//!    attached, and lets the hop change it.

mod chain;
mod error;
mod hop;
mod redirects;
mod secrets;
mod stack;

pub(crate) use chain::{Answer, Chain, would_take_a_secret};
pub use error::RedirectError;
pub(crate) use hop::Hop;
pub use redirects::Redirects;
pub(crate) use secrets::Secrets;
#[cfg(feature = "reqwest")]
pub(crate) use stack::Chained;
#[cfg(feature = "follow")]
pub(crate) use stack::FollowedAbove;
pub(crate) use stack::NotFollowed;
