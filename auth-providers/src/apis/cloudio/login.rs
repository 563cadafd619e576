use std::time::Duration;

use auth_core::{Judge, Lifetime, LoginError, ProviderOptions, Secret, SecretSource, Session};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::judge::CloudIoJudge;
use crate::account::Account;
use crate::answers::Answers;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::step::Step;
use crate::{jwt, request, response};

/// "`POST https://next.cloudio.io/v1/auth`"
pub(crate) const LOGIN_PATH: &str = "/v1/auth";
/// "Authentication token, e.g. Token ${btoa(`${username}:${password}`)}"
pub(crate) const SCHEME: &str = "Token ";
/// The page's table of headers names this header. The sample request on the same page sends
/// `Authorization`.
pub(crate) const AUTHENTICATION: HeaderName = HeaderName::from_static("authentication");
/// CloudIO docs, on querying and posting data: the query carries `csrf`, and a Bearer header `jwt`.
pub(crate) const CSRF: &str = "csrf";

/// A login to CloudIO: user name and password for two values, `jwt`, a bearer token, and `csrf`, a
/// query parameter.
///
/// - Both values belong to one login, and change together.
/// - Status 403 with CloudIO's own JSON means that the user name or password is wrong. With any
///   other body it does not.
/// - The lifetime of a session is not documented. A session is used until it is rejected, until the
///   expiry of its `jwt` if there is one, or until the inactivity that
///   [`session_timeout`](Self::session_timeout) states.
/// - The response to an expired session is not documented. Status 401 rejects a session. Status 403
///   does if its JSON says that a session, token or csrf value is expired, invalid or missing. Any
///   other 403 means that the request is not permitted, unless
///   [`forbidden_is_rejected`](Self::forbidden_is_rejected) says otherwise.
///
/// ```
/// use std::time::Duration;
/// use auth_core::SecretSource;
/// use auth_providers::CloudIo;
///
/// let password = SecretSource::file("/run/secrets/cloudio");
/// let cloudio = CloudIo::new("https://next.cloudio.io", "service", password)?
///     .session_timeout(Duration::from_secs(30 * 60));
/// # let _ = cloudio;
/// # Ok::<(), auth_providers::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CloudIo {
    account: Account,
    login_header: HeaderName,
    idle: Option<Duration>,
    judge: CloudIoJudge,
}

impl CloudIo {
    /// A login at the host with the base URL `base`.
    ///
    /// # Errors
    /// See [`Account::new`]; and [`ConfigError::ColonInUserName`], since a colon ends the user name
    /// in the login's header.
    pub fn new(
        base: impl TryInto<BaseUrl, Error: Into<ConfigError>>,
        user: impl AsRef<str>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        let account = Account::new("cloudio", base, user, password)?;
        if account.name().contains(':') {
            return Err(ConfigError::ColonInUserName);
        }
        Ok(Self {
            account,
            // The sample request is more likely to have been run than the table.
            login_header: AUTHORIZATION,
            idle: None,
            judge: CloudIoJudge::default(),
        })
    }

    /// Sends the login in the header `Authentication`, as CloudIO's table says, instead of
    /// `Authorization`.
    pub fn authentication_header(mut self) -> Self {
        self.login_header = AUTHENTICATION;
        self
    }

    /// Sets the inactivity after which a session ends: the server's own setting `sessionTimeout`,
    /// which counts in minutes.
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// Makes every status 403 reject the session. A request that is not permitted then costs a
    /// login from time to time; the cache bounds how often.
    pub const fn forbidden_is_rejected(mut self) -> Self {
        self.judge.forbidden_is_rejected = true;
        self
    }

    /// `Token base64(user:password)`, in buffers that are zeroed and never grow, since growing
    /// would leave copies that are not zeroed.
    fn token(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, LoginError> {
        let (user, password) = (self.account.name(), secret.expose());
        let mut pair = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
        pair.extend_from_slice(user.as_bytes());
        pair.push(b':');
        pair.extend_from_slice(password.as_bytes());

        let too_long = || LoginError::misconfigured("the password is too long");
        let encoded = base64::encoded_len(pair.len(), true).ok_or_else(too_long)?;
        let mut value = Zeroizing::new(vec![0; SCHEME.len() + encoded]);
        let (scheme, token) = value.split_at_mut(SCHEME.len());
        scheme.copy_from_slice(SCHEME.as_bytes());
        STANDARD
            .encode_slice(&*pair, token)
            .map_err(|_| too_long())?;
        Ok(value)
    }
}

#[derive(Deserialize)]
struct ResponseBody {
    status: String,
    jwt: String,
    csrf: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    status: String,
}

impl Login for CloudIo {
    fn account(&self) -> &Account {
        &self.account
    }

    fn account_mut(&mut self) -> &mut Account {
        &mut self.account
    }

    fn judge(&self) -> &dyn Judge {
        &self.judge
    }

    fn options(&self) -> ProviderOptions {
        // Taken apart so that no field is forgotten: the account is compared by itself.
        let Self {
            account: _,
            login_header,
            idle,
            judge,
        } = self;
        ProviderOptions::of((login_header.clone(), *idle, *judge))
    }

    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
        // "Empty body {}"
        let body = Bytes::from_static(b"{}");
        let mut request = request::post(&self.url(LOGIN_PATH), body)?;
        let token = request::secret_header(self.token(secret)?)?;
        request
            .headers_mut()
            .insert(self.login_header.clone(), token);
        Ok(request)
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        let response = answers.last();
        if response.status() == StatusCode::FORBIDDEN {
            // A firewall sends 403, too. Only `"status": "ERROR"` is CloudIO's.
            return Err(match response::json::<ErrorBody>(response) {
                Ok(refusal) if refusal.status == "ERROR" => LoginError::refused("status 403"),
                _ => response::failure(response),
            });
        }
        response::expect_success(response)?;
        let ResponseBody { status, jwt, csrf } = response::json(response)?;
        if status != "OK" {
            return Err(LoginError::malformed("status 200 without \"OK\""));
        }
        let stated = jwt::life(&jwt, response);
        let life = stated.map_or(Lifetime::unknown(), Lifetime::of);
        let life = self.idle.map_or(life, |timeout| life.idle(timeout));
        Ok(Session::new()
            .with_bearer(&jwt)?
            // White space is no part of it: the page's sample is hexadecimal.
            .with_query(CSRF, csrf.trim())?
            .with_lifetime(life)
            .into())
    }
}
