//! Where a credential may be sent: scheme, host and port.

#[allow(clippy::module_inception, reason = "a file for each noun")]
mod origin;
mod scope;

pub use origin::{Origin, OriginError};
pub use scope::Scope;
