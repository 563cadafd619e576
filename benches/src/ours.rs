//! auth-core as the benches drive it: no other file of this crate names an item of auth-core.
//!
//! A change of auth-core's API is followed here, and in the peer that logs in over HTTP
//! (`peers/src/relogin/ours.rs`).

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::{
    Attempt, Clock, Credential, Lifetime, LoginError, Moment, Origin, Provider, RefreshWindow,
    Scope, Secret, SecretSource, Session, Target,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use tokio::runtime::Runtime;

use crate::logins::{Failed, Logins};

pub use auth_core::{Credentials, Identity, Pool};

const HOUR: Duration = Duration::from_secs(3_600);

/// A cache whose sessions last an hour.
pub fn cache(logins: &Logins) -> Credentials {
    Credentials::new(provider(logins, HOUR))
}

/// A cache whose first session lasts `first`, and the later ones an hour. None is renewed before
/// its expiry.
pub fn without_renewal(logins: &Logins, first: Duration) -> Credentials {
    Credentials::builder(provider(logins, first))
        .refresh_window(RefreshWindow::NONE)
        .build()
}

/// A cache whose first session lasts `first`, and the later ones an hour. A session falls due for
/// renewal when `lead` is left of its life, or later by up to a quarter of `lead`.
pub fn with_renewal(logins: &Logins, first: Duration, lead: Duration) -> Credentials {
    Credentials::builder(provider(logins, first))
        .refresh_window(RefreshWindow::new(lead, 0.9))
        .build()
}

/// A cache whose credential may be sent to `origin` only, which may be on loopback.
///
/// # Panics
/// `origin` isn't an origin.
pub fn scoped(logins: &Logins, origin: &str) -> Credentials {
    Credentials::builder(provider(logins, HOUR))
        .scope(Origin::parse(origin).expect("an origin"))
        .build()
}

/// A cache that holds a session of an hour.
///
/// # Panics
/// Never: its login succeeds.
pub fn logged_in(runtime: &Runtime) -> Credentials {
    let logins = Logins::at_once();
    let credentials = cache(&logins);
    log_in(runtime, &credentials);
    assert_eq!(logins.count(), 1);
    credentials
}

/// Waits for a session.
///
/// # Panics
/// The login fails.
pub fn log_in(runtime: &Runtime, credentials: &Credentials) {
    let credential = runtime.block_on(credentials.get());
    credential.expect("the login succeeds");
}

/// Gets a credential and drops it: whether there was one.
pub async fn is_served(credentials: Credentials) -> bool {
    credentials.get().await.is_ok()
}

/// A caller whose request carried the current credential, and got a response that rejects it.
///
/// Each call of the result reports the rejection, then waits for the next credential.
///
/// # Panics
/// There is no fresh credential.
pub fn after_rejection(
    credentials: Credentials,
) -> impl Fn() -> BoxFuture<'static, bool> + Send + Sync {
    let credential = credentials.fresh().expect("it is fresh");
    let attempt = Attempt::new(&credentials, &credential);
    move || {
        let (credentials, attempt) = (credentials.clone(), attempt.clone());
        async move {
            attempt.rejected();
            credentials.get().await.is_ok()
        }
        .boxed()
    }
}

/// A clone of the header of the fresh credential, which is borrowed: `with_fresh()`.
///
/// # Panics
/// There is no fresh credential.
#[inline]
pub fn borrowed_header(credentials: &Credentials) -> HeaderValue {
    let header = credentials.with_fresh(|credential| header(credential));
    header.expect("it is fresh")
}

/// A clone of the header of an owned fresh credential: `fresh()`.
///
/// # Panics
/// There is no fresh credential.
#[inline]
pub fn owned_header(credentials: &Credentials) -> HeaderValue {
    header(&credentials.fresh().expect("it is fresh"))
}

/// An owned credential: `get()`.
///
/// # Errors
/// There is no credential.
#[inline]
pub fn get(
    credentials: &Credentials,
) -> impl Future<Output = Result<Arc<Credential>, auth_core::Error>> + Send {
    credentials.get()
}

/// A clone of the header of a credential.
///
/// # Panics
/// It has no header.
#[inline]
pub fn header(credential: &Credential) -> HeaderValue {
    let header = credential.header(&AUTHORIZATION).cloned();
    header.expect("a bearer token")
}

/// A request within the scope. Where it goes does not matter to a bearer token.
const TARGET: Target<'_> = Target::new("https", "api.example.com", "/v3/me");

/// Puts the fresh credential, which is borrowed, on `headers`: `with_fresh()`.
///
/// # Panics
/// There is no fresh credential.
#[inline]
pub fn attach_borrowed(credentials: &Credentials, headers: &mut HeaderMap) {
    let attached = credentials.with_fresh(|credential| credential.attach_headers(TARGET, headers));
    attached.expect("it is fresh");
}

/// Puts an owned fresh credential on `headers`: `fresh()`.
///
/// # Panics
/// There is no fresh credential.
#[inline]
pub fn attach_owned(credentials: &Credentials, headers: &mut HeaderMap) {
    let credential = credentials.fresh().expect("it is fresh");
    credential.attach_headers(TARGET, headers);
}

/// Puts the credential that `get()` returns on `headers`.
///
/// # Panics
/// There is no credential.
#[inline]
pub async fn attach_from_get(credentials: &Credentials, headers: &mut HeaderMap) {
    let credential = credentials.get().await.expect("it is fresh");
    credential.attach_headers(TARGET, headers);
}

/// The clocks that auth-core reads for each decision.
#[derive(Clone, Debug)]
pub struct Clocks(Clock);

impl Clocks {
    /// The clocks of this machine.
    pub fn system() -> Self {
        Self(Clock::system())
    }

    /// One reading of both.
    #[inline]
    pub fn read(&self) -> Moment {
        self.0.now()
    }
}

/// Accounts that log in at one origin, by their numbers.
#[derive(Debug)]
pub struct Accounts {
    origin: Origin,
    logins: Logins,
}

impl Default for Accounts {
    /// Accounts of which none has logged in.
    fn default() -> Self {
        Self {
            origin: Origin::parse("https://login.example.com").expect("a literal origin"),
            logins: Logins::at_once(),
        }
    }
}

impl Accounts {
    /// The name of an account.
    pub fn name(number: usize) -> String {
        format!("account-{number:07}@example.com")
    }

    /// The identity of an account with this name.
    pub fn identity(&self, name: &str) -> Identity {
        Identity::new("bench", self.origin.clone(), name)
    }

    /// A pool with room for so many accounts.
    ///
    /// # Panics
    /// `accounts` is zero.
    pub fn empty_pool(accounts: usize) -> Pool {
        Pool::new(NonZeroUsize::new(accounts).expect("at least one"))
    }

    /// Adds the accounts below `end` to the pool.
    ///
    /// # Panics
    /// The pool has no room for them.
    pub fn fill(&self, pool: &Pool, end: usize) {
        for number in 0..end {
            pool.add(self.provider(number)).expect("there is room");
        }
    }

    /// A pool of so many accounts.
    pub fn pool(&self, accounts: usize) -> Pool {
        let pool = Self::empty_pool(accounts);
        self.fill(&pool, accounts);
        pool
    }

    /// The provider of an account.
    pub fn provider(&self, number: usize) -> BenchProvider {
        BenchProvider {
            identity: self.identity(&Self::name(number)),
            secret: secret(),
            scope: scope(),
            first: Lifetime::unknown(),
            logins: self.logins.clone(),
        }
    }

    /// Makes and drops one cache, so that all that caches share in a process is allocated.
    pub fn warm_up(&self) {
        drop(Credentials::new(self.provider(0)));
    }

    /// The number of logins so far.
    pub fn logins(&self) -> u64 {
        self.logins.count()
    }
}

/// Finds an identity and drops its handle: whether the pool has it.
#[inline]
pub fn is_in(pool: &Pool, identity: &Identity) -> bool {
    std::hint::black_box(pool.find(identity)).is_some()
}

/// A provider that logs in through [`Logins`].
pub struct BenchProvider {
    identity: Identity,
    secret: SecretSource,
    scope: Scope,
    first: Lifetime,
    logins: Logins,
}

/// Each provider has an origin of its own, because identities of one origin share a quota.
fn provider(logins: &Logins, first: Duration) -> BenchProvider {
    static ORIGINS: AtomicU64 = AtomicU64::new(0);
    let number = ORIGINS.fetch_add(1, Relaxed);
    let origin = format!("https://login-{number}.example.com");
    let origin = Origin::parse(&origin).expect("a literal origin");
    BenchProvider {
        identity: Identity::new("bench", origin, "me@example.com"),
        secret: secret(),
        scope: scope(),
        first: Lifetime::of(first),
        logins: logins.clone(),
    }
}

fn secret() -> SecretSource {
    "correct horse battery staple".into()
}

fn scope() -> Scope {
    Scope::only(Origin::parse(crate::stack::URL).expect("a literal origin"))
}

#[async_trait]
impl Provider for BenchProvider {
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
            _ => Lifetime::of(HOUR),
        };
        match self.logins.login().await {
            Ok(token) => Ok(Session::new().with_bearer(&token)?.with_lifetime(lifetime)),
            Err(Failed) => Err(LoginError::unavailable("made to fail")),
        }
    }
}

impl fmt::Debug for BenchProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BenchProvider")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
