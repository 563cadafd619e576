//! Rules 5 and 6.

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{Attempt, Condition, Lifetime, LoginError, RefreshWindow};

use crate::support::{DAY, HOUR, SECOND, on, session, settle, then_fails, token, tokens};

#[tokio::test]
async fn rule_5_a_fresh_credential_is_served_without_a_runtime_or_a_wait() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    assert!(credentials.fresh().is_none());
    assert_eq!(credentials.status().condition, Condition::Empty);
    assert!(credentials.peek().is_none(), "`peek` starts no login");
    assert!(!credentials.status().login_under_way);
    credentials.get().await.unwrap();
    let outside =
        std::thread::spawn(move || futures_util::FutureExt::now_or_never(credentials.get()));
    let served = outside.join().unwrap().expect("ready at once");
    assert_eq!(token(&served.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_5_the_attach_closure_may_use_the_same_cache() {
    let credentials = on(&ManualClock::new(), tokens()).build();
    assert!(
        Attempt::fresh(&credentials, None, |_| Some(())).is_none(),
        "there is no credential to lend"
    );
    let served = credentials.get().await.unwrap();
    let (attempt, tokens) = Attempt::fresh(&credentials, None, |credential| {
        Attempt::new(&credentials, credential).accepted();
        Some((
            token(credential),
            credentials.fresh().map(|fresh| token(&fresh)),
        ))
    })
    .unwrap();
    assert_eq!(attempt.stamp(), served.stamp());
    let token = token(&served);
    assert_eq!(tokens, (token.clone(), Some(token)));
}

#[tokio::test]
async fn rule_6_inside_the_window_the_credential_is_served_and_one_renewal_runs_beside_it() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let provider = Scripted::tokens(Lifetime::of(DAY)).gated(&gate);
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    gate.let_through(1);
    credentials.get().await.unwrap();

    clock.advance(DAY - 301 * SECOND);
    assert!(
        credentials.fresh().is_some(),
        "just outside the widest window"
    );
    clock.advance(100 * SECOND);
    assert!(credentials.fresh().is_none());
    assert!(credentials.peek().is_some());
    for _ in 0..1_000 {
        assert_eq!(
            token(&credentials.get().await.unwrap()),
            "token-1",
            "served at once"
        );
    }
    settle().await;
    assert_eq!(logins.count(), 2, "one renewal");
    gate.let_through(1);
    settle().await;
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_6_short_lifetimes_do_not_loop() {
    let clock = ManualClock::new();
    let provider = Scripted::tokens(Lifetime::of(SECOND));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..1_000 {
        credentials.get().await.unwrap();
        settle().await;
    }
    assert_eq!(logins.count(), 1);
    clock.advance(SECOND);
    assert_eq!(credentials.status().condition, Condition::Expired);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_6_a_renewal_that_brings_back_the_same_expiry_backs_off() {
    let clock = ManualClock::new();
    // Each renewal returns what is left of the first lifetime, as a server that caches its tokens
    // does.
    let provider = Scripted::new(|number| {
        let lifetime = if number == 1 { HOUR } else { 60 * SECOND };
        session(number, Lifetime::of(lifetime))
    });
    let logins = provider.logins();
    let credentials = on(&clock, provider)
        .refresh_window(RefreshWindow::new(HOUR, 0.9))
        .build();
    credentials.get().await.unwrap();
    clock.advance(HOUR - 60 * SECOND);
    let mut renewals = Vec::new();
    for second in 0..50 {
        let before = logins.count();
        for _ in 0..10 {
            credentials.get().await.unwrap();
            settle().await;
        }
        if logins.count() > before {
            assert_eq!(logins.count(), before + 1, "at most one renewal a second");
            renewals.push(second);
        }
        clock.advance(SECOND);
    }
    assert!(renewals.len() <= 6, "{renewals:?}");
    assert!(renewals.len() >= 3, "renewals continue: {renewals:?}");
}

#[tokio::test]
async fn rule_6_a_renewal_that_fails_backs_off_and_callers_are_still_served() {
    let clock = ManualClock::new();
    let provider = then_fails(|| LoginError::unavailable("status 503"));
    let logins = provider.logins();
    let credentials = on(&clock, provider)
        .backoff(10 * SECOND, 10 * SECOND)
        .build();
    credentials.get().await.unwrap();
    clock.advance(HOUR - 60 * SECOND);
    for _ in 0..100 {
        assert_eq!(token(&credentials.get().await.unwrap()), "token-1");
        settle().await;
    }
    // Full jitter may draw a back-off close to zero, but not several times in a row.
    assert!(logins.count() <= 4, "{} logins", logins.count());
}

#[tokio::test]
async fn a_forced_renewal_that_fails_keeps_the_current_credential() {
    let clock = ManualClock::new();
    let provider = then_fails(|| LoginError::unavailable("status 503"));
    let credentials = on(&clock, provider).build();
    credentials.get().await.unwrap();
    assert!(credentials.renew().await.unwrap_err().is_unavailable());
    assert_eq!(token(&credentials.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn a_hundred_forced_renewals_at_once_are_one_login() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    gate.let_through(1);
    credentials.get().await.unwrap();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move { credentials.renew().await })
        })
        .collect();
    settle().await;
    gate.let_through(1);
    for caller in callers {
        assert_eq!(token(&caller.await.unwrap().unwrap()), "token-2");
    }
    assert_eq!(logins.count(), 2);
}
