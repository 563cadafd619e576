//! The cache of one identity: the handle, what its clones share, and the code that carries
//! decisions out.
//!
//! - [`credentials`], its [`builder`], [`ask`] and [`status`]: the public interface
//! - [`shared`]: what all clones share: one lock that is never held across an await, and one slot
//!   that is read without it
//! - [`out_of_scope`]: the requests that missed the scope
//! - [`admit`]: the admission of a caller, and the login that begins for it
//! - [`wait`]: how a [`caller`] waits for a login; [`blocking`]: how a thread does,
//!   and [`blocking_send`] its requests
//! - [`keep_fresh`]: renewals that no caller asks for, and their [`renewal_timer`]
//! - [`repair`]: the fetch of a part of a session, and its [`repair_task`]
//! - [`follow`] and [`share`]: what the cache and its store tell each other beside logins;
//!   [`publish`]: the first save of a session that its login could not save
//! - [`settle`]: what the end of a login changes; [`leaving`]: a superseded session that waits for
//!   its logout; [`close`]: the end of the cache, and [`store_close`] that in its store
//!
//! The decisions are made in [`decide`](crate::decide), and a login runs in
//! [`login`](crate::login).

mod admit;
mod ask;
mod blocking;
mod blocking_send;
mod builder;
mod caller;
mod close;
mod credentials;
mod follow;
mod keep_fresh;
mod leaving;
mod out_of_scope;
mod publish;
mod renewal_timer;
mod repair;
mod repair_task;
mod settle;
mod share;
mod shared;
mod status;
mod store_close;
mod wait;

pub use ask::Ask;
pub use blocking_send::{ReadAhead, SendError};
pub use builder::CredentialsBuilder;
pub use credentials::Credentials;
pub use status::{Condition, Status};
