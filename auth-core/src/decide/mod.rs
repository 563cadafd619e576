//! The decisions, as pure functions: an event goes in, what to do comes out.
//!
//! - [`cache_state`]: what a caller gets
//! - [`cause`]: why a flight begins
//! - [`adopt`]: what a session and the notes in a store mean for the cache
//! - [`attempted`]: what a login that failed was, and with which secret
//! - [`notes`]: what is remembered in a store beside the session
//! - [`outcome`]: what a login returns, and what its end may mean
//! - [`failure`]: what a failed login forbids, and for how long
//! - [`refreshes`]: whether a session can be refreshed, and whether its token was spent
//! - [`rejection_breaker`]: whether a rejection is believed
//! - [`renewal_backoff`]: how renewals without progress back off
//! - [`repair`]: when a part of a session is fetched, and what the end of a repair means
//! - [`repair_breaker`]: whether a session is repaired again
//! - [`response`]: what a response means for the session that its request carried
//! - [`settle`]: what the end of a flight means

mod adopt;
mod attempted;
mod cache_state;
mod cause;
mod failure;
mod notes;
mod outcome;
mod refreshes;
mod rejection_breaker;
mod renewal_backoff;
mod repair;
mod repair_breaker;
mod response;
mod settle;
#[cfg(test)]
mod tests;

pub(crate) use adopt::{Adopted, Outlook, Wanted, stored_may_be_good};
pub(crate) use attempted::{Attempted, AttemptedSecret};
pub(crate) use cache_state::{CacheState, Decision, FlightId, Policy, Purpose};
pub(crate) use failure::{Failure, FailurePolicy, LOOK_EVERY};
pub(crate) use notes::{Known, Notes};
pub(crate) use outcome::{
    End, Failed, LoginOutcome, Means, NoSession, Obtained, Settled, Superseded,
};
pub(crate) use refreshes::refuses;
pub(crate) use repair::{Lack, Repaired};
pub(crate) use response::{Heard, Ruling};
