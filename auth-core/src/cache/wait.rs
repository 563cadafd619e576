//! How a caller waits for a login, for a bounded time and never for a task that is not driven.
//!
//! 1. *Admission*: the caller is served, fails, or waits for a flight.
//! 2. *Wait*: the caller enters the flight's list of waiters. Then it reads the flight's `due`, the
//!    clock and the ticket, in this order. It sleeps until it is woken or an alarm rings, and
//!    begins this step anew.
//! 3. *Told*: the flight has ended with a result. Its credential is returned, or a newer one if it
//!    was rolled or replaced. If none is of use any more, the caller begins with step 1, a bounded
//!    number of times. So it does if the server has only postponed the login, as long as its time
//!    reaches to the next one.
//! 4. *Lost*: the flight's task is gone without a result. The caller begins with step 1, a bounded
//!    number of times.
//! 5. *Overdue*: the flight is past its `due`, so its task is not driven. The caller supersedes the
//!    flight and begins with step 1.
//! 6. *Too late*: the caller's own deadline has passed. It fails, and the login continues.
//!
//! A caller that fails, for the quota or for the failure of a login, looks in the store first, if
//! there is one: another process may have saved a session there.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::admit::Admission;
use super::ask::Ask;
use super::caller::Caller;
use super::shared::Shared;
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::event::Event;
use crate::lifetime::Freshness;
use crate::login::{Flight, Told, WaiterKey};
use crate::login_mark::LoginMark;
use crate::runtime::{Runtime, RuntimeId};

/// How many flights a caller loses before it concludes that no login survives on the runtimes here.
/// A runtime that is shut down may take one or two flights with it, but not more.
const MOST_FLIGHTS_LOST: u8 = 3;

/// How many logins may return a session that is of no use by the time its waiter reads it. A
/// revocation may follow a login at once, but not again and again.
const MOST_IN_VAIN: u8 = 3;

/// How a wait ended.
enum Wake {
    /// The flight has ended.
    Told(Told),
    /// The task of the login is not driven: it has missed the time that it stated.
    Overdue,
    /// The caller's own deadline has passed.
    TooLate,
}

impl Shared {
    /// The credential that a caller asks for. One that gets none is an event.
    pub(super) async fn get(self: &Arc<Self>, ask: Ask) -> Result<Arc<Credential>, Error> {
        self.told(self.obtain(ask).await)
    }

    /// What a caller is told. If that is an error, it is an event.
    pub(super) fn told<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        let result = result.map_err(|error| match error {
            Error::QuotaSpent { retry_after, .. } => Error::QuotaSpent {
                retry_after,
                source: self.read(|state| state.postponed_by(self.engine.clock.now())),
            },
            error => error,
        });
        result.inspect_err(|error| {
            self.engine.emit(&Event::TurnedAway {
                error: error.name(),
                retry_after: error.retry_after(),
            });
        })
    }

    /// As `get`, for a caller that is not told yet.
    pub(super) async fn obtain(self: &Arc<Self>, ask: Ask) -> Result<Arc<Credential>, Error> {
        if let Some(credential) = self.fresh_for(&ask) {
            return Ok(credential);
        }
        LoginMark::refuse_loop(LoginMark::current(), self.engine.id)?;
        let mut caller = Caller::new(ask, &self.engine.options, self.engine.clock.now());
        let error = match self.wait(&mut caller).await {
            Err(error) if self.looks_before(&error, &ask) => error,
            result => return result.or_else(|error| self.or_stale(&ask, error)),
        };
        // Boxed, because few callers do, and the future of each has room for it.
        Box::pin(self.look_before(error, ask, caller)).await
    }

    /// Looks in the store before the caller fails with `error`.
    async fn look_before(
        self: &Arc<Self>,
        error: Error,
        ask: Ask,
        caller: Caller,
    ) -> Result<Arc<Credential>, Error> {
        self.look_for(&caller).await;
        if self.is_closed() {
            return Err(Error::Closed);
        }
        self.or_stale(&ask, error)
    }

    /// The current credential, if it is fresh and the caller asks for no other.
    pub(super) fn fresh_for(&self, ask: &Ask) -> Option<Arc<Credential>> {
        if ask.renewed {
            return None;
        }
        self.current_if(self.engine.clock.now(), Freshness::is_fresh)
    }

    /// The current credential if it may still be good, or else `error`. Whatever prevents a login,
    /// a credential that the server may still accept is better than none.
    pub(super) fn or_stale(&self, ask: &Ask, error: Error) -> Result<Arc<Credential>, Error> {
        self.stale(ask).ok_or(error)
    }

    /// The current credential if it may still be good, and the caller asks for no other.
    pub(super) fn stale(&self, ask: &Ask) -> Option<Arc<Credential>> {
        if ask.renewed {
            return None;
        }
        self.with_current(|current| {
            // Few callers that fail have one, so the others need no clock.
            let now = self.engine.clock.now();
            let is_good = current.life().freshness(now).may_be_good();
            is_good.then(|| Arc::clone(current))
        })
    }

    /// Whether a caller looks in the store before it fails. Nothing is sent for what it finds
    /// there.
    pub(super) fn looks_before(&self, error: &Error, ask: &Ask) -> bool {
        let may_be_stored = matches!(error, Error::QuotaSpent { .. } | Error::Login { .. });
        let Some(sharing) = self
            .engine
            .options
            .sharing
            .as_ref()
            .filter(|_| may_be_stored)
        else {
            return false;
        };
        let now = self.engine.clock.now();
        let has_one = || self.current_if(now, Freshness::may_be_good).is_some();
        sharing.may_look(now.steady) && !ask.renewed && !has_one()
    }

    async fn wait(self: &Arc<Self>, caller: &mut Caller) -> Result<Arc<Credential>, Error> {
        let (mut lost, mut in_vain) = (0, 0);
        let mut postponed = None;
        loop {
            let flight = match (self.admit(caller), postponed.take()) {
                (Ok(Admission::Served(credential)), _) => return Ok(credential),
                (Ok(Admission::Waits(flight)), _) => flight,
                // The next login comes too late for this caller. Why it was postponed says more.
                (Err(Error::QuotaSpent { .. }), Some(error)) | (Err(error), _) => {
                    return Err(error);
                }
            };
            match self.watch(&flight, caller).await? {
                Wake::Told(Some(Err(error))) if error.is_postponed() => {
                    if let Some(credential) = self.stale(&caller.ask) {
                        return Ok(credential);
                    }
                    postponed = Some(error);
                }
                Wake::Told(Some(Err(error))) => return Err(error),
                Wake::Told(Some(Ok(credential))) => {
                    let now = self.engine.clock.now();
                    // Read without the lock, so that ten thousand waiters don't queue for it if
                    // nothing has changed.
                    if self.is_current(&credential, now) {
                        return Ok(credential);
                    }
                    let newer = self.read(|state| state.after_settling(&credential, now))?;
                    if let Some(newer) = newer {
                        return Ok(newer);
                    }
                    // The credential was rejected, ended or expired before this waiter read it.
                    in_vain += 1;
                    if in_vain > MOST_IN_VAIN {
                        return Err(short_lived());
                    }
                    // The machine may have slept since, and the caller with it.
                    if caller.deadline <= now.steady {
                        caller.begin_anew(now);
                    }
                }
                Wake::Told(None) => {
                    lost += 1;
                    if lost > MOST_FLIGHTS_LOST {
                        return Err(Error::Abandoned);
                    }
                }
                Wake::Overdue => self.supersede(&flight),
                Wake::TooLate => {
                    return Err(Error::DeadlinePassed {
                        waited: caller.wait,
                    });
                }
            }
        }
    }

    /// Waits for the flight, with a timer on the caller's own runtime.
    async fn watch(&self, flight: &Arc<Flight>, caller: &Caller) -> Result<Wake, Error> {
        let mut watch = Watch {
            shared: self,
            flight,
            key: None,
            own_timer: None,
        };
        poll_fn(|cx| watch.poll(caller, cx)).await
    }
}

/// One caller that waits for one flight.
struct Watch<'a> {
    shared: &'a Shared,
    flight: &'a Arc<Flight>,
    key: Option<WaiterKey>,
    own_timer: Option<Box<OwnTimer<'a>>>,
}

/// The timer of a caller whose deadline comes before the flight's alarm. It is not shared.
struct OwnTimer<'a> {
    runtime: RuntimeId,
    timer: BoxFuture<'a, ()>,
}

impl<'a> Watch<'a> {
    fn poll(&mut self, caller: &Caller, cx: &mut Context<'_>) -> Poll<Result<Wake, Error>> {
        let (shared, flight) = (self.shared, self.flight);
        // Step 2 of the protocol. The waker is in the list before anything is read, so a change
        // after the read wakes this caller, and each wake-up reads everything again.
        loop {
            if let Some(told) = flight.waiters.get() {
                return Poll::Ready(Ok(Wake::Told(told.clone())));
            }
            let runtime = Runtime::current().ok_or(Error::NoRuntime)?.id();
            self.key = flight.waiters.enter(self.key, runtime, cx.waker());
            let Some(key) = self.key else {
                continue;
            };
            let due = flight.ticket.due();
            let now = shared.engine.clock.now().steady;
            if now >= caller.deadline {
                return Poll::Ready(Ok(Wake::TooLate));
            }
            if now >= due {
                return Poll::Ready(Ok(Wake::Overdue));
            }
            shared.can_wait(caller, &flight.ticket)?;
            ready!(if due <= caller.deadline {
                flight.waiters.poll_alarm(key, due, &shared.engine.clock)
            } else {
                self.own_timer(runtime, caller.deadline).poll_unpin(cx)
            });
        }
    }

    fn own_timer(&mut self, runtime: RuntimeId, deadline: u64) -> &mut BoxFuture<'a, ()> {
        let kept = self.own_timer.take();
        let own = kept
            .filter(|own| own.runtime == runtime)
            .unwrap_or_else(|| {
                let timer = self.shared.engine.clock.sleep_until(deadline).boxed();
                Box::new(OwnTimer { runtime, timer })
            });
        &mut self.own_timer.insert(own).timer
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        // The list is empty once the flight has ended.
        if let Some(key) = self.key
            && self.flight.waiters.get().is_none()
        {
            self.flight.waiters.leave(key);
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
    use tokio::runtime::Builder;

    use super::*;
    use crate::Credentials;
    use crate::clock::ManualClock;
    use crate::counting_waker::CountingWaker;
    use crate::lifetime::Lifetime;
    use crate::testing::Scripted;

    /// Ten thousand callers may wait at once, and each pays for what only a few of them need.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_future_of_a_caller_has_no_room_for_what_few_callers_need() {
        let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
        let bytes = size_of_val(&credentials.get());
        assert!(bytes <= 344, "{bytes}");
    }

    #[test]
    fn a_waiter_that_leaves_leaves_no_waker_behind() {
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
