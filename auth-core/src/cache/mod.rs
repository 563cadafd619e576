//! One identity's credential: what is handed out, who waits, and what becomes of a login.
//!
//! - [`credentials`], its [`builder`], [`ask`] and [`status`]: what users see
//! - [`shared`]: what all clones of a handle share: one lock that is never held across an await,
//!   and one slot that is read without it
//! - [`admit`]: what a caller does next, and the login that begins for it; [`settle`]: what becomes
//!   of a login; [`close`]: the end of all
//! - [`wait`]: how a [`caller`] waits for a login; [`blocking`]: how a thread does
//!
//! What is decided stands in [`decide`](crate::decide), how a login goes in
//! [`login`](crate::login).

mod admit;
mod ask;
mod blocking;
mod builder;
mod caller;
mod close;
mod credentials;
mod settle;
mod shared;
mod status;
mod wait;

pub use ask::Ask;
pub use builder::CredentialsBuilder;
pub use credentials::Credentials;
pub use status::{Condition, Status};
