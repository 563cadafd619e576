//! A credential cache for APIs that one logs in to: one login for ten thousand callers.
//!
//! Many useful APIs have no API keys. An e-mail address and a password go in, a session comes out: a cookie, a token, a
//! csrf value beside it. It dies after a day, after a week of silence, or when the server feels like it; and more than
//! ten logins in a minute lock a whole IP address out. This crate does what every program that calls such an API has to do, once and for all:
//! log in when a session is needed, share it, renew it beside the traffic, notice when it was rejected, and log in as
//! seldom as can be.
//!
//! It knows no HTTP client. `auth-providers` knows how APIs log in, `auth-middleware` puts credentials on requests of
//! `reqwest` and of `tower` stacks. Use this crate directly to write a [`Provider`] of your own, or a front for another
//! client.
//!
//! ```
//! use auth_core::{Credentials, Lifetime, LoginError, Session};
//! # use auth_core::testing::Scripted;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), auth_core::Error> {
//! # let provider = Scripted::new(|_| {
//! #     Ok::<_, LoginError>(Session::new().with_bearer("token")?.with_lifetime(Lifetime::of(Duration::from_secs(60))))
//! # });
//! // A provider logs in; the handle is cheap to clone, and all clones are one identity.
//! let credentials = Credentials::new(provider);
//!
//! // Four hundred tasks, one login.
//! let mut tasks = tokio::task::JoinSet::new();
//! for _ in 0..400 {
//!     let credentials = credentials.clone();
//!     tasks.spawn(async move { credentials.get().await });
//! }
//! while let Some(result) = tasks.join_next().await {
//!     let credential = result.expect("the task did not panic")?;
//!     assert_eq!(credential.stamp().generation(), 1);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What it promises is written down sentence by sentence in [`contract`], with the tests that prove each.
//!
//! # Limits
//!
//! - What other processes, other machines behind the same address and earlier runs of this program spent of a login quota
//!   can't be seen from here. Ask for a smaller share with [`Quota::at_most`].
//! - Sessions are kept in memory and die with the process.
//! - Copies of secrets inside an HTTP client, in TLS buffers and in the process's environment are not ours to zero.
//! - Timers need a tokio runtime with its timer enabled; both the multi-threaded and the current-thread one will do.
//!
//! # Features
//!
//! - `test-util`: clocks that tests move by hand and a scripted provider, in [`clock`] and `testing`.

#[cfg(doc)]
pub mod contract;

mod attempt;
mod cache;
pub mod clock;
#[cfg(test)]
mod counting_waker;
mod credential;
mod decide;
mod error;
mod event;
mod identity;
mod judge;
mod lifetime;
mod limit;
mod login;
mod login_mark;
mod options;
mod origin;
mod pool;
mod provider;
mod quota;
#[cfg(not(feature = "shuttle"))]
mod runtime;
#[cfg(feature = "shuttle")]
pub mod runtime;
mod secret;
mod session;
#[cfg(feature = "test-util")]
pub mod testing;

pub use attempt::{Attempt, Conclusion};
pub use cache::{Ask, Condition, Credentials, CredentialsBuilder, Status};
pub use clock::{Clock, Moment};
pub use credential::{Credential, InvalidValue, SetCookie, Stamp, set_cookies};
pub use error::{Error, LoginError, LoginErrorKind};
pub use event::{Event, Observer};
pub use identity::Identity;
pub use judge::{Judge, MAX_JUDGED_BODY, ResponseView, StatusJudge, Verdict};
pub use lifetime::{Lifetime, RefreshWindow};
pub use login_mark::LoginMark;
pub use origin::{Origin, OriginError, Scope};
pub use pool::{Pool, PoolError};
pub use provider::Provider;
pub use quota::Quota;
pub use secret::{ReadSecret, Secret, SecretError, SecretSource};
pub use session::Session;
