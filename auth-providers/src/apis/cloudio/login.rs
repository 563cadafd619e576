use std::sync::LazyLock;
use std::time::Duration;

use auth_core::{Judge, LoginError, ProviderOptions, Secret, SecretSource};
use bytes::Bytes;
use http::HeaderName;
use http::header::AUTHORIZATION;

use super::judge::CloudIoJudge;
use crate::account::Account;
use crate::answers::Answers;
use crate::apis::by_recipe::by_recipe;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::recipe::{Recipe, RecipeLogin};
use crate::step::Step;

static RECIPE: LazyLock<Recipe> =
    LazyLock::new(|| Recipe::built_in(include_str!("../cloudio.json")));

/// The page's table of headers names this header. The sample request on the same page sends
/// `Authorization`, and is more likely to have been run.
const AUTHENTICATION: HeaderName = HeaderName::from_static("authentication");

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
    login: RecipeLogin,
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
        let login = RECIPE.login_at(base, user, password)?;
        if login.account().name().contains(':') {
            return Err(ConfigError::ColonInUserName);
        }
        Ok(Self {
            login,
            judge: CloudIoJudge::default(),
        })
    }

    /// Sends the login in the header `Authentication`, as CloudIO's table says, instead of
    /// `Authorization`.
    pub fn authentication_header(mut self) -> Self {
        self.login.rename_header(&AUTHORIZATION, &AUTHENTICATION);
        self
    }

    /// Sets the inactivity after which a session ends: the server's own setting `sessionTimeout`,
    /// which counts in minutes.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.login.set_span("session_timeout", timeout);
        self
    }

    /// Makes every status 403 reject the session. A request that is not permitted then costs a
    /// login from time to time; the cache bounds how often.
    pub const fn forbidden_is_rejected(mut self) -> Self {
        self.judge.forbidden_is_rejected = true;
        self
    }
}

impl Login for CloudIo {
    by_recipe!(account variant request read);

    fn judge(&self) -> &dyn Judge {
        &self.judge
    }

    fn options(&self) -> ProviderOptions {
        ProviderOptions::of((self.login.options(), self.judge))
    }
}
