//! A credential cache for APIs with a login: one login for ten thousand callers.
//!
//! Many APIs have no API keys. A login with an account and a password returns a session: a token, a
//! cookie, or a CSRF value besides. The session ends after a day, after a week of inactivity, or
//! when the server revokes it. A server that allows ten logins a minute locks the whole IP address
//! out after more. So a program that calls such an API has to log in when it needs a session, share
//! the session between its tasks, renew it before it expires, notice that it was rejected, and log
//! in as seldom as possible. This crate does that.
//!
//! It depends on no HTTP client. `auth-providers` implements the logins of several APIs, and
//! `auth-middleware` puts credentials on the requests of `reqwest` and of `tower` stacks. Use this
//! crate directly to implement a [`Provider`] for another API, or an integration with another
//! client, which is built from [`Attempt`]s.
//!
//! ```
//! use auth_core::{Credentials, Lifetime, LoginError, Session};
//! # use auth_core::testing::Scripted;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), auth_core::Error> {
//! # let provider = Scripted::new(|_| {
//! #     let life = Lifetime::of(Duration::from_secs(60));
//! #     Ok::<_, LoginError>(Session::new().with_bearer("token")?.with_lifetime(life))
//! # });
//! // The provider logs in. A clone of the handle is cheap, and all clones are one identity.
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
//! [`contract`] states what the crate promises, sentence by sentence. [`internals`] explains how it
//! keeps these promises.
//!
//! # Limits
//!
//! - Other processes, other machines behind the same address and earlier runs of this program spend
//!   the same login quota, and this crate can't see it unless they share a [`store`]. Without one,
//!   ask for a smaller share with [`Quota::at_most`].
//! - Two [`Credentials`] of one account that are no clones share nothing but the quota: five of
//!   them with a wrong password are five attempts. Clone one, look it up in a [`Pool`], or let them
//!   share a [`store`].
//! - The quota holds for logins that arrive at the server within their time-out. What a network or
//!   a proxy delivers later than that, or a task that was not driven sends later, may be one login
//!   too many.
//! - Without a [`store`], sessions are kept in memory and end with the process.
//! - This crate can't zero the copies of secrets in an HTTP client, in TLS buffers and in the
//!   environment of the process.
//! - Timers need a tokio runtime with its timer enabled, multi-threaded or current-thread.
//!
//! # Features
//!
//! - `file`: a [`store`] in files, for a program that starts again and the processes of a machine.
//! - `metrics`: [counts and durations](metrics) of logins, by the `metrics` crate.
//! - `redis`: a [`store`] in Redis or Valkey, for a fleet; `redis-tls`: over TLS.
//! - `seal`: the keys that seal what a store holds, for a store of one's own. The others enable it.
//! - `test-util`: clocks that tests move by hand, in [`clock`], and a scripted provider, in
//!   `testing`.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(doc)]
pub mod contract;
#[cfg(doc)]
#[doc = include_str!("internals.md")]
pub mod internals {}

mod attempt;
mod cache;
mod cause;
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
mod logout;
#[cfg(feature = "metrics")]
pub mod metrics;
mod options;
mod origin;
mod pool;
mod provider;
mod provider_options;
mod quota;
mod refresh;
#[cfg(not(feature = "shuttle"))]
mod runtime;
#[cfg(feature = "shuttle")]
pub mod runtime;
mod secret;
mod session;
mod session_continues;
mod session_parts;
pub mod store;
#[cfg(feature = "test-util")]
pub mod testing;

pub use attempt::{Attempt, Conclusion};
pub use cache::{Ask, Condition, Credentials, CredentialsBuilder, ReadAhead, SendError, Status};
pub use cause::Cause;
pub use clock::{Clock, Moment};
pub use credential::{
    BodyField, Credential, InvalidValue, Part, SetCookie, Stamp, Target, Update, When, basic,
    set_cookies,
};
pub use error::{Error, LoginError, LoginErrorKind};
pub use event::{Event, Observer};
pub use identity::Identity;
pub use judge::{
    Judge, MAX_JUDGED_BODY, MAX_JUDGED_TIME, RequestHead, ResponseView, StatusJudge, Verdict,
};
pub use lifetime::{Lifetime, RefreshWindow};
pub use login_mark::LoginMark;
pub use logout::{Logout, LogoutReason, LogoutScope};
pub use origin::{LoginUrl, Miss, Origin, OriginError, Scope};
pub use pool::{Pool, PoolError};
pub use provider::Provider;
pub use provider_options::ProviderOptions;
pub use quota::Quota;
pub use refresh::Refresh;
pub use secret::{ReadSecret, Secret, SecretError, SecretSource, as_typed, can_be_typed};
pub use session::Session;
pub use session_parts::SessionParts;
