//! Fields of the body: parts of a session that APIs such as JSON-RPC want in the body of each
//! request. Both integrations set them here, which does no I/O.
//!
//! 1. An integration asks for the fields that the [`Wanted`] by a credential for its target.
//! 2. If there is a body, its media type says which of them it can have: an [`Edit`].
//! 3. The edit turns all bytes of the body into those of a copy, which the integration sends.

mod edit;
mod error;
#[cfg(feature = "body-fields")]
mod form;
#[cfg(feature = "body-fields")]
mod json;

pub(crate) use edit::{Edit, Wanted};
pub use error::{BodyFieldError, MAX_EDITED_BODY};
