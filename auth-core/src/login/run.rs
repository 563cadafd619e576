//! One login, step by step: look in the store, take the lease, look again; refresh, or read the
//! secret, get a permit and log in; keep the session, save it, release the lease, tell the waiters.

mod refresh;

use std::error::Error as _;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::{Either, select};

use super::engine::Engine;
use super::flight::Flight;
use super::keep::Keep;
use super::settlement::Settlement;
use super::turn::{Permission, Turn};
use crate::cause::Cause;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::{
    Adopted, Attempted, AttemptedSecret, Failed, FlightId, LOOK_EVERY, LoginOutcome, Means,
    NoSession, Notes, Obtained, Purpose, Wanted,
};
use crate::error::{LoginError, LoginErrorKind};
use crate::event::Event;
use crate::limit::{LONGEST_LOGIN, Permit, STALLED_AFTER, Ticket};
use crate::secret::Secret;
use crate::session::Session;
use crate::store::{Found, Lease, STEP, Version};

/// How much longer than its time-out, or a step at the store, a step may take before its task
/// counts as not driven. A second is longer than a busy runtime delays a task.
const GRACE: Duration = Duration::from_secs(1);

/// A login that was decided on, and the task that carries it out.
pub(crate) struct Login {
    engine: Engine,
    guard: FlightGuard,
    purpose: Purpose,
    /// The last generation when it was decided on.
    began: u64,
    /// The session that is refreshed first, if the purpose is that.
    refreshed: Option<Arc<Credential>>,
    /// Its turn at the store, if the cache has one.
    turn: Option<Box<Turn>>,
}

impl Login {
    /// A login whose task is not spawned yet. It doesn't keep the cache alive before it is sent.
    pub(crate) fn new(
        engine: &Engine,
        cache: Weak<dyn Keep>,
        (id, cause): (FlightId, Cause),
        ticket: Ticket,
        (purpose, began): (Purpose, u64),
        refreshed: Option<Arc<Credential>>,
    ) -> Self {
        ticket.set_due(engine.clock.now().steady + nanos(STALLED_AFTER));
        let flight = Flight::new(id, cause, ticket);
        Self {
            engine: engine.clone(),
            guard: FlightGuard {
                cache: Some(cache),
                flight,
                sent_for: None,
            },
            purpose,
            began,
            refreshed,
            turn: Turn::new(engine).map(Box::new),
        }
    }

    pub(crate) const fn flight(&self) -> &Arc<Flight> {
        &self.guard.flight
    }

    /// The body of the login's task.
    pub(crate) async fn run(mut self) {
        let outcome = self.log_in().await;
        self.keep(outcome).await;
    }

    // What has to do with the store is boxed, because most logins have none, and the task of each
    // has room for this.

    /// Look in the store, with its lease; then refresh or log in, while the lease is extended.
    async fn log_in(&mut self) -> LoginOutcome {
        if self.turn.is_none() {
            return self.fetch().await;
        }
        Box::pin(async {
            if let Some(found) = self.take_turn().await? {
                return Ok(Obtained::Found(found));
            }
            let extended = self.turn.as_ref().map(|turn| turn.extended());
            let Some(extended) = extended else {
                return self.fetch().await;
            };
            match select(pin!(self.fetch()), pin!(extended)).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right((never, _)) => match never {},
            }
        })
        .await
    }

    async fn fetch(&mut self) -> LoginOutcome {
        if let Some(mut current) = self.refreshed.take() {
            match self.refresh(&mut current).await? {
                Ok(session) => {
                    let by = Means::Refresh;
                    return Ok(Obtained::Fetched { session, by });
                }
                Err(error) => {
                    if let Some(found) = Box::pin(self.after_refresh(&current, error)).await? {
                        return Ok(Obtained::Found(found));
                    }
                }
            }
        }
        let (secret, permit) = match self.secret_and_permit().await? {
            Ok(ready) => ready,
            Err(found) => return Ok(Obtained::Found(found)),
        };
        let cause = self.flight().cause;
        self.engine.emit(&Event::LoginSent { cause });
        let session = self.send(&secret, permit).await?;
        let by = Means::Password;
        Ok(Obtained::Fetched { session, by })
    }

    /// Looks in the store, and waits there for the lease. Returns the session that was found, or
    /// `None` if this login is to get one.
    async fn take_turn(&mut self) -> Result<Option<Arc<Credential>>, NoSession> {
        let Some(mut turn) = self.turn.take() else {
            return Ok(None);
        };
        let (mut held_since, mut told) = (None, false);
        loop {
            self.promise_a_step();
            // The store may fail in this very step.
            let is_left_alone = turn.is_left_alone();
            turn.give_last_back().await;
            self.promise_a_step();
            let (known, rejected) = self.cache().ok_or(NoSession::Unchanged)?.known();
            let began = self.engine.clock.now().steady;
            let Some((lease, found)) = turn.look(known, rejected).await else {
                if !is_left_alone
                    && let Some(found) = turn.look_instead(began).await
                    && let Some(found) = self.adopt(found, known.version)?
                {
                    self.turn = Some(turn);
                    return Ok(Some(found));
                }
                break;
            };
            if let Some(found) = self.adopt(found, known.version)? {
                self.turn = Some(turn);
                return Ok(Some(found));
            }
            match lease {
                Lease::Held { left } => {
                    let now = self.engine.clock.now().steady;
                    let since: u64 = *held_since.get_or_insert(now);
                    // A login that was sent has ended by its time-out. The other one waits for a
                    // permit, so this one would, too.
                    if now.saturating_sub(since) > nanos(turn.login_takes()) {
                        let ends = now.saturating_add(nanos(left));
                        self.flight().ticket.set_expected(ends);
                        told = true;
                    }
                    self.promise_a_step();
                    turn.wait(left).await;
                }
                // A session is there that can't be read, or is of no use. It is known now.
                Lease::NotNeeded if turn.pass_over() => {}
                // A store that went on saying so would be asked for ever.
                Lease::Taken { .. } | Lease::NotNeeded => break,
            }
        }
        if told {
            let now = self.engine.clock.now().steady;
            self.flight().ticket.set_expected(now);
        }
        self.turn = Some(turn);
        Ok(None)
    }

    /// What the cache makes of the store: the session that it serves, if that was found there.
    fn adopt(
        &mut self,
        found: Found,
        known: Option<Version>,
    ) -> Result<Option<Arc<Credential>>, NoSession> {
        let cache = self.cache().ok_or(NoSession::Unchanged)?;
        let wanted = Wanted {
            purpose: self.purpose,
            asked: self.flight().cause == Cause::Asked,
            began: self.began,
            known,
        };
        let adopted = cache.look_at(self.flight().id, wanted, found);
        match adopted.ok_or(NoSession::Unchanged)? {
            Adopted::Serves(credential) => return Ok(Some(credential)),
            Adopted::GoesOn(purpose) => self.purpose = purpose,
            Adopted::Fails(error) => return Err(NoSession::NotRefreshed(error)),
        }
        // What is there now, and not what was there when the login began.
        let refreshes = self.purpose == Purpose::Refresh;
        self.refreshed = cache.refreshed().filter(|_| refreshes);
        Ok(None)
    }

    /// Nothing was sent with this permit.
    async fn give_back(&mut self, permit: Option<Permit>) {
        let Some(permit) = permit else {
            return;
        };
        permit.give_back();
        self.promise_a_step();
        if let Some(turn) = &mut self.turn {
            Box::pin(turn.give_permit_back()).await;
        }
    }

    fn cache(&self) -> Option<Arc<dyn Keep>> {
        self.guard.cache.as_ref()?.upgrade()
    }

    /// Reads the secret, and checks whether it is worth an attempt.
    async fn look(&mut self) -> Result<Secret, NoSession> {
        self.promise_a_step();
        let provider = &self.engine.provider;
        let read = async { Ok(provider.secret().read().await?) };
        let secret = self.engine.guarded(read).await.map_err(before_sending)?;
        // The check is code of the provider, and may panic as well.
        let check = async { provider.check_secret(&secret) };
        self.engine.guarded(check).await.map_err(before_sending)?;
        let fingerprint = secret.fingerprint();
        let unchanged = match self.purpose {
            Purpose::LoginIfChanged { refused } => refused == Some(fingerprint),
            _ => false,
        };
        let attempted = self.attempted(&secret);
        let held_back = |cache: Arc<dyn Keep>| cache.holds_back(attempted);
        if unchanged || self.cache().is_some_and(held_back) || self.recalls(&secret) {
            return Err(NoSession::Unchanged);
        }
        Ok(secret)
    }

    /// Whether another process has found out that this secret must not be sent now.
    fn recalls(&mut self, secret: &Secret) -> bool {
        let attempted = self.attempted(secret);
        let (cache, purpose) = (self.cache(), self.purpose);
        let (Some(cache), Some(turn)) = (cache, &mut self.turn) else {
            return false;
        };
        let tag = turn.sharing().tag(secret.expose());
        let may_be_sent = cache.recall(turn.notes(), attempted, &tag, purpose);
        turn.read(tag);
        !may_be_sent
    }

    fn attempted(&self, secret: &Secret) -> AttemptedSecret {
        AttemptedSecret {
            secret: secret.fingerprint(),
            may_change: self.engine.provider.secret().fixed().is_none(),
        }
    }

    /// Reads the secret, and waits for a permit. When it returns, the login counts as sent; or it
    /// returns the session that was found meanwhile.
    async fn secret_and_permit(
        &mut self,
    ) -> Result<Result<(Secret, Permit), Arc<Credential>>, NoSession> {
        let mut secret = self.look().await?;
        let clock = self.engine.clock.clone();
        let mut looked_at = clock.now();
        let mut has_no_turn = false;
        loop {
            let permit = self.wait_for_permit().await?;
            // Others may have logged in meanwhile, or have found out that it must not be sent.
            if !has_no_turn && self.has_lost_turn() {
                self.give_back(Some(permit)).await;
                if let Some(found) = Box::pin(self.take_turn()).await? {
                    return Ok(Err(found));
                }
                if self.refreshed.is_some() {
                    return Err(NoSession::Unneeded);
                }
                secret = self.look().await?;
                looked_at = clock.now();
                has_no_turn = self.has_lost_turn();
                continue;
            }
            let now = clock.now();
            // The wait may have been an hour, in which the secret was changed, and the old one
            // would cost an attempt. The permit counts meanwhile, so a source that takes long is
            // not waited for: then the secret at hand is as good as one can know.
            if now.steady_since(looked_at) >= LOOK_EVERY {
                let enough = clock.sleep_until(now.steady.saturating_add(nanos(LOOK_EVERY)));
                let again = match select(pin!(self.look()), pin!(enough)).await {
                    Either::Left((again, _)) => Some(again),
                    Either::Right(_) => None,
                };
                match again {
                    Some(Ok(again)) => secret = again,
                    Some(Err(none)) => {
                        self.give_back(Some(permit)).await;
                        return Err(none);
                    }
                    None => {}
                }
                looked_at = now;
                self.promise_a_step();
            }
            if let Some(permit) = self.send_with(permit, &secret).await? {
                return Ok(Ok((secret, permit)));
            }
        }
    }

    fn has_lost_turn(&self) -> bool {
        self.turn.as_ref().is_some_and(|turn| turn.is_lost())
    }

    /// Waits for a permit of the process, and for one of the store. With a store, a login that no
    /// caller waits for does not: others would wait for its lease meanwhile.
    async fn wait_for_permit(&mut self) -> Result<Permit, NoSession> {
        let timeout = self.engine.options.login_timeout;
        loop {
            let (limiter, ticket) = (&self.engine.limiter, &self.flight().ticket);
            let permit = if self.turn.is_some() && !ticket.is_wanted() {
                let free = limiter.take(ticket, timeout);
                free.map_err(|expected| NoSession::Postponed { expected })?
            } else {
                limiter.acquire(ticket, timeout).await
            };
            self.promise_a_step();
            let Some(mut turn) = self.turn.take() else {
                return Ok(permit);
            };
            let ticket = &self.flight().ticket;
            let permission = turn.permit(&permit, ticket, || self.promise_a_step());
            let permission = Box::pin(permission).await;
            self.turn = Some(turn);
            self.promise_a_step();
            if matches!(permission, Permission::Given) {
                return Ok(permit);
            }
            self.give_back(Some(permit)).await;
            if let Permission::Later(expected) = permission {
                return Err(NoSession::Postponed { expected });
            }
        }
    }

    /// From now on the login counts as sent with this permit, unless it was stopped. Returns `None`
    /// if it can't be sent any more with that. Then it has none.
    async fn send_with(
        &mut self,
        permit: Permit,
        secret: &Secret,
    ) -> Result<Option<Permit>, NoSession> {
        // Another handle may have found out what forbids it during the wait.
        let attempted = self.attempted(secret);
        let held_back = |cache: Arc<dyn Keep>| cache.holds_back(attempted);
        if self.cache().is_some_and(held_back) {
            self.give_back(Some(permit)).await;
            return Err(NoSession::Unchanged);
        }
        let sent = self.sent(permit);
        let may_be_sent = sent.is_ok();
        let (Ok(permit) | Err(permit)) = sent;
        // A look for a caller that would have been turned away may have found one.
        let has_session = self.purpose == Purpose::Login
            && self.cache().is_some_and(|cache| cache.has_good_session());
        if may_be_sent && !has_session && self.begin_sending() {
            return Ok(Some(permit));
        }
        self.give_back(Some(permit)).await;
        if has_session {
            return Err(NoSession::Unneeded);
        }
        if may_be_sent || !self.begin_anew() {
            return Err(NoSession::Unchanged);
        }
        Ok(None)
    }

    /// From now on it counts as sent. Returns whether it may be: not if it was stopped, or if the
    /// last handle is gone. With a store, that has no more say then: the others who share it wait
    /// for the end, and a password that is refused without their knowing is one that they try. A
    /// login without an end would keep them waiting for ever.
    fn begin_sending(&mut self) -> bool {
        if self.turn.is_some() && self.engine.options.login_timeout <= LONGEST_LOGIN {
            self.guard.sent_for = self.cache();
            if self.guard.sent_for.is_none() {
                return false;
            }
        }
        self.flight().send(self.engine.clock.precise())
    }

    /// What was sent has failed, or was not sent after all, and another try follows. Returns
    /// whether it may: it may not if the last handle is gone.
    fn begin_anew(&mut self) -> bool {
        if self.is_for_others() {
            return false;
        }
        // If it was the last that held the cache, the flight is stopped by that.
        self.guard.sent_for = None;
        self.flight().begin_anew()
    }

    /// Whether the last handle is gone, and what was sent goes on for those that share the store.
    fn is_for_others(&self) -> bool {
        let sent_for = self.guard.sent_for.as_ref();
        sent_for.is_some_and(|cache| Arc::strong_count(cache) == 1)
    }

    /// It is sent now with this permit, and that of the store.
    ///
    /// # Errors
    /// The permit, if it can't be sent any more with them: the store, or the source of the secret,
    /// may have taken a while.
    fn sent(&mut self, permit: Permit) -> Result<Permit, Permit> {
        let permit = permit.sent(self.engine.options.login_timeout)?;
        if self.turn.as_mut().is_none_or(|turn| turn.send()) {
            Ok(permit)
        } else {
            Err(permit)
        }
    }

    /// Logs in with this secret. The permit is bound until that has ended.
    async fn send(&mut self, secret: &Secret, permit: Permit) -> Result<Session, NoSession> {
        let attempted = self.attempted(secret);
        let of = match self.purpose {
            Purpose::Renewal => Attempted::Renewal,
            _ => Attempted::Login,
        };
        self.flight().attempts(of, attempted);
        let engine = &self.engine;
        // A provider may panic before it returns its future, so it is called within the guard.
        let sent = async { engine.provider.login(secret).await };
        let result = engine.usable(engine.answered(sent).await);
        let held = self.end(permit, &result);
        let failed = match result {
            Ok(session) => {
                self.turn.iter().for_each(|turn| turn.logged_in());
                return Ok(session);
            }
            Err(error) => error,
        };
        // The origin is held for an hour at most, and the account for longer if that is asked.
        let wait = held.max(failed.retry_after());
        Err(NoSession::Failed(Failed {
            error: failed.with_retry_after(wait),
            of,
            secret: Some(attempted),
        }))
    }

    /// A login or a refresh has ended. Returns how long the server wants no other.
    fn end(&mut self, permit: Permit, result: &Result<Session, LoginError>) -> Option<Duration> {
        if result.as_ref().is_err_and(may_arrive) {
            drop(permit);
            if let Some(turn) = &mut self.turn {
                turn.lose_permit();
            }
        } else {
            permit.end();
        }
        let failed = result.as_ref().err()?;
        let held = self.engine.limiter.hold_after(failed);
        if let Some(turn) = &mut self.turn {
            turn.hold(held);
        }
        held
    }

    /// Hands the outcome to the cache, saves it in the store, and then tells the waiters: a program
    /// that ends as soon as it has its answer has left its session there. Logs out a session that
    /// is of no use.
    async fn keep(&mut self, outcome: LoginOutcome) {
        // The guard has nothing to report from here on.
        let Some(cache) = self.guard.cache.take().and_then(|cache| cache.upgrade()) else {
            return;
        };
        let flight = self.flight();
        let took = flight.took(self.engine.clock.precise());
        let leased = self.turn.as_ref().and_then(|turn| turn.leased());
        let settlement = cache.settle(flight, outcome, took, leased);
        if let Some(turn) = self.turn.take() {
            self.promise_a_step();
            Box::pin(self.share(&cache, turn, &settlement)).await;
        }
        let useless = cache.conclude(settlement);
        self.guard.sent_for = None;
        drop(cache);
        if let Some((session, logout)) = useless {
            let _ = self.engine.log_out(&session, logout).await;
        }
    }

    /// Saves what the login has brought, or what its failure forbids, and releases the lease.
    async fn share(&self, cache: &Arc<dyn Keep>, turn: Box<Turn>, settlement: &Settlement) {
        let fetched = settlement.fetched().map(Arc::clone);
        let before = turn.notes();
        let brought = fetched.is_some();
        let secret = turn.secret();
        let anew = |before: &Notes| cache.notes(before, secret.clone(), brought);
        let notes = (brought || settlement.failed || turn.has_news())
            .then(|| anew(before))
            // A pardoned mark may have been the only one that is stored.
            .filter(|notes| !notes.is_empty() || !before.is_empty() || turn.has_news());
        let saved = turn.end(fetched.as_deref(), notes.as_ref(), anew).await;
        if let Some(fetched) = fetched.map(|fetched| fetched.stamp()) {
            Arc::clone(cache).saved(fetched, saved);
        }
    }

    fn promise_a_step(&self) {
        let options = &self.engine.options;
        let at_the_store = options.sharing.as_ref().map(|_| STEP);
        let longest = at_the_store.max(Some(options.login_timeout));
        let within = nanos(longest.unwrap_or_default().saturating_add(GRACE));
        let now = self.engine.clock.now().steady;
        self.flight().ticket.set_due(now.saturating_add(within));
    }
}

/// Whether what was sent may still arrive: its future was dropped, by the login's time-out or the
/// client's, or by a panic.
fn may_arrive(failed: &LoginError) -> bool {
    let source = failed
        .source()
        .and_then(|source| source.downcast_ref::<LoginError>());
    let kinds = [Some(failed.kind()), source.map(LoginError::kind)];
    let is_given_up =
        |kind: &LoginErrorKind| matches!(kind, LoginErrorKind::TimedOut | LoginErrorKind::Panicked);
    kinds.iter().flatten().any(is_given_up)
}

/// Nothing was sent yet, so the failure is not the server's.
fn before_sending(error: LoginError) -> NoSession {
    let error = match error.kind() {
        LoginErrorKind::Misconfigured | LoginErrorKind::Panicked => error,
        LoginErrorKind::TimedOut => {
            LoginError::misconfigured("the password could not be read in time")
        }
        _ => LoginError::misconfigured("the password can't be right").with_source(error),
    };
    NoSession::Failed(Failed {
        error,
        of: Attempted::Login,
        secret: None,
    })
}

/// Reports the flight as lost if its task is dropped before it has an outcome, or before it was
/// polled.
struct FlightGuard {
    /// `None` once the outcome is kept.
    cache: Option<Weak<dyn Keep>>,
    flight: Arc<Flight>,
    /// The cache, while something is sent whose end others wait for at the store.
    sent_for: Option<Arc<dyn Keep>>,
}

impl Drop for FlightGuard {
    fn drop(&mut self) {
        if let Some(cache) = self.cache.take().and_then(|cache| cache.upgrade()) {
            cache.lose(&self.flight);
        }
        self.flight.end();
    }
}
