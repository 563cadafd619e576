//! Rules 10 to 13.

use std::num::NonZeroU32;
use std::sync::Arc;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Credentials, Error, Identity, Lifetime, LoginError, LoginErrorKind, Origin, Quota,
    ReadSecret, Secret, SecretError, SecretSource,
};
use parking_lot::Mutex;

use crate::support::{HOUR, SECOND, on, session, settle, then_fails, token, tokens};

async fn spend(credentials: &Credentials, times: usize) {
    for _ in 0..times {
        credentials.renew().await.unwrap();
    }
}

#[tokio::test]
async fn rule_10_a_caller_whose_deadline_comes_before_its_permit_is_told_at_once() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens()).build();
    spend(&credentials, 10).await;
    let soon = credentials
        .get_with(Ask::new().renewed().within(5 * SECOND))
        .await;
    let Err(Error::QuotaSpent { retry_after }) = soon else {
        panic!("{soon:?}");
    };
    assert_eq!(retry_after, 62 * SECOND, "the window and its margin");
    assert!(
        !credentials.status().login_under_way,
        "nothing waits in vain"
    );
    clock.advance(40 * SECOND);
    let error = credentials
        .get_with(Ask::new().renewed().fail_fast())
        .await
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(22 * SECOND));
    assert!(error.is_rate_limited());
}

#[tokio::test]
async fn rule_10_a_caller_who_can_wait_does() {
    let clock = ManualClock::new();
    let credentials = on(&clock, tokens()).build();
    spend(&credentials, 10).await;
    clock.advance(10 * SECOND);
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move { credentials.renew().await })
        })
        .collect();
    settle().await;
    clock.advance(52 * SECOND - SECOND / 10);
    settle().await;
    assert!(callers.iter().all(|caller| !caller.is_finished()));
    clock.advance(SECOND / 10);
    for caller in callers {
        assert_eq!(
            token(&caller.await.unwrap().unwrap()),
            "token-11",
            "one permit for all of them"
        );
    }
}

#[tokio::test]
async fn rule_10_all_identities_at_one_origin_share_the_quota() {
    let clock = ManualClock::new();
    let origin = Origin::parse("https://shared.example.com").unwrap();
    let identity = |number: usize, origin: &Origin| {
        let provider = tokens().with_identity(Identity::new(
            "test",
            origin.clone(),
            format!("account-{number}"),
        ));
        on(&clock, provider).fail_fast().build()
    };
    let mut served = 0;
    for number in 0..15 {
        served += usize::from(identity(number, &origin).get().await.is_ok());
    }
    assert_eq!(served, 10, "ten cold identities at once, and no eleventh");
    let elsewhere = Origin::parse("https://elsewhere.example.com").unwrap();
    assert!(
        identity(0, &elsewhere).get().await.is_ok(),
        "another server, another quota"
    );
}

#[tokio::test]
async fn rule_10_failures_count_as_attempts() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|_| Err(LoginError::unavailable("status 503")));
    let logins = provider.logins();
    let credentials = on(&clock, provider)
        .backoff(SECOND / 1_000, SECOND / 1_000)
        .build();
    let mut limited = 0;
    for _ in 0..30 {
        let error = credentials
            .get_with(Ask::new().fail_fast())
            .await
            .unwrap_err();
        limited += u32::from(error.is_rate_limited());
        clock.advance(SECOND / 100);
    }
    assert_eq!((logins.count(), limited), (10, 20));
}

#[tokio::test]
async fn rule_10_the_strictest_statement_holds_and_a_smaller_share_can_be_asked_for() {
    let clock = ManualClock::new();
    let share = Quota::DEFAULT.at_most(NonZeroU32::new(3).unwrap());
    let generous = on(&clock, tokens()).fail_fast().build();
    spend(&generous, 2).await;
    let strict = on(&clock, tokens()).fail_fast().quota(share).build();
    assert!(strict.get().await.is_ok());
    assert!(strict.renew().await.unwrap_err().is_rate_limited());
    assert!(generous.renew().await.unwrap_err().is_rate_limited());
}

#[tokio::test]
async fn rule_10_logins_that_somebody_waits_for_go_before_renewals() {
    let clock = ManualClock::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let build = |name: &'static str| {
        let order = Arc::clone(&order);
        let provider = Scripted::new(move |number| {
            order.lock().push(name);
            session(number, Lifetime::of(HOUR))
        });
        let one_a_minute = Quota::DEFAULT.at_most(NonZeroU32::MIN);
        on(&clock, provider.with_quota(one_a_minute)).build()
    };
    let (renewing, waited_for) = (build("renewal"), build("waited for"));
    spend(&renewing, 1).await;
    let spender = build("spender");
    clock.advance(HOUR - 60 * SECOND);
    spend(&spender, 1).await;
    order.lock().clear();
    renewing.get().await.unwrap();
    settle().await;
    assert!(
        renewing.status().login_under_way,
        "the renewal stands first in the line"
    );
    clock.advance(10 * SECOND);
    let waiter = tokio::spawn(async move { waited_for.get().await });
    settle().await;
    clock.advance(52 * SECOND);
    settle().await;
    waiter.await.unwrap().unwrap();
    settle().await;
    assert_eq!(*order.lock(), ["waited for"]);
    clock.advance(62 * SECOND);
    settle().await;
    assert_eq!(*order.lock(), ["waited for", "renewal"]);
}

#[tokio::test]
async fn rule_11_the_servers_retry_after_holds_every_login_to_it() {
    let clock = ManualClock::new();
    let limited = Scripted::new(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let limited = on(&clock, limited).build();
    let provider = tokens().with_identity(Identity::new(
        "other",
        Origin::parse("https://api.example.com").unwrap(),
        "somebody else",
    ));
    let logins = provider.logins();
    let other = on(&clock, provider).fail_fast().build();
    other.get().await.unwrap();

    let error = limited.get().await.unwrap_err();
    assert!(error.is_rate_limited());
    assert_eq!(error.retry_after(), Some(30 * SECOND));
    assert_eq!(
        token(&other.get().await.unwrap()),
        "token-1",
        "sessions in hand go on being served"
    );
    let error = other.renew().await.unwrap_err();
    assert_eq!(error.retry_after(), Some(30 * SECOND));
    clock.advance(30 * SECOND);
    assert!(other.renew().await.is_ok());
    assert_eq!(logins.count(), 2);
}

#[tokio::test]
async fn rule_11_a_retry_after_is_capped_and_a_missing_one_is_a_whole_window() {
    for (asked, held) in [(Some(SECOND * 1_000_000), HOUR), (None, 60 * SECOND)] {
        let clock = ManualClock::new();
        let provider = Scripted::new(move |_| Err(LoginError::limited(asked)));
        let credentials = on(&clock, provider).fail_fast().build();
        credentials.get().await.unwrap_err();
        let error = credentials.get().await.unwrap_err();
        assert!(
            matches!(error, Error::QuotaSpent { retry_after } if retry_after == held),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn rule_12_a_refused_password_is_not_tried_again_however_many_ask() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|_| Err(LoginError::refused("status 401")));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let first = credentials.get().await.unwrap_err();
    for _ in 0..1_000 {
        let again = credentials.get().await.unwrap_err();
        assert!(again.is_credentials_refused());
        assert!(
            std::ptr::eq(first.login_error().unwrap(), again.login_error().unwrap()),
            "the same typed error"
        );
        assert!(
            credentials
                .renew()
                .await
                .unwrap_err()
                .is_credentials_refused(),
            "by force neither"
        );
        clock.advance(SECOND / 2);
    }
    assert_eq!(logins.count(), 1);
    clock.advance(900 * SECOND);
    credentials.get().await.unwrap_err();
    assert_eq!(logins.count(), 2, "the cooldown has ended");
}

/// A source that can be changed, and counts its readers.
#[derive(Default)]
struct Vault {
    password: Mutex<String>,
    reads: Mutex<u32>,
}

struct Door(Arc<Vault>);

#[async_trait::async_trait]
impl ReadSecret for Door {
    async fn read(&self) -> Result<Secret, SecretError> {
        *self.0.reads.lock() += 1;
        Ok(self.0.password.lock().as_str().into())
    }
}

#[tokio::test]
async fn rule_12_a_mended_secret_logs_in_at_once_and_is_looked_at_once_a_second() {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "wrong".into();
    let provider = Scripted::new(|number| match number {
        1 => Err(LoginError::refused("status 401")),
        _ => session(number, Lifetime::of(HOUR)),
    })
    .with_secret(SecretSource::custom(Door(Arc::clone(&vault))));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..100 {
        assert!(
            credentials
                .get()
                .await
                .unwrap_err()
                .is_credentials_refused()
        );
        clock.advance(SECOND / 10);
    }
    assert_eq!(logins.count(), 1, "the same secret is not tried again");
    assert!(
        (9..=11).contains(&*vault.reads.lock()),
        "{} looks in 10 s",
        vault.reads.lock()
    );

    *vault.password.lock() = "right".into();
    clock.advance(SECOND);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_12_a_secret_that_cant_be_read_costs_no_attempt_and_is_read_again() {
    let clock = ManualClock::new();
    let path = std::env::temp_dir().join(format!("auth-core-restraint-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let provider = tokens().with_secret(SecretSource::file(&path));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let error = credentials.get().await.unwrap_err();
    assert_eq!(
        error.login_error().unwrap().kind(),
        LoginErrorKind::Misconfigured
    );
    assert_eq!(logins.count(), 0);
    std::fs::write(&path, "right\n").unwrap();
    clock.advance(SECOND);
    credentials.get().await.unwrap();
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn rule_12_outages_back_off_and_never_lock_a_good_password_out() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|number| match number {
        1..=20 => Err(LoginError::unavailable("status 503")),
        _ => session(number, Lifetime::of(HOUR)),
    });
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let mut seconds = 0;
    while credentials.get_with(Ask::new().fail_fast()).await.is_err() {
        clock.advance(SECOND);
        seconds += 1;
        assert!(seconds < 20 * 63, "a minute's back-off is the longest");
    }
    assert_eq!(logins.count(), 21);
}

#[tokio::test]
async fn rule_13_while_a_login_fails_the_credential_is_served_until_its_hard_expiry() {
    for error in [
        || LoginError::refused("status 401"),
        || LoginError::unavailable("status 503"),
        || LoginError::malformed("HTML"),
        || LoginError::limited(None),
        || LoginError::misconfigured("no variable"),
    ] {
        let clock = ManualClock::new();
        let credentials = on(&clock, then_fails(error)).build();
        credentials.get().await.unwrap();
        clock.advance(HOUR - 60 * SECOND);
        for _ in 0..59 {
            assert_eq!(token(&credentials.get().await.unwrap()), "token-1");
            settle().await;
            clock.advance(SECOND);
        }
        clock.advance(SECOND);
        let error = credentials
            .get_with(Ask::new().fail_fast())
            .await
            .unwrap_err();
        assert!(
            error.login_error().is_some() || error.is_rate_limited(),
            "{error}"
        );
    }
}

#[tokio::test]
async fn rule_13_a_session_that_was_silent_for_too_long_is_served_while_logins_fail() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|number| match number {
        1 => session(number, Lifetime::unknown().idle(HOUR)),
        _ => Err(LoginError::unavailable("status 503")),
    });
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    credentials.get().await.unwrap();
    clock.advance(2 * HOUR);
    assert_eq!(
        token(&credentials.get().await.unwrap()),
        "token-1",
        "it may still be good"
    );
    assert_eq!(logins.count(), 2, "but a login was tried first");
    assert!(
        credentials.renew().await.is_err(),
        "who insists on a new one is told"
    );
}

#[tokio::test]
async fn a_login_held_back_by_the_quota_is_said_to_be() {
    let clock = ManualClock::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate::shut();
    gate.let_through(10);
    let log = Arc::clone(&seen);
    let credentials = on(&clock, tokens().gated(&gate))
        .observer(move |_: &Identity, event: &auth_core::Event| log.lock().push(event.clone()))
        .build();
    spend(&credentials, 10).await;
    clock.advance(10 * SECOND);
    let waiter = tokio::spawn(async move { credentials.renew().await });
    settle().await;
    assert!(
        matches!(seen.lock().last(), Some(auth_core::Event::LoginHeld { wait }) if *wait == 52 * SECOND)
    );
    waiter.abort();
}
