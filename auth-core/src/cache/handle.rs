//! The public handle.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::ask::Ask;
use super::builder::CredentialsBuilder;
use super::failure::Failure;
use super::shared::Shared;
use super::state::{Ruling, State};
use super::status::Status;
use super::waiting::Wait;
use crate::clock::Moment;
use crate::credential::{Carried, Change, Credential};
use crate::error::Error;
use crate::event::Event;
use crate::identity::Identity;
use crate::judge::Judge;
use crate::lifetime::Freshness;
use crate::login_mark::LoginMark;
use crate::origin::Scope;
use crate::provider::Provider;
use crate::runtime::random;

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
/// # async fn main() -> Result<(), auth_core::Error> {
/// # let provider = Scripted::new(|_| Ok::<_, LoginError>(Session::new().with_bearer("token")?));
/// let credentials = Credentials::new(provider);
/// let mut request = http::Request::new(());
///
/// let credential = credentials.get().await?;          // logs in, or waits for the login under way
/// credential.attach_headers(request.headers_mut());
/// let carried = credentials.sending(&credential);     // what the answer will speak of
/// // … send it, look at the answer …
/// credentials.accepted(&carried);
/// assert!(credentials.fresh().is_some(), "from now on there is one at hand");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Credentials {
    shared: Arc<Shared>,
}

/// What to do with a request whose answer rejected its credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rejection {
    /// Ask again: what you get is newer. Send the request once more with it.
    Replay,
    /// The answer stands: another login would not help, the handle is closed, or the credential was another cache's.
    Stands,
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

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The credential at hand, if it is good and no renewal is due.
    ///
    /// The fast path: it waits for nothing, takes no lock, allocates nothing and starts nothing. `None` means that
    /// [`get`](Self::get) has something to do.
    #[inline]
    pub fn fresh(&self) -> Option<Arc<Credential>> {
        self.with_fresh(|credential, _| Arc::clone(credential))
    }

    /// Lends out what [`fresh`](Self::fresh) would give, with what a request carries that is sent with it now: the quickest
    /// way to put a credential on a request, since nothing is counted and the clocks are read once.
    ///
    /// `None` means that nothing was lent, and `look` not called.
    #[inline]
    pub fn with_fresh<T>(&self, look: impl FnOnce(&Arc<Credential>, Carried) -> T) -> Option<T> {
        let now = self.now();
        self.shared.served(|credential| {
            let fresh = credential.life().freshness(now) == Freshness::Fresh;
            fresh.then(|| look(credential, self.carried(credential, now)))
        })
    }

    /// A look without waiting: the credential at hand, if it is good by both clocks. It starts nothing, not even the
    /// renewal of one that is due.
    pub fn peek(&self) -> Option<Arc<Credential>> {
        self.shared.live_if(self.now(), Freshness::is_good)
    }

    #[inline]
    fn carried(&self, credential: &Credential, now: Moment) -> Carried {
        Carried {
            mark: self.shared.engine.mark,
            stamp: credential.stamp(),
            sent: now,
            slides: credential.life().slides(),
            query: credential.has_query(),
            replay: false,
        }
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
        self.get_with(Ask::new())
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
        Wait::new(self, ask)
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
        self.get_with(Ask::new().renewed())
    }

    /// Notes what a request is about to carry, and that it is sent now. Keep the result until the answer is judged.
    #[inline]
    pub fn sending(&self, credential: &Credential) -> Carried {
        self.carried(credential, self.now())
    }

    /// As [`sending`](Self::sending), for the second sending of a request whose first was rejected.
    pub fn resending(&self, credential: &Credential) -> Carried {
        Carried {
            replay: true,
            ..self.sending(credential)
        }
    }

    /// The answer accepted what its request carried: a sliding session slides, counted from the sending; a replay shows
    /// that the last login helped. Takes no lock, unless for a replay.
    #[inline]
    pub fn accepted(&self, carried: &Carried) {
        if !self.owns(carried.mark) {
            return;
        }
        if carried.slides {
            self.shared.touch(carried);
        }
        if carried.replay {
            self.shared
                .update(|state| state.vindicate(carried.stamp.generation()));
        }
    }

    /// The answer rejected what its request carried.
    ///
    /// If the credential is the current one and the rejection is believed, it is never served again, and the next login
    /// begins beside, if there is a runtime here and no failure forbids it, whether or not the request can be replayed. A late answer to an older credential starts nothing.
    pub fn rejected(&self, carried: &Carried) -> Rejection {
        if !self.owns(carried.mark) {
            return Rejection::Stands;
        }
        let now = self.now();
        let ruling = self.shared.update(|state| state.reject(carried, now));
        let stamp = carried.stamp;
        match ruling {
            Ruling::Stale => Rejection::Replay,
            Ruling::Believed => {
                self.shared.engine.emit(&Event::Rejected { stamp });
                // Without a runtime here, or with a failure that forbids it, the next caller who waits sees to it.
                self.shared.begin_beside();
                Rejection::Replay
            }
            Ruling::Closed => Rejection::Stands,
            Ruling::Doubted => {
                self.shared.engine.emit(&Event::RejectionDoubted { stamp });
                Rejection::Stands
            }
        }
    }

    /// Whether this credential, or a later login's, was rejected or ended by the server, so that it must not be sent any more: for fronts that obtain a
    /// credential and send it only later.
    pub fn was_rejected(&self, credential: &Credential) -> bool {
        credential.stamp().generation() <= self.shared.read(State::rejected)
    }

    /// The answer changed the session that its request carried; see [`Credential::change_in`]. A request that carried
    /// anything but the current generation and revision changes nothing.
    ///
    /// Not to be called for an answer that [rejected](Self::rejected) what its request carried: a server that no longer knows
    /// a session commonly deletes its cookie in the same breath, and whether *that* is believed is decided there.
    pub fn changed(&self, carried: &Carried, change: &Change) {
        if !self.owns(carried.mark) {
            return;
        }
        let (now, stamp) = (self.now(), carried.stamp);
        let policy = self.shared.engine.options.policy;
        let event = match change {
            Change::Rolled(rolled) => self
                .shared
                .update(|state| state.roll(stamp, rolled, now, &policy, random()))
                .map(|stamp| Event::Rolled { stamp }),
            Change::Ended => self
                .shared
                .update(|state| state.end(stamp, now))
                .then_some(Event::Ended { stamp }),
        };
        if let Some(event) = event {
            self.shared.engine.emit(&event);
        }
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
        let now = self.now();
        self.shared.read(|state| Status::of(state, now))
    }

    /// The time by the clocks that this cache goes by.
    #[inline]
    pub fn now(&self) -> Moment {
        self.shared.engine.clock.now()
    }

    /// Who logs in where.
    #[inline]
    pub fn identity(&self) -> &Identity {
        self.shared.engine.provider.identity()
    }

    /// The provider's judge of answers.
    #[inline]
    pub fn judge(&self) -> &dyn Judge {
        self.shared.engine.provider.judge()
    }

    /// Where the credential may be sent.
    #[inline]
    pub fn scope(&self) -> &Scope {
        self.shared.scope()
    }

    /// Whether the mark is that of a login for this very identity, which a front must not make wait for itself.
    #[inline]
    pub fn owns(&self, mark: LoginMark) -> bool {
        self.shared.engine.mark == mark
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.shared.engine.provider
    }

    /// A clone for whoever asks the pool that it is in, unless it is closed.
    pub(crate) fn found(&self) -> Option<Self> {
        if self.is_closed() {
            return None;
        }
        // Found by many at once, it is written by the first.
        if !self.shared.found.load(Relaxed) {
            self.shared.found.store(true, Relaxed);
        }
        Some(self.clone())
    }

    /// Whether it was found since this was asked before.
    pub(crate) fn take_found(&self) -> bool {
        self.shared.found.swap(false, Relaxed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Whether nobody else holds this handle and no login is under way.
    pub(crate) fn is_unused(&self) -> bool {
        Arc::strong_count(&self.shared) == 1 && self.shared.read(|state| state.flight().is_none())
    }

    /// The last failure, if it still forbids a login.
    pub(crate) fn failure_in_force(&self) -> Option<Failure> {
        let now = self.now();
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
