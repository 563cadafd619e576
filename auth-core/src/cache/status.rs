//! The status of a cache, without secrets.

use std::time::Duration;

use crate::clock::{Deadline, Moment};
use crate::credential::Stamp;
use crate::decide::{CacheState, Failure};
use crate::error::LoginErrorKind;
use crate::lifetime::Freshness;

/// A snapshot of one cache. It holds no secret.
///
/// ```
/// use auth_core::Credentials;
/// # use auth_core::{Lifetime, testing::Scripted};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Scripted::tokens(Lifetime::unknown());
/// let credentials = Credentials::new(provider);
/// credentials.get().await?;
/// let status = credentials.status();
/// assert_eq!(status.stamp.map(|stamp| stamp.to_string()).as_deref(), Some("1.0"));
/// assert_eq!((status.sessions, status.failure, status.out_of_scope), (1, None, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// The stamp of the current credential, if there is one.
    pub stamp: Option<Stamp>,
    /// What the clocks say about it.
    pub condition: Condition,
    /// The time since the cache got it: by a login, by a refresh, or from its store.
    pub age: Option<Duration>,
    /// The time until its hard expiry or absolute maximum, if one is known.
    pub expires_in: Option<Duration>,
    /// The time until its idle deadline, if inactivity ends the session.
    pub idle_in: Option<Duration>,
    /// Whether a login or a refresh is under way or waits for its permit.
    pub login_under_way: bool,
    /// How many callers wait for that login now, on all clones of the handle. A caller is counted
    /// from its first poll that has to wait until it is told the result, gives up or is dropped.
    /// Callers that are served a credential while it is renewed don't wait.
    ///
    /// A test waits until all of its callers do, and only then lets the login answer:
    ///
    /// ```
    /// use auth_core::testing::{Gate, Scripted};
    /// use auth_core::{Credentials, Lifetime};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let gate = Gate::shut();
    /// let provider = Scripted::tokens(Lifetime::unknown()).gated(&gate);
    /// let logins = provider.logins();
    /// let credentials = Credentials::new(provider);
    /// let mut callers = tokio::task::JoinSet::new();
    /// for _ in 0..50 {
    ///     let credentials = credentials.clone();
    ///     callers.spawn(async move { credentials.get().await });
    /// }
    /// while credentials.status().waiters < 50 {
    ///     tokio::task::yield_now().await;
    /// }
    /// gate.let_through(1);
    /// while let Some(served) = callers.join_next().await {
    ///     served??;
    /// }
    /// assert_eq!((logins.count(), credentials.status().waiters), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub waiters: usize,
    /// How many sessions the cache has got so far, by logins, by refreshes and from its store,
    /// including those that were discarded.
    pub sessions: u64,
    /// The kind of the last failure, if no login has succeeded since.
    pub failure: Option<LoginErrorKind>,
    /// The time until that failure permits another login, or another renewal if a renewal failed.
    pub retry_after: Option<Duration>,
    /// How many requests have passed without the credential because they went out of its
    /// [scope](crate::Credentials::scope). An [event](crate::Event::OutOfScope) names the first
    /// origins that they went to.
    pub out_of_scope: u64,
}

/// The condition of the current credential.
///
/// ```
/// use auth_core::{Condition, Credentials};
///
/// /// Whether a request of now would be served without a wait.
/// fn is_ready(credentials: &Credentials) -> bool {
///     matches!(credentials.status().condition, Condition::Fresh | Condition::Due)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// There is no credential.
    Empty,
    /// The credential is good.
    Fresh,
    /// The credential is good and its renewal is due: the next caller starts it.
    Due,
    /// The credential has been inactive for longer than its idle timeout.
    Lapsed,
    /// The credential is past its hard expiry or absolute maximum.
    Expired,
    /// The handle is closed: there is no credential and there will be none.
    Closed,
}

impl Status {
    /// The status of this state. The flight knows its waiters.
    pub(super) fn of(state: &CacheState, out_of_scope: u64, now: Moment) -> Self {
        let life = state.current().map(|credential| credential.life());
        let condition = match life.map(|life| life.freshness(now)) {
            None if state.is_closed() => Condition::Closed,
            None => Condition::Empty,
            Some(Freshness::Fresh | Freshness::Outdated) => Condition::Fresh,
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
            waiters: 0,
            sessions: state.generation(),
            failure: state.failure().map(Failure::kind),
            retry_after: state
                .failure()
                .and_then(|failure| failure.error(now).retry_after()),
            out_of_scope,
        }
    }
}

/// The time left until a deadline, or `None` for a deadline that never comes.
fn left(deadline: Deadline, now: Moment) -> Option<Duration> {
    (!deadline.is_never()).then(|| deadline.left(now))
}
