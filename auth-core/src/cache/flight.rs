//! The one login under way: a task of its own, so that it outlives whoever started it.

use std::sync::atomic::Ordering::{Acquire, Release, SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::sync::Notify;

use super::engine::Engine;
use super::failure::{AttemptedSecret, LONGEST_RETRY_AFTER};
use super::once::Once;
use super::shared::Shared;
use super::state::{FlightId, Landed, Purpose, State};
use crate::clock::{Moment, nanos};
use crate::credential::Credential;
use crate::error::{Error, LoginError, LoginErrorKind};
use crate::event::Event;
use crate::limit::Place;
use crate::runtime::{AtomicBool, AtomicU64, Runtime, Task};
use crate::secret::{Fingerprint, Secret};
use crate::session::Session;

/// What those get who wait for a flight.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It landed, with this result.
    Landed(Result<Arc<Credential>, Error>),
    /// Its task is gone, or nobody drives it any more: another may begin.
    Lost,
}

/// How much longer than promised a login may take before it counts as dead: enough for a runtime that is busy.
const GRACE: Duration = Duration::from_secs(1);

/// How long a runtime may take to start a task before nobody seems to drive it.
const START: Duration = Duration::from_secs(5);

/// A flight, as those see it who wait for it, and how far it has come.
pub(super) struct Flight {
    pub(super) id: FlightId,
    /// Set when it ends.
    pub(super) landing: Once<Outcome>,
    /// Its place in the line for a permit.
    pub(super) place: Arc<Place>,
    /// By when it will have come further, on the steady clock, if somebody drives it.
    due: AtomicU64,
    /// When the login was sent, on the steady clock; zero before.
    sent_at: AtomicU64,
    task: OnceLock<Task>,
    aborted: AtomicBool,
    /// Told when the task is gone, be it by landing or by being dropped. Only whoever closes listens.
    ended: Notify,
}

impl Flight {
    /// By when it will have come further, on the steady clock, or nobody drives it any more.
    pub(super) fn due(&self) -> u64 {
        // While it waits for its permit, it moves only when the permit is there. Whoever has it promises first, and then
        // expects nothing more: looked at the other way round, a live login would seem overdue.
        let permit = self.place.expected().saturating_add(nanos(START));
        self.due.load(Acquire).max(permit)
    }

    fn promise(&self, now: u64, within: Duration) {
        self.due.store(now.saturating_add(nanos(within)), Release);
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent_at.load(SeqCst) != 0
    }

    /// How long ago the login was sent.
    fn flown(&self, now: Moment) -> Duration {
        Duration::from_nanos(now.steady.saturating_sub(self.sent_at.load(SeqCst)))
    }

    pub(super) fn abort(&self) {
        // Whoever spawns the task looks the other way round: first sets it, then looks whether it is still wanted.
        self.aborted.store(true, SeqCst);
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

/// A flight that was decided on, and whose task is yet to be spawned.
pub(super) struct Departure {
    engine: Engine,
    seat: Seat,
    purpose: Purpose,
    current: Option<Arc<Credential>>,
}

/// Prepares a flight: what its waiters hold, and what is to be spawned.
pub(super) fn prepare(
    home: &Arc<Shared>,
    id: FlightId,
    purpose: Purpose,
    current: Option<Arc<Credential>>,
    wanted: bool,
) -> (Arc<Flight>, Departure) {
    let engine = home.engine.clone();
    // A look sends nothing, unless the secret has changed, and so has no place to wait for yet.
    let place = Arc::new(match purpose {
        Purpose::Look { .. } => Place::default(),
        Purpose::Login | Purpose::Renewal => engine.limiter.place(wanted),
    });
    let now = engine.clock.now().steady;
    let flight = Arc::new(Flight {
        id,
        landing: Once::new(),
        due: AtomicU64::new(0),
        sent_at: AtomicU64::new(0),
        task: OnceLock::new(),
        aborted: AtomicBool::new(false),
        ended: Notify::new(),
        place,
    });
    flight.promise(now, START);
    flight.place.when_later(flight.landing.waker());
    let seat = Seat {
        home: Arc::downgrade(home),
        flight: Arc::clone(&flight),
    };
    let departure = Departure {
        engine,
        seat,
        purpose,
        current,
    };
    (flight, departure)
}

impl Departure {
    /// How long the flight has to wait for its permit, as far as can be told.
    pub(super) fn held(&self, now: Moment) -> Duration {
        Duration::from_nanos(self.seat.flight.place.expected().saturating_sub(now.steady))
    }

    /// Spawns the flight. The caller holds no lock: on a runtime that is shutting down, the task is dropped here and now.
    pub(super) fn depart(self, runtime: &Runtime) {
        let flight = Arc::clone(&self.seat.flight);
        let _ = flight.task.set(runtime.spawn(self.fly()));
        if flight.aborted.load(SeqCst) {
            flight.abort();
        }
    }

    async fn fly(self) {
        let landed = self.log_in().await;
        let Some(home) = self.seat.home.upgrade() else {
            return;
        };
        let flight = &self.seat.flight;
        let took = flight.flown(self.engine.clock.now());
        let left_over = home.land(flight.id, landed, took);
        drop(home);
        if let Some(session) = left_over {
            let _ = self.engine.log_out(&session).await;
        }
    }

    async fn log_in(&self) -> Landed {
        let (engine, flight) = (&self.engine, &self.seat.flight);
        let (secret, fingerprint) = match self.read_secret().await {
            Ok(read) => read,
            Err(error) => return Landed::Failure(error, None),
        };
        if matches!(self.purpose, Purpose::Look { refused } if refused == Some(fingerprint)) {
            return Landed::Unchanged;
        }
        engine.limiter.acquire(&flight.place).await;
        let now = engine.clock.now();
        let timeout = engine.options.login_timeout;
        flight.promise(now.steady, timeout.saturating_add(GRACE));
        flight.sent_at.store(now.steady, SeqCst);
        // Only now: until the promise is renewed, the place is what keeps the flight from looking dead.
        flight.place.expect(0);
        engine.emit(&Event::LoginSent);
        // Whoever closes looks the other way round: first closes, then looks whether anything was sent.
        let home = self.seat.home.upgrade();
        if home.is_none_or(|home| home.read(State::is_closed)) {
            return Landed::Unchanged;
        }
        match engine.guarded(self.fetch(&secret)).await {
            Ok(session) => Landed::Session(session),
            Err(error) => {
                let held = held_for(&error, engine);
                if let Some(wait) = held {
                    engine.limiter.hold(wait);
                }
                let tried = AttemptedSecret {
                    secret: fingerprint,
                    may_change: engine.provider.secret().fixed().is_none(),
                };
                Landed::Failure(error.with_retry_after(held), Some(tried))
            }
        }
    }

    async fn read_secret(&self) -> Result<(Secret, Fingerprint), LoginError> {
        let engine = &self.engine;
        let now = engine.clock.now().steady;
        let timeout = engine.options.login_timeout;
        self.seat.flight.promise(now, timeout.saturating_add(GRACE));
        let provider = &engine.provider;
        let read = async { Ok(provider.secret().read().await?) };
        let secret = engine.guarded(read).await.map_err(before_sending)?;
        // What the provider says of the secret is its own code, and may panic as well.
        engine
            .guarded(async { provider.check_secret(&secret) })
            .await
            .map_err(before_sending)?;
        let fingerprint = secret.fingerprint();
        Ok((secret, fingerprint))
    }

    async fn fetch(&self, secret: &Secret) -> Result<Session, LoginError> {
        let provider = &self.engine.provider;
        match (&self.purpose, &self.current) {
            (Purpose::Renewal, Some(current)) => provider.renew(current, secret).await,
            _ => provider.login(secret).await,
        }
    }
}

/// Until the permit, nothing was sent: whatever went wrong is no failure of the server's.
fn before_sending(error: LoginError) -> LoginError {
    match error.kind() {
        LoginErrorKind::Misconfigured | LoginErrorKind::Panicked => error,
        LoginErrorKind::TimedOut => {
            LoginError::misconfigured("the password could not be read in time")
        }
        _ => LoginError::misconfigured("the password can't be right").with_source(error),
    }
}

/// How long the server wants no login at all: what it said, or a whole window if it only said that there were too many.
fn held_for(error: &LoginError, engine: &Engine) -> Option<Duration> {
    let asked = error.retry_after().filter(|wait| !wait.is_zero());
    let limited = error.kind() == LoginErrorKind::Limited;
    let wait = asked.or_else(|| limited.then_some(engine.limiter.window()))?;
    Some(wait.min(LONGEST_RETRY_AFTER))
}

/// Clears the flight away if its task is dropped before it lands, or before it was ever polled.
struct Seat {
    home: Weak<Shared>,
    flight: Arc<Flight>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.lose(self.flight.id);
        }
        self.flight.ended.notify_one();
    }
}
