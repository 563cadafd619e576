//! Logins as data, for APIs that have no API keys: e-mail and password go in, a session comes out.

mod account;
pub mod answer;
mod clay;
mod cloudio;
mod config_error;
#[cfg(feature = "demo")]
pub mod demo;
mod jwt;
mod login;
mod quinn;
pub mod request;
mod transport;
mod v1_login;

pub use clay::Clay;
pub use cloudio::CloudIo;
pub use config_error::ConfigError;
pub use login::{Login, LoginVia};
pub use quinn::Quinn;
#[cfg(feature = "tower")]
pub use transport::TowerTransport;
pub use transport::Transport;
#[cfg(feature = "reqwest")]
pub use transport::{ClientError, ReqwestTransport};
pub use v1_login::V1Login;
