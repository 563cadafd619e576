//! An attempt, and the credential that it carries.

use std::fmt;
use std::sync::Arc;

use http::Extensions;

use crate::cache::{Ask, Credentials};
use crate::clock::Moment;
use crate::credential::{Credential, PlaceCounts, SentTo, Stamp, Target};
use crate::decide::CacheState;
use crate::error::Error;
use crate::event::Event;
use crate::judge::{Judge, RequestHead};
use crate::lifetime::Freshness;
use crate::login_mark::LoginMark;
use crate::origin::{Miss, Scope};

/// One attempt of one request: the credential that it carries, and what its response means for that
/// credential.
///
/// An integration with an HTTP client is built from attempts. It passes on a request that is [out
/// of scope](Self::out_of_scope), checks that any other one [may carry](Self::refuse_loop) the
/// credential, [attaches](Self::fresh) one, and [judges](Self::conclude) the response. If there is
/// no fresh one at hand, or the request [lacks](Credential::lacks) a part of it, it [gets
/// one](Credentials::get_for) for this request. If the response rejected the credential, it sends
/// the request once more, in a [second attempt](Self::replay). If the response asked for another
/// part of the session, it sends it once more [after a repair](Self::after_repair). The attempt
/// knows what it was sent again for, so an integration goes on as long as it is told to.
///
/// ```
/// use auth_core::{Attempt, Conclusion, ResponseView};
/// # use auth_core::{Credentials, LoginError, Session};
/// # use auth_core::testing::Scripted;
/// # struct Client;
/// # impl Client {
/// #     async fn send(&self, _: http::Request<()>) -> http::Response<()> {
/// #         http::Response::new(())
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Scripted::new(|_| Ok::<_, LoginError>(Session::new().with_bearer("token")?));
/// # let (client, credentials) = (Client, Credentials::new(provider));
/// let pristine = http::Request::get("https://api.example.com/v3/me").body(())?;
///
/// let credential = credentials.get().await?;
/// let mut request = pristine.clone();
/// credential.attach(&mut request)?;
/// let attempt = Attempt::new(&credentials, &credential); // as it is sent
/// let mut response = client.send(request).await;
///
/// if attempt.conclude(&ResponseView::new(response.status(), response.headers()))
///     == Conclusion::Replay
/// {
///     let newer = credentials.get().await?;
///     let mut request = pristine;
///     newer.attach(&mut request)?;
///     let attempt = attempt.replay(&newer);
///     response = client.send(request).await;
///     attempt.conclude(&ResponseView::new(response.status(), response.headers()));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "facts about one request that do not depend on each other"
)]
pub struct Attempt {
    pub(super) credentials: Credentials,
    pub(super) judge: Option<Arc<dyn Judge>>,
    pub(super) stamp: Stamp,
    pub(super) sent: Moment,
    /// Whether an accepted response moves the idle deadline, or shows that the session is good.
    pub(super) acceptance_counts: bool,
    /// Whether the URL that was sent holds a secret.
    pub(super) query: bool,
    /// It was sent again because it was rejected.
    pub(super) replay: bool,
    /// It was sent again because it lacked a part of the session.
    pub(super) repaired: bool,
    /// What of the place of the request counts for the cookies that the answer sets or deletes.
    pub(super) place_counts: PlaceCounts,
    /// Whether what a request carries depends on where it goes, on its method or on its body.
    place_decides: bool,
    /// What this one carries.
    pub(super) carried: Carried,
    /// Whether the answer may bring values, once that was looked up.
    pub(super) brings: Option<bool>,
    /// What few requests need. Together in one box, because the future of a request holds this.
    pub(super) noted: Option<Box<Noted>>,
}

/// What a request carries of its credential.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Carried {
    /// It may be all.
    #[default]
    All,
    /// Only what every request does.
    AlwaysAlone,
    /// Nothing: the response says nothing of the credential.
    Nothing,
}

#[derive(Clone, Default)]
pub(super) struct Noted {
    /// For a judge that wants it.
    pub(super) head: Option<RequestHead>,
    pub(super) place: Option<SentTo>,
}

impl Attempt {
    /// Refuses a request that belongs to the login of these credentials. Such a request is routed
    /// through the integration that waits for it, and would wait for itself. `extensions` are the
    /// request's own.
    ///
    /// # Errors
    /// [`Error::LoginLoop`] if the request, or the task that sends it, has the
    /// [mark](crate::LoginMark) of this cache's login.
    #[inline]
    pub fn refuse_loop(credentials: &Credentials, extensions: &Extensions) -> Result<(), Error> {
        LoginMark::refuse_loop(LoginMark::of(extensions), credentials.shared().engine.id)
    }

    /// Counts a request that the integration passes on without a credential, because its URL is not
    /// in the [scope](Credentials::scope). Pass the URL's scheme, host and port, as far as it has
    /// them.
    ///
    /// The first request to a foreign origin is an [event](Event::OutOfScope) and a warning, since
    /// it may be a mistake, such as `localhost` for `127.0.0.1`. After 8 foreign origins there are
    /// no more warnings. Do not call it for a request that is meant to carry no credential.
    ///
    /// ```
    /// use auth_core::{Attempt, Credentials};
    ///
    /// /// Whether a request is to carry the credential.
    /// fn is_in_scope<B>(credentials: &Credentials, request: &http::Request<B>) -> bool {
    ///     let uri = request.uri();
    ///     let is_in = credentials.scope().contains_uri(uri);
    ///     if !is_in {
    ///         Attempt::out_of_scope(credentials, uri.scheme_str(), uri.host(), uri.port_u16());
    ///     }
    ///     is_in
    /// }
    /// # use auth_core::{Lifetime, testing::Scripted};
    /// # let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
    /// # assert!(!is_in_scope(&credentials, &http::Request::new(())));
    /// # assert_eq!(credentials.status().out_of_scope, 1);
    /// ```
    #[cold]
    pub fn out_of_scope(
        credentials: &Credentials,
        scheme: Option<&str>,
        host: Option<&str>,
        port: Option<u16>,
    ) {
        credentials.shared().missed(scheme, host, port);
    }

    /// Counts a redirect that has led a request out of the scope, as
    /// [`out_of_scope`](Self::out_of_scope) counts requests: if it leads to a host of the scope, by
    /// another name, scheme or port. Away from there, as to a storage host, it is none.
    #[cold]
    pub fn redirected_out_of_scope(
        credentials: &Credentials,
        scheme: Option<&str>,
        host: Option<&str>,
        port: Option<u16>,
    ) {
        if credentials.scope().miss(scheme, host, port) != Miss::Host {
            Self::out_of_scope(credentials, scheme, host, port);
        }
    }

    /// A first attempt with the current credential, if it is good and no renewal is due. The
    /// request must be sent now. The credential is lent to `attach`: no reference is counted, and
    /// the clocks are read once.
    ///
    /// If `judge` is given, it judges the response in place of the provider's judge.
    ///
    /// Returns `None`, without a call of `attach`, if there is no credential that is good and not
    /// due. Let `attach` return `None` if the request [lacks](Credential::lacks) a part of this
    /// one: this returns `None` as well. Ask [`Credentials::get_for`] then.
    ///
    /// ```
    /// # use auth_core::{Ask, Attempt, Credentials, Target};
    /// # async fn attach(
    /// #     credentials: &Credentials,
    /// #     request: &mut http::Request<()>,
    /// # ) -> Result<Attempt, Box<dyn std::error::Error>> {
    /// let fresh = Attempt::fresh(credentials, None, |credential| {
    ///     let target = Target::of(request.uri()).with_method(request.method());
    ///     (!credential.lacks(target)).then(|| credential.attach(request))
    /// });
    /// if let Some((attempt, attached)) = fresh {
    ///     attached?;
    ///     return Ok(attempt);
    /// }
    /// let target = Target::of(request.uri()).with_method(request.method());
    /// let credential = credentials.get_for(target, Ask::new()).await?;
    /// credential.attach(request)?;
    /// Ok(Attempt::new(credentials, &credential))
    /// # }
    /// ```
    #[inline]
    pub fn fresh<T>(
        credentials: &Credentials,
        judge: Option<&Arc<dyn Judge>>,
        attach: impl FnOnce(&Arc<Credential>) -> Option<T>,
    ) -> Option<(Self, T)> {
        let shared = credentials.shared();
        let now = shared.engine.clock.now();
        shared.with_current(|credential| {
            if !credential.life().freshness(now).is_fresh() {
                return None;
            }
            let attached = attach(credential)?;
            let attempt = Self::at(credentials, credential, now, judge.cloned());
            Some((attempt, attached))
        })
    }

    /// A first attempt with this credential.
    ///
    /// Call it when the request is sent, not when its credential is asked for: the idle deadline of
    /// a sliding session counts from here.
    #[inline]
    pub fn new(credentials: &Credentials, credential: &Credential) -> Self {
        let now = credentials.shared().engine.clock.now();
        Self::at(credentials, credential, now, None)
    }

    /// The second attempt of the same request, sent now with a newer credential.
    #[inline]
    pub fn replay(self, newer: &Credential) -> Self {
        let now = self.credentials.shared().engine.clock.now();
        let replay = Self::at(&self.credentials, newer, now, self.judge);
        Self {
            replay: true,
            repaired: self.repaired,
            noted: self.noted,
            ..replay
        }
        .resent()
    }

    /// The credential to send the request to `target` with once more, after the conclusion
    /// [`Repair`](crate::Conclusion::Repair): one that [lacks](Credential::lacks) nothing.
    ///
    /// ```
    /// # use auth_core::{Ask, Attempt, Error, Target};
    /// # async fn after_repair(
    /// #     attempt: Attempt,
    /// #     pristine: &http::Request<()>,
    /// # ) -> Result<(Attempt, http::Request<()>), Box<dyn std::error::Error>> {
    /// let target = Target::of(pristine.uri()).with_method(pristine.method());
    /// let credential = attempt.repaired(target, Ask::new()).await?;
    /// let mut request = pristine.clone();
    /// credential.attach(&mut request)?;
    /// let attempt = attempt.after_repair(&credential);
    /// # Ok((attempt, request))
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`Error::Login`] if the part could not be fetched.
    /// - Those of [`Credentials::get`], if the session has ended meanwhile.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time. A repair that it started continues.
    pub fn repaired(
        &self,
        target: Target<'_>,
        ask: Ask,
    ) -> impl Future<Output = Result<Arc<Credential>, Error>> + Send {
        let shared = self.credentials.shared();
        shared.repaired_for(self.stamp, target, ask)
    }

    /// The attempt of the same request after a repair, sent now with the repaired credential.
    pub fn after_repair(self, newer: &Credential) -> Self {
        let now = self.credentials.shared().engine.clock.now();
        let again = Self::at(&self.credentials, newer, now, self.judge);
        Self {
            replay: self.replay,
            repaired: true,
            noted: self.noted,
            ..again
        }
        .resent()
    }

    /// How many times the request was sent before: 0 for a first attempt, 1 for a replay or after a
    /// repair, 2 for both. It is what
    /// [OpenTelemetry](https://opentelemetry.io/docs/specs/semconv/http/http-spans/) calls
    /// `http.request.resend_count`.
    pub fn resend_count(&self) -> u32 {
        u32::from(self.replay) + u32::from(self.repaired)
    }

    fn resent(self) -> Self {
        let (stamp, resend_count) = (self.stamp, self.resend_count());
        let event = Event::Replayed {
            stamp,
            resend_count,
        };
        self.credentials.shared().engine.emit(&event);
        self
    }

    #[inline]
    fn at(
        credentials: &Credentials,
        credential: &Credential,
        now: Moment,
        judge: Option<Arc<dyn Judge>>,
    ) -> Self {
        Self {
            credentials: credentials.clone(),
            judge,
            stamp: credential.stamp(),
            sent: now,
            acceptance_counts: credential.life().slides() || credential.is_unproven(),
            query: credential.has_query(),
            replay: false,
            repaired: false,
            place_counts: place_counts(credential, credentials.scope()),
            place_decides: credential.depends_on_target() || !credential.is_always_carried(),
            carried: Carried::All,
            brings: None,
            noted: None,
        }
    }

    /// States where the request goes, with its method and whether it [has a
    /// body](Target::without_body): for the cookies that its answer sets, and for what it carries
    /// of the credential. It is kept only if the cookies depend on it, and only then this
    /// allocates.
    ///
    /// Unless it is stated, a cookie that the answer sets is taken to come from the first origin of
    /// the scope, and the request to carry all of the credential.
    #[inline]
    pub fn sent_to<'a>(mut self, target: impl FnOnce() -> Target<'a>) -> Self {
        if self.place_counts != PlaceCounts::Nothing || self.place_decides {
            self.note_target(target());
        }
        self
    }

    #[cold]
    fn note_target(&mut self, target: Target<'_>) {
        match &mut self.place_counts {
            PlaceCounts::Nothing => {}
            PlaceCounts::Depth { is_below } => *is_below = target.default_path() != "/",
            PlaceCounts::All => self.note_place(target),
        }
        if !self.place_decides {
            return;
        }
        let carried = |current: &Credential| {
            if !current.is_carried_to(target) {
                Carried::Nothing
            } else if current.has_dependent_for(target) {
                Carried::All
            } else {
                Carried::AlwaysAlone
            }
        };
        // One that another has superseded may have carried anything. Its rejection is late.
        let is_it = |current: &Credential| current.was_carried_by(self.stamp, false);
        let carried = self
            .credentials
            .shared()
            .with_current(|current| is_it(current).then(|| carried(current)));
        self.carried = carried.unwrap_or_default();
    }

    fn note_place(&mut self, target: Target<'_>) {
        self.noted.get_or_insert_default().place = Some(SentTo::new(target));
    }

    /// Sets the judge of the response. With `None`, the provider's judge decides.
    #[inline]
    pub fn judged_by(mut self, judge: Option<Arc<dyn Judge>>) -> Self {
        self.judge = judge;
        self
    }

    /// Whether the judge of a request wants [its head](Self::of_request): `judge`, or else that of
    /// the provider, which is asked as well if the provider reads
    /// [values](crate::Provider::update).
    #[inline]
    pub fn wants_request(credentials: &Credentials, judge: Option<&Arc<dyn Judge>>) -> bool {
        let shared = credentials.shared();
        match judge {
            Some(judge) => judge.wants_request() || (shared.updates && shared.judges_requests),
            None => shared.judges_requests,
        }
    }

    /// Notes the head of the request for its judge, as it was before the credential was attached.
    #[inline]
    pub fn of_request(mut self, head: Option<RequestHead>) -> Self {
        if let Some(head) = head {
            self.note_head(head);
        }
        self
    }

    #[cold]
    fn note_head(&mut self, head: RequestHead) {
        self.noted.get_or_insert_default().head = Some(head);
    }

    /// The credential to send a request to `target` with, after a wait since `obtained` was
    /// returned: the newest good one, unless the request [lacks](Credential::lacks) a part of it.
    ///
    /// Returns `None` if there is none any more: ask [`Credentials::get_for`] again. If the caller
    /// has `asked_again` before, `obtained` is returned even if it has expired in the meantime,
    /// because with very short lives the caller could ask for ever. A rejected credential is never
    /// returned.
    pub fn newest(
        credentials: &Credentials,
        obtained: &Arc<Credential>,
        target: Target<'_>,
        asked_again: bool,
    ) -> Option<Arc<Credential>> {
        let shared = credentials.shared();
        let rejected = || obtained.stamp().generation() <= shared.read(CacheState::rejected);
        shared
            .current_if(shared.engine.clock.now(), Freshness::is_good)
            .filter(|newest| !newest.lacks(target))
            .or_else(|| (asked_again && !rejected()).then(|| Arc::clone(obtained)))
    }

    /// Reads the clocks of the cache, to count a request's own time-out.
    #[inline]
    pub fn now(credentials: &Credentials) -> Moment {
        credentials.shared().engine.clock.now()
    }

    /// The cache that the response is reported to.
    #[inline]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The stamp of the credential that the request carries.
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The current credential of this cache, which may have expired. It is for comparison only.
    pub fn current(credentials: &Credentials) -> Option<Arc<Credential>> {
        credentials
            .shared()
            .with_current(|current| Some(Arc::clone(current)))
    }

    /// The current credential of this cache, or else the one that has ended last. It is for
    /// comparison only: a redirect out of the scope must not carry what it holds, even if its own
    /// response has ended the session.
    pub fn latest(credentials: &Credentials) -> Option<Arc<Credential>> {
        let ended = || {
            let shared = credentials.shared();
            shared.read(|state| state.refreshed().cloned())
        };
        Self::current(credentials).or_else(ended)
    }
}

#[inline]
fn place_counts(credential: &Credential, scope: &Scope) -> PlaceCounts {
    if credential.hears_cookies() && scope.has_several_origins() {
        PlaceCounts::All
    } else {
        credential.place_counts()
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("identity", self.credentials.identity())
            .field("stamp", &self.stamp)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
