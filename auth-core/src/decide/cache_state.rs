//! The decisions of one cache: an event in, a decision out.
//!
//! No function here reads a clock, draws a random number, awaits or spawns. Times and jitter are
//! arguments, and the return value says what to do. The [`cache`](crate::cache) calls these
//! functions under its one lock and carries the decisions out.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::failure::{Attempted, Failure, FailurePolicy};
use super::outcome::{End, Failed, LoginOutcome, NoSession, Settled, Superseded};
use super::rejection_breaker::{EndedBy, RejectionBreaker};
use super::renewal_backoff::RenewalBackoff;
use crate::clock::Moment;
use crate::credential::{Brought, Change, Credential, Stamp};
use crate::error::Error;
use crate::lifetime::{Birth, Freshness, RefreshWindow, made_progress};
use crate::secret::Fingerprint;
use crate::session::Session;

/// What the decisions depend on besides the events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) window: RefreshWindow,
    pub(crate) failure: FailurePolicy,
    /// How many logins rejections and deletions may cause in a minute.
    pub(crate) rejection_logins: NonZeroU32,
}

impl Policy {
    /// Three leave most of the default quota of ten to other logins.
    pub(crate) const DEFAULT_REJECTION_LOGINS: NonZeroU32 = match NonZeroU32::new(3) {
        Some(three) => three,
        None => panic!("three is not zero"),
    };
}

/// The state of one cache, and the decisions that follow from it.
#[derive(Debug, Default)]
pub(crate) struct CacheState {
    current: Option<Arc<Credential>>,
    /// The number of the last login.
    generation: u64,
    flight: Option<FlightId>,
    last_flight: Option<FlightId>,
    closed: bool,
    /// The last generation that was rejected, or ended by the server. Zero before the first.
    rejected: u64,
    /// The session that a response has rejected or ended, until the next one supersedes it.
    given_up: Option<Arc<Credential>>,
    failure: Option<Failure>,
    breaker: RejectionBreaker,
    renewals: RenewalBackoff,
}

/// The number of a flight, which tells it from the flights before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlightId(NonZeroU64);

impl FlightId {
    pub(crate) const FIRST: Self = Self(NonZeroU64::MIN);

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Log in: there is nothing to serve.
    Login,
    /// Renew the current credential: ahead of its expiry, or because a caller asked for a renewed
    /// one.
    Renewal,
    /// Log in if the secret is not the refused one. Send nothing otherwise.
    LoginIfChanged {
        /// The secret that was refused.
        refused: Option<Fingerprint>,
    },
}

/// What a caller that wants a credential gets.
#[derive(Debug)]
pub(crate) enum Decision {
    /// This credential, now.
    Serve(Arc<Credential>),
    /// This credential, now, and a flight begins beside it.
    ServeAndBegin(Arc<Credential>, Purpose),
    /// A flight begins, and the caller waits for it.
    Begin(Purpose),
    /// The caller waits for the flight under way.
    Join,
    /// No credential.
    Fail(Error),
}

/// What a rejection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The request carried an older credential than the current one. Nothing starts.
    Stale,
    /// The credential is dead.
    Believed,
    /// Another login would not help.
    Doubted,
    /// The handle is closed. Nothing starts any more.
    Closed,
}

/// What the values of an answer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing that an observer is told of.
    Nothing,
    /// The session has a new revision.
    Rolled(Stamp),
    /// The session has ended.
    Ended,
}

impl CacheState {
    /// What a caller that wants a credential gets. With `renewed`, it gets the one of a login that
    /// begins now or is under way.
    pub(crate) fn decide(&self, now: Moment, renewed: bool) -> Decision {
        if self.closed {
            return Decision::Fail(Error::Closed);
        }
        if let Some(current) = &self.current
            && !renewed
        {
            match current.life().freshness(now) {
                // Of an outdated one, the cookie has expired since the admission began.
                Freshness::Fresh | Freshness::Outdated => {
                    return Decision::Serve(current.clone());
                }
                Freshness::Due => {
                    return self.renewal(now).map_or_else(
                        || Decision::Serve(current.clone()),
                        |purpose| Decision::ServeAndBegin(current.clone(), purpose),
                    );
                }
                // A lapsed credential may still be good, but a login is attempted first. See
                // `Shared::or_stale`.
                Freshness::Lapsed | Freshness::Expired => {}
            }
        }
        if self.flight.is_some() {
            return Decision::Join;
        }
        let renews = renewed && self.may_be_good(now);
        match self.login(now, renews) {
            Ok(purpose) => Decision::Begin(purpose),
            Err(error) => Decision::Fail(error),
        }
    }

    fn may_be_good(&self, now: Moment) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.life().freshness(now).may_be_good())
    }

    /// Whether the last failure permits a login, or a renewal if it `renews`, and its purpose.
    fn login(&self, now: Moment, renews: bool) -> Result<Purpose, Error> {
        let forbids = |failure: &&Failure| {
            if renews {
                failure.forbids(now)
            } else {
                failure.forbids_login(now)
            }
        };
        match self.failure.as_ref().filter(forbids) {
            Some(failure) if failure.wants_look(now) => Ok(Purpose::LoginIfChanged {
                refused: failure.refused_secret(),
            }),
            Some(failure) => Err(failure.error(now)),
            None if renews => Ok(Purpose::Renewal),
            None => Ok(Purpose::Login),
        }
    }

    /// Whether a renewal may begin beside the traffic, and its purpose.
    pub(super) fn renewal(&self, now: Moment) -> Option<Purpose> {
        if self.flight.is_some() || self.renewals.forbids(now) {
            return None;
        }
        self.login(now, true).ok()
    }

    /// A flight begins, as decided.
    pub(crate) fn begin(&mut self) -> FlightId {
        let id = self.last_flight.map_or(FlightId::FIRST, FlightId::next);
        self.last_flight = Some(id);
        self.flight = Some(id);
        id
    }

    /// A renewal has failed, in the flight `id`. Returns the failure, and whether a login follows
    /// in the same flight: the session is over by now, so callers wait for another one, and
    /// nothing forbids it. Returns `None` if the flight is not wanted any more.
    pub(crate) fn not_renewed(
        &mut self,
        id: FlightId,
        failed: Failed,
        end: &End,
        policy: &Policy,
    ) -> Option<(Error, bool)> {
        if self.is_unwanted(id) {
            return None;
        }
        let error = self.fail(Attempted::Renewal, failed, end, policy);
        Some((error, self.wants_login(end.at)))
    }

    /// Whether there is no good session, and nothing forbids a login.
    fn wants_login(&self, now: Moment) -> bool {
        let good = |current: &Arc<Credential>| current.life().freshness(now).is_good();
        let over = !self.current.as_ref().is_some_and(good);
        over && matches!(self.login(now, false), Ok(Purpose::Login))
    }

    /// A flight ends.
    pub(crate) fn settle(
        &mut self,
        id: FlightId,
        outcome: LoginOutcome,
        end: &End,
        policy: &Policy,
    ) -> Settled {
        let unwanted = self.is_unwanted(id);
        self.abandon(id);
        let now = end.at;
        match outcome {
            Ok(session) if unwanted => {
                let credential = self.issue(session, end, policy);
                self.discard(Some(credential))
            }
            Ok(session) => self.log_in(session, end, policy),
            Err(_) if unwanted => self.discard(None),
            // Nothing was sent, so a password that was refused is still refused.
            Err(NoSession::Failed(Failed { secret: None, .. })) if self.secret_is_held(now) => {
                self.looked(now)
            }
            Err(NoSession::Failed(failed)) => {
                Settled::Failed(self.fail(Attempted::Login, failed, end, policy))
            }
            // The session was rejected since its renewal failed, so the waiters begin a login.
            Err(NoSession::NotRenewed) if self.wants_login(now) => self.discard(None),
            Err(NoSession::NotRenewed) => self.failed_before(now),
            Err(NoSession::Unchanged) => self.looked(now),
        }
    }

    fn is_unwanted(&self, id: FlightId) -> bool {
        self.closed || self.flight != Some(id)
    }

    fn secret_is_held(&self, now: Moment) -> bool {
        let failure = self.failure.as_ref();
        failure.is_some_and(|failure| failure.holds_secret(now))
    }

    /// The source of a refused secret was read, and it has not changed.
    fn looked(&mut self, now: Moment) -> Settled {
        if let Some(failure) = &mut self.failure {
            failure.looked(now);
        }
        self.failed_before(now)
    }

    fn failed_before(&self, now: Moment) -> Settled {
        match &self.failure {
            Some(failure) => Settled::Failed(failure.error(now)),
            // The failure was forgotten in the meantime, so the waiters decide anew.
            None => Settled::Discarded(None),
        }
    }

    fn discard(&self, session: Option<Arc<Credential>>) -> Settled {
        if self.closed {
            Settled::Closed(session)
        } else {
            Settled::Discarded(session)
        }
    }

    fn issue(&mut self, session: Session, end: &End, policy: &Policy) -> Arc<Credential> {
        self.generation += 1;
        let stamp = Stamp {
            generation: self.generation,
            revision: 0,
        };
        let birth = Birth {
            at: end.at,
            took: end.took,
        };
        let credential = Credential::new(stamp, session, birth, policy.window, end.jitter);
        Arc::new(credential)
    }

    fn log_in(&mut self, session: Session, end: &End, policy: &Policy) -> Settled {
        let credential = self.issue(session, end, policy);
        let replaced = self.current.replace(Arc::clone(&credential));
        let progress = replaced
            .as_ref()
            .is_none_or(|old| made_progress(old.life(), credential.life()));
        self.renewals = if progress {
            RenewalBackoff::default()
        } else {
            self.renewals.next(end.at, &policy.failure)
        };
        self.failure = None;
        self.breaker.landed(self.generation, end.at);
        let rejected = replaced.is_none();
        let superseded = replaced
            .or_else(|| self.given_up.take())
            .map(|session| Superseded { session, rejected });
        Settled::LoggedIn {
            credential,
            superseded,
        }
    }

    fn fail(&mut self, of: Attempted, failed: Failed, end: &End, policy: &Policy) -> Error {
        let before = self.failure.as_ref();
        let failure = Failure::after(before, of, failed, end, &policy.failure);
        let told = failure.error(end.at);
        self.failure = Some(failure);
        told
    }

    /// The task of a flight is gone or not driven. No waiter may wait for it any longer.
    pub(crate) fn abandon(&mut self, id: FlightId) {
        if self.flight == Some(id) {
            self.flight = None;
        }
    }

    /// A response rejected what its request carried.
    pub(crate) fn reject(&mut self, stamp: Stamp, now: Moment, policy: &Policy) -> Ruling {
        if self.closed {
            return Ruling::Closed;
        }
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.stamp() != stamp)
        {
            return Ruling::Stale;
        }
        if self.give_up(EndedBy::Rejection, now, policy) {
            Ruling::Believed
        } else {
            Ruling::Doubted
        }
    }

    /// A response accepted what a replay carried.
    pub(crate) fn replay_accepted(&mut self, generation: u64) {
        self.breaker.replay_accepted(generation);
    }

    /// An answer brought values. They count only if the request carried the current credential.
    ///
    /// As with a rejection, the deletion of the session's cookies is doubted after several in a
    /// minute. Otherwise a server that deletes them with every response would cause a login for
    /// each.
    pub(crate) fn hear(
        &mut self,
        stamp: Stamp,
        brought: Brought<'_>,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> Heard {
        let same = |current: &&Arc<Credential>| current.stamp() == stamp;
        let Some(current) = self.current.as_ref().filter(same) else {
            return Heard::Nothing;
        };
        match current.change_by(brought, now) {
            Some(Change::Values(new)) => {
                let next = current.with_values(*new, now, policy.window, jitter);
                let rolled = next.stamp();
                self.current = Some(Arc::new(next));
                if rolled == stamp {
                    Heard::Nothing
                } else {
                    Heard::Rolled(rolled)
                }
            }
            Some(Change::Ended) if self.give_up(EndedBy::Deletion, now, policy) => Heard::Ended,
            // The deletion is doubted, or there is no change.
            Some(Change::Ended) | None => Heard::Nothing,
        }
    }

    /// Drops the cookies that have expired beside the current session, and the session if it
    /// carries nothing without them.
    pub(crate) fn drop_expired_cookies(&mut self, now: Moment) {
        if let Some(current) = &self.current
            && current.life().freshness(now) == Freshness::Outdated
        {
            self.current = current.without_expired_cookies(now).map(Arc::new);
        }
    }

    /// Whether a response that ends the current credential is believed. If so, the credential is
    /// never served again.
    fn give_up(&mut self, by: EndedBy, now: Moment, policy: &Policy) -> bool {
        // The end that the session was told to have is no reason for doubt.
        let in_time = |current: &Arc<Credential>| current.life().told_end_has_come(now);
        if !self.current.as_ref().is_some_and(in_time) {
            if !self.breaker.believes(by, now, policy.rejection_logins) {
                return false;
            }
            self.breaker.believed(by, now);
        }
        self.given_up = self.current.take();
        if let Some(session) = &self.given_up {
            self.rejected = session.stamp().generation;
        }
        true
    }

    /// The handle is closed. Returns the current credential, which is to be logged out.
    pub(crate) fn close(&mut self) -> Option<Arc<Credential>> {
        self.closed = true;
        self.failure = None;
        self.current.take()
    }

    /// The session that was rejected, or ended by the server, if none has superseded it yet.
    pub(crate) const fn take_given_up(&mut self) -> Option<Arc<Credential>> {
        self.given_up.take()
    }

    /// What a waiter gets whose flight has returned `credential`. The credential may have been
    /// rolled, replaced or ended since. Returns `None` if no credential is of use any more, and the
    /// waiter has to decide anew.
    pub(crate) fn after_settling(
        &self,
        credential: &Credential,
        now: Moment,
    ) -> Result<Option<Arc<Credential>>, Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        let current = self
            .current
            .as_ref()
            .filter(|current| current.stamp().generation() >= credential.stamp().generation())
            .filter(|current| current.life().freshness(now).may_be_good());
        Ok(current.cloned())
    }

    pub(crate) const fn current(&self) -> Option<&Arc<Credential>> {
        self.current.as_ref()
    }

    pub(crate) const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Takes over a failure from before the cache was built. See [`Pool`](crate::Pool).
    pub(crate) fn remember(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    /// The last generation that was rejected or ended. Zero before the first.
    pub(crate) const fn rejected(&self) -> u64 {
        self.rejected
    }

    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn flight(&self) -> Option<FlightId> {
        self.flight
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }
}
