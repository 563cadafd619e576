//! CloudIO. See `recipes/cloudio.toml`.

mod judge;
mod login;

pub use login::CloudIo;
