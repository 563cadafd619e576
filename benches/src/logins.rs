//! A provider whose login is held back, counted and timed.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::{
    Credentials, Identity, Lifetime, LoginError, Origin, Provider, Scope, Secret, SecretSource,
    Session,
};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::time::{Timestamp, monotonic};

/// The size of the tokens: that of a JWT with a few claims.
pub const TOKEN_BYTES: usize = 1_024;

/// A token of [`TOKEN_BYTES`] bytes.
pub fn token() -> String {
    "t".repeat(TOKEN_BYTES)
}

/// Counts logins, holds them back, and knows when the last one ended.
#[derive(Clone, Default)]
pub struct Logins(Arc<Shared>);

#[derive(Default)]
struct Shared {
    count: AtomicU64,
    fails_after: AtomicU64,
    gate: Gate,
    takes: Mutex<Duration>,
    first_ended: Mutex<Option<Timestamp>>,
}

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

/// Where a [`Logins`] logs in: a provider, each at an origin of its own, so that no two share a quota.
pub struct At {
    identity: Identity,
    secret: SecretSource,
    scope: Scope,
    first: Lifetime,
    later: Lifetime,
    logins: Logins,
}

impl Logins {
    /// Logins that end at once.
    pub fn at_once() -> Self {
        let logins = Self::held();
        logins.release();
        logins
    }

    /// A cache whose first login is done, and good for an hour.
    ///
    /// # Panics
    /// Never: the login succeeds at once.
    pub fn logged_in(runtime: &Runtime) -> Credentials {
        let hour = Lifetime::of(Duration::from_secs(3_600));
        let logins = Self::at_once();
        let credentials = Credentials::new(logins.with_lifetime(hour));
        let first = runtime.block_on(credentials.get());
        first.expect("the first login");
        assert_eq!(logins.count(), 1);
        credentials
    }

    /// Logins that wait until they are [released](Self::release).
    pub fn held() -> Self {
        let logins = Self::default();
        logins.0.fails_after.store(u64::MAX, SeqCst);
        logins
    }

    /// From now on logins fail.
    pub fn fail_from_now_on(&self) {
        self.0.fails_after.store(self.count(), SeqCst);
    }

    /// How long each login takes once it is let through.
    pub fn take(&self, duration: Duration) {
        *self.0.takes.lock().unwrap_or_else(PoisonError::into_inner) = duration;
    }

    /// Lets all logins through that are waiting or to come.
    pub fn release(&self) {
        self.0.gate.0.add_permits(1_000_000);
    }

    /// Holds back those to come.
    pub fn hold(&self) {
        self.0.gate.0.forget_permits(usize::MAX);
    }

    /// How many have begun.
    pub fn count(&self) -> u64 {
        self.0.count.load(SeqCst)
    }

    /// When the first one ended since this was asked before.
    pub fn take_end(&self) -> Option<Timestamp> {
        self.first_ended().take()
    }

    fn first_ended(&self) -> MutexGuard<'_, Option<Timestamp>> {
        let ended = &self.0.first_ended;
        ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a login has ended, for those that are not made here.
    pub fn end(&self) {
        self.first_ended().get_or_insert_with(monotonic);
    }

    /// One login: whether it succeeds.
    ///
    /// # Errors
    /// It is told to fail.
    pub async fn login(&self) -> Result<String, Failed> {
        let number = self.0.count.fetch_add(1, SeqCst) + 1;
        if let Ok(permit) = self.0.gate.0.acquire().await {
            permit.forget();
        }
        let takes = *self.0.takes.lock().unwrap_or_else(PoisonError::into_inner);
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let token = token();
        self.end();
        if number > self.0.fails_after.load(SeqCst) {
            Err(Failed)
        } else {
            Ok(token)
        }
    }

    /// A provider with these logins, whose sessions live as long as stated.
    ///
    /// # Panics
    /// Never: its origin is well formed.
    pub fn with_lifetime(&self, lifetime: Lifetime) -> At {
        static ORIGINS: AtomicU64 = AtomicU64::new(0);
        let number = ORIGINS.fetch_add(1, Relaxed);
        let origin = format!("https://login-{number}.example.com");
        let origin = Origin::parse(&origin).expect("a literal origin");
        At::new(
            self,
            Identity::new("bench", origin, "me@example.com"),
            lifetime,
        )
    }
}

impl At {
    /// A provider for an identity of the caller's choice.
    ///
    /// # Panics
    /// Never: its scope is well formed.
    pub fn new(logins: &Logins, identity: Identity, lifetime: Lifetime) -> Self {
        let api = Origin::parse(crate::stack::URL).expect("a literal origin");
        Self {
            identity,
            secret: "correct horse battery staple".into(),
            scope: Scope::only(api),
            first: lifetime,
            later: lifetime,
            logins: logins.clone(),
        }
    }

    /// Sessions after the first one live as long as this.
    pub const fn and_later(mut self, lifetime: Lifetime) -> Self {
        self.later = lifetime;
        self
    }
}

#[async_trait]
impl Provider for At {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn scope(&self) -> Scope {
        self.scope.clone()
    }

    async fn login(&self, _secret: &Secret) -> Result<Session, LoginError> {
        let lifetime = match self.logins.count() {
            0 => self.first,
            _ => self.later,
        };
        match self.logins.login().await {
            Ok(token) => Ok(Session::new().with_bearer(&token)?.with_lifetime(lifetime)),
            Err(Failed) => Err(LoginError::unavailable("told to fail")),
        }
    }
}

/// A login that was told to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("told to fail")
    }
}

impl std::error::Error for Failed {}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins")
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("At")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
