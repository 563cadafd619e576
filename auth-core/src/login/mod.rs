//! One login, from its start to the outcome that the cache keeps.
//!
//! - [`run`]: its steps in order: look, permit, send, keep; and the refresh that may come before
//! - [`keep`]: the interface of the cache for it
//! - [`turn`]: its turn at the store, with the lease and the permit there
//! - [`settlement`]: its end, which the waiters are not told yet
//! - [`flight`]: the login under way, as its waiters see it
//! - [`waiters`]: the list of its waiters
//! - [`engine`]: what every login of a cache needs

mod engine;
mod flight;
mod keep;
mod run;
mod settlement;
mod turn;
mod waiters;

pub(crate) use engine::Engine;
pub(crate) use flight::{Flight, Told};
pub(crate) use keep::Keep;
pub(crate) use run::Login;
pub(crate) use settlement::Settlement;
pub(crate) use waiters::WaiterKey;
