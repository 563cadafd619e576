//! What the hops of one request have carried.

use std::sync::{Arc, Mutex, PoisonError};

use auth_core::{Credential, Credentials, Stamp};
use http::Request;

use crate::redirect::Secrets;

/// What the hops of one request have carried. It is in the extensions of each hop until that is
/// sent, because the layer that attaches credentials is below the one that follows redirects.
#[derive(Clone, Default)]
pub(in crate::tower) struct Sent {
    carried: Arc<Mutex<Carried>>,
    /// Those of the request, if this hop carries no credential.
    bare: Option<Credentials>,
}

#[derive(Default)]
struct Carried {
    /// The credential of the last attempt.
    stamp: Option<Stamp>,
    secrets: Secrets,
}

impl Sent {
    /// For a hop that carries no credential, of a request with these. The context of the hop skips
    /// every layer, and so it does not name them.
    pub(super) fn by_a_bare_hop(mut self, credentials: &Credentials) -> Self {
        self.bare = Some(credentials.clone());
        self
    }

    /// Notes that a request is sent without a credential. Returns the credentials of a hop.
    pub(in crate::tower) fn note_bare<B>(request: &mut Request<B>) -> Option<Credentials> {
        // Another layer below must not find it.
        let sent: Option<Self> = request.extensions_mut().remove();
        sent?.bare
    }

    /// Notes that a request is sent with this credential.
    #[inline]
    pub(in crate::tower) fn note<B>(request: &mut Request<B>, credential: &Credential) {
        let sent: Option<Self> = request.extensions_mut().remove();
        if let Some(sent) = sent {
            sent.carries(credential);
        }
    }

    fn carries(self, credential: &Credential) {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.stamp = Some(credential.stamp());
        if credential.has_query() {
            carried.secrets.add(Secrets::of_query(credential));
        }
    }

    /// The credential that the last hop was sent with, if any, and the secrets of all hops.
    pub(super) fn of_hop(&self) -> (Option<Stamp>, Secrets) {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        (carried.stamp.take(), carried.secrets.clone())
    }
}
