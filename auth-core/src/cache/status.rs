//! What a cache has to tell, without secrets.

use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::credential::Stamp;
use crate::decide::{CacheState, Failure};
use crate::error::LoginErrorKind;
use crate::lifetime::Freshness;

/// A snapshot of one cache. It holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// Which credential is at hand, if one is.
    pub stamp: Option<Stamp>,
    /// What the clocks say of it.
    pub condition: Condition,
    /// How long ago its login was.
    pub age: Option<Duration>,
    /// How long until its hard expiry or absolute maximum, if one is known.
    pub expires_in: Option<Duration>,
    /// How long until it has been silent for too long, if silence ends it.
    pub idle_in: Option<Duration>,
    /// Whether a login is under way or waits for its permit.
    pub login_under_way: bool,
    /// How many sessions logins have brought so far.
    pub sessions: u64,
    /// How the last login failed, if no other has succeeded since.
    pub failure: Option<LoginErrorKind>,
    /// How long until that failure permits another login.
    pub retry_after: Option<Duration>,
}

/// What there is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// Nothing.
    Empty,
    /// A good credential.
    Fresh,
    /// A good credential whose renewal is due: the next caller starts it.
    Due,
    /// One that has been silent for longer than its idle timeout.
    Lapsed,
    /// One past its hard expiry or absolute maximum.
    Expired,
    /// Nothing, and nothing will come.
    Closed,
}

impl Status {
    pub(super) fn of(state: &CacheState, now: Moment) -> Self {
        let life = state.current().map(|credential| credential.life());
        let condition = match life.map(|life| life.freshness(now)) {
            None if state.is_closed() => Condition::Closed,
            None => Condition::Empty,
            Some(Freshness::Fresh) => Condition::Fresh,
            Some(Freshness::Due) => Condition::Due,
            Some(Freshness::Lapsed) => Condition::Lapsed,
            Some(Freshness::Expired) => Condition::Expired,
        };
        Self {
            stamp: state.current().map(|credential| credential.stamp()),
            condition,
            age: life.map(|life| now.since(life.born())),
            expires_in: life.and_then(|life| left(life.expires(), now)),
            idle_in: life.and_then(|life| left(life.idle_deadline(), now)),
            login_under_way: state.flight().is_some(),
            sessions: state.generation(),
            failure: state.failure().map(Failure::kind),
            retry_after: state
                .failure()
                .and_then(|failure| failure.error(now).retry_after()),
        }
    }
}

/// What is left of a deadline, unless there is none.
fn left(deadline: Deadline, now: Moment) -> Option<Duration> {
    (!deadline.is_never()).then(|| deadline.left(now))
}
