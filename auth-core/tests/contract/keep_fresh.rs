//! Sessions that a timer renews, so that no caller waits where requests are rare.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Attempt, Credentials, Identity, Lifetime, LoginError, Origin, Refresh, RefreshWindow, Session,
};
use parking_lot::Mutex;
use tokio::runtime::Builder;

use crate::support::{DAY, HOUR, Renewing, SECOND, session, set_cookie, settle, token};

const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// Sessions of five minutes, and a refresh token.
fn short() -> Scripted {
    Scripted::new(|number| {
        let session = session(number, Lifetime::of(FIVE_MINUTES))?;
        Ok(session.with_kept("refresh_token", "r-1")?)
    })
}

fn refreshed() -> Renewing {
    Renewing::new(short()).refreshed(Refresh::with_kept("refresh_token"), |number| {
        session(100 + number, Lifetime::of(FIVE_MINUTES))
    })
}

/// Lets time pass in steps, so that every timer rings.
async fn pass(clock: &ManualClock, time: Duration, step: Duration) {
    let mut left = time;
    settle().await;
    while !left.is_zero() {
        clock.advance(step.min(left));
        left = left.saturating_sub(step);
        settle().await;
    }
}

#[tokio::test]
async fn rule_6_kept_fresh_no_caller_waits_where_requests_are_rare() {
    let clock = ManualClock::new();
    let provider = refreshed();
    let (logins, refreshes) = (provider.logins(), provider.refreshes());
    let credentials = provider.on(&clock).keep_fresh().build();
    credentials.get().await.unwrap();
    for _ in 0..24 * 60 {
        pass(&clock, 60 * SECOND, 5 * SECOND).await;
        assert!(credentials.peek().is_some(), "the caller does not wait");
    }
    assert_eq!(logins.count(), 1);
    let refreshes = refreshes.load(SeqCst);
    assert!((288..=360).contains(&refreshes), "{refreshes}");
}

#[tokio::test]
async fn rule_6_without_the_choice_a_session_that_is_not_used_expires() {
    let clock = ManualClock::new();
    let provider = refreshed();
    let refreshes = provider.refreshes();
    let credentials = provider.on(&clock).build();
    credentials.get().await.unwrap();
    pass(&clock, HOUR, 5 * SECOND).await;
    assert!(credentials.peek().is_none());
    assert_eq!(refreshes.load(SeqCst), 0);
}

#[tokio::test]
async fn rule_6_kept_fresh_a_session_is_renewed_ahead_of_its_idle_deadline_unless_it_was_used() {
    let clock = ManualClock::new();
    let idle = Scripted::new(|number| session(number, Lifetime::unknown().idle(HOUR)));
    let logins = idle.logins();
    let credentials = Renewing::new(idle).on(&clock).keep_fresh().build();
    let first = credentials.get().await.unwrap();
    pass(&clock, HOUR / 2, 10 * SECOND).await;
    Attempt::new(&credentials, &first).accepted();
    pass(&clock, HOUR / 2 + HOUR / 4, 10 * SECOND).await;
    assert_eq!(logins.count(), 1);
    pass(&clock, HOUR / 4, 10 * SECOND).await;
    assert_eq!(logins.count(), 2);
    pass(&clock, DAY, 60 * SECOND).await;
    assert!(credentials.peek().is_some());
}

#[tokio::test]
async fn rule_6_kept_fresh_a_session_is_renewed_a_tenth_of_its_idle_timeout_ahead() {
    let clock = ManualClock::new();
    let idle = Scripted::new(|number| session(number, Lifetime::unknown().idle(100 * SECOND)));
    let logins = idle.logins();
    let credentials = Renewing::new(idle).on(&clock).keep_fresh().build();
    credentials.get().await.unwrap();
    for (time, expected) in [(89, 1), (1, 2), (89, 2), (1, 3)] {
        pass(&clock, time * SECOND, SECOND).await;
        assert_eq!(logins.count(), expected);
    }
}

#[tokio::test]
async fn rule_6_kept_fresh_a_renewal_that_brings_back_the_same_expiry_backs_off() {
    let (clock, left) = (ManualClock::new(), Arc::new(AtomicU64::new(300)));
    let told = Arc::clone(&left);
    let cached = Scripted::new(move |number| {
        let left = Duration::from_secs(told.load(SeqCst));
        session(number, Lifetime::of(left))
    });
    let logins = cached.logins();
    let builder = Renewing::new(cached).on(&clock).keep_fresh();
    let window = RefreshWindow::new(HOUR, 0.9);
    let credentials = builder.refresh_window(window).build();
    credentials.get().await.unwrap();
    while left.fetch_sub(1, SeqCst) > 1 {
        pass(&clock, SECOND, SECOND).await;
    }
    assert!((4..=12).contains(&logins.count()), "{}", logins.count());
}

#[tokio::test]
async fn rule_6_kept_fresh_where_nothing_is_renewed_ahead_it_is_at_the_expiry() {
    let clock = ManualClock::new();
    let provider = refreshed();
    let refreshes = provider.refreshes();
    let builder = provider.on(&clock).refresh_window(RefreshWindow::NONE);
    let credentials = builder.keep_fresh().build();
    credentials.get().await.unwrap();
    pass(&clock, FIVE_MINUTES - SECOND, SECOND).await;
    assert_eq!(refreshes.load(SeqCst), 0);
    pass(&clock, SECOND, SECOND).await;
    assert_eq!(refreshes.load(SeqCst), 1);
    assert!(credentials.peek().is_some());
}

#[tokio::test]
async fn rule_6_kept_fresh_a_session_whose_life_the_server_shortens_is_renewed_in_time() {
    let clock = ManualClock::new();
    let cookies = Scripted::new(|number| {
        let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
        Ok(session.with_lifetime(Lifetime::of(DAY)))
    });
    let logins = cookies.logins();
    let credentials = Renewing::new(cookies).on(&clock).keep_fresh().build();
    let first = credentials.get().await.unwrap();
    let rolled = set_cookie("sid=rolled; Max-Age=600");
    Attempt::new(&credentials, &first).cookies_set(&rolled);
    pass(&clock, 600 * SECOND, SECOND).await;
    assert_eq!(logins.count(), 2);
    assert!(credentials.peek().is_some());
}

#[tokio::test]
async fn rule_6_kept_fresh_a_session_whose_life_an_answer_states_first_or_alone_is_renewed_in_time()
{
    for (life, line) in [
        (Lifetime::unknown(), "sid=rolled; Max-Age=600"),
        (Lifetime::unknown(), "sid=s-1; Max-Age=600"),
        (Lifetime::of(DAY), "sid=s-1; Max-Age=600"),
    ] {
        let clock = ManualClock::new();
        let cookies = Scripted::new(move |number| {
            let session = Session::new().with_cookie("sid", &format!("s-{number}"))?;
            Ok(session.with_lifetime(life))
        });
        let logins = cookies.logins();
        let credentials = Renewing::new(cookies).on(&clock).keep_fresh().build();
        let first = credentials.get().await.unwrap();
        Attempt::new(&credentials, &first).cookies_set(&set_cookie(line));
        pass(&clock, 600 * SECOND, SECOND).await;
        assert_eq!(logins.count(), 2, "{line}");
        assert!(credentials.peek().is_some(), "{line}");
    }
}

#[tokio::test]
async fn rule_6_kept_fresh_in_an_outage_of_the_refresh_no_password_is_used_before_the_expiry() {
    let clock = ManualClock::new();
    let provider = Renewing::new(short()).refreshed(Refresh::with_kept("refresh_token"), |_| {
        Err(LoginError::unavailable("status 503"))
    });
    let (logins, refreshes) = (provider.logins(), provider.refreshes());
    let credentials = provider.on(&clock).keep_fresh().build();
    credentials.get().await.unwrap();
    pass(&clock, FIVE_MINUTES - SECOND, SECOND).await;
    let refreshes = refreshes.load(SeqCst);
    assert!(refreshes > 1, "it is tried again: {refreshes}");
    assert_eq!(logins.count(), 1);
    pass(&clock, 60 * SECOND, SECOND).await;
    assert_eq!(logins.count(), 2);
    assert!(credentials.peek().is_some());
}

#[tokio::test]
async fn rule_12_kept_fresh_an_outage_is_tried_again_and_a_refused_password_is_not() {
    for (error, tried) in [
        (
            (|| LoginError::unavailable("status 503")) as fn() -> LoginError,
            60..=700,
        ),
        (|| LoginError::refused("status 401"), 1..=1),
        (|| LoginError::malformed("status 200"), 1..=1),
    ] {
        let clock = ManualClock::new();
        let inner = Scripted::new(move |number| match number {
            1 => session(1, Lifetime::of(FIVE_MINUTES)),
            _ => Err(error()),
        });
        let logins = inner.logins();
        let credentials = Renewing::new(inner).on(&clock).keep_fresh().build();
        credentials.get().await.unwrap();
        pass(&clock, HOUR + FIVE_MINUTES, SECOND).await;
        let attempts = logins.count() - 1;
        assert!(tried.contains(&attempts), "{attempts} {tried:?}");
    }
}

#[tokio::test]
async fn rule_10_kept_fresh_a_renewal_waits_for_its_permit_after_all_callers() {
    let clock = ManualClock::new();
    let origin = Origin::parse("https://shared.example.com").unwrap();
    let account = |name: String| {
        let inner = Scripted::new(|number| session(number, Lifetime::of(FIVE_MINUTES)));
        let inner = inner.with_identity(Identity::new("shared", origin.clone(), name));
        let logins = inner.logins();
        (Renewing::new(inner).on(&clock), logins)
    };
    let (kept, renewals) = account("kept".into());
    let kept = kept.keep_fresh().build();
    kept.get().await.unwrap();
    let others = |from: u32| {
        let tasks = (from..from + 10).map(|number| {
            let credentials = account(format!("other-{number}")).0.build();
            tokio::spawn(async move { credentials.get().await.map(|_| ()) })
        });
        tasks.collect::<Vec<_>>()
    };
    pass(&clock, 240 * SECOND, SECOND).await;
    let first = others(0);
    // The renewal is in the queue now, and the others come after it.
    pass(&clock, 40 * SECOND, SECOND).await;
    assert!(first.iter().all(tokio::task::JoinHandle::is_finished));
    let second = others(10);
    pass(&clock, 23 * SECOND, SECOND).await;
    assert!(second.iter().all(tokio::task::JoinHandle::is_finished));
    assert_eq!(renewals.count(), 1);
    pass(&clock, 62 * SECOND, SECOND).await;
    assert_eq!(renewals.count(), 2);
}

#[tokio::test]
async fn rule_19_kept_fresh_no_timer_outlives_the_last_handle_or_the_close() {
    for close in [false, true] {
        let clock = ManualClock::new();
        let provider = refreshed();
        let refreshes = provider.refreshes();
        let credentials = provider.on(&clock).keep_fresh().build();
        credentials.get().await.unwrap();
        settle().await;
        assert_eq!(clock.sleepers(), 1);
        if close {
            credentials.close().await.unwrap();
            settle().await;
            assert_eq!(clock.sleepers(), 0);
        } else {
            drop(credentials);
            settle().await;
            assert_eq!(clock.sleepers(), 0);
        }
        pass(&clock, HOUR, 60 * SECOND).await;
        assert_eq!(refreshes.load(SeqCst), 0);
    }
}

#[tokio::test]
async fn kept_fresh_after_a_suspend_renewals_are_spread_over_a_minute() {
    let clock = ManualClock::new();
    let times: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let start = clock.clock().now();
    let handles: Vec<_> = (0..20)
        .map(|_| {
            let (times, clock_of_server) = (Arc::clone(&times), clock.clock());
            let provider =
                Renewing::new(short()).refreshed(Refresh::with_kept("refresh_token"), move |_| {
                    times.lock().push(clock_of_server.now().since(start));
                    session(2, Lifetime::of(HOUR))
                });
            // An origin of its own for each, so that the first logins need not wait.
            provider
                .on(&ManualClock::new())
                .clock(clock.clock())
                .keep_fresh()
                .build()
        })
        .collect();
    for some in handles.chunks(10) {
        for credentials in some {
            credentials.get().await.unwrap();
        }
        clock.advance(62 * SECOND);
    }
    settle().await;
    clock.advance(3 * HOUR);
    let resumed = clock.clock().now().since(start);
    pass(&clock, 60 * SECOND, SECOND).await;
    let times: Vec<_> = times.lock().iter().map(|at| *at - resumed).collect();
    assert_eq!(times.len(), 20);
    let at_once = times.iter().filter(|at| **at < 5 * SECOND).count();
    assert!(at_once < 10, "{times:?}");
}

#[tokio::test]
async fn kept_fresh_a_renewal_that_comes_a_minute_late_is_made_at_once_and_a_later_one_is_spread() {
    for (late, at_once) in [(0, 1), (1, 0)] {
        let clock = ManualClock::new();
        let provider = refreshed();
        let refreshes = provider.refreshes();
        let builder = provider.on(&clock).refresh_window(RefreshWindow::NONE);
        let credentials = builder.keep_fresh().build();
        credentials.get().await.unwrap();
        settle().await;
        clock.advance(FIVE_MINUTES + 60 * SECOND + Duration::from_nanos(late));
        settle().await;
        assert_eq!(refreshes.load(SeqCst), at_once, "{late} ns");
        pass(&clock, 60 * SECOND, SECOND).await;
        assert_eq!(refreshes.load(SeqCst), 1);
    }
}

#[test]
fn kept_fresh_the_timer_moves_where_its_runtime_is_shut_down() {
    let clock = ManualClock::new();
    let provider = refreshed();
    let (logins, refreshes) = (provider.logins(), provider.refreshes());
    let credentials = provider.on(&clock).keep_fresh().build();
    let runtime = || Builder::new_current_thread().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let renew = |credentials: &Credentials| {
        let credentials = credentials.clone();
        async move { token(&credentials.renew().await.unwrap()) }
    };
    second.block_on(renew(&credentials));
    first.block_on(renew(&credentials));
    assert_eq!(refreshes.load(SeqCst), 1);
    drop(first);
    second.block_on(pass(&clock, FIVE_MINUTES, SECOND));
    assert_eq!(refreshes.load(SeqCst), 2);
    assert!(credentials.peek().is_some());
    // The last one that a caller has waited on.
    drop(second);
    let third = runtime();
    third.block_on(async {
        pass(&clock, FIVE_MINUTES, SECOND).await;
        assert!(credentials.peek().is_none());
        credentials.get().await.unwrap();
        pass(&clock, FIVE_MINUTES, SECOND).await;
        assert!(credentials.peek().is_some(), "the next caller has set it");
    });
    assert_eq!(logins.count(), 1);
}

#[test]
fn kept_fresh_the_timer_moves_to_where_a_caller_waits_for_the_login_of_another() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let logins = Scripted::new(|number| session(number, Lifetime::of(HOUR))).gated(&gate);
    let count = logins.logins();
    let credentials = Renewing::new(logins).on(&clock).keep_fresh().build();
    let get = || {
        let credentials = credentials.clone();
        async move { credentials.get().await.map(drop) }
    };
    let runtime = || Builder::new_current_thread().build().unwrap();
    let (first, second) = (runtime(), runtime());
    let begins = first.spawn(get());
    first.block_on(settle());
    let joins = second.spawn(get());
    second.block_on(settle());
    gate.let_through(9);
    first.block_on(begins).unwrap().unwrap();
    second.block_on(joins).unwrap().unwrap();
    drop(first);
    second.block_on(pass(&clock, 2 * HOUR, 10 * SECOND));
    assert!(count.count() > 1);
    assert!(credentials.peek().is_some());
}

#[test]
fn kept_fresh_a_timer_that_is_set_anew_stays_where_a_caller_has_waited_last() {
    let clock = ManualClock::new();
    let provider = refreshed();
    let refreshes = provider.refreshes();
    let credentials = provider.on(&clock).keep_fresh().build();
    let runtime = || Builder::new_current_thread().build().unwrap();
    let (stopped, driven) = (runtime(), runtime());
    stopped.block_on(credentials.renew()).unwrap();
    driven.block_on(async {
        credentials.renew().await.unwrap();
        credentials.renew().await.unwrap();
        pass(&clock, FIVE_MINUTES, SECOND).await;
        assert_eq!(refreshes.load(SeqCst), 3, "in place of another one");
        pass(&clock, FIVE_MINUTES, SECOND).await;
        assert!(credentials.peek().is_some(), "after it has rung");
    });
}

#[test]
fn kept_fresh_a_timer_that_rings_too_early_stays_where_a_caller_has_waited_last() {
    let clock = ManualClock::new();
    let idle = Scripted::new(|number| session(number, Lifetime::unknown().idle(HOUR)));
    let logins = idle.logins();
    let credentials = Renewing::new(idle).on(&clock).keep_fresh().build();
    let runtime = || Builder::new_current_thread().build().unwrap();
    let (stopped, driven) = (runtime(), runtime());
    stopped.block_on(credentials.renew()).unwrap();
    driven.block_on(async {
        let second = credentials.renew().await.unwrap();
        pass(&clock, HOUR / 2, 10 * SECOND).await;
        Attempt::new(&credentials, &second).accepted();
        pass(&clock, HOUR, 10 * SECOND).await;
    });
    assert_eq!(logins.count(), 3);
    assert!(credentials.peek().is_some());
}

#[tokio::test]
async fn kept_fresh_the_login_comes_at_the_expiry_though_the_refresh_is_held() {
    let clock = ManualClock::new();
    let provider = Renewing::new(short()).refreshed(Refresh::with_kept("refresh_token"), |_| {
        Err(LoginError::unavailable("status 503").with_retry_after(Some(HOUR)))
    });
    let logins = provider.logins();
    let credentials = provider.on(&clock).keep_fresh().build();
    credentials.get().await.unwrap();
    pass(&clock, FIVE_MINUTES + 60 * SECOND, SECOND).await;
    assert_eq!(logins.count(), 2);
    assert!(credentials.peek().is_some());
}

#[tokio::test]
async fn kept_fresh_with_no_window_nothing_is_renewed_ahead_of_an_idle_deadline_either() {
    let clock = ManualClock::new();
    let idle = Scripted::new(|number| session(number, Lifetime::unknown().idle(100 * SECOND)));
    let logins = idle.logins();
    let builder = Renewing::new(idle)
        .on(&clock)
        .refresh_window(RefreshWindow::NONE);
    let credentials = builder.keep_fresh().build();
    credentials.get().await.unwrap();
    pass(&clock, 98 * SECOND, SECOND).await;
    assert_eq!(logins.count(), 1);
    pass(&clock, 4 * SECOND, SECOND).await;
    assert_eq!(logins.count(), 2);
}
