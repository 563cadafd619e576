//! Logins described as data, in TOML or JSON.

mod answer;
mod ask;
mod carry;
mod check;
mod compute;
mod error;
mod judge;
mod life;
mod load;
mod login;
mod schema;
mod template;
mod values;

use std::str::FromStr;
use std::sync::Arc;

use check::Plan;
pub use error::RecipeError;
pub use login::RecipeLogin;
use schema::Schema;
pub use values::{Values, ValuesError};

/// A login described as data: see the [module](self).
#[derive(Clone, Debug)]
pub struct Recipe(Arc<Compiled>);

/// A recipe that was checked, and what follows from it.
#[derive(Debug)]
struct Compiled {
    schema: Schema,
    plan: Plan,
}

impl Recipe {
    /// Reads a recipe in TOML, as [`str::parse`] does.
    ///
    /// # Errors
    /// [`RecipeError`], which names the line, the field and what to write instead.
    pub fn from_toml(text: &str) -> Result<Self, RecipeError> {
        load::toml(text).map(Self::of)
    }

    /// Reads a recipe in JSON.
    ///
    /// # Errors
    /// As [`from_toml`](Self::from_toml). The line is known only of what is not JSON or has another
    /// type.
    pub fn from_json(text: &str) -> Result<Self, RecipeError> {
        load::json(text).map(Self::of)
    }

    fn of((schema, plan): (Schema, Plan)) -> Self {
        Self(Arc::new(Compiled { schema, plan }))
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
    pub fn login(&self, values: Values) -> Result<RecipeLogin, ValuesError> {
        RecipeLogin::new(Arc::clone(&self.0), &values)
    }
}

impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        Self::from_toml(text)
    }
}
