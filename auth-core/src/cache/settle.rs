//! The end of a login: the outcome for its waiters, and the session that it supersedes.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::{FlightId, LoginOutcome, NoSession, Settled};
use crate::event::Event;
use crate::login::{Flight, Keep};
use crate::runtime::{Runtime, random};

/// How many superseded sessions wait for their logout at a time. Further ones are left to expire. A
/// renewal happens once in a session's life, so more than one or two within a grace mean that the
/// server issues lives that are too short.
const MOST_SUPERSEDED: usize = 4;

impl Keep for Shared {
    fn settle(
        &self,
        id: FlightId,
        outcome: LoginOutcome,
        took: Duration,
    ) -> Option<Arc<Credential>> {
        let now = self.engine.clock.now();
        let jitter = random();
        let failed = matches!(outcome, Err(NoSession::Failed(..)));
        let (settled, flight) = self.commit(|control| {
            let policy = &self.engine.options.policy;
            let settled = control.state.settle(id, outcome, now, policy, jitter);
            (settled, control.flight.take_if(|flight| flight.id == id))
        });
        // The waiters are woken before the observer is called, because the observer is foreign code
        // and may take long.
        let tell = |told| {
            if let Some(flight) = flight {
                flight.waiters.set(told);
            }
        };
        match settled {
            Settled::LoggedIn {
                credential,
                superseded,
            } => {
                let stamp = credential.stamp();
                if let Some(old) = superseded.filter(|old| !old.is_same_value(&credential)) {
                    self.log_out_superseded(old);
                }
                tell(Some(Ok(credential)));
                self.engine.emit(&Event::LoggedIn { stamp, took });
                None
            }
            Settled::Failed(error) => {
                let event = error.login_error().filter(|_| failed);
                let event = event.map(|login| Event::LoginFailed {
                    kind: login.kind(),
                    reason: login.reason(),
                    retry_after: error.retry_after(),
                });
                tell(Some(Err(error)));
                if let Some(event) = event {
                    self.engine.emit(&event);
                }
                None
            }
            Settled::Discarded(session) => {
                tell(None);
                let served = self.read(|state| state.current().cloned());
                session.filter(|session| {
                    self.engine.options.superseded_logout.is_some()
                        && served.is_none_or(|served| !served.is_same_value(session))
                })
            }
            // The close has released the waiters.
            Settled::Closed(session) => session,
        }
    }

    fn lose(&self, id: FlightId) {
        self.abandon(id);
    }
}

impl Shared {
    /// Gives up a flight whose task is not driven, as one of its waiters has found. Another flight
    /// may begin then.
    pub(super) fn supersede(&self, flight: &Flight) {
        if self.abandon(flight.id) {
            self.engine.limiter.pass_over(&flight.ticket);
            flight.abort();
            self.engine.emit(&Event::LoginSuperseded);
        }
    }

    /// Removes the flight if it is the one under way, and lets its waiters decide anew. Returns
    /// whether it was.
    fn abandon(&self, id: FlightId) -> bool {
        let flight = self.commit(|control| {
            control.state.abandon(id);
            control.flight.take_if(|flight| flight.id == id)
        });
        let Some(flight) = flight else {
            return false;
        };
        flight.waiters.set(None);
        true
    }

    /// Logs out a superseded session, if the options say so, after a grace for the requests that
    /// still use it.
    fn log_out_superseded(&self, session: Arc<Credential>) {
        let options = &self.engine.options;
        let (Some(grace), Some(runtime)) = (options.superseded_logout, Runtime::current()) else {
            return;
        };
        let engine = self.engine.clone();
        let until = self.engine.clock.now().steady.saturating_add(nanos(grace));
        let superseded = Arc::clone(&session);
        let task = runtime.spawn(async move {
            engine.clock.sleep_until(until).await;
            let _ = engine.log_out(&superseded).await;
        });
        let refused = {
            let mut control = self.control.lock();
            control.superseded.retain(|(task, _)| !task.is_finished());
            if control.superseded.len() < MOST_SUPERSEDED {
                control.superseded.push((task, session));
                None
            } else {
                Some(task)
            }
        };
        if let Some(task) = refused {
            task.abort();
        }
    }
}
