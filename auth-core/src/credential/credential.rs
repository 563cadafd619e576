//! The values that are put on requests.

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::attachment::Attachment;
use super::change::{Change, Rolled};
use super::set_cookie::{SetCookie, set_cookies};
use super::{InvalidValue, Stamp};
use crate::lifetime::Life;
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
    pub(crate) fn new(stamp: Stamp, session: Session, life: Life) -> Self {
        Self {
            stamp,
            attachment: session.attachment,
            life,
        }
    }

    /// Which login and which value of its session this is.
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Puts the headers and cookies on a request.
    ///
    /// A header of the same name is replaced. Cookies are merged into a `Cookie` header that is
    /// there, and replace pairs of the same name. Values are marked sensitive. Allocates nothing,
    /// unless the map has to grow or there is a `Cookie` header already.
    pub fn attach_headers(&self, headers: &mut HeaderMap) {
        self.attachment.attach_headers(headers);
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

    /// The value of a cookie that the credential carries.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        self.attachment.cookie(name)
    }

    /// The value of a header that the credential carries. Its cookies are not among them.
    #[inline]
    pub fn header(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.attachment.header(name)
    }

    /// What the `Set-Cookie` headers of a response change about this credential, if anything. Only
    /// cookies that it carries count, and if it carries several, the session ends when all are
    /// deleted. If the response sets no cookie, this costs one look-up.
    pub(crate) fn change_in(&self, response: &HeaderMap) -> Option<Change> {
        if !self.attachment.has_cookies() {
            return None;
        }
        let mut last: Vec<SetCookie> = Vec::new();
        for cookie in set_cookies(response).filter(|cookie| self.cookie(&cookie.name).is_some()) {
            // The last cookie of a name counts, as in a browser.
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
        // The deletion of one cookie of several says little about the session: the cookie of a load
        // balancer expires every half hour, and that of a flash message once it was shown.
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

    /// The same session with the server's new values. It is the next revision, or the same revision
    /// if no value differs.
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
