//! The public handle.

use std::fmt;
use std::sync::Arc;

use super::ask::Ask;
use super::builder::CredentialsBuilder;
use super::shared::Shared;
use super::status::Status;
use crate::credential::Credential;
use crate::decide::Failure;
use crate::error::Error;
use crate::identity::Identity;
use crate::lifetime::Freshness;
use crate::origin::Scope;
use crate::provider::Provider;

/// One identity's credential: fetched once, shared by all clones, renewed beside the traffic.
///
/// A clone costs one reference count. All clones are one identity: one login is in flight at most, and everybody gets its
/// result. When the last clone is dropped, a login under way is given up and nothing is logged out;
/// [`close`](Self::close) logs out.
///
/// ```
/// # use auth_core::{Credentials, LoginError, Session};
/// # use auth_core::testing::Scripted;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Scripted::new(|_| Ok::<_, LoginError>(Session::new().with_bearer("token")?));
/// let credentials = Credentials::new(provider);
/// let mut request = http::Request::get("https://api.example.com/v3/me").body(())?;
///
/// let credential = credentials.get().await?; // logs in, or waits for the login under way
/// credential.attach(&mut request)?;
/// assert!(credentials.fresh().is_some(), "from now on there is one at hand");
/// # Ok(())
/// # }
/// ```
///
/// What a response says of the credential that its request carried is told to the cache by an
/// [`Attempt`](crate::Attempt); the integrations of `auth-middleware` do that.
#[derive(Clone)]
pub struct Credentials {
    shared: Arc<Shared>,
}

impl Credentials {
    /// A handle with every option at its default. Nothing is sent until somebody asks for a credential.
    pub fn new(provider: impl Provider) -> Self {
        Self::builder(provider).build()
    }

    /// A handle with options.
    pub fn builder(provider: impl Provider) -> CredentialsBuilder {
        CredentialsBuilder::new(Arc::new(provider))
    }

    pub(super) fn assemble(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The credential at hand, if it is good and no renewal is due.
    ///
    /// The fast path: it waits for nothing, takes no lock, allocates nothing and starts nothing.
    /// `None` means that [`get`](Self::get) has something to do.
    #[inline]
    pub fn fresh(&self) -> Option<Arc<Credential>> {
        self.shared
            .current_if(self.shared.engine.clock.now(), Freshness::is_fresh)
    }

    /// Lends out what [`fresh`](Self::fresh) would give, without counting a reference: the quickest
    /// look at a credential. `None` means that nothing was lent, and `look` not called.
    #[inline]
    pub fn with_fresh<T>(&self, look: impl FnOnce(&Arc<Credential>) -> T) -> Option<T> {
        let now = self.shared.engine.clock.now();
        self.shared.with_current(|credential| {
            let fresh = credential.life().freshness(now).is_fresh();
            fresh.then(|| look(credential))
        })
    }

    /// A look without waiting: the credential at hand, if it is good by both clocks. It starts nothing, not even the
    /// renewal of one that is due.
    pub fn peek(&self) -> Option<Arc<Credential>> {
        self.shared
            .current_if(self.shared.engine.clock.now(), Freshness::is_good)
    }

    /// The current credential; if there is none, from the login under way or from one that begins now.
    ///
    /// Inside the refresh window it returns at once and one renewal begins beside. Otherwise it waits, for 60 s unless
    /// [set](CredentialsBuilder::wait_timeout); the time begins anew, three times at most, if a session ends before it can be
    /// handed out. If no login can be had, a session that has only been silent for too long is served all the same.
    ///
    /// # Errors
    /// [`Error::Login`] if the login fails, or has failed and may not be tried again yet; [`Error::QuotaSpent`] at once if no
    /// login is allowed in time; [`Error::DeadlinePassed`] if the caller's time is over before the login's; [`Error::Abandoned`] if
    /// the runtimes that logins were begun on were shut down; [`Error::Closed`];
    /// [`Error::NoRuntime`] outside a tokio runtime, if a login has to be begun or waited for; [`Error::LoginLoop`] from within the login.
    ///
    /// # Panics
    /// If a login has to be waited for on a tokio runtime whose timer was not enabled.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time. A login that it started goes on, and its session is kept.
    pub fn get(&self) -> impl Future<Output = Result<Arc<Credential>, Error>> + Send {
        self.shared.get(Ask::new())
    }

    /// As [`get`](Self::get), with a deadline or a demand of the caller's own.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn get_with(
        &self,
        ask: Ask,
    ) -> impl Future<Output = Result<Arc<Credential>, Error>> + Send {
        self.shared.get(ask)
    }

    /// A credential from a login that begins now, or is under way: for the start of a workflow that must not be cut short
    /// by an expiry. Others are served the one at hand meanwhile, and go on with it if the login fails. It counts against
    /// the quota as any login does.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn renew(&self) -> impl Future<Output = Result<Arc<Credential>, Error>> + Send {
        self.shared.get(Ask::new().renewed())
    }

    /// Logs out and closes, for all clones: whoever waits gets [`Error::Closed`], and so does whoever asks from now on. A
    /// login under way is logged out when it lands; that is waited for, too.
    ///
    /// It takes at most three times the [login's time-out](CredentialsBuilder::login_timeout). A second call returns at once.
    ///
    /// # Errors
    /// [`Error::Login`] if the server did not confirm the logout of a session at hand (that of a login under way is reported
    /// by its event alone); [`Error::Abandoned`] if the runtime was shut down meanwhile; [`Error::NoRuntime`] outside a tokio
    /// runtime, where nothing can be sent. The handle is closed in any case.
    ///
    /// # Cancel safety
    /// Once polled, the handle is closed and the logout goes on by itself, even if the future is dropped.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.close().await
    }

    /// What there is to tell without secrets: the credential's stamp and age, the login under way, the last failure.
    pub fn status(&self) -> Status {
        let now = self.shared.engine.clock.now();
        self.shared.read(|state| Status::of(state, now))
    }

    /// Who logs in where.
    #[inline]
    pub fn identity(&self) -> &Identity {
        self.shared.engine.provider.identity()
    }

    /// Where the credential may be sent.
    #[inline]
    pub fn scope(&self) -> &Scope {
        &self.shared.scope
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.shared.engine.provider
    }

    /// A clone for a caller of the pool that it is in, unless it is closed.
    pub(crate) fn referenced(&self) -> Option<Self> {
        if self.is_closed() {
            return None;
        }
        self.shared.reference();
        Some(self.clone())
    }

    /// Whether a caller of the pool got it since this was asked before.
    pub(crate) fn take_referenced(&self) -> bool {
        self.shared.take_referenced()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Whether this is the only handle and no login is under way.
    pub(crate) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.shared) == 1 && self.shared.read(|state| state.flight().is_none())
    }

    /// The last failure, if it still forbids a login.
    pub(crate) fn failure_in_force(&self) -> Option<Failure> {
        let now = self.shared.engine.clock.now();
        self.shared.read(|state| {
            state
                .failure()
                .filter(|failure| failure.forbids(now))
                .cloned()
        })
    }

    pub(crate) fn remember(&self, failure: Failure) {
        self.shared.update(|state| state.remember(failure));
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("identity", self.identity())
            .field("status", &self.status())
            .finish()
    }
}
