//! How the cache calls a provider, and what it does with the results.

use std::pin::Pin;
use std::sync::Arc;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Credential, Credentials, Error, Event, Identity, Lifetime, LoginError, LoginErrorKind, Logout,
    Provider, ReadSecret, Refresh, Secret, SecretError, SecretSource, Session, Update,
};
use parking_lot::Mutex;

use crate::support::{HERE, HOUR, SECOND, session, set_cookie, settle, token, tokens};

type Check = Box<dyn Fn() -> Result<(), LoginError> + Send + Sync>;

/// Records the calls that it receives.
struct Recorder {
    inner: Scripted,
    secret: SecretSource,
    check: Check,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    fn new() -> Self {
        Self {
            inner: tokens(),
            secret: "correct horse".into(),
            check: Box::new(|| Ok(())),
            calls: Arc::default(),
        }
    }

    fn checking(check: impl Fn() -> Result<(), LoginError> + Send + Sync + 'static) -> Self {
        Self {
            check: Box::new(check),
            ..Self::new()
        }
    }

    fn record(&self, call: impl Into<String>) -> u64 {
        let mut calls = self.calls.lock();
        calls.push(call.into());
        calls.len() as u64
    }
}

#[async_trait]
impl Provider for Recorder {
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
        session(self.record("login"), Lifetime::of(HOUR))
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_session())
    }

    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        let number = self.record(format!("refresh {}", current.stamp()));
        session(number, Lifetime::of(HOUR))
    }
}

#[tokio::test]
async fn a_refresh_is_given_the_current_credential_and_a_login_is_not() {
    let clock = ManualClock::new();
    let provider = Recorder::new();
    let calls = Arc::clone(&provider.calls);
    let credentials = Credentials::builder(provider).clock(clock.clock()).build();
    credentials.get().await.unwrap();
    assert_eq!(token(&credentials.renew().await.unwrap()), "token-2");
    clock.advance(HOUR - SECOND);
    credentials.get().await.unwrap();
    settle().await;
    clock.advance(HOUR);
    assert_eq!(token(&credentials.get().await.unwrap()), "token-4");
    assert_eq!(
        *calls.lock(),
        ["login", "refresh 1.0", "refresh 2.0", "login"]
    );
}

async fn failure_of(provider: Recorder) -> (LoginErrorKind, String) {
    let calls = Arc::clone(&provider.calls);
    let clock = ManualClock::new();
    let credentials = Credentials::builder(provider).clock(clock.clock()).build();
    let caller = tokio::spawn(async move { credentials.get().await });
    settle().await;
    clock.advance(30 * SECOND);
    let Err(Error::Login { source, .. }) = caller.await.unwrap() else {
        panic!("the login fails");
    };
    assert_eq!(*calls.lock(), [""; 0], "nothing was sent");
    (source.kind(), source.to_string())
}

#[tokio::test]
async fn rule_12_a_failure_before_the_login_is_sent_is_no_refusal() {
    let misconfigured =
        Recorder::checking(|| Err(LoginError::misconfigured("the user is not allowed a colon")));
    let (kind, message) = failure_of(misconfigured).await;
    assert_eq!(kind, LoginErrorKind::Misconfigured);
    assert!(message.contains("not allowed a colon"), "{message}");

    let refused = Recorder::checking(|| Err(LoginError::refused("it is too short")));
    let (kind, message) = failure_of(refused).await;
    assert_eq!(kind, LoginErrorKind::Misconfigured);
    assert!(message.contains("can't be right"), "{message}");

    let panics = Recorder::checking(|| panic!("a bug"));
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
async fn rule_3_a_secret_source_that_hangs_times_out_as_a_login_does() {
    let provider = Recorder {
        secret: SecretSource::custom(Hangs),
        ..Recorder::new()
    };
    let (kind, message) = failure_of(provider).await;
    assert_eq!(kind, LoginErrorKind::Misconfigured);
    assert!(message.contains("in time"), "{message}");
}

#[tokio::test]
async fn an_observer_is_told_how_long_the_login_took() {
    let clock = ManualClock::new();
    let manual = clock.clone();
    let provider = Scripted::new(move |number| {
        manual.advance(3 * SECOND);
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

/// Written without `async_trait`, so each method runs before it returns its future.
struct PanicsAtOnce {
    inner: Recorder,
    in_login: bool,
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, LoginError>> + Send + 'a>>;

impl Provider for PanicsAtOnce {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.inner.secret()
    }

    fn login<'a, 'b, 'c>(&'a self, _: &'b Secret) -> Answer<'c, Session>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let number = self.inner.record("login");
        assert!(!self.in_login, "a bug before the future");
        Box::pin(async move { session(number, Lifetime::of(HOUR)) })
    }

    fn logout<'a, 'b, 'c>(&'a self, _: &'b Credential, _: Logout) -> Answer<'c, ()>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        panic!("a bug before the future")
    }
}

fn panics_at_once(in_login: bool) -> (Credentials, Arc<Mutex<Vec<String>>>) {
    let inner = Recorder::new();
    let calls = Arc::clone(&inner.calls);
    let credentials = Credentials::builder(PanicsAtOnce { inner, in_login })
        .clock(ManualClock::new().clock())
        .build();
    (credentials, calls)
}

#[tokio::test]
async fn rule_3_a_provider_that_panics_before_its_future_has_failed_as_any_other() {
    let (credentials, calls) = panics_at_once(true);
    for _ in 0..2 {
        let error = credentials.get().await.unwrap_err();
        assert!(error.is_misconfigured(), "{error:?}");
    }
    assert_eq!(*calls.lock(), ["login"], "the failure is remembered");

    let (credentials, _calls) = panics_at_once(false);
    credentials.get().await.unwrap();
    let error = credentials.close().await.unwrap_err();
    assert!(error.is_misconfigured(), "{error:?}");
}

#[tokio::test]
async fn a_provider_refreshes_and_repairs_nothing_unless_it_says_how() {
    let (provider, session) = (tokens(), session(1, Lifetime::of(HOUR)));
    let credential = auth_core::testing::credential(session.unwrap());
    assert!(provider.refresh_by().is_none() && !provider.repairs());
    let refreshed = provider.refresh(&credential).await.map(|_| ());
    let repaired = provider.repair(&credential).await.map(|_| ());
    for result in [refreshed, repaired] {
        let kind = result.unwrap_err().kind();
        assert_eq!(kind, LoginErrorKind::Misconfigured);
    }
}

#[test]
fn what_a_provider_does_not_say_is_the_same_for_all() {
    assert_eq!(tokens().variant(), "");
    let options = auth_core::ProviderOptions::of(("canary", 1));
    assert_eq!(format!("{options:?}"), "ProviderOptions { .. }");
    let printed = format!("{:?}", tokens());
    assert!(printed.starts_with("Scripted { identity: "), "{printed}");
}

#[test]
fn rule_15_an_update_that_deletes_the_cookie_of_a_session_leaves_none() {
    for (line, left) in [("sid=s-2; Path=/", Some("s-2")), ("sid=; Max-Age=0", None)] {
        let session = Session::new().with_cookie("sid", "s-1").unwrap();
        let before = auth_core::testing::credential(session);
        let update = Update::new().with_cookies(&set_cookie(line), HERE);
        let after = before.updated(&update);
        let cookie = after.as_ref().and_then(|after| after.cookie("sid"));
        assert_eq!(cookie, left);
    }
}
