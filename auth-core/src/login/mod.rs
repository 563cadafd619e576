//! One login, from its start to what is kept of it.
//!
//! - [`run`]: its steps in order: look, permit, send, keep
//! - [`flight`]: the login under way, as its waiters see it
//! - [`waiters`]: those who wait for it
//! - [`engine`]: what every login of a cache needs, and no handle

mod engine;
mod flight;
mod run;
mod waiters;

pub(crate) use engine::Engine;
pub(crate) use flight::{Flight, Told};
pub(crate) use run::{Keep, Login};
pub(crate) use waiters::WaiterKey;
