//! The refresh of a session, which a login follows if it fails.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::Login;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::{NoSession, Purpose, refuses};
use crate::error::{Exchange, LoginError, LoginErrorKind};
use crate::event::Event;
use crate::login::turn::not_marked;
use crate::session::Session;

/// How long a refresh is waited for once its session is over, where logins take less than half of
/// that. Those that wait have the login left, and a refresh is quicker than one.
const REFRESH_WAIT: Duration = Duration::from_secs(5);

/// How often is looked whether the session of a refresh is over, and a login can follow.
const LOOK_WHETHER_OVER: Duration = Duration::from_secs(1);

impl Login {
    /// Refreshes the `current` session, which is then the one that was sent. Nothing of the
    /// password is read.
    pub(super) async fn refresh(
        &mut self,
        current: &mut Arc<Credential>,
    ) -> Result<Result<Session, LoginError>, NoSession> {
        self.promise_a_step();
        let (id, cause) = (self.flight().id, self.flight().cause);
        let permit = loop {
            let permit = if self.engine.refresh_counts_as_login {
                Some(self.wait_for_permit().await?)
            } else {
                None
            };
            // Another process may have refreshed it meanwhile.
            let has_lost_lease = || (self.turn.as_ref()).is_some_and(|turn| turn.has_lost_lease());
            if permit.is_some() && has_lost_lease() {
                self.give_back(permit).await;
                return Err(NoSession::Unneeded);
            }
            // From now on a close waits for it: what is marked as spent is not dropped.
            if !self.begin_sending() {
                self.give_back(permit).await;
                return Err(NoSession::Unchanged);
            }
            // Before the store has it, so that it is not taken for another process's.
            let cache = self.cache().ok_or(NoSession::Unchanged);
            match cache.and_then(|cache| cache.send_refresh(id, current)) {
                // A response may have changed it during the wait.
                Ok(session) => *current = session,
                Err(none) => {
                    self.give_back(permit).await;
                    return Err(none);
                }
            }
            if !self.mark_spent(current).await {
                self.give_back(permit).await;
                return Ok(Err(not_marked()));
            }
            // Nothing is sent any more once the last handle is gone.
            if self.is_for_others() {
                self.give_back(permit).await;
                self.unmark(current).await;
                return Err(NoSession::Unchanged);
            }
            let Some(permit) = permit else { break None };
            // The store may have taken a while.
            match self.sent(permit) {
                Ok(permit) => break Some(permit),
                Err(permit) => {
                    self.give_back(Some(permit)).await;
                    self.unmark(current).await;
                }
            }
            if !self.begin_anew() {
                return Err(NoSession::Unchanged);
            }
        };
        self.promise_a_step();
        let engine = &self.engine;
        engine.emit(&Event::RefreshSent { cause });
        // A provider may panic before it returns its future, so it is called within the guard.
        let sent = async { engine.provider.refresh(current).await };
        let result = match select(pin!(engine.guarded(sent)), pin!(self.overdue())).await {
            Either::Left((result, _)) => result,
            Either::Right((waited, _)) => Err(LoginError::not_in_time(waited)),
        };
        let result = result.and_then(|session| match self.cache() {
            Some(cache) => cache.continued(session, current),
            None => Ok(session),
        });
        let result = engine.usable(result);
        let result = result.map_err(|error| error.of_exchange(Exchange::Refresh));
        if let Some(permit) = permit {
            self.end(permit, &result);
        }
        Ok(result)
    }

    /// The refresh has failed. Returns the session that another process has saved meanwhile, or
    /// `None` if the login follows.
    pub(super) async fn after_refresh(
        &mut self,
        current: &Credential,
        error: LoginError,
    ) -> Result<Option<Arc<Credential>>, NoSession> {
        if error.is_not_sent() {
            self.unmark(current).await;
        }
        // The login that follows may wait for long. What holds meanwhile is stored before.
        if let Some(mut turn) = self.turn.take() {
            self.promise_a_step();
            turn.tell_hold().await;
            self.promise_a_step();
            turn.end_permit().await;
            self.turn = Some(turn);
        }
        self.promise_a_step();
        // It may have been a race with another process, and no refusal.
        if let Some(found) = self.look_again(current, &error).await? {
            return Ok(Some(found));
        }
        self.note_failed(current, &error);
        self.purpose = self.purpose_after(current, error)?;
        Ok(None)
    }

    /// Ends once the session that is refreshed has been over for so long that the login is to
    /// follow, for which a permit of the process is free. Returns how long that is.
    async fn overdue(&self) -> Duration {
        let (clock, limiter) = (&self.engine.clock, &self.engine.limiter);
        let login = Duration::from_nanos(limiter.login_takes());
        let wait = REFRESH_WAIT.max(login.saturating_mul(2));
        let mut over_since = None;
        loop {
            let now = clock.now().steady;
            let until = if self.cache().is_some_and(|cache| cache.has_good_session()) {
                over_since = None;
                now.saturating_add(nanos(LOOK_WHETHER_OVER))
            } else {
                let since = *over_since.get_or_insert(now);
                since.saturating_add(nanos(wait))
            };
            // While no login can follow, the refresh is all that may bring a session.
            let is_overdue = until <= now;
            let wants_login = || self.cache().is_none_or(|cache| cache.wants_login());
            let wants_login = || !self.is_for_others() && wants_login();
            if is_overdue && wants_login() && limiter.expected(true) <= now {
                return wait;
            }
            let look = now.saturating_add(nanos(LOOK_WHETHER_OVER));
            let next = if is_overdue { look } else { until };
            clock.sleep_until(next).await;
        }
    }

    /// Marks the token of a session as spent in the store, if it can be used once. Returns whether
    /// it may be sent.
    async fn mark_spent(&mut self, session: &Credential) -> bool {
        // Nothing is sent any more once the last handle is gone.
        let Some(cache) = self.cache() else {
            return false;
        };
        let token = cache.single_use_token(session);
        drop(cache);
        self.promise_a_step();
        match (token, &mut self.turn) {
            (Some(token), Some(turn)) => Box::pin(turn.spend(token.expose())).await,
            _ => true,
        }
    }

    /// The token that was marked was not sent. The store is to know at once: what follows may wait
    /// for an hour.
    async fn unmark(&mut self, current: &Credential) {
        self.promise_a_step();
        if let Some(turn) = &mut self.turn {
            Box::pin(turn.pardon()).await;
        }
        // Before another look in the store, which may show that another process has spent it.
        if let Some(cache) = self.cache() {
            cache.unsend_refresh(current);
        }
    }

    /// The refresh has failed. The store is told in the end what holds for all: that the token was
    /// refused, or that the server wants no refresh for a while.
    fn note_failed(&mut self, current: &Credential, error: &LoginError) {
        let cache = self.cache().filter(|_| refuses(error));
        let token = cache.and_then(|cache| cache.refresh_token(current));
        let Some(turn) = &mut self.turn else { return };
        if let Some(token) = token {
            turn.was_refused(token.expose());
        }
        if error.retry_after().is_some() {
            turn.note();
        }
    }

    /// The refresh was refused, or was not sent because the store had changed: looks there again.
    async fn look_again(
        &mut self,
        current: &Credential,
        error: &LoginError,
    ) -> Result<Option<Arc<Credential>>, NoSession> {
        let raced = error.is_not_sent() || error.kind() == LoginErrorKind::Refused;
        let Some(turn) = self.turn.as_ref().filter(|_| raced) else {
            return Ok(None);
        };
        let (known, _) = self.cache().ok_or(NoSession::Unchanged)?.known();
        let Some(found) = turn.look_again().await else {
            return Ok(None);
        };
        let found = self.adopt(found, known.version);
        // The purpose is decided anew by the failure, unless that was of an older session.
        let refreshed = self.refreshed.take();
        let generation = current.stamp().generation();
        let is_other = |session: Arc<Credential>| session.stamp().generation() != generation;
        match found {
            Ok(None) if refreshed.is_some_and(is_other) => Err(NoSession::Unneeded),
            Err(NoSession::NotRefreshed(_)) => Ok(None),
            found => found,
        }
    }

    /// The refresh has failed. Returns the purpose of the login that follows, if one does.
    fn purpose_after(
        &mut self,
        current: &Credential,
        error: LoginError,
    ) -> Result<Purpose, NoSession> {
        let cache = self.cache().ok_or(NoSession::Unchanged)?;
        let purpose = cache.not_refreshed(self.flight(), current, error)?;
        drop(cache);
        if self.begin_anew() {
            Ok(purpose)
        } else {
            Err(NoSession::Unchanged)
        }
    }
}
