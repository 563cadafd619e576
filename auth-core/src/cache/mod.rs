//! One identity's credential: who holds it, who fetches the next one, and what a rejection means.
//!
//! - [`state`]: the decisions, pure: no clock is read, nothing is awaited
//! - [`rejection_breaker`]: whether a rejection is believed to be the login's fault
//! - [`failure`]: what a failed login permits afterwards; [`renewal_backoff`]: what a renewal does that got no further
//! - [`engine`]: what logs in; [`flight`]: the one login under way
//! - [`shared`]: carries out what `state` decides, under one lock that is never held across an await
//! - [`waiting`]: how a caller waits for a login, by a value that is set [`once`], in a [`crowd`]; [`blocking`]: how a thread does
//! - [`handle`], [`ask`], [`builder`] with its [`options`], [`status`]: what users see

mod ask;
mod blocking;
mod builder;
mod crowd;
mod engine;
mod failure;
mod flight;
mod handle;
mod once;
mod options;
mod rejection_breaker;
mod renewal_backoff;
mod shared;
mod state;
mod status;
mod waiting;

pub use ask::Ask;
pub use builder::CredentialsBuilder;
pub(crate) use failure::Failure;
pub use handle::{Credentials, Rejection};
pub use status::{Condition, Status};
