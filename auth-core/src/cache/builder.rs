//! The options of a cache, each with its default and why.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::flight::Engine;
use super::handle::Credentials;
use super::inner::{Habits, Inner};
use super::memory::Patience;
use super::state::Policy;
use crate::clock::Clock;
use crate::event::Observer;
use crate::lifetime::RefreshWindow;
use crate::limit::Limiter;
use crate::login_mark::LoginMark;
use crate::origin::Scope;
use crate::provider::{Provider, Quota};

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
///     .patience(Duration::from_secs(20))
///     .build();
/// # let _ = credentials;
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct CredentialsBuilder {
    provider: Box<dyn Provider>,
    scope: Option<Scope>,
    quota: Option<Quota>,
    policy: Policy,
    habits: Habits,
    login_timeout: Duration,
    clock: Clock,
    observer: Option<Arc<dyn Observer>>,
}

impl CredentialsBuilder {
    /// Thirty seconds: the slowest login pages take a few, and a caller's own 60 s leave room for a second login if the
    /// first is lost.
    pub const DEFAULT_LOGIN_TIMEOUT: Duration = Duration::from_secs(30);

    /// A minute: one whole window of the quota, so that whoever came while it was spent is served when it is over, less the
    /// margin.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);

    pub(super) fn new(provider: Box<dyn Provider>) -> Self {
        Self {
            provider,
            scope: None,
            quota: None,
            policy: Policy {
                window: RefreshWindow::DEFAULT,
                patience: Patience::DEFAULT,
            },
            habits: Habits {
                patience: Self::DEFAULT_PATIENCE,
                fail_fast: false,
                farewell: None,
            },
            login_timeout: Self::DEFAULT_LOGIN_TIMEOUT,
            clock: Clock::system(),
            observer: None,
        }
    }

    /// When a renewal starts ahead of the expiry: [`RefreshWindow::DEFAULT`] unless set.
    pub const fn refresh_window(mut self, window: RefreshWindow) -> Self {
        self.policy.window = window;
        self
    }

    /// How long one login may take, from its permit to its answer; [30 s](Self::DEFAULT_LOGIN_TIMEOUT) unless set. A logout
    /// and the reading of the secret get as long each.
    pub const fn login_timeout(mut self, timeout: Duration) -> Self {
        self.login_timeout = timeout;
        self
    }

    /// How long a caller waits all in all who doesn't say; [60 s](Self::DEFAULT_PATIENCE) unless set.
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.habits.patience = patience;
        self
    }

    /// Callers who don't say otherwise are told at once if the quota allows no login now. Unless set they wait, which suits
    /// programs without a person in front of them.
    pub const fn fail_fast(mut self) -> Self {
        self.habits.fail_fast = true;
        self
    }

    /// How long a refused secret isn't tried again, unless it changes; 15 minutes unless set, which is how long lockouts
    /// commonly last.
    pub const fn refused_cooldown(mut self, cooldown: Duration) -> Self {
        self.policy.patience.refused_cooldown = cooldown;
        self
    }

    /// How long to back off after a login that failed for another reason: at most `first` after the first failure, doubling
    /// up to `longest`, each time drawn at random between nothing and that. One second and one minute unless set.
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.policy.patience.backoff = first;
        self.policy.patience.longest_backoff = longest;
        self
    }

    /// Logs out a session `grace` after a renewal replaced it, for servers whose table of sessions fills up. Unless set, it
    /// is left to its own expiry: requests under way may still use it. At most four are waited for at a time; those that
    /// are left when the last handle is dropped are left to their expiry, too.
    pub const fn log_out_superseded(mut self, grace: Duration) -> Self {
        self.habits.farewell = Some(grace);
        self
    }

    /// The origins that the credential may be sent to, instead of the provider's.
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// A smaller share of the quota than the provider states. The strictest statement of all caches that log in at the same
    /// origin holds for all of them.
    pub const fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Sees every event. What is worth a line is written to `tracing` in any case.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
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
            quota,
            clock: self.clock,
            policy: self.policy,
            login_timeout: self.login_timeout,
            observer: self.observer,
            mark: LoginMark::next(),
        };
        Credentials::assemble(Inner::new(engine, scope, self.habits))
    }
}

impl fmt::Debug for CredentialsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialsBuilder")
            .field("identity", self.provider.identity())
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
