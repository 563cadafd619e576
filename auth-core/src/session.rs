//! What a login brought.

use std::fmt;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue};

use crate::credential::{Attachment, InvalidValue};
use crate::error::LoginError;
use crate::lifetime::Lifetime;

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
    pub(crate) attachment: Attachment,
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

    /// The session, unless it is of no use: then its login has failed.
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
