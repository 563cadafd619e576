//! The values of a session, and how they are put on requests.

mod attachment;
mod change;
mod cookie;
mod cookie_date;
mod cookies;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod credential;
mod invalid_value;
mod set_cookie;
mod stamp;
mod target;

pub(crate) use attachment::Attachment;
pub(crate) use change::Change;
pub use credential::Credential;
pub use invalid_value::InvalidValue;
pub use set_cookie::{SetCookie, set_cookies};
pub use stamp::Stamp;
pub use target::Target;
