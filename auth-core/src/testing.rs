//! A scripted provider for tests, a gate that holds its logins, and credentials without a cache.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::clock::Clock;
use crate::credential::{Credential, Stamp};
use crate::error::LoginError;
use crate::identity::Identity;
use crate::lifetime::{Birth, Lifetime, RefreshWindow};
use crate::logout::Logout;
use crate::origin::Origin;
use crate::provider::Provider;
use crate::quota::Quota;
use crate::secret::{Secret, SecretSource};
use crate::session::Session;

/// A provider whose logins are a function of their number, counted from 1.
///
/// ```
/// use auth_core::{Credentials, LoginError, Session};
/// use auth_core::testing::Scripted;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let provider = Scripted::new(|number| match number {
///     1 => Err(LoginError::refused("status 401")),
///     _ => Ok(Session::new().with_bearer("token")?),
/// });
/// let logins = provider.logins();
/// let credentials = Credentials::new(provider);
/// assert!(credentials.get().await.unwrap_err().is_login_refused());
/// assert!(credentials.get().await.is_err(), "remembered, not tried again");
/// assert_eq!(logins.count(), 1);
/// # }
/// ```
///
/// Its origin is [`ORIGIN`](Self::ORIGIN), and requests to other origins carry no credential. So a
/// test against a server of its own [states that server](Self::with_origin):
///
/// ```
/// use auth_core::{Credentials, Lifetime, Origin};
/// use auth_core::testing::Scripted;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = std::net::TcpListener::bind("127.0.0.1:0")?;
/// let url = format!("http://{}", server.local_addr()?);
/// let provider = Scripted::tokens(Lifetime::unknown()).with_origin(Origin::parse(&url)?);
/// let credentials = Credentials::new(provider);
/// assert!(credentials.scope().contains_uri(&format!("{url}/v3/me").parse()?));
/// # Ok(())
/// # }
/// ```
pub struct Scripted {
    identity: Identity,
    secret: SecretSource,
    quota: Quota,
    script: Box<dyn Fn(u64) -> Result<Session, LoginError> + Send + Sync>,
    gate: Option<Gate>,
    logins: Counter,
    logouts: Counter,
}

/// The credential of a session, without a cache: for a test of what a provider makes of it, and for
/// a server that stands in for an API.
///
/// ```
/// use auth_core::{Session, testing};
///
/// let credential = testing::credential(Session::new().with_bearer("t-1")?);
/// let mut request = http::Request::get("https://api.example.com/v1/me").body(())?;
/// credential.attach(&mut request)?;
/// assert_eq!(request.headers()["authorization"], "Bearer t-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn credential(session: Session) -> Credential {
    let birth = Birth {
        at: Clock::system().now(),
        took: Duration::ZERO,
    };
    let stamp = Stamp {
        generation: 1,
        revision: 0,
    };
    Credential::new(stamp, session, birth, RefreshWindow::NONE, 0.0)
}

/// The credential of a session that a refresh of `before` has brought: it keeps what that kept and
/// the session does not bring.
///
/// ```
/// use auth_core::{Session, testing};
///
/// let session = Session::new().with_bearer("t-1")?.with_kept("refresh_token", "r-1")?;
/// let before = testing::credential(session);
/// let after = testing::refreshed(&before, Session::new().with_bearer("t-2")?);
/// assert_eq!(after.kept("refresh_token"), Some("r-1"), "the answer has brought no other");
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
pub fn refreshed(before: &Credential, session: Session) -> Credential {
    credential(session.continuing(before, Clock::system().now()))
}

/// Counts the calls of a [`Scripted`] provider.
///
/// ```
/// use auth_core::{Credentials, Lifetime, testing::Scripted};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Scripted::tokens(Lifetime::unknown());
/// let logins = provider.logins();
/// let credentials = Credentials::new(provider);
/// credentials.get().await?;
/// credentials.renew().await?;
/// assert_eq!(logins.count(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

// `SeqCst`, the strongest ordering, so that a test needs no argument about it.
impl Counter {
    /// The number of calls so far.
    pub fn count(&self) -> u64 {
        self.0.load(SeqCst)
    }

    fn next(&self) -> u64 {
        self.0.fetch_add(1, SeqCst) + 1
    }
}

/// Holds logins until it lets them through.
///
/// ```
/// use auth_core::{Credentials, Lifetime, testing::{Gate, Scripted}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Scripted::tokens(Lifetime::unknown());
/// let gate = Gate::shut();
/// let credentials = Credentials::new(provider.gated(&gate));
/// let caller = tokio::spawn({
///     let credentials = credentials.clone();
///     async move { credentials.get().await }
/// });
/// while credentials.status().waiters == 0 {
///     tokio::task::yield_now().await;
/// }
/// gate.let_through(1);
/// assert!(caller.await?.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A gate that lets no login through.
    pub fn shut() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets as many logins through, those that wait now first.
    pub fn let_through(&self, logins: usize) {
        self.0.add_permits(logins);
    }

    async fn pass(&self) {
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Scripted {
    /// The origin of every scripted provider that is given no other one.
    pub const ORIGIN: &str = "https://api.example.com";

    /// A provider that calls the script once for each login, with its number.
    pub fn new(
        script: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static,
    ) -> Self {
        let origin = Origin::parse(Self::ORIGIN)
            .unwrap_or_else(|error| unreachable!("a literal origin: {error}"));
        Self {
            identity: Identity::new("scripted", origin, "me@example.com"),
            secret: "correct horse".into(),
            quota: Quota::DEFAULT,
            script: Box::new(script),
            gate: None,
            logins: Counter::default(),
            logouts: Counter::default(),
        }
    }

    /// A provider whose logins all succeed, with the bearer token `token-<number>` and the given
    /// life.
    pub fn tokens(lifetime: Lifetime) -> Self {
        Self::new(move |number| {
            let token = format!("token-{number}");
            Ok(Session::new().with_bearer(&token)?.with_lifetime(lifetime))
        })
    }

    /// Moves the provider to another origin, and its scope with it.
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.identity = self.identity.at(origin);
        self
    }

    /// Sets the identity. Its origin is the provider's scope.
    pub fn with_identity(mut self, identity: Identity) -> Self {
        self.identity = identity;
        self
    }

    /// Sets the source of the password.
    pub fn with_secret(mut self, secret: impl Into<SecretSource>) -> Self {
        self.secret = secret.into();
        self
    }

    /// Sets the quota.
    pub const fn with_quota(mut self, quota: Quota) -> Self {
        self.quota = quota;
        self
    }

    /// Lets logins wait at the gate. They are counted before.
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// The count of logins, which includes those that have not ended.
    pub fn logins(&self) -> Counter {
        self.logins.clone()
    }

    /// The count of logouts.
    pub fn logouts(&self) -> Counter {
        self.logouts.clone()
    }
}

#[async_trait]
impl Provider for Scripted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn quota(&self) -> Quota {
        self.quota
    }

    async fn login(&self, _secret: &Secret) -> Result<Session, LoginError> {
        let number = self.logins.next();
        if let Some(gate) = &self.gate {
            gate.pass().await;
        }
        (self.script)(number)
    }

    async fn logout(&self, _credential: &Credential, _logout: Logout) -> Result<(), LoginError> {
        self.logouts.next();
        Ok(())
    }
}

impl fmt::Debug for Scripted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
