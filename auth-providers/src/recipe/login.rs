//! A recipe with its user's values: a login.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{Credential, LoginError, Origin, Quota, Scope, Secret};
use bytes::Bytes;
use http::{HeaderName, Request, Response};
use zeroize::Zeroizing;

use super::answer::Answer;
use super::check::origin_of;
use super::meaning::check;
use super::schema::Schema;
use super::template::{Missing, Place, Template};
use super::values::{Filled, Known, Values, ValuesError};
use super::{Compiled, schema};
use crate::account::Account;
use crate::config_error::ConfigError;
use crate::response;

/// A [`Recipe`](super::Recipe) with the values of its user: a [`Login`](crate::Login).
///
/// Created by [`Recipe::login`](super::Recipe::login).
#[derive(Clone)]
pub struct RecipeLogin {
    pub(super) recipe: Arc<Compiled>,
    pub(super) account: Account,
    pub(super) filled: Arc<Filled>,
    pub(super) uuid: String,
}

/// The account's name where an API has none.
const NO_NAME: &str = "default";

impl RecipeLogin {
    pub(super) fn new(recipe: Arc<Compiled>, values: &Values) -> Result<Self, ValuesError> {
        let schema = &recipe.schema;
        let (filled, secret) = Filled::read(schema, values)?;
        let known = Known::of(&filled);
        let base = url_of_fields(&schema.base, &known)?;
        let name = schema.account.as_ref().and_then(|field| filled.get(field));
        let (base, name) = (values.base_url(&base)?, name.unwrap_or(NO_NAME));
        let account = Account::new(schema.name.clone(), base, name, secret)?;
        let mut login = Self::of(recipe, account, filled);
        login.set_limits(values)?;
        login.check_values()?;
        Ok(login)
    }

    /// A login whose only fields are an account and its secret.
    pub(super) fn of_account(recipe: Arc<Compiled>, account: Account) -> Result<Self, ConfigError> {
        let name = recipe.schema.account.as_deref().unwrap_or(NO_NAME);
        let filled = Filled::new(name, account.name());
        let login = Self::of(recipe, account, filled);
        login.check_fixed_secret()?;
        Ok(login)
    }

    fn of(recipe: Arc<Compiled>, mut account: Account, filled: Filled) -> Self {
        if recipe.schema.attach.all_cookies {
            account.set_keep_cookies();
        }
        Self {
            uuid: new_uuid(),
            filled: Arc::new(filled),
            account,
            recipe,
        }
    }

    /// Moves what a step's header carries to another header.
    pub(crate) fn rename_header(&mut self, from: &HeaderName, to: &HeaderName) {
        let mut recipe = (*self.recipe).clone();
        for step in &mut recipe.schema.login.0 {
            step.rename_header(from, to);
        }
        self.recipe = Arc::new(recipe);
    }

    /// Sets a field that holds a span of time.
    pub(crate) fn set_span(&mut self, field: &str, span: Duration) {
        let text = format!("{}ms", span.as_millis());
        Arc::make_mut(&mut self.filled).set(field, &text);
    }

    fn set_limits(&mut self, values: &Values) -> Result<(), ValuesError> {
        let schema = &self.recipe.schema;
        let known = Known::of(&self.filled);
        let mut scope: Option<Scope> = None;
        for origin in &schema.scope {
            let origin = url_of_fields(origin, &known)?;
            let origin = values.origin(&origin)?;
            scope = Some(match scope {
                Some(scope) => scope.and(origin),
                None => Scope::only(origin),
            });
        }
        if let Some(scope) = scope {
            self.account.set_scope(scope);
        }
        if let Some(origin) = self.login_origin(values)? {
            self.account.set_login_origin(origin);
        }
        if let Some(limits) = &schema.limits
            && let Some(window) = limits.window.get(|_| None)
        {
            let quota = Quota::new(limits.logins, window);
            self.account.set_documented_quota(quota);
        }
        Ok(())
    }

    /// Where the secret goes, if that is a whole URL, of another origin than the base URL's.
    fn login_origin(&self, values: &Values) -> Result<Option<Origin>, ValuesError> {
        let (schema, known) = (self.schema(), Known::of(&self.filled));
        let Some(url) = schema.secret_step().and_then(|step| step.urls().next()) else {
            return Ok(None);
        };
        let whole = |text: &str| text.starts_with("https://") || text.starts_with("http://");
        if let Some(field) = url.template.url_name() {
            let text = known.get(field).filter(|text| whole(text));
            return Ok(text.map(|text| values.origin(text)).transpose()?);
        }
        if !whole(url.template.source()) {
            return Ok(None);
        }
        // The recipe names the origin in the same way in its scope, or else as its base.
        let origin = origin_of(url.template.source());
        let mut scope = schema.scope.iter();
        let named = scope.find(|named| origin_of(named.source()) == origin);
        let named = named
            .map(|named| url_of_fields(named, &known))
            .transpose()?;
        Ok(named.map(|named| values.origin(&named)).transpose()?)
    }

    /// What can be said of the values before a login.
    fn check_values(&self) -> Result<(), ValuesError> {
        let schema = &self.recipe.schema;
        let unusable = |field: &str, problem| ValuesError::Unusable {
            field: field.to_owned(),
            problem,
        };
        self.check_fixed_secret()?;
        for (name, field) in &schema.fields {
            let value = self.filled.get(name);
            if value.is_some_and(|value| is_too_short(value, field.at_least)) {
                return Err(unusable(name, "it is shorter than the API takes"));
            }
        }
        for span in schema.life.spans() {
            let Some(field) = span.field() else { continue };
            if self
                .filled
                .get(field)
                .is_some_and(|text| schema::read_span(text).is_none())
            {
                return Err(unusable(
                    field,
                    "it is no span of time, as 30s, 15m, 2h or 7d",
                ));
            }
        }
        Ok(())
    }

    fn check_fixed_secret(&self) -> Result<(), ConfigError> {
        let minimum = self.schema().shortest_secret();
        let fixed = self.account.secret().fixed().map(Secret::expose);
        match (minimum, fixed) {
            (Some(minimum), Some(fixed)) if is_too_short(fixed, Some(minimum)) => {
                Err(ConfigError::ShortPassword { minimum })
            }
            _ => Ok(()),
        }
    }

    /// The request that tells a live session from a dead one, with this session, if the recipe has
    /// one.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], if no valid request can be built.
    pub fn probe_request(
        &self,
        current: &Credential,
    ) -> Result<Option<Request<Bytes>>, LoginError> {
        let Some(probe) = &self.schema().probe else {
            return Ok(None);
        };
        self.later("probe.step", &probe.step, current, true)
            .map(Some)
    }

    /// Whether the answer to the [probe](Self::probe_request) says that the session is live.
    pub fn is_live(&self, answer: &Response<Bytes>) -> bool {
        let probe = self.schema().probe.as_ref();
        let check = |step| check(step, &Answer::of(answer), answer, response::failure);
        probe.is_some_and(|probe| check(&probe.step).is_ok())
    }

    /// The value of a field that is not the secret which logs in.
    #[cfg(all(feature = "demo", feature = "recipes"))]
    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.filled.get(name)
    }

    pub(super) fn schema(&self) -> &Schema {
        &self.recipe.schema
    }

    pub(super) fn known(&self) -> Known<'_> {
        Known::of(&self.filled)
    }
}

/// Counts UTF-16 units, as a server in JavaScript does. No other count of characters is larger, so
/// no secret that a server accepts is refused.
pub(super) fn is_too_short(value: &str, at_least: Option<usize>) -> bool {
    at_least.is_some_and(|minimum| value.encode_utf16().count() < minimum)
}

#[cfg(feature = "recipes")]
fn new_uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// No recipe of this crate names one.
#[cfg(not(feature = "recipes"))]
const fn new_uuid() -> String {
    String::new()
}

/// A base URL or an origin with its fields, which stay where they stand.
fn url_of_fields(template: &Template, known: &Known<'_>) -> Result<Zeroizing<String>, ValuesError> {
    let is_whole = template.only_name().is_some();
    for name in template.names() {
        let leaves = |letter: char| "/?#@\\".contains(letter) || letter.is_whitespace();
        if !is_whole && known.get(name).is_some_and(|value| value.contains(leaves)) {
            return Err(ValuesError::Unusable {
                field: name.to_owned(),
                problem: "it stands within a URL, and can't hold /, ?, #, @, \\ or white space",
            });
        }
    }
    template
        .render(known, Place::Whole)
        .map_err(|Missing(field)| ValuesError::Missing {
            about: "the URL needs it".to_owned(),
            field,
        })
}

impl fmt::Debug for RecipeLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecipeLogin")
            .field("recipe", &self.recipe.schema.name)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
