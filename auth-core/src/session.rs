//! The result of a login.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::credential::{Attachment, InvalidValue, SetCookie, Target};
use crate::error::LoginError;
use crate::lifetime::Lifetime;

/// The result of a login: the values that requests carry from now on, and how long they are good.
///
/// A provider builds it from the login's response. Every value is checked here once, so that
/// attaching it can't fail.
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
    pub(crate) attachment: Attachment,
    lifetime: Lifetime,
}

impl Session {
    /// A session that carries nothing yet. If it stays empty, its login counts as failed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `Authorization: Bearer <token>`.
    ///
    /// White space and byte order marks around the token are left out, since no token contains any
    /// (RFC 6750, section 2.1).
    ///
    /// # Errors
    /// [`InvalidValue`] if the token is empty or can't be in a header.
    pub fn with_bearer(self, token: &str) -> Result<Self, InvalidValue> {
        let token = token.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if token.is_empty() {
            return Err(InvalidValue::new("bearer token", "is empty"));
        }
        let value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| InvalidValue::new("bearer token", "can't stand in a header"))?;
        Ok(self.with_header(AUTHORIZATION, value))
    }

    /// Adds a header, which replaces one of the same name on the request. It is marked sensitive.
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.attachment.set_header(name, value);
        self
    }

    /// Adds a cookie that the session needs. Every request within the scope carries it, byte for
    /// byte as given, beside the cookies that the request has.
    ///
    /// The server may set it anew, and then its life is a bound of the session's. Until then it has
    /// the life that the session is [given](Self::with_lifetime).
    ///
    /// # Errors
    /// [`InvalidValue`] if the name is not a token (RFC 6265, section 4.1.1), or if the value is
    /// empty or can't be in a `Cookie` header.
    pub fn with_cookie(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.attachment.set_cookie(name, value)?;
        Ok(self)
    }

    /// Adds a cookie that the session needs, as the login's response set it: with its path, its
    /// domain, `Secure`, and its life, which is a bound of the session's. Attributes narrow the
    /// scope and never widen it. Without them, the cookie goes to the whole scope.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::{Session, set_cookies};
    ///
    /// let mut headers = http::HeaderMap::new();
    /// headers.append("set-cookie", "sid=s%3Aabc; Secure; Max-Age=3600".parse()?);
    /// headers.append("set-cookie", "csrf=29f5; Path=/api".parse()?);
    /// let mut session = Session::new();
    /// for cookie in set_cookies(&headers) {
    ///     session = session.with_set_cookie(&cookie)?;
    /// }
    /// assert_eq!(session.lifetime().hard_expiry(), Some(Duration::from_secs(3_600)));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidValue`] if the cookie is deleted or empty, or can't be in a `Cookie` header.
    pub fn with_set_cookie(mut self, cookie: &SetCookie) -> Result<Self, InvalidValue> {
        self.attachment.add_cookie(cookie, true)?;
        Ok(self)
    }

    /// As [`with_set_cookie`](Self::with_set_cookie), for a cookie that the session can do without:
    /// it neither ends the session nor extends it.
    ///
    /// # Errors
    /// As [`with_set_cookie`](Self::with_set_cookie).
    pub fn with_optional_cookie(mut self, cookie: &SetCookie) -> Result<Self, InvalidValue> {
        self.attachment.add_cookie(cookie, false)?;
        Ok(self)
    }

    /// Keeps every cookie beside its own, as a browser does: those that the login's `response` sets
    /// and those of later responses. They go where a browser would send them, within the scope, and
    /// neither end the session nor extend it. A load balancer that pins a session to a machine
    /// needs its cookie.
    ///
    /// Unless this is called, only cookies of the names that were added are kept. Call it after
    /// they were. `target` is where the login was sent.
    pub fn keep_cookies(mut self, response: &HeaderMap, target: Target<'_>) -> Self {
        self.attachment.keep_cookies(response, target);
        self
    }

    /// Adds a pair to the query, which replaces one of the same name. Name and value are
    /// percent-encoded here.
    ///
    /// # Errors
    /// [`InvalidValue`] if the name or the value is empty.
    pub fn with_query(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.attachment.set_query(name, value)?;
        Ok(self)
    }

    /// Sets how long the session is good, counted from the receipt of the login's response. Unknown
    /// unless set. The life of a cookie that the session needs may shorten it: the hard expiry or,
    /// in a sliding session, the idle timeout.
    pub const fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// As [`with_lifetime`](Self::with_lifetime), whatever lives its cookies were given so far.
    pub fn override_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.attachment.forget_cookie_lives();
        self.with_lifetime(lifetime)
    }

    /// How long the session is good.
    pub fn lifetime(&self) -> Lifetime {
        let stated = self.lifetime;
        let lives = self.attachment.cookie_lives(stated.hard_expiry());
        match (lives.shortest, stated.idle_timeout()) {
            (None, _) => stated,
            (Some(shortest), Some(idle)) => stated.idle(shortest.min(idle)),
            (Some(shortest), None) => stated.at_most(shortest),
        }
    }

    /// How long the session is good, without regard to its cookies.
    pub(crate) const fn stated_lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The session, unless it is of no use. Its login has failed then.
    pub(crate) fn usable(self) -> Result<Self, LoginError> {
        if self.is_empty() {
            return Err(LoginError::malformed("a session that carries nothing"));
        }
        let lifetime = self.lifetime();
        let lives = [
            lifetime.hard_expiry(),
            lifetime.idle_timeout(),
            lifetime.absolute_maximum(),
        ];
        if lives.contains(&Some(Duration::ZERO)) {
            return Err(LoginError::malformed(
                "a session that had expired when it was issued",
            ));
        }
        Ok(self)
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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn rule_18_what_surrounds_a_bearer_token_is_left_out() {
        for token in ["t-1", " t-1", "t-1\n", "\u{feff}t-1", "\r\n\tt-1 \u{a0}"] {
            let session = Session::new().with_bearer(token).unwrap();
            let header = session.attachment.header(&AUTHORIZATION).unwrap();
            assert_eq!(header, "Bearer t-1", "{token:?}");
        }
        for token in ["", " ", "\u{feff}\n", "t\n1", "t-1\0"] {
            assert!(Session::new().with_bearer(token).is_err(), "{token:?}");
        }
    }
}
