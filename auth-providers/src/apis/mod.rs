//! The logins of the APIs that this crate supports. The file of an API states each fact once, with
//! its source.

pub(crate) mod clay;
pub(crate) mod cloudio;
pub(crate) mod quinn;
pub(crate) mod v1_login;

pub use clay::Clay;
pub use cloudio::CloudIo;
pub use quinn::Quinn;
pub use v1_login::V1Login;
