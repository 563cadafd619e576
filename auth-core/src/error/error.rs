//! Why there is no credential.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::exchange::Exchange;
use super::{LoginError, LoginErrorKind};

/// Why there is no credential.
///
/// A clone is cheap: one failure is shared by all callers that waited for the same login.
///
/// ```
/// use auth_core::{Credentials, Error};
///
/// fn explain(error: &Error) -> String {
///     if error.is_login_refused() {
///         "check the password".into()
///     } else if let Some(wait) = error.retry_after() {
///         format!("try again in {} s", wait.as_secs() + 1)
///     } else {
///         error.to_string()
///     }
/// }
/// # let _ = explain(&Error::Closed);
/// ```
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A login failed, now or earlier, and the next one is not allowed yet; or a refresh, or the
    /// fetch of a part. [`close`](crate::Credentials::close) returns it if a logout was not
    /// confirmed. The text and the source say what failed, and how.
    #[error(
        "could not {}: {}{}",
        source.exchange().verb(),
        source.kind().name().replace('_', " "),
        next(source.exchange(), *retry_after)
    )]
    Login {
        /// The failure, shared by all callers that waited for the same login.
        source: Arc<LoginError>,
        /// The time until the next one may begin, counted from now.
        retry_after: Option<Duration>,
    },
    /// No login is allowed now, by the quota or by the server's `Retry-After`, and the next one
    /// would end after the caller's deadline or the caller asked to [fail
    /// fast](crate::Ask::fail_fast).
    #[error(
        "no login is allowed now, by the quota or by the server; the next is in {retry_after:?}"
    )]
    QuotaSpent {
        /// The time until the next login is allowed at the earliest, counted from now. It may be
        /// later if logins are under way.
        retry_after: Duration,
        /// With what answer the server has postponed the last login of this identity, if it has.
        source: Option<Arc<LoginError>>,
    },
    /// The caller's deadline passed while the login was under way. The login continues; ask again
    /// for its session.
    #[error("no credential within {waited:?}; the login goes on, ask again")]
    DeadlinePassed {
        /// The longest wait that the caller allowed.
        waited: Duration,
    },
    /// Several logins in a row were lost, because the runtimes that they ran on were shut down.
    #[error("the login was abandoned by its runtime; ask from a runtime that keeps running")]
    Abandoned,
    /// There is no tokio runtime here, and the call needs one.
    #[error("no tokio runtime here to log in on; use blocking_get, or ask from within a runtime")]
    NoRuntime,
    /// The login asked for the credential that it is to fetch: its request is routed through its
    /// own integration.
    #[error(
        "the login is routed through the layer that waits for it; give the provider a transport of its own"
    )]
    LoginLoop,
    /// The handle was closed.
    #[error("the credentials were closed")]
    Closed,
}

impl Error {
    /// The name in logs and metrics: that of the [kind](LoginErrorKind::name) if a login failed, or
    /// else `quota_spent`, `deadline_passed`, `abandoned`, `no_runtime`, `login_loop` or `closed`.
    ///
    /// ```
    /// assert_eq!(auth_core::Error::Closed.name(), "closed");
    /// ```
    pub fn name(&self) -> &'static str {
        match self {
            Self::Login { source, .. } => source.kind().name(),
            Self::QuotaSpent { .. } => "quota_spent",
            Self::DeadlinePassed { .. } => "deadline_passed",
            Self::Abandoned => "abandoned",
            Self::NoRuntime => "no_runtime",
            Self::LoginLoop => "login_loop",
            Self::Closed => "closed",
        }
    }

    /// The failure of the login, if a login failed.
    ///
    /// ```
    /// use auth_core::{Error, LoginErrorKind};
    ///
    /// fn is_timed_out(error: &Error) -> bool {
    ///     error.login_error().is_some_and(|error| error.kind() == LoginErrorKind::TimedOut)
    /// }
    /// assert!(!is_timed_out(&Error::Closed));
    /// ```
    pub fn login_error(&self) -> Option<&LoginError> {
        match self {
            Self::Login { source, .. } => Some(source),
            _ => None,
        }
    }

    fn is_login_error(&self, kinds: &[LoginErrorKind]) -> bool {
        self.login_error()
            .is_some_and(|error| kinds.contains(&error.kind()))
    }

    /// Whether the server refused the account or the password. Only correcting them helps.
    ///
    /// ```
    /// use auth_core::{Credentials, LoginError, testing::Scripted};
    ///
    /// let provider = Scripted::new(|_| Err(LoginError::refused("status 401")));
    /// let error = Credentials::new(provider).blocking_get().expect_err("a wrong password");
    /// assert!(error.is_login_refused());
    /// ```
    pub fn is_login_refused(&self) -> bool {
        self.is_refused() && self.is_of_a_login()
    }

    /// Whether the server has refused what failed, a login or something else.
    fn is_refused(&self) -> bool {
        self.is_login_error(&[LoginErrorKind::Refused])
    }

    fn is_of_a_login(&self) -> bool {
        self.login_error()
            .is_some_and(|error| error.exchange() == Exchange::Login)
    }

    /// Whether the server accepts the account only once its owner has acted there: it is disabled,
    /// its password has expired, or it wants a second factor.
    ///
    /// ```
    /// use auth_core::{Credentials, LoginError, testing::Scripted};
    ///
    /// let provider = Scripted::new(|_| Err(LoginError::locked("a second factor is wanted")));
    /// let error = Credentials::new(provider).blocking_get().expect_err("for its owner to act");
    /// assert!(error.is_locked() && !error.is_login_refused());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.is_login_error(&[LoginErrorKind::Locked])
    }

    /// Whether the account has as many sessions as the server allows. One has to end first.
    ///
    /// ```
    /// use auth_core::{Credentials, LoginError, testing::Scripted};
    ///
    /// let provider = Scripted::new(|_| Err(LoginError::seats_exhausted("10 of 10 sessions")));
    /// let error = Credentials::new(provider).blocking_get().expect_err("no seat");
    /// assert!(error.is_seats_exhausted());
    /// ```
    pub fn is_seats_exhausted(&self) -> bool {
        self.is_login_error(&[LoginErrorKind::SeatsExhausted])
    }

    /// Whether a quota delays logins, ours or the server's. [`retry_after`](Self::retry_after) says
    /// how long.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Error;
    ///
    /// let error = Error::QuotaSpent { retry_after: Duration::from_secs(20), source: None };
    /// assert!(error.is_rate_limited());
    /// ```
    pub fn is_rate_limited(&self) -> bool {
        matches!(self, Self::QuotaSpent { .. }) || self.is_login_error(&[LoginErrorKind::Limited])
    }

    /// Whether the login server could not be reached, sent no response in time, or sent a malformed
    /// one; or the login goes on past the caller's deadline, or was lost with its runtime; or the
    /// server has refused a refresh, a part of the session or a logout, which says nothing of the
    /// password. A later call may succeed.
    ///
    /// ```
    /// use auth_core::{Credentials, LoginError, testing::Scripted};
    ///
    /// let provider = Scripted::new(|_| Err(LoginError::unavailable("status 503")));
    /// let error = Credentials::new(provider).blocking_get().expect_err("an outage");
    /// assert!(error.is_unavailable() && error.retry_after().is_some());
    /// ```
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::DeadlinePassed { .. } | Self::Abandoned)
            || (self.is_refused() && !self.is_of_a_login())
            || self.is_login_error(&[
                LoginErrorKind::Unavailable,
                LoginErrorKind::TimedOut,
                LoginErrorKind::Malformed,
            ])
    }

    /// Whether the configuration or the program is at fault. A retry does not help.
    ///
    /// ```
    /// use auth_core::{Credentials, Lifetime, SecretSource, testing::Scripted};
    ///
    /// let unset = SecretSource::variable("A_VARIABLE_THAT_IS_NOT_SET");
    /// let provider = Scripted::tokens(Lifetime::unknown()).with_secret(unset);
    /// let error = Credentials::new(provider).blocking_get().expect_err("no password");
    /// assert!(error.is_misconfigured());
    /// ```
    pub fn is_misconfigured(&self) -> bool {
        matches!(self, Self::NoRuntime | Self::LoginLoop)
            || self.is_login_error(&[LoginErrorKind::Misconfigured, LoginErrorKind::Panicked])
    }

    /// Whether the server wants the login later. No failure forbids it then, only the limiter.
    pub(crate) fn is_postponed(&self) -> bool {
        self.is_login_error(&[LoginErrorKind::Limited])
    }

    /// Whether the handle was closed.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// How long to wait before the next attempt, if that is known.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Error;
    ///
    /// let wait = Duration::from_secs(20);
    /// assert_eq!(Error::QuotaSpent { retry_after: wait, source: None }.retry_after(), Some(wait));
    /// assert_eq!(Error::Closed.retry_after(), None);
    /// ```
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Login { retry_after, .. } => *retry_after,
            Self::QuotaSpent { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}

fn next(of: Exchange, retry_after: Option<Duration>) -> String {
    retry_after
        .filter(|wait| !wait.is_zero())
        .map_or_else(String::new, |wait| {
            format!("; the next {} may begin in {wait:?}", of.noun())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_words() {
        let kinds = [
            LoginErrorKind::Refused,
            LoginErrorKind::Locked,
            LoginErrorKind::SeatsExhausted,
            LoginErrorKind::Limited,
            LoginErrorKind::Unavailable,
            LoginErrorKind::TimedOut,
            LoginErrorKind::Malformed,
            LoginErrorKind::Misconfigured,
            LoginErrorKind::Panicked,
        ];
        let exchanges = [
            Exchange::Login,
            Exchange::Refresh,
            Exchange::Repair,
            Exchange::Logout,
        ];
        for of in exchanges {
            let mut said = std::collections::HashSet::new();
            for kind in kinds {
                let error = LoginError::new(kind, "").of_exchange(of);
                let sentence = error.to_string();
                assert_eq!(
                    sentence.contains("password"),
                    of == Exchange::Login
                        && matches!(kind, LoginErrorKind::Refused | LoginErrorKind::Malformed),
                    "{sentence}"
                );
                let outer = Error::Login {
                    source: Arc::new(error),
                    retry_after: None,
                };
                assert_eq!(
                    outer.is_login_refused(),
                    of == Exchange::Login && kind == LoginErrorKind::Refused
                );
                let told = [
                    outer.is_login_refused(),
                    outer.is_locked(),
                    outer.is_seats_exhausted(),
                    outer.is_rate_limited(),
                    outer.is_unavailable(),
                    outer.is_misconfigured(),
                ];
                let told = told.into_iter().filter(|told| *told).count();
                assert_eq!(told, 1, "{outer} has one predicate");
                said.extend([outer.to_string(), sentence]);
            }
            assert_eq!(said.len(), 2 * kinds.len(), "{said:?}");
        }
    }
}
