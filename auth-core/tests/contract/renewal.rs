//! Rule 6: a renewal that fails, and the login that it must not hold back; whether it is a refresh
//! or a login with the password.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{Ask, Attempt, Error, Event, Identity, Lifetime, LoginError, Quota, Refresh};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::support::{HOUR, Renewing, SECOND, session, settle, then_fails, token, tokens};

/// Its logins work, and its refreshes fail.
fn cant_refresh(error: fn() -> LoginError) -> Renewing {
    Renewing::new(tokens()).refreshed(Refresh::with_session(), move |_| Err(error()))
}

#[tokio::test]
async fn rule_6_where_refreshes_fail_and_logins_work_no_request_goes_without_a_session() {
    for error in [
        || LoginError::unavailable("status 503"),
        || LoginError::malformed("status 404"),
        || LoginError::seats_exhausted("status 409"),
    ] {
        let clock = ManualClock::new();
        let provider = cant_refresh(error);
        let (logins, refreshes) = (provider.logins(), provider.refreshes());
        let credentials = provider.on(&clock).build();
        for _ in 0..3 * 3_600 {
            credentials.get().await.unwrap();
            settle().await;
            clock.advance(SECOND);
        }
        assert_eq!(logins.count(), 3);
        let refreshes = refreshes.load(SeqCst);
        assert!(
            (6..=3 * 20).contains(&refreshes),
            "{refreshes} refreshes, which back off"
        );
    }
}

#[tokio::test]
async fn rule_6_a_login_follows_a_failed_refresh_in_the_same_flight_once_the_session_is_over() {
    for rejected in [false, true] {
        let clock = ManualClock::new();
        let gate = Arc::new(Semaphore::new(0));
        let provider = cant_refresh(|| LoginError::unavailable("status 503")).gated(&gate);
        let logins = provider.logins();
        let credentials = provider.on(&clock).build();
        let first = credentials.get().await.unwrap();
        clock.advance(HOUR - SECOND);
        credentials.get().await.unwrap();
        settle().await;
        assert!(credentials.status().login_under_way, "a refresh");
        if rejected {
            Attempt::new(&credentials, &first).rejected();
        } else {
            clock.advance(SECOND);
        }
        let mut caller = Box::pin(credentials.get());
        assert!(futures_util::poll!(&mut caller).is_pending());
        gate.add_permits(1);
        assert_eq!(token(&caller.await.unwrap()), "token-2");
        assert_eq!(logins.count(), 2);
        assert_eq!(credentials.status().failure, None);
    }
}

/// Its refreshes hang, and its sessions keep a token for one.
fn hangs(logins_wait_at: &Gate) -> Renewing {
    let inner = Scripted::new(|number| {
        let session = session(number, Lifetime::of(HOUR))?;
        Ok(session.with_kept("refresh_token", "r-1")?)
    });
    Renewing::new(inner.gated(logins_wait_at))
        .refreshed(Refresh::with_kept("refresh_token"), |_| {
            unreachable!("the refresh hangs")
        })
        .gated(&Arc::new(Semaphore::new(0)))
}

/// How a session ends whose refresh hangs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    BeforeItsRefresh,
    Meanwhile,
    ByARejectionMeanwhile,
}

#[tokio::test]
async fn rule_6_a_refresh_that_hangs_is_given_up_once_its_session_has_been_over_for_five_seconds() {
    for ends in [
        Ends::BeforeItsRefresh,
        Ends::Meanwhile,
        Ends::ByARejectionMeanwhile,
    ] {
        let (clock, gate) = (ManualClock::new(), Gate::shut());
        gate.let_through(2);
        let provider = hangs(&gate);
        let (logins, refreshes) = (provider.logins(), provider.refreshes());
        let credentials = provider.on(&clock).build();
        let first = credentials.get().await.unwrap();
        if ends == Ends::BeforeItsRefresh {
            clock.advance(HOUR);
        } else {
            clock.advance(HOUR - 2 * SECOND);
            credentials.get().await.unwrap();
            settle().await;
            assert!(credentials.status().login_under_way, "a refresh");
            clock.advance(SECOND);
            settle().await;
            if ends == Ends::ByARejectionMeanwhile {
                Attempt::new(&credentials, &first).rejected();
            } else {
                clock.advance(SECOND);
            }
        }
        let caller = tokio::spawn(async move {
            let ask = Ask::new().within(10 * SECOND);
            credentials.get_with(ask).await
        });
        settle().await;
        let mut seconds = 0;
        while !caller.is_finished() {
            clock.advance(SECOND);
            settle().await;
            seconds += 1;
        }
        let next = caller.await.unwrap().unwrap();
        assert_eq!(token(&next), "token-2", "{ends:?}");
        // A second more until the rejection is seen.
        assert!((5..=6).contains(&seconds), "{ends:?}: {seconds} s");
        assert_eq!((logins.count(), refreshes.load(SeqCst)), (2, 1), "{ends:?}");
    }
}

#[tokio::test]
async fn rule_6_a_refresh_is_not_given_up_for_a_login_that_a_refused_password_forbids() {
    let (clock, gate) = (ManualClock::new(), Arc::new(Semaphore::new(1)));
    let inner = Scripted::new(|number| match number {
        1 => Ok(session(1, Lifetime::of(HOUR))?.with_kept("refresh_token", "r-1")?),
        _ => Err(LoginError::refused("status 401")),
    });
    let provider = Renewing::new(inner)
        .refreshed(Refresh::with_kept("refresh_token"), |number| match number {
            1 => Err(LoginError::unavailable("status 503")),
            _ => session(100 + number, Lifetime::of(HOUR)),
        })
        .gated(&gate);
    let (logins, refreshes) = (provider.logins(), provider.refreshes());
    let credentials = provider.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR);
    assert!(credentials.get().await.unwrap_err().is_login_refused());
    clock.advance(2 * SECOND);
    let caller = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    settle().await;
    assert_eq!(refreshes.load(SeqCst), 2);
    for _ in 0..8 {
        clock.advance(SECOND);
        settle().await;
    }
    gate.add_permits(1);
    assert_eq!(token(&caller.await.unwrap().unwrap()), "token-102");
    assert_eq!((logins.count(), refreshes.load(SeqCst)), (2, 2));
}

#[tokio::test]
async fn rule_6_a_refresh_is_not_given_up_for_a_login_that_waits_for_the_quota() {
    for answers in [true, false] {
        let (clock, gate) = (ManualClock::new(), Arc::new(Semaphore::new(0)));
        let inner = Scripted::new(|number| {
            let session = session(number, Lifetime::of(40 * SECOND))?;
            Ok(session.with_kept("refresh_token", "r-1")?)
        });
        let inner = inner.with_quota(Quota::DEFAULT.at_most(NonZeroU32::MIN));
        let provider = Renewing::new(inner)
            .refreshed(Refresh::with_kept("refresh_token"), |number| {
                session(100 + number, Lifetime::of(HOUR))
            })
            .gated(&gate);
        let logins = provider.logins();
        let credentials = provider.on(&clock).build();
        credentials.get().await.unwrap();
        clock.advance(41 * SECOND);
        let caller = tokio::spawn(async move { credentials.get().await });
        settle().await;
        // The permit is free 62 s after the login.
        for second in 42..=61 {
            clock.advance(SECOND);
            settle().await;
            assert!(!caller.is_finished(), "at {second} s");
        }
        let expected = if answers {
            gate.add_permits(1);
            ("token-101", 1)
        } else {
            clock.advance(SECOND);
            settle().await;
            clock.advance(SECOND);
            ("token-2", 2)
        };
        settle().await;
        assert!(caller.is_finished());
        let next = caller.await.unwrap().unwrap();
        assert_eq!((token(&next).as_str(), logins.count()), expected);
    }
}

#[tokio::test]
async fn rule_19_a_close_waits_for_a_slow_refresh_and_logs_its_session_out() {
    let (clock, gate) = (ManualClock::new(), Arc::new(Semaphore::new(0)));
    let provider = Renewing::new(tokens())
        .refreshed(Refresh::with_session(), |number| {
            session(100 + number, Lifetime::of(HOUR))
        })
        .gated(&gate);
    let logouts = provider.logouts();
    let credentials = provider.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(HOUR - 20 * SECOND);
    credentials.get().await.unwrap();
    settle().await;
    assert!(credentials.status().login_under_way, "a refresh");
    let closed = tokio::spawn(async move { credentials.close().await });
    for _ in 0..10 {
        settle().await;
        clock.advance(SECOND);
    }
    settle().await;
    assert!(!closed.is_finished());
    gate.add_permits(1);
    closed.await.unwrap().unwrap();
    let ended: Vec<_> = logouts.lock().iter().map(|(number, _)| *number).collect();
    assert_eq!(ended, [1, 2]);
}

#[tokio::test]
async fn rule_6_a_refresh_is_waited_for_while_its_session_is_good_and_twice_as_long_as_logins_take()
{
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    let provider = hangs(&gate);
    let logins = provider.logins();
    let credentials = provider.on(&clock).build();
    let mut caller = Box::pin(credentials.get());
    assert!(futures_util::poll!(&mut caller).is_pending());
    settle().await;
    clock.advance(4 * SECOND);
    gate.let_through(1);
    caller.await.unwrap();
    clock.advance(HOUR - 10 * SECOND);
    credentials.get().await.unwrap();
    settle().await;
    for second in 0..10 + 8 {
        assert!(credentials.status().login_under_way, "at {second} s");
        assert_eq!(logins.count(), 1, "at {second} s");
        clock.advance(SECOND);
        settle().await;
    }
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_6_a_failed_refresh_of_a_good_session_causes_no_login() {
    let clock = ManualClock::new();
    let provider = cant_refresh(|| LoginError::unavailable("status 503"));
    let logins = provider.logins();
    let credentials = provider.on(&clock).build();
    credentials.get().await.unwrap();
    assert!(credentials.renew().await.unwrap_err().is_unavailable());
    assert_eq!(token(&credentials.get().await.unwrap()), "token-1");
    assert_eq!(logins.count(), 1);
}

#[tokio::test]
async fn rule_6_a_session_that_may_be_over_is_logged_in_after_its_refresh_failed() {
    let clock = ManualClock::new();
    let provider = idle().refreshed(Refresh::with_kept("refresh_token"), |_| {
        Err(LoginError::unavailable("status 503"))
    });
    let credentials = provider.on(&clock).build();
    credentials.get().await.unwrap();
    clock.advance(2 * HOUR);
    assert_eq!(token(&credentials.renew().await.unwrap()), "token-2");
}

/// Its sessions end by inactivity, and keep a refresh token.
fn idle() -> Renewing {
    Renewing::new(Scripted::new(|number| {
        let session = session(number, Lifetime::unknown().idle(HOUR))?;
        Ok(session.with_kept("refresh_token", "r-1")?)
    }))
}

#[tokio::test]
async fn rule_12_a_password_that_the_renewal_found_refused_is_not_tried_by_the_login() {
    for (error, refused) in [
        (
            (|| LoginError::refused("status 401")) as fn() -> LoginError,
            true,
        ),
        (|| LoginError::locked("status 423"), false),
    ] {
        let clock = ManualClock::new();
        let inner = then_fails(error);
        let logins = inner.logins();
        let credentials = Renewing::new(inner).on(&clock).build();
        let first = credentials.get().await.unwrap();
        let told = credentials.renew().await.unwrap_err();
        assert_eq!(
            (told.is_login_refused(), told.is_locked()),
            (refused, !refused)
        );
        Attempt::new(&credentials, &first).rejected();
        let told = credentials.get().await.unwrap_err();
        assert_eq!(
            (told.is_login_refused(), told.is_locked()),
            (refused, !refused)
        );
        assert_eq!(logins.count(), 2);
    }
}

#[tokio::test]
async fn rule_6_a_session_that_is_over_when_its_renewal_fails_is_logged_in_at_once() {
    for (error, logs_in) in [
        (
            (|| LoginError::unavailable("status 503")) as fn() -> LoginError,
            true,
        ),
        (|| LoginError::refused("status 401"), false),
    ] {
        let clock = ManualClock::new();
        let gate = Gate::shut();
        let inner = then_fails(error).gated(&gate);
        let logins = inner.logins();
        let credentials = Renewing::new(inner).on(&clock).build();
        gate.let_through(1);
        let first = credentials.get().await.unwrap();
        let renewal = tokio::spawn({
            let credentials = credentials.clone();
            async move { credentials.renew().await }
        });
        settle().await;
        Attempt::new(&credentials, &first).rejected();
        let waiting = tokio::spawn({
            let credentials = credentials.clone();
            async move { credentials.get().await }
        });
        gate.let_through(1);
        settle().await;
        assert_eq!(logins.count(), if logs_in { 3 } else { 2 });
        gate.let_through(1);
        for caller in [renewal, waiting] {
            let told = caller.await.unwrap().unwrap_err();
            assert_eq!(told.is_login_refused(), !logs_in, "{told}");
        }
        assert_eq!(logins.count(), if logs_in { 3 } else { 2 });
    }
}

#[tokio::test]
async fn rule_12_renewals_count_among_the_four_attempts_that_may_be_refused() {
    let clock = ManualClock::new();
    let good = Arc::new(Mutex::new(true));
    let logins_are_good = Arc::clone(&good);
    let inner = Scripted::new(move |number| {
        if *logins_are_good.lock() {
            session(number, Lifetime::of(100 * HOUR))
        } else {
            Err(LoginError::malformed("status 200"))
        }
    });
    let logins = inner.logins();
    // The renewal is a login, as by default.
    let credentials = Renewing::new(inner).on(&clock).build();
    let first = credentials.get().await.unwrap();
    *good.lock() = false;
    for _ in 0..600 {
        credentials.renew().await.unwrap_err();
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 1 + 4);
    Attempt::new(&credentials, &first).rejected();
    for _ in 0..300 {
        assert!(credentials.get().await.unwrap_err().is_unavailable());
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 1 + 4, "the fifth would be the login");
}

#[tokio::test]
async fn rule_10_the_login_that_follows_a_refresh_has_a_permit_of_its_own() {
    let clock = ManualClock::new();
    let two = Quota::DEFAULT.at_most(NonZeroU32::new(2).unwrap());
    let gate = Arc::new(Semaphore::new(0));
    let inner = Scripted::tokens(Lifetime::of(HOUR)).with_quota(two);
    let provider = Renewing::new(inner)
        .refreshed(Refresh::with_session().counts_as_login(), |_| {
            Err(LoginError::unavailable("status 503"))
        })
        .gated(&gate);
    let logins = provider.logins();
    let credentials = provider.on(&clock).build();
    let first = credentials.get().await.unwrap();
    let renewal = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    settle().await;
    Attempt::new(&credentials, &first).rejected();
    let hasty = Ask::new().within(SECOND);
    let mut hasty = Box::pin(credentials.get_with(hasty));
    let patient = Ask::new().within(100 * SECOND);
    let mut patient = Box::pin(credentials.get_with(patient));
    assert!(futures_util::poll!(&mut hasty).is_pending());
    assert!(futures_util::poll!(&mut patient).is_pending());
    gate.add_permits(1);
    settle().await;
    assert!(matches!(hasty.await, Err(Error::QuotaSpent { .. })));
    assert!(futures_util::poll!(&mut patient).is_pending());
    assert_eq!(logins.count(), 1, "both permits are spent");
    clock.advance(62 * SECOND);
    assert_eq!(token(&patient.await.unwrap()), "token-2");
    let _ = renewal.await.unwrap();
}

#[tokio::test]
async fn rule_19_a_login_that_is_to_follow_a_refresh_is_not_sent_after_the_close() {
    let clock = ManualClock::new();
    let two = Quota::DEFAULT.at_most(NonZeroU32::new(2).unwrap());
    let gate = Arc::new(Semaphore::new(0));
    let inner = Scripted::tokens(Lifetime::of(HOUR)).with_quota(two);
    let provider = Renewing::new(inner)
        .refreshed(Refresh::with_session().counts_as_login(), |_| {
            Err(LoginError::unavailable("status 503"))
        })
        .gated(&gate);
    let logins = provider.logins();
    let credentials = provider.on(&clock).build();
    let first = credentials.get().await.unwrap();
    let renewal = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    settle().await;
    Attempt::new(&credentials, &first).rejected();
    gate.add_permits(1);
    settle().await;
    // The login waits for its permit, and so the close does not wait for it.
    credentials.close().await.unwrap();
    renewal.await.unwrap().unwrap_err();
    clock.advance(HOUR);
    settle().await;
    assert_eq!(logins.count(), 1);
}

#[tokio::test]
async fn an_observer_is_told_of_the_refresh_that_failed_and_of_the_login_that_followed() {
    let clock = ManualClock::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let provider = idle().refreshed(Refresh::with_kept("refresh_token"), |number| match number {
        1 => Err(LoginError::unavailable("status 503")),
        _ => session(9, Lifetime::of(HOUR)),
    });
    let credentials = provider
        .on(&clock)
        .observer(move |_: &Identity, event: &Event| {
            log.lock().push(match event {
                Event::LoginSent { .. } => "login",
                Event::LoggedIn { .. } => "logged in",
                Event::RefreshSent { .. } => "refresh",
                Event::RefreshFailed { .. } => "not refreshed",
                Event::Refreshed { .. } => "refreshed",
                _ => "other",
            });
        })
        .build();
    credentials.get().await.unwrap();
    clock.advance(2 * HOUR);
    credentials.renew().await.unwrap();
    clock.advance(60 * SECOND);
    credentials.renew().await.unwrap();
    let expected = [
        "login",
        "logged in",
        "refresh",
        "not refreshed",
        "login",
        "logged in",
        "refresh",
        "refreshed",
    ];
    assert_eq!(*events.lock(), expected);
}
