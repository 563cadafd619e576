//! The decisions of one cache: event in, decision out.
//!
//! Nothing here reads a clock, draws a random number, awaits, or knows of tasks: times and jitter
//! are arguments, and what is to be done is the return value. The [`cache`](crate::cache) carries
//! that out under one lock.

use std::num::NonZeroU64;
use std::sync::Arc;

use super::failure::{AttemptedSecret, Failure, FailurePolicy};
use super::outcome::{LoginOutcome, NoSession, Settled};
use super::rejection_breaker::RejectionBreaker;
use super::renewal_backoff::RenewalBackoff;
use crate::clock::Moment;
use crate::credential::{Credential, Rolled, Stamp};
use crate::error::{Error, LoginError, LoginErrorKind};
use crate::lifetime::{Freshness, Life, RefreshWindow, made_progress};
use crate::secret::Fingerprint;
use crate::session::Session;

/// What the decisions depend on besides what happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) window: RefreshWindow,
    pub(crate) failure: FailurePolicy,
}

/// What one cache knows, and what it decides from that.
#[derive(Debug, Default)]
pub(crate) struct CacheState {
    current: Option<Arc<Credential>>,
    /// The last login's number.
    generation: u64,
    flight: Option<FlightId>,
    last_flight: Option<FlightId>,
    closed: bool,
    /// The last generation that was rejected, or ended by the server; zero before the first.
    rejected: u64,
    failure: Option<Failure>,
    breaker: RejectionBreaker,
    renewals: RenewalBackoff,
}

/// One login under way, told from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlightId(NonZeroU64);

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Log in: there is nothing to serve.
    Login,
    /// Renew what is served: ahead of its expiry, beside the traffic, or because somebody insists.
    Renewal,
    /// Log in if the secret is another than the one that was refused; send nothing otherwise.
    LoginIfChanged {
        /// What was refused.
        refused: Option<Fingerprint>,
    },
}

/// What a caller who wants a credential gets.
#[derive(Debug)]
pub(crate) enum Decision {
    /// This one, now.
    Serve(Arc<Credential>),
    /// This one, now, and a flight begins beside.
    ServeAndBegin(Arc<Credential>, Purpose),
    /// A flight begins, and the caller waits for it.
    Begin(Purpose),
    /// The caller waits for the flight under way.
    Join,
    /// Nothing.
    Fail(Error),
}

/// What a rejection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The request carried something older than what is served now: nothing starts.
    Stale,
    /// The credential is dead.
    Believed,
    /// The login isn't at fault.
    Doubted,
    /// The handle is closed: nothing starts any more.
    Closed,
}

impl CacheState {
    /// What a caller gets who wants a credential; with `renewed`, one from a login that begins now or is under way.
    pub(crate) fn decide(&self, now: Moment, renewed: bool) -> Decision {
        if self.closed {
            return Decision::Fail(Error::Closed);
        }
        if let Some(current) = &self.current
            && !renewed
        {
            match current.life().freshness(now) {
                Freshness::Fresh => return Decision::Serve(current.clone()),
                Freshness::Due => {
                    return self.renewal(now).map_or_else(
                        || Decision::Serve(current.clone()),
                        |purpose| Decision::ServeAndBegin(current.clone(), purpose),
                    );
                }
                // It may still be good, but first a login is tried; see `Shared::or_stale`.
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

    /// Whether the failure memory lets a login begin, and what for.
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

    /// Whether a renewal may begin beside the traffic, and what for.
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
        let number = self
            .last_flight
            .map_or(NonZeroU64::MIN, |FlightId(last)| last.saturating_add(1));
        let id = FlightId(number);
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
            // Nothing was sent: a password that was refused is still refused.
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

    /// The source of a refused secret was looked at in vain.
    fn looked(&mut self, now: Moment) -> Settled {
        match &mut self.failure {
            Some(failure) => {
                failure.looked(now);
                Settled::Failed(failure.error(now))
            }
            // The refusal has been forgotten meanwhile: the waiters decide anew.
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
        let life = Life::begin(session.lifetime(), now, policy.window, jitter);
        Arc::new(Credential::new(stamp, session, life))
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

    /// A flight's task is gone, with its runtime or by a panic of ours. Nobody is to wait for it.
    pub(crate) fn abandon(&mut self, id: FlightId) {
        if self.flight == Some(id) {
            self.flight = None;
        }
    }

    /// An answer rejected what its request carried.
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

    /// An answer accepted what a replay carried.
    pub(crate) fn replay_accepted(&mut self, generation: u64) {
        self.breaker.replay_accepted(generation);
    }

    /// An answer gave the session a new value. It counts only if its request carried the current one.
    pub(crate) fn roll(
        &mut self,
        stamp: Stamp,
        rolled: &Rolled,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> Option<Stamp> {
        let current = self
            .current
            .as_ref()
            .filter(|current| current.stamp() == stamp)?;
        let life = current
            .life()
            .roll(now, rolled.expires_in(), policy.window, jitter);
        // A value that can't be carried is the server's mistake; the one at hand is as good as it was.
        let next = current.roll(rolled, life).ok()?;
        let stamp = next.stamp();
        self.current = Some(Arc::new(next));
        Some(stamp)
    }

    /// An answer deleted the session's cookie. It counts only if its request carried the current one.
    ///
    /// As with a rejection, belief is withdrawn where logins don't help: a server that deletes a namesake of the session's
    /// cookie with every answer would otherwise cause a login for each.
    pub(crate) fn end(&mut self, stamp: Stamp, now: Moment) -> bool {
        let current = self
            .current
            .as_ref()
            .is_some_and(|current| current.stamp() == stamp);
        current && self.give_up(stamp.generation, now)
    }

    /// Whether what an answer says of the current credential is believed: then it is never served again.
    fn give_up(&mut self, generation: u64, now: Moment) -> bool {
        let believed = self.breaker.believes(now);
        if believed {
            self.breaker.believed(now);
            self.rejected = generation;
            self.current = None;
        }
        believed
    }

    /// The handle is closed. What was served until now is to be logged out.
    pub(crate) fn close(&mut self) -> Option<Arc<Credential>> {
        self.closed = true;
        self.failure = None;
        self.current.take()
    }

    /// What somebody gets who waited for a flight that brought `landed`, looked at again now: it may have been rolled or
    /// replaced since, or be of no use any more. Then there is nothing, and a decision is due.
    pub(crate) fn after_settling(
        &self,
        landed: &Credential,
        now: Moment,
    ) -> Result<Option<Arc<Credential>>, Error> {
        if self.closed {
            return Err(Error::Closed);
        }
        let current = self
            .current
            .as_ref()
            .filter(|current| current.stamp().generation() >= landed.stamp().generation())
            .filter(|current| current.life().freshness(now).may_be_good());
        Ok(current.cloned())
    }

    pub(crate) const fn current(&self) -> Option<&Arc<Credential>> {
        self.current.as_ref()
    }

    pub(crate) const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// A failure from before the cache was built; see [`Pool`](crate::Pool).
    pub(crate) fn remember(&mut self, failure: Failure) {
        self.failure = Some(failure);
    }

    /// The last generation that was given up; zero before the first.
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
