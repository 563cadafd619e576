//! The end of a login: the outcome for its waiters, and the session that it supersedes.

use std::sync::Arc;
use std::time::Duration;

use super::leaving::Leaving;
use super::shared::Shared;
use crate::cause::Cause;
use crate::clock::nanos;
use crate::credential::{Credential, Stamp};
use crate::decide::{
    Adopted, AttemptedSecret, End, FlightId, Known, LoginOutcome, Means, NoSession, Notes,
    Obtained, Purpose, Settled, Superseded, Wanted,
};
use crate::error::{Error, LoginError, LoginErrorKind};
use crate::event::Event;
use crate::lifetime::Freshness;
use crate::login::{Flight, Keep, Settlement};
use crate::logout::{Logout, LogoutReason, LogoutScope};
use crate::runtime::{Runtime, random};
use crate::secret::Secret;
use crate::session::Session;
use crate::store::{Found, Leased, Saved};

/// How many superseded sessions wait for their logout at a time. Further ones are left to expire. A
/// renewal happens once in a session's life, and rejections cause few logins, so more than a few
/// within a grace mean that the grace is longer than the sessions.
const MOST_SUPERSEDED: usize = 4;

impl Keep for Shared {
    fn known(&self) -> (Known, bool) {
        let Some(sharing) = &self.engine.options.sharing else {
            return (Known::default(), false);
        };
        let control = self.control.lock();
        let known = *sharing.known.lock();
        let rejected = control.state.refreshed();
        let rejected = rejected.filter(|_| control.state.current().is_none());
        let is_known = |session: &Arc<Credential>| {
            let leased = sharing.last_lease.of(session.stamp().generation());
            let version = leased.and_then(|leased| leased.version).zip(known.version);
            !known.unsaved || version.is_some_and(|(own, known)| known.is_of_same_session(own))
        };
        (known, rejected.is_some_and(is_known))
    }

    fn look_at(&self, id: FlightId, wanted: Wanted, mut found: Found) -> Option<Adopted> {
        self.find_saved(&found);
        if self.may_be_ahead_of(&found) {
            found.session = None;
        }
        self.adopting(found, |state, outlook, end, policy| {
            state.look_at(id, wanted, outlook, end, policy)
        })?
    }

    fn refreshed(&self) -> Option<Arc<Credential>> {
        self.read(|state| state.refreshed().cloned())
    }

    fn recall(&self, notes: &Notes, secret: AttemptedSecret, tag: &str, purpose: Purpose) -> bool {
        let now = self.engine.clock.now();
        self.update(|state| state.recall(notes, secret, tag, purpose, now))
    }

    fn holds_back(&self, secret: AttemptedSecret) -> bool {
        let now = self.engine.clock.now();
        self.commit(|control| {
            control.learns_not_to_send(secret, now) || control.state.holds_back(secret, now)
        })
    }

    fn single_use_token(&self, session: &Credential) -> Option<Secret> {
        let now = self.engine.clock.now();
        self.read(|state| state.single_use_token(session, now))
    }

    fn refresh_token(&self, session: &Credential) -> Option<Secret> {
        let now = self.engine.clock.now();
        self.read(|state| state.refresh_token(session, now))
    }

    fn notes(&self, before: &Notes, secret: Option<String>, brought: bool) -> Notes {
        let now = self.engine.clock.now();
        self.read(|state| state.notes(before, secret, brought, now))
    }

    fn saved(self: Arc<Self>, stamp: Stamp, saved: Option<Saved>) {
        if let Some(Saved::Made(version)) = saved {
            self.now_known(stamp, version);
        }
    }

    fn has_good_session(&self) -> bool {
        let now = self.engine.clock.now();
        self.current_if(now, Freshness::is_good).is_some()
    }

    fn wants_login(&self) -> bool {
        let now = self.engine.clock.now();
        self.read(|state| state.wants_login(now))
    }

    fn send_refresh(
        &self,
        id: FlightId,
        before: &Credential,
    ) -> Result<Arc<Credential>, NoSession> {
        let now = self.engine.clock.now();
        self.update(|state| state.send_refresh(id, before, now))
    }

    fn unsend_refresh(&self, session: &Credential) {
        let now = self.engine.clock.now();
        self.update(|state| state.unsend_refresh(session, now));
    }

    fn continued(&self, session: Session, before: &Credential) -> Result<Session, LoginError> {
        let now = self.engine.clock.now();
        self.read(|state| state.continued(session, before, now))
    }

    fn not_refreshed(
        &self,
        flight: &Flight,
        session: &Credential,
        error: LoginError,
    ) -> Result<Purpose, NoSession> {
        let end = self.end(Duration::ZERO);
        let policy = &self.engine.options.policy;
        let told =
            self.update(|state| state.not_refreshed(flight.id, (session, error), &end, policy));
        let (told, follows) = told.ok_or(NoSession::Unchanged)?;
        if let Some(failure) = told.login_error() {
            self.engine.emit(&Event::RefreshFailed {
                cause: flight.cause,
                kind: failure.kind(),
                reason: failure.reason(),
                retry_after: told.retry_after(),
            });
        }
        follows.ok_or(NoSession::NotRefreshed(told))
    }

    fn settle(
        &self,
        flight: &Flight,
        outcome: LoginOutcome,
        took: Duration,
        leased: Option<Leased>,
    ) -> Settlement {
        let (id, cause) = (flight.id, flight.cause);
        let sent = flight.attempt().map(|(_, secret)| secret);
        let end = self.end(took);
        let attempted = matches!(outcome, Err(NoSession::Failed(..)));
        let by_password = matches!(
            outcome,
            Ok(Obtained::Fetched {
                by: Means::Password,
                ..
            })
        );
        let outcome = outcome.map(|obtained| match obtained {
            Obtained::Fetched { session, by } => Obtained::Fetched {
                session: session.on(&self.engine.clock),
                by,
            },
            found @ Obtained::Found(_) => found,
        });
        let (settled, flight, settling) = self.commit(|control| {
            let policy = &self.engine.options.policy;
            let sharing = self.engine.options.sharing.as_ref();
            let flight = control.flight.take_if(|flight| flight.id == id);
            // Before its lease is known, so that no task gives that back meanwhile.
            let settling = sharing.zip(flight.as_ref());
            let settling = settling.map(|(sharing, flight)| sharing.settling.begin(flight));
            let settled = control.in_turn(sent, end.at, |state| {
                state.settle(id, outcome, &end, policy)
            });
            // A closed handle has found out, too, that the password is right.
            if by_password && !matches!(settled, Settled::Discarded(_)) {
                control.link = None;
            }
            if let (Settled::LoggedIn { .. }, Some(sharing)) = (&settled, sharing) {
                sharing.obtained(control.state.generation(), leased);
            }
            (settled, flight, settling)
        });
        // Of one that was superseded, the store is told nothing.
        let failed = attempted && !matches!(settled, Settled::Discarded(_));
        Settlement {
            settled,
            cause,
            failed,
            took,
            flight,
            settling,
        }
    }

    fn conclude(&self, mut settlement: Settlement) -> Option<(Arc<Credential>, Logout)> {
        let (cause, failed, took) = (settlement.cause, settlement.failed, settlement.took);
        let sharing = self.engine.options.sharing.as_deref();
        settlement.settling = None;
        self.set_timer();
        // The waiters are woken before the observer is called, because the observer is foreign code
        // and may take long.
        match std::mem::replace(&mut settlement.settled, Settled::Discarded(None)) {
            Settled::LoggedIn {
                credential,
                by,
                superseded,
            } => {
                let stamp = credential.stamp();
                let is_other = |old: &Superseded| !old.session.may_be_one_session(&credential);
                if let Some(old) = superseded.filter(is_other) {
                    self.log_out_superseded(old);
                }
                settlement.tell(Some(Ok(credential)));
                self.engine.emit(&match by {
                    Means::Password => Event::LoggedIn { cause, stamp, took },
                    Means::Refresh => Event::Refreshed { cause, stamp, took },
                });
                None
            }
            Settled::Found(credential) => {
                let stamp = credential.stamp();
                settlement.tell(Some(Ok(credential)));
                self.engine.emit(&Event::Loaded { stamp });
                None
            }
            Settled::Failed(error) => {
                settlement.tell(Some(Err(error.clone())));
                if failed {
                    self.report(cause, &error);
                }
                None
            }
            Settled::NotRenewed(error) => {
                settlement.tell(None);
                self.report(cause, &error);
                None
            }
            Settled::Discarded(session) => {
                settlement.tell(None);
                let served = self.read(|state| state.current().cloned());
                let session = session.filter(|session| {
                    self.superseded_grace().is_some()
                        && served.is_none_or(|served| !served.may_be_one_session(session))
                });
                session.map(|session| (session, Logout::new(LogoutReason::Superseded)))
            }
            // The close has released the waiters. With a store, it has left the session there, and
            // a logout has not.
            Settled::Closed(session) => {
                let stays = sharing.is_some_and(|sharing| !sharing.logs_out());
                let session = session.filter(|_| !stays);
                session.map(|session| (session, Logout::new(LogoutReason::Closing)))
            }
        }
    }

    fn lose(&self, flight: &Flight) -> bool {
        let (end, policy) = (self.end(Duration::ZERO), &self.engine.options.policy);
        let attempt = flight.attempt();
        // At once: all its waiters may find it at the same time, and it counts one time.
        let lost = self.commit(|control| {
            if let Some(attempt) = attempt {
                control.in_turn(Some(attempt.1), end.at, |state| {
                    state.lose(flight.id, attempt, &end, policy);
                });
            }
            control.state.abandon(flight.id);
            control
                .flight
                .take_if(|under_way| under_way.id == flight.id)
        });
        let Some(flight) = lost else {
            return false;
        };
        flight.waiters.set(None);
        self.set_timer();
        true
    }
}

impl Shared {
    pub(super) fn end(&self, took: Duration) -> End {
        End {
            at: self.engine.clock.now(),
            took,
            jitter: random(),
        }
    }

    /// Tells the observer of a login that has failed.
    fn report(&self, cause: Cause, error: &Error) {
        let Some(failure) = error.login_error() else {
            return;
        };
        if failure.kind() == LoginErrorKind::SeatsExhausted {
            self.log_out_oldest();
        }
        self.engine.emit(&Event::LoginFailed {
            cause,
            kind: failure.kind(),
            reason: failure.reason(),
            retry_after: error.retry_after(),
        });
    }

    /// Gives up a flight whose task is not driven, as one of its waiters has found. Another flight
    /// may begin then.
    pub(super) fn supersede(&self, flight: &Flight) {
        if self.lose(flight) {
            self.engine.limiter.pass_over(&flight.ticket);
            flight.abort();
            self.engine.emit(&Event::LoginSuperseded);
        }
    }

    /// The last handle is gone, and with it the answer to what was sent. Only the next handle of
    /// the identity has to know.
    pub(super) fn lose_what_was_sent(&self) {
        let mut control = self.control.lock();
        let flight = control.flight.clone().filter(|_| control.link.is_some());
        let sent = flight.and_then(|flight| Some((flight.id, flight.attempt()?)));
        if let Some((id, attempt)) = sent {
            let (end, policy) = (self.end(Duration::ZERO), &self.engine.options.policy);
            control.in_turn(Some(attempt.1), end.at, |state| {
                state.lose(id, attempt, &end, policy);
            });
        }
    }

    /// After which grace superseded sessions are logged out, if they are at all.
    pub(super) fn superseded_grace(&self) -> Option<Duration> {
        let engine = &self.engine;
        // Another process may use them.
        if self.is_shared() {
            return None;
        }
        let grace = engine.options.superseded_logout;
        // Otherwise it would end the session that is served.
        grace.filter(|_| engine.provider.logout_scope() == LogoutScope::ThisSession)
    }

    /// Logs out a superseded session, if the options say so, after a grace for the requests that
    /// still use it.
    fn log_out_superseded(&self, superseded: Superseded) {
        let (Some(grace), Some(runtime)) = (self.superseded_grace(), Runtime::current()) else {
            return;
        };
        let Superseded { session, rejected } = superseded;
        let logout = Logout {
            reason: LogoutReason::Superseded,
            was_over: rejected,
        };
        let engine = self.engine.clone();
        let until = self.engine.clock.now().steady.saturating_add(nanos(grace));
        let leaving = Arc::clone(&session);
        let task = runtime.spawn(async move {
            engine.clock.sleep_until(until).await;
            let _ = engine.log_out(&leaving, logout).await;
        });
        let leaving = Leaving {
            task,
            session,
            logout,
        };
        let refused = {
            let mut control = self.control.lock();
            control.superseded.retain(|other| !other.is_gone());
            if control.superseded.len() < MOST_SUPERSEDED {
                control.superseded.push(leaving);
                None
            } else {
                Some(leaving)
            }
        };
        if let Some(leaving) = refused {
            leaving.stay();
        }
    }

    /// The account has too many sessions: logs out the oldest superseded one, if one waits for the
    /// end of its grace.
    fn log_out_oldest(&self) {
        let Some(runtime) = Runtime::current() else {
            return;
        };
        let oldest = {
            let mut control = self.control.lock();
            control.superseded.retain(|other| !other.is_gone());
            let oldest = 0..control.superseded.len().min(1);
            control.superseded.drain(oldest).next()
        };
        if let Some((session, logout)) = oldest.and_then(Leaving::leave_now) {
            let engine = self.engine.clone();
            runtime.spawn(async move {
                let _ = engine.log_out(&session, logout).await;
            });
        }
    }
}
