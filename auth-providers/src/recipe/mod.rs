#![cfg_attr(feature = "recipes", doc = include_str!("format.md"))]

mod answer;
mod ask;
mod carry;
mod check;
mod compute;
mod error;
mod judge;
mod life;
#[cfg(feature = "recipes")]
mod load_toml;
mod login;
mod meaning;
mod schema;
#[cfg(all(feature = "demo", feature = "recipes"))]
pub(crate) mod served;
mod steps;
mod template;
mod values;

#[cfg(feature = "recipes")]
use std::str::FromStr;
use std::sync::Arc;

use auth_core::SecretSource;
use check::Plan;
pub use error::RecipeError;
pub use login::RecipeLogin;
use schema::Schema;

use crate::account::Account;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;
pub use values::{Values, ValuesError};

/// A login described as data. See the [module](self) for its format.
///
/// A clone is the same recipe, checked once.
#[derive(Clone, Debug)]
pub struct Recipe(Arc<Compiled>);

/// A recipe that was checked, and what follows from it.
#[derive(Clone, Debug)]
struct Compiled {
    schema: Schema,
    plan: Plan,
}

impl Recipe {
    /// Reads a recipe in TOML, as [`str::parse`] does.
    ///
    /// # Errors
    /// [`RecipeError`], which names the line, the field and what to write instead.
    #[cfg(feature = "recipes")]
    pub fn from_toml(text: &str) -> Result<Self, RecipeError> {
        let (schema, plan) = load_toml::read(text)?;
        Ok(Self(Arc::new(Compiled { schema, plan })))
    }

    /// Reads a recipe in JSON.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml). The line is known only of what is not JSON or has another
    /// type.
    pub fn from_json(text: &str) -> Result<Self, RecipeError> {
        let schema = serde_json::from_str(text).map_err(|error| RecipeError {
            line: Some(error.line()),
            ..RecipeError::new("", error::unquoted(&error.to_string()))
        })?;
        Self::checked(schema)
    }

    /// The JSON Schema of recipes, for editors, as in the file `recipes/schema.json`.
    #[cfg(feature = "schema")]
    pub fn schema() -> serde_json::Value {
        schemars::schema_for!(Schema).into()
    }

    fn checked(schema: Schema) -> Result<Self, RecipeError> {
        let plan = Plan::new(&schema)?;
        Ok(Self(Arc::new(Compiled { schema, plan })))
    }

    /// A recipe of this crate.
    pub(crate) fn built_in(json: &str) -> Self {
        let read = Self::from_json(json);
        read.unwrap_or_else(|error| unreachable!("a test loads it: {error}"))
    }

    /// The base URL of a recipe that states it whole.
    pub(crate) fn fixed_base(&self) -> &str {
        self.0.schema.base.source()
    }

    /// A login of a recipe of this crate, whose fields are an account, a secret and a URL.
    pub(crate) fn login_at(
        &self,
        base: impl TryInto<BaseUrl, Error: Into<ConfigError>>,
        account: impl AsRef<str>,
        secret: impl Into<SecretSource>,
    ) -> Result<RecipeLogin, ConfigError> {
        let account = Account::new(self.0.schema.name.clone(), base, account, secret)?;
        RecipeLogin::of_account(Arc::clone(&self.0), account)
    }

    /// The name of the API.
    pub fn name(&self) -> &str {
        &self.0.schema.name
    }

    /// The documents that its facts come from.
    pub fn documents(&self) -> impl Iterator<Item = &str> {
        self.0.schema.documents.iter().map(String::as_str)
    }

    /// The names of the fields that its user gives values for.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.schema.field_names()
    }

    /// A login with these values.
    ///
    /// # Errors
    /// [`ValuesError`], which names the field.
    pub fn login(&self, values: &Values) -> Result<RecipeLogin, ValuesError> {
        RecipeLogin::new(Arc::clone(&self.0), values)
    }
}

#[cfg(feature = "recipes")]
impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        Self::from_toml(text)
    }
}
