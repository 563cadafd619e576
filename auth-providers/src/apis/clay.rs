//! Clay. See `recipes/clay.toml`.

use std::sync::LazyLock;

use auth_core::{LoginError, ProviderOptions, Secret, SecretSource};
use bytes::Bytes;

use super::by_recipe::by_recipe;
use crate::account::Account;
use crate::answers::Answers;
use crate::config_error::ConfigError;
use crate::login::Login;
use crate::recipe::{Recipe, RecipeLogin};
use crate::step::Step;

static RECIPE: LazyLock<Recipe> = LazyLock::new(|| Recipe::built_in(include_str!("clay.json")));

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
    login: RecipeLogin,
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
        let login = RECIPE.login_at(RECIPE.fixed_base(), email, password)?;
        Ok(Self { login })
    }
}

impl Login for Clay {
    by_recipe!(account options variant request read probe);
}
