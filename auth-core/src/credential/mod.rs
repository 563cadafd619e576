//! What a login brings, and how it is put on a request.

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
