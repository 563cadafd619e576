//! Clay. Facts from the "Authentication" page of Clay's API guide (claydocs.claygenius.io), unless
//! another source is named.

use std::time::Duration;

use auth_core::{Lifetime, LoginError, Secret, SecretSource, Session, SetCookie};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::answers::Answers;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::step::Step;
use crate::{jwt, request, response};

/// "`POST https://api.clay.com/v3/auth/login`"
const BASE_URL: &str = "https://api.clay.com";
/// See [`BASE_URL`].
pub(crate) const LOGIN_PATH: &str = "/v3/auth/login";
/// "Extract the `claysession` cookie"
pub(crate) const COOKIE: &str = "claysession";
/// "Session cookies expire after 24 hours"; the sample cookie carries no Max-Age.
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// The page's own example of a request with the cookie.
pub(crate) const PROBE_PATH: &str = "/v3/my-workspaces";

/// A login to Clay: e-mail and password for the cookie `claysession`, which expires after 24 hours.
///
/// - Requests carry the cookie exactly as it was set; it is neither decoded nor encoded.
/// - An expiry of the cookie, or of the JWT in it, shortens the 24 hours and never extends them.
/// - Status 401 means that the e-mail address or password is wrong.
/// - Status 429 is documented, the limit behind it is not. The default quota applies.
/// - Clay asks for a fresh session at the beginning of each workflow. Force a renewal there.
///
/// ```
/// use auth_core::SecretSource;
/// use auth_providers::{Clay, Login};
///
/// let clay = Clay::new("ada@example.com", SecretSource::variable("CLAY_PASSWORD"))?;
/// assert_eq!(clay.url("/v3/my-workspaces"), "https://api.clay.com/v3/my-workspaces");
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Clay {
    account: Account,
}

impl Clay {
    /// A login at `https://api.clay.com`.
    ///
    /// # Errors
    /// See [`Account::new`].
    pub fn new(
        email: impl AsRef<str>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        let account = Account::new("clay", BASE_URL, email, password)?;
        Ok(Self { account })
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
    fn account(&self) -> &Account {
        &self.account
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
        let body = RequestBody {
            email: self.account.name(),
            password: secret.expose(),
            source: (),
        };
        request::post_json(&self.url(LOGIN_PATH), &body)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let response = answers.last();
        response::expect_success(response)?;
        if !response::json::<ResponseBody>(response)?.success {
            return Err(LoginError::malformed("status 200 without success"));
        }
        let cookie = answers
            .cookie(COOKIE)
            .ok_or_else(|| LoginError::malformed("no claysession cookie"))?;
        Ok(Session::new()
            .with_set_cookie(&cookie)?
            .with_lifetime(lifetime(&cookie, response))
            .into())
    }

    fn probe_url(&self) -> Option<String> {
        Some(self.url(PROBE_PATH))
    }
}

fn lifetime(cookie: &SetCookie, response: &http::Response<Bytes>) -> Lifetime {
    let stated = [cookie.expires_in, jwt::life(&cookie.value, response)];
    stated
        .into_iter()
        .flatten()
        .fold(Lifetime::of(LIFE), Lifetime::at_most)
}
