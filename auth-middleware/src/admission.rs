//! May a request carry a credential, whose, and how is it asked for: for both integrations alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use auth_core::{Ask, Attempt, Credentials, Error};
use futures_util::FutureExt;

use crate::context::AuthContext;
use crate::target::Target;

/// A request that may carry a credential: whose, and how to ask for it.
pub(crate) struct Admission<'a> {
    pub(crate) credentials: &'a Credentials,
    /// How to ask before a replay.
    pub(crate) ask: Ask,
    /// A renewal that this request is to make, and that is due again if it is dropped before it is
    /// done.
    pub(crate) renewal: Option<Renewal>,
}

impl Admission<'_> {
    /// How to ask before the first attempt.
    pub(crate) fn first_ask(&self) -> Ask {
        match self.renewal {
            Some(_) => self.ask.renewed(),
            None => self.ask,
        }
    }
}

impl AuthContext {
    /// The context of a request: its own, or else the applied one. Read where the request is taken
    /// in, because an applied context is known to its own task only.
    #[inline]
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        if let Some(own) = extensions.get::<Self>() {
            return own.clone();
        }
        // The getter is async and never waits.
        let applied = task_local_extensions::get_local_item::<Self>();
        applied.now_or_never().flatten().unwrap_or_default()
    }

    /// Whose credential a request carries: the chosen identity's or else `own`. None if it passes
    /// untouched, because it says so or because it goes out of the scope.
    ///
    /// # Errors
    /// [`Error::LoginLoop`].
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
        let chosen = choices.and_then(|choices| choices.identity.as_ref());
        let credentials = chosen.unwrap_or(own);
        if !target.is_in(credentials.scope()) {
            note_foreign(target);
            return Ok(None);
        }
        Attempt::refuse_loop(credentials, extensions)?;
        let due = choices.and_then(|choices| choices.renewal.as_ref());
        // One request takes it; the flag publishes nothing else: relaxed.
        let taken = due.filter(|due| due.swap(false, Relaxed));
        Ok(Some(Admission {
            credentials,
            ask: choices.map_or(Ask::new(), |choices| choices.ask),
            renewal: taken.map(|due| Renewal(Some(Arc::clone(due)))),
        }))
    }
}

#[cold]
fn note_foreign(target: &impl Target) {
    let (scheme, host, port) = target.parts();
    tracing::trace!(
        scheme,
        host,
        port,
        "a request out of the credential's scope passes untouched"
    );
}

/// A renewal that one request has taken upon itself.
pub(crate) struct Renewal(Option<Arc<AtomicBool>>);

impl Renewal {
    pub(crate) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        if let Some(due) = &self.0 {
            due.store(true, Relaxed);
        }
    }
}
