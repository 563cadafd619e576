//! V1 login. Facts from the page "API Keys", on `POST /v1/login`, unless another source is named.

use std::time::Duration;

use auth_core::{
    Identity, Lifetime, LoginError, Quota, Secret, SecretSource, Session, set_cookies,
};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::account::{Account, BaseUrl};
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::{jwt, request, response};

pub(crate) const LOGIN_PATH: &str = "/v1/login";
/// "The cookie is valid for 1 day."
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// A login to an API that serves `POST /v1/login`: e-mail and password for a token that is good for one day.
///
/// - The response has a token, "also the bearer token", and sets a cookie that is not named. Requests carry the token; with
///   [`with_cookie`](Self::with_cookie) they carry whatever cookies were set, and no token.
/// - If the token can be read as a JWT, it lives as long as it says itself, and otherwise for one day. The token in the
///   documents' own sample can't be read as one.
/// - Wrong credentials get status 400. So are requests that the server finds malformed; as ours always have the
///   documented form, a 400 with JSON in it counts as wrong credentials. A 400 without is taken for somebody else's.
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

#[derive(Clone, Copy, Debug)]
enum Carries {
    Token,
    Cookies,
}

impl V1Login {
    /// Logs in at the host `base_url`.
    ///
    /// # Errors
    /// The URL can't be used, the e-mail address is empty, or has white space around it or a control character in it, or the password
    /// is given and empty.
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
        Ok(Self {
            account: Account::new("v1-login", base, email, password)?,
            // The token has a documented name and place; the cookie has neither.
            carries: Carries::Token,
        })
    }

    /// Requests carry the cookies that the login sets, all of them, instead of the token.
    pub const fn with_cookie(mut self) -> Self {
        self.carries = Carries::Cookies;
        self
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

/// An object; what is in it is not documented.
#[derive(Deserialize)]
struct ErrorBody {}

impl Login for V1Login {
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
        };
        request::post_json(&self.account.url(LOGIN_PATH), &body)
    }

    fn read(&self, response: &http::Response<Bytes>) -> Result<Session, LoginError> {
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
                let stated = jwt::life(&data.token, response::date(response.headers()));
                (
                    Session::new().with_bearer(&data.token)?,
                    stated.unwrap_or(LIFE),
                )
            }
            Carries::Cookies => with_cookies(response)?,
        };
        let lifetime = self.account.lifetime.unwrap_or(Lifetime::of(life));
        Ok(session.with_lifetime(lifetime))
    }
}

/// All cookies that can be carried, and how long the session is good: what its cookie says, if there is but one, within the
/// documented day. Of several it is not known which one is the session's.
fn with_cookies(response: &http::Response<Bytes>) -> Result<(Session, Duration), LoginError> {
    let mut session = Session::new();
    let mut ages = Vec::new();
    for set in set_cookies(response.headers()) {
        // The last one of a name decides whether there is one, and replaces those before it.
        let Some(cookie) = response::cookie(response, &set.name) else {
            continue;
        };
        // What can't be carried is hardly the session.
        if let Ok(with) = session.clone().with_cookie(&cookie.name, &cookie.value) {
            session = with;
            ages.retain(|(name, _)| *name != cookie.name);
            ages.push((cookie.name, cookie.expires_in));
        }
    }
    match ages.as_slice() {
        [] => Err(LoginError::malformed("no cookie that can be carried")),
        [(_, Some(age))] => Ok((session, LIFE.min(*age))),
        _ => Ok((session, LIFE)),
    }
}
