//! Many identities in a bounded pool: rules 1 and 12.

use std::num::NonZeroUsize;

use auth_core::clock::ManualClock;
use auth_core::testing::{Gate, Scripted};
use auth_core::{Identity, Lifetime, LoginError, Origin, Pool, PoolError};

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
