//! What a login returns, and what its end may mean.

use std::sync::Arc;
use std::time::Duration;

use super::attempted::{Attempted, AttemptedSecret};
use crate::clock::Moment;
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::session::Session;

/// What a login task hands to the cache: a session whose response was just received, or the reason
/// why there is none.
pub(crate) type LoginOutcome = Result<Obtained, NoSession>;

/// A session, and how it was obtained.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "a login has one, for a moment")]
pub(crate) enum Obtained {
    /// From the server.
    Fetched { session: Session, by: Means },
    /// It was found in the store, and the cache has it.
    Found(Arc<Credential>),
}

/// How a session is obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Means {
    Password,
    Refresh,
}

/// Why a login returns no session.
#[derive(Debug)]
pub(crate) enum NoSession {
    /// The login failed.
    Failed(Failed),
    /// A refresh failed, or may not be sent as another process knows, and the cache knows it. No
    /// login follows in this flight.
    NotRefreshed(Error),
    /// Nothing was sent: the refused secret has not changed, or the login is not wanted any more.
    Unchanged,
    /// Nothing was sent: a session was found meanwhile, or one that can be refreshed. The waiters
    /// decide anew.
    Unneeded,
    /// No caller waits for it, and it would have to wait for a permit, which is expected then, on
    /// the steady clock. No login was sent.
    Postponed { expected: u64 },
}

/// A login that has just failed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: LoginError,
    pub(crate) of: Attempted,
    /// The secret, if it was sent.
    pub(crate) secret: Option<AttemptedSecret>,
}

/// The end of a login, and what goes into the decision besides its outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: Moment,
    /// How long the login took since it was sent.
    pub(crate) took: Duration,
    /// A random number from 0 to 1.
    pub(crate) jitter: f64,
}

/// A session that is not served any more.
#[derive(Debug)]
pub(crate) struct Superseded {
    pub(crate) session: Arc<Credential>,
    /// Whether it was rejected, or ended by the server. Otherwise a newer one has replaced it.
    pub(crate) rejected: bool,
}

/// What the end of a flight means.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The waiters get this credential. The superseded one, if any, is no longer served.
    LoggedIn {
        credential: Arc<Credential>,
        by: Means,
        superseded: Option<Superseded>,
    },
    /// The waiters get this credential, which was found in the store.
    Found(Arc<Credential>),
    /// The waiters get this failure.
    Failed(Error),
    /// A renewal failed, and its session is over. The waiters decide anew.
    NotRenewed(Error),
    /// The flight was superseded. The waiters decide anew, and the session, if any, is not used.
    Discarded(Option<Arc<Credential>>),
    /// The cache was closed in the meantime. The session, if any, is to be logged out.
    Closed(Option<Arc<Credential>>),
}
