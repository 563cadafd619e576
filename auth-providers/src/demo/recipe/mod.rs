//! A server that behaves as a recipe says.
//!
//! What a request has to be is what the client's own code renders: the server logs in beside its
//! client, with the same answers, and compares.

mod expected;
mod log_in;
mod recipe_server;
mod recipe_site;
mod records;
mod rehearsal;
mod serve_error;

pub use recipe_server::RecipeServer;
pub use serve_error::ServeError;

pub use crate::recipe::served::Unserved;
