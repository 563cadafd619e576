//! The permit of one login at the store, or of the share while that is in trouble.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};

use super::{SOONEST, Turn};
use crate::clock::{Clock, nanos};
use crate::decide::LOOK_EVERY;
use crate::limit::{Limiter, MARGIN, Permit, Ticket};
use crate::store::{PermitAnswer, PermitAsk, STEP, random_text};

/// How soon a login is sent after it has asked for the permit that it was given, unless the machine
/// has slept: two steps at the store, and a look at the secret.
const SENT_WITHIN: Duration = STEP.saturating_mul(2).saturating_add(LOOK_EVERY);

/// How long a login waits at the store for its permit before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Whether a login has a permit at the store.
pub(in crate::login) enum Permission {
    Given,
    /// The permit of the process is good no more.
    None,
    /// No caller waits for this login, and it would have to wait for a permit, which is expected
    /// then, on the steady clock.
    Later(u64),
}

/// A permit that the store was asked for.
pub(super) struct Stored {
    id: String,
    /// When it was asked for, on the steady clock.
    asked: u64,
    /// How long it counts from the end of the login on.
    counts_for: Duration,
}

/// The place of a login in the queue for the share. Dropped, it is free for those behind.
struct Place {
    share: Arc<Limiter>,
    ticket: Arc<Ticket>,
    permit: BoxFuture<'static, Permit>,
}

impl Place {
    fn new(share: Arc<Limiter>, ticket: Arc<Ticket>, timeout: Duration) -> Self {
        let (limiter, queued) = (Arc::clone(&share), Arc::clone(&ticket));
        let permit = async move { limiter.acquire(&queued, timeout).await };
        Self {
            share,
            ticket,
            permit: permit.boxed(),
        }
    }

    /// Waits until then at most, and tells the login when its permit is expected. A caller may have
    /// come to wait for the login.
    async fn wait(&mut self, login: &Ticket, clock: &Clock, until: u64) -> Option<Permit> {
        if login.is_wanted() && !self.ticket.is_wanted() {
            self.share.want(&self.ticket);
        }
        // It has to be in the queue before it knows.
        if let Some(permit) = (&mut self.permit).now_or_never() {
            return Some(permit);
        }
        login.set_expected(self.ticket.expected().max(clock.now().steady));
        match select(&mut self.permit, pin!(clock.sleep_until(until))).await {
            Either::Left((permit, _)) => Some(permit),
            Either::Right(_) => None,
        }
    }
}

impl Turn {
    /// Waits for a permit of the store. Where that is in trouble, for one of the small share that
    /// each process has then, until the store answers again. If it returns none, that of the
    /// process is to be given back.
    ///
    /// A refresh that counts as a login may have had one before, which goes on counting.
    pub(in crate::login) async fn permit(
        &mut self,
        of_process: &Permit,
        ticket: &Arc<Ticket>,
        promise: impl Fn(),
    ) -> Permission {
        self.end_permit().await;
        let engine = self.engine.clone();
        let timeout = engine.options.login_timeout;
        let id = random_text();
        let quota = engine.limiter.quota();
        let window = quota.window().saturating_add(MARGIN);
        let ask = PermitAsk {
            id: &id,
            most: quota.logins().get(),
            window,
            // Until the latest time at which the login may arrive, and a window more.
            counts_for: window
                .saturating_add(SENT_WITHIN)
                .saturating_add(self.login_takes()),
        };
        let mut free_at = 0;
        // Its place in the queue for the share, which it keeps while the store is in trouble.
        let mut place = None;
        loop {
            let asked = engine.clock.now().steady;
            if !of_process.is_good() {
                return Permission::None;
            }
            if !ticket.is_wanted() && engine.limiter.has_callers() {
                return Permission::Later(asked);
            }
            promise();
            // The store may have given it even if no answer comes. It is told when the login ends,
            // also if that had a permit of the share.
            self.permit = Some(Stored {
                id: id.clone(),
                asked,
                counts_for: window,
            });
            let answer = self.sharing.permit(&engine, ask).await;
            let now = engine.clock.now().steady;
            match answer {
                // The machine has slept meanwhile, and the permit may count no more.
                Some(PermitAnswer::Given) if now.saturating_sub(asked) > nanos(STEP) => continue,
                Some(PermitAnswer::Given) => break,
                Some(PermitAnswer::Wait(wait)) => {
                    free_at = now.saturating_add(nanos(wait));
                    self.permit = None;
                    place = None;
                    if !ticket.is_wanted() {
                        return Permission::Later(free_at);
                    }
                }
                // What it has said before it failed holds.
                None if now < free_at || place.is_some() => {}
                None => {
                    let origin = engine.provider.login_origin();
                    let share = Limiter::share(&origin, quota, &engine.clock);
                    let own = Arc::new(share.ticket(ticket.is_wanted()));
                    place = Some(Place::new(share, own, timeout));
                }
            }
            promise();
            let again = now.saturating_add(nanos(ASK_AGAIN));
            let Some(place) = &mut place else {
                ticket.set_expected(free_at);
                // A store may round a wait down to none.
                let soonest = now.saturating_add(nanos(SOONEST));
                engine
                    .clock
                    .sleep_until(free_at.max(soonest).min(again))
                    .await;
                continue;
            };
            if let Some(permit) = place.wait(ticket, &engine.clock, again).await {
                self.share = Some(permit);
                break;
            }
        }
        ticket.set_expected(engine.clock.now().steady);
        Permission::Given
    }

    /// The login is sent now. Returns whether it may be: if not, its permits are to be given back.
    pub(in crate::login) fn send(&mut self) -> bool {
        let now = self.engine.clock.now().steady;
        let permit = self.permit.as_ref().filter(|_| self.share.is_none());
        if permit.is_some_and(|permit| now.saturating_sub(permit.asked) > nanos(SENT_WITHIN)) {
            return false;
        }
        let timeout = self.engine.options.login_timeout;
        let share = self.share.take().map(|permit| permit.sent(timeout));
        let may_be_sent = !matches!(share, Some(Err(_)));
        self.share = share.map(|(Ok(permit) | Err(permit))| permit);
        may_be_sent
    }

    /// The login was not sent, so its permit counts no more.
    pub(in crate::login) async fn give_permit_back(&mut self) {
        if let Some(permit) = self.share.take() {
            permit.give_back();
        }
        if let Some(Stored { id, .. }) = self.permit.take() {
            let ended = self.sharing.end_permit(&self.engine, &id, Duration::ZERO);
            ended.await;
        }
    }

    /// What was sent with its permit has ended.
    pub(in crate::login) async fn end_permit(&mut self) {
        if let Some(permit) = self.share.take() {
            permit.end();
        }
        if let Some(Stored { id, counts_for, .. }) = self.permit.take() {
            let ended = self.sharing.end_permit(&self.engine, &id, counts_for);
            ended.await;
        }
    }

    /// The provider's future was dropped, and what it has sent may still arrive: its permit counts
    /// for as long as it can.
    pub(in crate::login) fn lose_permit(&mut self) {
        self.permit = None;
        self.share = None;
    }
}
