//! How a caller waits for a login: not for ever, and not for one that nobody drives.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::ask::Ask;
use super::flight::{Flight, Outcome};
use super::inner::{Boarding, Inner};
use crate::clock::{Moment, nanos};
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::lifetime::Freshness;
use crate::login_mark::LoginMark;

/// So often a caller begins anew after its flight was lost, before it concludes that flights don't live here.
const MOST_FLIGHTS_LOST: u32 = 3;

/// So often a login may bring what is of no use any more when its waiter looks.
const MOST_LANDED_IN_VAIN: u32 = 3;

/// How a wait ended.
enum Wake {
    Landed(Result<Credential, Error>),
    /// The flight's task is gone: its runtime was shut down, or somebody else found it overdue.
    Lost,
    /// Nobody has driven the flight for longer than it promised.
    Overdue,
    /// The caller's own deadline has passed.
    TooLate,
}

impl Inner {
    /// The slow path of [`Credentials::get_with`](super::Credentials::get_with).
    pub(super) async fn wait(self: &Arc<Self>, ask: Ask) -> Result<Credential, Error> {
        self.refuse_loop()?;
        let error = match self.wait_for_login(ask).await {
            Ok(credential) => return Ok(credential),
            Err(error) => error,
        };
        self.or_stale(&ask, error)
    }

    /// Whatever keeps a login from being had, what may still be good is better than nothing.
    pub(super) fn or_stale(&self, ask: &Ask, error: Error) -> Result<Credential, Error> {
        if ask.renewed {
            return Err(error);
        }
        self.live_if(self.now(), Freshness::may_be_good)
            .ok_or(error)
    }

    /// A login that asks for the very credential that it is to fetch would wait for itself.
    pub(super) fn refuse_loop(&self) -> Result<(), Error> {
        if LoginMark::current() == Some(self.engine.mark) {
            return Err(Error::LoginLoop);
        }
        Ok(())
    }

    async fn wait_for_login(self: &Arc<Self>, ask: Ask) -> Result<Credential, Error> {
        let waited = self.patience(&ask);
        let mut asked = self.now();
        let mut lost = 0;
        let mut in_vain = 0;
        loop {
            let deadline = asked.steady.saturating_add(nanos(waited));
            let flight = match self.board(&ask, asked)? {
                Boarding::Served(credential) => return Ok(credential),
                Boarding::Waits(flight) => flight,
            };
            match self.watch(&flight, &ask, asked, deadline).await? {
                Wake::Landed(landed) => {
                    let landed = landed?;
                    let now = self.now();
                    // Ten thousand who waited need not take turns to hear that nothing has changed.
                    if self.serves(&landed, now) {
                        return Ok(landed);
                    }
                    if let Some(credential) =
                        self.read(|state| state.after_landing(&landed, now))?
                    {
                        return Ok(credential);
                    }
                    // It was rejected, ended or expired before anybody could look at it. That may happen, but not on and on.
                    in_vain += 1;
                    if in_vain > MOST_LANDED_IN_VAIN {
                        return Err(short_lived());
                    }
                    // The caller itself may have been asleep since, with its whole machine.
                    asked = now;
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

    /// Waits for a flight, with a timer on the caller's own runtime.
    async fn watch(
        &self,
        flight: &Flight,
        ask: &Ask,
        asked: Moment,
        deadline: u64,
    ) -> Result<Wake, Error> {
        let mut landing = pin!(flight.landing.wait());
        loop {
            let mut postponed = pin!(flight.place.postponed());
            if flight.may_be_held {
                // First listen, then look: what is told in between is not missed.
                postponed.as_mut().enable();
                self.can_wait(ask, asked, flight.place.expected())?;
            }
            let until = deadline.min(flight.due());
            let mut timer = pin!(self.engine.clock.sleep_until(until));
            // One poll of three futures, rather than combinators around them: thousands may wait here, and what each of
            // them holds has to be fetched again when they wake.
            let outcome = poll_fn(|cx| {
                if let Poll::Ready(outcome) = landing.as_mut().poll(cx) {
                    return Poll::Ready(Some(outcome));
                }
                let due = timer.as_mut().poll(cx).is_ready();
                let told = flight.may_be_held && postponed.as_mut().poll(cx).is_ready();
                if due || told {
                    Poll::Ready(None)
                } else {
                    Poll::Pending
                }
            });
            if let Some(outcome) = outcome.await {
                return Ok(match outcome {
                    Outcome::Landed(result) => Wake::Landed(result.clone()),
                    Outcome::Lost => Wake::Lost,
                });
            }
            let now = self.now().steady;
            if now >= deadline {
                return Ok(Wake::TooLate);
            }
            if flight.is_overdue(now) {
                return Ok(Wake::Overdue);
            }
        }
    }
}

fn short_lived() -> Error {
    let error = LoginError::malformed("sessions that end before they can be used");
    Error::Login {
        source: Arc::new(error),
        retry_after: None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use futures_util::FutureExt;
    use tokio::runtime::Builder;

    use super::*;
    use crate::cache::Credentials;
    use crate::clock::ManualClock;
    use crate::lifetime::Lifetime;
    use crate::testing::Scripted;

    #[test]
    fn rule_3_where_flights_do_not_live_it_is_a_typed_error_after_four() {
        let clock = ManualClock::new().clock();
        let provider = Scripted::tokens(Lifetime::unknown());
        let credentials = Credentials::builder(provider).clock(clock).build();
        let shut_down = Builder::new_current_thread().build().unwrap();
        let handle = shut_down.handle().clone();
        drop(shut_down);
        let _entered = handle.enter();
        let result = credentials.get().now_or_never().unwrap();
        assert!(matches!(result, Err(Error::Abandoned)), "{result:?}");
        let state = credentials.inner().read(|state| format!("{state:?}"));
        assert!(state.contains("last_flight: Some(FlightId(4))"), "{state}");
        assert!(state.contains(" flight: None"), "{state}");
    }
}
