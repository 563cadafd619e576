use std::convert::Infallible;

use auth_core::OriginError;
use thiserror::Error;

/// An account or base URL that no login can use. No message repeats the values that were given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The e-mail address or user name is empty.
    #[error("the e-mail address or user name is empty")]
    EmptyAccount,
    /// The e-mail address or user name has white space around it or a character in it that can't be
    /// typed.
    #[error(
        "the e-mail address or user name has white space around it or a control character in it"
    )]
    UnusualAccount,
    /// The user name contains a colon, which ends the user name in the login's header.
    #[error("the user name contains a colon, which this login can't send")]
    ColonInUserName,
    /// The password is empty.
    #[error("the password is empty")]
    EmptyPassword,
    /// The password contains a character that can't be typed, such as a line break that is not its
    /// last character.
    #[error("the password contains a line break or another control character")]
    UntypedPassword,
    /// The password is shorter than the API accepts.
    #[error("the password is shorter than the {minimum} characters that the API requires")]
    ShortPassword {
        /// The smallest number of characters.
        minimum: usize,
    },
    /// The base URL has no origin that a password may be sent to. The source says why.
    #[error("the base URL can't be used")]
    BaseUrl(#[from] OriginError),
    /// The base URL has a query or a fragment, to which no path can be appended.
    #[error(
        "the base URL has a query or a fragment; expected something like https://api.example.com"
    )]
    QueryInBaseUrl,
}

/// The error of the conversion from a [`BaseUrl`](crate::BaseUrl) to itself, which cannot fail.
impl From<Infallible> for ConfigError {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}
