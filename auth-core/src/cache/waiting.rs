//! How a caller waits for a login: not for ever, and not for one that nobody drives.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::ask::Ask;
use super::flight::{Flight, Outcome};
use super::handle::Credentials;
use super::once::Place;
use super::shared::{Admission, Shared};
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::lifetime::Freshness;
use crate::login_mark::LoginMark;
use crate::runtime::{Runtime, RuntimeId};

/// So often a caller begins anew after its flight was lost, before it concludes that flights don't live here.
const MOST_FLIGHTS_LOST: u8 = 3;

/// So often a login may bring what is of no use any more when its waiter looks.
const MOST_LANDED_IN_VAIN: u8 = 3;

/// How a wait ended.
enum Wake {
    Landed(Result<Arc<Credential>, Error>),
    /// The flight's task is gone: its runtime was shut down, or somebody else found it overdue.
    Lost,
    /// Nobody has driven the flight for longer than it promised.
    Overdue,
    /// The caller's own deadline has passed.
    TooLate,
}

impl Shared {
    /// Whatever keeps a login from being had, what may still be good is better than nothing.
    pub(super) fn or_stale(&self, ask: &Ask, error: Error) -> Result<Arc<Credential>, Error> {
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
    /// Until when, on the steady clock.
    deadline: u64,
    watch: Option<Watch<'a>>,
    stage: Stage,
    lost: u8,
    in_vain: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Begins,
    Waits,
    Ended,
}

impl Future for Wait<'_> {
    type Output = Result<Arc<Credential>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(
            self.stage != Stage::Ended,
            "a future is not polled after its end"
        );
        let result = ready!(self.proceed(cx));
        self.stage = Stage::Ended;
        self.watch = None;
        Poll::Ready(result)
    }
}

impl<'a> Wait<'a> {
    pub(super) const fn new(credentials: &'a Credentials, ask: Ask) -> Self {
        Self {
            credentials,
            ask,
            deadline: 0,
            watch: None,
            stage: Stage::Begins,
            lost: 0,
            in_vain: 0,
        }
    }

    fn proceed(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Credential>, Error>> {
        let shared = self.credentials.shared();
        if self.stage == Stage::Begins {
            if !self.ask.renewed
                && let Some(credential) = self.credentials.fresh()
            {
                return Poll::Ready(Ok(credential));
            }
            shared.refuse_loop()?;
            self.deadline = shared.deadline(&self.ask, shared.now());
            self.stage = Stage::Waits;
        }
        let result = ready!(self.poll_login(cx));
        Poll::Ready(result.or_else(|error| shared.or_stale(&self.ask, error)))
    }

    fn poll_login(&mut self, cx: &mut Context<'_>) -> Poll<Result<Arc<Credential>, Error>> {
        let shared = self.credentials.shared();
        loop {
            let watch = match &mut self.watch {
                Some(watch) => watch,
                none => match shared.admit(&self.ask, self.deadline)? {
                    Admission::Served(credential) => return Poll::Ready(Ok(credential)),
                    Admission::Waits(flight) => none.insert(Watch::new(flight)),
                },
            };
            match ready!(watch.poll(shared, &self.ask, self.deadline, cx))? {
                Wake::Landed(landed) => {
                    let landed = landed?;
                    let now = shared.now();
                    // Ten thousand who waited need not take turns to hear that nothing has changed.
                    if shared.serves(&landed, now) {
                        return Poll::Ready(Ok(landed));
                    }
                    if let Some(credential) =
                        shared.read(|state| state.after_landing(&landed, now))?
                    {
                        return Poll::Ready(Ok(credential));
                    }
                    // It was rejected, ended or expired before anybody could look at it. That may happen, but not on and on.
                    self.in_vain += 1;
                    if self.in_vain > MOST_LANDED_IN_VAIN {
                        return Poll::Ready(Err(short_lived()));
                    }
                    // The caller itself may have been asleep since, with its whole machine.
                    self.deadline = shared.deadline(&self.ask, now);
                }
                Wake::Lost => {
                    self.lost += 1;
                    if self.lost > MOST_FLIGHTS_LOST {
                        return Poll::Ready(Err(Error::Abandoned));
                    }
                }
                Wake::Overdue => shared.supersede(&watch.flight),
                Wake::TooLate => {
                    let waited = shared.wait_timeout(&self.ask);
                    return Poll::Ready(Err(Error::DeadlinePassed { waited }));
                }
            }
            self.watch = None;
        }
    }
}

/// One caller's eye on one flight.
struct Watch<'a> {
    flight: Arc<Flight>,
    /// Among those who wait for it.
    place: Place,
    own_timer: Option<Box<OwnTimer<'a>>>,
}

/// For a caller who can't wait as long as the others, and whose deadline is nobody else's.
struct OwnTimer<'a> {
    runtime: RuntimeId,
    timer: BoxFuture<'a, ()>,
}

impl<'a> Watch<'a> {
    const fn new(flight: Arc<Flight>) -> Self {
        Self {
            flight,
            place: Place::NONE,
            own_timer: None,
        }
    }

    /// Waits for the flight, with a timer on the caller's own runtime.
    fn poll(
        &mut self,
        shared: &'a Shared,
        ask: &Ask,
        deadline: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Wake, Error>> {
        let flight = &self.flight;
        let clock = &shared.engine.clock;
        // Whatever wakes this caller, all is looked at again; and whatever changes after it was looked at, wakes it.
        loop {
            if let Some(outcome) = flight.landing.get() {
                return Poll::Ready(Ok(match outcome {
                    Outcome::Landed(result) => Wake::Landed(result.clone()),
                    Outcome::Lost => Wake::Lost,
                }));
            }
            let runtime = Runtime::current().ok_or(Error::NoRuntime)?.id();
            let Some(crowd) = flight.landing.wait(&mut self.place, runtime, cx) else {
                continue;
            };
            let (now, due) = (shared.now().steady, flight.due());
            if now >= deadline {
                return Poll::Ready(Ok(Wake::TooLate));
            }
            if now >= due {
                return Poll::Ready(Ok(Wake::Overdue));
            }
            shared.can_wait(ask, deadline, flight.place.expected())?;
            ready!(if due <= deadline {
                crowd.poll_alarm(due, clock)
            } else {
                let kept = self.own_timer.take();
                let kept = kept.filter(|own| own.runtime == runtime);
                let timer = || clock.sleep_until(deadline).boxed();
                let own = kept.unwrap_or_else(|| {
                    Box::new(OwnTimer {
                        runtime,
                        timer: timer(),
                    })
                });
                self.own_timer.insert(own).timer.as_mut().poll(cx)
            });
        }
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.flight.landing.leave(&mut self.place);
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
    use tokio::runtime::Builder;

    use super::*;
    use crate::clock::ManualClock;
    use crate::counting_waker::CountingWaker;
    use crate::lifetime::Lifetime;
    use crate::testing::Scripted;

    #[test]
    fn whoever_leaves_leaves_no_waker_behind() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let provider = Scripted::tokens(Lifetime::unknown());
        let clock = ManualClock::new().clock();
        let credentials = Credentials::builder(provider).clock(clock).build();
        let (woken, waker) = CountingWaker::waker();
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
        let state = credentials.shared().read(|state| format!("{state:?}"));
        assert!(state.contains("last_flight: Some(FlightId(4))"), "{state}");
        assert!(state.contains(" flight: None"), "{state}");
    }
}
