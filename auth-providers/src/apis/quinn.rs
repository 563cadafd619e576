//! Quinn. Facts from the Quinn API reference, "POST /api/auth/login", unless another source is
//! named.

use std::time::Duration;

use auth_core::{Credential, Lifetime, LoginError, Logout, Secret, SecretSource, Session};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::answers::Answers;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::stated_life::is_plausible;
use crate::step::Step;
use crate::{request, response};

/// "POST /api/auth/login"
pub(crate) const LOGIN_PATH: &str = "/api/auth/login";
/// "Logout: POST /api/auth/logout when done"
pub(crate) const LOGOUT_PATH: &str = "/api/auth/logout";
/// "Get user info: GET /api/auth/me"
pub(crate) const PROBE_PATH: &str = "/api/auth/me";
/// "The session cookie (sessionId)"
pub(crate) const COOKIE: &str = "sessionId";
/// "It expires after 7 days of inactivity": `Max-Age=604800`.
pub(crate) const IDLE: Duration = Duration::from_secs(604_800);
/// Stated by Quinn, but not on that page: no session is valid for more than 30 days.
pub(crate) const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// "User's password (minimum 8 characters)"
pub(crate) const SHORTEST_PASSWORD: usize = 8;

/// A login to an instance of Quinn: e-mail and password for the cookie `sessionId`, which expires
/// after 7 days of inactivity, or after 30 days in all.
///
/// - Each request extends the 7 days. A response may set the cookie again, with the same value or a
///   new one; requests carry the newest.
/// - "10 per minute per IP address": other processes and machines behind the same address count,
///   too. Give each its share with [`quota`](Login::quota).
/// - A password has at least 8 characters. A shorter one is refused without a login.
/// - Status 401 means that the e-mail address or password is wrong. This is an assumption; the
///   reference does not say it.
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
    /// A login at the instance with the base URL `base`.
    ///
    /// # Errors
    /// See [`Account::new`]; and [`ConfigError::ShortPassword`], if `password` is a fixed value of
    /// fewer than 8 characters.
    pub fn new(
        base: impl TryInto<BaseUrl, Error: Into<ConfigError>>,
        email: impl AsRef<str>,
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
}

/// Counts UTF-16 units, as a server in JavaScript does. No other count of characters is larger, so
/// no password that the server accepts is refused.
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
    /// An object whose presence is documented. Its fields are not needed.
    #[serde(rename = "user")]
    _user: User,
}

#[derive(Deserialize)]
struct User {}

impl Login for Quinn {
    fn account(&self) -> &Account {
        &self.account
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        if is_too_short(secret) {
            return Err(LoginError::misconfigured(format!(
                "the password is shorter than the {SHORTEST_PASSWORD} characters that Quinn requires"
            )));
        }
        Ok(())
    }

    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
        let body = RequestBody {
            email: self.account.name(),
            password: secret.expose(),
        };
        request::post_json(&self.url(LOGIN_PATH), &body)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        response::expect_success(answers.last())?;
        response::json::<ResponseBody>(answers.last())?;
        let mut cookie = answers
            .cookie(COOKIE)
            .ok_or_else(|| LoginError::malformed("no sessionId cookie"))?;
        cookie.expires_in = cookie.expires_in.filter(|idle| is_plausible(*idle, IDLE));
        let idle = cookie.expires_in.unwrap_or(IDLE);
        Ok(Session::new()
            .with_set_cookie(&cookie)?
            .with_lifetime(Lifetime::unknown().idle(idle).absolute(ABSOLUTE))
            .into())
    }

    fn logout_request(&self, credential: &Credential) -> Option<http::Request<Bytes>> {
        let mut request = request::post_empty(&self.url(LOGOUT_PATH)).ok()?;
        credential.attach(&mut request).ok()?;
        Some(request)
    }

    /// A logout needs nothing but the cookie, so a 401 says that the session is over.
    fn logged_out(&self, response: &http::Response<Bytes>, _: Logout) -> Result<(), LoginError> {
        response::logged_out(response, self.judge(), true)
    }

    fn probe_url(&self) -> Option<String> {
        Some(self.url(PROBE_PATH))
    }
}
