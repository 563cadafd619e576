//! Thousands of operations in random order on a manual clock, checked against a small model.
//!
//! The model has the server's view: which sessions it issued, when, and how it responds to the next
//! login. It predicts each result that the contract determines. It leaves open only what jitter
//! decides.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::{Clock, ManualClock};
use auth_core::{
    Ask, Attempt, Conclusion, Credential, Credentials, CredentialsBuilder, Error, Event, Identity,
    Lifetime, LoginError, LoginErrorKind, Moment, Provider, Quota, Refresh, Secret, SecretSource,
    Session, Status,
};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::late_server::{LateServer, Trip};
use crate::support::{DAY, HOUR, SECOND, replay, set_cookie, settle};

const REFUSED_COOLDOWN: Duration = Duration::from_secs(900);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
/// Rule 12 counts answers that may be refusals in any window of this length.
const QUARTER: Duration = Duration::from_secs(900);
/// The longest wait after one of them, with its jitter.
const LONGEST_UNSURE: Duration = Duration::from_secs(1_080);
const FIRST_PROBATION: Duration = Duration::from_secs(5);
/// Small, so that it is often spent.
const LOGINS: u32 = 4;
const WINDOW: Duration = Duration::from_secs(62);
const TIMEOUT: Duration = CredentialsBuilder::DEFAULT_LOGIN_TIMEOUT;

fn quota() -> Quota {
    Quota::DEFAULT.at_most(LOGINS.try_into().unwrap())
}

#[derive(Clone, Debug)]
enum Operation {
    /// A caller gets a credential without waiting for the quota.
    Get,
    /// A caller forces a renewal.
    Renew,
    /// A response to the `n`th request from the end: accepted, rejected, or with a cookie that
    /// rolls or ends the session.
    Accept(usize),
    Reject(usize),
    Roll(usize),
    End(usize),
    /// A rejected request is replayed, and accepted or rejected again.
    Replay(bool),
    /// How the server responds to logins from now on, and when.
    Server(Mood),
    Stalls(Trip),
    /// Another account at the origin sends a login, and its handle is dropped at once.
    Vanish,
    /// Time passes: step by step, or in one step that no task sees, as when the machine sleeps.
    Pass(Duration),
    Sleep(Duration),
    /// The wall clock is set back.
    SetBack(Duration),
}

/// How the server answers logins and refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Good,
    /// Logins are good, and refreshes find the server down.
    CantRefresh,
    /// Logins are good, and refresh tokens are refused.
    Revokes,
    Down,
    /// The password, and not the refresh token.
    Refuses,
    Locks,
    /// The answers bring no session, and do not say why.
    Unclear,
    /// There are too many sessions.
    Full,
    Limits,
}

fn operation() -> impl Strategy<Value = Operation> {
    let seconds = |range: std::ops::Range<u64>| range.prop_map(Duration::from_secs);
    prop_oneof![
        8 => Just(Operation::Get),
        1 => Just(Operation::Renew),
        3 => (0..4_usize).prop_map(Operation::Accept),
        3 => (0..4_usize).prop_map(Operation::Reject),
        2 => any::<bool>().prop_map(Operation::Replay),
        1 => (0..4_usize).prop_map(Operation::Roll),
        1 => (0..4_usize).prop_map(Operation::End),
        2 => prop_oneof![
            3 => Just(Mood::Good), 2 => Just(Mood::CantRefresh), 1 => Just(Mood::Revokes), 1 => Just(Mood::Down),
            1 => Just(Mood::Refuses), 1 => Just(Mood::Locks), 2 => Just(Mood::Unclear),
            1 => Just(Mood::Full), 1 => Just(Mood::Limits)
        ].prop_map(Operation::Server),
        3 => trip().prop_map(Operation::Stalls),
        2 => Just(Operation::Vanish),
        4 => seconds(0..20).prop_map(Operation::Pass),
        2 => seconds(20..1_000).prop_map(Operation::Pass),
        2 => seconds(0..200).prop_map(Operation::Sleep),
        1 => seconds(1_000..9_000).prop_map(Operation::Sleep),
        1 => seconds(0..5_000).prop_map(Operation::SetBack),
    ]
}

/// A login arrives within its time-out, at any time until it is answered.
fn trip() -> impl Strategy<Value = Trip> {
    let stall = prop_oneof![1 => Just(0), 1 => 0..5_000_u64, 2 => 0..40_000_u64];
    (stall, 0..=100_u64).prop_map(|(stall, part)| {
        let millis = Duration::from_millis;
        Trip::of(millis(stall.min(29_999) * part / 100), millis(stall))
    })
}

/// The state of the server.
struct Server {
    mood: Mood,
    trip: Trip,
    /// When the last session was issued.
    issued: Option<Moment>,
    sessions: u64,
    /// Since the last session: when an answer came that may have been a refusal.
    unsure: Vec<Moment>,
    /// Since the last session: how many refusals there were, and when the last came.
    refusals: u32,
    refused: Option<Moment>,
    /// Whether an attempt was sent before the cooldown of a refusal had ended.
    asked_too_soon: bool,
    /// Whether the last attempt was a refresh that failed.
    refresh_failed: bool,
    /// How many logins in a row have brought no session, or none in time.
    failed_logins: u32,
    /// The refresh tokens that it has seen, and whether it saw one twice.
    seen: HashSet<String>,
    reused: bool,
}

impl Server {
    fn ask(&mut self, now: Moment) {
        self.refresh_failed = false;
        self.failed_logins += 1;
        if let Some(refused) = self.refused {
            let doubled = REFUSED_COOLDOWN * 2_u32.pow(self.refusals.min(8) - 1);
            self.asked_too_soon |= now.since(refused) < doubled.min(DAY);
        }
    }

    fn answer(&mut self, now: Moment) -> Result<Session, LoginError> {
        match self.mood {
            Mood::Good | Mood::CantRefresh | Mood::Revokes => {}
            Mood::Down => return Err(LoginError::unavailable("status 503")),
            Mood::Refuses | Mood::Locks => {
                self.refusals += 1;
                self.refused = Some(now);
                return Err(match self.mood {
                    Mood::Locks => LoginError::locked("status 423"),
                    _ => LoginError::refused("status 401"),
                });
            }
            Mood::Unclear => {
                self.unsure.push(now);
                return Err(LoginError::malformed("status 200"));
            }
            Mood::Full => return Err(LoginError::seats_exhausted("status 409")),
            Mood::Limits => return Err(LoginError::limited(Some(30 * SECOND))),
        }
        self.failed_logins = 0;
        self.unsure.clear();
        (self.refusals, self.refused) = (0, None);
        self.issue(now)
    }

    fn ask_refresh(&mut self, token: &str) {
        self.refresh_failed = true;
        self.reused |= !self.seen.insert(token.to_owned());
    }

    fn refresh(&mut self, now: Moment) -> Result<Session, LoginError> {
        match self.mood {
            Mood::CantRefresh | Mood::Down => Err(LoginError::unavailable("status 503")),
            Mood::Revokes => Err(LoginError::refused("status 400")),
            Mood::Limits => Err(LoginError::limited(Some(30 * SECOND))),
            _ => {
                self.refresh_failed = false;
                self.issue(now)
            }
        }
    }

    fn issue(&mut self, now: Moment) -> Result<Session, LoginError> {
        self.issued = Some(now);
        self.sessions += 1;
        let session = Session::new()
            .with_cookie("session", &format!("value-{}", self.sessions))?
            .with_kept_for("refresh", &format!("token-{}", self.sessions), 2 * HOUR)?;
        Ok(session.with_lifetime(Lifetime::of(HOUR).idle(HOUR / 2)))
    }
}

/// Logs in to the server, and refreshes with a token that can be used once.
struct Refreshing {
    identity: Identity,
    secret: SecretSource,
    late: LateServer,
    server: Arc<Mutex<Server>>,
    clock: Clock,
}

#[async_trait]
impl Provider for Refreshing {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn quota(&self) -> Quota {
        quota()
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        self.server.lock().ask(self.clock.now());
        self.late.receive().await;
        self.server.lock().answer(self.clock.now())
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_kept("refresh").single_use())
    }

    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        let token = current.kept("refresh").expect("it is asked for no other");
        self.server.lock().ask_refresh(token);
        self.late.receive_other().await;
        self.server.lock().refresh(self.clock.now())
    }
}

struct Model {
    clock: ManualClock,
    late: LateServer,
    server: Arc<Mutex<Server>>,
    credentials: Credentials,
    /// The requests sent so far, oldest first.
    sent: Vec<Attempt>,
    /// Generations that a believed rejection or a deleted cookie has ended.
    dead: HashSet<u64>,
    newest_served: u64,
    /// When rejections were believed, and of which generation.
    believed: Vec<(Moment, u64)>,
    /// When a rejection was last believed, if no replay was accepted since, but at the told end.
    unproven: Option<Moment>,
    /// Generations that a refresh has returned, and those with which a request was accepted.
    refreshed: Arc<Mutex<HashSet<u64>>>,
    accepted: HashSet<u64>,
}

impl Model {
    fn new() -> Self {
        let clock = ManualClock::new();
        let server = Arc::new(Mutex::new(Server {
            mood: Mood::Good,
            trip: Trip::of(Duration::ZERO, Duration::ZERO),
            issued: None,
            sessions: 0,
            unsure: Vec::new(),
            refusals: 0,
            refused: None,
            asked_too_soon: false,
            refresh_failed: false,
            failed_logins: 0,
            seen: HashSet::new(),
            reused: false,
        }));
        let plan = Arc::clone(&server);
        let late = LateServer::new(&clock, move |_| plan.lock().trip);
        let provider = Refreshing {
            identity: LateServer::identity("me"),
            secret: "correct horse".into(),
            late: late.clone(),
            server: Arc::clone(&server),
            clock: clock.clock(),
        };
        let refreshed = Arc::new(Mutex::new(HashSet::new()));
        let log = Arc::clone(&refreshed);
        let credentials = Credentials::builder(provider)
            .clock(clock.clock())
            .observer(move |_: &Identity, event: &Event| {
                if let Event::Refreshed { stamp, .. } = event {
                    log.lock().insert(stamp.generation());
                }
            })
            .refused_cooldown(REFUSED_COOLDOWN)
            .backoff(SECOND, LONGEST_BACKOFF)
            .build();
        Self {
            clock,
            late,
            server,
            credentials,
            sent: Vec::new(),
            dead: HashSet::new(),
            newest_served: 0,
            believed: Vec::new(),
            unproven: None,
            refreshed,
            accepted: HashSet::new(),
        }
    }

    fn now(&self) -> Moment {
        self.clock.clock().now()
    }

    fn attempts(&self) -> usize {
        self.late.sent().len()
    }

    async fn run(&mut self, operation: &Operation) {
        let before = self.attempts();
        match operation {
            Operation::Get => self.get(Ask::new().fail_fast()).await,
            Operation::Renew => self.get(Ask::new().fail_fast().renewed()).await,
            Operation::Accept(back) => {
                if let Some(attempt) = self.request(*back) {
                    self.accept(&attempt);
                    assert_eq!(
                        self.attempts(),
                        before,
                        "an accepted response starts nothing"
                    );
                }
            }
            Operation::Reject(back) => {
                if let Some(attempt) = self.request(*back) {
                    self.reject(&attempt);
                }
            }
            Operation::Replay(accepted) => self.replay(*accepted).await,
            Operation::Roll(back) => self.set_cookie(*back, "session=rolled; Max-Age=600"),
            Operation::End(back) => self.set_cookie(*back, "session=; Max-Age=0"),
            Operation::Server(mood) => self.server.lock().mood = *mood,
            Operation::Stalls(trip) => self.server.lock().trip = *trip,
            Operation::Vanish => self.vanish().await,
            Operation::Pass(time) => self.late.pass(*time).await,
            Operation::Sleep(time) => self.clock.advance(*time),
            Operation::SetBack(time) => self.clock.set_wall_back(*time),
        }
        settle().await;
        self.check();
    }

    /// Its login may arrive at the server though no task waits for it.
    async fn vanish(&self) {
        let name = format!("account-{}", self.attempts());
        let other = self.late.account(&name, quota()).build();
        let mut get = Box::pin(other.get_with(Ask::new().fail_fast()));
        let _ = futures_util::poll!(&mut get);
        settle().await;
    }

    fn request(&self, back: usize) -> Option<Attempt> {
        self.sent.iter().rev().nth(back).cloned()
    }

    async fn get(&mut self, ask: Ask) {
        let renewed = ask == Ask::new().fail_fast().renewed();
        let before = self.attempts();
        let served = self.credentials.peek();
        let (began, lasts) = (self.now(), self.credentials.status().expires_in);
        let get = self.credentials.get_with(ask);
        match self.late.until_ready(get).await {
            Ok(credential) => {
                let generation = credential.stamp().generation();
                assert!(
                    !self.dead.contains(&generation),
                    "rule 7: generation {generation} was rejected"
                );
                assert!(
                    generation >= self.newest_served,
                    "an older generation is never served again"
                );
                assert!(
                    !renewed || generation > self.newest_served || served.is_none(),
                    "a forced renewal returns a new generation"
                );
                self.newest_served = generation;
                self.sent.push(Attempt::new(&self.credentials, &credential));
            }
            Err(error) => {
                assert!(
                    renewed || served.is_none(),
                    "rule 13: a good credential was there: {error}"
                );
                let (mood, trip, refresh_failed) = {
                    let now = self.server.lock();
                    (now.mood, now.trip, now.refresh_failed)
                };
                // A login follows a renewal that has failed if the session is over meanwhile.
                let is_over =
                    lasts.is_some_and(|lasts| !lasts.is_zero() && lasts <= self.now().since(began));
                let is_quota_spent = matches!(error, Error::QuotaSpent { .. });
                if self.attempts() > before {
                    let expected = match mood {
                        _ if renewed && is_over && is_quota_spent => true,
                        _ if trip.answered >= Some(TIMEOUT) => error.is_unavailable(),
                        Mood::Good => panic!("the login succeeds: {error}"),
                        Mood::CantRefresh | Mood::Revokes => {
                            panic!("the login that follows succeeds: {error}")
                        }
                        Mood::Down | Mood::Unclear => error.is_unavailable(),
                        Mood::Refuses => error.is_login_refused(),
                        Mood::Locks => error.is_locked(),
                        Mood::Full => error.is_seats_exhausted(),
                        Mood::Limits => error.is_rate_limited(),
                    };
                    assert!(expected, "{mood:?}: {error:?}");
                } else {
                    let wait = error
                        .retry_after()
                        .expect("an error without an attempt states the wait");
                    let longest = match error.login_error().map(LoginError::kind) {
                        None => TIMEOUT + WINDOW,
                        Some(LoginErrorKind::Refused | LoginErrorKind::Locked) => DAY,
                        Some(LoginErrorKind::Malformed) => LONGEST_UNSURE,
                        Some(LoginErrorKind::SeatsExhausted) => QUARTER,
                        Some(_) => LONGEST_BACKOFF,
                    };
                    assert!(wait <= longest, "{wait:?} for {error:?}");
                    let of_login = self.server.lock().failed_logins > 0;
                    assert!(
                        renewed || !refresh_failed || error.login_error().is_none() || of_login,
                        "rule 6: a failed refresh holds a login back: {error:?}"
                    );
                }
            }
        }
    }

    fn accept(&mut self, attempt: &Attempt) {
        let generation = attempt.stamp().generation();
        let current = self.credentials.status().stamp;
        if current.is_some_and(|current| current.generation() == generation) {
            self.accepted.insert(generation);
        }
        attempt.accepted();
    }

    fn reject(&mut self, attempt: &Attempt) -> Conclusion {
        let status = self.credentials.status();
        let conclusion = attempt.rejected();
        let was_current = status.stamp == Some(attempt.stamp());
        match conclusion {
            Conclusion::Replay if was_current => {
                let now = self.now();
                let told_end = self.believed(&status, attempt.stamp().generation());
                let generation = attempt.stamp().generation();
                let first_use = self.refreshed.lock().contains(&generation)
                    && !self.accepted.contains(&generation);
                if !told_end
                    && !first_use
                    && let Some(last) = self.unproven.replace(now)
                {
                    assert!(
                        now.since(last) >= FIRST_PROBATION,
                        "rule 8: believed on probation"
                    );
                }
            }
            Conclusion::Replay => {}
            _ => {
                assert!(
                    was_current,
                    "only a rejection of the current credential can be doubted"
                );
                assert_eq!(
                    self.credentials.status().stamp,
                    status.stamp,
                    "rule 8: the session is kept"
                );
            }
        }
        conclusion
    }

    /// The response that ends this generation was believed. Returns whether it came at the told end
    /// of the life.
    fn believed(&mut self, before: &Status, generation: u64) -> bool {
        self.dead.insert(generation);
        let soon = |left: Option<Duration>| left.is_some_and(|left| left <= SECOND);
        let told_end = soon(before.expires_in) || soon(before.idle_in);
        if !told_end {
            self.believed.push((self.now(), generation));
        }
        told_end
    }

    async fn replay(&mut self, accepted: bool) {
        let Some(first) = self.request(0) else {
            return;
        };
        if self.reject(&first) != Conclusion::Replay {
            return;
        }
        let get = self.credentials.get_with(Ask::new().fail_fast());
        let Ok(credential) = self.late.until_ready(get).await else {
            return;
        };
        assert!(
            credential.stamp() > first.stamp(),
            "rule 8: the replay carries a newer credential"
        );
        self.newest_served = credential.stamp().generation();
        let second = replay(&self.credentials, &credential);
        if accepted {
            self.accept(&second);
            self.unproven = None;
        } else {
            self.reject(&second);
        }
    }

    fn set_cookie(&mut self, back: usize, line: &'static str) {
        let Some(attempt) = self.request(back) else {
            return;
        };
        if self.credentials.peek().is_none() {
            return;
        }
        let before = self.credentials.status();
        attempt.cookies_set(&set_cookie(line));
        if before.stamp != Some(attempt.stamp()) {
            assert_eq!(
                self.credentials.status(),
                before,
                "rule 15: only responses to the current revision count"
            );
        } else if line.ends_with("Max-Age=0") {
            // The session has ended. If the deletion was doubted, the session is unchanged.
            let after = self.credentials.status();
            assert!(after.stamp.is_none() || after.stamp == before.stamp);
            if let (None, Some(ended)) = (after.stamp, before.stamp) {
                self.believed(&before, ended.generation());
            }
        }
    }

    /// Checks the invariants that hold after every operation.
    fn check(&self) {
        let now = self.now();
        let server = self.server.lock();
        assert!(
            !server.asked_too_soon,
            "rule 12: a refused password is not tried again"
        );
        assert!(!server.reused, "rule 6: a refresh token is sent twice");
        for start in &server.unsure {
            let in_quarter =
                |at: &&Moment| at.since(*start) < QUARTER && start.since(**at) == Duration::ZERO;
            let answers = server.unsure.iter().filter(in_quarter).count();
            assert!(answers <= 4, "rule 12: {answers} that may be refusals");
        }
        let most = self.late.most_in(WINDOW);
        assert!(
            most <= LOGINS as usize,
            "rule 10: {most} arrivals in a window"
        );
        // Those that a refresh has followed don't count.
        let refreshed = self.refreshed.lock();
        let believed = (self.believed.iter())
            .filter(|(_, generation)| !refreshed.contains(&(generation + 1)))
            .map(|(at, _)| *at);
        for start in believed.clone() {
            let in_minute = (believed.clone())
                .filter(|at| at.since(start) < 60 * SECOND && start.since(*at) == Duration::ZERO);
            // A fourth may be believed if the login of the third has failed: only logins count.
            assert!(
                in_minute.count() <= 3 + self.attempts() / 4,
                "rule 8: rejections believed in a minute"
            );
        }
        if let Some(served) = self.credentials.peek() {
            let issued = server.issued.expect("a served session was issued");
            assert!(
                now.since(issued) < HOUR || served.stamp().revision() > 0,
                "rule 14: past its hard expiry"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_operations_keeps_the_contract(
        operations in prop::collection::vec(operation(), 1..300),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new();
            for operation in &operations {
                model.run(operation).await;
            }
        });
    }
}

/// Found in random order: its session ends while it is renewed by force, and the login that follows
/// the failed renewal finds the quota spent.
#[tokio::test]
async fn a_login_that_follows_a_failed_renewal_may_find_the_quota_spent() {
    let too_late = Trip::of(Duration::ZERO, TIMEOUT + Duration::from_millis(1));
    let mut model = Model::new();
    for operation in [
        Operation::Get,
        Operation::Pass(HOUR - 84 * SECOND),
        Operation::Stalls(too_late),
        Operation::Get,
        Operation::Vanish,
        Operation::Vanish,
        Operation::Pass(19 * SECOND),
        Operation::Renew,
    ] {
        model.run(&operation).await;
    }
    let turned_away = model.credentials.get_with(Ask::new().fail_fast()).await;
    assert!(matches!(turned_away, Err(Error::QuotaSpent { .. })));
}
