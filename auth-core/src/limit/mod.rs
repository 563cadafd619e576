//! The login quota of an origin, kept exactly.
//!
//! A server counts logins per address. So all identities of this process that log in at one origin
//! share one [`Limiter`]: a [`queue`] of tickets, and a sliding [`window`] of permits behind it.
//! The [`registry`] finds the limiter of an origin. [`internals`](crate::internals) explains how
//! the count is exact.

mod limiter;
mod queue;
mod registry;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use limiter::{LONGEST_LOGIN, Limiter, Permit};
pub(crate) use queue::{STALLED_AFTER, Ticket};
pub(crate) use window::MARGIN;
