//! What can go wrong, and what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::credential::InvalidValue;
use crate::secret::SecretError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why one login failed, as the provider tells the cache.
///
/// The kind decides what may be tried next:
///
/// | kind | what the cache does | what the user can do |
/// |---|---|---|
/// | [`Refused`](LoginErrorKind::Refused) | no login until the secret changes or the cooldown ends | mend the e-mail or password |
/// | [`Limited`](LoginErrorKind::Limited) | no login at this origin until the server's `Retry-After` | wait; log in less often |
/// | [`Unavailable`](LoginErrorKind::Unavailable), [`TimedOut`](LoginErrorKind::TimedOut) | backs off, with jitter | wait; look at the server |
/// | [`Malformed`](LoginErrorKind::Malformed) | backs off, with jitter | check the base URL; the API may have changed |
/// | [`Misconfigured`](LoginErrorKind::Misconfigured) | looks again after a second; no attempt is spent, unless `login` itself says so | mend the configuration |
/// | [`Panicked`](LoginErrorKind::Panicked) | backs off, with jitter | mend the provider |
///
/// Nothing that a server sent is quoted, but for its status: an answer to a login may hold a secret.
#[derive(Debug)]
pub struct LoginError {
    kind: LoginErrorKind,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    source: Option<BoxError>,
}

/// The kinds of failure that the cache tells apart. See [`LoginError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginErrorKind {
    /// The server does not accept this e-mail and password.
    Refused,
    /// The server wants fewer logins.
    Limited,
    /// The server could not be reached or could not answer.
    Unavailable,
    /// The login took longer than its time-out.
    TimedOut,
    /// The answer was not what the API documents.
    Malformed,
    /// The login could not even be tried: the secret can't be read, or can't be right.
    Misconfigured,
    /// The provider panicked.
    Panicked,
}

impl LoginErrorKind {
    const fn sentence(self) -> &'static str {
        match self {
            Self::Refused => "the server refused the e-mail and password; check both",
            Self::Limited => "the server wants fewer logins; wait before the next",
            Self::Unavailable => {
                "the login server could not be reached or could not answer; try again later"
            }
            Self::TimedOut => "the login took too long; try again later",
            Self::Malformed => {
                "the login's answer was not what the API documents; check the base URL"
            }
            Self::Misconfigured => "the login could not be tried; mend the configuration",
            Self::Panicked => {
                "the provider panicked during the login; this is a bug in the provider"
            }
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Limited => "too many logins",
            Self::Unavailable => "the server is unavailable",
            Self::TimedOut => "no answer in time",
            Self::Malformed => "not the answer that was expected",
            Self::Misconfigured => "misconfigured",
            Self::Panicked => "the provider panicked",
        }
    }

    /// A short name, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Limited => "limited",
            Self::Unavailable => "unavailable",
            Self::TimedOut => "timed_out",
            Self::Malformed => "malformed",
            Self::Misconfigured => "misconfigured",
            Self::Panicked => "panicked",
        }
    }
}

impl LoginError {
    fn new(kind: LoginErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            retry_after: None,
            source: None,
        }
    }

    /// The server does not accept this e-mail and password. `detail` says how it said so: `"status 401"`.
    pub fn refused(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Refused, detail)
    }

    /// The server wants fewer logins; `retry_after` is how long it asked to wait, if it did.
    pub fn limited(retry_after: Option<Duration>) -> Self {
        Self {
            retry_after,
            ..Self::new(LoginErrorKind::Limited, "status 429")
        }
    }

    /// The server could not be reached or could not answer.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Unavailable, detail)
    }

    /// The answer was not what the API documents. `expected` says what was expected and what came, and quotes none of it.
    pub fn malformed(expected: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Malformed, expected)
    }

    /// The login could not even be tried, and nothing was sent.
    pub fn misconfigured(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Misconfigured, detail)
    }

    pub(crate) fn timed_out(after: Duration) -> Self {
        Self::new(
            LoginErrorKind::TimedOut,
            format!("no answer within {after:?}"),
        )
    }

    pub(crate) fn panicked() -> Self {
        Self::new(LoginErrorKind::Panicked, "its message is not repeated here")
    }

    /// The same, with its cause. The cause's own text must hold no secret: strip the URL from an HTTP client's error.
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The same, with the time that the server asked to wait.
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// What kind of failure.
    pub const fn kind(&self) -> LoginErrorKind {
        self.kind
    }

    /// How long the server asked to wait, if it did.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.kind.sentence(), self.detail)
    }
}

impl std::error::Error for LoginError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

impl From<InvalidValue> for LoginError {
    fn from(error: InvalidValue) -> Self {
        Self::malformed("a value of the session can't be carried by a request").with_source(error)
    }
}

impl From<SecretError> for LoginError {
    fn from(error: SecretError) -> Self {
        Self::misconfigured("the password can't be read").with_source(error)
    }
}

/// Why there is no credential.
///
/// Cheap to clone: the failure of one login is shared by all who waited for it.
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
    /// The login failed, now or earlier, and the next one is not allowed yet. The source says how.
    #[error("could not log in: {}", source.kind().words())]
    Login {
        /// The failure, shared with everybody who waited for the same login.
        source: Arc<LoginError>,
        /// When the next login may be tried, counted from now.
        retry_after: Option<Duration>,
    },
    /// No login is allowed now, by the quota or by the server's `Retry-After`, and the caller can't wait for the next one, or
    /// doesn't want to.
    #[error(
        "no login is allowed now, by the quota or by the server; the next is in {retry_after:?}"
    )]
    QuotaSpent {
        /// When the next login is allowed, counted from now.
        retry_after: Duration,
    },
    /// The caller's deadline passed while the login was under way. The login goes on; ask again for its session.
    #[error("no credential within {waited:?}; the login goes on, ask again")]
    DeadlinePassed {
        /// How long the caller was willing to wait.
        waited: Duration,
    },
    /// The login was given up again and again: the runtimes that it ran on were shut down.
    #[error("the login was abandoned by its runtime; ask from a runtime that lives on")]
    Abandoned,
    /// There is no tokio runtime here, and what was asked for needs one.
    #[error("no tokio runtime here to log in on; use blocking_get, or ask from within a runtime")]
    NoRuntime,
    /// The login asked for the very credential that it was to fetch: it is routed through its own front.
    #[error(
        "the login is routed through the layer that waits for it; give the provider a transport of its own"
    )]
    LoginLoop,
    /// The handle was closed.
    #[error("the credentials were closed")]
    Closed,
}

impl Error {
    /// The failed login, if one failed.
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

    /// Whether the server refused the e-mail and password: nothing helps but mending them.
    pub fn is_login_refused(&self) -> bool {
        self.is_login_error(&[LoginErrorKind::Refused])
    }

    /// Whether logins are held back by a quota, ours or the server's; [`retry_after`](Self::retry_after) says how long.
    pub fn is_rate_limited(&self) -> bool {
        matches!(self, Self::QuotaSpent { .. }) || self.is_login_error(&[LoginErrorKind::Limited])
    }

    /// Whether the login server could not be reached, did not answer in time or answered nonsense: trying again later may
    /// help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::DeadlinePassed { .. } | Self::Abandoned)
            || self.is_login_error(&[
                LoginErrorKind::Unavailable,
                LoginErrorKind::TimedOut,
                LoginErrorKind::Malformed,
            ])
    }

    /// Whether the configuration or the program is at fault, so that trying again is pointless.
    pub fn is_misconfigured(&self) -> bool {
        matches!(self, Self::NoRuntime | Self::LoginLoop)
            || self.is_login_error(&[LoginErrorKind::Misconfigured, LoginErrorKind::Panicked])
    }

    /// Whether the handle was closed.
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }

    /// How long to wait before another try makes sense, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Login { retry_after, .. } => *retry_after,
            Self::QuotaSpent { retry_after } => Some(*retry_after),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn login(error: LoginError) -> Error {
        Error::Login {
            source: Arc::new(error),
            retry_after: Some(Duration::from_secs(3)),
        }
    }

    #[test]
    fn each_kind_answers_to_its_own_predicate() {
        let cases = [
            (login(LoginError::refused("x")), [true, false, false, false]),
            (
                login(LoginError::limited(None)),
                [false, true, false, false],
            ),
            (
                Error::QuotaSpent {
                    retry_after: Duration::ZERO,
                },
                [false, true, false, false],
            ),
            (
                login(LoginError::unavailable("x")),
                [false, false, true, false],
            ),
            (
                login(LoginError::timed_out(Duration::ZERO)),
                [false, false, true, false],
            ),
            (
                login(LoginError::malformed("x")),
                [false, false, true, false],
            ),
            (
                Error::DeadlinePassed {
                    waited: Duration::ZERO,
                },
                [false, false, true, false],
            ),
            (Error::Abandoned, [false, false, true, false]),
            (
                login(LoginError::misconfigured("x")),
                [false, false, false, true],
            ),
            (login(LoginError::panicked()), [false, false, false, true]),
            (Error::NoRuntime, [false, false, false, true]),
            (Error::LoginLoop, [false, false, false, true]),
            (Error::Closed, [false, false, false, false]),
        ];
        for (error, expected) in cases {
            let answers = [
                error.is_login_refused(),
                error.is_rate_limited(),
                error.is_unavailable(),
                error.is_misconfigured(),
            ];
            assert_eq!(answers, expected, "{error}");
            assert_eq!(error.is_closed(), matches!(error, Error::Closed));
        }
    }

    #[test]
    fn each_kind_has_its_own_words() {
        let kinds = [
            LoginErrorKind::Refused,
            LoginErrorKind::Limited,
            LoginErrorKind::Unavailable,
            LoginErrorKind::TimedOut,
            LoginErrorKind::Malformed,
            LoginErrorKind::Misconfigured,
            LoginErrorKind::Panicked,
        ];
        let mut said = std::collections::HashSet::new();
        for kind in kinds {
            let error = LoginError::new(kind, "a detail");
            let sentence = error.to_string();
            assert!(sentence.starts_with(kind.sentence()), "{sentence}");
            assert!(login(error).to_string().contains(kind.words()), "{kind:?}");
            for words in [kind.sentence(), kind.words(), kind.name()] {
                assert!(!words.is_empty(), "{kind:?}");
            }
            said.extend([
                ("sentence", kind.sentence()),
                ("words", kind.words()),
                ("name", kind.name()),
            ]);
        }
        assert_eq!(said.len(), 3 * kinds.len(), "{said:?}");
    }

    #[test]
    fn a_message_does_not_repeat_its_source() {
        let cause = std::io::Error::other("connection reset");
        let error = login(LoginError::unavailable("POST failed").with_source(cause));
        let source = error.source().unwrap();
        assert!(!error.to_string().contains(&source.to_string()));
        let cause = source.source().unwrap();
        assert_eq!(cause.to_string(), "connection reset");
        assert!(!source.to_string().contains(&cause.to_string()));
    }

    #[test]
    fn the_time_to_wait_is_told() {
        assert_eq!(
            login(LoginError::refused("x")).retry_after(),
            Some(Duration::from_secs(3))
        );
        assert_eq!(
            Error::QuotaSpent {
                retry_after: Duration::from_secs(7)
            }
            .retry_after(),
            Some(Duration::from_secs(7))
        );
        assert_eq!(Error::Closed.retry_after(), None);
        let limited = LoginError::limited(Some(Duration::from_secs(9)));
        assert_eq!(limited.retry_after(), Some(Duration::from_secs(9)));
    }
}
