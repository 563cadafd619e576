//! Quinn. Facts from the Quinn API reference, "POST /api/auth/login", unless another source is named.

use std::time::Duration;

use auth_core::{Credential, Identity, Lifetime, LoginError, Quota, Secret, SecretSource, Session};
use bytes::Bytes;
use http::Method;
use serde::{Deserialize, Serialize};

use crate::account::{Account, BaseUrl};
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::{request, response};

pub(crate) const LOGIN_PATH: &str = "/api/auth/login";
/// "Logout: POST /api/auth/logout when done"
pub(crate) const LOGOUT_PATH: &str = "/api/auth/logout";
/// "Get user info: GET /api/auth/me"
pub(crate) const PROBE_PATH: &str = "/api/auth/me";
/// "The session cookie (sessionId)"
pub(crate) const COOKIE: &str = "sessionId";
/// "It expires after 7 days of inactivity": `Max-Age=604800`.
pub(crate) const IDLE: Duration = Duration::from_secs(604_800);
/// Stated by Quinn elsewhere than on that page: no session outlives 30 days, however busy it is.
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// "User's password (minimum 8 characters)"
pub(crate) const SHORTEST_PASSWORD: usize = 8;

/// A login to an instance of Quinn: e-mail and password for the cookie `sessionId`, good for 7 days of silence and 30 days
/// in all.
///
/// - Each request extends the 7 days. The server may set the cookie anew, even with a new value; the newest counts.
/// - Logins are limited to 10 per minute *and address*: other processes and machines behind the same address count, too. Give
///   each its share with [`quota`](Self::quota).
/// - A password of fewer than 8 characters can't be right, and no attempt is spent on one.
/// - Wrong credentials get status 401; that is not documented but assumed.
/// - Closing the credentials logs out.
///
/// ```
/// use auth_providers::{Login, Quinn};
///
/// let quinn = Quinn::new("https://acme.replit.app", "ada@example.com", "correct horse")?;
/// assert_eq!(quinn.probe_url().as_deref(), Some("https://acme.replit.app/api/auth/me"));
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Quinn {
    account: Account,
}

impl Quinn {
    /// Logs in at the instance `base_url`.
    ///
    /// # Errors
    /// The URL can't be used, the e-mail address is empty, or has white space around it or a control character in it, or the
    /// password is given and shorter than 8 characters.
    pub fn new(
        base_url: &str,
        email: impl Into<Box<str>>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        Self::at(BaseUrl::parse(base_url)?, email, password)
    }

    /// The same, be it over plain HTTP: whoever can listen on the way reads the password and the session.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for plain HTTP.
    pub fn allow_plain_http(
        base_url: &str,
        email: impl Into<Box<str>>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        Self::at(BaseUrl::allow_plain_http(base_url)?, email, password)
    }

    fn at(
        base: BaseUrl,
        email: impl Into<Box<str>>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        let account = Account::new("quinn", base, email, password)?;
        if account.secret().fixed().is_some_and(is_too_short) {
            return Err(ConfigError::ShortPassword {
                minimum: SHORTEST_PASSWORD,
            });
        }
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
}

/// Counted as a server in JavaScript counts, in UTF-16 units: of all ways to count, the one that finds the most.
fn is_too_short(password: &Secret) -> bool {
    password.expose().encode_utf16().count() < SHORTEST_PASSWORD
}

#[derive(Serialize)]
struct RequestBody<'a> {
    email: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct ResponseBody {
    /// An object, of which nothing is needed.
    #[serde(rename = "user")]
    _user: User,
}

#[derive(Deserialize)]
struct User {}

impl Login for Quinn {
    fn identity(&self) -> &Identity {
        self.account.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.account.secret()
    }

    /// "10 per minute per IP address"
    fn quota(&self) -> Quota {
        self.account.quota()
    }

    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        if is_too_short(secret) {
            return Err(LoginError::misconfigured(format!(
                "the password is shorter than the {SHORTEST_PASSWORD} characters that Quinn asks for"
            )));
        }
        Ok(())
    }

    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
        let body = RequestBody {
            email: self.account.name(),
            password: secret.expose(),
        };
        request::post_json(&self.account.url(LOGIN_PATH), &body)
    }

    fn read(&self, response: &http::Response<Bytes>) -> Result<Session, LoginError> {
        response::expect_success(response)?;
        response::json::<ResponseBody>(response)?;
        let cookie = response::cookie(response, COOKIE)
            .ok_or_else(|| LoginError::malformed("no sessionId cookie"))?;
        let life = self.account.lifetime.unwrap_or_else(|| {
            let idle = cookie.expires_in.unwrap_or(IDLE);
            Lifetime::unknown().idle(idle).absolute(ABSOLUTE)
        });
        Ok(Session::new()
            .with_cookie(COOKIE, &cookie.value)?
            .with_lifetime(life))
    }

    fn logout_request(&self, credential: &Credential) -> Option<http::Request<Bytes>> {
        let mut request = http::Request::new(Bytes::new());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.account.url(LOGOUT_PATH).parse().ok()?;
        credential.attach(&mut request).ok()?;
        Some(request)
    }

    fn probe_url(&self) -> Option<String> {
        Some(self.account.url(PROBE_PATH))
    }
}
