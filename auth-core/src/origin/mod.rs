//! Where a credential may be sent: scheme, host and port. Where a login goes: these, and a path.

mod login_url;
mod miss;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod origin;
mod scope;

pub use login_url::LoginUrl;
pub use miss::Miss;
pub(crate) use origin::is_loopback;
pub use origin::{Origin, OriginError};
pub use scope::Scope;
