//! Rules 10 to 13.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Attempt, Credentials, Error, Event, Identity, Lifetime, LoginError, LoginErrorKind,
    LoginMark, Origin, Part, Provider, Quota, ReadSecret, Secret, SecretError, SecretSource,
    Session,
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
    let Err(Error::QuotaSpent { retry_after, .. }) = soon else {
        panic!("{soon:?}");
    };
    assert_eq!(retry_after, 62 * SECOND, "the window and its margin");
    assert!(
        !credentials.status().login_under_way,
        "no login is started in vain"
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
async fn rule_10_a_caller_that_can_wait_for_its_permit_does() {
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
    assert_eq!(served, 10, "ten cold identities log in, and no eleventh");
    let elsewhere = Origin::parse("https://elsewhere.example.com").unwrap();
    assert!(
        identity(0, &elsewhere).get().await.is_ok(),
        "another origin has its own quota"
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
async fn rule_10_logins_that_a_caller_waits_for_go_before_renewals() {
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
        "the renewal is first in the queue"
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
async fn rule_10_a_corrected_secret_that_a_caller_waits_for_goes_before_renewals() {
    let clock = ManualClock::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "wrong".into();
    let one_a_minute = Quota::DEFAULT.at_most(NonZeroU32::MIN);
    let build = |name: &'static str, refuses: bool| {
        let order = Arc::clone(&order);
        let provider = Scripted::new(move |number| {
            order.lock().push(name);
            match number {
                1 if refuses => Err(LoginError::refused("status 401")),
                _ => session(number, Lifetime::of(HOUR)),
            }
        });
        provider.with_quota(one_a_minute)
    };
    let renewing = on(&clock, build("renewal", false)).build();
    let source = SecretSource::custom(VaultSource(Arc::clone(&vault)));
    let refused = on(&clock, build("corrected", true).with_secret(source)).build();
    let spender = on(&clock, build("spender", false)).build();
    spend(&renewing, 1).await;
    clock.advance(HOUR - 130 * SECOND);
    refused.get().await.unwrap_err();
    clock.advance(62 * SECOND);
    spend(&spender, 1).await;
    order.lock().clear();
    renewing.get().await.unwrap();
    settle().await;
    *vault.password.lock() = "right".into();
    clock.advance(SECOND);
    let two_minutes = Ask::new().within(120 * SECOND);
    let waiter = tokio::spawn(async move { refused.get_with(two_minutes).await });
    settle().await;
    clock.advance(61 * SECOND);
    settle().await;
    assert_eq!(*order.lock(), ["corrected"]);
    waiter.await.unwrap().unwrap();
}

#[tokio::test]
async fn rule_11_the_servers_retry_after_holds_every_login_to_it() {
    let clock = ManualClock::new();
    let limited = Scripted::new(|_| Err(LoginError::limited(Some(30 * SECOND))));
    let limited = on(&clock, limited).fail_fast().build();
    let provider = tokens().with_identity(Identity::new(
        "other",
        Origin::parse("https://api.example.com").unwrap(),
        "another account",
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
        "the current session is still served"
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
            matches!(error, Error::QuotaSpent { retry_after, .. } if retry_after == held),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn rule_11_a_retry_after_counts_whatever_the_failure() {
    for error in [
        || LoginError::malformed("status 423"),
        || LoginError::refused("status 401"),
        || LoginError::locked("status 403"),
        || LoginError::seats_exhausted("status 409"),
    ] {
        let clock = ManualClock::new();
        let wait = 2_000 * SECOND;
        let provider = Scripted::new(move |_| Err(error().with_retry_after(Some(wait))));
        let logins = provider.logins();
        let credentials = on(&clock, provider).build();
        let other = on(&clock, tokens()).build();
        for asked in 0..1_000 {
            let fail_fast = Ask::new().fail_fast();
            let error = credentials.get_with(fail_fast).await.unwrap_err();
            assert!(error.retry_after() >= Some(wait - asked * SECOND / 20));
            let held = other.get_with(fail_fast).await.unwrap_err();
            assert!(matches!(held, Error::QuotaSpent { .. }), "{held:?}");
            clock.advance(SECOND / 20);
        }
        assert_eq!(logins.count(), 1);
        clock.advance(wait - 50 * SECOND);
        other.get().await.unwrap();
        credentials.get().await.unwrap_err();
        assert_eq!(logins.count(), 2);
    }
}

#[tokio::test]
async fn rule_11_a_refusal_holds_its_account_for_a_day_and_its_origin_for_an_hour() {
    let clock = ManualClock::new();
    for (error, held) in [
        (LoginError::locked("status 423"), 24 * HOUR),
        (LoginError::unavailable("status 503"), HOUR),
    ] {
        let error = Mutex::new(Some(error.with_retry_after(Some(30 * HOUR))));
        let answer = move |_| Err(error.lock().take().expect("it is asked once"));
        let origin = format!("https://held-{}.example.com", held.as_secs());
        let identity = |account| Identity::new("test", Origin::parse(&origin).unwrap(), account);
        let locked = on(&clock, Scripted::new(answer).with_identity(identity("ada"))).build();
        let other = on(&clock, tokens().with_identity(identity("bob"))).build();
        let fail_fast = Ask::new().fail_fast();
        let told = locked.get_with(fail_fast).await.unwrap_err();
        assert_eq!(told.retry_after(), Some(held), "{told:?}");
        let told = other.get_with(fail_fast).await.unwrap_err();
        assert_eq!(told.retry_after(), Some(HOUR), "{told:?}");
        clock.advance(HOUR);
        other.get_with(fail_fast).await.unwrap();
        if held > HOUR {
            clock.advance(held - HOUR - SECOND);
            let told = locked.get_with(fail_fast).await.unwrap_err();
            assert_eq!(told.retry_after(), Some(SECOND), "{told:?}");
        }
    }
}

#[tokio::test]
async fn rule_12_the_cooldown_of_a_refused_password_doubles_up_to_a_day() {
    for error in [
        || LoginError::refused("status 401"),
        || LoginError::locked("status 403"),
    ] {
        let clock = ManualClock::new();
        let (start, attempts) = (clock.clock().now(), Arc::new(Mutex::new(Vec::new())));
        let (log, server) = (Arc::clone(&attempts), clock.clock());
        let provider = Scripted::new(move |_| {
            log.lock().push(server.now().since(start).as_secs() / 60);
            Err(error())
        });
        let credentials = on(&clock, provider).build();
        for _ in 0..5 * 24 * 60 {
            credentials.get().await.unwrap_err();
            clock.advance(60 * SECOND);
        }
        let minutes = [0, 15, 45, 105, 225, 465, 945, 1_905, 3_345, 4_785, 6_225];
        assert_eq!(*attempts.lock(), minutes);
    }
}

#[tokio::test]
async fn rule_12_a_login_that_succeeds_or_a_changed_secret_resets_the_cooldown() {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "first".into();
    let provider = Scripted::new(|number| match number {
        4 => session(number, Lifetime::of(SECOND)),
        _ => Err(LoginError::refused("status 401")),
    })
    .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let told = async || {
        let error = credentials.get().await.unwrap_err();
        error.retry_after().unwrap()
    };
    let cooldown = 900 * SECOND;
    assert_eq!(told().await, cooldown);
    clock.advance(cooldown);
    assert_eq!(told().await, 2 * cooldown);
    *vault.password.lock() = "second".into();
    clock.advance(SECOND);
    assert_eq!(told().await, cooldown, "a changed secret");
    assert_eq!(logins.count(), 3, "and it is tried at once");
    clock.advance(cooldown);
    credentials.get().await.unwrap();
    clock.advance(SECOND);
    assert_eq!(told().await, cooldown, "a success");
}

#[tokio::test]
async fn rule_12_what_may_be_a_refusal_is_tried_at_most_four_times_until_the_secret_changes() {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "wrong".into();
    let right = Arc::clone(&vault);
    let provider = Scripted::new(move |number| match right.password.lock().as_str() {
        "right" => session(number, Lifetime::of(HOUR)),
        _ if number == 2 => panic!("an answer that the provider does not know"),
        _ => Err(LoginError::malformed("status 200")),
    })
    .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..900 {
        let error = credentials.get().await.unwrap_err();
        // The second answer is the one that the provider does not know.
        assert_eq!(error.is_misconfigured(), logins.count() == 2);
        assert_eq!(error.is_unavailable(), logins.count() != 2);
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 4);
    assert!(*vault.reads.lock() > 800, "the source is looked at");
    *vault.password.lock() = "right".into();
    assert_eq!(token(&credentials.get().await.unwrap()), "token-5");
}

#[tokio::test]
async fn rule_12_a_short_outage_that_looks_like_a_refusal_costs_little() {
    for (outage, back_within) in [(20, 20), (100, 80), (240, 300)] {
        let clock = ManualClock::new();
        let (start, server) = (clock.clock().now(), clock.clock());
        let provider = Scripted::new(move |number| {
            if server.now().since(start) < outage * SECOND {
                Err(LoginError::malformed("status 404"))
            } else {
                session(number, Lifetime::of(HOUR))
            }
        });
        let credentials = on(&clock, provider).build();
        let mut seconds = 0;
        while credentials.get().await.is_err() {
            clock.advance(SECOND);
            seconds += 1;
        }
        assert!(
            seconds <= outage + back_within,
            "back {seconds} s after the beginning of an outage of {outage} s"
        );
    }
}

#[tokio::test]
async fn rule_12_a_refused_password_is_not_tried_again_however_many_callers_ask() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|_| Err(LoginError::refused("status 401")));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    let first = credentials.get().await.unwrap_err();
    for _ in 0..1_000 {
        let again = credentials.get().await.unwrap_err();
        assert!(again.is_login_refused());
        assert!(
            std::ptr::eq(first.login_error().unwrap(), again.login_error().unwrap()),
            "the same typed error"
        );
        assert!(
            credentials.renew().await.unwrap_err().is_login_refused(),
            "a forced renewal is refused as well"
        );
        clock.advance(SECOND / 2);
    }
    assert_eq!(logins.count(), 1);
    clock.advance(900 * SECOND);
    credentials.get().await.unwrap_err();
    assert_eq!(logins.count(), 2, "the cooldown is over");
}

/// A secret that can be changed, and the number of reads.
#[derive(Default)]
struct Vault {
    password: Mutex<String>,
    reads: Mutex<u32>,
    hangs: AtomicBool,
}

struct VaultSource(Arc<Vault>);

#[async_trait::async_trait]
impl ReadSecret for VaultSource {
    async fn read(&self) -> Result<Secret, SecretError> {
        *self.0.reads.lock() += 1;
        if self.0.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(self.0.password.lock().as_str().into())
    }
}

#[tokio::test]
async fn rule_12_a_corrected_secret_logs_in_at_once_and_its_source_is_read_once_a_second() {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "wrong".into();
    let provider = Scripted::new(|number| match number {
        1 => Err(LoginError::refused("status 401")),
        _ => session(number, Lifetime::of(HOUR)),
    })
    .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..100 {
        assert!(credentials.get().await.unwrap_err().is_login_refused());
        clock.advance(SECOND / 10);
    }
    assert_eq!(logins.count(), 1, "the same secret is not tried again");
    assert!(
        (9..=11).contains(&*vault.reads.lock()),
        "{} reads in 10 s",
        vault.reads.lock()
    );

    *vault.password.lock() = "right".into();
    clock.advance(SECOND);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-2");
}

/// A provider that notes the secrets which its logins send.
struct Sends {
    inner: Scripted,
    sent: Arc<Mutex<Vec<String>>>,
}

#[async_trait]
impl Provider for Sends {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn quota(&self) -> Quota {
        self.inner.quota()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.sent.lock().push(secret.expose().to_owned());
        self.inner.login(secret).await
    }
}

#[tokio::test]
async fn rule_12_a_secret_that_changes_while_its_login_waits_for_a_permit_is_the_one_sent() {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    let (sent, change) = (Arc::default(), |to: &str| {
        *vault.password.lock() = to.into();
    });
    change("spent");
    let inner = tokens()
        .with_quota(Quota::DEFAULT.at_most(NonZeroU32::MIN))
        .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
    let sends = Sends {
        inner,
        sent: Arc::clone(&sent),
    };
    let credentials = Credentials::builder(sends).clock(clock.clock()).build();
    spend(&credentials, 1).await;
    let waits = || {
        let (credentials, ask) = (credentials.clone(), Ask::new().renewed().within(HOUR));
        tokio::spawn(async move { credentials.get_with(ask).await })
    };

    change("old");
    let waiter = waits();
    settle().await;
    clock.advance(30 * SECOND);
    change("new");
    clock.advance(32 * SECOND);
    waiter.await.unwrap().unwrap();
    assert_eq!(*sent.lock(), ["spent", "new"]);

    // One that can't be sent any more costs neither an attempt nor the permit.
    let waiter = waits();
    settle().await;
    change("not\ttyped");
    clock.advance(62 * SECOND);
    assert!(waiter.await.unwrap().unwrap_err().is_misconfigured());
    change("newer");
    clock.advance(SECOND);
    waits().await.unwrap().unwrap();
    assert_eq!(*sent.lock(), ["spent", "new", "newer"]);

    // The permit counts meanwhile, so that a source which hangs is not waited for.
    let waiter = waits();
    settle().await;
    change("newest");
    vault.hangs.store(true, SeqCst);
    clock.advance(62 * SECOND);
    settle().await;
    assert!(!waiter.is_finished());
    clock.advance(SECOND);
    waiter.await.unwrap().unwrap();
    assert_eq!(*sent.lock(), ["spent", "new", "newer", "newer"]);
}

#[tokio::test]
async fn rule_10_a_login_whose_secret_was_read_again_counts_from_the_end_of_its_own_time_out() {
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "right".into();
    let provider = tokens()
        .with_quota(Quota::DEFAULT.at_most(NonZeroU32::MIN))
        .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))))
        .gated(&gate);
    let credentials = Credentials::builder(provider).clock(clock.clock()).build();
    gate.let_through(1);
    spend(&credentials, 1).await;
    let waiter = tokio::spawn({
        let (credentials, ask) = (credentials.clone(), Ask::new().renewed().within(HOUR));
        async move { credentials.get_with(ask).await }
    });
    settle().await;
    vault.hangs.store(true, SeqCst);
    clock.advance(62 * SECOND);
    settle().await;
    clock.advance(SECOND);
    settle().await;
    // It is sent now, and times out after 30 s.
    clock.advance(30 * SECOND);
    waiter.await.unwrap().unwrap_err();
    clock.advance(2 * SECOND);
    let ask = Ask::new().renewed().fail_fast();
    let error = credentials.get_with(ask).await.unwrap_err();
    assert!(matches!(error, Error::QuotaSpent { .. }), "{error:?}");
    assert_eq!(error.retry_after(), Some(60 * SECOND));
}

/// How many logins are sent in 15 minutes while the source holds one wrong secret and another, in
/// turn, and a caller asks each second.
async fn sent_in_turn(error: fn() -> LoginError) -> u64 {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    let provider = Scripted::new(move |_| Err(error()))
        .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for second in 0..15 * 60 {
        *vault.password.lock() = ["one", "other"][second % 2].into();
        let result = credentials.get_with(Ask::new().fail_fast()).await;
        assert!(result.is_err());
        clock.advance(SECOND);
    }
    *vault.password.lock() = "a third".into();
    let before = logins.count();
    let _ = credentials.get_with(Ask::new().fail_fast()).await;
    assert_eq!(logins.count(), before + 1, "another one is tried at once");
    before
}

#[tokio::test]
async fn rule_12_a_secret_that_was_refused_is_refused_though_another_was_tried_since() {
    assert_eq!(sent_in_turn(|| LoginError::refused("status 401")).await, 2);
    let unsure = sent_in_turn(|| LoginError::malformed("status 403")).await;
    assert!(unsure <= 8, "four of each: {unsure}");
}

/// A source whose secret is another one each time, as a password with a code of the minute is.
#[tokio::test]
async fn rule_12_of_secrets_that_are_refused_four_are_tried_in_15_minutes() {
    let errors: [fn() -> LoginError; 2] = [
        || LoginError::refused("status 401"),
        || LoginError::malformed("status 403"),
    ];
    for error in errors {
        let clock = ManualClock::new();
        let vault = Arc::new(Vault::default());
        let is_right = Arc::new(AtomicBool::new(false));
        let right = Arc::clone(&is_right);
        let provider = Scripted::new(move |number| {
            if right.load(SeqCst) {
                session(number, Lifetime::of(HOUR))
            } else {
                Err(error())
            }
        });
        let provider = provider.with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
        let logins = provider.logins();
        let credentials = on(&clock, provider).build();
        let mut sent = Vec::new();
        for second in 0..3_600 {
            *vault.password.lock() = format!("secret-{second}");
            let asked = credentials.get_with(Ask::new().fail_fast()).await;
            let error = asked.unwrap_err();
            let wait = error.retry_after().unwrap();
            assert!(
                !wait.is_zero() && wait <= 900 * SECOND,
                "{second}: {wait:?}"
            );
            if logins.count() > sent.len() as u64 {
                sent.push(second);
            }
            clock.advance(SECOND);
        }
        assert!(sent.len() >= 16, "{sent:?}");
        assert!(
            sent.windows(5).all(|five| five[4] - five[0] >= 900),
            "{sent:?}"
        );
        is_right.store(true, SeqCst);
        clock.advance(900 * SECOND);
        credentials.get().await.unwrap();
    }
}

#[tokio::test]
async fn rule_12_a_refused_secret_is_looked_at_again_though_the_quota_is_spent() {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "wrong".into();
    let provider = Scripted::new(|_| Err(LoginError::refused("status 401")))
        .with_quota(Quota::new(NonZeroU32::MIN, HOUR))
        .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
    let credentials = on(&clock, provider).build();
    for reads in 1..=3 {
        let result = credentials.get_with(Ask::new().fail_fast()).await;
        let error = result.unwrap_err();
        assert!(error.is_login_refused(), "{error}");
        assert_eq!(*vault.reads.lock(), reads);
        clock.advance(SECOND);
    }
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
        assert!(seconds < 20 * 63, "the longest back-off is a minute");
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
async fn rule_13_a_session_past_its_idle_deadline_is_served_while_logins_fail() {
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
        "it may still be good, so it is served"
    );
    assert_eq!(logins.count(), 2, "a login is attempted first");
    assert!(
        credentials.renew().await.is_err(),
        "a forced renewal gets the error"
    );
}

#[tokio::test]
async fn an_observer_is_told_of_a_login_that_waits_for_the_quota() {
    let clock = ManualClock::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let gate = Gate::shut();
    gate.let_through(10);
    let log = Arc::clone(&seen);
    let credentials = on(&clock, tokens().gated(&gate))
        .observer(move |_: &Identity, event: &Event| log.lock().push(event.clone()))
        .build();
    spend(&credentials, 10).await;
    clock.advance(10 * SECOND);
    let waiter = tokio::spawn(async move { credentials.renew().await });
    settle().await;
    assert!(matches!(seen.lock().last(), Some(Event::LoginHeld { wait }) if *wait == 52 * SECOND));
    waiter.abort();
}

#[tokio::test]
async fn an_observer_is_told_why_a_login_failed() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let provider = Scripted::new(|_| {
        let cause = std::io::Error::other("connection reset");
        Err(LoginError::unavailable("no answer").with_source(cause))
    });
    let credentials = on(&ManualClock::new(), provider)
        .observer(move |_: &Identity, event: &Event| log.lock().push(event.clone()))
        .build();
    credentials.get().await.unwrap_err();
    let seen = seen.lock();
    let failed = |event: &&Event| matches!(event, Event::LoginFailed { .. });
    let Some(Event::LoginFailed { kind, reason, .. }) = seen.iter().find(failed) else {
        panic!("{seen:?}");
    };
    assert_eq!(*kind, LoginErrorKind::Unavailable);
    assert!(
        reason.ends_with("(no answer): connection reset"),
        "{reason}"
    );
}

#[tokio::test]
async fn rule_10_a_caller_that_joins_a_queued_renewal_gives_it_a_callers_priority() {
    let clock = ManualClock::new();
    let one_a_minute = Quota::DEFAULT.at_most(NonZeroU32::MIN);
    let build = |name: &str| {
        let origin = Origin::parse("https://queue.example.com").unwrap();
        let provider = tokens()
            .with_quota(one_a_minute)
            .with_identity(Identity::new("test", origin, name));
        on(&clock, provider).build()
    };
    let all: Vec<_> = ["a", "b", "c", "d"].into_iter().map(build).collect();
    for credentials in &all {
        credentials.get().await.unwrap();
        clock.advance(62 * SECOND);
    }
    clock.advance(HOUR - 4 * 62 * SECOND - 10 * SECOND);
    build("spender").get().await.unwrap();
    for credentials in &all {
        credentials.get().await.unwrap();
        settle().await;
    }
    let last = &all[3];
    assert!(
        last.status().login_under_way,
        "its renewal is behind three others in the queue"
    );
    let credential = last.peek().unwrap();
    Attempt::new(last, &credential).rejected();
    let mut caller = Box::pin(last.get_with(Ask::new().within(100 * SECOND)));
    assert!(
        futures_util::poll!(&mut caller).is_pending(),
        "the only login that a caller waits for"
    );
    clock.advance(62 * SECOND);
    settle().await;
    assert_eq!(token(&caller.await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_10_waiters_are_told_at_once_when_the_server_postpones_their_permit() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    let limited = Scripted::new(|_| Err(LoginError::limited(Some(HOUR)))).gated(&gate);
    let limited = on(&clock, limited).build();
    let credentials = on(&clock, tokens()).build();
    let held = tokio::spawn(async move { limited.get().await });
    settle().await;
    spend(&credentials, 9).await;
    clock.advance(10 * SECOND);
    let waiter = tokio::spawn(async move { credentials.renew().await });
    settle().await;
    assert!(!waiter.is_finished());
    gate.let_through(1);
    held.await.unwrap().unwrap_err();
    let error = waiter.await.unwrap().unwrap_err();
    assert!(
        matches!(error, Error::QuotaSpent { retry_after, .. } if retry_after == HOUR),
        "{error:?}"
    );
}

/// A source whose read completes when it is notified.
struct Slow(Arc<tokio::sync::Notify>);

#[async_trait::async_trait]
impl ReadSecret for Slow {
    async fn read(&self) -> Result<Secret, SecretError> {
        self.0.notified().await;
        Ok("a password".into())
    }
}

#[tokio::test]
async fn rule_10_waiters_are_told_at_once_when_other_logins_take_the_permits_during_the_read() {
    let clock = ManualClock::new();
    let read = Arc::new(tokio::sync::Notify::new());
    let slow = tokens().with_secret(SecretSource::custom(Slow(Arc::clone(&read))));
    let slow = on(&clock, slow).build();
    let ask = Ask::new().within(20 * SECOND);
    let waiter = tokio::spawn(async move { slow.get_with(ask).await });
    settle().await;
    spend(&on(&clock, tokens()).build(), 10).await;
    assert!(
        !waiter.is_finished(),
        "a permit was free when the login started"
    );
    read.notify_one();
    settle().await;
    assert!(waiter.is_finished());
    let error = waiter.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::QuotaSpent { .. }), "{error:?}");
}

#[tokio::test]
async fn rule_10_a_look_that_becomes_a_login_keeps_to_the_quota_and_reports_it() {
    let clock = ManualClock::new();
    let vault = Arc::new(Vault::default());
    *vault.password.lock() = "wrong".into();
    let provider = Scripted::new(|_| Err(LoginError::refused("status 401")))
        .with_secret(SecretSource::custom(VaultSource(Arc::clone(&vault))));
    let credentials = on(&clock, provider).build();
    credentials.get().await.unwrap_err();
    spend(&on(&clock, tokens()).build(), 9).await;
    clock.advance(SECOND);
    *vault.password.lock() = "right".into();
    let error = credentials
        .get_with(Ask::new().fail_fast())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::QuotaSpent { .. }), "{error:?}");
}

#[test]
fn rule_10_the_ticket_of_a_login_task_that_is_not_driven_is_passed_over() {
    let clock = ManualClock::new();
    let build = |name: &str| {
        let origin = Origin::parse("https://ticket.example.com").unwrap();
        let provider = tokens()
            .with_quota(Quota::DEFAULT.at_most(NonZeroU32::MIN))
            .with_identity(Identity::new("test", origin, name));
        on(&clock, provider).build()
    };
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (driven, stopped) = (runtime(), runtime());
    let (first, dead, last) = (build("first"), build("dead"), build("last"));
    driven.block_on(first.get()).unwrap();
    clock.advance(10 * SECOND);
    stopped.block_on(async {
        let mut get = Box::pin(dead.get());
        assert!(futures_util::poll!(&mut get).is_pending());
        settle().await;
    });
    clock.advance(52 * SECOND + 30 * SECOND);
    driven
        .block_on(last.get_with(Ask::new().fail_fast()))
        .unwrap();
}

#[tokio::test]
async fn rule_11_every_caller_is_told_how_long_the_origin_is_held() {
    for (asked, held) in [
        (None, 60 * SECOND),
        (Some(std::time::Duration::ZERO), 60 * SECOND),
        (Some(SECOND * 1_000_000), HOUR),
    ] {
        let provider = Scripted::new(move |_| Err(LoginError::limited(asked)));
        let logins = provider.logins();
        let credentials = on(&ManualClock::new(), provider).fail_fast().build();
        for _ in 0..5 {
            assert_eq!(
                credentials.get().await.unwrap_err().retry_after(),
                Some(held),
                "asked {asked:?}"
            );
            assert_eq!(credentials.status().retry_after, Some(held));
        }
        assert_eq!(logins.count(), 1);
    }
}

/// A source whose reads fail where the iterator says so.
struct Flaky(Mutex<std::vec::IntoIter<bool>>);

#[async_trait::async_trait]
impl ReadSecret for Flaky {
    async fn read(&self) -> Result<Secret, SecretError> {
        if self.0.lock().next().unwrap_or(true) {
            Ok("wrong".into())
        } else {
            Err(SecretError::new("the vault is down"))
        }
    }
}

#[tokio::test]
async fn rule_12_a_source_that_cant_be_read_does_not_erase_a_refusal() {
    let clock = ManualClock::new();
    let reads = vec![true, false, true, false, false].into_iter();
    let provider = Scripted::new(|_| Err(LoginError::refused("status 401")))
        .with_secret(SecretSource::custom(Flaky(Mutex::new(reads))));
    let logins = provider.logins();
    let credentials = on(&clock, provider).build();
    for _ in 0..10 {
        assert!(credentials.get().await.unwrap_err().is_login_refused());
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 1);
}

#[tokio::test]
async fn rule_12_a_fixed_password_is_not_looked_at_again() {
    let clock = ManualClock::new();
    let credentials = on(
        &clock,
        Scripted::new(|_| Err(LoginError::refused("status 401"))),
    )
    .build();
    credentials.get().await.unwrap_err();
    clock.advance(2 * SECOND);
    let mut again = Box::pin(credentials.get());
    assert!(
        futures_util::poll!(&mut again).is_ready(),
        "a fixed secret is not read again, so there is nothing to wait for"
    );
}

#[tokio::test]
async fn rule_12_only_outages_lengthen_the_back_off() {
    let clock = ManualClock::new();
    let reads = vec![false; 8].into_iter();
    let provider = Scripted::new(|_| Err(LoginError::unavailable("status 503")))
        .with_secret(SecretSource::custom(Flaky(Mutex::new(reads))));
    let credentials = on(&clock, provider).build();
    for _ in 0..8 {
        assert!(credentials.get().await.unwrap_err().is_misconfigured());
        clock.advance(SECOND);
    }
    assert!(credentials.get().await.unwrap_err().retry_after().unwrap() <= SECOND);
}

fn tokens_living(lifetime: Lifetime) -> Scripted {
    Scripted::new(move |number| session(number, lifetime))
}

#[tokio::test]
async fn rule_13_a_credential_that_may_still_be_good_is_served_whatever_prevents_a_login() {
    let clock = ManualClock::new();
    let gate = Gate::shut();
    gate.let_through(1);
    let credentials = on(
        &clock,
        tokens_living(Lifetime::unknown().idle(HOUR)).gated(&gate),
    )
    .build();
    credentials.get().await.unwrap();
    clock.advance(2 * HOUR);

    // The login takes longer than the caller can wait.
    let waiter = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get_with(Ask::new().within(SECOND)).await }
    });
    settle().await;
    clock.advance(SECOND);
    assert_eq!(token(&waiter.await.unwrap().unwrap()), "token-1");

    // The quota is spent.
    let credentials = on(&clock, tokens_living(Lifetime::unknown().idle(HOUR))).build();
    credentials.get().await.unwrap();
    clock.advance(2 * HOUR);
    spend(&on(&clock, tokens()).build(), 10).await;
    let served = credentials.get_with(Ask::new().fail_fast()).await.unwrap();
    assert_eq!(token(&served), "token-1");

    // There is no runtime.
    let served =
        std::thread::spawn(move || futures_util::FutureExt::now_or_never(credentials.get()));
    assert_eq!(token(&served.join().unwrap().unwrap().unwrap()), "token-1");
}

#[test]
fn rule_13_the_blocking_call_is_served_a_credential_that_may_still_be_good_too() {
    let clock = ManualClock::new();
    let provider = Scripted::new(|number| match number {
        1 => session(number, Lifetime::unknown().idle(HOUR)),
        _ => Err(LoginError::refused("status 401")),
    });
    let credentials = on(&clock, provider).build();
    credentials.blocking_get().unwrap();
    clock.advance(2 * HOUR);
    for _ in 0..2 {
        assert_eq!(token(&credentials.blocking_get().unwrap()), "token-1");
    }
    let renewal = credentials.blocking_get_with(Ask::new().renewed());
    assert!(renewal.unwrap_err().is_login_refused());
}

/// The first login's answer never ends. The second one's was read, and the next is not answered.
struct Endless {
    inner: Scripted,
    answered: AtomicBool,
}

#[async_trait]
impl Provider for Endless {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let waits = LoginError::malformed("status 403").with_retry_after(Some(40 * SECOND));
        LoginMark::answer_began(waits);
        if self.answered.swap(true, SeqCst) {
            LoginMark::answer_ended();
        }
        std::future::pending().await
    }
}

#[tokio::test]
async fn rule_12_an_answer_that_does_not_end_in_time_is_what_its_head_says() {
    LoginMark::answer_began(LoginError::refused("outside a login"));
    let clock = ManualClock::new();
    let provider = Endless {
        inner: tokens(),
        answered: AtomicBool::new(false),
    };
    let credentials = Credentials::builder(provider)
        .clock(clock.clock())
        .login_timeout(10 * SECOND)
        .build();
    for (kind, wait) in [
        (LoginErrorKind::Malformed, Some(40 * SECOND)),
        (LoginErrorKind::TimedOut, None),
    ] {
        let caller = tokio::spawn({
            let credentials = credentials.clone();
            async move { credentials.get_with(Ask::new().fail_fast()).await }
        });
        settle().await;
        clock.advance(10 * SECOND);
        let error = caller.await.unwrap().unwrap_err();
        let failed = error.login_error().unwrap();
        assert_eq!((failed.kind(), failed.retry_after()), (kind, wait));
        clock.advance(100 * SECOND);
    }
}

#[tokio::test]
async fn rule_12_a_login_whose_session_is_of_no_use_is_tried_four_times_in_15_minutes() {
    let useless: [fn() -> Result<Session, LoginError>; 3] = [
        || Ok(Session::new()),
        || session(1, Lifetime::of(std::time::Duration::ZERO)),
        // Nothing fetches it.
        || Ok(session(1, Lifetime::unknown())?.with_part(Part::fetched_header("x-csrf"))?),
    ];
    for session in useless {
        let clock = ManualClock::new();
        let provider = Scripted::new(move |_| session());
        let logins = provider.logins();
        let credentials = on(&clock, provider).build();
        for _ in 0..15 * 60 {
            let error = credentials.get_with(Ask::new().fail_fast()).await;
            assert!(error.is_err());
            clock.advance(SECOND);
        }
        assert_eq!(logins.count(), 4);
    }
}

#[tokio::test]
async fn rule_10_a_login_whose_session_ends_before_it_is_read_prolongs_no_callers_wait() {
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    let provider = Scripted::tokens(Lifetime::of(3 * SECOND)).gated(&gate);
    let logins = provider.logins();
    let passing = clock.clone();
    let credentials = on(&clock, provider)
        .observer(move |_: &Identity, event: &Event| {
            if matches!(event, Event::LoggedIn { .. }) {
                passing.advance(4 * SECOND);
            }
        })
        .build();
    gate.let_through(1);
    let waiter = tokio::spawn({
        let credentials = credentials.clone();
        async move { credentials.get_with(Ask::new().within(5 * SECOND)).await }
    });
    settle().await;
    assert_eq!(logins.count(), 2, "the session of the first is over");
    clock.advance(SECOND);
    settle().await;
    assert!(waiter.is_finished());
    let error = waiter.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed { .. }), "{error:?}");
}
