//! Quinn. See `recipes/quinn.toml`.

use std::sync::LazyLock;

use auth_core::{Credential, LoginError, Logout, ProviderOptions, Secret, SecretSource};
use bytes::Bytes;

use super::by_recipe::by_recipe;
use crate::account::Account;
use crate::answers::Answers;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::recipe::{Recipe, RecipeLogin};
use crate::step::Step;

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe::built_in(include_str!("quinn.json")));

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
    login: RecipeLogin,
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
        let login = RECIPE.login_at(base, email, password)?;
        Ok(Self { login })
    }
}

impl Login for Quinn {
    by_recipe!(account options variant check_secret request read logout probe);
}
