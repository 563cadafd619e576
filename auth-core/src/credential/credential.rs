//! The values that are put on requests.

use std::fmt;
use std::mem;
use std::sync::atomic::Ordering::Relaxed;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::attachment::Attachment;
use super::change::{Brought, Change, NewValues};
use super::cookies::PlaceCounts;
use super::kept::Kept;
use super::update::SetBy;
use super::{BodyField, InvalidValue, SetCookie, Stamp, Target, Update};
use crate::clock::Moment;
use crate::lifetime::{Birth, Life, RefreshWindow};
use crate::runtime::AtomicBool;
use crate::secret::Secret;
use crate::session::Session;

/// One value of a session: immutable, and shared behind an [`Arc`](std::sync::Arc).
///
/// Its `Debug` form shows its stamp and the names of what it carries, and no value.
///
/// ```
/// # use auth_core::{Credentials, Lifetime, testing::Scripted};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
/// let credential = credentials.get().await?;
/// let mut request = http::Request::get("https://api.example.com/v3/me").body(())?;
/// credential.attach(&mut request)?;
/// assert_eq!(request.headers()["authorization"], "Bearer token-1");
/// # Ok(())
/// # }
/// ```
pub struct Credential {
    stamp: Stamp,
    /// The revision that has brought its parts, or after which a repair has confirmed them. Later
    /// ones rolled cookies alone.
    parts_since: u64,
    /// The revision since which requests carry the same, whatever it has kept since.
    carried_since: u64,
    /// The same, but for the parts that not every request carries.
    always_since: u64,
    attachment: Attachment,
    kept: Kept,
    life: Life,
    /// It came by a refresh, and not from a login. Of one that another process has refreshed, it is
    /// not said any more once a response to that process has shown it to be good.
    by_refresh: bool,
    /// No response has shown yet that it is good.
    unproven: AtomicBool,
    /// An answer has set a cookie of it that can't be heard, and that was told.
    unheard: AtomicBool,
}

impl Credential {
    /// The first value of a session.
    pub(crate) fn new(
        stamp: Stamp,
        session: Session,
        birth: Birth,
        window: RefreshWindow,
        jitter: f64,
    ) -> Self {
        let lifetime = session.stated_lifetime();
        let idle_left = session.idle_left();
        let mut attachment = session.attachment;
        attachment.cookies.begin(birth.at);
        let lives =
            attachment.cookie_lives(lifetime.hard_expiry(), lifetime.idle_timeout().is_some());
        Self {
            stamp,
            parts_since: stamp.revision,
            carried_since: stamp.revision,
            always_since: stamp.revision,
            attachment,
            kept: session.kept.begin(birth.at),
            life: Life::begin(lifetime, &lives, birth, window, jitter).idle_for(idle_left),
            by_refresh: false,
            unproven: AtomicBool::new(true),
            unheard: AtomicBool::new(false),
        }
    }

    /// The same session, which was refreshed.
    pub(crate) fn refreshed(self) -> Self {
        Self {
            by_refresh: true,
            ..self
        }
    }

    // Relaxed, for `unproven`: the flag publishes no other memory, and a request that is judged
    // before the store is seen costs one login at most.

    /// Whether no response has shown yet that it is good.
    #[inline]
    pub(crate) fn is_unproven(&self) -> bool {
        self.unproven.load(Relaxed)
    }

    /// Whether it came from a refresh, and no response has shown yet that it is good.
    pub(crate) fn is_for_first_use(&self) -> bool {
        self.by_refresh && self.is_unproven()
    }

    /// Whether it came from a refresh, and a response to this process has shown that it is good.
    pub(crate) fn is_past_first_use(&self) -> bool {
        self.by_refresh && !self.is_unproven()
    }

    /// A request that was sent at `sent` was accepted.
    pub(crate) fn accepted(&self, sent: Moment) {
        self.life.touch(sent);
        self.recognized();
    }

    /// A response shows that it is good.
    pub(crate) fn recognized(&self) {
        if self.is_unproven() {
            self.unproven.store(false, Relaxed);
        }
    }

    /// An answer has set a cookie of it that can't be heard. Returns whether that is to be told: it
    /// was not told of this session before.
    pub(crate) fn tells_unheard(&self) -> bool {
        // Relaxed: the flag publishes no other memory.
        !self.unheard.swap(true, Relaxed)
    }

    /// Which session and which value of it this is.
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Puts the headers that go to `target`, and the cookies that a user agent would send there, on
    /// a request.
    ///
    /// A header of the same name is replaced. Cookies are merged into a `Cookie` header that is
    /// there, and replace pairs of the same name. Values are marked sensitive. Allocates nothing,
    /// unless the map has to grow, there is a `Cookie` header already, or the request carries only
    /// some of the cookies.
    ///
    /// If some headers go only to unsafe methods, the target must [have the
    /// method](Target::with_method).
    ///
    /// The target must be within the [scope](crate::Scope) of the credential.
    ///
    /// ```
    /// use auth_core::{Session, Target, testing};
    /// use http::{HeaderMap, header::COOKIE};
    ///
    /// let session = Session::new().with_cookie("sid", "s1")?;
    /// let credential = testing::credential(session);
    /// let mut headers = HeaderMap::new();
    /// headers.insert(COOKIE, "theme=dark".parse()?);
    /// credential.attach_headers(Target::new("https", "api.example.com", "/v3/me"), &mut headers);
    /// assert_eq!(headers[COOKIE], "theme=dark; sid=s1");
    /// assert!(headers[COOKIE].is_sensitive());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach_headers(&self, target: Target<'_>, headers: &mut HeaderMap) {
        self.attachment.attach_headers(target, headers);
    }

    /// Whether the headers that a request gets depend on its method or on where it goes. If they
    /// do not, [`attach_headers`](Self::attach_headers) takes any target.
    #[inline]
    pub fn depends_on_target(&self) -> bool {
        !self.attachment.goes_everywhere()
    }

    /// Whether the credential has query pairs, for whatever request.
    #[inline]
    pub fn has_query(&self) -> bool {
        self.attachment.has_query()
    }

    /// The query of a request to `target` with the credential's pairs added. They replace pairs of
    /// the same name. Returns `None` if no pair goes there: the query stays as it is.
    ///
    /// The result is a secret and must not be printed.
    ///
    /// ```
    /// use auth_core::{Session, Target, testing};
    ///
    /// let session = Session::new().with_query("csrf", "c 1")?;
    /// let credential = testing::credential(session);
    /// let target = Target::new("https", "api.example.com", "/v3/items");
    /// let query = credential.attach_query(target, Some("page=2&csrf=old"));
    /// assert_eq!(query.as_deref(), Some("page=2&csrf=c%201"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn attach_query(&self, target: Target<'_>, query: Option<&str>) -> Option<String> {
        self.attachment.attach_query(target, query)
    }

    /// The values of all query pairs, and those that they had until they were rolled or renewed
    /// lately. A URL that holds one of them must neither be printed nor leave the scope.
    pub fn query_secrets(&self) -> impl Iterator<Item = &str> {
        self.attachment.query_values()
    }

    /// The values of the `Authorization` header and of the cookies that the session can't do
    /// without, and those that they had until they were rolled or renewed lately, if they have 16
    /// bytes or more: a shorter one is in a URL by chance. A URL that holds one of them must not
    /// leave the scope.
    ///
    /// Of the header that is what follows its scheme, such as the token behind `Bearer`. It may
    /// hold more than one value, as `key:token` does, and so may a cookie; and a URL may hold them
    /// in another encoding. `auth-middleware` looks for all that before it follows a redirect.
    /// Other headers, other cookies and fields of the body are not among these values: they often
    /// hold ids that URLs do as well.
    ///
    /// ```
    /// use auth_core::{Session, testing};
    ///
    /// let session = Session::new().with_bearer("0123456789abcdef")?.with_cookie("lang", "en")?;
    /// let credential = testing::credential(session);
    /// let url = "https://elsewhere.example/?token=0123456789abcdef";
    /// assert!(credential.carried_values().any(|value| url.contains(value)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn carried_values(&self) -> impl Iterator<Item = &str> {
        self.attachment.carried_values()
    }

    /// What [`carried_values`](Self::carried_values) has of an `Authorization` header, for one that
    /// another integration has put on a request.
    #[doc(hidden)]
    pub fn behind_scheme(authorization: &HeaderValue) -> impl Iterator<Item = &str> {
        super::carried::behind_scheme(authorization)
    }

    /// Whether no [fetched part](crate::Part#fetched-parts) is missing, for whatever request. It
    /// reads one flag.
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.attachment.is_complete()
    }

    /// Whether a request to `target` would carry a [fetched part](crate::Part#fetched-parts) that
    /// is missing. Don't send it then: [`Credentials::get_for`](crate::Credentials::get_for) gets a
    /// credential that has the part.
    ///
    /// If a part goes only to unsafe methods, the target must [have the
    /// method](Target::with_method).
    ///
    /// ```
    /// use auth_core::{Part, Session, Target, When, testing};
    /// use http::Method;
    ///
    /// let session = Session::new()
    ///     .with_bearer("t-1")?
    ///     .with_part(Part::fetched_header("x-csrf-token").when(When::unsafe_methods()))?;
    /// let credential = testing::credential(session);
    /// let target = Target::new("https", "api.example.com", "/v3/items");
    /// assert!(!credential.lacks(target.with_method(&Method::GET)));
    /// assert!(credential.lacks(target.with_method(&Method::POST)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[inline]
    pub fn lacks(&self, target: Target<'_>) -> bool {
        self.attachment.lacks(target)
    }

    /// How many parts are missing.
    pub(crate) fn missing(&self) -> usize {
        self.attachment.missing()
    }

    /// Whether it has other parts than the revision with this stamp had, and not cookies alone.
    pub(crate) const fn has_other_parts_than(&self, stamp: Stamp) -> bool {
        self.stamp.generation != stamp.generation || self.parts_since > stamp.revision
    }

    /// Whether a request carried what it would carry now, sent with the credential of this stamp.
    /// It may have carried only what every request does.
    pub(crate) const fn was_carried_by(&self, stamp: Stamp, always_alone: bool) -> bool {
        let since = if always_alone {
            self.always_since
        } else {
            self.carried_since
        };
        self.stamp.generation == stamp.generation && stamp.revision >= since
    }

    /// Whether a request to `target` carries a part that not every request carries, or will once
    /// that has a value.
    pub(crate) fn has_dependent_for(&self, target: Target<'_>) -> bool {
        self.attachment.has_dependent_for(target)
    }

    /// Whether its parts were brought after those of `before`, a value of the same session.
    pub(crate) const fn has_later_parts_than(&self, before: &Self) -> bool {
        self.parts_since > before.parts_since
    }

    /// Whether a part is derived from the cookie with this name.
    pub(crate) fn derives_from(&self, cookie: &str) -> bool {
        self.attachment.derives_from(cookie)
    }

    /// What an update brings of the parts that are missing.
    pub(crate) fn missing_of(&self, update: Update) -> Update {
        self.attachment.missing_of(update)
    }

    /// Whether the credential has fields of the body, for whatever request. It reads one flag.
    #[inline]
    pub const fn has_body_fields(&self) -> bool {
        self.attachment.has_fields()
    }

    /// The fields that the body of a request to `target` has, each once. Without any, this
    /// allocates nothing.
    ///
    /// An integration sets them on a copy of the body, or does not send the request. A request
    /// without a body goes without them.
    ///
    /// If some fields go only to unsafe methods, the target must [have the
    /// method](Target::with_method), and it must be within the [scope](crate::Scope) of the
    /// credential. A target [without a body](Target::without_body) has none.
    pub fn body_fields(&self, target: Target<'_>) -> impl Iterator<Item = BodyField<'_>> {
        self.attachment.fields_of(target)
    }

    /// Puts the headers, the cookies and the query pairs of the credential on a request of the
    /// `http` crate. A part that the request [lacks](Self::lacks) is left out.
    ///
    /// The body is not looked at: its [fields](Self::body_fields) are the caller's to set.
    ///
    /// ```
    /// use auth_core::{Session, testing};
    ///
    /// let session = Session::new().with_bearer("t-1")?.with_query("csrf", "c1")?;
    /// let credential = testing::credential(session);
    /// let mut request = http::Request::get("https://api.example.com/v3/me").body(())?;
    /// credential.attach(&mut request)?;
    /// assert_eq!(request.headers()["authorization"], "Bearer t-1");
    /// assert_eq!(request.uri(), "https://api.example.com/v3/me?csrf=c1");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the path and the query become longer than the `http` crate allows
    /// (65,534 bytes), or if the URI can't have a query, such as `host:port`. The request is
    /// unchanged then.
    #[inline]
    pub fn attach<B>(&self, request: &mut http::Request<B>) -> Result<(), InvalidValue> {
        if self.has_query() || self.depends_on_target() {
            return self.attach_by_target(request);
        }
        let anywhere = Target::new("", "", "");
        self.attach_headers(anywhere, request.headers_mut());
        Ok(())
    }

    /// For a session of which the target decides what is attached, or that changes the URI.
    #[inline(never)]
    fn attach_by_target<B>(&self, request: &mut http::Request<B>) -> Result<(), InvalidValue> {
        if self.has_query() {
            // The method can't be borrowed beside the URI. Only one that is no standard method
            // allocates.
            let method = request.method().clone();
            self.attach_to_uri(&method, request.uri_mut())?;
        }
        // Neither the URI nor the method can be borrowed beside the headers.
        let mut headers = mem::take(request.headers_mut());
        let target = Target::of(request.uri()).with_method(request.method());
        self.attach_headers(target, &mut headers);
        *request.headers_mut() = headers;
        Ok(())
    }

    fn attach_to_uri(&self, method: &Method, uri: &mut http::Uri) -> Result<(), InvalidValue> {
        let target = Target::of(uri).with_method(method);
        let Some(query) = self.attach_query(target, uri.query()) else {
            return Ok(());
        };
        let path_and_query = format!("{}?{query}", uri.path());
        let mut parts = uri.clone().into_parts();
        let too_long = |_| InvalidValue::new("URI", "is too long with the credential's query pair");
        parts.path_and_query = Some(path_and_query.parse().map_err(too_long)?);
        *uri = http::Uri::from_parts(parts)
            .map_err(|_| InvalidValue::new("URI", "can't take a query"))?;
        Ok(())
    }

    /// The value of a cookie that the credential carries. Of several with this name, it is the one
    /// that the provider added, or of several of those the one with the shortest path, which most
    /// requests carry.
    ///
    /// ```
    /// use auth_core::{Session, testing};
    ///
    /// let session = Session::new().with_cookie("sid", "s1")?;
    /// let credential = testing::credential(session);
    /// assert_eq!(credential.cookie("sid"), Some("s1"));
    /// assert!(credential.owns_cookie("sid") && !credential.owns_cookie("theme"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.attachment.cookies.get(name)
    }

    /// Whether the session has a cookie of this name, with a value now or without. It belongs to no
    /// other cookie jar.
    pub fn owns_cookie(&self, name: &str) -> bool {
        self.attachment.cookies.own(name)
    }

    /// Whether the provider has added a cookie of this name.
    pub(crate) fn is_named(&self, cookie: &str) -> bool {
        self.attachment.cookies.is_providers(cookie)
    }

    /// Whether the session keeps a cookie of this name when a response sets it: it
    /// [owns](Self::owns_cookie) one, or [keeps them all](crate::Session::keep_cookies).
    pub fn keeps_cookie(&self, name: &str) -> bool {
        self.attachment.cookies.keep(name)
    }

    /// The value of a header that the credential carries. Of several with this name, it is the one
    /// without a condition. Cookies are not among them.
    #[inline]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.attachment.header(name)
    }

    /// Whether the session has a header of this name, with a value now or without, for whatever
    /// request.
    pub fn owns_header(&self, name: &HeaderName) -> bool {
        self.attachment.owns_header(name)
    }

    /// A value that the session [keeps](crate::Session::with_kept) and no request carries, unless
    /// its life has ended. For its own refresh and its own logout, and for nothing that prints.
    ///
    /// ```
    /// use auth_core::{Session, testing};
    ///
    /// let session = Session::new().with_kept("refresh_token", "r-1")?;
    /// let credential = testing::credential(session);
    /// assert_eq!(credential.kept("refresh_token"), Some("r-1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn kept(&self, name: &str) -> Option<&str> {
        self.kept.get(name)
    }

    /// As [`kept`](Self::kept), at this time.
    pub(crate) fn kept_at(&self, name: &str, now: Moment) -> Option<&Secret> {
        self.kept.at(name, now)
    }

    /// What is left of all values that the session keeps.
    pub(crate) fn all_kept(&self, now: Moment) -> Kept {
        self.kept.left(now)
    }

    /// Continues the cookies of this session in the next one, as the answer to its refresh has set
    /// them. `deleted` says that the server has deleted those that it needs.
    pub(crate) fn continue_cookies(
        &self,
        next: &mut Attachment,
        set_by: &SetBy,
        deleted: bool,
        now: Moment,
    ) {
        let (slides, idle_has_passed) = (self.life.slides(), self.life.idle_has_passed(now));
        let mut left = self.attachment.cookies.left(now, slides, idle_has_passed);
        if deleted {
            left.forget_named();
        }
        next.continue_cookies(left, set_by);
    }

    /// Whether a `Set-Cookie` may change this credential.
    #[inline]
    pub(crate) const fn hears_cookies(&self) -> bool {
        self.attachment.cookies.hears()
    }

    /// What of the place of a request counts for the cookies that its answer sets or deletes.
    #[inline]
    pub(crate) const fn place_counts(&self) -> PlaceCounts {
        self.attachment.cookies.place_counts()
    }

    /// Whether every request within the scope carries something of it. It reads one flag.
    #[inline]
    pub(crate) const fn is_always_carried(&self) -> bool {
        self.attachment.is_always_carried()
    }

    /// Whether a request to `target` carries something of it. Without a method, it may have any,
    /// and it has a body unless the target says otherwise.
    pub(crate) fn is_carried_to(&self, target: Target<'_>) -> bool {
        self.attachment.is_carried_to(target)
    }

    /// What an answer that was received at `received` changes about this credential, if anything.
    pub(crate) fn change_by(&self, brought: Brought<'_>, received: Moment) -> Option<Change> {
        let Brought {
            cookies: set,
            target,
            update,
            fetched,
        } = brought;
        let before = &self.attachment.cookies;
        let cookies = before.updated(set, target, received, self.life.slides());
        let kept = self.kept.updated(&update.kept, received);
        // What a fetch sets to what an answer has just set it to is what that has asked for.
        let confirmed = fetched && self.parts_since < self.stamp.revision && {
            let same = |set: &SetCookie| self.cookie(&set.name) == Some(&set.value);
            set.iter().any(same)
        };
        if cookies.is_none() && kept.is_none() && update.carries_nothing() && !confirmed {
            return None;
        }
        let changed = cookies.is_some() || kept.is_some();
        let (cookies, cookie_rolled, restated) = cookies.map_or_else(
            || (before.clone(), false, false),
            |updated| (updated.cookies, updated.rolled, updated.named),
        );
        let (kept, kept_rolled) = kept.unwrap_or_else(|| (self.kept.clone(), false));
        let ended = cookies.lost_all_named(before);
        let attachment = self.attachment.with_cookies(cookies).with_update(update);
        // What carries nothing is no session.
        if ended || attachment.is_empty() {
            return Some(Change::Ended);
        }
        let part_rolled = !attachment.has_same_parts(&self.attachment);
        let rolled = cookie_rolled || kept_rolled || part_rolled;
        let new = NewValues {
            // Where cookies are all that is carried, one of them is the part.
            brings_part: part_rolled
                || confirmed
                || (rolled && (fetched || attachment.has_cookies_alone())),
            attachment,
            kept,
            rolled,
            restated,
        };
        (changed || part_rolled || confirmed).then(|| Change::Values(new.into()))
    }

    /// The same session with other values: the next revision if one of its own differs.
    pub(crate) fn with_values(
        &self,
        new: NewValues,
        received: Moment,
        window: RefreshWindow,
        jitter: f64,
    ) -> Self {
        let mut stamp = self.stamp;
        stamp.revision += u64::from(new.rolled);
        let lives = new
            .attachment
            .cookie_lives(self.life.stated(), self.life.slides());
        let life = self
            .life
            .roll(&lives, new.restated, received, window, jitter);
        let since = |stays: bool, before: u64| if stays { before } else { stamp.revision };
        let attachment = &new.attachment;
        Self {
            stamp,
            parts_since: since(!new.brings_part, self.parts_since),
            carried_since: since(
                attachment.is_same_value(&self.attachment),
                self.carried_since,
            ),
            always_since: since(
                attachment.is_always_same(&self.attachment),
                self.always_since,
            ),
            attachment: new.attachment,
            kept: new.kept,
            life,
            by_refresh: self.by_refresh,
            unproven: AtomicBool::new(self.is_unproven()),
            unheard: AtomicBool::new(self.unheard.load(Relaxed)),
        }
    }

    /// The session with what an update brings, as the cache has it after a repair. `None` if that
    /// ends the session, by the deletion of its cookies.
    ///
    /// It is for a provider that fetches a part and then sends a request with it, such as a logout.
    /// The session of the cache is as it was.
    ///
    /// ```
    /// use auth_core::{Part, Session, Target, Update, testing};
    /// use http::{HeaderName, HeaderValue};
    ///
    /// const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
    ///
    /// let part = Part::fetched_header("x-csrf-token");
    /// let session = Session::new().with_bearer("t-1")?.with_part(part)?;
    /// let credential = testing::credential(session);
    /// let update = Update::new().with_header(CSRF, HeaderValue::from_static("c1"));
    /// let updated = credential.updated(&update).expect("it goes on");
    /// let target = Target::new("https", "api.example.com", "/logout");
    /// assert!(credential.lacks(target) && !updated.lacks(target));
    /// # Ok::<(), auth_core::InvalidValue>(())
    /// ```
    pub fn updated(&self, update: &Update) -> Option<Self> {
        let (cookies, target) = update.set_cookies();
        let brought = Brought {
            cookies,
            target,
            update,
            fetched: true,
        };
        let now = self.kept.now();
        let new = match self.change_by(brought, now) {
            Some(Change::Values(new)) => *new,
            Some(Change::Ended) => return None,
            None => NewValues {
                attachment: self.attachment.clone(),
                kept: self.kept.clone(),
                rolled: false,
                brings_part: false,
                restated: false,
            },
        };
        Some(self.with_values(new, now, RefreshWindow::NONE, 0.0))
    }

    /// The same session without the cookies beside it that have expired. `None` if it carries
    /// nothing then.
    pub(crate) fn without_expired_cookies(&self, now: Moment) -> Option<Self> {
        let cookies = (self.attachment.cookies).without_expired(now, self.life.slides());
        let attachment = self.attachment.with_cookies(cookies);
        let lives = attachment.cookie_lives(self.life.stated(), self.life.slides());
        (!attachment.is_empty()).then(|| Self {
            stamp: self.stamp,
            parts_since: self.parts_since,
            carried_since: self.carried_since,
            always_since: self.always_since,
            attachment,
            kept: self.kept.clone(),
            life: self.life.with_others(&lives),
            by_refresh: self.by_refresh,
            unproven: AtomicBool::new(self.is_unproven()),
            unheard: AtomicBool::new(self.unheard.load(Relaxed)),
        })
    }

    /// The session as a login would bring it now: with its values of now, and with what is left of
    /// their lives.
    pub(crate) fn session(&self, now: Moment) -> Session {
        let mut attachment = self.attachment.clone();
        attachment.cookies.leave(now, self.life.slides());
        let lives = self
            .attachment
            .cookie_lives(self.life.stated(), self.life.slides());
        let (lifetime, idle_left) = self.life.left(&lives, now);
        Session::resumed(attachment, self.kept.left(now), lifetime, idle_left)
            .that_took(self.life.took())
            .for_first_use(self.is_for_first_use())
    }

    /// Whether both put the same on a request.
    pub(crate) fn is_same_value(&self, other: &Self) -> bool {
        self.attachment.is_same_value(&other.attachment)
    }

    /// Whether both may be one session at the server, which has given it again: nothing tells them
    /// apart, or none of what a server knows a session by.
    pub(crate) fn may_be_one_session(&self, other: &Self) -> bool {
        self.is_same_revision(other) || self.attachment.may_be_one_session(&other.attachment)
    }

    /// Whether both are one revision: they put the same on a request and keep the same.
    pub(crate) fn is_same_revision(&self, other: &Self) -> bool {
        self.is_same_value(other) && self.kept.has_values_of(&other.kept)
    }

    /// The credential after `before`, of the same session or of the next one. Responses to requests
    /// with that one may still come, and hold what it has.
    pub(crate) fn later_than(mut self, before: &Self) -> Self {
        if self.stamp.generation == before.stamp.generation {
            self.attachment.remember(&before.attachment);
        } else {
            self.attachment.remember_last(&before.attachment);
        }
        self
    }

    /// This first value of a session under another stamp. Of a later revision, it has to be told
    /// [after](Self::after) which one it comes.
    pub(crate) fn stamped(self, stamp: Stamp) -> Self {
        Self { stamp, ..self }
    }

    /// This value as a later one of the same session than `before`.
    pub(crate) fn after(self, before: &Self) -> Self {
        let (attachment, last) = (&self.attachment, &before.attachment);
        let rolled_alone = attachment.has_same_parts(last)
            && (self.stamp == before.stamp || !attachment.has_cookies_alone());
        let since = |stays: bool, before: u64| if stays { before } else { self.stamp.revision };
        Self {
            parts_since: since(rolled_alone, before.parts_since),
            carried_since: since(attachment.is_same_value(last), before.carried_since),
            always_since: since(attachment.is_always_same(last), before.always_since),
            // What is stored says so no more once another process knows that it is good.
            by_refresh: before.by_refresh && self.by_refresh,
            unproven: AtomicBool::new(before.is_unproven()),
            ..self
        }
    }

    #[inline]
    pub(crate) const fn life(&self) -> &Life {
        &self.life
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("stamp", &self.stamp)
            .field("attachment", &self.attachment)
            .field("kept", &self.kept)
            .finish_non_exhaustive()
    }
}
