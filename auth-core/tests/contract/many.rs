//! Many identities in a bounded pool: rules 1 and 12.

use std::collections::HashSet;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{
    Ask, Credentials, Error, Identity, Lifetime, LoginError, LoginUrl, Origin, Pool, PoolError,
    Provider, ProviderOptions, Quota, ReadSecret, Scope, Secret, SecretError, SecretSource,
    Session,
};

use tokio::task::JoinHandle;

use crate::support::{SECOND, settle, token};

fn identity(account: &str) -> Identity {
    Identity::new(
        "test",
        Origin::parse("https://many.example.com").unwrap(),
        account,
    )
}

fn account(name: &str) -> Scripted {
    Scripted::tokens(Lifetime::unknown()).with_identity(identity(name))
}

fn pool(clock: &ManualClock, capacity: usize) -> Pool {
    let clock = clock.clock();
    Pool::with(NonZeroUsize::new(capacity).unwrap(), move |builder| {
        builder.clock(clock.clone())
    })
}

#[tokio::test]
async fn rule_1_an_identity_is_one_key_of_a_pool() {
    let pool = pool(&ManualClock::new(), 10);
    let provider = account("me");
    let logins = provider.logins();
    let one = pool.add(provider).unwrap();
    let second = account("me");
    let second_logins = second.logins();
    let two = pool.add(second).unwrap();
    let three = pool.find(&identity("me")).unwrap();
    for credentials in [one, two, three] {
        assert_eq!(token(&credentials.get().await.unwrap()), "token-1");
    }
    assert_eq!(
        (logins.count(), second_logins.count(), pool.len()),
        (1, 0, 1)
    );
    assert!(pool.find(&identity("you")).is_none());
}

#[tokio::test]
async fn rule_1_a_different_source_for_a_key_in_use_is_an_error() {
    let pool = pool(&ManualClock::new(), 10);
    pool.add(account("me")).unwrap().get().await.unwrap();
    let other = account("me").with_secret("a guess");
    assert_eq!(pool.add(other).unwrap_err(), PoolError::DifferentSource);
    pool.remove(&identity("me")).unwrap();
    assert!(pool.is_empty());
    let credentials = pool.add(account("me").with_secret("a guess")).unwrap();
    assert!(
        credentials.fresh().is_none(),
        "a new source gets no session of the old one"
    );
}

/// A provider with an option.
struct WithOption(Scripted, Option<u32>);

#[async_trait]
impl Provider for WithOption {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.0.secret()
    }

    fn options(&self) -> ProviderOptions {
        ProviderOptions::of(self.1)
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.0.login(secret).await
    }
}

#[test]
fn rule_1_other_options_for_a_key_in_use_are_an_error() {
    let pool = pool(&ManualClock::new(), 10);
    let with = |option| WithOption(account("me"), option);
    let first = pool.add(with(Some(1))).unwrap();
    assert!(pool.add(with(Some(1))).is_ok());
    let three_a_minute = Quota::new(NonZeroU32::new(3).unwrap(), 60 * SECOND);
    let others: [Box<dyn Provider>; 4] = [
        Box::new(with(Some(2))),
        Box::new(with(None)),
        Box::new(account("me")),
        Box::new(account("me").with_quota(three_a_minute)),
    ];
    for other in others {
        assert_eq!(pool.add(other).unwrap_err(), PoolError::DifferentOptions);
    }
    let guess = WithOption(account("me").with_secret("a guess"), Some(2));
    assert_eq!(pool.add(guess).unwrap_err(), PoolError::DifferentSource);
    assert_eq!(pool.len(), 1);
    let message = PoolError::DifferentOptions.to_string();
    assert!(message.contains("remove it first"), "{message}");

    // Behind a pointer, a provider has the same options.
    assert!(pool.add(Arc::new(with(Some(1)))).is_ok());
    drop(first);
    pool.remove(&identity("me")).unwrap();
    assert!(pool.add(with(Some(2))).is_ok());
}

#[test]
fn rule_1_another_quota_or_scope_for_a_key_in_use_is_an_error() {
    struct Scoped(Scripted, Scope);

    #[async_trait]
    impl Provider for Scoped {
        fn identity(&self) -> &Identity {
            self.0.identity()
        }

        fn secret(&self) -> &SecretSource {
            self.0.secret()
        }

        fn scope(&self) -> Scope {
            self.1.clone()
        }

        fn quota(&self) -> Quota {
            self.0.quota()
        }

        async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
            self.0.login(secret).await
        }
    }

    let pool = pool(&ManualClock::new(), 10);
    let data = || Origin::parse("https://data.example.com").unwrap();
    let login = || identity("me").origin().clone();
    let scoped = |scope| Scoped(account("me"), scope);
    pool.add(scoped(Scope::only(login()).and(data()))).unwrap();
    assert!(pool.add(scoped(Scope::only(data()).and(login()))).is_ok());
    let other = scoped(Scope::only(login()));
    assert_eq!(pool.add(other).unwrap_err(), PoolError::DifferentOptions);
    let three_a_minute = Quota::new(NonZeroU32::new(3).unwrap(), 60 * SECOND);
    let other = Scoped(
        account("me").with_quota(three_a_minute),
        Scope::only(login()).and(data()),
    );
    assert_eq!(pool.add(other).unwrap_err(), PoolError::DifferentOptions);
}

/// Another server counts the logins, so the quota of the first one would not bound them.
#[test]
fn rule_1_another_place_of_login_for_a_key_in_use_is_an_error() {
    struct CountedAt(Scripted, &'static str);

    #[async_trait]
    impl Provider for CountedAt {
        fn identity(&self) -> &Identity {
            self.0.identity()
        }

        fn secret(&self) -> &SecretSource {
            self.0.secret()
        }

        fn login_origin(&self) -> Origin {
            Origin::parse(self.1).unwrap()
        }

        async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
            self.0.login(secret).await
        }
    }

    let pool = pool(&ManualClock::new(), 10);
    let counted_at = |origin| CountedAt(account("me"), origin);
    pool.add(counted_at("https://login.example.com")).unwrap();
    assert!(
        pool.add(counted_at("https://LOGIN.example.com:443"))
            .is_ok()
    );
    assert!(pool.add(counted_at("https://login.example.com.")).is_ok());
    let other = pool.add(counted_at("https://sso.example.com"));
    assert_eq!(other.unwrap_err(), PoolError::DifferentOptions);
}

#[test]
fn rule_1_a_thread_that_adds_an_identity_second_is_told_of_other_options() {
    let own: Arc<OnceLock<Pool>> = Arc::default();
    let (seen, first_call) = (Arc::clone(&own), AtomicBool::new(true));
    // As another thread would, between this one's look and its addition.
    let pool = Pool::with(NonZeroUsize::MIN, move |builder| {
        if first_call.swap(false, SeqCst) {
            let first = WithOption(account("me"), Some(1));
            seen.get().unwrap().add(first).unwrap();
        }
        builder
    });
    own.set(pool.clone()).unwrap();
    let second = WithOption(account("me"), Some(2));
    assert_eq!(pool.add(second).unwrap_err(), PoolError::DifferentOptions);
    assert!(pool.add(WithOption(account("me"), Some(1))).is_ok());
}

#[tokio::test]
async fn rule_1_two_instances_behind_one_host_have_two_sessions() {
    let pool = pool(&ManualClock::new(), 10);
    let at = |path: &str| {
        let origin = Origin::parse("https://many.example.com").unwrap();
        let tenant = identity("me").at(LoginUrl::new(origin, path));
        Scripted::tokens(Lifetime::unknown()).with_identity(tenant)
    };
    let (a, b) = (at("/tenant-a"), at("/tenant-b"));
    let logins = [a.logins(), b.logins()];
    // Another secret is not another source of the first instance's.
    let b = b.with_secret("another password");
    let (a, b) = (pool.add(a).unwrap(), pool.add(b).unwrap());
    a.get().await.unwrap();
    b.get().await.unwrap();
    assert_eq!(logins.map(|logins| logins.count()), [1, 1]);
    assert_eq!(pool.len(), 2);
    let again = pool.add(at("/tenant-a/")).unwrap();
    assert!(again.fresh().is_some(), "the same URL");
}

#[tokio::test]
async fn rule_10_two_instances_behind_one_host_share_its_quota() {
    let pool = pool(&ManualClock::new(), 10);
    let once = Quota::new(NonZeroU32::MIN, 60 * SECOND);
    let at = |path: &str| {
        let origin = Origin::parse("https://shared.example.com").unwrap();
        let tenant = identity("me").at(LoginUrl::new(origin, path));
        Scripted::tokens(Lifetime::unknown())
            .with_identity(tenant)
            .with_quota(once)
    };
    let (a, b) = (at("/tenant-a"), at("/tenant-b"));
    let logins = b.logins();
    pool.add(a).unwrap().get().await.unwrap();
    let ask = Ask::new().within(SECOND);
    let refused = pool.add(b).unwrap().get_with(ask).await.unwrap_err();
    assert!(matches!(refused, Error::QuotaSpent { .. }), "{refused:?}");
    assert_eq!(logins.count(), 0);
}

#[test]
fn rule_4_a_refused_addition_to_a_large_pool_and_look_ups_both_end() {
    let pool = pool(&ManualClock::new(), 2_000);
    let name = |number: u32| number.to_string();
    let held: Vec<_> = (0..2_000)
        .map(|number| pool.add(account(&name(number))).unwrap())
        .collect();
    std::thread::scope(|threads| {
        for newcomer in ["a", "b"] {
            let pool = &pool;
            threads.spawn(move || {
                let full = PoolError::Full { capacity: 2_000 };
                assert_eq!(pool.add(account(newcomer)).unwrap_err(), full);
            });
        }
        for number in 0..2_000 {
            assert!(pool.find(&identity(&name(number))).is_some());
        }
    });
    let listed: HashSet<_> = pool.identities().into_iter().collect();
    assert_eq!((listed.len(), pool.len()), (2_000, 2_000));
    drop(held);
    assert!(pool.add(account("a")).is_ok());
}

#[tokio::test]
async fn only_identities_without_handles_and_flights_are_forgotten() {
    let gate = Gate::shut();
    let pool = pool(&ManualClock::new(), 3);
    let held = pool.add(account("held")).unwrap();
    let in_flight = pool.add(account("in flight").gated(&gate)).unwrap();
    let caller = tokio::spawn(async move { in_flight.get().await });
    settle().await;
    caller.abort();
    settle().await;
    drop(pool.add(account("idle")).unwrap());
    pool.add(account("new")).unwrap();
    assert_eq!(pool.len(), 3);
    assert!(pool.find(&identity("idle")).is_none());
    let new = pool.find(&identity("new")).unwrap();
    assert_eq!(
        pool.add(account("one too many")).unwrap_err(),
        PoolError::Full { capacity: 3 }
    );
    drop((held, new));
    assert!(pool.add(account("another")).is_ok());
    assert!(pool.find(&identity("in flight")).is_some());
}

#[tokio::test]
async fn identities_found_recently_are_forgotten_last() {
    let pool = pool(&ManualClock::new(), 3);
    for name in ["a", "b", "c"] {
        pool.add(account(name)).unwrap();
    }
    pool.find(&identity("a")).unwrap();
    pool.add(account("d")).unwrap();
    assert!(pool.find(&identity("a")).is_some());
    assert!(pool.find(&identity("b")).is_none());
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_when_its_identity_is_forgotten() {
    let clock = ManualClock::new();
    let pool = pool(&clock, 1);
    let wrong =
        || Scripted::new(|_| Err(LoginError::refused("status 401"))).with_identity(identity("me"));
    let first = pool.add(wrong()).unwrap();
    assert!(first.get().await.unwrap_err().is_login_refused());
    drop(first);
    drop(pool.add(account("other")).unwrap());
    assert!(pool.find(&identity("me")).is_none(), "forgotten");
    let provider = wrong();
    let logins = provider.logins();
    let again = pool.add(provider).unwrap();
    for _ in 0..10 {
        assert!(again.get().await.unwrap_err().is_login_refused());
        clock.advance(SECOND);
    }
    assert_eq!(logins.count(), 0, "the refused password is not tried again");
}

#[tokio::test]
async fn rule_12_what_may_be_a_refusal_counts_when_its_identity_is_forgotten_again_and_again() {
    let clock = ManualClock::new();
    let pool = pool(&clock, 1);
    let attempts = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    for _ in 0..90 {
        let counted = std::sync::Arc::clone(&attempts);
        let unsure = Scripted::new(move |_| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Err(LoginError::malformed("status 200"))
        });
        let unsure = pool.add(unsure.with_identity(identity("me"))).unwrap();
        assert!(unsure.get().await.unwrap_err().is_unavailable());
        drop(unsure);
        drop(pool.add(account("other")).unwrap());
        clock.advance(10 * SECOND);
    }
    let attempts = attempts.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(attempts, 4, "in 15 minutes");
}

#[tokio::test]
async fn rule_12_a_refusal_is_forgotten_only_after_its_cooldown() {
    let clock = ManualClock::new();
    let pool = pool(&clock, 1);
    let wrong = |name: &str| {
        Scripted::new(|_| Err(LoginError::refused("status 401"))).with_identity(identity(name))
    };
    for name in ["a", "b"] {
        let credentials = pool.add(wrong(name)).unwrap();
        credentials.get().await.unwrap_err();
    }
    // The pool holds one identity and remembers one refusal beside it. The refusal of "a" takes
    // that room, so "b" can't be forgotten while both cooldowns run.
    assert!(matches!(
        pool.add(account("c")),
        Err(PoolError::Full { .. })
    ));
    clock.advance(901 * SECOND);
    assert!(pool.add(account("c")).is_ok());
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_when_its_identity_is_removed_unless_the_password_changes()
{
    let clock = ManualClock::new();
    let pool = pool(&clock, 10);
    let wrong =
        || Scripted::new(|_| Err(LoginError::refused("status 401"))).with_identity(identity("me"));
    pool.add(wrong()).unwrap().get().await.unwrap_err();
    pool.remove(&identity("me")).unwrap();
    let provider = wrong();
    let logins = provider.logins();
    assert!(
        pool.add(provider)
            .unwrap()
            .get()
            .await
            .unwrap_err()
            .is_login_refused()
    );
    assert_eq!(logins.count(), 0);
    pool.remove(&identity("me")).unwrap();
    let corrected = pool
        .add(account("me").with_secret("another password"))
        .unwrap();
    assert_eq!(token(&corrected.get().await.unwrap()), "token-1");
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_when_its_identity_is_closed() {
    let clock = ManualClock::new();
    let pool = pool(&clock, 10);
    let attempts = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    for _ in 0..60 {
        let counted = std::sync::Arc::clone(&attempts);
        let wrong = Scripted::new(move |_| {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Err(LoginError::refused("status 401"))
        });
        let wrong = pool.add(wrong.with_identity(identity("me"))).unwrap();
        assert!(wrong.get().await.unwrap_err().is_login_refused());
        wrong.close().await.unwrap();
        clock.advance(60 * SECOND);
    }
    let attempts = attempts.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(attempts, 4, "in an hour: one in each cooldown");
    let corrected = account("me").with_secret("another password");
    assert!(pool.add(corrected).unwrap().get().await.is_ok());
}

/// A source that another secret may be put into.
struct Vault(&'static str);

#[async_trait]
impl ReadSecret for Vault {
    async fn read(&self) -> Result<Secret, SecretError> {
        Ok(self.0.into())
    }
}

#[tokio::test]
async fn rule_12_each_refused_password_is_remembered_whatever_source_its_identity_comes_back_with()
{
    let clock = ManualClock::new();
    let pool = pool(&clock, 10);
    let sent = Arc::new(AtomicUsize::new(0));
    let add = |secret: SecretSource, error: fn() -> LoginError| {
        let seen = Arc::clone(&sent);
        let provider = Scripted::new(move |_| {
            seen.fetch_add(1, SeqCst);
            Err(error())
        });
        let provider = provider.with_identity(identity("me")).with_secret(secret);
        pool.add(provider).unwrap()
    };
    let refused = || LoginError::refused("status 401");
    let password = |number: usize| ["one", "other"][number % 2];
    for number in 0..14 {
        let wrong = add(password(number).into(), refused);
        assert!(wrong.get().await.unwrap_err().is_login_refused());
        if number % 4 < 2 {
            wrong.close().await.unwrap();
        } else {
            pool.remove(&identity("me"));
        }
        clock.advance(30 * SECOND);
    }
    assert_eq!(sent.load(SeqCst), 2, "one of each");
    // A third one is tried, and that is an outage.
    let third = add("third".into(), || LoginError::unavailable("status 503"));
    assert!(third.get().await.is_err());
    assert_eq!(sent.load(SeqCst), 3);
    clock.advance(60 * SECOND);
    drop(third);
    // They may come from a source that can change, and a corrected one logs in at once.
    for number in 0..2 {
        pool.remove(&identity("me"));
        let vault = SecretSource::custom(Vault(password(number)));
        let wrong = add(vault, refused);
        assert!(wrong.get().await.unwrap_err().is_login_refused());
        assert_eq!(sent.load(SeqCst), 3, "{number}");
    }
    pool.remove(&identity("me"));
    let wrong = add("other".into(), refused);
    assert!(wrong.get().await.unwrap_err().is_login_refused());
    wrong.close().await.unwrap();
    clock.advance(SECOND);
    let vault = SecretSource::custom(Vault("right"));
    let corrected = pool.add(account("me").with_secret(vault)).unwrap();
    assert_eq!(token(&corrected.get().await.unwrap()), "token-1");
}

/// How an identity leaves its pool while its login is under way.
#[derive(Clone, Copy, Debug)]
enum Leaving {
    Removed,
    Closed,
}

impl Leaving {
    /// Leaves, and returns what ends when the login has.
    async fn leave(self, pool: &Pool, credentials: &Credentials) -> JoinHandle<()> {
        let credentials = credentials.clone();
        if let Self::Removed = self {
            pool.remove(credentials.identity()).unwrap();
        }
        let ended = tokio::spawn(async move {
            match self {
                Self::Removed => {
                    credentials.get().await.unwrap_err();
                }
                Self::Closed => credentials.close().await.unwrap(),
            }
        });
        settle().await;
        ended
    }
}

/// Begins a login, and lets it be sent.
async fn begin(credentials: &Credentials) {
    let credentials = credentials.clone();
    tokio::spawn(async move { credentials.get().await });
    settle().await;
}

fn refusing(secret: impl Into<SecretSource>, gate: &Gate) -> Scripted {
    Scripted::new(|_| Err(LoginError::refused("status 401")))
        .with_identity(identity("me"))
        .with_secret(secret)
        .gated(gate)
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_that_comes_after_its_identity_has_left() {
    for leaving in [Leaving::Removed, Leaving::Closed] {
        let (clock, gate) = (ManualClock::new(), Gate::shut());
        let (pool, mut sent) = (pool(&clock, 10), 0);
        for _ in 0..10 {
            let provider = refusing("wrong", &gate);
            let logins = provider.logins();
            let credentials = pool.add(provider).unwrap();
            begin(&credentials).await;
            let ended = leaving.leave(&pool, &credentials).await;
            if logins.count() > 0 {
                gate.let_through(1);
            }
            ended.await.unwrap();
            sent += logins.count();
            clock.advance(6 * SECOND);
        }
        assert_eq!(sent, 1, "{leaving:?}");
    }
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_though_the_next_handle_was_closed_meanwhile() {
    for is_told_before in [false, true] {
        let (clock, gate) = (ManualClock::new(), Gate::shut());
        let pool = pool(&clock, 10);
        let first = pool.add(refusing("wrong", &gate)).unwrap();
        begin(&first).await;
        pool.remove(first.identity());
        let second = pool.add(refusing("wrong", &gate)).unwrap();
        if is_told_before {
            gate.let_through(1);
            settle().await;
        }
        second.close().await.unwrap();
        gate.let_through(9);
        settle().await;
        let next = refusing("wrong", &gate);
        let logins = next.logins();
        let third = pool.add(next).unwrap();
        assert!(third.get().await.is_err());
        assert_eq!(logins.count(), 0, "{is_told_before}");
    }
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_though_the_login_of_a_closed_handle_has_failed_otherwise()
{
    let (clock, gate, other_gate) = (ManualClock::new(), Gate::shut(), Gate::shut());
    let pool = pool(&clock, 10);
    let first = pool.add(refusing("wrong", &gate)).unwrap();
    begin(&first).await;
    pool.remove(first.identity());
    let outage = Scripted::new(|_| Err(LoginError::unavailable("status 503")));
    let outage = outage.with_identity(identity("me")).with_secret("wrong");
    let second = pool.add(outage.gated(&other_gate)).unwrap();
    begin(&second).await;
    let ended = Leaving::Closed.leave(&pool, &second).await;
    other_gate.let_through(1);
    ended.await.unwrap();
    gate.let_through(9);
    settle().await;
    // The wait after an outage is over.
    clock.advance(6 * SECOND);
    let next = refusing("wrong", &gate);
    let logins = next.logins();
    let third = pool.add(next).unwrap();
    assert!(third.get().await.unwrap_err().is_login_refused());
    assert_eq!(logins.count(), 0);
}

#[tokio::test]
async fn rule_12_no_refusal_holds_a_secret_with_which_a_closed_handle_has_logged_in() {
    for is_refused_before in [false, true] {
        let (clock, gate, other_gate) = (ManualClock::new(), Gate::shut(), Gate::shut());
        let pool = pool(&clock, 10);
        let first = pool.add(refusing("secret", &gate)).unwrap();
        begin(&first).await;
        pool.remove(first.identity());
        let right = account("me").with_secret("secret").gated(&other_gate);
        let second = pool.add(right).unwrap();
        begin(&second).await;
        let ended = Leaving::Closed.leave(&pool, &second).await;
        let refuse = async || {
            gate.let_through(1);
            settle().await;
        };
        if is_refused_before {
            refuse().await;
        }
        other_gate.let_through(1);
        ended.await.unwrap();
        refuse().await;
        let next = account("me").with_secret("secret");
        let third = pool.add(next).unwrap();
        assert!(third.get().await.is_ok(), "{is_refused_before}");
    }
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_that_comes_after_its_identity_was_added_again() {
    for leaving in [Leaving::Removed, Leaving::Closed] {
        for source in ["wrong".into(), SecretSource::custom(Vault("wrong"))] {
            let (clock, gate) = (ManualClock::new(), Gate::shut());
            let (pool, mut sent) = (pool(&clock, 10), 0);
            let first = refusing("wrong", &gate);
            let mut logins = first.logins();
            let mut credentials = pool.add(first).unwrap();
            for _ in 0..10 {
                begin(&credentials).await;
                let ended = leaving.leave(&pool, &credentials).await;
                let provider = refusing(source.clone(), &gate);
                let next_logins = provider.logins();
                credentials = pool.add(provider).unwrap();
                if logins.count() > 0 {
                    gate.let_through(1);
                }
                ended.await.unwrap();
                sent += logins.count();
                logins = next_logins;
                clock.advance(6 * SECOND);
            }
            assert_eq!(sent, 1, "{leaving:?}, {source:?}");
            let refused = credentials.get().await.unwrap_err();
            assert!(refused.is_login_refused(), "{refused:?}");
            credentials.close().await.unwrap();
            let corrected = pool.add(account("me").with_secret("right")).unwrap();
            assert!(corrected.get().await.is_ok());
        }
    }
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_of_a_handle_that_is_used_after_its_removal() {
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    gate.let_through(10);
    let (pool, mut sent) = (pool(&clock, 10), 0);
    for _ in 0..10 {
        let provider = refusing("wrong", &gate);
        let logins = provider.logins();
        let credentials = pool.add(provider).unwrap();
        pool.remove(&identity("me")).unwrap();
        assert!(credentials.get().await.unwrap_err().is_login_refused());
        sent += logins.count();
        clock.advance(6 * SECOND);
    }
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn rule_12_a_refusal_is_remembered_of_the_handle_that_a_removal_returns() {
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    gate.let_through(10);
    let (pool, mut sent) = (pool(&clock, 10), 0);
    for _ in 0..10 {
        let provider = refusing("wrong", &gate);
        let logins = provider.logins();
        drop(pool.add(provider).unwrap());
        let removed = pool.remove(&identity("me")).unwrap();
        assert!(removed.get().await.unwrap_err().is_login_refused());
        sent += logins.count();
        clock.advance(6 * SECOND);
    }
    assert_eq!(sent, 1);
}

#[tokio::test]
async fn rule_12_refusals_that_come_after_several_handles_have_left_are_all_remembered() {
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    let pool = pool(&clock, 10);
    let passwords = ["one", "two", "three", "four"];
    let mut under_way = Vec::new();
    for password in passwords {
        let credentials = pool.add(refusing(password, &gate)).unwrap();
        begin(&credentials).await;
        under_way.push(Leaving::Removed.leave(&pool, &credentials).await);
    }
    // More than are sent, so that one that should not be sent does not wait either.
    gate.let_through(2 * passwords.len());
    for ended in under_way {
        ended.await.unwrap();
    }
    // Four were tried of late, so a fifth one is not.
    for password in passwords.into_iter().chain(["five"]) {
        let provider = refusing(password, &gate);
        let logins = provider.logins();
        let again = pool.add(provider).unwrap();
        assert!(again.get().await.unwrap_err().is_login_refused());
        assert_eq!(logins.count(), 0, "{password}");
        pool.remove(&identity("me")).unwrap();
    }
}

#[tokio::test]
async fn rule_12_a_refusal_that_comes_after_the_next_handle_has_logged_in_holds_nothing() {
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    let pool = pool(&clock, 10);
    let before = pool.add(refusing("secret", &gate)).unwrap();
    begin(&before).await;
    let ended = Leaving::Removed.leave(&pool, &before).await;
    // The server has found out meanwhile that it is right.
    let next = pool.add(account("me").with_secret("secret")).unwrap();
    next.get().await.unwrap();
    gate.let_through(1);
    ended.await.unwrap();
    assert_eq!(token(&next.renew().await.unwrap()), "token-2");
}

#[tokio::test]
async fn rule_12_logins_that_are_lost_with_their_last_handles_back_off() {
    let (clock, gate) = (ManualClock::new(), Gate::shut());
    let (pool, mut sent) = (pool(&clock, 10), 0);
    for _ in 0..120 {
        let quota = Quota::new(NonZeroU32::new(1_000).unwrap(), SECOND);
        let provider = refusing("wrong", &gate).with_quota(quota);
        let logins = provider.logins();
        let credentials = pool.add(provider).unwrap();
        let caller = tokio::spawn(async move { credentials.get().await });
        settle().await;
        caller.abort();
        settle().await;
        pool.remove(&identity("me")).unwrap();
        sent += logins.count();
        clock.advance(SECOND);
    }
    // The waits are drawn from zero to a minute at last.
    assert!((2..60).contains(&sent), "{sent}");
}

#[tokio::test]
async fn rule_12_of_passwords_that_are_refused_four_are_tried_whatever_handle_has_the_next() {
    let clock = ManualClock::new();
    let pool = pool(&clock, 10);
    let sent = Arc::new(AtomicUsize::new(0));
    let try_with = async |password: String| {
        let seen = Arc::clone(&sent);
        let provider = Scripted::new(move |_| {
            seen.fetch_add(1, SeqCst);
            Err(LoginError::refused("status 401"))
        });
        let provider = provider.with_identity(identity("me"));
        let provider = provider.with_secret(SecretSource::from(password.as_str()));
        let wrong = pool.add(provider).unwrap();
        assert!(wrong.get().await.unwrap_err().is_login_refused());
        wrong.close().await.unwrap();
        clock.advance(SECOND);
        sent.load(SeqCst)
    };
    for number in 1..=20 {
        let sent = try_with(format!("password-{number}")).await;
        assert_eq!(sent, number.min(4));
    }
    clock.advance(15 * 60 * SECOND);
    assert_eq!(try_with("password-21".to_owned()).await, 5);
}

#[tokio::test]
async fn a_closed_identity_is_no_longer_in_the_pool() {
    let pool = pool(&ManualClock::new(), 1);
    pool.add(account("me")).unwrap().close().await.unwrap();
    assert!(pool.find(&identity("me")).is_none());
    let again = pool.add(account("me")).unwrap();
    assert_eq!(token(&again.get().await.unwrap()), "token-1");
    assert_eq!(pool.identities(), [identity("me")]);
    assert!(pool.find(&identity("me")).is_some());
    assert!(!pool.is_empty());
    assert_eq!(format!("{pool:?}"), "Pool { capacity: 1, len: 1, .. }");
}

#[tokio::test]
async fn the_search_for_room_gives_every_identity_a_second_chance() {
    let pool = pool(&ManualClock::new(), 4);
    let mut held = Vec::new();
    for name in ["a", "b", "c", "d"] {
        pool.add(account(name)).unwrap();
        held.push(pool.find(&identity(name)).unwrap());
    }
    held.pop();
    pool.add(account("e")).unwrap();
    assert!(pool.find(&identity("d")).is_none());
}

#[tokio::test]
async fn removing_an_identity_keeps_the_turns_of_the_others() {
    let pool = pool(&ManualClock::new(), 2);
    pool.add(account("a")).unwrap();
    pool.add(account("b")).unwrap();
    pool.remove(&identity("a")).unwrap();
    let _held = pool.add(account("c")).unwrap();
    pool.add(account("d")).unwrap();
    assert!(
        pool.find(&identity("b")).is_none(),
        "\"b\" has no handle, so it is forgotten first"
    );
}

#[tokio::test]
async fn rule_12_refusals_past_their_cooldown_make_room_for_new_ones() {
    let clock = ManualClock::new();
    let pool = pool(&clock, 1);
    let wrong = |name: &str| {
        Scripted::new(|_| Err(LoginError::refused("status 401"))).with_identity(identity(name))
    };
    for name in ["a", "b"] {
        pool.add(wrong(name)).unwrap().get().await.unwrap_err();
    }
    clock.advance(899 * SECOND);
    assert!(
        pool.add(account("c")).is_err(),
        "both refusals are in force"
    );
    clock.advance(SECOND);
    pool.add(wrong("b")).unwrap().get().await.unwrap_err();
    // The cooldown of "a" is over, which makes room for the refusal of "b".
    assert!(pool.add(account("c")).is_ok());
}

#[test]
fn the_users_options_may_use_the_pool() {
    let own: std::sync::Arc<std::sync::OnceLock<Pool>> = std::sync::Arc::default();
    let seen = std::sync::Arc::clone(&own);
    let pool = Pool::with(NonZeroUsize::MIN, move |builder| {
        assert_eq!(seen.get().map(Pool::len), Some(0));
        builder
    });
    own.set(pool.clone()).unwrap();
    pool.add(account("me")).unwrap();
}

#[test]
fn an_identity_whose_login_was_lost_with_its_runtime_can_be_forgotten() {
    let pool = pool(&ManualClock::new(), 1);
    let lost = pool.add(account("lost")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    {
        let _entered = runtime.enter();
        assert!(futures_util::FutureExt::now_or_never(lost.get()).is_none());
    }
    drop((runtime, lost));
    assert!(pool.add(account("new")).is_ok());
}
