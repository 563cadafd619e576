//! What a login brings, and what its end means.

use std::sync::Arc;

use super::failure::AttemptedSecret;
use crate::credential::Credential;
use crate::error::{Error, LoginError};
use crate::session::Session;

/// What a login brings: a session, whose response was received now, or none.
pub(crate) type LoginOutcome = Result<Session, NoSession>;

/// Why a login brings no session.
#[derive(Debug)]
pub(crate) enum NoSession {
    /// It failed; and the secret that it was tried with, if it came so far.
    Failed(LoginError, Option<AttemptedSecret>),
    /// The refused secret has not changed, or the login is not wanted any more: nothing was sent.
    Unchanged,
}

/// What the end of a flight means.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The waiters get this credential; the one that it replaces, if any, is no longer served.
    LoggedIn {
        credential: Arc<Credential>,
        superseded: Option<Arc<Credential>>,
    },
    /// The waiters get this failure.
    Failed(Error),
    /// The waiters decide anew, and the session, if any, is of no use: the flight was superseded.
    Discarded(Option<Arc<Credential>>),
    /// The cache was closed meanwhile: the session, if any, is to be logged out.
    Closed(Option<Arc<Credential>>),
}
