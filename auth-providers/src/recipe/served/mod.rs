//! The other side of a recipe: the answers of a server that behaves as it says.
//!
//! Nothing here knows a request. What a request has to be is what the client's own code renders,
//! in [`crate::demo`].

mod answers;
mod draft;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod served;
mod time;
mod unserved;

pub(crate) use answers::Issue;
pub(crate) use served::{At, Served};
pub use unserved::Unserved;
