//! One login, step by step: refresh, look, permit, send, keep.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::engine::Engine;
use super::flight::Flight;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::{
    Attempted, AttemptedSecret, Failed, FlightId, LoginOutcome, Means, NoSession, Obtained, Purpose,
};
use crate::error::{LoginError, LoginErrorKind};
use crate::event::Event;
use crate::limit::{Permit, STALLED_AFTER, Ticket};
use crate::logout::Logout;
use crate::secret::Secret;
use crate::session::Session;

/// How much longer than its time-out a step may take before its task counts as not driven. A second
/// is longer than a busy runtime delays a task.
const GRACE: Duration = Duration::from_secs(1);

/// The receiver of a login's outcome.
pub(crate) trait Keep: Send + Sync {
    /// The refresh of a session is sent now. Returns whether it may be.
    fn send_refresh(&self, id: FlightId, session: &Credential) -> bool;

    /// The refresh of `before` has brought a session. Returns it with the cookies that it
    /// continues.
    fn continued(&self, session: Session, before: &Credential) -> Result<Session, LoginError>;

    /// The refresh of a session has failed. Returns what its waiters are told, or else the purpose
    /// of the login that follows in the same flight.
    fn not_refreshed(
        &self,
        id: FlightId,
        session: &Credential,
        error: LoginError,
    ) -> Result<Purpose, NoSession>;

    /// A login has ended, and has taken `took` since it was sent. Returns a session that is of no
    /// use, which is to be logged out.
    fn settle(
        &self,
        id: FlightId,
        outcome: LoginOutcome,
        took: Duration,
    ) -> Option<(Arc<Credential>, Logout)>;

    /// The task of a login is gone without an outcome. It matters only if the login is still the
    /// one under way.
    fn lose(&self, id: FlightId);
}

/// A login that was decided on, and the task that carries it out.
pub(crate) struct Login {
    engine: Engine,
    guard: FlightGuard,
    purpose: Purpose,
    /// The session that is refreshed first, if the purpose is that.
    refreshed: Option<Arc<Credential>>,
}

impl Login {
    /// A login whose task is not spawned yet. It doesn't keep the cache alive.
    pub(crate) fn new(
        engine: &Engine,
        cache: Weak<dyn Keep>,
        id: FlightId,
        ticket: Ticket,
        purpose: Purpose,
        refreshed: Option<Arc<Credential>>,
    ) -> Self {
        ticket.set_due(engine.clock.now().steady + nanos(STALLED_AFTER));
        let flight = Flight::new(id, ticket);
        Self {
            engine: engine.clone(),
            guard: FlightGuard {
                cache: Some(cache),
                flight,
            },
            purpose,
            refreshed,
        }
    }

    pub(crate) const fn flight(&self) -> &Arc<Flight> {
        &self.guard.flight
    }

    /// The body of the login's task.
    pub(crate) async fn run(mut self) {
        let outcome = self.log_in().await;
        self.keep(outcome).await;
    }

    async fn log_in(&mut self) -> LoginOutcome {
        if let Some(current) = self.refreshed.take() {
            match self.refresh(&current).await? {
                Ok(session) => {
                    let by = Means::Refresh;
                    return Ok(Obtained { session, by });
                }
                Err(error) => self.purpose = self.after_refresh(&current, error)?,
            }
        }
        let secret = self.look().await?;
        let permit = self.permit().await?;
        self.engine.emit(&Event::LoginSent);
        let session = self.send(&secret, permit).await?;
        let by = Means::Password;
        Ok(Obtained { session, by })
    }

    /// Refreshes a session. Nothing of the password is read.
    async fn refresh(
        &self,
        current: &Credential,
    ) -> Result<Result<Session, LoginError>, NoSession> {
        let (flight, engine) = (self.flight(), &self.engine);
        self.promise_a_step();
        let permit = if engine.refresh_counts_as_login {
            Some(self.permit().await?)
        } else if flight.send(engine.clock.now()) {
            None
        } else {
            return Err(NoSession::Unchanged);
        };
        let marks = |cache: Arc<dyn Keep>| cache.send_refresh(flight.id, current);
        if !self.cache().is_some_and(marks) {
            if let Some(permit) = permit {
                permit.give_back();
            }
            return Err(NoSession::Unchanged);
        }
        engine.emit(&Event::RefreshSent);
        // A provider may panic before it returns its future, so it is called within the guard.
        let sent = async { engine.provider.refresh(current).await };
        let result = engine.guarded(sent).await;
        let result = result.and_then(|session| match self.cache() {
            Some(cache) => cache.continued(session, current),
            None => Ok(session),
        });
        let result = engine.usable(result);
        if let Some(permit) = permit {
            end(permit, &result);
            if let Err(failed) = &result {
                engine.limiter.hold_after(failed);
            }
        }
        Ok(result)
    }

    /// The refresh has failed. Returns the purpose of the login that follows, if one does.
    fn after_refresh(&self, current: &Credential, error: LoginError) -> Result<Purpose, NoSession> {
        let flight = self.flight();
        let cache = self.cache().ok_or(NoSession::Unchanged)?;
        let purpose = cache.not_refreshed(flight.id, current, error)?;
        if flight.begin_anew() {
            Ok(purpose)
        } else {
            Err(NoSession::Unchanged)
        }
    }

    fn cache(&self) -> Option<Arc<dyn Keep>> {
        self.guard.cache.as_ref()?.upgrade()
    }

    /// Reads the secret, and checks whether it is worth an attempt.
    async fn look(&self) -> Result<Secret, NoSession> {
        self.promise_a_step();
        let provider = &self.engine.provider;
        let read = async { Ok(provider.secret().read().await?) };
        let secret = self.engine.guarded(read).await.map_err(before_sending)?;
        // The check is code of the provider, and may panic as well.
        let check = async { provider.check_secret(&secret) };
        self.engine.guarded(check).await.map_err(before_sending)?;
        match self.purpose {
            Purpose::LoginIfChanged { refused } if refused == Some(secret.fingerprint()) => {
                Err(NoSession::Unchanged)
            }
            _ => Ok(secret),
        }
    }

    /// Waits for a permit. When it returns, the login counts as sent.
    async fn permit(&self) -> Result<Permit, NoSession> {
        let (flight, engine) = (self.flight(), &self.engine);
        let timeout = engine.options.login_timeout;
        let permit = engine.limiter.acquire(&flight.ticket, timeout).await;
        self.promise_a_step();
        if !flight.send(engine.clock.now()) {
            permit.give_back();
            return Err(NoSession::Unchanged);
        }
        Ok(permit)
    }

    /// Logs in with this secret. The permit is bound until that has ended.
    async fn send(&self, secret: &Secret, permit: Permit) -> Result<Session, NoSession> {
        let engine = &self.engine;
        // A provider may panic before it returns its future, so it is called within the guard.
        let sent = async { engine.provider.login(secret).await };
        let result = engine.usable(engine.guarded(sent).await);
        end(permit, &result);
        let failed = match result {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let held = engine.limiter.hold_after(&failed);
        let attempted = AttemptedSecret {
            secret: secret.fingerprint(),
            may_change: engine.provider.secret().fixed().is_none(),
        };
        Err(NoSession::Failed(Failed {
            error: failed.with_retry_after(held),
            of: match self.purpose {
                Purpose::Renewal => Attempted::Renewal,
                _ => Attempted::Login,
            },
            secret: Some(attempted),
        }))
    }

    /// Hands the outcome to the cache, and logs out a session that is of no use there.
    async fn keep(&mut self, outcome: LoginOutcome) {
        // The guard has nothing to report from here on.
        let Some(cache) = self.guard.cache.take().and_then(|cache| cache.upgrade()) else {
            return;
        };
        let flight = self.flight();
        let took = flight.took(self.engine.clock.now());
        let useless = cache.settle(flight.id, outcome, took);
        drop(cache);
        if let Some((session, logout)) = useless {
            let _ = self.engine.log_out(&session, logout).await;
        }
    }

    fn promise_a_step(&self) {
        let within = nanos(self.engine.options.login_timeout.saturating_add(GRACE));
        let now = self.engine.clock.now().steady;
        self.flight().ticket.set_due(now.saturating_add(within));
    }
}

/// A login or a refresh has ended.
fn end(permit: Permit, result: &Result<Session, LoginError>) {
    match result.as_ref().map_err(LoginError::kind) {
        // The provider's future was dropped, and what it has sent may still arrive.
        Err(LoginErrorKind::TimedOut | LoginErrorKind::Panicked) => drop(permit),
        _ => permit.end(),
    }
}

/// Nothing was sent yet, so the failure is not the server's.
fn before_sending(error: LoginError) -> NoSession {
    let error = match error.kind() {
        LoginErrorKind::Misconfigured | LoginErrorKind::Panicked => error,
        LoginErrorKind::TimedOut => {
            LoginError::misconfigured("the password could not be read in time")
        }
        _ => LoginError::misconfigured("the password can't be right").with_source(error),
    };
    NoSession::Failed(Failed {
        error,
        of: Attempted::Login,
        secret: None,
    })
}

/// Reports the flight as lost if its task is dropped before it has an outcome, or before it was
/// polled.
struct FlightGuard {
    /// `None` once the outcome is kept.
    cache: Option<Weak<dyn Keep>>,
    flight: Arc<Flight>,
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.take().and_then(|cache| cache.upgrade()) {
            cache.lose(self.flight.id);
        }
        self.flight.end();
    }
}
