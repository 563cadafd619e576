//! The decisions, pure: what happened goes in, what is to be done comes out.
//!
//! - [`cache_state`]: what a caller gets, what the end of a login and a rejection mean
//! - [`outcome`]: what a login brings, and what its end means
//! - [`failure`]: what a failed login permits afterwards
//! - [`rejection_breaker`]: whether a rejection is believed to be the login's fault
//! - [`renewal_backoff`]: how a renewal that made no progress backs off

mod cache_state;
mod failure;
mod outcome;
mod rejection_breaker;
mod renewal_backoff;
#[cfg(test)]
mod tests;

pub(crate) use cache_state::{CacheState, Decision, FlightId, Policy, Purpose, Ruling};
pub(crate) use failure::{AttemptedSecret, Failure, FailurePolicy};
pub(crate) use outcome::{LoginOutcome, NoSession, Settled};
