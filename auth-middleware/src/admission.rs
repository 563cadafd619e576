//! May a request carry a credential, whose, and how is it asked for: for both integrations alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use auth_core::{Ask, Attempt, Credentials, Error};
use futures_util::FutureExt;

use crate::context::AuthContext;
use crate::target::Target;

impl AuthContext {
    /// The context of a request: its own, or else the applied one. Read where the request is
    /// taken in, because an applied context is known to its own task only.
    #[inline]
    pub(crate) fn of(extensions: &http::Extensions) -> Self {
        if let Some(own) = extensions.get::<Self>() {
            return own.clone();
        }
        // The getter is async and never waits.
        let applied = task_local_extensions::get_local_item::<Self>();
        applied.now_or_never().flatten().unwrap_or_default()
    }

    /// Whose credential a request carries: the chosen identity's or else `own`. None if it
    /// passes untouched, because it says so or because it goes out of the scope.
    ///
    /// # Errors
    /// [`Error::LoginLoop`].
    #[inline]
    pub(crate) fn credentials_for<'a>(
        &'a self,
        own: &'a Credentials,
        target: &impl Target,
        extensions: &http::Extensions,
    ) -> Result<Option<&'a Credentials>, Error> {
        let choices = self.0.as_ref();
        if choices.is_some_and(|choices| choices.skip) {
            return Ok(None);
        }
        let chosen = choices.and_then(|choices| choices.identity.as_ref());
        let credentials = chosen.unwrap_or(own);
        if !target.is_in(credentials.scope()) {
            let (scheme, host, port) = target.parts();
            tracing::trace!(
                scheme,
                host,
                port,
                "a request out of the credential's scope passes untouched"
            );
            return Ok(None);
        }
        Attempt::refuse_loop(credentials, extensions)?;
        Ok(Some(credentials))
    }

    /// How to ask for a credential before the first attempt: with the renewal that is due, if
    /// one is. It is due again if it is dropped before it is done.
    #[inline]
    pub(crate) fn first_ask(&self, timeout: Option<Duration>) -> (Ask, Option<Renewal>) {
        let ask = self.next_ask(timeout);
        let due = self.0.as_ref().and_then(|choices| choices.renewal.as_ref());
        // One request takes it; nothing else is published by the flag: relaxed.
        match due.filter(|due| due.swap(false, Relaxed)) {
            Some(due) => (ask.renewed(), Some(Renewal(Some(Arc::clone(due))))),
            None => (ask, None),
        }
    }

    /// How to ask for a credential before a replay, given what is left of the request's own
    /// time-out.
    #[inline]
    pub(crate) fn next_ask(&self, timeout: Option<Duration>) -> Ask {
        let ask = self.0.as_ref().map_or(Ask::new(), |choices| choices.ask);
        timeout.map_or(ask, |timeout| ask.at_most(timeout))
    }
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
