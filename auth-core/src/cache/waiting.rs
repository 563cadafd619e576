//! How a caller waits for a login: not for ever, and not for one that nobody drives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::ask::Ask;
use super::flight::{Flight, Outcome};
use super::handle::Credentials;
use super::inner::{Boarding, Inner};
use super::once::Place;
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::lifetime::Freshness;
use crate::login_mark::LoginMark;
use crate::sync::Runtime;

/// So often a caller begins anew after its flight was lost, before it concludes that flights don't live here.
const MOST_FLIGHTS_LOST: u8 = 3;

/// So often a login may bring what is of no use any more when its waiter looks.
const MOST_LANDED_IN_VAIN: u8 = 3;

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
}

/// One caller who waits. Written by hand, because what each of thousands keeps has to be fetched again when all are woken.
pub(super) struct Wait<'a> {
    credentials: &'a Credentials,
    ask: Ask,
    /// Until when, on the steady clock; zero before the caller asked.
    deadline: u64,
    flight: Option<Arc<Flight>>,
    /// Among those who wait for the flight.
    place: Place,
    own_timer: Option<BoxFuture<'a, ()>>,
    lost: u8,
    in_vain: u8,
}

impl Future for Wait<'_> {
    type Output = Result<Credential, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self.credentials.inner();
        if self.deadline == 0 {
            if !self.ask.renewed
                && let Some(credential) = self.credentials.fresh()
            {
                return Poll::Ready(Ok(credential));
            }
            inner.refuse_loop()?;
            self.deadline = inner.deadline(&self.ask, inner.now());
        }
        let result = ready!(self.poll_login(cx));
        Poll::Ready(result.or_else(|error| inner.or_stale(&self.ask, error)))
    }
}

impl<'a> Wait<'a> {
    pub(super) fn new(credentials: &'a Credentials, ask: Ask) -> Self {
        Self {
            credentials,
            ask,
            deadline: 0,
            flight: None,
            place: Place::default(),
            own_timer: None,
            lost: 0,
            in_vain: 0,
        }
    }

    fn poll_login(&mut self, cx: &mut Context<'_>) -> Poll<Result<Credential, Error>> {
        let inner = self.credentials.inner();
        loop {
            let flight = match self.flight.take() {
                Some(flight) => flight,
                None => match inner.board(&self.ask, self.deadline)? {
                    Boarding::Served(credential) => return Poll::Ready(Ok(credential)),
                    Boarding::Waits(flight) => flight,
                },
            };
            let wake = self.poll_flight(&flight, cx);
            let Poll::Ready(wake) = wake else {
                self.flight = Some(flight);
                return Poll::Pending;
            };
            flight.landing.leave(&mut self.place);
            match wake? {
                Wake::Landed(landed) => {
                    let landed = landed?;
                    let now = inner.now();
                    // Ten thousand who waited need not take turns to hear that nothing has changed.
                    if inner.serves(&landed, now) {
                        return Poll::Ready(Ok(landed));
                    }
                    if let Some(credential) =
                        inner.read(|state| state.after_landing(&landed, now))?
                    {
                        return Poll::Ready(Ok(credential));
                    }
                    // It was rejected, ended or expired before anybody could look at it. That may happen, but not on and on.
                    self.in_vain += 1;
                    if self.in_vain > MOST_LANDED_IN_VAIN {
                        return Poll::Ready(Err(short_lived()));
                    }
                    // The caller itself may have been asleep since, with its whole machine.
                    self.deadline = inner.deadline(&self.ask, now);
                    self.own_timer = None;
                }
                Wake::Lost => {
                    self.lost += 1;
                    if self.lost > MOST_FLIGHTS_LOST {
                        return Poll::Ready(Err(Error::Abandoned));
                    }
                }
                Wake::Overdue => inner.supersede(&flight),
                Wake::TooLate => {
                    let waited = inner.patience(&self.ask);
                    return Poll::Ready(Err(Error::DeadlinePassed { waited }));
                }
            }
        }
    }

    /// Waits for a flight, with a timer on the caller's own runtime.
    fn poll_flight(&mut self, flight: &Flight, cx: &mut Context<'_>) -> Poll<Result<Wake, Error>> {
        let inner = self.credentials.inner();
        let clock = &inner.engine.clock;
        // Whatever wakes this caller, all is looked at again; and whatever changes after it was looked at, wakes it.
        loop {
            if let Poll::Ready(outcome) = flight.landing.poll(&mut self.place, cx) {
                return Poll::Ready(Ok(match outcome {
                    Outcome::Landed(result) => Wake::Landed(result.clone()),
                    Outcome::Lost => Wake::Lost,
                }));
            }
            let deadline = self.deadline;
            let (now, due) = (inner.now().steady, flight.due());
            if now >= deadline {
                return Poll::Ready(Ok(Wake::TooLate));
            }
            if now >= due {
                return Poll::Ready(Ok(Wake::Overdue));
            }
            if flight.may_be_held {
                inner.can_wait(&self.ask, deadline, flight.place.expected())?;
            }
            let runtime = Runtime::current().ok_or(Error::NoRuntime)?;
            ready!(if due <= deadline {
                flight.poll_due(due, &runtime, clock)
            } else {
                // No two callers have the same.
                let timer = &mut self.own_timer;
                let timer = timer.get_or_insert_with(|| clock.sleep_until(deadline).boxed());
                timer.as_mut().poll(cx)
            });
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if let Some(flight) = &self.flight {
            flight.landing.leave(&mut self.place);
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
    use std::task::{self, Waker};

    use tokio::runtime::Builder;

    use super::*;
    use crate::clock::ManualClock;
    use crate::lifetime::Lifetime;
    use crate::testing::Scripted;

    #[test]
    fn whoever_leaves_leaves_no_waker_behind() {
        struct Woken;
        impl task::Wake for Woken {
            fn wake(self: Arc<Self>) {}
        }
        let runtime = Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let provider = Scripted::tokens(Lifetime::unknown());
        let clock = ManualClock::new().clock();
        let credentials = Credentials::builder(provider).clock(clock).build();
        let woken = Arc::new(Woken);
        let waker = Waker::from(Arc::clone(&woken));
        let mut get = Box::pin(credentials.get());
        assert!(
            get.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        assert_eq!(Arc::strong_count(&woken), 3);
        drop(get);
        assert_eq!(Arc::strong_count(&woken), 2);
    }

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
