//! A credential cache for APIs that one logs in to.

mod cache;
pub mod clock;
mod credential;
mod error;
mod event;
mod judge;
mod lifetime;
mod limit;
mod login_mark;
mod origin;
mod pool;
mod provider;
mod secret;
#[cfg(feature = "test-util")]
pub mod testing;

pub use cache::{Ask, Condition, Credentials, CredentialsBuilder, Rejection, Status};
pub use clock::{Clock, Moment};
pub use credential::{
    Carried, Change, Credential, InvalidValue, Rolled, Session, SetCookie, Stamp, set_cookies,
};
pub use error::{Error, LoginError, LoginErrorKind};
pub use event::{Event, Observer};
pub use judge::{Answer, Judge, MAX_JUDGED_BODY, StatusJudge, Verdict};
pub use lifetime::{Lifetime, RefreshWindow};
pub use login_mark::LoginMark;
pub use origin::{Origin, OriginError, Scope};
pub use pool::{Pool, PoolError};
pub use provider::{Identity, Provider, Quota};
pub use secret::{ReadSecret, Secret, SecretError, SecretSource};
