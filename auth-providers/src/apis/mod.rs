//! The APIs that this crate knows: one file for each, which states every fact once and with its source.

pub(crate) mod clay;
pub(crate) mod cloudio;
pub(crate) mod quinn;
pub(crate) mod v1_login;

pub use clay::Clay;
pub use cloudio::CloudIo;
pub use quinn::Quinn;
pub use v1_login::V1Login;
