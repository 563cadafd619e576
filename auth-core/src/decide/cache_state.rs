//! The decisions of one cache: an event in, a decision out.
//!
//! No function here reads a clock, draws a random number, awaits or spawns. Times and jitter are
//! arguments, and the return value says what to do. The [`cache`](crate::cache) calls these
//! functions under its one lock and carries the decisions out.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::attempted::{Attempted, AttemptedSecret};
use super::failure::{Failure, FailurePolicy};
use super::outcome::{End, Failed, LoginOutcome, Means, NoSession, Obtained, Settled, Superseded};
use super::refreshes::{Possible, Refreshes};
use super::rejection_breaker::{EndedBy, RejectionBreaker};
use super::renewal_backoff::RenewalBackoff;
use super::repair_breaker::RepairBreaker;
use crate::clock::Moment;
use crate::credential::{Brought, Change, Credential, Stamp};
use crate::error::{Error, LoginError};
use crate::lifetime::{Birth, Freshness, RefreshWindow, made_progress};
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
    pub(super) breaker: RejectionBreaker,
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

    /// The token that the session is refreshed with, if it can be used once.
    pub(crate) fn single_use_token(&self, session: &Credential, now: Moment) -> Option<Secret> {
        let refreshes = self.refreshes.as_ref()?;
        let name = refreshes
            .token_name()
            .filter(|_| refreshes.are_single_use())?;
        session.kept_at(name, now).cloned()
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
        if self.flight.is_some() || self.renewals.forbids(now) {
            return None;
        }
        match self.refresh(now) {
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
        let due = self.current.as_ref()?.life().renewed_at(now)?;
        let held = match (self.refresh(now), &self.refreshes) {
            (Possible::Now | Possible::Later, Some(refreshes)) => refreshes.held_until(now),
            _ if self.secret_is_held(now) => return None,
            _ => self.failure.as_ref().map_or(0, Failure::until),
        };
        Some(due.max(held).max(self.renewals.until()))
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

    /// The refresh of `session` is sent, in the flight `id`. Returns whether it may be: it may not
    /// if the flight is not wanted any more.
    pub(crate) fn send_refresh(&mut self, id: FlightId, session: &Credential, now: Moment) -> bool {
        let wanted = !self.is_unwanted(id);
        if let (true, Some(refreshes)) = (wanted, &mut self.refreshes) {
            refreshes.send(session, now);
        }
        wanted
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
        let told = refreshes.error(end.at);
        let good = self.is_good(end.at);
        let follows = (refused || !good).then(|| self.login(end.at, good).ok());
        Some((told, follows.flatten()))
    }

    /// Whether there is no good session, and nothing forbids a login.
    pub(crate) fn wants_login(&self, now: Moment) -> bool {
        !self.closed && !self.is_good(now) && matches!(self.login(now, false), Ok(Purpose::Login))
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
            Ok(Obtained::Fetched { session, by }) if unwanted => {
                // A refreshed session may be the one that is served.
                let distinct = by == Means::Password || self.closed;
                let last = self.generation;
                let credential = self.issue(session, by, end, policy);
                if !self.closed {
                    // The one that is served is still the last one.
                    self.generation = last;
                }
                self.discard(distinct.then_some(credential))
            }
            Ok(Obtained::Fetched { session, by }) => {
                if by == Means::Password {
                    self.last_login = Some(id);
                }
                self.log_in(session, by, end, policy)
            }
            // No waiter gets it any more, but what it says of the password is to be noted.
            Err(NoSession::Failed(failed)) if unwanted && self.is_to_be_noted(id, &failed) => {
                self.fail(failed, end, policy);
                self.discard(None)
            }
            Ok(Obtained::Found(_)) | Err(_) if unwanted => self.discard(None),
            Ok(Obtained::Found(credential)) => Settled::Found(credential),
            // Nothing was sent, so a password that was refused is still refused.
            Err(NoSession::Failed(Failed { secret: None, .. })) if self.secret_is_held(now) => {
                self.looked(now)
            }
            Err(NoSession::Failed(failed)) => {
                let of = failed.of;
                let told = self.fail(failed, end, policy);
                // The session is over since its renewal began, so the waiters begin a login.
                if of == Attempted::Renewal && self.wants_login(now) {
                    Settled::NotRenewed(told)
                } else {
                    Settled::Failed(told)
                }
            }
            // The session was rejected since its refresh failed.
            Err(NoSession::NotRefreshed(_)) if self.wants_login(now) => self.discard(None),
            Err(NoSession::NotRefreshed(told)) => match self.login(now, false) {
                Err(error) if !self.is_good(now) => Settled::Failed(error),
                _ => Settled::Failed(told),
            },
            Err(NoSession::Unchanged) => self.looked(now),
        }
    }

    /// Whether a flight that is not wanted any more has found out what forbids another one.
    fn is_to_be_noted(&self, id: FlightId, failed: &Failed) -> bool {
        if self.closed {
            failed.secret.is_some()
        } else {
            // The last word on the password is that of a later login, if one has succeeded.
            failed.says_of_its_secret() && self.last_login < Some(id)
        }
    }

    pub(super) fn is_unwanted(&self, id: FlightId) -> bool {
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

    /// A secret was read. Returns whether it must not be sent, because it was refused before
    /// another one was tried, or because too many others were refused of late. Then that is the
    /// last failure.
    pub(crate) fn holds_back(&mut self, secret: AttemptedSecret, now: Moment) -> bool {
        let last = self.failure.as_ref();
        let recalled = last.and_then(|last| last.recalled(secret, now));
        let held = recalled.is_some();
        if held {
            self.failure = recalled;
        }
        held
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

    fn issue(
        &mut self,
        mut session: Session,
        by: Means,
        end: &End,
        policy: &Policy,
    ) -> Arc<Credential> {
        if by == Means::Refresh
            && let Some(before) = self.refreshed()
        {
            session = session.continuing(before, end.at);
        }
        let stamp = self.next_stamp();
        let birth = Birth {
            at: end.at,
            took: end.took,
        };
        let credential = Credential::new(stamp, session, birth, policy.window, end.jitter);
        Arc::new(match by {
            Means::Password => credential,
            Means::Refresh => credential.refreshed(),
        })
    }

    fn log_in(&mut self, session: Session, by: Means, end: &End, policy: &Policy) -> Settled {
        let credential = self.issue(session, by, end, policy);
        let replaced = self.current.replace(Arc::clone(&credential));
        let progress = replaced
            .as_ref()
            .is_none_or(|old| made_progress(old.life(), credential.life()));
        self.renewals = if progress {
            RenewalBackoff::default()
        } else {
            self.renewals.next(end.at, &policy.failure)
        };
        let refreshes = self.refreshes.as_deref();
        let counts = by == Means::Password || refreshes.is_some_and(Refreshes::count_as_logins);
        self.breaker.landed(self.generation, end.at, counts);
        let rejected = replaced.is_none();
        let before = replaced.or_else(|| self.given_up.take());
        let superseded = match by {
            Means::Password => {
                self.failure = None;
                if let Some(refreshes) = &mut self.refreshes {
                    refreshes.logged_in();
                }
                before.map(|session| Superseded { session, rejected })
            }
            // It is the same session at the server, and says nothing of the password.
            Means::Refresh => {
                if let Some(refreshes) = &mut self.refreshes {
                    refreshes.succeeded();
                }
                None
            }
        };
        Settled::LoggedIn {
            credential,
            by,
            superseded,
        }
    }

    fn fail(&mut self, failed: Failed, end: &End, policy: &Policy) -> Error {
        let before = self.failure.as_ref();
        let failure = Failure::after(before, failed, end, &policy.failure);
        let told = failure.error(end.at);
        self.failure = Some(failure);
        told
    }

    /// The runtime of a flight is gone, and the answer to what was sent with it.
    pub(crate) fn lose(
        &mut self,
        id: FlightId,
        (of, secret): (Attempted, AttemptedSecret),
        end: &End,
        policy: &Policy,
    ) {
        if self.flight == Some(id) {
            let error = LoginError::timed_out("its runtime ended before an answer came");
            let secret = Some(secret);
            self.fail(Failed { error, of, secret }, end, policy);
            self.failure = self.failure.take().map(Failure::of_lost);
        }
    }

    /// The task of a flight is gone or not driven. No waiter may wait for it any longer.
    pub(crate) fn abandon(&mut self, id: FlightId) {
        if self.flight == Some(id) {
            self.flight = None;
        }
    }

    /// A response rejected what its request carried: all that one does, or what every one does
    /// alone.
    pub(crate) fn reject(
        &mut self,
        stamp: Stamp,
        always_alone: bool,
        now: Moment,
        policy: &Policy,
    ) -> Ruling {
        if self.closed {
            return Ruling::Closed;
        }
        let is_current = |current: &Arc<Credential>| current.was_carried_by(stamp, always_alone);
        if !self.current.as_ref().is_some_and(is_current) {
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
        let by_deletion = matches!(by, EndedBy::Deletion);
        // The end that the session was told to have is no reason for doubt.
        let in_time = |current: &Arc<Credential>| current.life().told_end_has_come(now);
        if !self.current.as_ref().is_some_and(in_time) {
            let unproven = |current: &Arc<Credential>| current.is_unproven();
            let unproven = self.current.as_ref().is_some_and(unproven);
            let by = if unproven { EndedBy::FirstUse } else { by };
            if !self.breaker.believes(by, now, policy.rejection_logins) {
                return false;
            }
            self.breaker.believed(by, now);
            if let (true, Some(refreshes)) = (unproven, &mut self.refreshes) {
                refreshes.distrust();
            }
        }
        self.fetch_was_refused = false;
        self.given_up = self.current.take();
        if let Some(session) = &self.given_up {
            self.rejected = session.stamp().generation;
            if by_deletion {
                self.deleted = self.rejected;
            }
        }
        true
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
