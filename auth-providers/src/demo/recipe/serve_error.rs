use std::io;

use thiserror::Error;

use crate::recipe::ValuesError;
use crate::recipe::served::Unserved;

/// Why a [`RecipeServer`](super::RecipeServer) does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The port is taken, or 127.0.0.1 has none to listen on.
    #[error("the server can't listen")]
    Listen(#[from] io::Error),
    /// The recipe can't log in with the values.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// A part of the recipe can't be served without guessing. The error names it.
    #[error(transparent)]
    Unserved(#[from] Unserved),
}
