//! Why one login failed.

use std::borrow::Cow;
use std::error::Error as _;
use std::fmt;
use std::iter::successors;
use std::time::Duration;

use super::exchange::Exchange;
use crate::credential::InvalidValue;
use crate::secret::SecretError;

/// The longest `Retry-After` that holds more than the account which got it, one hour (rule 11). A
/// longer one is taken for a mistake of the server.
pub(crate) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why one login failed, as the provider reports it to the cache.
///
/// The kind decides what may happen next:
///
/// | kind | what the cache does | what the user can do |
/// |---|---|---|
/// | [`Refused`](LoginErrorKind::Refused) | no login until the secret changes or the cooldown ends: 15 minutes, doubling up to a day | correct the e-mail or password |
/// | [`Locked`](LoginErrorKind::Locked) | as if it was refused | log in by hand: unlock the account, renew its password, or turn its second factor off |
/// | [`SeatsExhausted`](LoginErrorKind::SeatsExhausted) | logs out the oldest superseded session that waits for it, and backs off for minutes | end a session by hand; share one session; log out superseded ones |
/// | [`Limited`](LoginErrorKind::Limited) | no login at this origin until the server's `Retry-After`; callers whose time reaches wait on for the next one | wait; log in less often |
/// | [`Unavailable`](LoginErrorKind::Unavailable), [`TimedOut`](LoginErrorKind::TimedOut) | backs off, with jitter | wait; look at the server |
/// | [`Malformed`](LoginErrorKind::Malformed) | at most 4 logins in 15 minutes, until the secret changes: it may be a refusal | check the password and the base URL; the API may have changed |
/// | [`Misconfigured`](LoginErrorKind::Misconfigured) | reads the configuration again after a second; no attempt is spent, unless `login` itself returned it | correct the configuration |
/// | [`Panicked`](LoginErrorKind::Panicked) | as if it was malformed | fix the provider |
///
/// Any of them may state the server's `Retry-After`, and then every login at this origin waits for
/// as long.
///
/// Of what a server sent, only the status is quoted, because a response to a login may hold a
/// secret.
///
/// ```
/// use std::time::Duration;
/// use auth_core::{LoginError, LoginErrorKind};
///
/// let error = LoginError::limited(Some(Duration::from_secs(30))).with_detail("status 503");
/// assert_eq!(error.kind(), LoginErrorKind::Limited);
/// assert!(error.to_string().ends_with("(status 503)"));
/// assert_eq!(error.retry_after(), Some(Duration::from_secs(30)));
/// ```
#[derive(Debug)]
pub struct LoginError {
    kind: LoginErrorKind,
    of: Exchange,
    detail: Cow<'static, str>,
    retry_after: Option<Duration>,
    not_sent: bool,
    /// It was sent, though it could not have brought a session.
    though_sent: bool,
    source: Option<BoxError>,
}

/// The kinds of failure that the cache distinguishes. See [`LoginError`].
///
/// ```
/// use auth_core::LoginErrorKind;
///
/// /// What a provider makes of the status of a login's answer.
/// fn kind(status: u16) -> Option<LoginErrorKind> {
///     match status {
///         200..=299 => None,
///         401 => Some(LoginErrorKind::Refused),
///         429 => Some(LoginErrorKind::Limited),
///         408 | 500..=599 => Some(LoginErrorKind::Unavailable),
///         _ => Some(LoginErrorKind::Malformed),
///     }
/// }
/// assert_eq!(kind(401).map(LoginErrorKind::name), Some("refused"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoginErrorKind {
    /// The server does not accept this account and password.
    Refused,
    /// The password may be right, and the server does not accept the account until its owner has
    /// acted there: it is disabled, its password has expired, or it wants a second factor.
    Locked,
    /// The account has as many sessions as the server allows.
    SeatsExhausted,
    /// The server wants fewer logins.
    Limited,
    /// The server could not be reached or could not process the login.
    Unavailable,
    /// The login took longer than its time-out, or than that of the HTTP client.
    TimedOut,
    /// The response was not what the API documents, and brought no session. It may be a refusal:
    /// many servers answer a wrong password with a page, a form or a redirect.
    ///
    /// So an unchanged secret is tried again after 30 s, 2 minutes and 5 minutes, and then every 15
    /// minutes, each up to a fifth longer by chance. An answer that is no refusal for sure should
    /// be [`Unavailable`](Self::Unavailable).
    Malformed,
    /// The login was not attempted: the secret can't be read, or can't be right.
    Misconfigured,
    /// The provider panicked.
    Panicked,
}

impl LoginErrorKind {
    /// The kind with this [name](Self::name).
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Refused,
            Self::Locked,
            Self::SeatsExhausted,
            Self::Limited,
            Self::Unavailable,
            Self::TimedOut,
            Self::Malformed,
            Self::Misconfigured,
            Self::Panicked,
        ];
        all.into_iter().find(|kind| kind.name() == name)
    }

    /// A short name, for metrics and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Locked => "locked",
            Self::SeatsExhausted => "seats_exhausted",
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
    /// The failure of another process, with what that said of it.
    pub(crate) fn of(kind: LoginErrorKind, detail: String) -> Self {
        Self::new(kind, detail)
    }

    /// What is named beside the kind, and the causes.
    pub(crate) fn detail_and_causes(&self) -> String {
        self.with_causes(self.detail.to_string())
    }

    fn with_causes(&self, first: String) -> String {
        let causes = successors(self.source(), |&cause| cause.source());
        causes.fold(first, |reason, cause| {
            if reason.is_empty() {
                cause.to_string()
            } else {
                format!("{reason}: {cause}")
            }
        })
    }

    pub(super) fn new(kind: LoginErrorKind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            of: Exchange::Login,
            detail: detail.into(),
            retry_after: None,
            not_sent: false,
            though_sent: false,
            source: None,
        }
    }

    /// The server does not accept this account and password. `detail` names the evidence:
    /// `"status 401"`.
    pub fn refused(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Refused, detail)
    }

    /// The server does not accept the account until its owner has acted there. `detail` names the
    /// evidence: `"a second factor is wanted"`.
    pub fn locked(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Locked, detail)
    }

    /// The account has as many sessions as the server allows. `detail` names the evidence.
    pub fn seats_exhausted(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::SeatsExhausted, detail)
    }

    /// The server wants fewer logins. `retry_after` is how long it asked to wait, if it did. Add
    /// the evidence with [`with_detail`](Self::with_detail): `"status 429"`.
    pub fn limited(retry_after: Option<Duration>) -> Self {
        Self::new(LoginErrorKind::Limited, "").with_retry_after(retry_after)
    }

    /// The server could not be reached or could not process the login.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Unavailable, detail)
    }

    /// The response was not what the API documents, so it may be a refusal. `expected` says what
    /// was expected and what came, and quotes nothing of it.
    pub fn malformed(expected: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Malformed, expected)
    }

    /// The login was not attempted, and nothing was sent.
    pub fn misconfigured(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::Misconfigured, detail)
    }

    /// The request was given up before its answer, as after a time-out of the HTTP client's own.
    /// It may still arrive at the server, so it counts there until the time-out of the login.
    /// `detail` says whose time-out it was.
    ///
    /// ```
    /// use auth_core::{LoginError, LoginErrorKind};
    ///
    /// let error = LoginError::timed_out("the client waits for 5 s");
    /// assert_eq!(error.kind(), LoginErrorKind::TimedOut);
    /// ```
    pub fn timed_out(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LoginErrorKind::TimedOut, detail)
    }

    pub(crate) fn not_in_time(after: Duration) -> Self {
        Self::timed_out(format!("no response within {after:?}"))
    }

    pub(crate) fn panicked() -> Self {
        Self::new(LoginErrorKind::Panicked, "its message is not repeated here")
    }

    /// Adds the cause. Its text must hold no secret: strip the URL from an HTTP client's error.
    ///
    /// ```
    /// use std::error::Error as _;
    /// use auth_core::LoginError;
    ///
    /// let cause = std::io::Error::other("connection reset");
    /// let error = LoginError::unavailable("no answer").with_source(cause);
    /// assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("connection reset"));
    /// ```
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Names the evidence, in place of what was named before: `"status 429"`. It must quote nothing
    /// else of what the server sent.
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Adds how long the server asked to wait.
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.retry_after = retry_after;
        self
    }

    /// Notes that not one byte of the request has left, as where no connection came about. So a
    /// token that can be [used once](crate::Refresh::single_use) is still good. If in doubt, don't.
    ///
    /// ```
    /// use auth_core::LoginError;
    ///
    /// let error = LoginError::unavailable("the host name is not known").not_sent();
    /// assert!(error.is_not_sent());
    /// ```
    pub const fn not_sent(mut self) -> Self {
        self.not_sent = true;
        self
    }

    /// Whether it is known that [not one byte has left](Self::not_sent).
    pub const fn is_not_sent(&self) -> bool {
        let unattempted = matches!(self.kind, LoginErrorKind::Misconfigured) && !self.though_sent;
        self.not_sent || unattempted
    }

    /// Notes that the server was asked, and that only the provider can be at fault.
    pub(crate) const fn though_sent(mut self) -> Self {
        self.though_sent = true;
        self
    }

    /// It was this that failed, and not a login.
    pub(crate) const fn of_exchange(mut self, of: Exchange) -> Self {
        self.of = of;
        self
    }

    /// What has failed.
    pub(super) const fn exchange(&self) -> Exchange {
        self.of
    }

    /// The kind of failure.
    pub const fn kind(&self) -> LoginErrorKind {
        self.kind
    }

    /// How long the server asked to wait, if it did.
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The failure and its causes in one text, for the log.
    pub(crate) fn reason(&self) -> String {
        self.with_causes(self.to_string())
    }
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.of.sentence(self.kind))?;
        if self.detail.is_empty() {
            return Ok(());
        }
        write!(f, " ({})", self.detail)
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
