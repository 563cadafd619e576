//! Carries out what the state decides: one lock, never held across an await, and one slot that callers read without it.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;
use tokio::sync::oneshot;

use super::ask::Ask;
use super::flight::{Engine, Flight, Outcome, prepare};
use super::state::{Decision, FlightId, Landed, Landing, Purpose, State};
use crate::clock::{Moment, nanos};
use crate::credential::{Credential, Issued};
use crate::error::Error;
use crate::event::Event;
use crate::origin::Scope;
use crate::sync::{Loaded, Mutex, Runtime, Slot, Task, random};

/// What all clones of a handle share.
pub(crate) struct Inner {
    pub(super) engine: Arc<Engine>,
    scope: Scope,
    habits: Habits,
    /// What the state serves, for those who only read.
    live: Slot<Issued>,
    control: Mutex<Control>,
}

/// What callers and sessions are treated to, unless somebody says otherwise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Habits {
    /// How long callers wait.
    pub(super) patience: Duration,
    /// Whether callers don't wait for the quota.
    pub(super) fail_fast: bool,
    /// How long after it was superseded a session is logged out, if at all.
    pub(super) farewell: Option<Duration>,
}

#[derive(Default)]
struct Control {
    state: State,
    /// The flight under way, and where its outcome goes. There is one whenever the state knows of one, unless closed.
    flight: Option<(Flight, oneshot::Sender<Outcome>)>,
    /// Tasks that wait to log out a superseded session.
    farewells: Vec<Task>,
}

/// So many superseded sessions wait to be logged out at once; more are left to their own expiry.
const MOST_FAREWELLS: usize = 4;

/// What a caller does next.
pub(super) enum Boarding {
    Served(Credential),
    Waits(Flight),
}

impl Inner {
    pub(super) fn new(engine: Engine, scope: Scope, habits: Habits) -> Self {
        Self {
            engine: Arc::new(engine),
            scope,
            habits,
            live: Slot::empty(),
            control: Mutex::default(),
        }
    }

    #[inline]
    pub(super) fn live(&self) -> Loaded<Issued> {
        self.live.load()
    }

    pub(super) const fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn now(&self) -> Moment {
        self.engine.clock.now()
    }

    /// How long a caller waits, all in all.
    pub(super) fn patience(&self, ask: &Ask) -> Duration {
        ask.within.unwrap_or(self.habits.patience)
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.control.lock().state)
    }

    pub(super) fn flight(&self) -> Option<Flight> {
        let control = self.control.lock();
        control.flight.as_ref().map(|(flight, _)| flight.clone())
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.commit(|control| change(&mut control.state))
    }

    /// Changes the state, and shows what it serves to those who only read.
    fn commit<T>(&self, change: impl FnOnce(&mut Control) -> T) -> T {
        let mut control = self.control.lock();
        let result = change(&mut control);
        let served = control.state.current().map(Credential::issued);
        let shown = self.live.load();
        if served.map(Arc::as_ptr) != (*shown).as_ref().map(Arc::as_ptr) {
            self.live.store(served.cloned());
        }
        drop(control);
        result
    }

    /// Decides for one caller who asked at `asked`, and begins the flight that the decision asks for.
    pub(super) fn board(self: &Arc<Self>, ask: &Ask, asked: Moment) -> Result<Boarding, Error> {
        let runtime = Runtime::current();
        let now = self.now();
        let mut control = self.control.lock();
        let (served, purpose) = match control.state.decide(now, ask.renewed) {
            Decision::Serve(credential) => return Ok(Boarding::Served(credential)),
            Decision::ServeAndBegin(credential, purpose) => (Some(credential), Some(purpose)),
            Decision::Begin(purpose) => (None, Some(purpose)),
            Decision::Join => (None, None),
            Decision::Fail(error) => return Err(error),
        };
        let mut departure = None;
        if let Some(purpose) = purpose {
            let Some(runtime) = runtime else {
                return served.map(Boarding::Served).ok_or(Error::NoRuntime);
            };
            if served.is_none() && purpose == Purpose::Login {
                self.can_wait(ask, asked, now, self.engine.limiter.expected(true))?;
            }
            departure = Some((self.prepare(&mut control, purpose), runtime));
        }
        let flight = control.flight.as_ref().map(|(flight, _)| flight.clone());
        drop(control);

        if let Some((departure, runtime)) = departure {
            let wait = departure.held(now);
            if !wait.is_zero() {
                self.engine.emit(&Event::LoginHeld { wait });
            }
            departure.depart(&runtime);
        }
        if let Some(credential) = served {
            return Ok(Boarding::Served(credential));
        }
        let flight = flight.ok_or(Error::Closed)?;
        self.engine.limiter.want(&flight.progress.place);
        self.can_wait(ask, asked, now, flight.progress.place.expected())?;
        Ok(Boarding::Waits(flight))
    }

    fn prepare(
        self: &Arc<Self>,
        control: &mut Control,
        purpose: Purpose,
    ) -> super::flight::Departure {
        let id = control.state.begin();
        let current = control.state.current().cloned();
        let (flight, outcome, departure) = prepare(self, id, purpose, current);
        control.flight = Some((flight, outcome));
        departure
    }

    /// Begins the login that the next caller would begin, if there is a runtime here and nothing forbids it.
    pub(super) fn begin_beside(self: &Arc<Self>) {
        // Nobody waits here, so nobody is to be told: the next caller gets the error, if there is one.
        let _ = self.board(&Ask::new(), self.now());
    }

    /// Whether a caller who asked at `asked` can wait for a permit that is `expected` on the steady clock.
    fn can_wait(&self, ask: &Ask, asked: Moment, now: Moment, expected: u64) -> Result<(), Error> {
        if expected <= now.steady {
            return Ok(());
        }
        let in_time = expected <= asked.steady.saturating_add(nanos(self.patience(ask)));
        if in_time && !ask.fail_fast.unwrap_or(self.habits.fail_fast) {
            return Ok(());
        }
        Err(Error::QuotaSpent {
            retry_after: Duration::from_nanos(expected - now.steady),
        })
    }

    /// A flight lands. What is returned is to be logged out.
    pub(super) fn land(&self, id: FlightId, landed: Landed, took: Duration) -> Option<Credential> {
        let now = self.now();
        let jitter = random();
        let failed = match &landed {
            Landed::Failure(error, _) => Some(error.kind()),
            _ => None,
        };
        let (landing, waiters) = self.commit(|control| {
            let is_mine = control
                .flight
                .as_ref()
                .is_some_and(|(flight, _)| flight.id == id);
            let landing = control
                .state
                .land(id, landed, now, &self.engine.policy, jitter);
            let waiters = if is_mine { control.flight.take() } else { None };
            (landing, waiters.map(|(_, outcome)| outcome))
        });
        let (outcome, left_over) = match landing {
            Landing::LoggedIn {
                credential,
                replaced,
            } => {
                let stamp = credential.stamp();
                self.engine.emit(&Event::LoggedIn { stamp, took });
                if let Some(replaced) = replaced {
                    self.bid_farewell(replaced);
                }
                (Some(Ok(credential)), None)
            }
            Landing::Failed(error) => {
                if let Some(kind) =
                    failed.or_else(|| error.login_error().map(crate::LoginError::kind))
                {
                    let retry_after = error.retry_after();
                    self.engine.emit(&Event::LoginFailed { kind, retry_after });
                }
                (Some(Err(error)), None)
            }
            Landing::Discarded(session) => {
                (None, session.filter(|_| self.habits.farewell.is_some()))
            }
            Landing::Closed(session) => (Some(Err(Error::Closed)), session),
        };
        if let (Some(outcome), Some(waiters)) = (outcome, waiters) {
            // Nobody may be waiting any more.
            let _ = waiters.send(outcome);
        }
        left_over
    }

    /// A flight's task is gone before it landed. Its waiters see their channel closed.
    pub(super) fn abandon(&self, id: FlightId) {
        let waiters = self.commit(|control| {
            control.state.abandon(id);
            control.flight.take_if(|(flight, _)| flight.id == id)
        });
        drop(waiters);
    }

    /// A waiter finds that nobody drives a flight any more: it is given up, and another may begin.
    pub(super) fn supersede(&self, flight: &Flight) {
        let given_up = self.commit(|control| {
            control.state.abandon(flight.id);
            control
                .flight
                .take_if(|(current, _)| current.id == flight.id)
        });
        if given_up.is_some() {
            self.engine.limiter.pass_over(&flight.progress.place);
            flight.progress.abort();
            self.engine.emit(&Event::LoginSuperseded);
        }
    }

    /// Logs out a session that another has replaced, by choice, after a grace for requests under way.
    fn bid_farewell(&self, replaced: Credential) {
        let (Some(grace), Some(runtime)) = (self.habits.farewell, Runtime::current()) else {
            return;
        };
        let mut control = self.control.lock();
        control.farewells.retain(|task| !task.is_finished());
        if control.farewells.len() == MOST_FAREWELLS {
            return;
        }
        let engine = Arc::clone(&self.engine);
        let until = self.now().steady.saturating_add(nanos(grace));
        let task = runtime.spawn(async move {
            engine.clock.sleep_until(until).await;
            let _ = engine.log_out(&replaced).await;
        });
        control.farewells.push(task);
    }

    pub(super) async fn close(self: &Arc<Self>) -> Result<(), Error> {
        let (was_closed, session, flight) = self.commit(|control| {
            let was_closed = control.state.is_closed();
            (was_closed, control.state.close(), control.flight.take())
        });
        if was_closed {
            return Ok(());
        }
        self.engine.emit(&Event::Closed);
        let progress = flight.map(|(flight, waiters)| {
            let _ = waiters.send(Err(Error::Closed));
            flight.progress
        });
        if let Some(progress) = progress.as_ref().filter(|progress| !progress.is_sent()) {
            progress.abort();
            self.engine.limiter.pass_over(&progress.place);
        }
        let runtime = Runtime::current().ok_or(Error::NoRuntime)?;
        // A task of its own, so that whoever called may go, and a share of the whole, so that a login under way finds the
        // way back to be logged out.
        let home = Arc::clone(self);
        let (sender, result) = oneshot::channel();
        runtime.spawn(async move {
            let engine = &home.engine;
            let result = match session {
                Some(session) => engine.log_out(&session).await,
                None => Ok(()),
            };
            if let Some(progress) = progress {
                // Its login and its logout are bounded each.
                let wait = engine.login_timeout.saturating_mul(2);
                let until = engine.clock.now().steady.saturating_add(nanos(wait));
                let ended = pin!(progress.ended());
                select(ended, pin!(engine.clock.sleep_until(until))).await;
            }
            let _ = sender.send(result);
        });
        match result.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Login {
                source: Arc::new(error),
                retry_after: None,
            }),
            Err(_gone) => Err(Error::Abandoned),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let control = self.control.get_mut();
        // Once closed, what is under way logs out by itself, and is bounded.
        if !control.state.is_closed()
            && let Some((flight, _)) = &control.flight
        {
            self.engine.limiter.pass_over(&flight.progress.place);
            flight.progress.abort();
        }
        for task in &control.farewells {
            task.abort();
        }
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("engine", &self.engine)
            .finish_non_exhaustive()
    }
}
