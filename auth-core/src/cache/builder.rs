//! The options of a cache, each with its default and the reason for it.

use std::fmt;
use std::num::NonZeroU32;
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
use crate::refresh::Refresh;
use crate::store::{Sharing, Store};

/// Builds [`Credentials`] with options.
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
    /// Shared with all other caches until the first option is set.
    options: Arc<Options>,
    clock: Clock,
}

impl CredentialsBuilder {
    /// Thirty seconds. The slowest login pages take a few seconds, and within its own 120 s a
    /// caller can wait for a second login if the first one is lost.
    pub const DEFAULT_LOGIN_TIMEOUT: Duration = Options::DEFAULT_LOGIN_TIMEOUT;

    /// Two minutes. A caller that finds the default quota spent gets one of the next ten permits:
    /// the logins under way take 30 s at most, the window and its margin are 62 s, and 28 s are
    /// left for the caller's own login. So does a caller whose login the server postpones by a
    /// minute. A caller whose permit is a second window away is told so at once.
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

    /// When a renewal starts ahead of the expiry. [`RefreshWindow::DEFAULT`] unless set.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::RefreshWindow;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider)
    ///     .refresh_window(RefreshWindow::new(Duration::from_secs(60), 0.5))
    ///     .build();
    /// # drop(credentials);
    /// # Ok(())
    /// # }
    /// ```
    pub fn refresh_window(self, window: RefreshWindow) -> Self {
        self.set(|options| options.policy.window = window)
    }

    /// How long one login may take, from its permit to its response. [30
    /// s](Self::DEFAULT_LOGIN_TIMEOUT) unless set. The read of the secret, a refresh, a repair and
    /// a logout may take as long each.
    ///
    /// A login that is not seen to end binds its permit for so long, or for an hour if this is
    /// longer, and so it does its lease of a [store](Self::store). What arrives at the server even
    /// later is not counted.
    pub fn login_timeout(self, timeout: Duration) -> Self {
        self.set(|options| options.login_timeout = timeout)
    }

    /// How long a caller waits in total, unless its [`Ask`](crate::Ask) says otherwise. [120
    /// s](Self::DEFAULT_WAIT_TIMEOUT) unless set. A caller that would wait in vain for the quota is
    /// told so at once.
    pub fn wait_timeout(self, wait: Duration) -> Self {
        self.set(|options| options.wait_timeout = wait)
    }

    /// If the quota allows no login now, callers fail at once with
    /// [`Error::QuotaSpent`](crate::Error::QuotaSpent), unless their [`Ask`](crate::Ask) says
    /// otherwise. Unless this is set, callers wait, which suits programs that run unattended. A
    /// person at a prompt is better told.
    pub fn fail_fast(self) -> Self {
        self.set(|options| options.fail_fast = true)
    }

    /// How long a secret is not tried again after its first refusal, unless it changes. 15 minutes
    /// unless set, which is how long account lockouts commonly last.
    ///
    /// Each further refusal doubles it, up to a day, because a server may count refusals and never
    /// forget one. A login that succeeds, or a changed secret, resets it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// // The server locks an account for an hour.
    /// let credentials = Credentials::builder(provider)
    ///     .refused_cooldown(Duration::from_secs(3_600))
    ///     .build();
    /// # drop(credentials);
    /// ```
    pub fn refused_cooldown(self, cooldown: Duration) -> Self {
        self.set(|options| options.policy.failure.refused_cooldown = cooldown)
    }

    /// The back-off after an outage. The wait is drawn at random between zero and `first`, and the
    /// limit doubles with each further failure, up to `longest`. One second and one minute unless
    /// set.
    ///
    /// A malformed response is no outage, because it may be a refusal: its waits can't be set. See
    /// [`LoginErrorKind::Malformed`](crate::LoginErrorKind::Malformed).
    ///
    /// Renewals that bring no later expiry back off by the same limits, without the random draw.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider)
    ///     .backoff(Duration::from_secs(2), Duration::from_secs(300))
    ///     .build();
    /// # drop(credentials);
    /// ```
    pub fn backoff(self, first: Duration, longest: Duration) -> Self {
        self.set(|options| {
            options.policy.failure.backoff = first;
            options.policy.failure.longest_backoff = longest;
        })
    }

    /// How many logins the rejections of sessions may cause in any minute, and the deletions of
    /// their cookies. Three unless set, which leaves most of the default quota of ten to other
    /// logins. Further rejections are [doubted](crate::Event::RejectionDoubted), and callers get
    /// the response.
    ///
    /// Raise it for a server that ends sessions more often than that without having told their
    /// life, as one that restarts every few seconds. More than the quota has no effect. A session
    /// that ends when the server said that it would does not count.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider)
    ///     .rejection_logins_per_minute(NonZeroU32::new(6).expect("not zero"))
    ///     .build();
    /// # drop(credentials);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rejection_logins_per_minute(self, most: NonZeroU32) -> Self {
        self.set(|options| options.policy.rejection_logins = most)
    }

    /// Logs out a session `grace` after a login has superseded it, for servers that limit the
    /// number of sessions: whether it was renewed, has expired or was rejected. Unless this is set,
    /// a superseded session is left to expire, because requests under way may still use it.
    ///
    /// At most four superseded sessions wait for their logout at a time. Further ones, and those
    /// that still wait when the last handle is dropped, are left to expire. If a login finds [too
    /// many sessions](crate::LoginErrorKind::SeatsExhausted), the grace of the oldest ends at once.
    ///
    /// It has no effect where a logout ends [all sessions of the
    /// account](crate::LogoutScope::Account), or where the server gives the same session again: one
    /// that is the same in all that it carries and keeps; one with the same `Authorization`, but
    /// HTTP Basic, and the same cookies that it needs; or, where it has neither, with the same
    /// value of a header or a query pair, of 16 bytes or more. So leave a constant header, such as
    /// the key of a program, to the client.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider)
    ///     .log_out_superseded(Duration::from_secs(30)) // longer than a request takes
    ///     .build();
    /// # drop(credentials);
    /// # Ok(())
    /// # }
    /// ```
    pub fn log_out_superseded(self, grace: Duration) -> Self {
        self.set(|options| options.superseded_logout = Some(grace))
    }

    /// Renews the session by a timer: ahead of its expiry and of its idle deadline, or right at the
    /// first of them if nothing is [renewed ahead](crate::Provider::renews_ahead). So no caller
    /// waits for a login where requests are rare. Unless this is set, the first request that comes
    /// in the refresh window, or after it, begins the renewal, and a session that is not used is
    /// left to expire.
    ///
    /// The timer runs as a task on a runtime on which a caller has waited, moves to another such
    /// runtime if that one is shut down, and ends with the last handle. It waits for the quota
    /// after all callers, backs off as callers do, and tries no password that is, or may be,
    /// refused. When the machine was suspended, renewals are spread over a minute. It begins with
    /// the first login, which a caller asks for.
    ///
    /// ```
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider).keep_fresh().build();
    /// # drop(credentials);
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep_fresh(self) -> Self {
        self.set(|options| options.keep_fresh = true)
    }

    /// The origins that the credential may be sent to, in place of the provider's.
    ///
    /// ```
    /// use auth_core::Origin;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider)
    ///     .scope(Origin::parse("https://data.example.com")?)
    ///     .build();
    /// # drop(credentials);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// A smaller share of the quota that the provider states. The provider's quota unless set; a
    /// larger one has no effect. If caches that log in at the same origin state different quotas,
    /// the strictest holds for all of them.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use auth_core::Quota;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider)
    ///     .quota(Quota::DEFAULT.at_most(NonZeroU32::new(5).expect("not zero")))
    ///     .build();
    /// # drop(credentials);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// An observer of every event, beside those that were added before. None unless added. The
    /// events are also written to `tracing` in any case.
    ///
    /// ```
    /// use auth_core::{Credentials, Event, Identity};
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider)
    ///     .observer(|identity: &Identity, event: &Event| {
    ///         if let Event::LoginFailed { reason, .. } = event {
    ///             eprintln!("{}: {reason}", identity.provider());
    ///         }
    ///     })
    ///     .build();
    /// # drop(credentials);
    /// ```
    pub fn observer(self, observer: impl Observer) -> Self {
        self.set(|options| options.observers.push(Arc::new(observer)))
    }

    /// Shares the session, what failed logins forbid, and the quota through a
    /// [store](crate::store): with later runs of the program, with other processes, or with other
    /// machines. None unless set.
    ///
    /// A cache with nothing to serve looks in the store before it logs in, and [closing
    /// it](Credentials::close) leaves the session there: [`log_out`](Credentials::log_out) ends it.
    /// While the store is in trouble, the cache goes on by itself, with a fifth of the quota.
    ///
    /// Superseded sessions are [left to expire](Self::log_out_superseded) then, because another
    /// process may use them.
    ///
    /// ```
    /// use auth_core::store::MemoryStore;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let credentials = Credentials::builder(provider).store(MemoryStore::new()).build();
    /// # drop(credentials);
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(self, store: impl Store) -> Self {
        self.set(|options| options.store = Some(Arc::new(store)))
    }

    /// Replaces the machine's clocks, for tests. Logins on another clock count against a quota of
    /// their own.
    ///
    /// ```
    /// use auth_core::{Credentials, clock::ManualClock};
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let hands = ManualClock::new();
    /// let credentials = Credentials::builder(provider).clock(hands.clock()).build();
    /// # drop(credentials);
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the handle. Nothing is sent until a caller asks for a credential.
    pub fn build(mut self) -> Credentials {
        if !self.provider.renews_ahead() {
            self = self.refresh_window(RefreshWindow::NONE);
        }
        let stated = self.provider.quota();
        let quota = self.quota.map_or(stated, |quota| quota.strictest(stated));
        let limiter = Limiter::shared(&self.provider.login_origin(), quota, &self.clock);
        let refresh = self.provider.refresh_by();
        if let Some(store) = self.options.store.clone() {
            let sharing = Arc::new(Sharing::new(store, &*self.provider));
            self = self.set(|options| options.sharing = Some(sharing));
        }
        let scope = self.scope.unwrap_or_else(|| self.provider.scope());
        let engine = Engine {
            provider: self.provider,
            scope,
            limiter,
            options: self.options,
            clock: self.clock,
            id: CacheId::next(),
            refresh_counts_as_login: refresh.as_ref().is_some_and(Refresh::is_login),
        };
        Credentials::assemble(Shared::new(engine, refresh))
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
