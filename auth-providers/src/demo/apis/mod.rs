//! How each API's server behaves: one file for each, with the paths and names of its login.

mod api;
mod clay;
mod cloudio;
mod demo_api;
mod quinn;
mod v1_login;

pub use api::Api;
pub(super) use cloudio::error as cloudio_error;
pub(super) use demo_api::DemoApi;
