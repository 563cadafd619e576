//! What differs between the servers of the APIs: one implementation of [`DemoApi`] for each.

mod api;
mod clay;
mod cloudio;
mod demo_api;
mod quinn;
mod v1_login;

pub use api::Api;
pub(super) use cloudio::error as cloudio_error;
pub(super) use demo_api::{DemoApi, Logout};
