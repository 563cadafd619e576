//! What the hops of one request have carried.

use std::sync::{Arc, Mutex, PoisonError};

use auth_core::{Credential, Stamp};
use http::Request;

use crate::redirect::QuerySecrets;

/// What the hops of one request have carried. It is in the extensions of each hop until that is
/// sent, because the layer that attaches credentials is below the one that follows redirects.
#[derive(Clone, Default)]
pub(in crate::tower) struct Sent(Arc<Mutex<Carried>>);

#[derive(Default)]
struct Carried {
    /// The credential of the last attempt.
    stamp: Option<Stamp>,
    secrets: QuerySecrets,
}

impl Sent {
    /// Notes that a request is sent with this credential, or with none.
    pub(in crate::tower) fn note<B>(request: &mut Request<B>, credential: Option<&Credential>) {
        // Another layer below must not find it.
        let sent: Option<Self> = request.extensions_mut().remove();
        let (Some(sent), Some(credential)) = (sent, credential) else {
            return;
        };
        let mut carried = sent.0.lock().unwrap_or_else(PoisonError::into_inner);
        carried.stamp = Some(credential.stamp());
        if credential.has_query() {
            carried.secrets.add(QuerySecrets::of(credential));
        }
    }

    /// The credential that the last hop was sent with, if any, and the secrets of all hops.
    pub(super) fn of_hop(&self) -> (Option<Stamp>, QuerySecrets) {
        let mut carried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (carried.stamp.take(), carried.secrets.clone())
    }
}
