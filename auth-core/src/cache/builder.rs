//! The options of a cache, each with its default and why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::credentials::Credentials;
use super::shared::Shared;
use crate::clock::Clock;
use crate::event::Observer;
use crate::lifetime::RefreshWindow;
use crate::limit::Limiter;
use crate::login::Engine;
use crate::login_mark::CacheId;
use crate::options::Options;
use crate::origin::Scope;
use crate::provider::Provider;
use crate::quota::Quota;

/// Builds a [`Credentials`] with options.
///
/// ```
/// # use auth_core::{Credentials, LoginError, Session};
/// # use auth_core::testing::Scripted;
/// use std::time::Duration;
///
/// # let provider = Scripted::new(|_| Ok::<_, LoginError>(Session::new().with_bearer("token")?));
/// let credentials = Credentials::builder(provider)
///     .login_timeout(Duration::from_secs(10))
///     .wait_timeout(Duration::from_secs(20))
///     .build();
/// # let _ = credentials;
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct CredentialsBuilder {
    provider: Arc<dyn Provider>,
    scope: Option<Scope>,
    quota: Option<Quota>,
    /// Shared with all other caches until the first one is set.
    options: Arc<Options>,
    clock: Clock,
}

impl CredentialsBuilder {
    /// Thirty seconds: the slowest login pages take a few, and a caller's own 60 s leave room for a second login if the
    /// first is lost.
    pub const DEFAULT_LOGIN_TIMEOUT: Duration = Options::DEFAULT_LOGIN_TIMEOUT;

    /// A minute: one window of the quota. Whoever comes two seconds (the limiter's margin) or more after it was spent is
    /// served when it is free again; whoever comes sooner is told so at once.
    pub const DEFAULT_WAIT_TIMEOUT: Duration = Options::DEFAULT_WAIT_TIMEOUT;

    pub(super) fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            scope: None,
            quota: None,
            options: Options::default(),
            clock: Clock::system(),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Options)) -> Self {
        set(Arc::make_mut(&mut self.options));
        self
    }

    /// When a renewal starts ahead of the expiry: [`RefreshWindow::DEFAULT`] unless set.
    pub fn refresh_window(self, window: RefreshWindow) -> Self {
        self.set(|options| options.policy.window = window)
    }

    /// How long one login may take, from its permit to its answer; [30 s](Self::DEFAULT_LOGIN_TIMEOUT) unless set. A logout
    /// and the reading of the secret get as long each.
    pub fn login_timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.login_timeout = timeout)
    }

    /// How long a caller waits all in all who doesn't say; [60 s](Self::DEFAULT_WAIT_TIMEOUT) unless set.
    pub fn wait_timeout(self, wait: Duration) -> Self {
        self.set(|options| options.wait_timeout = wait)
    }

    /// Callers who don't say otherwise are told at once if the quota allows no login now. Unless set they wait, which suits
    /// programs without a person in front of them.
    pub fn fail_fast(self) -> Self {
        self.set(|options| options.fail_fast = true)
    }

    /// How long a refused secret isn't tried again, unless it changes; 15 minutes unless set, which is how long lockouts
    /// commonly last.
    pub fn refused_cooldown(self, cooldown: Duration) -> Self {
        self.set(|options| options.policy.failure.refused_cooldown = cooldown)
    }

    /// How long to back off after an outage, a malformed answer or a panic: at most `first` after the first failure, doubling
    /// up to `longest`, each time drawn at random between nothing and that. One second and one minute unless set.
    /// Renewals that bring back the same expiry wait as long, without the draw.
    pub fn backoff(self, first: Duration, longest: Duration) -> Self {
        self.set(|options| {
            options.policy.failure.backoff = first;
            options.policy.failure.longest_backoff = longest;
        })
    }

    /// Logs out a session `grace` after a renewal replaced it, for servers whose table of sessions fills up. Unless set, it
    /// is left to its own expiry: requests under way may still use it. At most four are waited for at a time; those that
    /// are left when the last handle is dropped are left to their expiry, too.
    pub fn log_out_superseded(self, grace: Duration) -> Self {
        self.set(|options| options.superseded_logout = Some(grace))
    }

    /// The origins that the credential may be sent to, instead of the provider's.
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// A smaller share of the quota than the provider states; that one unless set. The strictest statement of all caches that log in at the same
    /// origin holds for all of them.
    pub const fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Sees every event; nobody does unless set. What is worth a line is written to `tracing` in any case.
    pub fn observer(self, observer: impl Observer) -> Self {
        self.set(|options| options.observer = Some(Arc::new(observer)))
    }

    /// Another clock than the machine's, for tests. Logins on another clock count against a quota of their own.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The handle. Nothing is sent until somebody asks for a credential.
    pub fn build(self) -> Credentials {
        let stated = self.provider.quota();
        let quota = self.quota.map_or(stated, |quota| quota.strictest(stated));
        let limiter = Limiter::shared(self.provider.identity().origin(), quota, &self.clock);
        let scope = self.scope.unwrap_or_else(|| self.provider.scope());
        let engine = Engine {
            provider: self.provider,
            limiter,
            options: self.options,
            clock: self.clock,
            id: CacheId::next(),
        };
        Credentials::assemble(Shared::new(engine, scope))
    }
}

impl fmt::Debug for CredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsBuilder")
            .field("identity", self.provider.identity())
            .field("policy", &self.options.policy)
            .finish_non_exhaustive()
    }
}
