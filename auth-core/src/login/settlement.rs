//! The end of a login that its waiters are not told yet.

use std::sync::Arc;
use std::time::Duration;

use super::flight::{Flight, Told};
use crate::cause::Cause;
use crate::credential::Credential;
use crate::decide::Settled;
use crate::store::Settling;

/// What the end of a login means. Dropped before its waiters are told, it lets them decide anew.
pub(crate) struct Settlement {
    pub(crate) settled: Settled,
    /// Why it began.
    pub(crate) cause: Cause,
    /// Whether a login was attempted, and failed, and the cache knows of it.
    pub(crate) failed: bool,
    /// How long it took since it was sent.
    pub(crate) took: Duration,
    pub(crate) flight: Option<Arc<Flight>>,
    /// Lets a close wait while the session is saved, if there is a store.
    pub(crate) settling: Option<Settling>,
}

impl Settlement {
    /// The session that the login has brought, unless it was superseded.
    pub(super) const fn fetched(&self) -> Option<&Arc<Credential>> {
        match &self.settled {
            Settled::LoggedIn { credential, .. } | Settled::Closed(Some(credential)) => {
                Some(credential)
            }
            _ => None,
        }
    }

    /// Tells the waiters.
    pub(crate) fn tell(&mut self, told: Told) {
        if let Some(flight) = self.flight.take() {
            flight.waiters.set(told);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        self.tell(None);
    }
}
