//! Why a session is logged out, and what its logout ends.

/// Why a session is logged out, and what is known about it.
///
/// [`Provider::logout`](crate::Provider::logout) is told, because it decides what the server's
/// answer means: that a session is over is what an answer to the logout of a session that was over
/// before is expected to say, and no failure.
///
/// ```
/// use auth_core::{Logout, LogoutReason};
///
/// let logout = Logout::new(LogoutReason::Superseded).of_dead_session();
/// assert!(logout.was_over);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Logout {
    /// What the logout is for.
    pub reason: LogoutReason,
    /// Whether the session was known to be over before: it had expired, or the server had rejected
    /// it or deleted its cookies.
    pub was_over: bool,
}

/// What a logout is for.
///
/// ```
/// use auth_core::{LoginError, Logout, LogoutReason};
/// use http::StatusCode;
///
/// /// What a provider makes of the answer to a logout.
/// fn read(status: StatusCode, logout: Logout) -> Result<(), LoginError> {
///     match status {
///         status if status.is_success() => Ok(()),
///         StatusCode::UNAUTHORIZED if logout.was_over => Ok(()),
///         _ => Err(LoginError::unavailable("the logout was not confirmed")),
///     }
/// }
/// let logout = Logout::new(LogoutReason::Closing);
/// assert!(read(StatusCode::UNAUTHORIZED, logout).is_err());
/// assert!(read(StatusCode::UNAUTHORIZED, logout.of_dead_session()).is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogoutReason {
    /// A newer session is served in its place. See
    /// [`log_out_superseded`](crate::CredentialsBuilder::log_out_superseded).
    Superseded,
    /// The handle was [closed](crate::Credentials::close).
    Closing,
}

impl Logout {
    /// The logout of a session that is good, as far as is known.
    pub const fn new(reason: LogoutReason) -> Self {
        Self {
            reason,
            was_over: false,
        }
    }

    /// States that the session was over before.
    pub const fn of_dead_session(mut self) -> Self {
        self.was_over = true;
        self
    }
}

/// What one logout ends at the server.
///
/// ```
/// use auth_core::LogoutScope;
///
/// // In `Provider::logout_scope`, for an API whose logout ends all sessions of the account.
/// let scope = LogoutScope::Account;
/// assert_ne!(scope, LogoutScope::default(), "this session alone");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogoutScope {
    /// The session that it carries, and no other.
    #[default]
    ThisSession,
    /// All sessions of the account; or, where a renewal continues the same session with other
    /// values, that session. A superseded session is then never logged out, because that would end
    /// the one that is served.
    Account,
}
