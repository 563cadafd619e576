//! Thousands of operations in random order over manual time, against a small model of what must hold.
//!
//! The model knows the server's side: which sessions it issued, when, and what it says to the next login. It predicts each
//! result that the contract determines, and leaves open only what jitter decides.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Attempt, Conclusion, Credentials, Error, Lifetime, LoginError, Moment, Session,
};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::support::{HOUR, SECOND, on, replay, set_cookie, settle};

const REFUSED_COOLDOWN: Duration = Duration::from_secs(900);
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);
const QUOTA: usize = 10;
const WINDOW: Duration = Duration::from_secs(62);

#[derive(Clone, Debug)]
enum Operation {
    /// Somebody asks, and doesn't wait for the quota.
    Get,
    /// Somebody insists on a new one.
    Renew,
    /// An answer to the `n`th request but last: accepted, rejected, or with a cookie that rolls or ends the session.
    Accept(usize),
    Reject(usize),
    Roll(usize),
    End(usize),
    /// A rejected request is sent once more and accepted, or rejected again.
    Replay(bool),
    /// From now on, this is what logins get.
    Server(Mood),
    /// Time passes.
    Pass(Duration),
    /// The wall clock is set.
    SetBack(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Good,
    Down,
    Refuses,
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
            3 => Just(Mood::Good), 1 => Just(Mood::Down), 1 => Just(Mood::Refuses), 1 => Just(Mood::Limits)
        ].prop_map(Operation::Server),
        4 => seconds(0..20).prop_map(Operation::Pass),
        2 => seconds(20..1_000).prop_map(Operation::Pass),
        1 => seconds(1_000..9_000).prop_map(Operation::Pass),
        1 => seconds(0..5_000).prop_map(Operation::SetBack),
    ]
}

/// What the server knows.
struct Server {
    mood: Mood,
    /// When each attempt came.
    attempts: Vec<Moment>,
    /// When the last session was issued.
    issued: Option<Moment>,
}

struct Model {
    clock: ManualClock,
    server: Arc<Mutex<Server>>,
    credentials: Credentials,
    /// What requests carried, oldest first.
    sent: Vec<Attempt>,
    /// Generations that a believed rejection has ended.
    dead: HashSet<u64>,
    newest_served: u64,
    /// When rejections were believed.
    believed: Vec<Moment>,
    /// No attempt may come before this, because a password was refused.
    refused_until: Option<Duration>,
    start: Moment,
}

impl Model {
    fn new() -> Self {
        let clock = ManualClock::new();
        let server = Arc::new(Mutex::new(Server {
            mood: Mood::Good,
            attempts: Vec::new(),
            issued: None,
        }));
        let (seen, hands) = (Arc::clone(&server), clock.clock());
        let provider = Scripted::new(move |number| {
            let mut server = seen.lock();
            server.attempts.push(hands.now());
            match server.mood {
                Mood::Good => {
                    server.issued = Some(hands.now());
                    let session =
                        Session::new().with_cookie("session", &format!("value-{number}"))?;
                    Ok(session.with_lifetime(Lifetime::of(HOUR).idle(HOUR / 2)))
                }
                Mood::Down => Err(LoginError::unavailable("status 503")),
                Mood::Refuses => Err(LoginError::refused("status 401")),
                Mood::Limits => Err(LoginError::limited(Some(30 * SECOND))),
            }
        });
        let credentials = on(&clock, provider)
            .refused_cooldown(REFUSED_COOLDOWN)
            .backoff(SECOND, LONGEST_BACKOFF)
            .build();
        let start = clock.clock().now();
        Self {
            clock,
            server,
            credentials,
            sent: Vec::new(),
            dead: HashSet::new(),
            newest_served: 0,
            believed: Vec::new(),
            refused_until: None,
            start,
        }
    }

    fn now(&self) -> Moment {
        self.clock.clock().now()
    }

    fn attempts(&self) -> usize {
        self.server.lock().attempts.len()
    }

    async fn run(&mut self, operation: &Operation) {
        let before = self.attempts();
        match operation {
            Operation::Get => self.get(Ask::new().fail_fast()).await,
            Operation::Renew => self.get(Ask::new().fail_fast().renewed()).await,
            Operation::Accept(back) => {
                if let Some(carried) = self.request(*back) {
                    carried.accepted();
                    assert_eq!(self.attempts(), before, "an accepted answer starts nothing");
                }
            }
            Operation::Reject(back) => {
                if let Some(carried) = self.request(*back) {
                    self.reject(&carried);
                }
            }
            Operation::Replay(accepted) => self.replay(*accepted).await,
            Operation::Roll(back) => self.set_cookie(*back, "session=rolled; Max-Age=600"),
            Operation::End(back) => self.set_cookie(*back, "session=; Max-Age=0"),
            Operation::Server(mood) => self.server.lock().mood = *mood,
            Operation::Pass(time) => self.clock.advance(*time),
            Operation::SetBack(time) => self.clock.set_wall_back(*time),
        }
        settle().await;
        self.check(before);
    }

    fn request(&self, back: usize) -> Option<Attempt> {
        self.sent.iter().rev().nth(back).cloned()
    }

    async fn get(&mut self, ask: Ask) {
        let renewed = ask == Ask::new().fail_fast().renewed();
        let before = self.attempts();
        let at_hand = self.credentials.peek();
        match self.credentials.get_with(ask).await {
            Ok(credential) => {
                let generation = credential.stamp().generation();
                assert!(
                    !self.dead.contains(&generation),
                    "rule 7: generation {generation} was rejected"
                );
                assert!(generation >= self.newest_served, "never an older one again");
                assert!(
                    !renewed || generation > self.newest_served || at_hand.is_none(),
                    "a new one was asked for"
                );
                self.newest_served = generation;
                self.sent.push(Attempt::new(&self.credentials, &credential));
            }
            Err(error) => {
                assert!(
                    renewed || at_hand.is_none(),
                    "rule 13: there was a good one: {error}"
                );
                let mood = self.server.lock().mood;
                if self.attempts() > before {
                    let told = match mood {
                        Mood::Good => panic!("a good login fails nobody: {error}"),
                        Mood::Down => error.is_unavailable(),
                        Mood::Refuses => error.is_login_refused(),
                        Mood::Limits => error.is_rate_limited(),
                    };
                    assert!(told, "{mood:?}: {error:?}");
                } else {
                    let wait = error
                        .retry_after()
                        .expect("what forbids a login says how long");
                    let longest = match &error {
                        Error::QuotaSpent { .. } => WINDOW,
                        _ if error.is_login_refused() => REFUSED_COOLDOWN,
                        _ => LONGEST_BACKOFF,
                    };
                    assert!(wait <= longest, "{wait:?} for {error:?}");
                }
            }
        }
    }

    fn reject(&mut self, carried: &Attempt) -> Conclusion {
        let status = self.credentials.status();
        let rejection = carried.rejected();
        let was_current = status.stamp == Some(carried.stamp());
        match rejection {
            Conclusion::Replay if was_current => {
                self.dead.insert(carried.stamp().generation());
                self.believed.push(self.now());
            }
            Conclusion::Replay => {}
            _ => {
                assert!(
                    was_current,
                    "only a rejection of the current one can be doubted"
                );
                assert_eq!(
                    self.credentials.status().stamp,
                    status.stamp,
                    "rule 8: the session is kept"
                );
            }
        }
        rejection
    }

    async fn replay(&mut self, accepted: bool) {
        let Some(carried) = self.request(0) else {
            return;
        };
        if self.reject(&carried) != Conclusion::Replay {
            return;
        }
        let Ok(credential) = self.credentials.get_with(Ask::new().fail_fast()).await else {
            return;
        };
        assert!(
            credential.stamp() > carried.stamp(),
            "rule 8: something newer than the first try"
        );
        self.newest_served = credential.stamp().generation();
        let carried = replay(&self.credentials, &credential);
        if accepted {
            carried.accepted();
        } else {
            self.reject(&carried);
        }
    }

    fn set_cookie(&mut self, back: usize, line: &'static str) {
        let Some(carried) = self.request(back) else {
            return;
        };
        if self.credentials.peek().is_none() {
            return;
        }
        let before = self.credentials.status();
        carried.cookies_set(&set_cookie(line));
        if before.stamp != Some(carried.stamp()) {
            assert_eq!(
                self.credentials.status(),
                before,
                "rule 15: only the current revision's answers count"
            );
        } else if line.ends_with("Max-Age=0") {
            // Ended, or doubted: then it is kept as it was.
            let left = self.credentials.status();
            assert!(left.stamp.is_none() || left.stamp == before.stamp);
            if let (None, Some(ended)) = (left.stamp, before.stamp) {
                self.dead.insert(ended.generation());
            }
        }
    }

    /// What holds at any time.
    fn check(&mut self, before: usize) {
        let now = self.now();
        let server = self.server.lock();
        if let Some(until) = self.refused_until
            && now.since(self.start) < until
        {
            assert_eq!(
                server.attempts.len(),
                before,
                "rule 12: a refused password is not tried again"
            );
        }
        if server.attempts.len() > before && server.mood == Mood::Refuses {
            self.refused_until = Some(now.since(self.start) + REFUSED_COOLDOWN);
        }
        for start in &server.attempts {
            let in_window =
                |at: &&Moment| at.since(*start) < WINDOW && start.since(**at) == Duration::ZERO;
            let crowd = server.attempts.iter().filter(in_window).count();
            assert!(crowd <= QUOTA, "rule 10: {crowd} attempts in a window");
        }
        for start in &self.believed {
            let crowd = self
                .believed
                .iter()
                .filter(|at| at.since(*start) < 60 * SECOND && start.since(**at) == Duration::ZERO);
            // The fourth may be believed when the login of the third has failed, and so has not happened.
            assert!(
                crowd.count() <= 3 + server.attempts.len() / 4,
                "rule 8: rejections believed in a minute"
            );
        }
        if let Some(served) = self.credentials.peek() {
            let issued = server.issued.expect("what is served was issued");
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
