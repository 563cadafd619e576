//! Rules 14 and 15, tested through the handle.

use std::sync::Arc;
use std::time::Duration;

use auth_core::clock::{ManualClock, ShiftedClock};
use auth_core::testing::Scripted;
use auth_core::{Ask, Attempt, Condition, Credentials, Event, Identity, Lifetime, LoginErrorKind};
use parking_lot::Mutex;

use crate::support::{DAY, HOUR, SECOND, on, session, token, tokens};

#[tokio::test]
async fn rule_14_neither_clock_alone_makes_a_dead_session_look_fresh() {
    type Change = fn(&ManualClock);
    let changes: [(&str, Change); 4] = [
        ("suspend of eight hours", |clock| clock.advance(8 * HOUR)),
        ("the wall clock set forward", |clock| {
            clock.set_wall_forward(2 * HOUR);
        }),
        ("suspend with the wall clock set back", |clock| {
            clock.advance_steady(8 * HOUR);
            clock.set_wall_back(HOUR);
        }),
        ("a steady clock that stood still", |clock| {
            clock.set_wall_forward(8 * HOUR);
        }),
    ];
    for (case, change) in changes {
        let clock = ManualClock::new();
        let credentials = on(&clock, tokens()).build();
        credentials.get().await.unwrap();
        change(&clock);
        assert!(
            credentials.fresh().is_none() && credentials.peek().is_none(),
            "{case}"
        );
        assert_eq!(
            token(&credentials.get().await.unwrap()),
            "token-2",
            "{case}"
        );
    }
}

#[tokio::test]
async fn rule_14_a_wall_clock_set_back_does_not_end_a_session() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens()).build();
    credentials.get().await.unwrap();
    clock.set_wall_back(HOUR);
    assert!(credentials.fresh().is_some());
    clock.advance_steady(HOUR);
    assert!(credentials.peek().is_none(), "nor does it extend one");
}

#[tokio::test]
async fn rule_15_a_sliding_session_slides_from_the_sending_of_accepted_requests() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::unknown().idle(7 * DAY).absolute(30 * DAY));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..5 {
        let credential = credentials.get().await.unwrap();
        let sent = Attempt::new(&credentials, &credential);
        clock.advance(HOUR);
        sent.accepted();
        clock.advance(6 * DAY - HOUR);
        assert_eq!(
            credentials.status().idle_in,
            Some(DAY),
            "counted from the sending, not from the response"
        );
    }
    assert_eq!(logins.count(), 1);
    clock.advance(DAY);
    assert_eq!(
        credentials.status().condition,
        Condition::Expired,
        "expired by the absolute maximum of thirty days, although idle as well"
    );
    credentials.get().await.unwrap();
    clock.advance(7 * DAY);
    assert_eq!(
        credentials.status().condition,
        Condition::Lapsed,
        "after a week of inactivity"
    );
}

#[tokio::test]
async fn rule_15_an_older_generations_response_does_not_move_the_idle_deadline() {
    let clock = ManualClock::new();
    let credentials = on(&clock, Scripted::tokens(Lifetime::unknown().idle(HOUR))).build();
    let old = credentials.get().await.unwrap();
    credentials.renew().await.unwrap();
    clock.advance(HOUR / 2);
    Attempt::new(&credentials, &old).accepted();
    assert_eq!(credentials.status().idle_in, Some(HOUR / 2));
}

#[tokio::test]
async fn a_session_that_had_expired_when_it_was_issued_is_a_failure_and_not_a_loop() {
    let zero = std::time::Duration::ZERO;
    for lifetime in [
        Lifetime::of(zero),
        Lifetime::unknown().idle(zero),
        Lifetime::of(HOUR).absolute(zero),
    ] {
        let provider = Scripted::tokens(lifetime);
        let logins = provider.logins();
        let credentials = on(&ManualClock::new(), provider).build();
        let error = credentials.get().await.unwrap_err();
        assert_eq!(
            error.login_error().unwrap().kind(),
            LoginErrorKind::Malformed,
            "{lifetime:?}"
        );
        assert_eq!(logins.count(), 1);
    }
}

#[tokio::test]
async fn an_unusable_session_leaves_the_current_one_in_place() {
    let provider = Scripted::new(|number| match number {
        1 => session(number, Lifetime::of(HOUR)),
        _ => session(number, Lifetime::of(std::time::Duration::ZERO)),
    });
    let credentials = on(&ManualClock::new(), provider).build();
    let first = credentials.get().await.unwrap();
    let error = credentials.renew().await.unwrap_err();
    let kind = error.login_error().unwrap().kind();
    assert_eq!(kind, LoginErrorKind::Malformed);
    let status = credentials.status();
    assert_eq!(status.stamp, Some(first.stamp()));
    assert_eq!(status.failure, Some(LoginErrorKind::Malformed));
}

#[tokio::test]
async fn a_session_that_carries_nothing_is_a_failure() {
    let credentials = on(
        &ManualClock::new(),
        Scripted::new(|_| Ok(auth_core::Session::new())),
    )
    .build();
    let error = credentials.get().await.unwrap_err();
    assert_eq!(
        error.login_error().unwrap().kind(),
        LoginErrorKind::Malformed
    );
}

#[tokio::test]
async fn sessions_of_a_second_a_week_and_an_unknown_lifetime_end_when_stated() {
    for (lifetime, expires_after) in [
        (Lifetime::of(SECOND), Some(SECOND)),
        (Lifetime::of(7 * DAY), Some(7 * DAY)),
        (Lifetime::unknown(), None),
    ] {
        let clock = ManualClock::new();
        let credentials = on(
            &clock,
            Scripted::new(move |number| session(number, lifetime)),
        )
        .build();
        credentials.get().await.unwrap();
        assert_eq!(credentials.status().expires_in, expires_after);
        clock.advance(expires_after.unwrap_or(3_650 * DAY));
        assert_eq!(credentials.peek().is_none(), expires_after.is_some());
    }
}

#[tokio::test]
async fn rule_14_a_waiter_that_is_polled_late_does_not_get_a_session_that_expired_meanwhile() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens()).build();
    let mut waiter = Box::pin(credentials.get());
    assert!(futures_util::poll!(&mut waiter).is_pending());
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    clock.advance(2 * HOUR);
    assert!(credentials.peek().is_none());
    assert_eq!(token(&waiter.await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_15_a_shorter_max_age_shortens_the_idle_timeout() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|_| {
        let week = Lifetime::unknown().idle(7 * DAY);
        Ok(auth_core::Session::new()
            .with_cookie("a", "1")?
            .with_lifetime(week))
    });
    let credentials = on(&clock, provider).build();
    for (line, idle) in [
        ("a=2; Max-Age=60", 60 * SECOND),
        ("a=3; Max-Age=9999999", 7 * DAY),
        ("a=4", 7 * DAY),
    ] {
        let credential = credentials.get().await.unwrap();
        let mut headers = http::HeaderMap::new();
        headers.insert("set-cookie", line.parse().unwrap());
        Attempt::new(&credentials, &credential).cookies_set(&headers);
        assert_eq!(credentials.status().idle_in, Some(idle), "{line}");
    }
}

#[test]
fn a_moment_is_two_times_and_the_clocks_of_tests_move_them() {
    let manual = ManualClock::new();
    let now = || manual.clock().now();
    let (steady, wall) = (now().steady(), now().wall());
    assert!(steady > SECOND && wall > DAY && steady != wall);
    manual.advance(HOUR);
    assert_eq!((now().steady(), now().wall()), (steady + HOUR, wall + HOUR));
    manual.set_wall_back(2 * HOUR);
    assert_eq!((now().steady(), now().wall()), (steady + HOUR, wall - HOUR));

    let shifted = ShiftedClock::new();
    let before = shifted.clock().now();
    shifted.advance(DAY);
    let after = shifted.clock().now();
    let day = DAY..DAY + HOUR;
    assert!(day.contains(&(after.steady() - before.steady())));
    assert!(day.contains(&(after.wall() - before.wall())));
}

#[tokio::test]
async fn each_clock_of_tests_has_a_quota_and_times_of_its_own() {
    let shifted = [ShiftedClock::new(), ShiftedClock::new()];
    for clock in &shifted {
        let log: Arc<Mutex<Vec<Duration>>> = Arc::default();
        let (moved, events) = (clock.clone(), Arc::clone(&log));
        let provider = Scripted::new(move |number| {
            moved.advance(SECOND);
            session(number, Lifetime::of(HOUR))
        });
        let observer = move |_: &Identity, event: &Event| {
            if let Event::LoggedIn { took, .. } = event {
                events.lock().push(*took);
            }
        };
        let builder = Credentials::builder(provider).clock(clock.clock());
        let credentials = builder.observer(observer).build();
        for _ in 0..10 {
            let ask = Ask::new().renewed().fail_fast();
            credentials.get_with(ask).await.unwrap();
        }
        assert!(
            log.lock()
                .iter()
                .all(|took| *took >= SECOND && *took < HOUR)
        );
    }
}
