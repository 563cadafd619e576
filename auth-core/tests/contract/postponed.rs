//! Rule 1 for a login that the server only postpones: who waits on, and who is told.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::{Counter, Gate, Scripted};
use auth_core::{Ask, Credential, Credentials, Error, Lifetime, LoginError};
use tokio::task::JoinHandle;

use crate::support::{HOUR, SECOND, on, session, settle, token};

type Caller = JoinHandle<Result<Arc<Credential>, Error>>;

fn get(credentials: &Credentials, ask: Ask) -> Caller {
    let credentials = credentials.clone();
    tokio::spawn(async move { credentials.get_with(ask).await })
}

/// The first login is postponed by what the server asks, later ones succeed.
fn postponed(asked: Option<Duration>, lifetime: Lifetime) -> Scripted {
    Scripted::new(move |number| match number {
        1 => Err(LoginError::limited(asked).with_detail("status 429")),
        _ => session(number, lifetime),
    })
}

/// A herd that has joined a login before it was postponed.
async fn herd(
    clock: &ManualClock,
    asked: Option<Duration>,
    wait: Option<Duration>,
) -> (Credentials, Counter, Vec<Caller>) {
    let gate = Gate::shut();
    let provider = postponed(asked, Lifetime::unknown()).gated(&gate);
    let logins = provider.logins();
    let credentials = match wait {
        Some(wait) => on(clock, provider).wait_timeout(wait).build(),
        None => on(clock, provider).build(),
    };
    let callers = (0..250)
        .map(|_| get(&credentials, Ask::new()))
        .collect::<Vec<_>>();
    settle().await;
    gate.let_through(usize::MAX >> 4);
    settle().await;
    (credentials, logins, callers)
}

#[tokio::test]
async fn rule_1_a_herd_waits_on_for_the_next_login_if_the_server_only_postponed_this_one() {
    for asked in [Some(60 * SECOND), Some(30 * SECOND), None] {
        let clock = ManualClock::new();
        let (credentials, logins, joined) = herd(&clock, asked, None).await;
        let later: Vec<_> = (0..250).map(|_| get(&credentials, Ask::new())).collect();
        settle().await;
        let held = asked.unwrap_or(60 * SECOND);
        clock.advance(held - SECOND);
        settle().await;
        let all = || joined.iter().chain(&later);
        assert!(all().all(|caller| !caller.is_finished()), "{asked:?}");
        assert_eq!(logins.count(), 1);
        clock.advance(SECOND);
        for caller in joined.into_iter().chain(later) {
            assert_eq!(token(&caller.await.unwrap().unwrap()), "token-2");
        }
        assert_eq!(logins.count(), 2, "one for all of them");
    }
}

#[tokio::test]
async fn rule_1_callers_whose_time_does_not_reach_get_the_failure_at_once() {
    let minute = Some(60 * SECOND);
    for (asked, held) in [
        (minute, 60 * SECOND),
        (None, 60 * SECOND),
        (Some(HOUR), HOUR),
    ] {
        let clock = ManualClock::new();
        let (credentials, logins, joined) = herd(&clock, asked, minute).await;
        for caller in joined {
            assert!(caller.is_finished(), "none waits in vain");
            let error = caller.await.unwrap().unwrap_err();
            let reason = error.login_error().unwrap().to_string();
            assert!(reason.ends_with("(status 429)"), "{reason}");
            assert_eq!(error.retry_after(), Some(held));
        }
        let later = credentials.get().await.unwrap_err();
        assert!(matches!(later, Error::QuotaSpent { retry_after, .. } if retry_after == held));
        let reason = later.source().unwrap().to_string();
        assert!(reason.ends_with("(status 429)"), "{reason}");
        assert_eq!(logins.count(), 1);
        // The quota is spent long after that, and not by the server.
        clock.advance(held);
        let ask = Ask::new().renewed().fail_fast();
        let spent = loop {
            if let Err(error) = credentials.get_with(ask).await {
                break error;
            }
        };
        assert!(matches!(spent, Error::QuotaSpent { .. }));
        assert!(spent.source().is_none());
    }
}

#[tokio::test]
async fn rule_1_one_herd_holds_callers_that_wait_and_callers_that_do_not() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let provider = postponed(Some(30 * SECOND), Lifetime::unknown()).gated(&gate);
    let credentials = on(&clock, provider).build();
    let at_once = [
        get(&credentials, Ask::new().fail_fast()),
        get(&credentials, Ask::new().within(30 * SECOND)),
    ];
    let waits = get(&credentials, Ask::new().within(40 * SECOND));
    settle().await;
    gate.let_through(2);
    settle().await;
    for caller in at_once {
        assert!(caller.is_finished());
        let error = caller.await.unwrap().unwrap_err();
        assert!(error.login_error().is_some(), "{error}");
    }
    clock.advance(30 * SECOND);
    assert_eq!(token(&waits.await.unwrap().unwrap()), "token-2");
}

#[tokio::test]
async fn rule_1_a_login_is_postponed_again_and_again_within_the_callers_time_alone() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|_| Err(LoginError::limited(Some(25 * SECOND))));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let caller = get(&credentials, Ask::new());
    for _ in 0..120 {
        settle().await;
        clock.advance(SECOND);
    }
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!(error.retry_after(), Some(25 * SECOND), "told when it knew");
    assert_eq!(logins.count(), 5, "at 0, 25, 50, 75 and 100 s");
    assert!(!credentials.status().login_under_way);
}

#[tokio::test]
async fn rule_13_a_session_that_may_be_good_is_served_at_once_if_its_login_is_postponed() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|number| match number {
        1 => session(number, Lifetime::unknown().idle(HOUR)),
        _ => Err(LoginError::limited(Some(30 * SECOND))),
    });
    let credentials = on(&clock, provider).build();
    credentials.get().await.unwrap();
    clock.advance(2 * HOUR);
    for _ in 0..2 {
        let served = get(&credentials, Ask::new());
        settle().await;
        assert!(served.is_finished());
        assert_eq!(token(&served.await.unwrap().unwrap()), "token-1");
    }
}
