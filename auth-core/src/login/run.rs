//! One login, step by step: look, permit, send, keep.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::engine::Engine;
use super::flight::Flight;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::{AttemptedSecret, Failed, FlightId, LoginOutcome, NoSession, Purpose};
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
    /// A renewal has failed, and took `took`. Returns whether a login follows in the same flight,
    /// because the session is over.
    fn not_renewed(&self, id: FlightId, failed: Failed, took: Duration) -> bool;

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
    current: Option<Arc<Credential>>,
}

impl Login {
    /// A login whose task is not spawned yet. It doesn't keep the cache alive.
    pub(crate) fn new(
        engine: &Engine,
        cache: Weak<dyn Keep>,
        id: FlightId,
        ticket: Ticket,
        purpose: Purpose,
        current: Option<Arc<Credential>>,
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
            current,
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

    async fn log_in(&self) -> LoginOutcome {
        let secret = self.look().await?;
        let mut permit = self.permit().await?;
        if let (Purpose::Renewal, Some(current)) = (&self.purpose, &self.current) {
            let renewed = async { self.engine.provider.renew(current, &secret).await };
            match self.send(&secret, permit, renewed).await {
                Ok(session) => return Ok(session),
                Err(failed) => self.begin_anew(failed)?,
            }
            permit = self.permit().await?;
        }
        // A provider may panic before it returns its future, so it is called within the guard.
        let sent = async { self.engine.provider.login(&secret).await };
        let sent = self.send(&secret, permit, sent).await;
        sent.map_err(NoSession::Failed)
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
        engine.emit(&Event::LoginSent);
        Ok(permit)
    }

    /// Sends a login or a renewal with this secret. The permit is bound until that has ended.
    async fn send(
        &self,
        secret: &Secret,
        permit: Permit,
        sent: impl Future<Output = Result<Session, LoginError>>,
    ) -> Result<Session, Failed> {
        let engine = &self.engine;
        let result = engine.guarded(sent).await;
        match result.as_ref().map_err(LoginError::kind) {
            // The provider's future was dropped, and what it has sent may still arrive.
            Err(LoginErrorKind::TimedOut | LoginErrorKind::Panicked) => drop(permit),
            _ => permit.end(),
        }
        let failed = match result.and_then(Session::usable) {
            Ok(session) => return Ok(session),
            Err(error) => error,
        };
        let held = engine.limiter.hold_after(&failed);
        let attempted = AttemptedSecret {
            secret: secret.fingerprint(),
            may_change: engine.provider.secret().fixed().is_none(),
        };
        Err(Failed {
            error: failed.with_retry_after(held),
            secret: Some(attempted),
        })
    }

    /// The renewal has failed. Succeeds if a login is to follow.
    fn begin_anew(&self, failed: Failed) -> Result<(), NoSession> {
        let flight = self.flight();
        let took = flight.took(self.engine.clock.now());
        let cache = self.guard.cache.as_ref().and_then(Weak::upgrade);
        let follows = cache.is_some_and(|cache| cache.not_renewed(flight.id, failed, took));
        if follows && flight.begin_anew() {
            Ok(())
        } else {
            Err(NoSession::NotRenewed)
        }
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
