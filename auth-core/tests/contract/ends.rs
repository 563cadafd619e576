//! Rule 19.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Attempt, Conclusion, Condition, Credentials, Error, Event, Identity, Lifetime, LoginError,
    Logout, LogoutReason, LogoutScope, Session,
};
use futures_util::FutureExt;
use http::HeaderName;

use crate::cookies::set_by;
use crate::support::{HOUR, Renewing, SECOND, on, replay, settle, tokens};

const CSRF: HeaderName = HeaderName::from_static("x-csrf");

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current()
        .metrics()
        .num_alive_tasks()
}

#[tokio::test]
async fn rule_19_dropping_the_last_handle_stops_renewals_leaks_no_task_and_never_logs_out() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    gate.let_through(1);
    let provider = tokens().gated(&gate);
    let (logins, logouts) = (provider.logins(), provider.logouts());
    let credentials = on(&clock, provider).log_out_superseded(SECOND).build();
    credentials.get().await.unwrap();
    settle().await;
    let before = alive_tasks();
    clock.advance(HOUR - 60 * SECOND);
    credentials.get().await.unwrap();
    settle().await;
    assert_eq!(
        (logins.count(), alive_tasks()),
        (2, before + 1),
        "a renewal is under way"
    );
    let clone = credentials.clone();
    drop(credentials);
    settle().await;
    assert_eq!(alive_tasks(), before + 1, "a clone keeps it running");
    drop(clone);
    settle().await;
    assert_eq!(alive_tasks(), before);
    assert_eq!(clock.sleepers(), 0);
    assert_eq!(logouts.count(), 0);
}

#[tokio::test]
async fn rule_19_close_logs_out_for_all_clones() {
    let provider = tokens();
    let (logins, logouts) = (provider.logins(), provider.logouts());
    let credentials = on(&ManualClock::new(), provider).build();
    let clone = credentials.clone();
    let credential = credentials.get().await.unwrap();
    credentials.close().await.unwrap();
    assert_eq!(logouts.count(), 1);
    assert!(clone.fresh().is_none());
    assert!(clone.get().await.unwrap_err().is_closed());
    assert_eq!(clone.status().condition, Condition::Closed);
    assert_eq!(
        Attempt::new(&clone, &credential).rejected(),
        Conclusion::Rejected,
        "a closed cache starts no login"
    );
    clone.close().await.unwrap();
    settle().await;
    assert_eq!((logins.count(), logouts.count()), (1, 1));
}

#[tokio::test]
async fn rule_19_waiters_get_closed_and_a_login_in_flight_is_logged_out_when_it_ends() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logouts = provider.logouts();
    let credentials = on(&ManualClock::new(), provider).build();
    let waiter = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    settle().await;
    let closing = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.close().await }
    });
    settle().await;
    assert!(waiter.await.unwrap().unwrap_err().is_closed());
    assert!(!closing.is_finished(), "it waits for the login");
    assert_eq!(logouts.count(), 0);
    gate.let_through(1);
    closing.await.unwrap().unwrap();
    assert_eq!(logouts.count(), 1);
    assert!(credentials.get().await.unwrap_err().is_closed());
}

#[tokio::test]
async fn rule_19_close_continues_when_its_future_is_dropped() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logouts = provider.logouts();
    let credentials = on(&ManualClock::new(), provider).build();
    let waiter = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    settle().await;
    let mut closing = Box::pin(credentials.close());
    assert!(futures_util::poll!(&mut closing).is_pending());
    drop(closing);
    assert!(waiter.await.unwrap().unwrap_err().is_closed());
    drop(credentials);
    gate.let_through(1);
    settle().await;
    assert_eq!(logouts.count(), 1, "without any handle");
}

#[tokio::test]
async fn rule_19_a_further_close_waits_for_the_same_end_and_returns_the_same() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logouts = provider.logouts();
    let credentials = on(&ManualClock::new(), provider).build();
    let waiter = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    settle().await;
    // As under a time-out of the caller's.
    let mut dropped = Box::pin(credentials.close());
    assert!(futures_util::poll!(&mut dropped).is_pending());
    drop(dropped);
    let mut closing = Box::pin(credentials.close());
    let mut logging_out = Box::pin(credentials.log_out());
    settle().await;
    assert!(futures_util::poll!(&mut closing).is_pending());
    assert!(futures_util::poll!(&mut logging_out).is_pending());
    gate.let_through(1);
    closing.await.unwrap();
    assert_eq!(logouts.count(), 1);
    logging_out.await.unwrap();
    assert!(waiter.await.unwrap().unwrap_err().is_closed());
}

#[tokio::test]
async fn rule_19_a_further_close_says_that_the_logout_was_not_confirmed() {
    let clock = ManualClock::new();
    let provider = Renewing::new(tokens()).failing_logouts();
    let logouts = provider.logouts();
    let credentials = provider.on(&clock).build();
    credentials.get().await.unwrap();
    for _ in 0..2 {
        let error = credentials.close().await.unwrap_err();
        assert!(error.is_unavailable(), "{error}");
    }
    assert!(credentials.log_out().await.unwrap_err().is_unavailable());
    assert_eq!(logouts.lock().len(), 1, "it is not sent again");
}

#[test]
fn rule_19_a_close_outside_a_runtime_changes_nothing() {
    let provider = tokens();
    let logouts = provider.logouts();
    let credentials = on(&ManualClock::new(), provider).build();
    credentials.blocking_get().unwrap();
    for _ in 0..2 {
        let close = credentials.close().now_or_never().unwrap();
        assert!(matches!(close, Err(Error::NoRuntime)), "{close:?}");
    }
    assert_eq!(logouts.count(), 0);
    assert!(credentials.fresh().is_some());
    credentials.blocking_close().unwrap();
    assert_eq!(logouts.count(), 1);
    let ended = credentials.close().now_or_never();
    assert!(matches!(ended, Some(Ok(()))), "it is over: {ended:?}");
}

/// The session of a login, of which something is the same each time.
fn given(number: u64, what: &str) -> Result<Session, LoginError> {
    let csrf = format!("csrf-{number}");
    let session = Session::new().with_header(CSRF, csrf.parse().unwrap());
    let (sid, token) = (format!("s-{number}"), format!("token-{number}"));
    let same = "the-only-one-of-the-account";
    let header = HeaderName::from_static("x-token");
    Ok(match what {
        "token" => session.with_bearer(same)?,
        "cookie" => session.with_cookie("sid", same)?,
        "header" => session.with_header(header, same.parse().unwrap()),
        "query" => session.with_query("_sid", same)?,
        "cookie and a pair" => Session::new()
            .with_cookie("sid", same)?
            .with_cookie("csrf", &csrf)?
            .with_header_from_cookie(CSRF.as_str(), "csrf")?,
        "the cookie of a header" => Session::new()
            .with_cookie("sid", same)?
            .with_header_from_cookie(CSRF.as_str(), "sid")?,
        "namesakes" => set_by(&["sid=one-one-one; Path=/a", "sid=two-two-two; Path=/b"])?,
        "a short header" => Session::new().with_header(header, "short".parse().unwrap()),
        "basic alone" => Session::new().with_basic("me", "right")?,
        // Each of these is another session.
        "a kept id" => Session::new()
            .with_header(header, "short".parse().unwrap())
            .with_kept("id", &sid)?,
        "basic" => session.with_basic("me", "right")?,
        "cookies" => session.with_cookie("sid", &sid)?,
        "tenant" => session
            .with_cookie("sid", &sid)?
            .with_cookie("tenant", same)?,
        "key" => session.with_cookie("sid", &sid)?.with_bearer(same)?,
        "headers" => Session::new().with_header(header, token.parse().unwrap()),
        _ => session.with_bearer(&token)?,
    })
}

#[tokio::test]
async fn rule_19_a_session_that_the_server_gives_again_is_not_logged_out_as_superseded() {
    let cases = [
        ("token", 0),
        ("cookie", 0),
        ("header", 0),
        ("query", 0),
        ("cookie and a pair", 0),
        ("the cookie of a header", 0),
        ("namesakes", 0),
        ("a short header", 0),
        ("basic alone", 0),
        ("a kept id", 1),
        ("basic", 1),
        ("cookies", 1),
        ("tenant", 1),
        ("key", 1),
        ("headers", 1),
        ("tokens", 1),
    ];
    for (what, expected) in cases {
        let clock = ManualClock::new();
        let provider = Scripted::new(move |number| given(number, what));
        let logouts = provider.logouts();
        let credentials = Credentials::builder(provider)
            .clock(clock.clock())
            .log_out_superseded(5 * SECOND)
            .build();
        credentials.get().await.unwrap();
        credentials.renew().await.unwrap();
        settle().await;
        clock.advance(6 * SECOND);
        settle().await;
        assert_eq!(logouts.count(), expected, "{what}");
    }
}

#[tokio::test]
async fn rule_19_close_does_not_wait_for_a_login_that_waits_for_the_quota() {
    let clock = ManualClock::new();
    let provider = tokens();
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..10 {
        credentials.renew().await.unwrap();
    }
    clock.advance(10 * SECOND);
    let waiter = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    settle().await;
    credentials.close().await.unwrap();
    assert!(waiter.await.unwrap().unwrap_err().is_closed());
    clock.advance(HOUR);
    settle().await;
    assert_eq!(logins.count(), 10);
}

#[tokio::test]
async fn rule_19_a_superseded_session_is_logged_out_only_by_choice_and_after_a_grace() {
    for (grace, expected) in [(None, 0), (Some(10 * SECOND), 1)] {
        let clock = ManualClock::new();
        let provider = tokens();
        let logouts = provider.logouts();
        let mut builder = on(&clock, provider);
        if let Some(grace) = grace {
            builder = builder.log_out_superseded(grace);
        }
        let credentials = builder.build();
        credentials.get().await.unwrap();
        credentials.renew().await.unwrap();
        settle().await;
        clock.advance(9 * SECOND);
        settle().await;
        assert_eq!(logouts.count(), 0);
        clock.advance(SECOND);
        settle().await;
        assert_eq!(logouts.count(), expected);
    }
}

#[tokio::test]
async fn rule_19_superseded_sessions_are_logged_out_in_bounded_number() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::of(HOUR));
    let logouts = provider.logouts();
    let credentials = on(&clock, provider).log_out_superseded(10 * SECOND).build();
    for _ in 0..10 {
        credentials.renew().await.unwrap();
    }
    settle().await;
    clock.advance(10 * SECOND);
    settle().await;
    assert_eq!(logouts.count(), 4);
}

#[tokio::test]
async fn rule_19_a_waiter_gets_closed_even_if_its_login_has_succeeded() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    let mut waiter = Box::pin(credentials.get());
    assert!(futures_util::poll!(&mut waiter).is_pending());
    settle().await;
    credentials.close().await.unwrap();
    assert!(
        waiter.await.unwrap_err().is_closed(),
        "its session has been logged out"
    );
}

#[tokio::test]
async fn rule_19_a_session_that_a_renewal_returns_again_is_not_logged_out() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|_| crate::support::session(1, Lifetime::of(HOUR)));
    let logouts = provider.logouts();
    let credentials = on(&clock, provider).log_out_superseded(SECOND).build();
    credentials.get().await.unwrap();
    credentials.renew().await.unwrap();
    settle().await;
    clock.advance(2 * SECOND);
    settle().await;
    assert_eq!(logouts.count(), 0, "it is the session that is served");
}

#[tokio::test]
async fn rule_19_close_logs_out_superseded_sessions_in_their_grace_too() {
    let provider = tokens();
    let logouts = provider.logouts();
    let credentials = on(&ManualClock::new(), provider)
        .log_out_superseded(HOUR)
        .build();
    credentials.get().await.unwrap();
    credentials.renew().await.unwrap();
    settle().await;
    credentials.close().await.unwrap();
    assert_eq!(logouts.count(), 2);
}

#[tokio::test]
async fn rule_19_a_close_between_admission_and_spawn_stops_the_login_task() {
    let clock = ManualClock::new();
    let provider = tokens();
    let logins = provider.logins();
    let own: Arc<OnceLock<Credentials>> = Arc::default();
    let seen = Arc::clone(&own);
    let credentials = on(&clock, provider)
        .observer(move |_: &Identity, event: &Event| {
            if matches!(event, Event::LoginHeld { .. }) {
                let _ = seen.get().unwrap().close().now_or_never();
            }
        })
        .build();
    own.set(credentials.clone()).unwrap();
    for _ in 0..10 {
        credentials.renew().await.unwrap();
    }
    clock.advance(10 * SECOND);
    let before = alive_tasks();
    assert!(credentials.renew().await.unwrap_err().is_closed());
    settle().await;
    assert_eq!((alive_tasks(), logins.count()), (before, 10));
}

#[tokio::test]
async fn an_observer_is_told_of_a_close_once() {
    let closed = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&closed);
    let credentials = on(&ManualClock::new(), tokens())
        .observer(move |_: &Identity, event: &Event| {
            seen.fetch_add(u64::from(matches!(event, Event::Closed)), SeqCst);
        })
        .build();
    credentials.get().await.unwrap();
    credentials.close().await.unwrap();
    let _ = credentials.clone().close().await;
    assert_eq!(closed.load(SeqCst), 1);
}

#[tokio::test]
async fn after_a_close_no_rejection_is_doubted() {
    let doubts = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&doubts);
    let credentials = on(&ManualClock::new(), tokens())
        .observer(move |_: &Identity, event: &Event| {
            seen.fetch_add(
                u64::from(matches!(event, Event::RejectionDoubted { .. })),
                SeqCst,
            );
        })
        .build();
    let credential = credentials.get().await.unwrap();
    credentials.close().await.unwrap();
    assert_eq!(
        Attempt::new(&credentials, &credential).rejected(),
        Conclusion::Rejected
    );
    assert_eq!(doubts.load(SeqCst), 0);
}

/// A session, then one that supersedes it, and ten seconds of grace.
async fn superseded_by(
    provider: Renewing,
    supersede: impl AsyncFnOnce(&Credentials, &ManualClock),
) -> Vec<(u64, Logout)> {
    let clock = ManualClock::new();
    let logouts = provider.logouts();
    let credentials = provider.on(&clock).log_out_superseded(10 * SECOND).build();
    credentials.get().await.unwrap();
    supersede(&credentials, &clock).await;
    assert_eq!(credentials.get().await.unwrap().stamp().generation(), 2);
    settle().await;
    clock.advance(10 * SECOND - SECOND / 100);
    settle().await;
    assert_eq!(*logouts.lock(), [], "the grace");
    clock.advance(SECOND / 100);
    settle().await;
    logouts.lock().clone()
}

async fn renew(credentials: &Credentials, _: &ManualClock) {
    credentials.renew().await.unwrap();
}

async fn expire(_: &Credentials, clock: &ManualClock) {
    clock.advance(HOUR);
}

async fn reject(credentials: &Credentials, _: &ManualClock) {
    let current = credentials.get().await.unwrap();
    let conclusion = Attempt::new(credentials, &current).rejected();
    assert_eq!(conclusion, Conclusion::Replay);
}

#[tokio::test]
async fn rule_19_whatever_superseded_a_session_its_logout_is_told_whether_it_was_over() {
    let superseded = Logout::new(LogoutReason::Superseded);
    let renewed = superseded_by(Renewing::new(tokens()), renew).await;
    assert_eq!(renewed, [(1, superseded)]);
    let expired = superseded_by(Renewing::new(tokens()), expire).await;
    assert_eq!(expired, [(1, superseded.of_dead_session())]);
    let rejected = superseded_by(Renewing::new(tokens()), reject).await;
    assert_eq!(rejected, [(1, superseded.of_dead_session())]);
}

#[tokio::test]
async fn rule_19_a_session_whose_cookie_came_again_is_not_logged_out() {
    let sessions = |same| {
        Renewing::new(Scripted::new(move |number| {
            let value = if same {
                "s".to_owned()
            } else {
                number.to_string()
            };
            Ok(Session::new().with_cookie("sid", &value)?)
        }))
    };
    assert_eq!(superseded_by(sessions(true), renew).await, []);
    let superseded = Logout::new(LogoutReason::Superseded);
    let other = superseded_by(sessions(false), renew).await;
    assert_eq!(other, [(1, superseded)]);
}

#[tokio::test]
async fn rule_19_where_a_logout_ends_all_sessions_only_the_close_logs_out() {
    let account = || Renewing::new(tokens()).with_logout_scope(LogoutScope::Account);
    assert_eq!(superseded_by(account(), renew).await, []);
    assert_eq!(superseded_by(account(), expire).await, []);
    assert_eq!(superseded_by(account(), reject).await, []);

    let provider = account();
    let logouts = provider.logouts();
    let credentials = provider
        .on(&ManualClock::new())
        .log_out_superseded(SECOND)
        .build();
    credentials.get().await.unwrap();
    credentials.renew().await.unwrap();
    credentials.close().await.unwrap();
    assert_eq!(*logouts.lock(), [(2, Logout::new(LogoutReason::Closing))]);
}

#[tokio::test]
async fn rule_19_a_route_that_is_always_forbidden_leaves_one_session_open() {
    let clock = ManualClock::new();
    let provider = Renewing::new(Scripted::tokens(Lifetime::unknown()));
    let (logins, logouts) = (provider.logins(), provider.logouts());
    let credentials = provider.on(&clock).log_out_superseded(SECOND).build();
    for _ in 0..6_000 {
        let current = credentials.get().await.unwrap();
        if Attempt::new(&credentials, &current).rejected() == Conclusion::Replay {
            let second = credentials.get().await.unwrap();
            replay(&credentials, &second).rejected();
        }
        settle().await;
        clock.advance(SECOND / 10);
    }
    assert!(logins.count() > 3);
    assert_eq!(logouts.lock().len() as u64, logins.count() - 1);
}

#[tokio::test]
async fn rule_19_a_close_logs_a_rejected_session_out_that_nothing_has_superseded_yet() {
    for by_choice in [true, false] {
        let gate = Gate::shut();
        gate.let_through(1);
        let provider = Renewing::new(tokens().gated(&gate));
        let logouts = provider.logouts();
        let mut builder = provider.on(&ManualClock::new());
        if by_choice {
            builder = builder.log_out_superseded(HOUR);
        }
        let credentials = builder.build();
        let first = credentials.get().await.unwrap();
        Attempt::new(&credentials, &first).rejected();
        settle().await;
        let closing = tokio::spawn(async move { credentials.close().await });
        settle().await;
        gate.let_through(1);
        closing.await.unwrap().unwrap();
        settle().await;
        let closing = Logout::new(LogoutReason::Closing);
        let expected = [(1, closing.of_dead_session()), (2, closing)];
        let expected = &expected[usize::from(!by_choice)..];
        assert_eq!(*logouts.lock(), expected);
    }
}

#[tokio::test]
async fn rule_19_a_close_tells_that_a_session_has_expired() {
    let clock = ManualClock::new();
    let provider = Renewing::new(tokens());
    let logouts = provider.logouts();
    let credentials = provider.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR);
    credentials.close().await.unwrap();
    let closing = Logout::new(LogoutReason::Closing);
    assert_eq!(*logouts.lock(), [(1, closing.of_dead_session())]);
}

#[tokio::test]
async fn rule_12_a_login_that_finds_too_many_sessions_ends_the_grace_of_the_oldest() {
    let clock = ManualClock::new();
    let inner = Scripted::new(|number| match number {
        4 => Err(LoginError::seats_exhausted("status 409")),
        _ => crate::support::session(number, Lifetime::of(HOUR)),
    });
    let provider = Renewing::new(inner);
    let (logins, logouts) = (provider.logins(), provider.logouts());
    let credentials = provider.on(&clock).log_out_superseded(HOUR).build();
    credentials.get().await.unwrap();
    credentials.renew().await.unwrap();
    credentials.renew().await.unwrap();
    settle().await;
    assert_eq!(*logouts.lock(), []);
    assert!(credentials.renew().await.unwrap_err().is_seats_exhausted());
    settle().await;
    let superseded = Logout::new(LogoutReason::Superseded);
    assert_eq!(*logouts.lock(), [(1, superseded)], "one of the two");
    for _ in 0..50 {
        assert!(credentials.renew().await.unwrap_err().is_seats_exhausted());
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 4, "it backs off for minutes");
    clock.advance(70 * SECOND);
    credentials.renew().await.unwrap();
    settle().await;
    clock.advance(HOUR);
    settle().await;
    let generations: Vec<u64> = logouts.lock().iter().map(|(number, _)| *number).collect();
    assert_eq!(generations, [1, 2, 3], "each once");
}

#[tokio::test]
async fn rule_12_a_login_that_finds_too_many_sessions_passes_over_one_whose_grace_has_ended() {
    let clock = ManualClock::new();
    let inner = Scripted::new(|number| match number {
        4 => Err(LoginError::seats_exhausted("status 409")),
        _ => crate::support::session(number, Lifetime::of(HOUR)),
    });
    let provider = Renewing::new(inner);
    let logouts = provider.logouts();
    let credentials = provider.on(&clock).log_out_superseded(10 * SECOND).build();
    credentials.get().await.unwrap();
    credentials.renew().await.unwrap();
    settle().await;
    clock.advance(8 * SECOND);
    credentials.renew().await.unwrap();
    settle().await;
    clock.advance(2 * SECOND);
    settle().await;
    let superseded = Logout::new(LogoutReason::Superseded);
    assert_eq!(*logouts.lock(), [(1, superseded)]);
    assert!(credentials.renew().await.unwrap_err().is_seats_exhausted());
    settle().await;
    assert_eq!(*logouts.lock(), [(1, superseded), (2, superseded)]);
}
