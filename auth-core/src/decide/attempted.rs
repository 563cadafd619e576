//! What was attempted, and with which secret.

use crate::secret::Fingerprint;

/// The secret of one login attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AttemptedSecret {
    pub(crate) secret: Fingerprint,
    /// Whether its source may hold another secret by now.
    pub(crate) may_change: bool,
}

/// What was attempted, and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempted {
    Login,
    /// A login while a session was good.
    Renewal,
}
