//! What has failed: a login, or what follows it.

use super::login::LoginErrorKind;

/// What a provider sends. One failure type serves all four, and this says which it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    Login,
    Refresh,
    Repair,
    Logout,
}

impl Exchange {
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Refresh => "refresh",
            Self::Repair => "fetch",
            Self::Logout => "logout",
        }
    }

    /// What could not be done.
    pub(super) const fn verb(self) -> &'static str {
        match self {
            Self::Login => "log in",
            Self::Refresh => "refresh the session",
            Self::Repair => "fetch a part of the session",
            Self::Logout => "log out",
        }
    }

    /// The first sentence of its failure.
    pub(super) const fn sentence(self, kind: LoginErrorKind) -> &'static str {
        match self {
            Self::Login => login(kind),
            Self::Refresh => other(kind, "the server refused the refresh of the session"),
            Self::Repair => other(kind, "the server refused the session a part of it"),
            Self::Logout => other(kind, "the server refused the logout"),
        }
    }
}

const fn login(kind: LoginErrorKind) -> &'static str {
    match kind {
        LoginErrorKind::Refused => "the server refused the account and its password; check both",
        LoginErrorKind::Locked => {
            "the server does not let this account in before its owner has logged in by hand"
        }
        LoginErrorKind::SeatsExhausted => {
            "the account has as many sessions as the server allows; end one of them"
        }
        LoginErrorKind::Limited => "the server wants fewer logins; wait before the next",
        LoginErrorKind::Unavailable => {
            "the login server could not be reached or could not process the login; try again later"
        }
        LoginErrorKind::TimedOut => "the login took too long; try again later",
        LoginErrorKind::Malformed => {
            "the login's response was not what the API documents; check the password and the base URL"
        }
        LoginErrorKind::Misconfigured => {
            "the login could not be attempted; correct the configuration"
        }
        LoginErrorKind::Panicked => {
            "the provider panicked during the login; this is a bug in the provider"
        }
    }
}

/// Of what carries no password.
const fn other(kind: LoginErrorKind, refused: &'static str) -> &'static str {
    match kind {
        LoginErrorKind::Refused => refused,
        LoginErrorKind::Locked => {
            "the server wants the owner of this account to log in by hand first"
        }
        LoginErrorKind::SeatsExhausted => {
            "the account has as many sessions as the server allows; end one of them"
        }
        LoginErrorKind::Limited => "the server wants fewer requests; wait before the next",
        LoginErrorKind::Unavailable => {
            "the server could not be reached or could not process the request"
        }
        LoginErrorKind::TimedOut => "the server took too long to answer",
        LoginErrorKind::Malformed => "the server's response was not what the API documents",
        LoginErrorKind::Misconfigured => "nothing could be sent; correct the configuration",
        LoginErrorKind::Panicked => "the provider panicked; this is a bug in the provider",
    }
}
