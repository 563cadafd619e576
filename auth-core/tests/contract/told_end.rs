//! Rule 8: a session that ends when the server said that it would.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{Attempt, Conclusion, Credentials, CredentialsBuilder, Lifetime, Quota, Session};
use parking_lot::Mutex;

use crate::support::{HOUR, SECOND, on, replay, session, set_cookie, settle, token, tokens};

/// The time between two requests.
const TICK: Duration = Duration::from_millis(50);
/// How many of them a login takes, and at which of them the server issues the session.
const LOGIN: u32 = 4;
const ISSUED: u32 = 2;
const LIFE: Duration = Duration::from_secs(2);

/// A server that counts whole seconds: a session ends with the second in which it is two seconds
/// old. It issues one session at a time.
struct Seconds {
    clock: ManualClock,
    start: auth_core::Moment,
    gate: Gate,
    /// When each session ends, since the start.
    ends: Mutex<Vec<Duration>>,
}

impl Seconds {
    fn new(clock: &ManualClock) -> Arc<Self> {
        Arc::new(Self {
            clock: clock.clone(),
            start: clock.clock().now(),
            gate: Gate::shut(),
            ends: Mutex::default(),
        })
    }

    fn now(&self) -> Duration {
        self.clock.clock().now().since(self.start)
    }

    /// A provider that is told the life of each session, or not.
    fn provider(self: &Arc<Self>, told: bool) -> Scripted {
        let life = if told {
            Lifetime::of(LIFE)
        } else {
            Lifetime::unknown()
        };
        let enough = Quota::new(NonZeroU32::new(1_000).unwrap(), SECOND);
        Scripted::new(move |number| session(number, life))
            .with_quota(enough)
            .gated(&self.gate)
    }

    fn issue(&self) {
        let second = Duration::from_secs(self.now().as_secs());
        self.ends.lock().push(second + LIFE);
    }

    fn accepts(&self, token: &str) -> bool {
        let number: usize = token.trim_start_matches("token-").parse().unwrap();
        self.ends
            .lock()
            .get(number - 1)
            .is_some_and(|end| self.now() < *end)
    }
}

/// Sends a request every 50 ms until the server has issued so many sessions. Returns how many
/// answers the callers got, and how many of them were 401.
async fn steady_traffic(
    server: &Arc<Seconds>,
    builder: CredentialsBuilder,
    lives: usize,
) -> (u32, u32) {
    let credentials = builder.build();
    let mut requests = tokio::task::JoinSet::new();
    // How long the login under way has taken.
    let mut ticks = 0;
    while server.ends.lock().len() < lives {
        requests.spawn({
            let (server, credentials) = (Arc::clone(server), credentials.clone());
            async move { request(&server, &credentials).await }
        });
        settle().await;
        server.clock.advance(TICK);
        ticks = if credentials.status().login_under_way {
            ticks + 1
        } else {
            0
        };
        if ticks == ISSUED {
            server.issue();
        } else if ticks == LOGIN {
            server.gate.let_through(1);
            settle().await;
            ticks = 0;
        }
    }
    server.gate.let_through(1);
    let (mut all, mut failed) = (0, 0);
    while let Some(accepted) = requests.join_next().await {
        all += 1;
        failed += u32::from(!accepted.unwrap());
    }
    (all, failed)
}

/// One request, and its replay if it is rejected. Returns whether the caller gets what it wants.
async fn request(server: &Seconds, credentials: &Credentials) -> bool {
    let first = credentials.get().await.unwrap();
    let attempt = Attempt::new(credentials, &first);
    if server.accepts(&token(&first)) {
        attempt.accepted();
        return true;
    }
    if attempt.rejected() != Conclusion::Replay {
        return false;
    }
    let second = credentials.get().await.unwrap();
    let again = replay(credentials, &second);
    let accepted = server.accepts(&token(&second));
    if accepted {
        again.accepted();
    } else {
        again.rejected();
    }
    accepted
}

#[tokio::test]
async fn rule_8_no_caller_sees_that_a_server_counts_whole_seconds() {
    let clock = ManualClock::new();
    let server = Seconds::new(&clock);
    let builder = on(&clock, server.provider(true));
    let (all, failed) = steady_traffic(&server, builder, 100).await;
    assert!(all > 2_000, "{all}");
    assert_eq!(failed, 0, "of {all}");
}

#[tokio::test]
async fn rule_8_of_lives_that_are_not_told_as_many_are_recovered_as_the_option_allows() {
    let untold = async |most: Option<u32>| {
        let clock = ManualClock::new();
        let server = Seconds::new(&clock);
        let mut builder = on(&clock, server.provider(false));
        if let Some(most) = most {
            builder = builder.rejection_logins_per_minute(NonZeroU32::new(most).unwrap());
        }
        let (_, failed) = steady_traffic(&server, builder, 100).await;
        let minutes = server.now().as_secs_f64() / 60.0;
        (failed, (99.0 / minutes).round())
    };
    let (failed, logins_a_minute) = untold(None).await;
    assert!(failed > 0);
    assert!((2.9..=3.2).contains(&logins_a_minute), "{logins_a_minute}");
    let (failed, logins_a_minute) = untold(Some(60)).await;
    assert_eq!((failed, logins_a_minute > 20.0), (0, true));
}

#[tokio::test]
async fn rule_8_a_rejection_at_the_told_end_is_believed_and_does_not_count() {
    let clock = ManualClock::new();
    let provider = tokens();
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let reject = async || {
        let current = credentials.get().await.unwrap();
        let conclusion = Attempt::new(&credentials, &current).rejected();
        settle().await;
        conclusion
    };
    for _ in 0..3 {
        reject().await;
        replay(&credentials, &credentials.get().await.unwrap()).accepted();
    }
    assert_eq!(reject().await, Conclusion::Rejected, "three in a minute");
    for generation in 5..10 {
        clock.advance(HOUR - SECOND - SECOND / 100);
        // No caller asks in the refresh window, so the session is not renewed.
        let current = credentials.peek().unwrap();
        let attempt = Attempt::new(&credentials, &current);
        clock.advance(SECOND / 100);
        assert_eq!(attempt.rejected(), Conclusion::Replay);
        assert_eq!(
            token(&credentials.get().await.unwrap()),
            format!("token-{generation}")
        );
    }
    assert_eq!(logins.count(), 9);
    let conclusion = reject().await;
    assert_eq!(conclusion, Conclusion::Replay, "the minute is over");
    replay(&credentials, &credentials.get().await.unwrap()).accepted();
    for _ in 0..2 {
        assert_eq!(
            reject().await,
            Conclusion::Replay,
            "the others did not count"
        );
        replay(&credentials, &credentials.get().await.unwrap()).accepted();
    }
    assert_eq!(reject().await, Conclusion::Rejected);
}

#[tokio::test]
async fn rule_8_an_idle_timeout_has_a_told_end_too() {
    let clock = ManualClock::new();
    let idle = Lifetime::unknown().idle(10 * SECOND);
    let credentials = on(&clock, Scripted::tokens(idle))
        .rejection_logins_per_minute(NonZeroU32::MIN)
        .build();
    let first = credentials.get().await.unwrap();
    let rejected = || {
        let current = credentials.peek().unwrap();
        Attempt::new(&credentials, &current).rejected()
    };
    assert_eq!(rejected(), Conclusion::Replay, "the first one in a minute");
    let second = credentials.get().await.unwrap();
    assert_ne!(first.stamp(), second.stamp());
    clock.advance(5 * SECOND);
    replay(&credentials, &second).accepted();
    clock.advance(9 * SECOND - SECOND / 100);
    assert_eq!(rejected(), Conclusion::Rejected);
    clock.advance(SECOND / 100);
    assert_eq!(rejected(), Conclusion::Replay);
}

#[tokio::test]
async fn rule_15_a_deletion_at_the_told_end_is_no_cause_for_doubt() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|number| {
        let session = Session::new().with_cookie("session", &format!("value-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(10 * SECOND)))
    });
    let credentials = on(&clock, provider)
        .rejection_logins_per_minute(NonZeroU32::MIN)
        .build();
    let delete = || {
        let current = credentials.peek().unwrap();
        let deleted = set_cookie("session=; Max-Age=0");
        Attempt::new(&credentials, &current).cookies_set(&deleted);
        credentials.peek().is_none()
    };
    credentials.get().await.unwrap();
    assert!(delete(), "the first one in a minute");
    credentials.get().await.unwrap();
    clock.advance(9 * SECOND - SECOND / 100);
    assert!(!delete());
    clock.advance(SECOND / 100);
    assert!(delete());
}
