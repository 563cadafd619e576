//! Whether a request may carry a credential, which identity's, and how to ask for it. Both
//! integrations decide it here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use auth_core::{Ask, Attempt, Credential, Credentials, Error};
use futures_util::FutureExt;

use crate::context::AuthContext;
use crate::target::Target;

/// A request that may carry a credential.
pub(crate) struct Admission<'a> {
    /// The cache that the credential comes from.
    pub(crate) credentials: &'a Credentials,
    /// How to ask for the credential before a replay.
    pub(crate) ask: Ask,
    /// Whether the request may be sent twice.
    pub(crate) replay: bool,
    /// The renewal that this request is to make, if one is due. It is due again if the request
    /// fails or is dropped before the renewal is done.
    pub(crate) renewal: Option<Renewal>,
}

impl Admission<'_> {
    /// How to ask for the credential before the first attempt.
    pub(crate) fn first_ask(&self) -> Ask {
        match self.renewal {
            Some(_) => self.ask.renewed(),
            None => self.ask,
        }
    }
}

impl AuthContext {
    /// The context of a request: its own, or else the applied one.
    ///
    /// Call it when the integration is given the request: an applied context is visible only while
    /// the future that it is applied to is polled.
    #[inline]
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        if let Some(own) = extensions.get::<Self>() {
            return own.clone();
        }
        // The getter is an async fn that never waits.
        let applied = task_local_extensions::get_local_item::<Self>();
        applied.now_or_never().flatten().unwrap_or_default()
    }

    /// The credentials of the identity that the context chooses, or else `own`.
    #[inline]
    pub(crate) fn credentials<'a>(&'a self, own: &'a Credentials) -> &'a Credentials {
        let choices = self.0.as_ref();
        let chosen = choices.and_then(|choices| choices.identity.as_ref());
        chosen.unwrap_or(own)
    }

    /// Decides which credential a request carries: that of the identity that the context chooses,
    /// or else that of `own`.
    ///
    /// `None` means that the request passes untouched, because its context skips or because it goes
    /// to an origin outside the scope.
    ///
    /// # Errors
    /// [`Error::LoginLoop`], if the request is the login that the cache waits for.
    #[inline]
    pub(crate) fn admit<'a>(
        &'a self,
        own: &'a Credentials,
        target: &impl Target,
        extensions: &http::Extensions,
    ) -> Result<Option<Admission<'a>>, Error> {
        let choices = self.0.as_ref();
        if choices.is_some_and(|choices| choices.skip) {
            return Ok(None);
        }
        let credentials = self.credentials(own);
        if !target.is_in(credentials.scope()) {
            note_out_of_scope(credentials, target);
            return Ok(None);
        }
        Attempt::refuse_loop(credentials, extensions)?;
        let due = choices.and_then(|choices| choices.renewal.as_ref());
        // Only one request takes the renewal. The flag publishes no other memory, so `Relaxed` is
        // enough.
        let taken = due.filter(|due| due.swap(false, Relaxed));
        let current = || Attempt::current(credentials).map(|current| current.stamp().generation());
        let renewal = taken.map(|due| Renewal {
            due: Some(Arc::clone(due)),
            before: current(),
        });
        Ok(Some(Admission {
            credentials,
            ask: choices.map_or(Ask::new(), |choices| choices.ask),
            replay: !choices.is_some_and(|choices| choices.once),
            renewal,
        }))
    }
}

#[cold]
fn note_out_of_scope(credentials: &Credentials, target: &impl Target) {
    let (scheme, host, port) = target.parts();
    Attempt::out_of_scope(credentials, scheme, host, port);
}

/// A redirect has led a request out of the scope.
#[cfg(any(feature = "reqwest", feature = "follow"))]
#[cold]
pub(crate) fn note_hop_out_of_scope(credentials: &Credentials, target: &impl Target) {
    let (scheme, host, port) = target.parts();
    Attempt::redirected_out_of_scope(credentials, scheme, host, port);
}

/// The guard of a renewal that one request has taken. Dropping it before it is done makes the
/// renewal due again.
pub(crate) struct Renewal {
    due: Option<Arc<AtomicBool>>,
    /// The generation that is to be renewed, if there is one.
    before: Option<u64>,
}

impl Renewal {
    /// The wait for the credential has ended so. The renewal is done also if it has brought a
    /// session of which a part can't be fetched.
    pub(crate) fn ended(mut self, got: &Result<Arc<Credential>, Error>, credentials: &Credentials) {
        let renewed = || {
            let current = Attempt::current(credentials);
            current.is_some_and(|current| Some(current.stamp().generation()) > self.before)
        };
        if got.is_ok() || renewed() {
            self.due = None;
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some(due) = &self.due {
            due.store(true, Relaxed);
        }
    }
}
