//! What the end of a flight means.

use std::sync::Arc;

use super::attempted::{Attempted, AttemptedSecret};
use super::cache_state::{CacheState, FlightId, Policy};
use super::failure::Failure;
use super::outcome::{End, Failed, LoginOutcome, Means, NoSession, Obtained, Settled, Superseded};
use super::refreshes::Refreshes;
use super::rejection_breaker::Source;
use super::renewal_backoff::RenewalBackoff;
use crate::clock::Moment;
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::lifetime::{Birth, made_progress};
use crate::session::Session;

impl CacheState {
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
                } else if by == Means::Password {
                    // The next handle is not told of what came before.
                    self.failure = None;
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
                self.fail_late(failed, end, policy);
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
            Err(NoSession::Unneeded) => self.discard(None),
            // A caller may have come to wait for it meanwhile. It begins another one.
            Err(NoSession::Postponed { expected }) => {
                self.renewals.postpone(expected, end);
                self.discard(None)
            }
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

    pub(super) fn secret_is_held(&self, now: Moment) -> bool {
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
        // It may have been found out since the flight was decided on.
        if last.is_some_and(|last| last.forbids_again(secret, now)) {
            return true;
        }
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
        let credential = match self.refreshed() {
            Some(before) => credential.later_than(before),
            None => credential,
        };
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
        let from = if counts {
            Source::Login
        } else {
            Source::Refresh
        };
        if let Some(replaced) = &replaced {
            self.goes(replaced);
        }
        if let Some(breaker) = &mut self.breaker {
            breaker.landed(self.generation, end.at, from);
        }
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

    /// A login has failed that is not wanted any more. A later one may have found out more of the
    /// same secret, which this takes nothing back of.
    fn fail_late(&mut self, failed: Failed, end: &End, policy: &Policy) {
        let (known, secret) = (self.failure.clone(), failed.secret);
        self.fail(failed, end, policy);
        let is_same = |known: &Failure| secret.is_some_and(|secret| known.is_of(secret));
        let known = known.filter(is_same);
        self.failure = self.failure.take().map(|last| last.or_stricter(known));
    }

    /// The task of a flight is gone or not driven, and with it the answer to what was sent.
    pub(crate) fn lose(
        &mut self,
        id: FlightId,
        (of, secret): (Attempted, AttemptedSecret),
        end: &End,
        policy: &Policy,
    ) {
        if self.flight == Some(id) {
            let error =
                LoginError::timed_out("its task was gone, or not driven, before an answer came");
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
}
