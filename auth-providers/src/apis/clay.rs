//! Clay. Facts from the "Authentication" page of Clay's API guide (claydocs.claygenius.io), unless another source is named.

use std::time::Duration;

use auth_core::{Identity, Lifetime, LoginError, Quota, Secret, SecretSource, Session, SetCookie};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::account::{Account, BaseUrl};
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::{jwt, request, response};

/// "`POST https://api.clay.com/v3/auth/login`"
pub(crate) const BASE_URL: &str = "https://api.clay.com";
pub(crate) const LOGIN_PATH: &str = "/v3/auth/login";
/// "Extract the `claysession` cookie"
pub(crate) const COOKIE: &str = "claysession";
/// "Session cookies expire after 24 hours"; the sample cookie carries no Max-Age.
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// The page's own example of a request with the cookie.
pub(crate) const PROBE_PATH: &str = "/v3/my-workspaces";

/// A login to Clay: e-mail and password for the cookie `claysession`, good for 24 hours.
///
/// - The cookie goes out exactly as it was set: it is neither decoded nor encoded. If it is a JWT whose expiry can be read,
///   or is set with an expiry, that may shorten the 24 hours, and never lengthens them.
/// - 401 means that e-mail or password are wrong. 429 exists; how many logins are too many is not documented, so the
///   default of ten a minute holds.
/// - Clay asks for a fresh session at the beginning of each workflow: force a renewal there.
///
/// ```
/// use auth_core::SecretSource;
/// use auth_providers::{Clay, Login};
///
/// let clay = Clay::new("ada@example.com", SecretSource::variable("CLAY_PASSWORD"))?;
/// assert_eq!(clay.identity().origin().to_string(), "https://api.clay.com");
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clay {
    account: Account,
}

impl Clay {
    /// Logs in at `https://api.clay.com`.
    ///
    /// # Errors
    /// The e-mail address is empty, or has white space around it or a control character in it; or the password is given and empty.
    pub fn new(
        email: impl Into<Box<str>>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        let account = Account::new("clay", BaseUrl::parse(BASE_URL)?, email, password)?;
        Ok(Self { account })
    }

    /// Logs in elsewhere, at a test server for instance.
    ///
    /// # Errors
    /// Not an absolute URL, plain HTTP to another machine, or with a query or fragment.
    pub fn base_url(self, url: &str) -> Result<Self, ConfigError> {
        let account = self.account.at(BaseUrl::parse(url)?);
        Ok(Self { account })
    }

    /// Logs in elsewhere, be it over plain HTTP: whoever can listen on the way reads the password and the session.
    ///
    /// # Errors
    /// As [`base_url`](Self::base_url), but for plain HTTP.
    pub fn base_url_allow_plain_http(self, url: &str) -> Result<Self, ConfigError> {
        let account = self.account.at(BaseUrl::allow_plain_http(url)?);
        Ok(Self { account })
    }

    /// How long sessions live, whatever the documents and the response say.
    pub const fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.account.lifetime = Some(lifetime);
        self
    }

    /// How many logins to allow, for a program that shares its IP address with others: ten in any minute unless set, and
    /// never more than ten in any window, however long, nor a window shorter than a minute.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.account.limit(quota);
        self
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        self.account.url(path)
    }

    fn life(&self, cookie: &SetCookie, response: &http::Response<Bytes>) -> Lifetime {
        if let Some(lifetime) = self.account.lifetime {
            return lifetime;
        }
        let stated = [
            cookie.expires_in,
            jwt::life(&cookie.value, response::date(response.headers())),
        ];
        stated
            .into_iter()
            .flatten()
            .fold(Lifetime::of(LIFE), Lifetime::at_most)
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    email: &'a str,
    password: &'a str,
    /// "Must be `null`", and is required.
    source: (),
}

#[derive(Deserialize)]
struct ResponseBody {
    success: bool,
}

impl Login for Clay {
    fn identity(&self) -> &Identity {
        self.account.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.account.secret()
    }

    fn quota(&self) -> Quota {
        self.account.quota()
    }

    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
        let body = RequestBody {
            email: self.account.name(),
            password: secret.expose(),
            source: (),
        };
        request::post_json(&self.account.url(LOGIN_PATH), &body)
    }

    fn read(&self, response: &http::Response<Bytes>) -> Result<Session, LoginError> {
        response::expect_success(response)?;
        if !response::json::<ResponseBody>(response)?.success {
            return Err(LoginError::malformed("status 200 without success"));
        }
        let cookie = response::cookie(response, COOKIE)
            .ok_or_else(|| LoginError::malformed("no claysession cookie"))?;
        let life = self.life(&cookie, response);
        Ok(Session::new()
            .with_cookie(COOKIE, &cookie.value)?
            .with_lifetime(life))
    }

    fn probe_url(&self) -> Option<String> {
        Some(self.account.url(PROBE_PATH))
    }
}
