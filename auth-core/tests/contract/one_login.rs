//! Rules 1 to 4.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Attempt, Error, Event, Identity, Lifetime, LoginError, LoginErrorKind, Provider, Quota,
    Secret, SecretSource, Session,
};
use futures_util::FutureExt;

use crate::support::{SECOND, on, session, settle, token, tokens};

#[tokio::test]
async fn rule_1_ten_thousand_cold_callers_are_one_login() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move { credentials.get().await })
        })
        .collect();
    settle().await;
    gate.let_through(1_000);
    for caller in callers {
        assert_eq!(token(&caller.await.unwrap().unwrap()), "token-1");
    }
    assert_eq!(logins.count(), 1);
}

#[tokio::test]
async fn rule_1_a_test_sees_how_many_callers_wait_for_the_login() {
    let gate = Gate::shut();
    let credentials = on(&ManualClock::new(), tokens().gated(&gate)).build();
    assert_eq!(credentials.status().waiters, 0);
    let mut callers: Vec<_> = (0..3)
        .map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move { credentials.get().await })
        })
        .collect();
    assert_eq!(credentials.status().waiters, 0, "none was polled");
    settle().await;
    assert_eq!(credentials.status().waiters, 3);
    assert_eq!(credentials.clone().status().waiters, 3, "by any clone");
    let left = callers.pop().unwrap();
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    assert_eq!(credentials.status().waiters, 2);
    gate.let_through(1);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
    assert_eq!(credentials.status().waiters, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rule_1_callers_on_many_threads_are_one_login() {
    for _ in 0..100 {
        let provider = tokens();
        let logins = provider.logins();
        let credentials = on(&ManualClock::new(), provider).build();
        let callers: Vec<_> = (0..64)
            .map(|_| {
                let credentials = credentials.clone();
                tokio::spawn(async move { credentials.get().await.unwrap().stamp().generation() })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), 1);
        }
        assert_eq!(logins.count(), 1);
    }
}

#[tokio::test]
async fn rule_1_a_failing_login_with_ten_thousand_waiters_is_one_login() {
    let gate = Gate::shut();
    let provider = Scripted::new(|_| Err(LoginError::unavailable("status 503"))).gated(&gate);
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let callers: Vec<_> = (0..10_000)
        .map(|_| {
            let credentials = credentials.clone();
            tokio::spawn(async move { credentials.get().await })
        })
        .collect();
    settle().await;
    gate.let_through(10_000);
    let mut shared = None;
    for caller in callers {
        let Err(Error::Login { source, .. }) = caller.await.unwrap() else {
            panic!("the login failed");
        };
        let first = shared.get_or_insert_with(|| Arc::clone(&source));
        assert!(Arc::ptr_eq(first, &source), "all waiters share one failure");
    }
    assert_eq!(logins.count(), 1);
}

#[tokio::test]
async fn rule_2_a_login_outlives_the_caller_that_started_it() {
    let gate = Gate::shut();
    let provider = tokens().gated(&gate);
    let logins = provider.logins();
    let credentials = on(&ManualClock::new(), provider).build();
    let mut callers = Vec::new();
    for _ in 0..3 {
        let credentials = credentials.clone();
        callers.push(tokio::spawn(async move { credentials.get().await }));
    }
    settle().await;
    assert_eq!(logins.count(), 1);
    for caller in callers {
        caller.abort();
    }
    settle().await;
    assert!(credentials.status().login_under_way);
    gate.let_through(1);
    settle().await;
    assert_eq!(
        token(&credentials.peek().unwrap()),
        "token-1",
        "the session is kept"
    );
    assert_eq!(logins.count(), 1);
}

#[tokio::test]
async fn rule_3_a_login_that_hangs_releases_its_waiters_with_a_typed_error() {
    let clock = ManualClock::new();
    let provider = tokens().gated(&Gate::shut());
    let credentials = on(&clock, provider).login_timeout(10 * SECOND).build();
    let caller = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get().await }
    });
    settle().await;
    clock.advance(10 * SECOND);
    let error = caller.await.unwrap().unwrap_err();
    assert_eq!(
        error.login_error().unwrap().kind(),
        LoginErrorKind::TimedOut
    );
    assert!(error.is_unavailable());
    assert!(!credentials.status().login_under_way);
}

#[tokio::test]
async fn rule_3_a_login_that_panics_releases_its_waiters_with_a_typed_error() {
    let provider = Scripted::new(|number| match number {
        1 => panic!("a bug in the provider"),
        _ => session(number, auth_core::Lifetime::unknown()),
    });
    let clock = ManualClock::new();
    let credentials = on(&clock, provider).build();
    let error = credentials.get().await.unwrap_err();
    assert_eq!(
        error.login_error().unwrap().kind(),
        LoginErrorKind::Panicked
    );
    clock.advance(60 * SECOND);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_3_a_callers_own_deadline_ends_its_wait_and_not_the_login() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let credentials = on(&clock, tokens().gated(&gate)).build();
    let caller = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get_with(Ask::new().within(2 * SECOND)).await }
    });
    settle().await;
    clock.advance(2 * SECOND);
    let error = caller.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::DeadlinePassed { waited } if waited == 2 * SECOND),
        "{error}"
    );
    gate.let_through(1);
    settle().await;
    assert!(credentials.fresh().is_some());
}

#[tokio::test]
async fn rule_3_a_login_that_asks_for_its_own_credential_gets_a_typed_error() {
    struct Loops {
        inner: Scripted,
        own: Arc<std::sync::OnceLock<auth_core::Credentials>>,
        mark: Arc<std::sync::OnceLock<auth_core::LoginMark>>,
    }
    #[async_trait::async_trait]
    impl Provider for Loops {
        fn identity(&self) -> &auth_core::Identity {
            self.inner.identity()
        }
        fn secret(&self) -> &SecretSource {
            self.inner.secret()
        }
        async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
            let own = self.own.get().unwrap();
            self.mark
                .set(auth_core::LoginMark::current().unwrap())
                .unwrap();
            let refused = Attempt::refuse_loop(own, &http::Extensions::new());
            assert!(matches!(refused, Err(Error::LoginLoop)));
            match own.get().await {
                Err(Error::LoginLoop) => {
                    Err(LoginError::misconfigured("the loop is a typed error"))
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let (own, mark) = (Arc::default(), Arc::default());
    let provider = Loops {
        inner: tokens(),
        own: Arc::clone(&own),
        mark: Arc::clone(&mark),
    };
    let credentials = auth_core::Credentials::builder(provider)
        .clock(ManualClock::new().clock())
        .build();
    own.set(credentials.clone()).unwrap();
    let error = credentials.get().await.unwrap_err();
    assert!(error.is_misconfigured(), "{error:?}");
    assert!(auth_core::LoginMark::current().is_none());
    let mut extensions = http::Extensions::new();
    assert!(Attempt::refuse_loop(&credentials, &extensions).is_ok());
    extensions.insert(*mark.get().unwrap());
    let refused = Attempt::refuse_loop(&credentials, &extensions);
    assert!(matches!(refused, Err(Error::LoginLoop)), "it is carried");
}

#[tokio::test]
async fn a_login_may_ask_for_the_credential_of_another_cache() {
    struct Leads {
        inner: Scripted,
        other: auth_core::Credentials,
    }
    #[async_trait::async_trait]
    impl Provider for Leads {
        fn identity(&self) -> &auth_core::Identity {
            self.inner.identity()
        }
        fn secret(&self) -> &SecretSource {
            self.inner.secret()
        }
        async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
            Attempt::refuse_loop(&self.other, &http::Extensions::new()).unwrap();
            assert_eq!(token(&self.other.get().await.unwrap()), "token-1");
            self.inner.login(secret).await
        }
    }
    let clock = ManualClock::new();
    let provider = Leads {
        inner: tokens(),
        other: on(&clock, tokens()).build(),
    };
    let credentials = auth_core::Credentials::builder(provider)
        .clock(clock.clock())
        .build();
    credentials.get().await.unwrap();
}

#[tokio::test]
async fn rule_4_a_caller_that_has_a_credential_does_not_wait_for_a_login() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let credentials = on(&clock, tokens().gated(&gate)).build();
    gate.let_through(1);
    credentials.get().await.unwrap();
    let renewal = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.renew().await }
    });
    settle().await;
    assert!(credentials.status().login_under_way);
    let served = credentials.get().now_or_never();
    assert_eq!(token(&served.expect("ready at once").unwrap()), "token-1");
    gate.let_through(1);
    assert_eq!(token(&renewal.await.unwrap().unwrap()), "token-2");
}

#[test]
fn rule_1_a_live_login_is_not_superseded_while_it_takes_its_permit() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let superseded = Arc::new(AtomicU64::new(0));
    for _ in 0..100 {
        let clock = ManualClock::new();
        let seen = Arc::clone(&superseded);
        let provider = tokens().with_quota(Quota::DEFAULT.at_most(NonZeroU32::MIN));
        let credentials = on(&clock, provider)
            .login_timeout(SECOND)
            .observer(move |_: &Identity, event: &Event| {
                seen.fetch_add(u64::from(*event == Event::LoginSuperseded), SeqCst);
            })
            .build();
        runtime.block_on(credentials.renew()).unwrap();
        clock.advance(10 * SECOND);
        let waiter = runtime.spawn({
            let credentials = credentials.clone();
            async move { credentials.renew().await }
        });
        while clock.sleepers() < 2 {
            std::thread::yield_now();
        }
        let pollers: Vec<_> = (0..2)
            .map(|_| {
                let (credentials, runtime) = (credentials.clone(), runtime.handle().clone());
                std::thread::spawn(move || {
                    let _entered = runtime.enter();
                    while credentials.status().sessions < 2 {
                        let _ = credentials.get_with(Ask::new().renewed()).now_or_never();
                    }
                })
            })
            .collect();
        clock.advance(52 * SECOND);
        runtime.block_on(waiter).unwrap().unwrap();
        for poller in pollers {
            poller.join().unwrap();
        }
    }
    assert_eq!(superseded.load(SeqCst), 0);
}

#[tokio::test]
async fn rule_3_sessions_that_end_before_they_can_be_used_are_a_typed_error_and_not_a_loop() {
    let clock = ManualClock::new();
    let manual = clock.clone();
    // The session expires while its response is on the way.
    let credentials = on(&clock, Scripted::tokens(Lifetime::of(SECOND)))
        .observer(move |_: &Identity, event: &Event| {
            if matches!(event, Event::LoggedIn { .. }) {
                manual.advance(2 * SECOND);
            }
        })
        .build();
    let error = credentials.get().await.unwrap_err();
    assert_eq!(
        error.login_error().unwrap().kind(),
        LoginErrorKind::Malformed
    );
    assert_eq!(credentials.status().sessions, 4, "one login and three more");
}

#[tokio::test]
async fn rule_3_an_observer_that_panics_undoes_nothing() {
    let provider = tokens();
    let (logins, logouts) = (provider.logins(), provider.logouts());
    let credentials = on(&ManualClock::new(), provider)
        .observer(|_: &Identity, _: &Event| panic!("a bug in the observer"))
        .build();
    credentials.get().await.unwrap();
    credentials.close().await.unwrap();
    assert_eq!((logins.count(), logouts.count()), (1, 1));
}

#[tokio::test]
async fn time_outs_and_windows_may_be_as_long_as_a_duration_can_be() {
    let longest = std::time::Duration::MAX;
    let provider = tokens().with_quota(Quota::new(NonZeroU32::MIN, longest));
    let credentials = on(&ManualClock::new(), provider)
        .login_timeout(longest)
        .wait_timeout(longest)
        .backoff(longest, longest)
        .refused_cooldown(longest)
        .build();
    credentials.get().await.unwrap();
    assert!(
        credentials
            .get_with(Ask::new().renewed().fail_fast())
            .await
            .unwrap_err()
            .is_rate_limited()
    );
    let unlimited = tokens().with_quota(Quota::new(NonZeroU32::MAX, SECOND));
    on(&ManualClock::new(), unlimited)
        .build()
        .get()
        .await
        .unwrap();
}
