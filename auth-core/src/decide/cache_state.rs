//! The decisions of one cache: an event in, a decision out.
//!
//! No function here reads a clock, draws a random number, awaits or spawns. Times and jitter are
//! arguments, and the return value says what to do. The [`cache`](crate::cache) calls these
//! functions under its one lock and carries the decisions out.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::failure::{AttemptedSecret, Failure, FailurePolicy};
use super::outcome::{LoginOutcome, NoSession, Settled};
use super::rejection_breaker::RejectionBreaker;
use super::renewal_backoff::RenewalBackoff;
use crate::clock::Moment;
use crate::credential::{Change, Credential, SetCookie, Stamp, Target};
use crate::error::{Error, LoginError, LoginErrorKind};
use crate::lifetime::{Freshness, RefreshWindow, made_progress};
use crate::secret::Fingerprint;
use crate::session::Session;

/// What the decisions depend on besides the events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) window: RefreshWindow,
    pub(crate) failure: FailurePolicy,
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

/// What the cookies of an answer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookiesSet {
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
        match self.login(now) {
            Ok(Purpose::Login) if renewed && self.may_be_good(now) => {
                Decision::Begin(Purpose::Renewal)
            }
            Ok(purpose) => Decision::Begin(purpose),
            Err(error) => Decision::Fail(error),
        }
    }

    fn may_be_good(&self, now: Moment) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.life().freshness(now).may_be_good())
    }

    /// Whether the last failure permits a login, and its purpose.
    fn login(&self, now: Moment) -> Result<Purpose, Error> {
        match &self.failure {
            Some(failure) if failure.forbids(now) => {
                if failure.wants_look(now) {
                    Ok(Purpose::LoginIfChanged {
                        refused: failure.refused_secret(),
                    })
                } else {
                    Err(failure.error(now))
                }
            }
            _ => Ok(Purpose::Login),
        }
    }

    /// Whether a renewal may begin beside the traffic, and its purpose.
    pub(super) fn renewal(&self, now: Moment) -> Option<Purpose> {
        if self.flight.is_some() || self.renewals.forbids(now) {
            return None;
        }
        match self.login(now) {
            Ok(Purpose::Login) => Some(Purpose::Renewal),
            Ok(look) => Some(look),
            Err(_) => None,
        }
    }

    /// A flight begins, as decided.
    pub(crate) fn begin(&mut self) -> FlightId {
        let id = self.last_flight.map_or(FlightId::FIRST, FlightId::next);
        self.last_flight = Some(id);
        self.flight = Some(id);
        id
    }

    /// A flight ends. `jitter` is a random number from 0 to 1.
    pub(crate) fn settle(
        &mut self,
        id: FlightId,
        outcome: LoginOutcome,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> Settled {
        let superseded = self.flight != Some(id);
        self.abandon(id);
        let unwanted = self.closed || superseded;
        match outcome {
            Ok(session) if unwanted => {
                let credential = self.issue(session, now, policy, jitter);
                self.discard(Some(credential))
            }
            Ok(session) => self.log_in(session, now, policy, jitter),
            Err(_) if unwanted => self.discard(None),
            // Nothing was sent, so a password that was refused is still refused.
            Err(NoSession::Failed(_, None)) if self.refusal_in_force(now) => self.looked(now),
            Err(NoSession::Failed(error, attempted)) => {
                self.fail(error, attempted, now, policy, jitter)
            }
            Err(NoSession::Unchanged) => self.looked(now),
        }
    }

    fn refusal_in_force(&self, now: Moment) -> bool {
        self.failure.as_ref().is_some_and(|failure| {
            failure.kind() == LoginErrorKind::Refused && failure.forbids(now)
        })
    }

    /// The source of a refused secret was read, and it has not changed.
    fn looked(&mut self, now: Moment) -> Settled {
        match &mut self.failure {
            Some(failure) => {
                failure.looked(now);
                Settled::Failed(failure.error(now))
            }
            // The refusal was forgotten in the meantime, so the waiters decide anew.
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

    fn issue(
        &mut self,
        session: Session,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> Arc<Credential> {
        self.generation += 1;
        let stamp = Stamp {
            generation: self.generation,
            revision: 0,
        };
        Arc::new(Credential::new(stamp, session, now, policy.window, jitter))
    }

    fn log_in(&mut self, session: Session, now: Moment, policy: &Policy, jitter: f64) -> Settled {
        let credential = self.issue(session, now, policy, jitter);
        let superseded = self.current.replace(Arc::clone(&credential));
        let progress = superseded
            .as_ref()
            .is_none_or(|old| made_progress(old.life().expires(), credential.life().expires()));
        self.renewals = if progress {
            RenewalBackoff::default()
        } else {
            self.renewals.next(now, &policy.failure)
        };
        self.failure = None;
        self.breaker.landed(self.generation, now);
        Settled::LoggedIn {
            credential,
            superseded,
        }
    }

    fn fail(
        &mut self,
        error: LoginError,
        attempted: Option<AttemptedSecret>,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> Settled {
        let before = self.failure.as_ref();
        let failure = Failure::after(
            before,
            Arc::new(error),
            attempted,
            now,
            &policy.failure,
            jitter,
        );
        let told = failure.error(now);
        self.failure = Some(failure);
        Settled::Failed(told)
    }

    /// The task of a flight is gone or not driven. No waiter may wait for it any longer.
    pub(crate) fn abandon(&mut self, id: FlightId) {
        if self.flight == Some(id) {
            self.flight = None;
        }
    }

    /// A response rejected what its request carried.
    pub(crate) fn reject(&mut self, stamp: Stamp, replay: bool, now: Moment) -> Ruling {
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
        if replay {
            self.breaker.replay_rejected(stamp.generation, now);
        }
        if self.give_up(stamp.generation, now) {
            Ruling::Believed
        } else {
            Ruling::Doubted
        }
    }

    /// A response accepted what a replay carried.
    pub(crate) fn replay_accepted(&mut self, generation: u64) {
        self.breaker.replay_accepted(generation);
    }

    /// An answer to a request to `target` set cookies. They count only if the request carried the
    /// current credential.
    ///
    /// As with a rejection, the deletion of the session's cookies is doubted if logins don't help.
    /// Otherwise a server that deletes them with every response would cause a login for each.
    pub(crate) fn set_cookies(
        &mut self,
        stamp: Stamp,
        (set, target): (&[SetCookie], Target<'_>),
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> CookiesSet {
        let same = |current: &&Arc<Credential>| current.stamp() == stamp;
        let Some(current) = self.current.as_ref().filter(same) else {
            return CookiesSet::Nothing;
        };
        match current.change_by(set, target, now) {
            Some(Change::Cookies(new)) => {
                let next = current.with_cookies(new, now, policy.window, jitter);
                let rolled = next.stamp();
                self.current = Some(Arc::new(next));
                if rolled == stamp {
                    CookiesSet::Nothing
                } else {
                    CookiesSet::Rolled(rolled)
                }
            }
            Some(Change::Ended) if self.give_up(stamp.generation, now) => CookiesSet::Ended,
            // The deletion is doubted, or there is no change.
            Some(Change::Ended) | None => CookiesSet::Nothing,
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
    fn give_up(&mut self, generation: u64, now: Moment) -> bool {
        let believed = self.breaker.believes(now);
        if believed {
            self.breaker.believed(now);
            self.rejected = generation;
            self.current = None;
        }
        believed
    }

    /// The handle is closed. Returns the current credential, which is to be logged out.
    pub(crate) fn close(&mut self) -> Option<Arc<Credential>> {
        self.closed = true;
        self.failure = None;
        self.current.take()
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
