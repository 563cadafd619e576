//! A store in Redis or Valkey, for a fleet: see [`RedisStore`].

mod address;
mod failure;
mod link;
mod links;
mod maintenance;
mod names;
mod notices;
mod scripts;
#[allow(
    clippy::module_inception,
    reason = "the noun of this file is the store"
)]
mod store;

pub use store::RedisStore;
