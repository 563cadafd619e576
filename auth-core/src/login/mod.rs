//! One login, from its start to the outcome that the cache keeps.
//!
//! - [`run`]: its steps in order: look, permit, send, keep
//! - [`flight`]: the login under way, as its waiters see it
//! - [`waiters`]: the list of its waiters
//! - [`engine`]: what every login of a cache needs

mod engine;
mod flight;
mod run;
mod waiters;

pub(crate) use engine::Engine;
pub(crate) use flight::{Flight, Told};
pub(crate) use run::{Keep, Login};
pub(crate) use waiters::WaiterKey;
