//! The values of a session, and how they are put on requests.

mod attach;
mod attachment;
mod basic;
mod body_field;
mod carried;
mod change;
mod cookie;
mod cookie_date;
mod cookies;
#[allow(clippy::module_inception, reason = "a file for each noun")]
mod credential;
mod dependent;
mod encoded;
mod invalid_value;
mod kept;
mod line;
mod namesakes;
mod part;
mod sent_to;
mod set_cookie;
mod stamp;
mod target;
mod update;
mod when;

pub(crate) use attachment::Attachment;
pub use basic::basic;
pub use body_field::BodyField;
pub(crate) use change::{Brought, Change};
pub(crate) use cookies::PlaceCounts;
pub use credential::Credential;
pub use invalid_value::InvalidValue;
pub(crate) use kept::{Kept, KeptValue};
pub(crate) use line::{Line, Lines, damaged};
pub use part::Part;
pub(crate) use sent_to::SentTo;
pub(crate) use set_cookie::unheard_cookies;
pub use set_cookie::{SetCookie, set_cookies};
pub use stamp::Stamp;
pub use target::Target;
pub(crate) use update::SetBy;
pub use update::Update;
pub use when::When;
