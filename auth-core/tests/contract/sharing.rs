//! Rules 19 to 25: one session for several caches, with a store in memory. What files and Redis add
//! is tested beside them.

mod followed;
mod revisions;
mod turns;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::store::{
    Change, Entry, Kept, LeaseAnswer, LeaseAsk, MemoryStore, NotesChange, PermitAnswer, PermitAsk,
    Saved, Seal, SessionChange, Store, StoreError, Stored, Unreadable,
};
use auth_core::{
    Attempt, Credentials, Error, Event, Identity, Lifetime, LoginError, LoginErrorKind, Origin,
    Provider, Quota, Refresh, Secret, SecretSource, Session,
};
use futures_util::future::join_all;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::support::{HOUR, SECOND, session, settle, token};

/// A login server: what it has seen, whichever process logs in.
#[derive(Clone)]
struct Server(Arc<ServerState>);

type Answer = Box<dyn Fn(u64) -> Result<Session, LoginError> + Send>;

struct ServerState {
    identity: Identity,
    logins: AtomicU64,
    refreshes: Mutex<Vec<String>>,
    refuses_refreshes: AtomicBool,
    logouts: Mutex<Vec<String>>,
    refreshes_fail: AtomicBool,
    refreshes_not_sent: AtomicBool,
    password: Mutex<&'static str>,
    answer: Mutex<Answer>,
    gate: Mutex<Option<Arc<Semaphore>>>,
    refresh_gate: Mutex<Option<Arc<Semaphore>>>,
}

impl Server {
    fn new() -> Self {
        let origin = Origin::parse("https://api.example.com").unwrap();
        let answer = |number| session(number, Lifetime::of(HOUR));
        Self(Arc::new(ServerState {
            identity: Identity::new("shared", origin, "me@example.com"),
            logins: AtomicU64::new(0),
            refreshes: Mutex::default(),
            refuses_refreshes: AtomicBool::new(false),
            logouts: Mutex::default(),
            refreshes_fail: AtomicBool::new(false),
            refreshes_not_sent: AtomicBool::new(false),
            password: Mutex::new("right"),
            answer: Mutex::new(Box::new(answer)),
            gate: Mutex::new(None),
            refresh_gate: Mutex::new(None),
        }))
    }

    fn answers(&self, answer: impl Fn(u64) -> Result<Session, LoginError> + Send + 'static) {
        *self.0.answer.lock() = Box::new(answer);
    }

    fn logins(&self) -> u64 {
        self.0.logins.load(SeqCst)
    }

    /// How many refresh tokens it has seen, each once.
    fn tokens_seen_once(&self) -> usize {
        let seen = self.0.refreshes.lock();
        let once: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "{seen:?}");
        seen.len()
    }

    /// A program that logs in to it with this password.
    fn program(&self, password: &'static str) -> Program {
        Program {
            server: self.clone(),
            secret: password.into(),
            refresh: None,
            variant: "",
        }
    }
}

struct Program {
    server: Server,
    secret: SecretSource,
    refresh: Option<Refresh>,
    variant: &'static str,
}

#[async_trait]
impl Provider for Program {
    fn identity(&self) -> &Identity {
        &self.server.0.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn quota(&self) -> Quota {
        Quota::DEFAULT
    }

    fn variant(&self) -> String {
        self.variant.to_owned()
    }

    fn refresh_by(&self) -> Option<Refresh> {
        self.refresh.clone()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        let server = &self.server.0;
        let number = server.logins.fetch_add(1, SeqCst) + 1;
        let gate = server.gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        if secret.expose() != *server.password.lock() {
            return Err(LoginError::refused("status 401"));
        }
        (server.answer.lock())(number)
    }

    async fn refresh(&self, current: &auth_core::Credential) -> Result<Session, LoginError> {
        if self.server.0.refreshes_not_sent.load(SeqCst) {
            return Err(LoginError::unavailable("no connection").not_sent());
        }
        let sent = current.kept("refresh_token").unwrap().to_owned();
        let number = {
            let mut seen = self.server.0.refreshes.lock();
            seen.push(sent);
            seen.len() as u64
        };
        let gate = self.server.0.refresh_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.server.0.refreshes_fail.load(SeqCst) {
            return Err(LoginError::unavailable("status 503"));
        }
        if self.server.0.refuses_refreshes.load(SeqCst) {
            return Err(LoginError::refused("status 400"));
        }
        Ok(session(1_000 + number, Lifetime::of(HOUR))?
            .with_kept("refresh_token", &format!("r-{number}"))?)
    }

    async fn logout(
        &self,
        credential: &auth_core::Credential,
        _logout: auth_core::Logout,
    ) -> Result<(), LoginError> {
        self.server.0.logouts.lock().push(token(credential));
        Ok(())
    }
}

/// Processes that share a store. Each has a clock of its own, and so a quota of its own.
struct Fleet {
    store: MemoryStore,
    store_clock: ManualClock,
    clocks: Vec<ManualClock>,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Fleet {
    fn new() -> Self {
        let store_clock = ManualClock::new();
        Self {
            store: MemoryStore::on(store_clock.clock()),
            store_clock,
            clocks: Vec::new(),
            events: Arc::default(),
        }
    }

    /// A process that starts now.
    fn start(&mut self, program: Program) -> Credentials {
        let store = self.store.clone();
        self.start_with(program, store)
    }

    fn start_with(&mut self, program: Program, store: impl Store) -> Credentials {
        let clock = ManualClock::new();
        self.clocks.push(clock.clone());
        let events = Arc::clone(&self.events);
        Credentials::builder(program)
            .clock(clock.clock())
            .store(store)
            .observer(move |_: &Identity, event: &Event| events.lock().push(event.clone()))
            .build()
    }

    async fn advance(&self, by: Duration) {
        let step = by.min(SECOND);
        let mut left = by;
        while !left.is_zero() {
            let step = step.min(left);
            left -= step;
            self.store_clock.advance(step);
            for clock in &self.clocks {
                clock.advance(step);
            }
            settle().await;
        }
    }

    /// At once, as while the machine sleeps.
    fn leap(&self, by: Duration) {
        self.store_clock.advance(by);
        for clock in &self.clocks {
            clock.advance(by);
        }
    }

    fn events(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events
            .lock()
            .iter()
            .filter(|event| wanted(event))
            .count()
    }
}

/// Rejects the credential of a cache as a response does, and gets what its request is sent again
/// with.
async fn reject(credentials: &Credentials) -> Result<String, Error> {
    let current = credentials.get().await?;
    let attempt = Attempt::new(credentials, &current);
    attempt.rejected();
    let next = credentials.get().await?;
    Ok(token(&next))
}

fn is_loaded(event: &Event) -> bool {
    matches!(event, Event::Loaded { .. })
}

fn refused(error: &Error) -> bool {
    error.login_error().map(LoginError::kind) == Some(LoginErrorKind::Refused)
}

#[tokio::test]
async fn rule_20_eight_processes_of_250_callers_make_one_login() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    let callers: Vec<_> = (processes.iter())
        .flat_map(|process| (0..250).map(|_| process.clone()))
        .map(|process| tokio::spawn(async move { process.get().await.map(|got| token(&got)) }))
        .collect();
    settle().await;
    assert_eq!(server.logins(), 1, "one has the lease");
    gate.add_permits(10);
    // Those that wait for the lease look again.
    fleet.advance(SECOND).await;
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "token-1");
    }
    assert_eq!((server.logins(), fleet.events(is_loaded)), (1, 7));
}

#[tokio::test]
async fn rule_20_a_program_that_starts_again_uses_the_session_that_it_left() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for run in 0..13 {
        let program = fleet.start(server.program("right"));
        assert_eq!(token(&program.get().await.unwrap()), "token-1");
        if run % 2 == 0 {
            program.close().await.unwrap();
        }
    }
    assert_eq!(server.logins(), 1);
    fleet.leap(HOUR);
    let program = fleet.start(server.program("right"));
    assert_eq!(
        token(&program.get().await.unwrap()),
        "token-2",
        "its life counts from its login"
    );
}

#[tokio::test]
async fn rule_20_a_login_that_waits_uses_a_session_that_its_cache_has_found_meanwhile() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    for expiry in 1..=5 {
        fleet.leap(HOUR);
        let callers: Vec<_> = (processes.iter().cloned())
            .map(|process| tokio::spawn(async move { process.get().await.map(|got| token(&got)) }))
            .collect();
        settle().await;
        // The task that follows the store is told of the save, as the login is that waits for it.
        gate.add_permits(9);
        fleet.advance(2 * SECOND).await;
        for caller in callers {
            let expected = format!("token-{}", expiry + 1);
            assert_eq!(caller.await.unwrap().unwrap(), expected);
        }
        assert_eq!(server.logins(), expiry + 1);
        gate.forget_permits(9);
    }
}

#[tokio::test]
async fn rule_20_waiters_are_told_once_the_session_is_saved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let program = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(program.get());
    for _ in 0..100 {
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
    }
    assert_eq!(server.logins(), 1);
    saves.add_permits(1);
    get.await.unwrap();
    drop(program);
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_20_a_lease_whose_holder_is_gone_lapses_and_one_that_is_given_up_is_released() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    // Its runtime is not driven any more, as that of a process that was killed.
    let killed = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let holder = fleet.start(server.program("right"));
    let mut get = Box::pin(holder.get());
    {
        let _entered = killed.enter();
        assert!(futures_util::poll!(&mut get).is_pending());
    }
    std::thread::scope(|scope| {
        scope.spawn(|| killed.block_on(settle()));
    });
    assert_eq!(server.logins(), 1);
    *server.0.gate.lock() = None;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(34 * SECOND).await;
    assert!(!waiting.is_finished(), "30 s for the login and 5 s");
    fleet.advance(2 * SECOND).await;
    assert_eq!(waiting.await.unwrap().unwrap(), "token-2");

    // One that is dropped with its cache releases its lease at once.
    reject_stored(&mut fleet, &server).await;
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let dropped = fleet.start(server.program("right"));
    let mut get = Box::pin(dropped.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let logins = server.logins();
    drop(get);
    drop(dropped);
    settle().await;
    *server.0.gate.lock() = None;
    let next = fleet.start(server.program("right"));
    assert!(next.get().await.is_ok());
    assert_eq!(server.logins(), logins + 1);
    std::mem::forget(killed);
}

#[tokio::test]
async fn rule_20_an_extension_that_arrives_after_the_release_takes_no_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let process = fleet.start_with(server.program("right"), store.clone());
    let get = tokio::spawn(async move { process.get().await.map(|got| token(&got)) });
    settle().await;
    assert_eq!(server.logins(), 1);
    let arrives = Arc::new(Semaphore::new(0));
    *store.0.late_leases.lock() = Some(Arc::clone(&arrives));
    // After a third of the lease.
    fleet.advance(12 * SECOND).await;
    assert_eq!(store.0.leases.load(SeqCst), 2);
    gate.add_permits(1);
    assert!(get.await.unwrap().is_err());
    arrives.add_permits(1);
    // The back-off of the failure is over then.
    fleet.advance(2 * SECOND).await;
    *server.0.gate.lock() = None;
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-2");
}

#[tokio::test]
async fn rule_20_those_that_wait_for_a_lease_do_not_wake_each_other() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    let processes: Vec<_> = (0..4)
        .map(|_| fleet.start_with(server.program("right"), store.clone()))
        .collect();
    let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
    assert!(futures_util::poll!(&mut all).is_pending());
    for _ in 0..10 {
        settle().await;
    }
    assert_eq!(store.0.leases.load(SeqCst), 4, "no time has passed");
    gate.add_permits(1);
    fleet.advance(SECOND).await;
    for result in all.await {
        assert_eq!(token(&result.unwrap()), "token-1");
    }
}

#[tokio::test]
async fn rule_20_a_login_that_is_given_up_while_it_releases_its_lease_releases_it() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    // Nothing is sent, so a close ends its task at once.
    let misconfigured = Program {
        secret: SecretSource::variable("AUTH_CORE_NO_SUCH_VARIABLE"),
        ..server.program("right")
    };
    let process = fleet.start_with(misconfigured, store);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    assert!(get.await.is_err());
    closed.await.unwrap().unwrap();
    saves.add_permits(10);
    settle().await;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-1");
}

#[tokio::test]
async fn rule_20_a_login_without_a_time_out_has_a_lease_and_a_permit_that_lapse() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(server.program("right"))
        .clock(clock.clock())
        .login_timeout(Duration::MAX)
        .store(store.clone())
        .build();
    process.get().await.unwrap();
    let longest = *store.0.longest.lock();
    assert!(
        longest > HOUR && longest <= HOUR + 62 * SECOND,
        "{longest:?}"
    );
}

/// The stored session is rejected, so that the next process has to log in.
async fn reject_stored(fleet: &mut Fleet, server: &Server) {
    let process = fleet.start(server.program("right"));
    process.log_out().await.unwrap();
}

#[tokio::test]
async fn rule_21_a_revocation_costs_one_login_and_no_failed_request() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    let replays = join_all(processes.iter().map(reject));
    let mut replays = Box::pin(replays);
    assert!(futures_util::poll!(&mut replays).is_pending());
    fleet.advance(SECOND).await;
    for replay in replays.await {
        assert_eq!(replay.unwrap(), "token-2");
    }
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_a_late_rejection_does_not_retire_what_another_has_fetched() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    assert_eq!(reject(&one).await.unwrap(), "token-2");
    assert_eq!(
        reject(&other).await.unwrap(),
        "token-2",
        "found, and no login"
    );
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_the_others_give_a_rejected_session_up_within_ten_seconds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    reject(&one).await.unwrap();
    fleet.advance(10 * SECOND).await;
    let current = other.fresh().expect("the new one, unasked");
    assert_eq!((token(&current).as_str(), server.logins()), ("token-2", 2));
}

#[tokio::test]
async fn rule_21_a_login_that_was_stopped_does_not_save_over_a_newer_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    let stopped = fleet.start_with(server.program("right"), store.clone());
    let mut get = Box::pin(stopped.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    assert_eq!(server.logins(), 1);
    // Its clock stands still, and the others' goes on.
    let clock = fleet.clocks.remove(0);
    fleet.advance(40 * SECOND).await;
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    saves.add_permits(10);
    assert_eq!(token(&get.await.unwrap()), "token-1", "it uses its own");
    fleet.clocks.push(clock);
    let cold = fleet.start(server.program("right"));
    assert_eq!(token(&cold.get().await.unwrap()), "token-2");
    assert_eq!(
        reject(&stopped).await.unwrap(),
        "token-2",
        "and then what is stored"
    );
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_values_that_roll_are_shared_as_revisions() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let one = fleet.start(server.program("right"));
    let first = one.get().await.unwrap();
    let rolled = crate::support::set_cookie("sid=rolled; Path=/");
    Attempt::new(&one, &first).cookies_set(&rolled);
    settle().await;
    let other = fleet.start(server.program("right"));
    let found = other.get().await.unwrap();
    assert_eq!(found.cookie("sid"), Some("rolled"));
    // And one that has the session gets its next value.
    let current = one.get().await.unwrap();
    let again = crate::support::set_cookie("sid=again; Path=/");
    Attempt::new(&one, &current).cookies_set(&again);
    fleet.advance(2 * SECOND).await;
    let current = other.fresh().unwrap();
    assert_eq!(current.cookie("sid"), Some("again"));
    assert_eq!(
        current.stamp().generation(),
        found.stamp().generation(),
        "the same session"
    );
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_21_an_idle_deadline_that_has_moved_by_an_eighth_is_saved() {
    // An eighth of an hour is 450 s.
    for (used_after, logins) in [(440 * SECOND, 2), (460 * SECOND, 1)] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| session(number, Lifetime::unknown().idle(HOUR)));
        let one = fleet.start(server.program("right"));
        let current = one.get().await.unwrap();
        fleet.leap(used_after);
        Attempt::new(&one, &current).accepted();
        fleet.advance(20 * SECOND).await;
        // It ends without a word to the store.
        drop(one);
        fleet.leap(HOUR - 60 * SECOND);
        let next = fleet.start(server.program("right"));
        let found = token(&next.get().await.unwrap());
        assert_eq!(
            (server.logins(), found),
            (logins, format!("token-{logins}"))
        );
    }
}

#[tokio::test]
async fn rule_21_a_rejected_session_is_not_taken_again_because_its_deadline_has_moved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| session(number, Lifetime::of(HOUR).idle(60 * SECOND)));
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    // Its clock stands still, so that it does not look.
    let clock = fleet.clocks.remove(0);
    fleet.advance(20 * SECOND).await;
    let current = other.get().await.unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(10 * SECOND).await;
    assert_eq!(reject(&one).await.unwrap(), "token-2");
    fleet.clocks.push(clock);
    fleet.advance(10 * SECOND).await;
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_values_that_roll_right_before_a_close_are_left_in_the_store() {
    for under_way in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| {
            let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
            Ok(session.with_lifetime(Lifetime::of(HOUR)))
        });
        let store = Faulty::new(&fleet.store);
        let one = fleet.start_with(server.program("right"), store.clone());
        let first = one.get().await.unwrap();
        let saves = Arc::new(Semaphore::new(0));
        if under_way {
            *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        }
        let rolled = crate::support::set_cookie("sid=rolled; Path=/");
        Attempt::new(&one, &first).cookies_set(&rolled);
        if under_way {
            settle().await;
            let current = one.get().await.unwrap();
            let again = crate::support::set_cookie("sid=again; Path=/");
            Attempt::new(&one, &current).cookies_set(&again);
        }
        let closing = one.clone();
        let closed = tokio::spawn(async move { closing.close().await });
        settle().await;
        saves.add_permits(10);
        closed.await.unwrap().unwrap();
        settle().await;
        let other = fleet.start(server.program("right"));
        let found = other.get().await.unwrap();
        let last = if under_way { "again" } else { "rolled" };
        assert_eq!(found.cookie("sid"), Some(last));
    }
}

#[tokio::test]
async fn rule_22_eight_processes_with_a_wrong_password_make_one_attempt() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("wrong")))
        .collect();
    let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
    assert!(futures_util::poll!(&mut all).is_pending());
    fleet.advance(3 * SECOND).await;
    for result in all.await {
        assert!(refused(&result.unwrap_err()));
    }
    assert_eq!(server.logins(), 1);
    // A corrected one logs in at once, and is what counts from then on.
    let corrected = fleet.start(server.program("right"));
    corrected.get().await.unwrap();
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_22_thirteen_starts_with_a_wrong_password_make_one_attempt() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for _ in 0..13 {
        let program = fleet.start(server.program("wrong"));
        assert!(refused(&program.get().await.unwrap_err()));
        drop(program);
        fleet.advance(SECOND).await;
    }
    assert_eq!(server.logins(), 1);
    // After its cooldown it is tried again, and then for twice as long not.
    for (minutes, logins) in [(15_u8, 2), (16, 2), (15, 3)] {
        fleet.leap(u32::from(minutes) * 60 * SECOND);
        let program = fleet.start(server.program("wrong"));
        assert!(refused(&program.get().await.unwrap_err()));
        assert_eq!(server.logins(), logins);
    }
}

#[tokio::test]
async fn rule_22_a_wrong_password_is_remembered_beside_a_right_one_and_another_wrong_one() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for password in ["wrong", "also wrong", "right"] {
        let _ = fleet.start(server.program(password)).get().await;
    }
    assert_eq!(server.logins(), 3);
    for _ in 0..5 {
        reject_stored(&mut fleet, &server).await;
        for password in ["wrong", "also wrong"] {
            let refused_before = fleet.start(server.program(password)).get().await;
            assert!(refused(&refused_before.unwrap_err()));
        }
        fleet.start(server.program("right")).get().await.unwrap();
        fleet.advance(7 * SECOND).await;
    }
    assert_eq!(server.logins(), 3 + 5);
}

#[tokio::test]
async fn rule_23_a_spent_quota_of_the_process_keeps_nobody_from_a_stored_session() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let process = fleet.start(server.program("right"));
    let clock = fleet.clocks.last().unwrap().clock();
    for number in 0..10 {
        let identity = Identity::new(
            "other",
            server.0.identity.origin().clone(),
            number.to_string(),
        );
        let other = crate::support::tokens().with_identity(identity);
        let other = Credentials::builder(other).clock(clock.clone()).build();
        other.get().await.unwrap();
    }
    // No clock moves.
    assert_eq!(token(&process.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_22_what_may_be_a_refusal_is_tried_four_times_in_15_minutes_by_all_starts() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|_| Err(LoginError::malformed("a page")));
    for _ in 0..15 * 60 / 10 {
        let program = fleet.start(server.program("right"));
        assert!(program.get().await.is_err());
        fleet.clocks.pop();
        fleet.advance(10 * SECOND).await;
    }
    assert_eq!(server.logins(), 4);
}

#[tokio::test]
async fn rule_22_rejections_are_doubted_by_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    // A route that rejects every session, for a minute.
    for _ in 0..60 {
        for process in &processes {
            let _ = reject(process).await;
        }
        fleet.advance(SECOND).await;
    }
    // At once, and after 5, 10 and 20 s: as one process alone.
    assert!(server.logins() <= 5, "{}", server.logins());
}

fn rotating(server: &Server) -> Program {
    Program {
        refresh: Some(Refresh::with_kept("refresh_token").single_use()),
        ..server.program("right")
    }
}

#[tokio::test]
async fn rule_22_a_token_is_sent_once_by_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let processes: Vec<_> = (0..8).map(|_| fleet.start(rotating(&server))).collect();
    for process in &processes {
        process.get().await.unwrap();
    }
    for expiry in 1..=100 {
        fleet.leap(HOUR);
        let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
        assert!(futures_util::poll!(&mut all).is_pending());
        fleet.advance(2 * SECOND).await;
        for result in all.await {
            assert!(result.is_ok(), "{result:?}");
        }
        assert_eq!(server.tokens_seen_once(), expiry);
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_6_a_refused_token_is_not_sent_again_because_the_deadline_has_moved() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let life = Lifetime::of(600 * SECOND).idle(400 * SECOND);
        let first = session(number, life)?;
        Ok(first.with_kept("refresh_token", "reusable")?)
    });
    server.0.refuses_refreshes.store(true, SeqCst);
    let processes = [(); 2].map(|()| {
        fleet.start(Program {
            refresh: Some(Refresh::with_kept("refresh_token")),
            ..server.program("right")
        })
    });
    let accept = async || {
        for process in &processes {
            let current = process.get().await.unwrap();
            Attempt::new(process, &current).accepted();
        }
    };
    accept().await;
    fleet.leap(300 * SECOND);
    accept().await;
    fleet.advance(20 * SECOND).await;
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    assert!(server.0.refreshes.lock().is_empty());
    fleet.leap(260 * SECOND);
    // It is due. One refreshes in vain, and another has the deadline moved.
    processes[0].get().await.unwrap();
    settle().await;
    assert_eq!((server.tokens_seen_once(), server.logins()), (1, 2));
    let current = processes[1].peek().unwrap();
    Attempt::new(&processes[1], &current).accepted();
    fleet.advance(12 * SECOND).await;
    assert!(processes[0].renew().await.is_err());
    assert_eq!(server.tokens_seen_once(), 1);
}

#[tokio::test]
async fn rule_22_a_token_that_another_process_has_spent_in_vain_is_not_sent() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let processes = [(); 3].map(|()| fleet.start(rotating(&server)));
    for process in &processes {
        process.get().await.unwrap();
    }
    // Each is due, and serves the session that is good.
    fleet.leap(HOUR - 30 * SECOND);
    server.0.refreshes_fail.store(true, SeqCst);
    for process in &processes {
        process.get().await.unwrap();
        fleet.advance(SECOND).await;
    }
    assert_eq!(server.tokens_seen_once(), 1);
    // Then the password is used, and the token of the new session is sent once.
    fleet.leap(2 * HOUR);
    for process in &processes {
        process.get().await.unwrap();
        fleet.advance(SECOND).await;
    }
    assert!(server.tokens_seen_once() >= 1);
    assert!(server.logins() >= 2);
}

#[tokio::test]
async fn rule_22_a_token_that_another_process_has_spent_in_vain_is_not_sent_by_a_later_start() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let process = fleet.start(rotating(&server));
    process.get().await.unwrap();
    fleet.leap(HOUR - 30 * SECOND);
    server.0.refreshes_fail.store(true, SeqCst);
    process.get().await.unwrap();
    fleet.advance(SECOND).await;
    drop(process);
    // A month later.
    fleet.leap(29 * 24 * HOUR);
    let later = fleet.start(rotating(&server));
    assert_eq!(token(&later.get().await.unwrap()), "token-2");
    assert_eq!(server.tokens_seen_once(), 1);
}

#[tokio::test]
async fn rule_22_a_token_is_not_sent_where_the_notes_can_not_be_read() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let process = fleet.start(rotating(&server));
    process.get().await.unwrap();
    fleet.leap(HOUR - 30 * SECOND);
    server.0.refreshes_fail.store(true, SeqCst);
    process.get().await.unwrap();
    fleet.advance(SECOND).await;
    drop(process);
    assert_eq!(server.tokens_seen_once(), 1);
    // They are sealed with a key that this one does not have yet.
    let store = Faulty::new(&fleet.store);
    store.0.spoils_notes.store(true, SeqCst);
    fleet.leap(HOUR);
    let later = fleet.start_with(rotating(&server), store.clone());
    assert_eq!(token(&later.get().await.unwrap()), "token-2");
    assert_eq!(server.tokens_seen_once(), 1);
    // The next session has notes of its own.
    store.0.spoils_notes.store(false, SeqCst);
    server.0.refreshes_fail.store(false, SeqCst);
    fleet.leap(HOUR);
    assert_eq!(token(&later.get().await.unwrap()), "token-1002");
    assert_eq!((server.logins(), server.tokens_seen_once()), (2, 2));
}

#[tokio::test]
async fn rule_3_a_refresh_has_its_time_after_its_token_was_marked() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let store = Faulty::new(&fleet.store);
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(rotating(&server))
        .clock(clock.clock())
        .login_timeout(5 * SECOND)
        .store(store.clone())
        .build();
    process.get().await.unwrap();
    fleet.leap(HOUR);
    let (saves, refreshes) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    *server.0.refresh_gate.lock() = Some(Arc::clone(&refreshes));
    let get = tokio::spawn(async move { process.get().await.map(|got| token(&got)) });
    settle().await;
    fleet.advance(SECOND * 3 / 2).await;
    saves.add_permits(10);
    settle().await;
    assert_eq!(server.tokens_seen_once(), 1);
    fleet.advance(SECOND * 24 / 5).await;
    refreshes.add_permits(1);
    settle().await;
    assert!(get.is_finished(), "it was given up");
    assert_eq!(get.await.unwrap().unwrap(), "token-1001");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_22_a_refusal_that_comes_after_the_close_is_noted() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    for start in 0..3 {
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let process = fleet.start(server.program("wrong"));
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        let closing = process.clone();
        let closed = tokio::spawn(async move { closing.close().await });
        settle().await;
        gate.add_permits(1);
        let _ = get.await;
        fleet.advance(SECOND).await;
        closed.await.unwrap().unwrap();
        assert_eq!(server.logins(), 1, "start {start}");
    }
}

#[tokio::test]
async fn rule_19_a_close_during_a_renewal_leaves_the_new_session() {
    for logs_out in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        server.answers(|number| session(number, Lifetime::of(HOUR).idle(HOUR / 2)));
        let process = fleet.start(server.program("right"));
        process.get().await.unwrap();
        let gate = Arc::new(Semaphore::new(0));
        *server.0.gate.lock() = Some(Arc::clone(&gate));
        let renewing = process.clone();
        let renewed = tokio::spawn(async move { renewing.renew().await });
        settle().await;
        assert_eq!(server.logins(), 2);
        let closing = process.clone();
        let closed = tokio::spawn(async move {
            if logs_out {
                closing.log_out().await
            } else {
                closing.close().await
            }
        });
        settle().await;
        gate.add_permits(1);
        let _ = renewed.await.unwrap();
        closed.await.unwrap().unwrap();
        *server.0.gate.lock() = None;
        let next = fleet.start(server.program("right"));
        let found = token(&next.get().await.unwrap());
        if logs_out {
            let mut ended = server.0.logouts.lock().clone();
            ended.sort();
            assert_eq!(
                (found.as_str(), &ended[..]),
                ("token-3", &["token-1".to_owned(), "token-2".to_owned()][..])
            );
        } else {
            assert_eq!(
                (found.as_str(), server.0.logouts.lock().len()),
                ("token-2", 0)
            );
        }
    }
}

#[tokio::test]
async fn rule_19_a_close_while_the_session_is_saved_waits_for_that() {
    for logs_out in [false, true] {
        let (server, mut fleet) = (Server::new(), Fleet::new());
        let store = Faulty::new(&fleet.store);
        let saves = Arc::new(Semaphore::new(0));
        *store.0.save_gate.lock() = Some(Arc::clone(&saves));
        let process = fleet.start_with(server.program("right"), store);
        let mut get = Box::pin(process.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
        assert!(process.fresh().is_some(), "it is served, and being saved");
        let closing = process.clone();
        let closed = tokio::spawn(async move {
            if logs_out {
                closing.log_out().await
            } else {
                closing.close().await
            }
        });
        settle().await;
        assert!(!closed.is_finished());
        saves.add_permits(10);
        let _ = get.await;
        closed.await.unwrap().unwrap();
        let next = fleet.start(server.program("right"));
        let found = token(&next.get().await.unwrap());
        assert_eq!(found, if logs_out { "token-2" } else { "token-1" });
        assert_eq!(server.0.logouts.lock().len(), usize::from(logs_out));
    }
}

#[tokio::test]
async fn rule_22_a_token_that_the_store_does_not_know_as_spent_is_not_sent() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let first = session(number, Lifetime::of(HOUR))?;
        Ok(first.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(rotating(&server), store.clone());
    process.get().await.unwrap();
    fleet.leap(HOUR);
    for fault in [&store.0.save_fails, &store.0.fails] {
        fault.store(true, SeqCst);
        let by_password = format!("token-{}", server.logins() + 1);
        assert_eq!(token(&process.get().await.unwrap()), by_password);
        assert!(server.0.refreshes.lock().is_empty());
        fleet.leap(HOUR);
    }
}

#[tokio::test]
async fn rule_20_a_lease_is_extended_while_its_login_waits_for_a_permit() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let origin = fleet.store.seal().name(b"origin https://api.example.com");
    for id in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        let ask = PermitAsk {
            id,
            most: 10,
            window: 62 * SECOND,
            counts_for: 100 * SECOND,
        };
        fleet.store.permit(&origin, ask).await.unwrap();
    }
    let processes: Vec<_> = (0..3)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    let mut all = Box::pin(join_all(processes.iter().map(Credentials::get)));
    assert!(futures_util::poll!(&mut all).is_pending());
    fleet.advance(99 * SECOND).await;
    assert_eq!(server.logins(), 0);
    fleet.advance(3 * SECOND).await;
    for result in all.await {
        assert_eq!(token(&result.unwrap()), "token-1");
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_23_no_more_logins_than_the_quota_in_any_minute_by_all_processes() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let processes: Vec<_> = (0..8)
        .map(|_| fleet.start(server.program("right")))
        .collect();
    let mut seen = Vec::new();
    for second in 0..600 {
        for process in &processes {
            let process = process.clone();
            tokio::spawn(async move {
                let _ = process.get().await;
            });
        }
        let before = server.logins();
        fleet.advance(SECOND).await;
        seen.extend((before..server.logins()).map(|_| second));
    }
    assert!(seen.len() >= 10, "{seen:?}");
    for window in seen.windows(11) {
        assert!(window[10] - window[0] >= 60, "{seen:?}");
    }
}

#[tokio::test]
async fn rule_23_a_login_after_a_refused_refresh_that_counts_takes_a_permit_of_its_own() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let short = session(number, Lifetime::of(2 * SECOND))?;
        Ok(short.with_kept("refresh_token", &format!("first-{number}"))?)
    });
    server.0.refuses_refreshes.store(true, SeqCst);
    let counted = Refresh::with_kept("refresh_token").single_use();
    let counted = counted.counts_as_login();
    let processes: Vec<_> = (0..3)
        .map(|_| {
            let refresh = Some(counted.clone());
            fleet.start(Program {
                refresh,
                ..server.program("right")
            })
        })
        .collect();
    let sent = || server.logins() + server.0.refreshes.lock().len() as u64;
    let mut seen = Vec::new();
    for second in 0..130 {
        for process in &processes {
            let process = process.clone();
            tokio::spawn(async move {
                let _ = process.get().await;
            });
        }
        let before = sent();
        fleet.advance(SECOND).await;
        seen.extend((before..sent()).map(|_| second));
    }
    assert!(!server.0.refreshes.lock().is_empty() && seen.len() > 10);
    for window in seen.windows(11) {
        assert!(window[10] - window[0] >= 60, "{seen:?}");
    }
}

#[tokio::test]
async fn rule_23_the_permits_of_many_accounts_are_counted_by_the_store() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let mut waiting = Vec::new();
    for account in 0..30 {
        let other = Server::new();
        let origin = server.0.identity.origin().clone();
        let identity = Identity::new("shared", origin, format!("user-{account}"));
        let state = Arc::into_inner(other.0).unwrap();
        let other = Server(Arc::new(ServerState { identity, ..state }));
        let process = fleet.start(other.program("right"));
        let get = async move {
            process
                .get_with(auth_core::Ask::new().wait_for_quota())
                .await
        };
        waiting.push((tokio::spawn(get), other));
    }
    let logins = |waiting: &[(_, Server)]| -> u64 {
        waiting.iter().map(|(_, server)| server.logins()).sum()
    };
    fleet.advance(SECOND).await;
    assert_eq!(logins(&waiting), 10);
    fleet.advance(60 * SECOND).await;
    assert_eq!(logins(&waiting), 10, "the window and its margin are 62 s");
    fleet.advance(3 * SECOND).await;
    assert_eq!(logins(&waiting), 20);
    fleet.advance(64 * SECOND).await;
    assert_eq!(logins(&waiting), 30);
    for (get, _) in waiting {
        get.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn rule_23_a_retry_after_holds_all_that_share_the_store() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let one = fleet.start(server.program("right"));
    let limited = one.get_with(auth_core::Ask::new().fail_fast()).await;
    assert!(limited.unwrap_err().is_rate_limited());
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let told = {
        let mut get = Box::pin(other.get_with(auth_core::Ask::new().fail_fast()));
        assert!(futures_util::poll!(&mut get).is_pending());
        fleet.advance(SECOND).await;
        get.await.unwrap_err()
    };
    let Error::QuotaSpent { retry_after } = told else {
        panic!("{told:?}");
    };
    assert!(retry_after > 25 * SECOND, "{retry_after:?}");
    assert_eq!(server.logins(), 1);
    fleet.advance(30 * SECOND).await;
    assert!(other.get().await.is_ok());
}

#[tokio::test]
async fn rule_24_without_its_store_a_process_logs_in_by_itself_with_a_fifth_of_the_quota() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| session(number, Lifetime::of(10 * SECOND)));
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    for _ in 0..120 {
        let process = process.clone();
        tokio::spawn(async move {
            let _ = process.get().await;
        });
        fleet.advance(SECOND).await;
    }
    assert_eq!(server.logins(), 4, "two in a minute");
    let failed = fleet.events(|event| matches!(event, Event::StoreFailed { .. }));
    assert!(
        (1..=24).contains(&failed),
        "{failed}: it is left alone for 5 s"
    );
}

#[tokio::test]
async fn rule_24_what_was_obtained_without_the_store_is_saved_when_it_is_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    let other = fleet.start(server.program("right"));
    assert_eq!(token(&other.get().await.unwrap()), "token-1");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_what_was_obtained_without_the_store_is_left_there_by_a_close() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.fails.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    // The store is asked again from then on, and the cache has not looked yet.
    fleet.leap(6 * SECOND);
    process.close().await.unwrap();
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_values_that_roll_without_the_store_are_saved_when_it_is_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR)))
    });
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let first = process.get().await.unwrap();
    store.0.fails.store(true, SeqCst);
    let rolled = crate::support::set_cookie("sid=rolled; Path=/");
    Attempt::new(&process, &first).cookies_set(&rolled);
    fleet.advance(SECOND).await;
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    let other = fleet.start(server.program("right"));
    assert_eq!(other.get().await.unwrap().cookie("sid"), Some("rolled"));
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_values_that_rolled_without_the_store_are_not_lost_to_an_older_revision() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    server.answers(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(HOUR).idle(60 * SECOND)))
    });
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    let first = one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(10 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    let rolled = crate::support::set_cookie("sid=rolled; Path=/");
    Attempt::new(&one, &first).cookies_set(&rolled);
    // The deadline of the other's session moves, and it saves that.
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(12 * SECOND).await;
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    for process in [&one, &other] {
        assert_eq!(process.peek().unwrap().cookie("sid"), Some("rolled"));
    }
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_a_session_goes_on_and_a_slow_store_costs_two_seconds() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    process.get().await.unwrap();
    store.0.hangs.store(true, SeqCst);
    assert!(process.fresh().is_some());
    let current = process.get().await.unwrap();
    Attempt::new(&process, &current).rejected();
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    fleet.advance(3 * SECOND).await;
    assert_eq!(token(&get.await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_23_the_others_are_held_before_they_can_have_the_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let holds = Arc::new(Semaphore::new(0));
    *store.0.hold_gate.lock() = Some(Arc::clone(&holds));
    server.answers(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let fail_fast = auth_core::Ask::new().fail_fast();
    let one = fleet.start_with(server.program("right"), store);
    let first = tokio::spawn(async move { one.get_with(fail_fast).await.map(|got| token(&got)) });
    settle().await;
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let second =
        tokio::spawn(async move { other.get_with(fail_fast).await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert_eq!(server.logins(), 1);
    holds.add_permits(1);
    assert!(first.await.unwrap().unwrap_err().is_rate_limited());
    fleet.advance(SECOND).await;
    let told = second.await.unwrap().unwrap_err();
    assert!(matches!(told, Error::QuotaSpent { .. }), "{told:?}");
    assert_eq!(server.logins(), 1);
}

#[tokio::test]
async fn rule_24_a_quota_that_was_spent_is_spent_though_the_store_fails() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let origin = fleet.store.seal().name(b"origin https://api.example.com");
    for id in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        let ask = PermitAsk {
            id,
            most: 10,
            window: 62 * SECOND,
            counts_for: 100 * SECOND,
        };
        fleet.store.permit(&origin, ask).await.unwrap();
    }
    let store = Faulty::new(&fleet.store);
    let process = fleet.start_with(server.program("right"), store.clone());
    let get = tokio::spawn(async move { process.get().await.map(|got| token(&got)) });
    fleet.advance(2 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    fleet.advance(96 * SECOND).await;
    assert_eq!(server.logins(), 0, "none is free before");
    fleet.advance(4 * SECOND).await;
    assert_eq!(get.await.unwrap().unwrap(), "token-1");
}

#[tokio::test]
async fn rule_24_a_logout_that_the_store_is_not_told_of_is_an_error() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    for fault in 0..2 {
        let store = Faulty::new(&fleet.store);
        let fault = [&store.0.fails, &store.0.save_fails][fault];
        fault.store(true, SeqCst);
        let command = fleet.start_with(server.program("right"), store.clone());
        let error = command.log_out().await.unwrap_err();
        let kind = error.login_error().map(LoginError::kind);
        assert_eq!(kind, Some(LoginErrorKind::Unavailable), "{error:?}");
    }
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_24_a_seal_that_panics_is_a_store_in_trouble() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let store = Faulty::new(&fleet.store);
    store.0.seal_panics.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store);
    assert_eq!(token(&process.get().await.unwrap()), "token-2");
    assert_eq!(
        fleet.events(|event| matches!(event, Event::StoreFailed { .. })),
        1
    );
}

#[test]
fn rule_17_what_is_stored_is_not_printed() {
    // The store in memory seals nothing.
    let sealed = b"canary".to_vec();
    let stored = Stored {
        sealed: sealed.clone(),
        age: SECOND,
    };
    let entry = Entry {
        session: Some(stored.clone()),
        notes: Some(stored),
        ..Entry::default()
    };
    let kept = Kept {
        sealed: sealed.clone(),
        saved: ManualClock::new().clock().now(),
        keep_for: SECOND,
    };
    let change = Change {
        version: auth_core::store::Version::default(),
        session: SessionChange::Save(sealed.clone(), SECOND),
        notes: NotesChange::Save(sealed, SECOND),
        releases: None,
    };
    let printed = format!("{entry:?} {kept:?} {change:?}");
    assert!(!printed.contains("99, 97, 110"), "{printed}");
    assert!(printed.contains("6 bytes"), "{printed}");
}

#[tokio::test]
async fn rule_24_a_store_that_panics_is_one_in_trouble() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.panics.store(true, SeqCst);
    let process = fleet.start_with(server.program("right"), store.clone());
    assert_eq!(token(&process.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_25_no_session_of_another_variant_or_account_is_found() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let tenant = Program {
        variant: "tenant-b",
        ..server.program("right")
    };
    let other = fleet.start(tenant);
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_25_what_was_moved_in_place_is_not_found_and_is_replaced() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    *store.0.serves.lock() = Some(Entry {
        version: auth_core::store::Version {
            epoch: 7,
            fence: 3,
            revision: 0,
        },
        session: Some(auth_core::store::Stored {
            sealed: fleet
                .store
                .seal()
                .seal("session form=1\n", b"another")
                .unwrap(),
            age: SECOND,
        }),
        ..Entry::default()
    });
    let process = fleet.start_with(server.program("right"), store.clone());
    assert_eq!(token(&process.get().await.unwrap()), "token-1");
    let unreadable = fleet.events(|event| matches!(event, Event::StoredUnreadable { .. }));
    assert!(unreadable >= 1);
}

#[tokio::test]
async fn rule_19_close_leaves_the_session_and_log_out_ends_it_for_all() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let (one, other) = (
        fleet.start(server.program("right")),
        fleet.start(server.program("right")),
    );
    one.get().await.unwrap();
    other.get().await.unwrap();
    one.close().await.unwrap();
    assert!(server.0.logouts.lock().is_empty());
    assert!(other.fresh().is_some());
    // By a command that has not used it yet.
    let command = fleet.start(server.program("right"));
    command.log_out().await.unwrap();
    assert_eq!(*server.0.logouts.lock(), ["token-1"]);
    fleet.advance(2 * SECOND).await;
    assert!(other.fresh().is_none(), "it was told");
    assert_eq!(token(&other.get().await.unwrap()), "token-2");
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_19_a_superseded_session_is_not_logged_out_where_another_may_use_it() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let clock = ManualClock::new();
    fleet.clocks.push(clock.clone());
    let process = Credentials::builder(server.program("right"))
        .clock(clock.clock())
        .store(fleet.store.clone())
        .log_out_superseded(SECOND)
        .build();
    process.get().await.unwrap();
    process.renew().await.unwrap();
    fleet.advance(10 * SECOND).await;
    assert_eq!(server.logins(), 2);
    assert!(server.0.logouts.lock().is_empty());
}

fn rolling(server: &Server, lifetime: Lifetime) {
    server.answers(move |number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(lifetime))
    });
}

/// A response of the server to a request with the current session sets the cookie.
fn roll(process: &Credentials, line: &'static str) {
    let current = process.peek().unwrap();
    let rolled = crate::support::set_cookie(line);
    Attempt::new(process, &current).cookies_set(&rolled);
}

#[tokio::test]
async fn rule_24_values_of_a_session_that_is_gone_leave_those_of_the_next_one_alone() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    store.0.fails.store(true, SeqCst);
    roll(&one, "sid=rolled; Path=/");
    fleet.advance(SECOND).await;
    // The other logs in anew meanwhile.
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).rejected();
    other.get().await.unwrap();
    store.0.fails.store(false, SeqCst);
    let mut waited = 0;
    while one.peek().unwrap().cookie("sid") != Some("s-2") {
        fleet.advance(SECOND).await;
        waited += 1;
        assert!(waited < 20);
    }
    roll(&other, "sid=newest; Path=/");
    fleet.advance(20 * SECOND).await;
    for process in [&one, &other] {
        assert_eq!(process.peek().unwrap().cookie("sid"), Some("newest"));
    }
    assert_eq!(server.logins(), 2);
}

#[tokio::test]
async fn rule_21_a_close_leaves_what_another_has_saved_meanwhile() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(2 * SECOND).await;
    let gate = Arc::new(Semaphore::new(0));
    *server.0.gate.lock() = Some(Arc::clone(&gate));
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let renewing = one.clone();
    let renewed = tokio::spawn(async move { renewing.renew().await });
    settle().await;
    assert_eq!(server.logins(), 2);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    roll(&one, "sid=rolled; Path=/");
    settle().await;
    let closing = one.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    // It was being saved at the close.
    saves.add_permits(1);
    fleet.advance(3 * SECOND).await;
    assert_eq!(other.peek().unwrap().cookie("sid"), Some("rolled"));
    roll(&other, "sid=newest; Path=/");
    fleet.advance(SECOND).await;
    assert!(!closed.is_finished());
    saves.add_permits(10);
    gate.add_permits(1);
    settle().await;
    let _ = renewed.await.unwrap();
    closed.await.unwrap().unwrap();
    fleet.advance(3 * SECOND).await;
    assert_eq!(other.peek().unwrap().cookie("sid"), Some("newest"));
}

#[tokio::test]
async fn rule_24_a_hold_that_fails_keeps_no_lease() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    store.0.hold_fails.store(true, SeqCst);
    server.answers(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let fail_fast = auth_core::Ask::new().fail_fast();
    let one = fleet.start_with(server.program("right"), store);
    assert!(one.get_with(fail_fast).await.is_err());
    server.answers(|number| session(number, Lifetime::of(HOUR)));
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
}

#[tokio::test]
async fn rule_24_values_that_rolled_without_the_store_are_not_lost_by_a_renewal() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR).idle(60 * SECOND));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(10 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    roll(&one, "sid=rolled; Path=/");
    // The deadline of the other's session moves, and it saves that.
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(12 * SECOND).await;
    store.0.fails.store(false, SeqCst);
    fleet.leap(6 * SECOND);
    let renewed = one.renew().await.unwrap();
    assert_ne!(renewed.cookie("sid"), Some("s-1"), "{}", server.logins());
}

#[tokio::test]
async fn rule_21_a_close_does_not_bring_a_rejected_session_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR).idle(60 * SECOND));
    let one = fleet.start(server.program("right"));
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    server.answers(|_| Err(LoginError::unavailable("status 503")));
    let fail_fast = auth_core::Ask::new().fail_fast();
    let current = one.peek().unwrap();
    Attempt::new(&one, &current).rejected();
    assert!(one.get_with(fail_fast).await.is_err());
    // It has not looked yet.
    other.close().await.unwrap();
    rolling(&server, Lifetime::of(HOUR).idle(60 * SECOND));
    fleet.leap(10 * SECOND);
    let next = fleet.start(server.program("right"));
    let found = next.get().await.unwrap();
    assert_ne!(found.cookie("sid"), Some("s-1"));
}

#[tokio::test]
async fn rule_15_a_revision_of_another_process_moves_no_idle_deadline_back() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR).idle(120 * SECOND));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    let other = fleet.start(server.program("right"));
    other.get().await.unwrap();
    fleet.advance(10 * SECOND).await;
    store.0.fails.store(true, SeqCst);
    // Until 130 s.
    roll(&other, "sid=rolled; Path=/");
    let current = other.peek().unwrap();
    Attempt::new(&other, &current).accepted();
    fleet.advance(40 * SECOND).await;
    // Until 170 s.
    let current = one.peek().unwrap();
    Attempt::new(&one, &current).accepted();
    store.0.fails.store(false, SeqCst);
    fleet.advance(20 * SECOND).await;
    assert_eq!(one.peek().unwrap().cookie("sid"), Some("rolled"));
    fleet.advance(70 * SECOND).await;
    assert!(one.fresh().is_some(), "140 s");
}

#[tokio::test]
async fn rule_21_a_slow_store_is_not_saved_to_again_and_again() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    rolling(&server, Lifetime::of(HOUR));
    let store = Faulty::new(&fleet.store);
    let one = fleet.start_with(server.program("right"), store.clone());
    one.get().await.unwrap();
    fleet.advance(2 * SECOND).await;
    let before = store.0.saves.load(SeqCst);
    let saves = Arc::new(Semaphore::new(0));
    *store.0.save_gate.lock() = Some(Arc::clone(&saves));
    roll(&one, "sid=rolled; Path=/");
    fleet.advance(SECOND / 2).await;
    roll(&one, "sid=again; Path=/");
    for _ in 0..40 {
        // Each save takes a second and a half.
        fleet.advance(3 * SECOND / 2).await;
        saves.add_permits(1);
        settle().await;
    }
    let times = store.0.saves.load(SeqCst) - before;
    assert!(times <= 3, "{times} saves of two values");
}

#[tokio::test]
async fn rule_24_a_logout_that_always_comes_too_late_for_the_store_is_an_error() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    fleet.start(server.program("right")).get().await.unwrap();
    let store = Faulty::new(&fleet.store);
    store.0.end_races.store(true, SeqCst);
    let command = fleet.start_with(server.program("right"), store.clone());
    let result = command.log_out().await;
    let next = fleet.start(server.program("right"));
    assert_eq!(token(&next.get().await.unwrap()), "token-1", "not told");
    assert!(result.is_err(), "{result:?}");
}

#[tokio::test]
async fn rule_20_a_lease_that_is_taken_after_its_login_was_given_up_is_released() {
    let (server, mut fleet) = (Server::new(), Fleet::new());
    let store = Faulty::new(&fleet.store);
    let arrives = Arc::new(Semaphore::new(0));
    *store.0.late_leases.lock() = Some(Arc::clone(&arrives));
    let process = fleet.start_with(server.program("right"), store);
    let mut get = Box::pin(process.get());
    assert!(futures_util::poll!(&mut get).is_pending());
    settle().await;
    let closing = process.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    settle().await;
    assert!(get.await.is_err());
    closed.await.unwrap().unwrap();
    arrives.add_permits(1);
    settle().await;
    let other = fleet.start(server.program("right"));
    let waiting = tokio::spawn(async move { other.get().await.map(|got| token(&got)) });
    fleet.advance(4 * SECOND).await;
    assert!(waiting.is_finished(), "nobody has the lease");
    assert_eq!(waiting.await.unwrap().unwrap(), "token-1");
}

/// A store that fails as it is told.
#[derive(Clone)]
struct Faulty(Arc<Faults>);

struct Faults {
    inner: MemoryStore,
    fails: AtomicBool,
    save_fails: AtomicBool,
    hangs: AtomicBool,
    panics: AtomicBool,
    /// A lease is given, and the answer is lost.
    lease_hangs: AtomicBool,
    save_gate: Mutex<Option<Arc<Semaphore>>>,
    permit_gate: Mutex<Option<Arc<Semaphore>>>,
    /// It tells of no changes.
    is_silent: AtomicBool,
    loads: AtomicU64,
    /// The entry whose lease was asked for last.
    name: Mutex<String>,
    /// The changes that were asked for.
    changes: Mutex<Vec<Change>>,
    hold_gate: Mutex<Option<Arc<Semaphore>>>,
    hold_fails: AtomicBool,
    saves: AtomicU64,
    /// Another process saves a revision before each end of a session arrives.
    end_races: AtomicBool,
    serves: Mutex<Option<Entry>>,
    /// What asks for a lease arrives late, even if no one waits for the answer any more.
    late_leases: Mutex<Option<Arc<Semaphore>>>,
    /// What is saved arrives late, even if no one waits for the answer any more.
    late_saves: Mutex<Option<Arc<Semaphore>>>,
    spoils_notes: AtomicBool,
    seal_panics: AtomicBool,
    leases: AtomicU64,
    /// It answers that no login is needed, whatever is there.
    never_needs: AtomicBool,
    /// The longest time that a lease or a permit was asked for.
    longest: Mutex<Duration>,
}

impl Faulty {
    fn new(inner: &MemoryStore) -> Self {
        Self(Arc::new(Faults {
            inner: inner.clone(),
            fails: AtomicBool::new(false),
            save_fails: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            lease_hangs: AtomicBool::new(false),
            save_gate: Mutex::default(),
            permit_gate: Mutex::default(),
            is_silent: AtomicBool::new(false),
            loads: AtomicU64::new(0),
            name: Mutex::default(),
            changes: Mutex::default(),
            hold_gate: Mutex::default(),
            hold_fails: AtomicBool::new(false),
            saves: AtomicU64::new(0),
            end_races: AtomicBool::new(false),
            serves: Mutex::default(),
            late_leases: Mutex::default(),
            late_saves: Mutex::default(),
            spoils_notes: AtomicBool::new(false),
            seal_panics: AtomicBool::new(false),
            leases: AtomicU64::new(0),
            never_needs: AtomicBool::new(false),
            longest: Mutex::default(),
        }))
    }

    /// How many changes were asked for since it was asked last.
    fn changes(&self) -> usize {
        std::mem::take(&mut *self.0.changes.lock()).len()
    }

    fn ask_for(&self, lasts: Duration) {
        let mut longest = self.0.longest.lock();
        *longest = lasts.max(*longest);
    }

    fn spoil(&self, mut entry: Entry) -> Entry {
        if self.0.spoils_notes.load(SeqCst)
            && let Some(notes) = &mut entry.notes
        {
            notes.sealed.truncate(3);
        }
        entry
    }

    async fn fault(&self) -> Result<(), StoreError> {
        assert!(!self.0.panics.load(SeqCst), "as told");
        if self.0.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.0.fails.load(SeqCst) {
            return Err(StoreError::new("as told").with_source("the disk is full"));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Faulty {
    fn seal(&self) -> &dyn Seal {
        &*self.0
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        self.fault().await?;
        self.0.loads.fetch_add(1, SeqCst);
        self.0.inner.load(name).await.map(|entry| self.spoil(entry))
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        self.0.leases.fetch_add(1, SeqCst);
        self.ask_for(ask.lasts);
        self.fault().await?;
        name.clone_into(&mut self.0.name.lock());
        let late = self.0.late_leases.lock().clone();
        if let Some(late) = late {
            let (store, name, owner) =
                (self.0.inner.clone(), name.to_owned(), ask.owner.to_owned());
            let (lasts, known) = (ask.lasts, ask.known);
            let (rejected, only_extends) = (ask.rejected, ask.only_extends);
            tokio::spawn(async move {
                late.acquire().await.unwrap().forget();
                let ask = LeaseAsk {
                    owner: &owner,
                    lasts,
                    known,
                    rejected,
                    only_extends,
                };
                store.lease(&name, ask).await.unwrap();
            });
            std::future::pending::<()>().await;
        }
        let serves = self.0.serves.lock().clone();
        if let Some(entry) = serves.filter(|_| ask.known.is_none()) {
            let lease = auth_core::store::Lease::NotNeeded;
            let epoch = entry.version.epoch;
            return Ok(LeaseAnswer {
                lease,
                epoch,
                entry,
            });
        }
        if self.0.never_needs.load(SeqCst) {
            // A task that spins would keep this thread.
            tokio::task::yield_now().await;
            return Ok(LeaseAnswer {
                lease: auth_core::store::Lease::NotNeeded,
                epoch: 7,
                entry: self.0.inner.load(name).await?,
            });
        }
        let mut answer = self.0.inner.lease(name, ask).await?;
        if self.0.lease_hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        answer.entry = self.spoil(answer.entry);
        Ok(answer)
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        self.fault().await?;
        self.0.changes.lock().push(change.clone());
        if self.0.save_fails.load(SeqCst) {
            return Err(StoreError::new("as told"));
        }
        self.0.saves.fetch_add(1, SeqCst);
        if self.0.end_races.load(SeqCst) && matches!(change.session, SessionChange::End) {
            let mut version = change.version;
            version.revision += 1;
            return Ok(Saved::Newer(version));
        }
        let gate = self.0.save_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        let late = self.0.late_saves.lock().clone();
        if let Some(late) = late {
            let (store, name) = (self.0.inner.clone(), name.to_owned());
            let save = tokio::spawn(async move {
                late.acquire().await.unwrap().forget();
                store.save(&name, change).await
            });
            return save.await.unwrap();
        }
        self.0.inner.save(name, change).await
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        self.ask_for(ask.counts_for);
        self.fault().await?;
        let gate = self.0.permit_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.0.inner.permit(origin, ask).await
    }

    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError> {
        self.fault().await?;
        self.0.inner.end_permit(origin, id, counts_for).await
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        self.fault().await?;
        if self.0.hold_fails.load(SeqCst) {
            return Err(StoreError::new("as told"));
        }
        let gate = self.0.hold_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        self.0.inner.hold(origin, wait).await
    }

    async fn changed(&self, name: &str) {
        if self.0.is_silent.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        self.0.inner.changed(name).await;
    }
}

impl Seal for Faults {
    fn name(&self, text: &[u8]) -> String {
        self.inner.seal().name(text)
    }

    fn seal(&self, text: &str, context: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.inner.seal().seal(text, context)
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret, Unreadable> {
        assert!(!self.seal_panics.load(SeqCst), "as told");
        self.inner.seal().open(sealed, context)
    }
}
