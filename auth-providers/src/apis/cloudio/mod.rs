//! CloudIO. Facts from the CloudIO docs, "Authentication", unless another source is named.

mod judge;
mod login;

pub use login::CloudIo;
#[cfg(feature = "demo")]
pub(crate) use login::{AUTHENTICATION, CSRF, LOGIN_PATH, SCHEME};
