//! Rules 14 and 15, through the handle.

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{Condition, Lifetime, LoginErrorKind};

use crate::support::{DAY, HOUR, SECOND, on, session, token, tokens};

#[tokio::test]
async fn rule_14_neither_clock_alone_makes_a_dead_session_look_fresh() {
    type Move = fn(&ManualClock);
    let moves: [(&str, Move); 4] = [
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
    for (what, happens) in moves {
        let clock = ManualClock::new();
        let credentials = on(&clock, tokens()).build();
        credentials.get().await.unwrap();
        happens(&clock);
        assert!(
            credentials.fresh().is_none() && credentials.peek().is_none(),
            "{what}"
        );
        assert_eq!(
            token(&credentials.get().await.unwrap()),
            "token-2",
            "{what}"
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
    assert!(credentials.peek().is_none(), "nor does it lengthen one");
}

#[tokio::test]
async fn rule_15_a_sliding_session_slides_from_the_sending_of_accepted_requests() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::unknown().idle(7 * DAY).absolute(30 * DAY));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..5 {
        let credential = credentials.get().await.unwrap();
        let sent = credentials.sending(&credential);
        clock.advance(HOUR);
        credentials.accepted(&sent);
        clock.advance(6 * DAY - HOUR);
        assert_eq!(
            credentials.status().idle_in,
            Some(DAY),
            "counted from the sending, not from the answer"
        );
    }
    assert_eq!(logins.count(), 1);
    clock.advance(DAY);
    assert_eq!(
        credentials.status().condition,
        Condition::Expired,
        "thirty days are thirty days, and lapsed anyway"
    );
    credentials.get().await.unwrap();
    clock.advance(7 * DAY);
    assert_eq!(
        credentials.status().condition,
        Condition::Lapsed,
        "a week of silence"
    );
}

#[tokio::test]
async fn rule_15_an_older_generations_answer_does_not_move_the_idle_deadline() {
    let clock = ManualClock::new();
    let credentials = on(&clock, Scripted::tokens(Lifetime::unknown().idle(HOUR))).build();
    let old = credentials.get().await.unwrap();
    credentials.renew().await.unwrap();
    clock.advance(HOUR / 2);
    credentials.accepted(&credentials.sending(&old));
    assert_eq!(credentials.status().idle_in, Some(HOUR / 2));
}

#[tokio::test]
async fn a_session_that_had_expired_when_it_was_issued_is_a_failure_and_not_a_loop() {
    let provider = Scripted::tokens(Lifetime::of(std::time::Duration::ZERO));
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let error = credentials.get().await.unwrap_err();
    assert_eq!(
        error.login_error().unwrap().kind(),
        LoginErrorKind::Malformed
    );
    assert_eq!(logins.count(), 1);
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
async fn lives_of_a_second_a_week_and_none_known() {
    for (lifetime, dead_after) in [
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
        assert_eq!(credentials.status().expires_in, dead_after);
        clock.advance(dead_after.unwrap_or(3_650 * DAY));
        assert_eq!(credentials.peek().is_none(), dead_after.is_some());
    }
}
