//! The logins of the APIs that this crate supports. Their facts, with sources, stand in the recipes
//! of their names in the folder `recipes`; the `.json` files here are the same recipes, written by
//! a test, for programs that read no TOML.

mod by_recipe;
mod clay;
mod cloudio;
mod quinn;
mod v1_login;

pub use clay::Clay;
pub use cloudio::CloudIo;
pub use quinn::Quinn;
pub use v1_login::V1Login;
