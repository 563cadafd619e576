use std::time::Duration;

use auth_core::{Identity, Judge, Lifetime, LoginError, Quota, Secret, SecretSource, Session};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::judge::CloudIoJudge;
use crate::account::{Account, BaseUrl};
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::{jwt, request, response};

/// "`POST https://next.cloudio.io/v1/auth`"
pub(crate) const LOGIN_PATH: &str = "/v1/auth";
/// "Authentication token, e.g. Token ${btoa(`${username}:${password}`)}"
pub(crate) const SCHEME: &str = "Token ";
/// The table of headers names this one; the sample request on the same page sends `Authorization`.
pub(crate) const AUTHENTICATION: HeaderName = HeaderName::from_static("authentication");
/// CloudIO docs, on querying and posting data: the csrf value goes into the query, the jwt into a Bearer header.
pub(crate) const CSRF: &str = "csrf";

/// A login to CloudIO: user name and password for two values, `jwt` as a bearer token and `csrf` as a query parameter.
///
/// - Both values belong to one login, and change together.
/// - 403 with CloudIO's own JSON means that user name or password are wrong; with anything else it is no refusal.
/// - How long a session lives is not documented. It is used until it is rejected, unless the `jwt` states an expiry, or
///   [`session_timeout`](Self::session_timeout) says after how much silence it ends.
/// - What the response to a dead session is is not documented. 401 always rejects one. 403 does where its JSON says that a session, a
///   token or csrf value is expired, invalid or missing; any other 403 means that something is not permitted, unless
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
    /// Logs in at the host `base_url`.
    ///
    /// # Errors
    /// The URL can't be used, the user name is empty, has a colon in it, or has white space around it or a control character in it,
    /// or the password is given and empty.
    pub fn new(
        base_url: &str,
        user: impl Into<Box<str>>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        Self::at(BaseUrl::parse(base_url)?, user, password)
    }

    /// The same, be it over plain HTTP: whoever can listen on the way reads the password and the session.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for plain HTTP.
    pub fn allow_plain_http(
        base_url: &str,
        user: impl Into<Box<str>>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        Self::at(BaseUrl::allow_plain_http(base_url)?, user, password)
    }

    fn at(
        base: BaseUrl,
        user: impl Into<Box<str>>,
        password: impl Into<SecretSource>,
    ) -> Result<Self, ConfigError> {
        let account = Account::new("cloudio", base, user, password)?;
        if account.name().contains(':') {
            return Err(ConfigError::ColonInUserName);
        }
        Ok(Self {
            account,
            // The sample is code that somebody ran; the table is prose.
            login_header: AUTHORIZATION,
            idle: None,
            judge: CloudIoJudge::default(),
        })
    }

    /// Sends the login under the name `Authentication`, as CloudIO's table has it, instead of `Authorization`.
    pub fn authentication_header(mut self) -> Self {
        self.login_header = AUTHENTICATION;
        self
    }

    /// After how much silence a session ends: the server's own setting `sessionTimeout`, which counts in minutes.
    pub const fn session_timeout(mut self, timeout: Duration) -> Self {
        self.idle = Some(timeout);
        self
    }

    /// Takes every 403 for a dead session. A request that is not permitted then costs a login now and again, which the cache
    /// holds in bounds.
    pub const fn forbidden_is_rejected(mut self) -> Self {
        self.judge.forbidden_is_rejected = true;
        self
    }

    /// How long sessions live, whatever the response says.
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

    /// `Token base64(user:password)`, in buffers that never grow and are zeroed.
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
    fn identity(&self) -> &Identity {
        self.account.identity()
    }

    fn secret(&self) -> &SecretSource {
        self.account.secret()
    }

    fn quota(&self) -> Quota {
        self.account.quota()
    }

    fn judge(&self) -> &dyn Judge {
        &self.judge
    }

    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError> {
        // "Empty body {}"
        let body = Bytes::from_static(b"{}");
        let mut request = request::post(&self.account.url(LOGIN_PATH), body)?;
        let token = request::secret_header(self.token(secret)?)?;
        request
            .headers_mut()
            .insert(self.login_header.clone(), token);
        Ok(request)
    }

    fn read(&self, response: &http::Response<Bytes>) -> Result<Session, LoginError> {
        if response.status() == StatusCode::FORBIDDEN {
            // A firewall's 403 is not CloudIO's: only `"status": "ERROR"` says that the user name or password is wrong.
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
        let life = self.account.lifetime.unwrap_or_else(|| {
            let stated = jwt::life(&jwt, response::date(response.headers()));
            let life = stated.map_or(Lifetime::unknown(), Lifetime::of);
            self.idle.map_or(life, |timeout| life.idle(timeout))
        });
        Ok(Session::new()
            .with_bearer(&jwt)?
            .with_query(CSRF, &csrf)?
            .with_lifetime(life))
    }
}
