//! The one login under way: a task of its own, so that it outlives whoever started it.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, Shared, select};
use tokio::sync::oneshot;

use super::inner::Inner;
use super::state::{FlightId, Landed, Policy, Purpose, State};
use crate::clock::{Clock, Moment, nanos};
use crate::credential::{Credential, Session};
use crate::error::{Error, LoginError};
use crate::event::{self, Event, Observer};
use crate::limit::{Limiter, Place};
use crate::login_mark::LoginMark;
use crate::provider::Provider;
use crate::secret::{Fingerprint, Secret};
use crate::sync::{AtomicU64, Runtime, Task};

pub(super) type Outcome = Result<Credential, Error>;

/// How much longer than promised a login may take before it counts as dead: enough for a runtime that is busy.
const GRACE: Duration = Duration::from_secs(1);

/// How long a runtime may take to start a task before nobody seems to drive it.
const START: Duration = Duration::from_secs(5);

/// What logs in: everything that a flight needs, and no handle.
pub(crate) struct Engine {
    pub(crate) provider: Box<dyn Provider>,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) clock: Clock,
    pub(crate) policy: Policy,
    pub(crate) login_timeout: Duration,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) mark: LoginMark,
}

impl Engine {
    pub(super) fn emit(&self, event: &Event) {
        let identity = self.provider.identity();
        event::trace(identity, event);
        if let Some(observer) = &self.observer {
            observer.observe(identity, event);
        }
    }

    /// Runs the provider's code: in time, and with a panic caught.
    async fn guarded<T>(
        &self,
        work: impl Future<Output = Result<T, LoginError>>,
    ) -> Result<T, LoginError> {
        let work = AssertUnwindSafe(self.mark.scope(work)).catch_unwind();
        let until = self
            .clock
            .now()
            .steady
            .saturating_add(nanos(self.login_timeout));
        match select(pin!(work), pin!(self.clock.sleep_until(until))).await {
            Either::Left((Ok(result), _)) => result,
            Either::Left((Err(_panic), _)) => Err(LoginError::panicked()),
            Either::Right(_) => Err(LoginError::timed_out(self.login_timeout)),
        }
    }

    /// Ends a session at the server, as far as the server lets it.
    pub(super) async fn log_out(&self, credential: &Credential) -> Result<(), LoginError> {
        let result = self.guarded(self.provider.logout(credential)).await;
        self.emit(&Event::LoggedOut {
            confirmed: result.is_ok(),
        });
        result
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("identity", self.provider.identity())
            .finish_non_exhaustive()
    }
}

/// A flight, as those see it who wait for it.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) id: FlightId,
    pub(super) landing: Shared<oneshot::Receiver<Outcome>>,
    pub(super) progress: Arc<Progress>,
}

/// How far a flight has come.
#[derive(Debug)]
pub(super) struct Progress {
    /// Its place in the line for a permit.
    pub(super) place: Arc<Place>,
    /// By when it will have come further, on the steady clock, if somebody drives it.
    due: AtomicU64,
    /// When the login was sent, on the steady clock; zero before.
    sent_at: AtomicU64,
    task: OnceLock<Task>,
    /// Resolves when the task is gone, be it by landing or by being dropped.
    ended: Shared<oneshot::Receiver<()>>,
}

impl Progress {
    pub(super) fn is_overdue(&self, now: u64) -> bool {
        now >= self.due()
    }

    pub(super) fn due(&self) -> u64 {
        // While it waits for its permit, it moves only when the permit is there.
        self.due
            .load(Relaxed)
            .max(self.place.expected().saturating_add(nanos(START)))
    }

    fn promise(&self, now: u64, within: Duration) {
        self.due.store(now.saturating_add(nanos(within)), Relaxed);
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent_at.load(SeqCst) != 0
    }

    /// How long ago the login was sent.
    fn flown(&self, now: Moment) -> Duration {
        Duration::from_nanos(now.steady.saturating_sub(self.sent_at.load(SeqCst)))
    }

    pub(super) fn abort(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    pub(super) async fn ended(&self) {
        let _ = self.ended.clone().await;
    }
}

/// A flight that was decided on, and whose task is yet to be spawned.
pub(super) struct Departure {
    engine: Arc<Engine>,
    home: Weak<Inner>,
    id: FlightId,
    purpose: Purpose,
    current: Option<Credential>,
    progress: Arc<Progress>,
    /// Dropped with the task.
    _ended: oneshot::Sender<()>,
}

/// Prepares a flight: what its waiters hold, where its outcome goes, and what is to be spawned.
pub(super) fn prepare(
    home: &Arc<Inner>,
    id: FlightId,
    purpose: Purpose,
    current: Option<Credential>,
) -> (Flight, oneshot::Sender<Outcome>, Departure) {
    let engine = Arc::clone(&home.engine);
    let (outcome, landing) = oneshot::channel();
    let (ended_sender, ended) = oneshot::channel();
    let wanted = purpose != Purpose::Renewal;
    let place = Arc::new(Place::new(wanted));
    // A look sends nothing, unless the secret has changed.
    if !matches!(purpose, Purpose::Look { .. }) {
        place.expect(engine.limiter.expected(wanted));
    }
    let progress = Arc::new(Progress {
        place,
        due: AtomicU64::new(0),
        sent_at: AtomicU64::new(0),
        task: OnceLock::new(),
        ended: ended.shared(),
    });
    progress.promise(engine.clock.now().steady, START);
    let flight = Flight {
        id,
        landing: landing.shared(),
        progress: Arc::clone(&progress),
    };
    let departure = Departure {
        engine,
        home: Arc::downgrade(home),
        id,
        purpose,
        current,
        progress,
        _ended: ended_sender,
    };
    (flight, outcome, departure)
}

impl Departure {
    /// How long the flight has to wait for its permit, as far as can be told.
    pub(super) fn held(&self, now: Moment) -> Duration {
        Duration::from_nanos(self.progress.place.expected().saturating_sub(now.steady))
    }

    /// Spawns the flight. The caller holds no lock: on a runtime that is shutting down, the task is dropped here and now.
    pub(super) fn depart(self, runtime: &Runtime) {
        let progress = Arc::clone(&self.progress);
        let _ = progress.task.set(runtime.spawn(self.fly()));
    }

    async fn fly(self) {
        let seat = Seat {
            home: &self.home,
            id: self.id,
        };
        let landed = self.log_in().await;
        let Some(home) = self.home.upgrade() else {
            return;
        };
        let left_over = home.land(
            self.id,
            landed,
            self.progress.flown(self.engine.clock.now()),
        );
        drop(home);
        drop(seat);
        if let Some(session) = left_over {
            let _ = self.engine.log_out(&session).await;
        }
    }

    async fn log_in(&self) -> Landed {
        let engine = &*self.engine;
        let (secret, fingerprint) = match self.read_secret().await {
            Ok(read) => read,
            Err(error) => return Landed::Failure(error, None),
        };
        if matches!(self.purpose, Purpose::Look { refused } if refused == Some(fingerprint)) {
            return Landed::Unchanged;
        }
        engine.limiter.acquire(&self.progress.place).await;
        let now = engine.clock.now();
        self.progress
            .promise(now.steady, engine.login_timeout + GRACE);
        self.progress.sent_at.store(now.steady, SeqCst);
        // Whoever closes looks the other way round: first closes, then looks whether anything was sent.
        if self
            .home
            .upgrade()
            .is_none_or(|home| home.read(State::is_closed))
        {
            return Landed::Unchanged;
        }
        engine.emit(&Event::LoginSent);
        match engine.guarded(self.fetch(&secret)).await {
            Ok(session) => Landed::Session(session),
            Err(error) => {
                if let Some(wait) = held_for(&error, engine) {
                    engine.limiter.hold(wait);
                }
                Landed::Failure(error, Some(fingerprint))
            }
        }
    }

    async fn read_secret(&self) -> Result<(Secret, Fingerprint), LoginError> {
        let engine = &*self.engine;
        let now = engine.clock.now().steady;
        self.progress.promise(now, engine.login_timeout + GRACE);
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
    use crate::error::LoginErrorKind::{Misconfigured, Panicked, TimedOut};
    match error.kind() {
        Misconfigured | Panicked => error,
        TimedOut => LoginError::misconfigured("the password could not be read in time"),
        _ => LoginError::misconfigured("the password can't be right").with_source(error),
    }
}

/// How long the server wants no login at all: what it said, or a whole window if it only said that there were too many.
fn held_for(error: &LoginError, engine: &Engine) -> Option<Duration> {
    let asked = error.retry_after();
    let limited = error.kind() == crate::error::LoginErrorKind::Limited;
    let wait = asked.or_else(|| limited.then(|| engine.provider.quota().window()))?;
    Some(wait.min(super::memory::LONGEST_RETRY_AFTER))
}

/// Clears the flight away if its task is dropped before it lands.
struct Seat<'a> {
    home: &'a Weak<Inner>,
    id: FlightId,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(home) = self.home.upgrade() {
            home.abandon(self.id);
        }
    }
}
