//! What a login returns, and what its end means.

use std::sync::Arc;

use super::failure::AttemptedSecret;
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::session::Session;

/// What a login task hands to the cache: a session whose response was just received, or the reason
/// why there is none.
pub(crate) type LoginOutcome = Result<Session, NoSession>;

/// Why a login returns no session.
#[derive(Debug)]
pub(crate) enum NoSession {
    /// The login failed. The secret is there if it was sent.
    Failed(LoginError, Option<AttemptedSecret>),
    /// Nothing was sent: the refused secret has not changed, or the login is not wanted any more.
    Unchanged,
}

/// What the end of a flight means.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The waiters get this credential. The superseded one, if any, is no longer served.
    LoggedIn {
        credential: Arc<Credential>,
        superseded: Option<Arc<Credential>>,
    },
    /// The waiters get this failure.
    Failed(Error),
    /// The flight was superseded. The waiters decide anew, and the session, if any, is not used.
    Discarded(Option<Arc<Credential>>),
    /// The cache was closed in the meantime. The session, if any, is to be logged out.
    Closed(Option<Arc<Credential>>),
}
