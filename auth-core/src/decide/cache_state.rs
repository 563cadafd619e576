//! The decisions of one cache: an event in, a decision out.
//!
//! No function here reads a clock, draws a random number, awaits or spawns. Times and jitter are
//! arguments, and the return value says what to do. The [`cache`](crate::cache) calls these
//! functions under its one lock and carries the decisions out.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::attempted::AttemptedSecret;
use super::failure::{Failure, FailurePolicy};
use super::outcome::{End, NoSession};
use super::refreshes::{Possible, Refreshes};
use super::rejection_breaker::RejectionBreaker;
use super::renewal_backoff::RenewalBackoff;
use super::repair_breaker::RepairBreaker;
use crate::clock::Moment;
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::lifetime::{Freshness, RefreshWindow};
use crate::refresh::Refresh;
use crate::secret::{Fingerprint, Secret};
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
    pub(super) current: Option<Arc<Credential>>,
    /// The number of the last login.
    pub(super) generation: u64,
    pub(super) flight: Option<FlightId>,
    pub(super) last_flight: Option<FlightId>,
    /// The last one that has logged in with the password.
    pub(super) last_login: Option<FlightId>,
    pub(super) closed: bool,
    /// The last generation that was rejected, or ended by the server. Zero before the first.
    pub(super) rejected: u64,
    /// The last generation whose cookies the server has deleted. Zero before the first.
    pub(super) deleted: u64,
    /// The session that a response has rejected or ended, until the next one supersedes it.
    pub(super) given_up: Option<Arc<Credential>>,
    pub(super) failure: Option<Failure>,
    /// What has become of rejections. Most sessions see none, so it is a pointer.
    pub(super) breaker: Option<Box<RejectionBreaker>>,
    pub(super) renewals: RenewalBackoff,
    /// What has become of repairs since the last one that helped. Most sessions need none, so it
    /// is a pointer.
    pub(super) repairs: Option<Box<RepairBreaker>>,
    /// Whether the last rejection answered the fetch of a part.
    pub(super) fetch_was_refused: bool,
    /// How sessions are refreshed, if they are. Most are not, so it is a pointer.
    pub(super) refreshes: Option<Box<Refreshes>>,
}

/// The number of a flight, which tells it from the flights before it. With one each second, it
/// lasts for 136 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlightId(NonZeroU32);

impl FlightId {
    pub(crate) const FIRST: Self = Self(NonZeroU32::MIN);

    fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// What a flight is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Log in: there is nothing to serve.
    Login,
    /// Log in while the current credential is good: ahead of its expiry, or because a caller asked
    /// for a renewed one.
    Renewal,
    /// Refresh the session, whether it is good or over, and log in if that is refused.
    Refresh,
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

impl CacheState {
    pub(crate) fn new(refresh: Option<Refresh>) -> Self {
        Self {
            refreshes: refresh.map(|by| Box::new(Refreshes::new(by))),
            ..Self::default()
        }
    }

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
        match (self.refresh(now), &self.refreshes) {
            (Possible::Now, _) => return Decision::Begin(Purpose::Refresh),
            // The session is good, so the password is not needed yet.
            (Possible::Later, Some(refreshes)) if self.is_good(now) => {
                return Decision::Fail(refreshes.error(now));
            }
            _ => {}
        }
        let renews = renewed && self.may_be_good(now);
        match self.login(now, renews) {
            Ok(purpose) => Decision::Begin(purpose),
            Err(error) => Decision::Fail(error),
        }
    }

    pub(super) fn may_be_good(&self, now: Moment) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| current.life().freshness(now).may_be_good())
    }

    /// Whether the session can be refreshed: the current one, or the one that was given up.
    pub(super) fn refresh(&self, now: Moment) -> Possible {
        match (&self.refreshes, self.refreshed()) {
            (Some(refreshes), Some(session)) => refreshes.possible(session, self.is_good(now), now),
            _ => Possible::No,
        }
    }

    /// The session that a refresh begins with: the current one, or the one that was given up.
    pub(crate) fn refreshed(&self) -> Option<&Arc<Credential>> {
        self.current.as_ref().or(self.given_up.as_ref())
    }

    /// The session that the refresh of `before` has brought, with the cookies that it continues.
    pub(crate) fn continued(
        &self,
        session: Session,
        before: &Credential,
        now: Moment,
    ) -> Result<Session, LoginError> {
        let generation = before.stamp().generation();
        let same = |latest: &&Arc<Credential>| latest.stamp().generation() == generation;
        // A response may have set cookies while the refresh was under way.
        let latest = self.refreshed().filter(same);
        let before = latest.map_or(before, |latest| &**latest);
        let session = session.with_cookies_of(before, self.deleted == generation, now)?;
        Ok(session.continuing(before, now))
    }

    /// The token that the session is refreshed with, if it is with one.
    pub(crate) fn refresh_token(&self, session: &Credential, now: Moment) -> Option<Secret> {
        let name = self.refreshes.as_ref()?.token_name()?;
        session.kept_at(name, now).cloned()
    }

    /// The token that the session is refreshed with, if it can be used once.
    pub(crate) fn single_use_token(&self, session: &Credential, now: Moment) -> Option<Secret> {
        let refreshes = self.refreshes.as_ref();
        refreshes.filter(|refreshes| refreshes.are_single_use())?;
        self.refresh_token(session, now)
    }

    /// The name of the session's refresh token, if that must not be sent again.
    pub(crate) fn spent_token(&self, session: &Credential, now: Moment) -> Option<String> {
        self.refreshes.as_ref()?.spent_token(session, now)
    }

    /// The session as it is saved again. A token that can be used once and was sent is left out: a
    /// store that has lost its data does not know that it is spent. A flight that is under way may
    /// not have sent it.
    pub(crate) fn to_save(&self, session: &Credential, now: Moment) -> Session {
        let whole = session.session(now);
        let refreshes = self.refreshes.as_ref().filter(|_| self.flight.is_none());
        match refreshes.and_then(|refreshes| refreshes.sent_token(session, now)) {
            Some(name) => whole.without_kept(&name),
            None => whole,
        }
    }

    pub(super) fn is_good(&self, now: Moment) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| current.life().freshness(now).is_good())
    }

    /// Whether the last failure permits a login, or a renewal if it `renews`, and its purpose.
    pub(super) fn login(&self, now: Moment, renews: bool) -> Result<Purpose, Error> {
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
        let refresh = self.refresh(now);
        let held_until = self.renewals.until(self.needs_permit(refresh));
        if self.flight.is_some() || now.steady < held_until {
            return None;
        }
        match refresh {
            Possible::Now => Some(Purpose::Refresh),
            // The session is good, so the password is not needed yet.
            Possible::Later => None,
            Possible::No => self.login(now, true).ok(),
        }
    }

    /// When the session is to be renewed though no caller asks for it, on the steady clock. `None`
    /// if a flight is under way, or if only a caller's wish is worth an attempt.
    pub(crate) fn next_renewal(&self, now: Moment) -> Option<u64> {
        if self.closed || self.flight.is_some() {
            return None;
        }
        let life = self.current.as_ref()?.life();
        let due = life.renewed_at(now)?;
        let refresh = self.refresh(now);
        let login = || self.failure.as_ref().map_or(0, Failure::until);
        let held = match (refresh, &self.refreshes) {
            (Possible::Now, Some(refreshes)) => refreshes.held_until(now),
            (Possible::Later, Some(refreshes)) => {
                // The password is used at the session's end, if that comes first.
                let end = life.ends_at(now).filter(|_| !self.secret_is_held(now));
                let held = refreshes.held_until(now);
                end.map_or(held, |end| held.min(end.max(login())))
            }
            _ if self.secret_is_held(now) => return None,
            _ => login(),
        };
        let held_until = self.renewals.until(self.needs_permit(refresh));
        Some(due.max(held).max(held_until))
    }

    /// Whether a renewal begins with what needs a permit.
    fn needs_permit(&self, refresh: Possible) -> bool {
        let refreshes = self.refreshes.as_ref();
        refresh != Possible::Now || refreshes.is_none_or(|refreshes| refreshes.count_as_logins())
    }

    /// The purpose of a renewal that no caller asks for, if it is time for one.
    pub(crate) fn unasked(&self, now: Moment) -> Option<Purpose> {
        if self.next_renewal(now)? > now.steady {
            return None;
        }
        if self.refresh(now) == Possible::Now {
            return Some(Purpose::Refresh);
        }
        self.login(now, self.is_good(now)).ok()
    }

    /// A flight begins, as decided.
    pub(crate) fn begin(&mut self) -> FlightId {
        let id = self.last_flight.map_or(FlightId::FIRST, FlightId::next);
        self.last_flight = Some(id);
        self.flight = Some(id);
        id
    }

    /// The refresh that began with `before` is sent, in the flight `id`. Returns the session as it
    /// is by now: a response may have rolled its token.
    ///
    /// # Errors
    /// Why it is not sent: the flight is not wanted any more, or the session can't be refreshed by
    /// now, or is another one.
    pub(crate) fn send_refresh(
        &mut self,
        id: FlightId,
        before: &Credential,
        now: Moment,
    ) -> Result<Arc<Credential>, NoSession> {
        if self.is_unwanted(id) {
            return Err(NoSession::Unchanged);
        }
        let generation = before.stamp().generation();
        let same = |session: &&Arc<Credential>| session.stamp().generation() == generation;
        let session = self.refreshed().filter(same).cloned();
        let session = session.filter(|_| self.refresh(now) == Possible::Now);
        let session = session.ok_or(NoSession::Unneeded)?;
        if let Some(refreshes) = &mut self.refreshes {
            refreshes.send(&session, now);
        }
        Ok(session)
    }

    /// The refresh of `session` was not sent after all.
    pub(crate) fn unsend_refresh(&mut self, session: &Credential, now: Moment) {
        if let Some(refreshes) = &mut self.refreshes {
            refreshes.unsend(session, now);
        }
    }

    /// The refresh of `session` has failed, in the flight `id`. Returns what its callers are told,
    /// and the purpose of the login that follows in the same flight, if one does: the server has
    /// refused the refresh, or the session is over. Returns `None` if the flight is not wanted any
    /// more.
    pub(crate) fn not_refreshed(
        &mut self,
        id: FlightId,
        (session, error): (&Credential, LoginError),
        end: &End,
        policy: &Policy,
    ) -> Option<(Error, Option<Purpose>)> {
        if self.is_unwanted(id) {
            return None;
        }
        let refreshes = self.refreshes.as_mut()?;
        let refused = refreshes.failed(error, session, end, &policy.failure);
        let told = refreshes.last_error(end.at)?;
        let good = self.is_good(end.at);
        let follows = (refused || !good).then(|| self.login(end.at, good).ok());
        Some((told, follows.flatten()))
    }

    /// Whether there is no good session, and nothing forbids a login.
    pub(crate) fn wants_login(&self, now: Moment) -> bool {
        !self.closed && !self.is_good(now) && matches!(self.login(now, false), Ok(Purpose::Login))
    }

    /// The handle is closed. Returns the current credential, which is to be logged out. What the
    /// last failure forbids holds for the next handle of the identity: see [`Pool`](crate::Pool).
    pub(crate) fn close(&mut self) -> Option<Arc<Credential>> {
        self.closed = true;
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

    /// With what answer the server has postponed the last login, if that holds now.
    pub(crate) fn postponed_by(&self, now: Moment) -> Option<Arc<LoginError>> {
        self.failure.as_ref()?.postponed_by(now)
    }

    pub(crate) const fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Takes over a failure from before the cache was built, whose secret is `fixed` or may change.
    /// See [`Pool`](crate::Pool).
    pub(crate) fn remember(&mut self, failure: Failure, fixed: Option<Fingerprint>, now: Moment) {
        self.failure = Some(failure.of_source(fixed, now));
    }

    /// A login with this secret has ended after another handle has found out `known`. If it has
    /// failed, that forbids no less than either.
    pub(crate) fn fail_no_less(&mut self, known: Failure, secret: AttemptedSecret) {
        let known = Some(known).filter(|known| known.is_of(secret));
        self.failure = self.failure.take().map(|last| last.or_stricter(known));
    }

    /// Takes over what another handle of the identity has found out, while a login with this secret
    /// is under way. Returns whether that forbids to send it.
    pub(crate) fn learn(
        &mut self,
        failure: Failure,
        at_hand: AttemptedSecret,
        now: Moment,
    ) -> bool {
        let fixed = (!at_hand.may_change).then_some(at_hand.secret);
        self.remember(failure, fixed, now);
        let forbids = |failure: &Failure| failure.is_of(at_hand) && failure.forbids_login(now);
        self.failure.as_ref().is_some_and(forbids)
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
