use std::convert::Infallible;

use auth_core::OriginError;
use thiserror::Error;

/// Why a login can't be configured like this. Nothing that was given is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The e-mail address or user name is empty.
    #[error("the e-mail address or user name is empty")]
    EmptyAccount,
    /// The e-mail address or user name has white space around it, or a control character in it.
    #[error(
        "the e-mail address or user name has white space around it or a control character in it"
    )]
    UnusualAccount,
    /// The user name has a colon in it, where one separates it from the password.
    #[error("the user name has a colon in it, which this login can't carry")]
    ColonInUserName,
    /// The password is empty.
    #[error("the password is empty")]
    EmptyPassword,
    /// The password is shorter than the API accepts.
    #[error("the password is shorter than the {minimum} characters that the API asks for")]
    ShortPassword {
        /// The smallest number of characters.
        minimum: usize,
    },
    /// The base URL names no origin that a password may be sent to.
    #[error("the base URL can't be used")]
    BaseUrl(#[from] OriginError),
    /// The base URL has a query or a fragment, to which no path can be appended.
    #[error(
        "the base URL has a query or a fragment; expected something like https://api.example.com"
    )]
    QueryInBaseUrl,
}

/// For a [`BaseUrl`](crate::BaseUrl) that needs no conversion.
impl From<Infallible> for ConfigError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
