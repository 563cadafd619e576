//! The result of a login.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use crate::credential::{Attachment, InvalidValue};
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
    /// # Errors
    /// [`InvalidValue`] if the token is empty or can't be in a header.
    pub fn with_bearer(self, token: &str) -> Result<Self, InvalidValue> {
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

    /// Adds a pair to the `Cookie` header, beside the cookies that the request has. The value is
    /// sent byte for byte as given.
    ///
    /// # Errors
    /// [`InvalidValue`] if the name is not a token (RFC 6265, section 4.1.1), or if the value is
    /// empty or can't be in a `Cookie` header.
    pub fn with_cookie(mut self, name: &str, value: &str) -> Result<Self, InvalidValue> {
        self.attachment.set_cookie(name, value)?;
        Ok(self)
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
    /// unless set.
    pub const fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long the session is good.
    pub const fn lifetime(&self) -> Lifetime {
        self.lifetime
    }

    /// The session, unless it is of no use. Its login has failed then.
    pub(crate) fn usable(self) -> Result<Self, LoginError> {
        if self.is_empty() {
            return Err(LoginError::malformed("a session that carries nothing"));
        }
        let lifetime = self.lifetime;
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
