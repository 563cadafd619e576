//! The values of a recipe's fields, and what a login has found out beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use auth_core::{Credential, Origin, Secret, SecretError, SecretSource};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::schema::Schema;
use crate::base_url::BaseUrl;
use crate::config_error::ConfigError;

/// The values of a [`Recipe`](super::Recipe)'s fields: each a text, a variable or a file.
///
/// The one that is the login's secret is read before each login, all others once, by
/// [`Recipe::login`](super::Recipe::login).
///
/// ```
/// # #[cfg(feature = "recipes")] {
/// use auth_core::SecretSource;
/// use auth_providers::recipe::Values;
///
/// let values = Values::new()
///     .with("url", "https://pve1.example.com:8006")
///     .with("username", "ada@pam")
///     .with("password", SecretSource::variable("PVE_PASSWORD"));
/// # let _ = values;
/// # }
/// ```
///
/// They can be part of a program's configuration:
///
/// ```
/// # #[cfg(feature = "recipes")] {
/// use auth_providers::recipe::Values;
///
/// let values: Values = serde_json::from_str(
///     r#"{"username": "ada@pam", "password": {"file": "/run/secrets/pve"}}"#,
/// )?;
/// # let _ = values;
/// # }
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// What is no value of a field is an error of [`Recipe::login`](super::Recipe::login). That repeats
/// nothing of it. So an error of the parser shows no secret, but where the text can't be parsed at
/// all, such as TOML with a password that is not in quotes, or holds something else in place of
/// this table. The `Display` of toml's error shows the line then. Its `message` shows none.
#[derive(Clone, Debug, Default)]
pub struct Values {
    given: BTreeMap<String, SecretSource>,
    /// The fields with something that is no value.
    wrong: BTreeSet<String>,
    allows_plain_http: bool,
}

/// What is expected of the value of a field in a configuration.
const EXPECTED: &str = "a text, { variable = \"NAME\" } or { file = \"PATH\" } is expected";

/// A piece of a configuration, whatever it is. Parsers show what they refuse, and toml's even the
/// line. So nothing is refused while it is read: it may be a secret, such as a PIN.
enum Piece {
    Text(Zeroizing<String>),
    Table(Vec<(Self, Self)>),
    Other,
}

impl Piece {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Table(_) | Self::Other => None,
        }
    }

    /// The value of a field, if it is one.
    fn source(&self) -> Option<SecretSource> {
        match self {
            Self::Text(text) => Some(SecretSource::value(text.as_str())),
            Self::Table(pairs) => match pairs.as_slice() {
                [(place, name)] => match (place.text()?, name.text()?) {
                    ("variable", name) => Some(SecretSource::variable(name)),
                    ("file", path) => Some(SecretSource::file(path)),
                    _ => None,
                },
                _ => None,
            },
            Self::Other => None,
        }
    }
}

impl<'de> Deserialize<'de> for Piece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Piece;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Piece, E> {
                Ok(Piece::Text(Zeroizing::new(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Piece, E> {
                Ok(Piece::Text(Zeroizing::new(text)))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_u128<E: Error>(self, _: u128) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_i128<E: Error>(self, _: i128) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_unit<E: Error>(self) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_none<E: Error>(self) -> Result<Piece, E> {
                Ok(Piece::Other)
            }

            fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Piece, D::Error> {
                Piece::deserialize(inner)
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<Piece, D::Error> {
                Piece::deserialize(inner)
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Piece, S::Error> {
                while list.next_element::<Piece>()?.is_some() {}
                Ok(Piece::Other)
            }

            fn visit_map<M: MapAccess<'de>>(self, mut table: M) -> Result<Piece, M::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = table.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Piece::Table(pairs))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Piece::Table(pairs) = Piece::deserialize(deserializer)? else {
            return Err(D::Error::custom(
                "a table of the recipe's fields is expected",
            ));
        };
        let mut values = Self::new();
        for (name, piece) in pairs {
            let name = name.text();
            let name = name.ok_or_else(|| D::Error::custom("the name of a field is a text"))?;
            match piece.source() {
                Some(source) => values = values.with(name, source),
                None => {
                    values.wrong.insert(name.to_owned());
                }
            }
        }
        Ok(values)
    }
}

impl Values {
    /// No values.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the value of a field. Any text converts into the source of a fixed value.
    pub fn with(mut self, field: impl Into<String>, value: impl Into<SecretSource>) -> Self {
        let field = field.into();
        self.wrong.remove(&field);
        self.given.insert(field, value.into());
        self
    }

    /// Lets the base URL and the scope be plain HTTP, to any host. Any host on the network path can
    /// read the password and the session then.
    pub const fn allow_plain_http(mut self) -> Self {
        self.allows_plain_http = true;
        self
    }

    /// Reads a base URL.
    pub(super) fn base_url(&self, url: &str) -> Result<BaseUrl, ConfigError> {
        if self.allows_plain_http {
            BaseUrl::allow_plain_http(url)
        } else {
            BaseUrl::parse(url)
        }
    }

    /// Reads an origin of the scope.
    pub(super) fn origin(&self, url: &str) -> Result<Origin, ConfigError> {
        let read = if self.allows_plain_http {
            Origin::allow_plain_http(url)
        } else {
            Origin::parse(url)
        };
        Ok(read?)
    }
}

/// Values that a recipe can't log in with. No message repeats a value.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValuesError {
    /// A field has no value.
    #[error("the field `{field}` of the recipe has no value: {about}")]
    Missing {
        /// The field.
        field: String,
        /// What the recipe says about it.
        about: String,
    },
    /// The recipe has no such field.
    #[error("the recipe has no field `{field}`; its fields are {known}")]
    Unknown {
        /// The name that was given.
        field: String,
        /// The fields that there are.
        known: String,
    },
    /// The value can't be read. The source says why.
    #[error("the value of the field `{field}` can't be read")]
    Unreadable {
        /// The field.
        field: String,
        /// Why.
        source: SecretError,
    },
    /// The value can't stand where the recipe has it.
    #[error("the value of the field `{field}` can't be used: {problem}")]
    Unusable {
        /// The field.
        field: String,
        /// Why, and what is expected.
        problem: &'static str,
    },
    /// The account or the base URL can't be used.
    #[error(transparent)]
    Account(#[from] ConfigError),
}

/// A recipe's fields with their values, but for the secret that logs in.
#[derive(Clone, Default)]
pub(super) struct Filled(BTreeMap<String, Secret>);

impl Filled {
    /// One value.
    pub(super) fn new(name: &str, value: &str) -> Self {
        let mut filled = Self::default();
        filled.set(name, value);
        filled
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.into());
    }

    /// Reads the values. Returns them, and the source of the login's secret.
    pub(super) fn read(
        schema: &Schema,
        values: &Values,
    ) -> Result<(Self, SecretSource), ValuesError> {
        let known = || {
            let names: Vec<&str> = schema.field_names().collect();
            names.join(", ")
        };
        let mut names = values.given.keys().chain(&values.wrong);
        let unknown = names.find(|name| !schema.has_field(name));
        if let Some(field) = unknown {
            return Err(ValuesError::Unknown {
                field: field.clone(),
                known: known(),
            });
        }
        if let Some(field) = values.wrong.first() {
            return Err(ValuesError::Unusable {
                field: field.clone(),
                problem: EXPECTED,
            });
        }
        let missing = |field: &str| ValuesError::Missing {
            field: field.to_owned(),
            about: schema.about(field).to_owned(),
        };
        let secret = values.given.get(&schema.secret);
        let secret = secret.ok_or_else(|| missing(&schema.secret))?;
        let mut filled = BTreeMap::new();
        for name in schema.field_names().filter(|name| *name != schema.secret) {
            let field = schema.fields.get(name);
            let default = field.and_then(|field| field.default.as_deref());
            let value = match (values.given.get(name), default) {
                (Some(source), _) => source.read_blocking().map_err(|source| {
                    let field = name.to_owned();
                    ValuesError::Unreadable { field, source }
                })?,
                (None, Some(default)) => Secret::from(default),
                (None, None) if field.is_some_and(|field| field.optional) => continue,
                (None, None) => return Err(missing(name)),
            };
            filled.insert(name.to_owned(), value);
        }
        Ok((Self(filled), secret.clone()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose)
    }
}

/// Two logins are told apart by their secrets, too: one is another user's.
impl PartialEq for Filled {
    fn eq(&self, other: &Self) -> bool {
        let (mut own, mut theirs) = (self.0.iter(), other.0.iter());
        self.0.len() == other.0.len()
            && own.all(|(name, value)| {
                let their = theirs.next();
                their.is_some_and(|(n, v)| n == name && v.expose() == value.expose())
            })
    }
}

impl fmt::Debug for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// What an answer has brought, and how long it is good by itself.
#[derive(Clone)]
struct Found {
    value: Zeroizing<String>,
    life: Option<Duration>,
}

/// The values that a template can name at some point: of the fields, of what the answers have
/// brought so far, and of what the session keeps.
#[derive(Clone, Default)]
pub(super) struct Known<'a> {
    filled: Option<&'a Filled>,
    secret: Option<(&'a str, &'a Secret)>,
    current: Option<&'a Credential>,
    found: BTreeMap<String, Found>,
}

impl<'a> Known<'a> {
    pub(super) fn of(filled: &'a Filled) -> Self {
        Self {
            filled: Some(filled),
            ..Self::default()
        }
    }

    /// With the secret that logs in, under its field's name.
    pub(super) fn with_secret(mut self, field: &'a str, secret: &'a Secret) -> Self {
        self.secret = Some((field, secret));
        self
    }

    /// With what this session keeps.
    pub(super) fn with_session(mut self, current: &'a Credential) -> Self {
        self.current = Some(current);
        self
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.set_for(name, value, None);
    }

    /// A value that is good for a time of its own.
    pub(super) fn set_for(&mut self, name: &str, value: &str, life: Option<Duration>) {
        let value = Zeroizing::new(value.to_owned());
        self.found.insert(name.to_owned(), Found { value, life });
    }

    /// What was found since, if it was.
    pub(super) fn found(&self, name: &str) -> Option<&str> {
        self.found.get(name).map(|found| found.value.as_str())
    }

    /// How long what was found is good by itself, if its answer said so.
    pub(super) fn life(&self, name: &str) -> Option<Duration> {
        self.found.get(name)?.life
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let secret = || match self.secret {
            Some((field, secret)) if field == name => Some(secret.expose()),
            _ => None,
        };
        self.found(name)
            .or_else(|| self.current?.kept(name))
            .or_else(secret)
            .or_else(|| self.filled?.get(name))
    }
}
