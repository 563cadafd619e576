//! The public handle.

use std::fmt;
use std::sync::Arc;

use super::ask::Ask;
use super::builder::CredentialsBuilder;
use super::close::Ending;
use super::shared::Shared;
use super::status::Status;
use crate::credential::{Credential, Target};
use crate::error::Error;
use crate::identity::Identity;
use crate::lifetime::Freshness;
use crate::origin::Scope;
use crate::pool::Memory;
use crate::provider::Provider;
use crate::secret::Fingerprint;
use crate::session::Session;

/// The credential of one identity: one login for all callers, renewed while it is still served.
///
/// A clone costs one reference count, and all clones are one identity: at most one login is in
/// flight, and every caller gets its result. When the last clone is dropped, a login under way is
/// aborted and nothing is logged out; with a [store](crate::store), one that was sent goes on, and
/// is saved there for others. [`close`](Self::close) logs out.
///
/// Two handles that are no clones are two identities, even for one account: each logs in, and each
/// tries a wrong password by itself. Clone one, look it up in a [`Pool`](crate::Pool), or let them
/// share a [`store`](crate::store).
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
/// assert!(credentials.fresh().is_some(), "the next caller does not wait");
/// # Ok(())
/// # }
/// ```
///
/// An [`Attempt`](crate::Attempt) reports to the cache what a response says about the credential
/// that its request carried. The integrations of `auth-middleware` do that.
#[derive(Clone)]
pub struct Credentials {
    shared: Arc<Shared>,
}

impl Credentials {
    /// A handle with every option at its default. Nothing is sent until a caller asks for a
    /// credential.
    pub fn new(provider: impl Provider) -> Self {
        Self::builder(provider).build()
    }

    /// A builder for a handle with options.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Credentials;
    /// # use auth_core::{Lifetime, testing::Scripted};
    ///
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// let patience = Duration::from_secs(20);
    /// let credentials = Credentials::builder(provider).wait_timeout(patience).build();
    /// # drop(credentials);
    /// ```
    pub fn builder(provider: impl Provider) -> CredentialsBuilder {
        CredentialsBuilder::new(Arc::new(provider))
    }

    pub(super) fn assemble(shared: Shared) -> Self {
        let shared = Arc::new(shared);
        if let Some(keep) = &shared.keep_fresh {
            let cache = Arc::downgrade(&shared);
            keep.of(cache);
        }
        Self { shared }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The current credential, if it is good and no renewal is due.
    ///
    /// This is the fast path: it doesn't wait, takes no lock, allocates nothing and starts nothing.
    /// If it returns `None`, [`get`](Self::get) has a login to start or to wait for.
    ///
    /// ```
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let credentials = Credentials::new(provider);
    /// assert!(credentials.fresh().is_none(), "no caller has asked yet");
    /// credentials.get().await?;
    /// assert!(credentials.fresh().is_some());
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn fresh(&self) -> Option<Arc<Credential>> {
        self.shared
            .current_if(self.shared.engine.clock.now(), Freshness::is_fresh)
    }

    /// Lends what [`fresh`](Self::fresh) would return, without counting a reference. Returns
    /// `None`, without a call of `look`, if there is no such credential.
    ///
    /// ```
    /// use http::{HeaderValue, header::AUTHORIZATION};
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let credentials = Credentials::new(provider);
    /// credentials.get().await?;
    /// let header = credentials.with_fresh(|current| current.header(&AUTHORIZATION).cloned());
    /// assert_eq!(header.flatten(), Some(HeaderValue::from_static("Bearer token-1")));
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn with_fresh<T>(&self, look: impl FnOnce(&Arc<Credential>) -> T) -> Option<T> {
        let now = self.shared.engine.clock.now();
        self.shared.with_current(|credential| {
            let fresh = credential.life().freshness(now).is_fresh();
            fresh.then(|| look(credential))
        })
    }

    /// The current credential, if it is good by both clocks. This call doesn't wait and starts
    /// nothing, not even the renewal of a credential that is due.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use auth_core::{Credentials, Lifetime, clock::ManualClock, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::of(Duration::from_secs(3_600)));
    /// # let hands = ManualClock::new();
    /// # let credentials = Credentials::builder(provider).clock(hands.clock()).build();
    /// credentials.get().await?;
    /// hands.advance(Duration::from_secs(3_590)); // of a life of an hour
    /// assert!(credentials.fresh().is_none(), "its renewal is due");
    /// assert!(credentials.peek().is_some(), "but it is good");
    /// # Ok(())
    /// # }
    /// ```
    pub fn peek(&self) -> Option<Arc<Credential>> {
        self.shared
            .current_if(self.shared.engine.clock.now(), Freshness::is_good)
    }

    /// The current credential or, if there is none, the one of the login under way or of a login
    /// that begins now.
    ///
    /// Inside the refresh window the current credential is returned at once and one renewal begins.
    /// Otherwise the call waits, for 120 s unless [set](CredentialsBuilder::wait_timeout). If a
    /// session ends before it can be returned, the wait starts anew, at most three times.
    ///
    /// If no login succeeds in time, a session that is only past its idle deadline is returned,
    /// because the server may still accept it.
    ///
    /// ```
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let credentials = Credentials::new(provider);
    /// let (one, another) = tokio::join!(credentials.get(), credentials.get());
    /// assert_eq!(one?.stamp(), another?.stamp(), "one login for both");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Login`] if the login fails, or has failed and may not be attempted again yet.
    /// - [`Error::QuotaSpent`] at once, if no login is allowed that would end before the caller's
    ///   deadline.
    /// - [`Error::DeadlinePassed`] if the login takes longer than the caller waits.
    /// - [`Error::Abandoned`] if the runtimes on which logins began were shut down.
    /// - [`Error::Closed`] if the handle was closed.
    /// - [`Error::NoRuntime`] outside a tokio runtime, if a login has to begin or to be waited for.
    /// - [`Error::LoginLoop`] within the login of this cache itself.
    ///
    /// # Panics
    /// If a login has to be waited for on a tokio runtime whose timer is not enabled.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time. A login that it started continues, and its session is
    /// kept.
    pub fn get(&self) -> impl Future<Output = Result<Arc<Credential>, Error>> + Send {
        self.shared.get(Ask::new())
    }

    /// As [`get`](Self::get), with the options of `ask`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Ask;
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let credentials = Credentials::new(provider);
    /// let patience = Ask::new().within(Duration::from_secs(5));
    /// let credential = credentials.get_with(patience).await?;
    /// # drop(credential);
    /// # Ok(())
    /// # }
    /// ```
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

    /// As [`get_with`](Self::get_with), for a request to `target`: a credential that
    /// [lacks](Credential::lacks) nothing that the request would carry. What is missing is
    /// [fetched](crate::Part#fetched-parts) first, once for all that wait for it.
    ///
    /// An integration calls it in place of `get_with`. So does a program that
    /// [attaches](Credential::attach) credentials by itself, if a session may have such a part:
    ///
    /// ```
    /// # use auth_core::{Ask, Credentials, Target};
    /// # async fn write(credentials: &Credentials) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut request = http::Request::post("https://api.example.com/v3/me").body(())?;
    /// let target = Target::of(request.uri()).with_method(request.method());
    /// let credential = credentials.get_for(target, Ask::new()).await?;
    /// credential.attach(&mut request)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The wait of `ask` spans the login and the fetch. If the server refuses the fetch, because
    /// the session is dead, a login follows and the part is fetched for the new session, unless
    /// another login [would not help](crate::Event::RejectionDoubted).
    ///
    /// # Errors
    /// - As [`get`](Self::get).
    /// - [`Error::Login`] with the failure of the fetch, also for some seconds after it.
    /// - [`Error::LoginLoop`] within the fetch itself.
    ///
    /// # Cancel safety
    /// As [`get`](Self::get). A fetch that the future started continues for the others.
    pub fn get_for(
        &self,
        target: Target<'_>,
        ask: Ask,
    ) -> impl Future<Output = Result<Arc<Credential>, Error>> + Send {
        self.shared.get_for(target, ask)
    }

    /// A credential from a login that begins now or is under way, for the start of a workflow that
    /// an expiry must not interrupt. Other callers are served the current credential in the
    /// meantime, and keep it if the login fails. The login counts against the quota. A session that
    /// can be [refreshed](crate::Provider::refresh_by) is refreshed in place of the login.
    ///
    /// ```
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let credentials = Credentials::new(provider);
    /// let before = credentials.get().await?.stamp();
    /// assert!(credentials.renew().await?.stamp() > before);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`get`](Self::get).
    ///
    /// # Cancel safety
    /// As [`get`](Self::get).
    pub fn renew(&self) -> impl Future<Output = Result<Arc<Credential>, Error>> + Send {
        self.shared.get(Ask::new().renewed())
    }

    /// Closes the handle for all clones, and logs out; but with a
    /// [store](CredentialsBuilder::store), the session is left there, for the next run of the
    /// program and for other processes. [`log_out`](Self::log_out) ends it.
    ///
    /// Waiting callers get [`Error::Closed`], and so does every later call. If a login is under
    /// way, the call waits for it and logs out its session as well.
    ///
    /// It takes at most three times the [login's time-out](CredentialsBuilder::login_timeout), and
    /// with a store a few of its steps more, each of two seconds at most. A further call, by any
    /// clone, waits for the same end and returns the same.
    ///
    /// ```
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let logouts = provider.logouts();
    /// # let credentials = Credentials::new(provider);
    /// credentials.get().await?;
    /// credentials.close().await?;
    /// assert_eq!(logouts.count(), 1);
    /// assert!(credentials.get().await.is_err_and(|error| error.is_closed()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Login`] if the server did not confirm the logout of a session that the cache
    ///   held. The logout of a login under way is reported by
    ///   [`Event::LoggedOut`](crate::Event::LoggedOut) alone.
    /// - [`Error::Abandoned`] if the runtime was shut down in the meantime.
    /// - [`Error::NoRuntime`] outside a tokio runtime, where nothing can be sent. The handle is
    ///   still open: close it within a runtime, or by [`blocking_close`](Self::blocking_close).
    ///
    /// The handle is closed in any other case.
    ///
    /// # Cancel safety
    /// The handle is closed by the first poll within a runtime. The logouts continue even if the
    /// future is dropped, and another call waits for them.
    pub async fn close(&self) -> Result<(), Error> {
        self.shared.close(Ending::Close).await
    }

    /// Logs out, and closes the handle for all clones. With a [store](CredentialsBuilder::store),
    /// the session ends for all that share it: they find that out within ten seconds, or by their
    /// next rejection, and log in anew when they need a session. Without one it is
    /// [`close`](Self::close).
    ///
    /// A session is logged out even if this handle has not used it yet, as by a command that does
    /// nothing else.
    ///
    /// ```
    /// # use auth_core::{Credentials, Lifetime, store::MemoryStore, testing::Scripted};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (provider, store) = (Scripted::tokens(Lifetime::unknown()), MemoryStore::new());
    /// let credentials = Credentials::builder(provider).store(store).build();
    /// credentials.log_out().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`close`](Self::close), and with a store also:
    /// - [`Error::Login`] if the store could not be told, so that the others may go on with the
    ///   session. One that this handle held is logged out in any case.
    /// - [`Error::Closed`] if the handle was closed by [`close`](Self::close), which has left the
    ///   session in the store. A new handle for the same store logs it out.
    ///
    /// # Cancel safety
    /// As [`close`](Self::close).
    pub async fn log_out(&self) -> Result<(), Error> {
        self.shared.close(Ending::LogOut).await
    }

    /// A snapshot without secrets: the credential's stamp and age, the login under way and its
    /// waiters, the last failure, and how many requests have missed the scope.
    pub fn status(&self) -> Status {
        let now = self.shared.engine.clock.now();
        let out_of_scope = self.shared.out_of_scope();
        let control = self.shared.control.lock();
        let status = Status::of(&control.state, out_of_scope, now);
        let flight = control.flight.clone();
        // The waiters have a lock of their own, which is not taken within this one.
        drop(control);
        Status {
            waiters: flight.map_or(0, |flight| flight.waiters.count()),
            ..status
        }
    }

    /// The session of the current credential, if that may be good, as a login would bring it now:
    /// with its values of now, and with what is left of their lives. For a program that stores it
    /// [as plain parts](crate::Session::to_parts). A refresh token that may be spent is left out,
    /// so that the program that reads it does not send it again.
    ///
    /// ```
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let provider = Scripted::tokens(Lifetime::unknown());
    /// # let credentials = Credentials::new(provider);
    /// credentials.get().await?;
    /// let session = credentials.session().expect("it is good");
    /// let text = session.to_parts(); // as secret as the password
    /// assert!(text.to_session().is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn session(&self) -> Option<Session> {
        let now = self.shared.engine.clock.now();
        let current = self.shared.current_if(now, Freshness::may_be_good)?;
        let session = current.session(now);
        let spent = self.shared.read(|state| state.spent_token(&current, now));
        Some(match spent {
            Some(name) => session.without_kept(&name),
            None => session,
        })
    }

    /// The account, its provider and its origin.
    #[inline]
    pub fn identity(&self) -> &Identity {
        self.shared.engine.provider.identity()
    }

    /// The origins that the credential may be sent to.
    ///
    /// ```
    /// # use auth_core::{Credentials, Lifetime, testing::Scripted};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
    /// let elsewhere = "https://example.org/".parse()?;
    /// assert!(!credentials.scope().contains_uri(&elsewhere), "it would carry no credential");
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn scope(&self) -> &Scope {
        &self.shared.engine.scope
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.shared.engine.provider
    }

    /// A clone for a caller of the pool, or `None` if the handle is closed.
    pub(crate) fn referenced(&self) -> Option<Self> {
        if self.is_closed() {
            return None;
        }
        self.shared.reference();
        Some(self.clone())
    }

    /// Whether a caller of the pool has found it since the last call of this function.
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

    /// It leaves its pool, which may have been the last to use it. Returns what the next handle of
    /// the identity has to know, or may have to know later.
    pub(crate) fn leave(&self, is_used: bool) -> Option<Arc<Memory>> {
        self.shared.leave(is_used)
    }

    /// Takes over what was remembered. The secret of this handle is `fixed`, or may change.
    pub(crate) fn remember(&self, memory: Arc<Memory>, fixed: Option<Fingerprint>) {
        self.shared.remember(memory, fixed);
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
