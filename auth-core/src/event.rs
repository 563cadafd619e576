//! What happened, for logs, metrics and an observer of the user's.

use std::time::Duration;

use crate::credential::Stamp;
use crate::error::LoginErrorKind;
use crate::identity::Identity;

/// Something that a cache did. No event holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A login was sent to the server.
    LoginSent,
    /// A login, or a renewal, brought a session.
    LoggedIn {
        /// Its generation.
        stamp: Stamp,
        /// How long the login took, without the wait for its permit.
        took: Duration,
    },
    /// A login failed.
    LoginFailed {
        /// How.
        kind: LoginErrorKind,
        /// When the next one may be tried, counted from now.
        retry_after: Option<Duration>,
    },
    /// A login has to wait for the quota, or for the server's `Retry-After`.
    LoginHeld {
        /// How long, as far as can be told now.
        wait: Duration,
    },
    /// A login whose runtime is not driven any more was replaced by another.
    LoginSuperseded,
    /// A rejection was believed: the credential is never served again.
    Rejected {
        /// The credential.
        stamp: Stamp,
    },
    /// A rejection was not believed to be the login's fault: the answer stands, the session is kept.
    RejectionDoubted {
        /// The credential.
        stamp: Stamp,
    },
    /// The server rolled the credential's value, or gave it a new expiry.
    Rolled {
        /// The new revision.
        stamp: Stamp,
    },
    /// The server deleted the credential's cookie.
    Ended {
        /// The credential.
        stamp: Stamp,
    },
    /// A session was logged out, or could not be.
    LoggedOut {
        /// Whether the server confirmed it.
        confirmed: bool,
    },
    /// The handle was closed.
    Closed,
}

/// Sees every [`Event`] of a cache, on whatever task or thread it happens.
///
/// It is called with no lock held, and its caller waits for it: hand anything slow to somebody else.
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn observe(&self, identity: &Identity, event: &Event);
}

impl<F> Observer for F
where
    F: Fn(&Identity, &Event) + Send + Sync + 'static,
{
    fn observe(&self, identity: &Identity, event: &Event) {
        self(identity, event);
    }
}

/// Writes the event to `tracing`: failures and doubts as warnings, what a login does as information, the rest for debugging.
pub(crate) fn trace(identity: &Identity, event: &Event) {
    let provider = identity.provider();
    let origin = identity.origin();
    match event {
        Event::LoginFailed { kind, retry_after } => {
            let kind = kind.name();
            tracing::warn!(provider, %origin, kind, ?retry_after, "login failed");
        }
        Event::RejectionDoubted { stamp } => {
            tracing::warn!(provider, %origin, %stamp, "the rejection is not the login's fault; the answer stands");
        }
        Event::LoginSuperseded => {
            tracing::warn!(provider, %origin, "login superseded: nobody drives its runtime");
        }
        Event::LoginHeld { wait } => {
            tracing::info!(provider, %origin, ?wait, "login waits for the quota");
        }
        Event::LoggedIn { stamp, took } => {
            tracing::info!(provider, %origin, %stamp, ?took, "logged in");
        }
        Event::LoggedOut { confirmed } => {
            tracing::info!(provider, %origin, confirmed, "logged out");
        }
        Event::Rejected { stamp } => {
            tracing::info!(provider, %origin, %stamp, "credential rejected");
        }
        Event::Ended { stamp } => {
            tracing::info!(provider, %origin, %stamp, "session ended by the server");
        }
        Event::LoginSent => tracing::debug!(provider, %origin, "login sent"),
        Event::Rolled { stamp } => tracing::debug!(provider, %origin, %stamp, "credential rolled"),
        Event::Closed => tracing::debug!(provider, %origin, "closed"),
    }
}
