//! Helpers shared by the tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::testing::{Counter, Scripted};
use auth_core::{
    Attempt, Credential, Credentials, CredentialsBuilder, Identity, Lifetime, LoginError, Logout,
    LogoutScope, Provider, Quota, Refresh, Secret, SecretSource, Session, Target,
};
use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue};
use parking_lot::Mutex;
use tokio::sync::Semaphore;

/// A request within the scope of the scripted provider.
pub(crate) const HERE: Target<'_> = Target::new("https", "api.example.com", "/v3/me");

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A builder on its own clock, and therefore with its own quota.
pub(crate) fn on(clock: &ManualClock, provider: Scripted) -> CredentialsBuilder {
    Credentials::builder(provider).clock(clock.clock())
}

pub(crate) fn tokens() -> Scripted {
    Scripted::tokens(Lifetime::of(HOUR))
}

/// The first login succeeds. All later ones fail with `error`.
pub(crate) fn then_fails(error: fn() -> LoginError) -> Scripted {
    Scripted::new(move |number| match number {
        1 => session(number, Lifetime::of(HOUR)),
        _ => Err(error()),
    })
}

pub(crate) fn session(number: u64, lifetime: Lifetime) -> Result<Session, LoginError> {
    Ok(Session::new()
        .with_bearer(&format!("token-{number}"))?
        .with_lifetime(lifetime))
}

/// The bearer token that the credential attaches.
pub(crate) fn token(credential: &Credential) -> String {
    let mut headers = http::HeaderMap::new();
    credential.attach_headers(HERE, &mut headers);
    let value = headers["authorization"].to_str().unwrap();
    value.trim_start_matches("Bearer ").to_owned()
}

/// A second attempt, as after a rejection.
pub(crate) fn replay(credentials: &Credentials, credential: &Credential) -> Attempt {
    Attempt::new(credentials, credential).replay(credential)
}

/// The headers of a response that sets one cookie.
pub(crate) fn set_cookie(line: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static(line))])
}

/// Lets every other task of a current-thread runtime run until it is pending.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

type Script = Box<dyn Fn(u64) -> Result<Session, LoginError> + Send + Sync>;

/// A scripted provider with refreshes, and a record of its logouts.
pub(crate) struct Renewing {
    inner: Scripted,
    gate: Option<Arc<Semaphore>>,
    refresh: Option<(Refresh, Script)>,
    refreshes: Arc<AtomicU64>,
    scope: LogoutScope,
    failing_logouts: bool,
    logouts: Arc<Mutex<Vec<(u64, Logout)>>>,
}

impl Renewing {
    pub(crate) fn new(inner: Scripted) -> Self {
        Self {
            inner,
            gate: None,
            refresh: None,
            refreshes: Arc::default(),
            scope: LogoutScope::ThisSession,
            failing_logouts: false,
            logouts: Arc::default(),
        }
    }

    /// Sessions are refreshed. The function is given the number of the refresh, counted from 1.
    pub(crate) fn refreshed(
        mut self,
        by: Refresh,
        refresh: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static,
    ) -> Self {
        self.refresh = Some((by, Box::new(refresh)));
        self
    }

    /// Refreshes wait at the gate, and are counted before.
    pub(crate) fn gated(mut self, gate: &Arc<Semaphore>) -> Self {
        self.gate = Some(Arc::clone(gate));
        self
    }

    pub(crate) fn with_logout_scope(mut self, scope: LogoutScope) -> Self {
        self.scope = scope;
        self
    }

    /// No logout is confirmed.
    pub(crate) fn failing_logouts(mut self) -> Self {
        self.failing_logouts = true;
        self
    }

    pub(crate) fn logins(&self) -> Counter {
        self.inner.logins()
    }

    pub(crate) fn refreshes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.refreshes)
    }

    /// The generations that were logged out, and what each logout was told.
    pub(crate) fn logouts(&self) -> Arc<Mutex<Vec<(u64, Logout)>>> {
        Arc::clone(&self.logouts)
    }

    pub(crate) fn on(self, clock: &ManualClock) -> CredentialsBuilder {
        Credentials::builder(self).clock(clock.clock())
    }
}

#[async_trait]
impl Provider for Renewing {
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
        self.inner.login(secret).await
    }

    fn refresh_by(&self) -> Option<Refresh> {
        self.refresh.as_ref().map(|(by, _)| by.clone())
    }

    async fn refresh(&self, _: &Credential) -> Result<Session, LoginError> {
        let (_, refresh) = self.refresh.as_ref().unwrap();
        let number = self.refreshes.fetch_add(1, SeqCst) + 1;
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        refresh(number)
    }

    async fn logout(&self, credential: &Credential, logout: Logout) -> Result<(), LoginError> {
        let generation = credential.stamp().generation();
        self.logouts.lock().push((generation, logout));
        if self.failing_logouts {
            return Err(LoginError::unavailable("status 503"));
        }
        Ok(())
    }

    fn logout_scope(&self) -> LogoutScope {
        self.scope
    }
}
