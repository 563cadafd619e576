//! V1 login. See `recipes/v1_login.toml`.

use std::sync::LazyLock;
use std::time::Duration;

use auth_core::{Lifetime, LoginError, ProviderOptions, Secret, SecretSource, Session};
use bytes::Bytes;

use super::by_recipe::by_recipe;
use crate::account::Account;
use crate::answers::Answers;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::recipe::{Recipe, RecipeLogin};
use crate::step::Step;

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe::built_in(include_str!("v1_login.json")));

/// "The cookie is valid for 1 day."
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

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
    login: RecipeLogin,
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
            login: RECIPE.login_at(base, email, password)?,
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

impl Login for V1Login {
    by_recipe!(account request);

    fn options(&self) -> ProviderOptions {
        ProviderOptions::of((self.login.options(), self.carries))
    }

    fn variant(&self) -> String {
        let variant = self.login.variant();
        match self.carries {
            Carries::Token => variant,
            Carries::Cookies => format!("{variant}cookies"),
        }
    }

    fn read(&self, answers: &Answers<'_>) -> Result<Step, LoginError> {
        // The answer is the documented one in both cases, with its token.
        let with_token = self.login.read(answers)?;
        match self.carries {
            Carries::Token => Ok(with_token),
            Carries::Cookies => {
                let (session, life) = with_cookies(answers)?;
                Ok(session.with_lifetime(Lifetime::of(life)).into())
            }
        }
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
