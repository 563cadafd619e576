//! What a cache did, for logs, metrics and an observer.

use std::time::Duration;

use crate::cause::Cause;
use crate::credential::Stamp;
use crate::error::LoginErrorKind;
use crate::identity::Identity;
use crate::origin::{Miss, Scope};
use crate::store::Unreadable;

/// Something that a cache did. No event holds a secret.
///
/// ```
/// use auth_core::Event;
///
/// /// What wakes the person on call.
/// fn alarm(event: &Event) -> Option<String> {
///     match event {
///         Event::LoginFailed { kind, reason, .. } => Some(format!("{}: {reason}", kind.name())),
///         Event::RejectionDoubted { stamp } => Some(format!("{stamp}: logins don't help")),
///         _ => None,
///     }
/// }
/// assert_eq!(alarm(&Event::Closed), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A login was sent to the server.
    LoginSent {
        /// Why it began.
        cause: Cause,
    },
    /// A login has returned a session.
    LoggedIn {
        /// Why it began.
        cause: Cause,
        /// The stamp of the new credential.
        stamp: Stamp,
        /// How long the login took since it was sent, without the wait for its permit.
        took: Duration,
    },
    /// A login failed.
    LoginFailed {
        /// Why it began.
        cause: Cause,
        /// The kind of failure.
        kind: LoginErrorKind,
        /// What the [`LoginError`](crate::LoginError) and its causes say.
        reason: String,
        /// The time until the next login may begin, counted from now; or the next renewal, if a
        /// renewal failed.
        retry_after: Option<Duration>,
    },
    /// A refresh of the session was sent to the server.
    RefreshSent {
        /// Why it began.
        cause: Cause,
    },
    /// A refresh has returned a session.
    Refreshed {
        /// Why it began.
        cause: Cause,
        /// The stamp of the new credential.
        stamp: Stamp,
        /// How long the refresh took since it was sent.
        took: Duration,
    },
    /// A refresh failed. If the server has refused it, or the session is over, a login follows.
    RefreshFailed {
        /// Why it began.
        cause: Cause,
        /// The kind of failure. [`Refused`](LoginErrorKind::Refused) is the token and not the
        /// password.
        kind: LoginErrorKind,
        /// What the [`LoginError`](crate::LoginError) and its causes say.
        reason: String,
        /// The time until the next refresh may begin, counted from now.
        retry_after: Option<Duration>,
    },
    /// The repair of a session has failed, or brought nothing of use. Callers get the failure.
    RepairFailed {
        /// The kind of failure.
        kind: LoginErrorKind,
        /// What the [`LoginError`](crate::LoginError) and its causes say.
        reason: String,
        /// The time in which no other repair begins.
        retry_after: Duration,
    },
    /// A session that another process got was found in the store and is used from now on.
    Loaded {
        /// The stamp of the new credential.
        stamp: Stamp,
    },
    /// The store could not be reached or used. The cache goes on without it, and leaves it alone
    /// for 5 s.
    StoreFailed {
        /// What the [`StoreError`](crate::store::StoreError) and its causes say.
        reason: String,
    },
    /// Something in the store can't be read. It counts as absent, and stays until a session is
    /// saved in its place. Each look at the store tells it anew.
    StoredUnreadable {
        /// Why it can't be read.
        why: Unreadable,
    },
    /// A login that begins has to wait for the quota, or for the server's `Retry-After`.
    LoginHeld {
        /// How long, as far as is known now.
        wait: Duration,
    },
    /// A login whose runtime is not driven any more was replaced by another one.
    LoginSuperseded,
    /// A rejection was believed, or came when the session was told to end. The credential is never
    /// served again.
    Rejected {
        /// The stamp of the credential.
        stamp: Stamp,
    },
    /// A rejection was doubted, because another login would not help: the last one that a rejection
    /// caused is on probation, or there were [too
    /// many](crate::CredentialsBuilder::rejection_logins_per_minute) in the last minute. The caller
    /// gets the response, and the session is kept.
    RejectionDoubted {
        /// The stamp of the credential.
        stamp: Stamp,
    },
    /// The server rolled values of the credential, or a repair has brought some. A new expiry alone
    /// is no event.
    Rolled {
        /// The stamp of the new revision.
        stamp: Stamp,
    },
    /// The server has set a cookie of the credential to a value that is not UTF-8. It is not heard:
    /// the credential stays as it is, and the server may reject it. It comes once for each
    /// generation.
    CookieUnheard {
        /// The stamp of the credential.
        stamp: Stamp,
        /// The name of the cookie.
        name: String,
    },
    /// The server deleted the credential's cookies.
    Ended {
        /// The stamp of the credential.
        stamp: Stamp,
    },
    /// The client below an integration has followed a redirect out of the scope by itself. It may
    /// have sent the credential there.
    LeftScope {
        /// The stamp of the credential.
        stamp: Stamp,
    },
    /// The logout of a session has ended.
    LoggedOut {
        /// Whether the server confirmed it, or said that the session was over.
        confirmed: bool,
    },
    /// A request went out of the credential's scope, and passes without the credential. For a
    /// handle and its clones it happens once for each foreign origin, and for the first 8 of them
    /// alone. [`Status::out_of_scope`](crate::Status::out_of_scope) counts all such requests.
    OutOfScope {
        /// Scheme, host and port of the request's URL, as in a URL; never its path or query.
        asked: String,
        /// Where the credential may go.
        scope: Scope,
        /// How the one misses the other.
        miss: Miss,
    },
    /// A request is sent once more, because its response has rejected what it carried, or has asked
    /// for another part of the session. It comes for each such request.
    Replayed {
        /// The stamp of the credential that it carries now.
        stamp: Stamp,
        /// How many times the request was sent before.
        resend_count: u32,
    },
    /// A caller got an error in place of a credential. It comes for each such caller, so for ten
    /// thousand at once if as many wait for a login that fails.
    TurnedAway {
        /// The [name](crate::Error::name) of the error.
        error: &'static str,
        /// How long the caller is told to wait, if that is known.
        retry_after: Option<Duration>,
    },
    /// The handle was closed.
    Closed,
}

/// Receives every [`Event`] of a cache, on the task or thread that causes it.
///
/// The observer is called with no lock held, and the cache waits for it to return: move slow work
/// to another task. A panic in it is caught and ignored. A closure is an observer. A cache may have
/// several, which are called in the order in which they were added.
///
/// Events are also written to `tracing`, on the levels from `WARN` to `TRACE`. The task of a login
/// runs in a span `auth.login` of the level `INFO`, with the fields `provider`, `login` (its URL)
/// and `cause`. The spans of the provider's client are below it. It has no parent, because it may
/// outlive the caller that it began for, and follows from that caller's span. None of these names
/// an account. The feature `metrics` counts events.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use auth_core::{Credentials, Event, Identity, Lifetime, testing::Scripted};
///
/// let logins = Arc::new(AtomicU64::new(0));
/// let counter = Arc::clone(&logins);
/// let credentials = Credentials::builder(Scripted::tokens(Lifetime::unknown()))
///     .observer(move |_: &Identity, event: &Event| {
///         if matches!(event, Event::LoginSent { .. }) {
///             counter.fetch_add(1, Ordering::Relaxed);
///         }
///     })
///     .build();
/// credentials.blocking_get()?;
/// assert_eq!(logins.load(Ordering::Relaxed), 1);
/// # Ok::<(), auth_core::Error>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Receives an event after it has happened.
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

/// Writes the event to `tracing`: failures, doubted rejections, superseded logins, cookies that are
/// not heard and requests out of the scope as warnings, logins, refreshes, logouts, the end of
/// sessions and waits for the quota as information, and the rest for debugging. What comes for each
/// caller or each request is on the level below that: ten thousand callers that wait for a login
/// that fails are one warning.
pub(crate) fn trace(identity: &Identity, event: &Event) {
    let provider = identity.provider();
    // With its path: two instances behind one host differ in nothing else.
    let login = identity.login_url();
    match event {
        Event::LoginFailed {
            cause,
            kind,
            reason,
            retry_after,
        } => {
            let kind = kind.name();
            let (cause, retry_after) = (cause.name(), retry_after.map(rounded));
            tracing::warn!(provider, %login, cause, kind, reason, ?retry_after, "login failed");
        }
        Event::RefreshFailed {
            cause,
            kind,
            reason,
            retry_after,
        } => {
            let kind = kind.name();
            let (cause, retry_after) = (cause.name(), retry_after.map(rounded));
            tracing::warn!(provider, %login, cause, kind, reason, ?retry_after, "refresh failed");
        }
        Event::RepairFailed {
            kind,
            reason,
            retry_after,
        } => {
            let kind = kind.name();
            let retry_after = rounded(*retry_after);
            tracing::warn!(provider, %login, kind, reason, ?retry_after, "repair failed");
        }
        Event::StoreFailed { reason } => {
            tracing::warn!(provider, %login, reason, "store failed; going on without it");
        }
        Event::StoredUnreadable { why } => {
            tracing::warn!(provider, %login, "what is stored can't be read: {why}");
        }
        Event::RejectionDoubted { stamp } => {
            tracing::warn!(provider, %login, %stamp, "another login would not help; the response stands");
        }
        Event::LeftScope { stamp } => {
            tracing::warn!(provider, %login, %stamp, "the client followed a redirect out of the scope");
        }
        Event::CookieUnheard { stamp, name } => {
            tracing::warn!(provider, %login, %stamp, name, "a cookie is not UTF-8 and is not heard");
        }
        Event::LoginSuperseded => {
            tracing::warn!(provider, %login, "login superseded: its runtime is not driven");
        }
        Event::OutOfScope { asked, scope, miss } => {
            tracing::warn!(
                ?identity,
                %asked,
                %scope,
                "a request goes out of the credential's scope and carries none: {miss}; for a \
                 request that needs none, say so with the integration's `AuthContext::skip()`"
            );
        }
        Event::LoginHeld { wait } => {
            let wait = rounded(*wait);
            tracing::info!(provider, %login, ?wait, "login waits for the quota");
        }
        Event::LoggedIn { cause, stamp, took } => {
            let (cause, took) = (cause.name(), rounded(*took));
            tracing::info!(provider, %login, cause, %stamp, ?took, "logged in");
        }
        Event::Refreshed { cause, stamp, took } => {
            let (cause, took) = (cause.name(), rounded(*took));
            tracing::info!(provider, %login, cause, %stamp, ?took, "refreshed");
        }
        Event::Loaded { stamp } => {
            tracing::info!(provider, %login, %stamp, "session found in the store");
        }
        Event::LoggedOut { confirmed } => tracing::info!(provider, %login, confirmed, "logged out"),
        Event::Rejected { stamp } => {
            tracing::info!(provider, %login, %stamp, "credential rejected");
        }
        Event::Ended { stamp } => {
            tracing::info!(provider, %login, %stamp, "session ended by the server");
        }
        Event::LoginSent { cause } => {
            tracing::debug!(provider, %login, cause = cause.name(), "login sent");
        }
        Event::RefreshSent { cause } => {
            tracing::debug!(provider, %login, cause = cause.name(), "refresh sent");
        }
        Event::Rolled { stamp } => tracing::debug!(provider, %login, %stamp, "credential rolled"),
        Event::Closed => tracing::debug!(provider, %login, "closed"),
        Event::Replayed {
            stamp,
            resend_count,
        } => {
            tracing::trace!(provider, %login, %stamp, resend_count, "request sent once more");
        }
        Event::TurnedAway { error, retry_after } => {
            let retry_after = retry_after.map(rounded);
            tracing::trace!(provider, %login, error, ?retry_after, "caller turned away");
        }
    }
}

/// A duration to be read, in whole microseconds.
fn rounded(duration: Duration) -> Duration {
    let rest = duration.subsec_nanos() % 1_000;
    let whole = duration.saturating_sub(Duration::from_nanos(rest.into()));
    if rest < 500 {
        whole
    } else {
        whole.saturating_add(Duration::from_micros(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_logged_in_whole_microseconds() {
        for (nanos, read) in [
            (4_000_001, "4ms"),
            (7_499, "7µs"),
            (7_500, "8µs"),
            (999_999_999, "1s"),
            (59_000_000_400, "59s"),
            (0, "0ns"),
        ] {
            assert_eq!(format!("{:?}", rounded(Duration::from_nanos(nanos))), read);
        }
        assert!(rounded(Duration::MAX) <= Duration::MAX);
    }
}
