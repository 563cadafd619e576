//! How a caller waits for a login: not for ever, and not for one that nobody drives.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};

use super::ask::Ask;
use super::flight::{Flight, Outcome};
use super::inner::{Boarding, Inner};
use crate::clock::nanos;
use crate::credential::Credential;
use crate::error::Error;
use crate::login_mark::LoginMark;

/// So often a caller begins anew after its flight was lost, before it concludes that flights don't live here.
const MOST_FLIGHTS_LOST: u32 = 3;

/// How a wait ended.
enum Wake {
    Landed(Outcome),
    /// The flight's task is gone: its runtime was shut down.
    Lost,
    /// Nobody has driven the flight for longer than it promised.
    Overdue,
    /// The caller's own deadline has passed.
    TooLate,
}

impl Inner {
    /// The slow path of [`Credentials::get_with`](super::Credentials::get_with).
    pub(super) async fn wait(self: &Arc<Self>, ask: Ask) -> Result<Credential, Error> {
        if LoginMark::current() == Some(self.engine.mark) {
            return Err(Error::LoginLoop);
        }
        let asked = self.now();
        let waited = self.patience(&ask);
        let deadline = asked.steady.saturating_add(nanos(waited));
        let mut lost = 0;
        loop {
            let flight = match self.board(&ask, asked)? {
                Boarding::Served(credential) => return Ok(credential),
                Boarding::Waits(flight) => flight,
            };
            match self.watch(&flight, deadline).await {
                Wake::Landed(Ok(credential)) => {
                    if let Some(credential) = self.read(|state| state.unless_rejected(&credential))
                    {
                        return Ok(credential);
                    }
                }
                Wake::Landed(Err(error)) => {
                    let stale = if ask.renewed || error.is_closed() {
                        None
                    } else {
                        self.read(|state| state.stale(self.now()))
                    };
                    return stale.ok_or(error);
                }
                Wake::Lost => {
                    lost += 1;
                    if lost > MOST_FLIGHTS_LOST {
                        return Err(Error::Abandoned);
                    }
                }
                Wake::Overdue => self.supersede(&flight),
                Wake::TooLate => return Err(Error::DeadlinePassed { waited }),
            }
        }
    }

    /// Waits until the login under way has ended, or nobody drives it.
    pub(super) async fn under_way(&self) {
        let Some(flight) = self.flight() else {
            return;
        };
        let due = pin!(self.engine.clock.sleep_until(flight.progress.due()));
        select(pin!(flight.progress.ended()), due).await;
    }

    /// Waits for a flight, with a timer on the caller's own runtime.
    async fn watch(&self, flight: &Flight, deadline: u64) -> Wake {
        let mut landing = flight.landing.clone();
        loop {
            let until = deadline.min(flight.progress.due());
            let timer = pin!(self.engine.clock.sleep_until(until));
            match select(landing, timer).await {
                Either::Left((Ok(outcome), _)) => return Wake::Landed(outcome),
                Either::Left((Err(_dropped), _)) => return Wake::Lost,
                Either::Right(((), rest)) => landing = rest,
            }
            let now = self.now().steady;
            if now >= deadline {
                return Wake::TooLate;
            }
            if flight.progress.is_overdue(now) {
                return Wake::Overdue;
            }
        }
    }
}
