//! V1 login. Facts from the page "API Keys", on `POST /v1/login`, unless another source is named.

use std::time::Duration;

use auth_core::{Lifetime, LoginError, ProviderOptions, Secret, SecretSource, Session};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::account::Account;
use crate::answers::Answers;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::stated_life::is_plausible;
use crate::step::Step;
use crate::{jwt, request, response};

/// "`POST /v1/login`"
pub(crate) const LOGIN_PATH: &str = "/v1/login";
/// "The cookie is valid for 1 day."
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A login to an API that serves `POST /v1/login`: e-mail and password for a token that expires
/// after one day.
///
/// - The response has a token, "also the bearer token", and sets a cookie whose name is not
///   documented. Requests carry the token; after [`with_cookie`](Self::with_cookie) they carry the
///   cookies instead.
/// - A token that can be read as a JWT is valid until its expiry, any other for one day, and so is
///   one whose expiry is a hundred days away or more. The token of the page's own sample cannot be
///   read as a JWT.
/// - Status 400 means that the e-mail address or password is wrong, or that the request is
///   malformed. The request of this login has the documented form, so a 400 with a JSON object
///   refuses the login. A 400 with another body may come from a proxy and does not.
///
/// ```
/// use auth_providers::V1Login;
///
/// let login = V1Login::new("https://platform.example.com", "ada@example.com", "correct horse")?;
/// # let _ = login;
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct V1Login {
    account: Account,
    carries: Carries,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Carries {
    Token,
    Cookies,
}

impl V1Login {
    /// A login at the API with the base URL `base`.
    ///
    /// # Errors
    /// See [`Account::new`].
    pub fn new(
        base: impl TryInto<BaseUrl, Error: Into<ConfigError>>,
        email: impl AsRef<str>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            account: Account::new("v1-login", base, email, password)?,
            // The token's name and place are documented, the cookie's name is not.
            carries: Carries::Token,
        })
    }

    /// Makes requests carry all cookies that the login sets, instead of the token.
    pub const fn with_cookie(mut self) -> Self {
        self.carries = Carries::Cookies;
        self
    }
}

#[derive(Serialize)]
struct RequestBody<'a> {
    email: &'a str,
    password: &'a str,
}

#[derive(Deserialize)]
struct ResponseBody {
    success: bool,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    token: String,
}

/// An object. Its fields are not documented.
#[derive(Deserialize)]
struct ErrorBody {}

impl Login for V1Login {
    fn account(&self) -> &Account {
        &self.account
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    fn options(&self) -> ProviderOptions {
        // Taken apart so that no field is forgotten: the account is compared by itself.
        let Self {
            account: _,
            carries,
        } = self;
        ProviderOptions::of(*carries)
    }

    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
        let body = RequestBody {
            email: self.account.name(),
            password: secret.expose(),
        };
        request::post_json(&self.url(LOGIN_PATH), &body)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let response = answers.last();
        if response.status() == StatusCode::BAD_REQUEST
            && response::json::<ErrorBody>(response).is_ok()
        {
            return Err(LoginError::refused("status 400"));
        }
        response::expect_success(response)?;
        let ResponseBody { success, data } = response::json(response)?;
        if !success {
            return Err(LoginError::malformed("status 200 without success"));
        }
        let (session, life) = match self.carries {
            Carries::Token => {
                let stated = jwt::life(&data.token, response);
                let life = stated.filter(|life| is_plausible(*life, LIFE));
                (
                    Session::new().with_bearer(&data.token)?,
                    life.unwrap_or(LIFE),
                )
            }
            Carries::Cookies => with_cookies(answers)?,
        };
        Ok(session.with_lifetime(Lifetime::of(life)).into())
    }
}

/// A session of all cookies that the login sets, and its life: at most the documented day, and less
/// if its only cookie says so. Of several cookies, it is unknown which one is the session's, so
/// each is one that the session can do without.
fn with_cookies(answers: &Answers<'_>) -> Result<(Session, Duration), LoginError> {
    let cookies = answers.cookies();
    if let [only] = cookies.as_slice() {
        let life = only.expires_in.map_or(LIFE, |life| life.min(LIFE));
        return Ok((Session::new().with_set_cookie(only)?, life));
    }
    let mut session = Session::new();
    for cookie in &cookies {
        session = session.with_optional_cookie(cookie)?;
    }
    if session.is_empty() {
        return Err(LoginError::malformed("no cookie that can be carried"));
    }
    Ok((session, LIFE))
}
