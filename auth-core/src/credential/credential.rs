//! The values that are put on requests.

use std::fmt;
use std::mem;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::attachment::Attachment;
use super::change::{Change, NewCookies};
use super::{InvalidValue, SetCookie, Stamp, Target};
use crate::clock::Moment;
use crate::lifetime::{Birth, Life, RefreshWindow};
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
    attachment: Attachment,
    life: Life,
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
        let mut attachment = session.attachment;
        attachment.cookies.begin(birth.at);
        let lives = attachment.cookie_lives(lifetime.hard_expiry());
        Self {
            stamp,
            attachment,
            life: Life::begin(lifetime, &lives, birth, window, jitter),
        }
    }

    /// Which login and which value of its session this is.
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Puts the headers, and the cookies that a user agent would send to `target`, on a request.
    ///
    /// A header of the same name is replaced. Cookies are merged into a `Cookie` header that is
    /// there, and replace pairs of the same name. Values are marked sensitive. Allocates nothing,
    /// unless the map has to grow, there is a `Cookie` header already, or the request carries only
    /// some of the cookies.
    ///
    /// The target must be within the [scope](crate::Scope) of the credential.
    pub fn attach_headers(&self, target: Target<'_>, headers: &mut HeaderMap) {
        self.attachment.attach_headers(target, headers);
    }

    /// Whether the credential has query pairs.
    #[inline]
    pub fn has_query(&self) -> bool {
        self.attachment.has_query()
    }

    /// The query of a request with the credential's pairs added. They replace pairs of the same
    /// name. Returns `None` if the credential has no query pairs: the query stays as it is.
    ///
    /// The result is a secret and must not be printed.
    pub fn attach_query(&self, query: Option<&str>) -> Option<String> {
        self.attachment.attach_query(query)
    }

    /// Puts everything on a request of the `http` crate: headers, cookies and query.
    ///
    /// # Errors
    /// [`InvalidValue`] if the path and the query become longer than the `http` crate allows
    /// (65,534 bytes), or if the URI can't have a query, such as `host:port`. The request is
    /// unchanged then.
    #[inline]
    pub fn attach<B>(&self, request: &mut http::Request<B>) -> Result<(), InvalidValue> {
        if self.has_query() {
            self.attach_to_uri(request.uri_mut())?;
        }
        if self.attachment.cookies.go_everywhere() {
            let anywhere = Target::new("", "", "");
            self.attach_headers(anywhere, request.headers_mut());
        } else {
            // The URI can't be borrowed beside the headers.
            let mut headers = mem::take(request.headers_mut());
            self.attach_headers(Target::of(request.uri()), &mut headers);
            *request.headers_mut() = headers;
        }
        Ok(())
    }

    fn attach_to_uri(&self, uri: &mut http::Uri) -> Result<(), InvalidValue> {
        let Some(query) = self.attach_query(uri.query()) else {
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
    /// that the provider added.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.attachment.cookies.get(name)
    }

    /// Whether the session has a cookie of this name, with a value now or without. It belongs to no
    /// other cookie jar.
    pub fn owns_cookie(&self, name: &str) -> bool {
        self.attachment.cookies.own(name)
    }

    /// Whether the session keeps a cookie of this name when a response sets it: it
    /// [owns](Self::owns_cookie) one, or [keeps them all](crate::Session::keep_cookies).
    pub fn keeps_cookie(&self, name: &str) -> bool {
        self.attachment.cookies.keep(name)
    }

    /// The value of a header that the credential carries. Its cookies are not among them.
    #[inline]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.attachment.header(name)
    }

    /// Whether a `Set-Cookie` may change this credential.
    #[inline]
    pub(crate) const fn hears_cookies(&self) -> bool {
        self.attachment.cookies.hears()
    }

    /// Whether the path of a request decides which cookies its answer sets.
    #[inline]
    pub(crate) fn depends_on_path(&self) -> bool {
        self.attachment.cookies.depend_on_path()
    }

    /// What the cookies that an answer sets change about this credential, if anything.
    pub(crate) fn change_by(
        &self,
        set: &[SetCookie],
        target: Target<'_>,
        received: Moment,
    ) -> Option<Change> {
        let before = &self.attachment.cookies;
        let slides = self.life.slides();
        let updated = before.updated(set, target, received, slides)?;
        let ended = updated.cookies.lost_all_named(before);
        let attachment = self.attachment.with_cookies(updated.cookies);
        // What carries nothing is no session.
        if ended || attachment.is_empty() {
            return Some(Change::Ended);
        }
        Some(Change::Cookies(NewCookies {
            attachment,
            rolled: updated.rolled,
            restated: updated.named,
        }))
    }

    /// The same session with other cookies: the next revision if a value of its own differs.
    pub(crate) fn with_cookies(
        &self,
        new: NewCookies,
        received: Moment,
        window: RefreshWindow,
        jitter: f64,
    ) -> Self {
        let mut stamp = self.stamp;
        stamp.revision += u64::from(new.rolled);
        let lives = new.attachment.cookie_lives(self.life.stated());
        let life = self
            .life
            .roll(&lives, new.restated, received, window, jitter);
        Self {
            stamp,
            attachment: new.attachment,
            life,
        }
    }

    /// The same session without the cookies beside it that have expired. `None` if it carries
    /// nothing then.
    pub(crate) fn without_expired_cookies(&self, now: Moment) -> Option<Self> {
        let cookies = self.attachment.cookies.without_expired(now);
        let attachment = self.attachment.with_cookies(cookies);
        let lives = attachment.cookie_lives(self.life.stated());
        (!attachment.is_empty()).then(|| Self {
            stamp: self.stamp,
            attachment,
            life: self.life.with_others(&lives),
        })
    }

    /// Whether both put the same on a request.
    pub(crate) fn is_same_value(&self, other: &Self) -> bool {
        self.attachment.is_same_value(&other.attachment)
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
            .finish_non_exhaustive()
    }
}
