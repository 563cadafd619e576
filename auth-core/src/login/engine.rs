//! What every login of a cache needs. It holds no handle.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tracing::Span;

use crate::cause::Cause;
use crate::clock::{Clock, nanos};
use crate::credential::Credential;
use crate::error::{Exchange, LoginError};
use crate::event::{self, Event};
use crate::limit::Limiter;
use crate::login_mark::{CacheId, LoginMark, head_of_answer};
use crate::logout::Logout;
#[cfg(feature = "metrics")]
use crate::metrics;
use crate::options::Options;
use crate::origin::Scope;
use crate::provider::Provider;
use crate::session::Session;
use crate::store::Sharer;

/// A clone is cheap and does not keep the cache alive, so a task that outlives the handles may hold
/// one.
#[derive(Clone)]
pub(crate) struct Engine {
    pub(crate) provider: Arc<dyn Provider>,
    pub(crate) scope: Scope,
    pub(crate) limiter: Arc<Limiter>,
    pub(crate) options: Arc<Options>,
    pub(crate) clock: Clock,
    pub(crate) id: CacheId,
    /// Whether a refresh spends a permit.
    pub(crate) refresh_counts_as_login: bool,
}

impl Engine {
    pub(crate) fn emit(&self, event: &Event) {
        let identity = self.provider.identity();
        event::trace(identity, event);
        #[cfg(feature = "metrics")]
        metrics::record(identity, event);
        for observer in &self.options.observers {
            // The event has happened, and a panic in one observer neither undoes it nor keeps it
            // from the others.
            let _ = catch_unwind(AssertUnwindSafe(|| observer.observe(identity, event)));
        }
    }

    /// The span of a login's task, from its look in the store to its end.
    ///
    /// It is a root, because the task may outlive the caller that it begins for, and a span lasts
    /// as long as the last one below it.
    pub(crate) fn login_span(&self, cause: Cause) -> Span {
        let identity = self.provider.identity();
        let (provider, login) = (identity.provider(), identity.login_url());
        let cause = cause.name();
        let span = tracing::info_span!(parent: None, "auth.login", provider, %login, cause);
        span.follows_from(Span::current());
        span
    }

    /// Runs the provider's code within the login's time-out, and catches a panic in it.
    pub(crate) async fn guarded<T>(
        &self,
        work: impl Future<Output = Result<T, LoginError>>,
    ) -> Result<T, LoginError> {
        let ended = self.timed(work).await;
        ended.map_err(|(failed, _head)| failed)
    }

    /// Runs the provider's login in the same way. If the time-out passes while an answer is read,
    /// the failure is what that means by its head: the server has judged the password.
    pub(crate) async fn answered<T>(
        &self,
        login: impl Future<Output = Result<T, LoginError>>,
    ) -> Result<T, LoginError> {
        let ended = self.timed(login).await;
        ended.map_err(|(failed, head)| head.unwrap_or(failed))
    }

    /// Returns the failure and, after the time-out, what an answer means that has not ended.
    async fn timed<T>(
        &self,
        work: impl Future<Output = Result<T, LoginError>>,
    ) -> Result<T, (LoginError, Option<LoginError>)> {
        let mut work = pin!(LoginMark::scope(
            self.id,
            AssertUnwindSafe(work).catch_unwind()
        ));
        let timeout = self.options.login_timeout;
        let until = self.clock.now().steady.saturating_add(nanos(timeout));
        match select(work.as_mut(), pin!(self.clock.sleep_until(until))).await {
            Either::Left((Ok(result), _)) => result.map_err(|failed| (failed, None)),
            Either::Left((Err(_panic), _)) => Err((LoginError::panicked(), None)),
            Either::Right(_) => Err((LoginError::not_in_time(timeout), head_of_answer(work))),
        }
    }

    /// What a login or a refresh has returned, unless the session is of no use.
    pub(crate) fn usable(
        &self,
        obtained: Result<Session, LoginError>,
    ) -> Result<Session, LoginError> {
        obtained.and_then(|session| session.usable(&self.scope, || self.provider.repairs()))
    }

    /// Ends a session at the server. Returns what the server said.
    pub(crate) async fn log_out(
        &self,
        credential: &Credential,
        mut logout: Logout,
    ) -> Result<(), LoginError> {
        // It may have expired in the grace before its logout.
        logout.was_over |= !credential.life().freshness(self.clock.now()).may_be_good();
        let sent = async { self.provider.logout(credential, logout).await };
        let result = self.guarded(sent).await;
        let result = result.map_err(|error| error.of_exchange(Exchange::Logout));
        self.emit(&Event::LoggedOut {
            confirmed: result.is_ok(),
        });
        result
    }
}

impl Sharer for Engine {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn emit(&self, event: &Event) {
        Self::emit(self, event);
    }
}
