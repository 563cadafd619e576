//! How many logins go to one origin, exactly.
//!
//! The API counts attempts per address, so all identities of this process that log in at the same
//! origin share one [`Limiter`]: a [`queue`] of tickets before a sliding [`window`] of permits. The [`registry`] finds the limiter of an origin. How the count is exact is told in
//! [`internals`](crate::internals).

mod limiter;
mod queue;
mod registry;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use limiter::Limiter;
pub(crate) use queue::{STALLED_AFTER, Ticket};
