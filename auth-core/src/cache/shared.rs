//! Carries out what the state decides: one lock, never held across an await, and one slot that callers read without it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::Duration;

use futures_util::future::{join_all, select};
use tokio::sync::oneshot;

use super::ask::Ask;
use super::engine::Engine;
use super::flight::{Flight, Outcome, prepare};
use super::state::{Decision, FlightId, Landed, Landing, Purpose, State};
use crate::clock::{Moment, nanos};
use crate::credential::{Carried, Credential};
use crate::error::{Error, LoginError};
use crate::event::Event;
use crate::lifetime::Freshness;
use crate::origin::Scope;
use crate::runtime::{AtomicBool, Mutex, Runtime, Slot, Task, random};

/// What all clones of a handle share.
pub(crate) struct Shared {
    /// What the state serves, for those who only read.
    live: Slot<Credential>,
    /// What the state says of it, for those who only read.
    closed: AtomicBool,
    /// Whether it was found in its pool since that last looked for room. It stands here because whoever finds one fetches
    /// this memory in any case, and the pool's table is a third smaller without it.
    pub(super) found: AtomicBool,
    pub(super) engine: Engine,
    scope: Scope,
    control: Mutex<Control>,
}

#[derive(Default)]
struct Control {
    state: State,
    /// The flight under way. There is one whenever the state knows of one, unless closed.
    flight: Option<Arc<Flight>>,
    /// Superseded sessions, and the tasks that wait to log them out.
    farewells: Vec<(Task, Arc<Credential>)>,
}

/// So many superseded sessions wait to be logged out at once; more are left to their own expiry.
const MOST_FAREWELLS: usize = 4;

/// What a caller does next.
pub(super) enum Admission {
    Served(Arc<Credential>),
    Waits(Arc<Flight>),
}

impl Shared {
    pub(super) fn new(engine: Engine, scope: Scope) -> Self {
        Self {
            engine,
            scope,
            live: Slot::empty(),
            closed: AtomicBool::new(false),
            found: AtomicBool::new(false),
            control: Mutex::default(),
        }
    }

    /// Looks at what the state serves, without counting a reference.
    #[inline]
    pub(super) fn served<T>(&self, look: impl FnOnce(&Arc<Credential>) -> Option<T>) -> Option<T> {
        look((*self.live.load()).as_ref()?)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Acquire)
    }

    /// Whether this very credential is what is served now, and not expired. Takes no lock.
    pub(super) fn serves(&self, credential: &Arc<Credential>, now: Moment) -> bool {
        (*self.live.load()).as_ref().is_some_and(|served| {
            Arc::ptr_eq(served, credential) && served.life().freshness(now).may_be_good()
        })
    }

    /// What the state serves, if that will do. Takes no lock, and no copy for this thread.
    pub(super) fn live_if(
        &self,
        now: Moment,
        will_do: impl Fn(Freshness) -> bool,
    ) -> Option<Arc<Credential>> {
        let live = self.live.load();
        let served = (*live).as_ref()?;
        will_do(served.life().freshness(now)).then(|| Arc::clone(served))
    }

    /// Moves the idle deadline, if what was carried is from the login that is served.
    pub(super) fn touch(&self, carried: &Carried) {
        if let Some(served) = &*self.live.load()
            && served.stamp().generation() == carried.stamp().generation()
        {
            served.life().touch(carried.sent);
        }
    }

    pub(super) const fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn now(&self) -> Moment {
        self.engine.clock.now()
    }

    /// How long a caller waits, all in all.
    pub(super) fn wait_timeout(&self, ask: &Ask) -> Duration {
        ask.within.unwrap_or(self.engine.options.wait_timeout)
    }

    /// Until when a caller waits who asked at `asked`, on the steady clock.
    pub(super) fn deadline(&self, ask: &Ask, asked: Moment) -> u64 {
        asked.steady.saturating_add(nanos(self.wait_timeout(ask)))
    }

    pub(super) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.control.lock().state)
    }

    pub(super) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.commit(|control| change(&mut control.state))
    }

    /// Changes the state, and shows what it serves to those who only read.
    fn commit<T>(&self, change: impl FnOnce(&mut Control) -> T) -> T {
        let mut control = self.control.lock();
        let result = change(&mut control);
        let served = control.state.current();
        let shown = self.live.load();
        if served.map(Arc::as_ptr) != (*shown).as_ref().map(Arc::as_ptr) {
            self.live.store(served.cloned());
        }
        if control.state.is_closed() {
            self.closed.store(true, Release);
        }
        drop(control);
        result
    }

    /// Decides for one caller who waits until `deadline`, and begins the flight that the decision asks for.
    pub(super) fn admit(self: &Arc<Self>, ask: &Ask, deadline: u64) -> Result<Admission, Error> {
        let runtime = Runtime::current();
        let mut control = self.control.lock();
        let now = self.now();
        let (served, purpose) = match control.state.decide(now, ask.renewed) {
            Decision::Serve(credential) => return Ok(Admission::Served(credential)),
            Decision::ServeAndBegin(credential, purpose) => (Some(credential), Some(purpose)),
            Decision::Begin(purpose) => (None, Some(purpose)),
            Decision::Join => (None, None),
            Decision::Fail(error) => return Err(error),
        };
        let mut departure = None;
        if let Some(purpose) = purpose {
            let Some(runtime) = runtime else {
                return served.map(Admission::Served).ok_or(Error::NoRuntime);
            };
            let waits = served.is_none();
            if waits && !matches!(purpose, Purpose::Look { .. }) {
                self.can_wait(ask, deadline, self.engine.limiter.expected(true))?;
            }
            let id = control.state.begin();
            let current = control.state.current().cloned();
            let (flight, prepared) = prepare(self, id, purpose, current, waits);
            control.flight = Some(flight);
            departure = Some((prepared, runtime));
        }
        let flight = control.flight.clone();
        drop(control);

        if let Some((departure, runtime)) = departure {
            let wait = departure.held(now);
            departure.depart(&runtime);
            if !wait.is_zero() {
                self.engine.emit(&Event::LoginHeld { wait });
            }
        }
        if let Some(credential) = served {
            return Ok(Admission::Served(credential));
        }
        let flight = flight.ok_or(Error::Closed)?;
        self.engine.limiter.want(&flight.place);
        self.can_wait(ask, deadline, flight.place.expected())?;
        Ok(Admission::Waits(flight))
    }

    /// Begins the login that the next caller would begin, if there is a runtime here and nothing forbids it.
    pub(super) fn begin_beside(self: &Arc<Self>) {
        // Nobody waits here, so nobody is to be told: the next caller gets the error, if there is one.
        let ask = Ask::new();
        let _ = self.admit(&ask, self.deadline(&ask, self.now()));
    }

    /// Whether a caller who waits until `deadline` can wait for a permit that is `expected`, both on the steady clock.
    pub(super) fn can_wait(&self, ask: &Ask, deadline: u64, expected: u64) -> Result<(), Error> {
        let now = self.now();
        if expected <= now.steady {
            return Ok(());
        }
        if expected <= deadline && !ask.fail_fast.unwrap_or(self.engine.options.fail_fast) {
            return Ok(());
        }
        Err(Error::QuotaSpent {
            retry_after: Duration::from_nanos(expected - now.steady),
        })
    }

    /// A flight lands. What is returned is to be logged out.
    pub(super) fn land(
        &self,
        id: FlightId,
        landed: Landed,
        took: Duration,
    ) -> Option<Arc<Credential>> {
        let now = self.now();
        let jitter = random();
        let failed = matches!(landed, Landed::Failure(..));
        let (landing, flight) = self.commit(|control| {
            let landing = control
                .state
                .land(id, landed, now, &self.engine.options.policy, jitter);
            (landing, control.flight.take_if(|flight| flight.id == id))
        });
        // First whoever waits, then whoever observes: the one is in a hurry, and the other may take its time.
        let send = |outcome| {
            if let Some(flight) = flight {
                flight.landing.set(outcome);
            }
        };
        match landing {
            Landing::LoggedIn {
                credential,
                replaced,
            } => {
                let stamp = credential.stamp();
                if let Some(replaced) = replaced.filter(|old| !old.is_same_value(&credential)) {
                    self.bid_farewell(replaced);
                }
                send(Outcome::Landed(Ok(credential)));
                self.engine.emit(&Event::LoggedIn { stamp, took });
                None
            }
            Landing::Failed(error) => {
                let retry_after = error.retry_after();
                let kind = error.login_error().map(LoginError::kind);
                send(Outcome::Landed(Err(error)));
                if let (true, Some(kind)) = (failed, kind) {
                    self.engine.emit(&Event::LoginFailed { kind, retry_after });
                }
                None
            }
            Landing::Discarded(session) => {
                send(Outcome::Lost);
                let served = self.read(|state| state.current().cloned());
                session.filter(|session| {
                    self.engine.options.farewell.is_some()
                        && served.is_none_or(|served| !served.is_same_value(session))
                })
            }
            // Who waited was told when it was closed.
            Landing::Closed(session) => session,
        }
    }

    /// A waiter finds that nobody drives a flight any more: it is given up, and another may begin.
    pub(super) fn supersede(&self, flight: &Flight) {
        if self.lose(flight.id) {
            self.engine.limiter.pass_over(&flight.place);
            flight.abort();
            self.engine.emit(&Event::LoginSuperseded);
        }
    }

    /// Whoever waits for the flight, if it is still under way, is to begin anew.
    pub(super) fn lose(&self, id: FlightId) -> bool {
        let flight = self.commit(|control| {
            control.state.abandon(id);
            control.flight.take_if(|flight| flight.id == id)
        });
        let Some(flight) = flight else {
            return false;
        };
        flight.landing.set(Outcome::Lost);
        true
    }

    /// Logs out a session that another has replaced, by choice, after a grace for requests under way.
    fn bid_farewell(&self, replaced: Arc<Credential>) {
        let (Some(grace), Some(runtime)) = (self.engine.options.farewell, Runtime::current())
        else {
            return;
        };
        let engine = self.engine.clone();
        let until = self.now().steady.saturating_add(nanos(grace));
        let session = Arc::clone(&replaced);
        let task = runtime.spawn(async move {
            engine.clock.sleep_until(until).await;
            let _ = engine.log_out(&session).await;
        });
        let mut control = self.control.lock();
        control.farewells.retain(|(task, _)| !task.is_finished());
        if control.farewells.len() < MOST_FAREWELLS {
            control.farewells.push((task, replaced));
        } else {
            drop(control);
            task.abort();
        }
    }

    pub(super) async fn close(self: &Arc<Self>) -> Result<(), Error> {
        let (was_closed, session, flight, farewells) = self.commit(|control| {
            let was_closed = control.state.is_closed();
            let session = control.state.close();
            (
                was_closed,
                session,
                control.flight.take(),
                std::mem::take(&mut control.farewells),
            )
        });
        if was_closed {
            return Ok(());
        }
        // Their grace is over.
        let mut sessions: Vec<Arc<Credential>> = session.into_iter().collect();
        for (task, superseded) in farewells {
            if !task.is_finished() {
                task.abort();
                sessions.push(superseded);
            }
        }
        if let Some(flight) = &flight {
            flight.landing.set(Outcome::Landed(Err(Error::Closed)));
            if !flight.is_sent() {
                flight.abort();
                self.engine.limiter.pass_over(&flight.place);
            }
        }
        self.engine.emit(&Event::Closed);
        let runtime = Runtime::current().ok_or(Error::NoRuntime)?;
        // A task of its own, so that whoever called may go, and a share of the whole, so that a login under way finds the
        // way back to be logged out.
        let home = Arc::clone(self);
        let (sender, result) = oneshot::channel();
        runtime.spawn(async move {
            let engine = &home.engine;
            let mut result = Ok(());
            for logout in join_all(sessions.iter().map(|session| engine.log_out(session))).await {
                result = result.and(logout);
            }
            if let Some(flight) = flight {
                // Its login and its logout are bounded each.
                let wait = engine.options.login_timeout.saturating_mul(2);
                let until = engine.clock.now().steady.saturating_add(nanos(wait));
                let ended = pin!(flight.ended());
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

impl Drop for Shared {
    fn drop(&mut self) {
        let control = self.control.get_mut();
        // Once closed, what is under way logs out by itself, and is bounded.
        if !control.state.is_closed()
            && let Some(flight) = &control.flight
        {
            self.engine.limiter.pass_over(&flight.place);
            flight.abort();
        }
        for (task, _) in &control.farewells {
            task.abort();
        }
    }
}
