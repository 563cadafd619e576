//! What the cache asks of a provider, and what it makes of a provider's answers.

use std::sync::Arc;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Credential, Credentials, Error, Event, Identity, Lifetime, LoginError, LoginErrorKind,
    Provider, ReadSecret, Secret, SecretError, SecretSource, Session,
};
use parking_lot::Mutex;

use crate::support::{HOUR, SECOND, session, settle, token, tokens};

type Check = Box<dyn Fn() -> Result<(), LoginError> + Send + Sync>;

/// Notes what it is asked for.
struct Noted {
    inner: Scripted,
    secret: SecretSource,
    check: Check,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Noted {
    fn new() -> Self {
        Self {
            inner: tokens(),
            secret: "correct horse".into(),
            check: Box::new(|| Ok(())),
            asked: Arc::default(),
        }
    }

    fn checking(check: impl Fn() -> Result<(), LoginError> + Send + Sync + 'static) -> Self {
        Self {
            check: Box::new(check),
            ..Self::new()
        }
    }

    fn note(&self, asked: impl Into<String>) -> u64 {
        let mut all = self.asked.lock();
        all.push(asked.into());
        all.len() as u64
    }
}

#[async_trait]
impl Provider for Noted {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn check_secret(&self, _: &Secret) -> Result<(), LoginError> {
        (self.check)()
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        session(self.note("login"), Lifetime::of(HOUR))
    }

    async fn renew(&self, current: &Credential, _: &Secret) -> Result<Session, LoginError> {
        let number = self.note(format!("renew {}", current.stamp()));
        session(number, Lifetime::of(HOUR))
    }
}

#[tokio::test]
async fn a_renewal_is_asked_for_with_the_current_credential_and_a_login_without() {
    let clock = ManualClock::new();
    let provider = Noted::new();
    let asked = Arc::clone(&provider.asked);
    let credentials = Credentials::builder(provider).clock(clock.clock()).build();
    credentials.get().await.unwrap();
    assert_eq!(token(&credentials.renew().await.unwrap()), "token-2");
    clock.advance(HOUR - SECOND);
    credentials.get().await.unwrap();
    settle().await;
    clock.advance(HOUR);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-4");
    assert_eq!(*asked.lock(), ["login", "renew 1.0", "renew 2.0", "login"]);
}

async fn failure_of(provider: Noted) -> (LoginErrorKind, String) {
    let asked = Arc::clone(&provider.asked);
    let clock = ManualClock::new();
    let credentials = Credentials::builder(provider).clock(clock.clock()).build();
    let getting = tokio::spawn(async move { credentials.get().await });
    settle().await;
    clock.advance(30 * SECOND);
    let Err(Error::Login { source, .. }) = getting.await.unwrap() else {
        panic!("it did not fail");
    };
    assert_eq!(*asked.lock(), [""; 0], "nothing was sent");
    (source.kind(), source.to_string())
}

#[tokio::test]
async fn rule_12_what_fails_before_anything_is_sent_says_so_and_is_no_refusal() {
    let own = Noted::checking(|| Err(LoginError::misconfigured("the user is not allowed a colon")));
    let (kind, message) = failure_of(own).await;
    assert_eq!(kind, LoginErrorKind::Misconfigured);
    assert!(message.contains("not allowed a colon"), "{message}");

    let refused = Noted::checking(|| Err(LoginError::refused("it is too short")));
    let (kind, message) = failure_of(refused).await;
    assert_eq!(kind, LoginErrorKind::Misconfigured);
    assert!(message.contains("can't be right"), "{message}");

    let panics = Noted::checking(|| panic!("a bug"));
    assert_eq!(failure_of(panics).await.0, LoginErrorKind::Panicked);
}

struct Hangs;

#[async_trait]
impl ReadSecret for Hangs {
    async fn read(&self) -> Result<Secret, SecretError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn rule_3_a_source_that_hangs_is_not_waited_for_longer_than_a_login() {
    let provider = Noted {
        secret: SecretSource::custom(Hangs),
        ..Noted::new()
    };
    let (kind, message) = failure_of(provider).await;
    assert_eq!(kind, LoginErrorKind::Misconfigured);
    assert!(message.contains("in time"), "{message}");
}

#[tokio::test]
async fn an_observer_is_told_how_long_the_login_took() {
    let clock = ManualClock::new();
    let hands = clock.clone();
    let provider = Scripted::new(move |number| {
        hands.advance(3 * SECOND);
        session(number, Lifetime::of(HOUR))
    });
    let took = Arc::new(Mutex::new(None));
    let told = Arc::clone(&took);
    let credentials = Credentials::builder(provider)
        .clock(clock.clock())
        .observer(move |_: &Identity, event: &Event| {
            if let Event::LoggedIn { took, .. } = event {
                *told.lock() = Some(*took);
            }
        })
        .build();
    credentials.get().await.unwrap();
    assert_eq!(*took.lock(), Some(3 * SECOND));
}
