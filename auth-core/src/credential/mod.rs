//! The values of a session, and how they are put on requests.

mod attachment;
mod change;
mod cookie_date;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod credential;
mod invalid_value;
mod set_cookie;
mod stamp;

pub(crate) use attachment::Attachment;
pub(crate) use change::{Change, Rolled};
pub use credential::Credential;
pub use invalid_value::InvalidValue;
pub use set_cookie::{SetCookie, set_cookies};
pub use stamp::Stamp;
