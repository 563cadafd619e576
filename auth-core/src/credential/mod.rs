//! What a login brings, and how it is put on a request.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

use crate::clock::Moment;
use crate::lifetime::{Life, Lifetime};
use crate::login_mark::LoginMark;

mod attachment;
mod set_cookie;

use attachment::Attachment;
pub use set_cookie::{SetCookie, set_cookies};

/// What a login brought: the values that requests carry from now on, and how long they are good.
///
/// A provider builds one from the login's answer. Every value is checked here, once, so that attaching it can't fail.
///
/// ```
/// use std::time::Duration;
/// use auth_core::{Lifetime, Session};
///
/// let session = Session::new()
///     .with_bearer("eyJhbGciOi")?
///     .with_query("csrf", "29f567c3")?
///     .with_lifetime(Lifetime::of(Duration::from_secs(86_400)));
/// assert!(!format!("{session:?}").contains("eyJ"), "only names are printed");
/// # Ok::<(), auth_core::InvalidValue>(())
/// ```
#[derive(Clone, Default)]
pub struct Session {
    attachment: Attachment,
    lifetime: Lifetime,
}

impl Session {
    /// A session that carries nothing yet. One that stays so is a failed login.
    pub fn new() -> Self {
        Self::default()
    }

    /// `Authorization: Bearer <token>`.
    ///
    /// # Errors
    /// The token is empty or can't stand in a header.
    pub fn with_bearer(self, token: &str) -> Result<Self, InvalidValue> {
        if token.is_empty() {
            return Err(InvalidValue::new("bearer token", "is empty"));
        }
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| InvalidValue::new("bearer token", "can't stand in a header"))?;
        Ok(self.with_header(AUTHORIZATION, value))
    }

    /// A header, which replaces one of the same name on the request. It is marked sensitive.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.attachment.set_header(name, value);
        self
    }

    /// A pair in the `Cookie` header, beside whatever cookies the request has. The value goes out byte for byte as given.
    ///
    /// # Errors
    /// The name is no token (RFC 6265, section 4.1.1), or the value is empty or can't stand in a `Cookie` header.
    pub fn with_cookie(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.attachment.set_cookie(name, value)?;
        Ok(self)
    }

    /// A pair in the query, which replaces one of the same name. Name and value are percent-encoded here.
    ///
    /// # Errors
    /// The name or the value is empty.
    pub fn with_query(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.attachment.set_query(name, value)?;
        Ok(self)
    }

    /// How long it is good, counted from the receipt of the login's answer. Unknown, unless stated.
    pub const fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long it is good.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// Whether it carries nothing.
    pub fn is_empty(&self) -> bool {
        self.attachment.is_empty()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("attachment", &self.attachment)
            .field("lifetime", &self.lifetime)
            .finish()
    }
}

/// Which login a credential came from, and which value of that session it is.
///
/// A *generation* is one login. A *revision* is a value that the server rolled in mid-session. Both only grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    pub(crate) generation: u64,
    pub(crate) revision: u64,
}

impl Stamp {
    /// The login, counted from 1.
    pub const fn generation(self) -> u64 {
        self.generation
    }

    /// The value within the session, counted from 0.
    pub const fn revision(self) -> u64 {
        self.revision
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation, self.revision)
    }
}

/// A credential as it was at one moment: immutable, and shared behind an [`Arc`](std::sync::Arc).
///
/// It prints as its stamp and the names of what it carries.
pub struct Credential {
    stamp: Stamp,
    attachment: Attachment,
    life: Life,
}

impl Credential {
    pub(crate) fn new(stamp: Stamp, session: Session, life: Life) -> Self {
        Self {
            stamp,
            attachment: session.attachment,
            life,
        }
    }

    /// Which login and which revision this is.
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Puts the headers and cookies on a request.
    ///
    /// A header of the same name is replaced. Cookies are merged into the `Cookie` header that is there, replacing pairs of
    /// the same name. Values are marked sensitive. Allocates nothing, unless the map has to grow or a `Cookie` header is
    /// there already.
    pub fn attach_headers(&self, headers: &mut HeaderMap) {
        self.attachment.attach_headers(headers);
    }

    /// Whether there is anything to put into the query.
    #[inline]
    pub fn has_query(&self) -> bool {
        self.attachment.has_query()
    }

    /// The query of a request with the credential's pairs in it: what was there, less pairs of the same name, and ours.
    /// `None` if the credential has none, so that the query can stay as it is.
    ///
    /// The result is a secret: it must be shown nowhere.
    pub fn attach_query(&self, query: Option<&str>) -> Option<String> {
        self.attachment.attach_query(query)
    }

    /// Puts everything on a request of the `http` crate: headers, cookies and query.
    ///
    /// # Errors
    /// With its query pairs, the request's path and query are longer than the `http` crate allows (65,534 bytes), or its URI
    /// is one that has no query, such as `host:port`. The request is then unchanged.
    #[inline]
    pub fn attach<B>(&self, request: &mut http::Request<B>) -> Result<(), InvalidValue> {
        if self.has_query() {
            self.attach_to_uri(request.uri_mut())?;
        }
        self.attach_headers(request.headers_mut());
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

    /// The value of a cookie that it carries.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.attachment.cookie(name)
    }

    /// The value of a header that it carries; its cookies are not among them.
    #[inline]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.attachment.header(name)
    }

    /// What an answer's `Set-Cookie` headers change about this credential, if anything: only cookies that it carries count,
    /// and where it carries several, it ends with the last of them. Costs one look-up where the answer sets no cookie.
    pub fn change_in(&self, answer: &HeaderMap) -> Option<Change> {
        if !self.attachment.has_cookies() {
            return None;
        }
        let mut last: Vec<SetCookie> = Vec::new();
        for cookie in set_cookies(answer).filter(|cookie| self.cookie(&cookie.name).is_some()) {
            // The last one of a name wins, as in a browser.
            last.retain(|earlier| earlier.name != cookie.name);
            last.push(cookie);
        }
        if last.is_empty() {
            return None;
        }
        let (deleted, rolled): (Vec<_>, Vec<_>) = last
            .into_iter()
            .partition(|cookie| cookie.deleted || cookie.value.is_empty());
        let carried = self.attachment.cookies();
        if deleted.len() == carried {
            return Some(Change::Ended);
        }
        // One of several says little of the session: a load balancer's dies every half hour, a message's with its reading.
        if rolled.is_empty() {
            return None;
        }
        let expires_in = rolled.iter().filter_map(|cookie| cookie.expires_in).min();
        let cookies: Vec<_> = rolled
            .into_iter()
            .map(|cookie| (cookie.name, cookie.value))
            .collect();
        Some(Change::Rolled(Rolled {
            expires_in: expires_in.filter(|_| cookies.len() == carried),
            cookies,
        }))
    }

    /// The same session with the server's new values: the next revision, or the same one if no value differs.
    pub(crate) fn roll(&self, rolled: &Rolled, life: Life) -> Result<Self, InvalidValue> {
        let mut attachment = self.attachment.clone();
        let mut stamp = self.stamp;
        for (name, value) in &rolled.cookies {
            if self.cookie(name) != Some(value) {
                attachment.set_cookie(name, value)?;
                stamp.revision = self.stamp.revision + 1;
            }
        }
        Ok(Self {
            stamp,
            attachment,
            life,
        })
    }

    /// Whether both put the same on a request.
    pub(crate) fn is_same_value(&self, other: &Self) -> bool {
        self.attachment == other.attachment
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

/// What an answer does to the session that its request carried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The server gave a new value, or the same one with a new expiry.
    Rolled(Rolled),
    /// The server deleted the cookie: the session is over, as if it had expired.
    Ended,
}

/// New values for cookies that a credential carries.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Rolled {
    cookies: Vec<(String, String)>,
    expires_in: Option<Duration>,
}

impl Rolled {
    /// How long the new value is good, from its receipt, if the server said so.
    pub const fn expires_in(&self) -> Option<Duration> {
        self.expires_in
    }
}

impl fmt::Debug for Rolled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.cookies.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Rolled")
            .field("cookies", &names)
            .field("expires_in", &self.expires_in)
            .finish()
    }
}

/// What one request carried, when it was sent, and whether it was a replay: what its answer can speak of.
///
/// A few words, no allocation, no reference count. See [`Credentials::sending`](crate::Credentials::sending).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The cache that it is from: another's stamps say nothing here.
    pub(crate) mark: LoginMark,
    pub(crate) stamp: Stamp,
    pub(crate) sent: Moment,
    /// Whether its acceptance moves a deadline.
    pub(crate) slides: bool,
    /// Whether the URL that was sent holds a secret.
    pub(crate) query: bool,
    pub(crate) replay: bool,
}

impl Carried {
    /// The credential's generation and revision.
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether the credential was in the URL as well, which is therefore a secret, and so is what repeats it.
    pub const fn has_query(&self) -> bool {
        self.query
    }

    /// Whether this was the second sending of a request whose first was rejected.
    pub const fn is_replay(&self) -> bool {
        self.replay
    }
}

/// A value that can't be carried. It says which one and why, and doesn't repeat it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the {what} {why}")]
pub struct InvalidValue {
    what: &'static str,
    why: &'static str,
}

impl InvalidValue {
    pub(crate) const fn new(what: &'static str, why: &'static str) -> Self {
        Self { what, why }
    }
}
