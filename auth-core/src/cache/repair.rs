//! The repair of a session: a step that fetches a part of it, once for all that wait for it.
//!
//! A caller needs one if a response has asked for another part, or if its request would carry a
//! part that is missing.
//!
//! 1. *Begun*: the first caller spawns the task. The others wait for its end.
//! 2. *Ended*: the session has a new revision, or was rejected and a login has begun, and each
//!    caller looks again; or the callers get the failure. So do those that come before another
//!    repair may begin.
//! 3. *Lost*: the task is gone with its runtime, or not driven: its time-out is over. A caller
//!    begins another one.
//!
//! A caller looks a bounded number of times, and has a deadline of its own.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::ask::Ask;
use super::caller::Caller;
use super::repair_task::UnderWay;
use super::shared::Shared;
use crate::clock::{Moment, nanos};
use crate::credential::{Credential, Stamp, Target, Update};
use crate::decide::{Heard, Lack, Repaired};
use crate::error::{Error, Exchange, LoginError};
use crate::event::Event;
use crate::lifetime::Freshness;
use crate::login_mark::LoginMark;
use crate::runtime::{Runtime, random};
use crate::store::Unsaved;

/// How many repairs a caller waits for. A runtime that is shut down may take one with it, one may
/// find the session dead, and one may bring what another caller has asked for.
const MOST_REPAIRS: usize = 3;

/// How much longer than its time-out a repair may take before its task counts as not driven: as
/// long as a step of a login.
const GRACE: Duration = Duration::from_secs(1);

/// What a caller needs of a credential.
#[derive(Clone, Copy)]
struct Need<'a> {
    /// Where its request goes, for the parts that it would carry.
    target: Target<'a>,
    /// What its request has carried, if a response has asked for another part.
    carried: Option<Stamp>,
    /// Whether the provider fetches parts. Otherwise the response has to bring the part, and what
    /// it rolled is that.
    fetches: bool,
}

impl Need<'_> {
    /// Why this credential does not do, if it does not.
    fn unmet_by(self, credential: &Credential) -> Option<Lack> {
        let is_same = |carried| {
            if self.fetches {
                // A cookie that a server rolls with each response is not what it asked for.
                !credential.has_other_parts_than(carried)
            } else {
                carried == credential.stamp()
            }
        };
        if self.carried.is_some_and(is_same) {
            Some(Lack::AskedFor)
        } else {
            credential.lacks(self.target).then_some(Lack::Missing)
        }
    }
}

/// What a caller that needs a repair does next.
enum Next {
    /// This credential has what it needs.
    Served(Arc<Credential>),
    /// The session has ended, so it gets the next one.
    LogsIn,
    /// It waits for this repair.
    Waits(UnderWay),
}

impl Shared {
    /// The credential that a caller asks for, with all that a request to `target` carries.
    pub(super) async fn get_for(
        self: &Arc<Self>,
        target: Target<'_>,
        ask: Ask,
    ) -> Result<Arc<Credential>, Error> {
        let asked = self.engine.clock.now();
        let credential = self.get(ask).await?;
        if !credential.lacks(target) {
            return Ok(credential);
        }
        let carried = None;
        // Boxed, because the future of every request has room for this.
        self.told(Box::pin(self.repaired(self.need(target, carried), ask, asked)).await)
    }

    /// A credential that is another one than that with this stamp, with all that a request to
    /// `target` carries.
    pub(crate) async fn repaired_for(
        self: &Arc<Self>,
        carried: Stamp,
        target: Target<'_>,
        ask: Ask,
    ) -> Result<Arc<Credential>, Error> {
        let (asked, carried) = (self.engine.clock.now(), Some(carried));
        self.told(Box::pin(self.repaired(self.need(target, carried), ask, asked)).await)
    }

    fn need<'a>(&self, target: Target<'a>, carried: Option<Stamp>) -> Need<'a> {
        let fetches = self.engine.provider.repairs();
        Need {
            target,
            carried,
            fetches,
        }
    }

    /// A credential that meets the need: after a repair, unless there is one already. The wait of
    /// the caller has begun when it `asked`.
    async fn repaired(
        self: &Arc<Self>,
        need: Need<'_>,
        ask: Ask,
        asked: Moment,
    ) -> Result<Arc<Credential>, Error> {
        // A repair would wait for itself.
        LoginMark::refuse_loop(LoginMark::current(), self.engine.id)?;
        let clock = &self.engine.clock;
        let caller = Caller::new(ask, &self.engine.options, asked);
        let too_late = || Error::DeadlinePassed {
            waited: caller.wait,
        };
        let mut lost = false;
        for _ in 0..MOST_REPAIRS {
            let mut next = self.next_for(need)?;
            if let Next::LogsIn = next {
                let left = caller.deadline.saturating_sub(clock.now().steady);
                let ask = ask.not_renewed().at_most(Duration::from_nanos(left));
                self.obtain(ask).await.map_err(|error| match error {
                    Error::DeadlinePassed { .. } => too_late(),
                    error => error,
                })?;
                next = self.next_for(need)?;
            }
            let repair = match next {
                Next::Served(credential) => return Ok(credential),
                Next::Waits(repair) => repair,
                // The next session has ended as well.
                Next::LogsIn => continue,
            };
            let mut ended = repair.ended;
            let timer = pin!(clock.sleep_until(repair.due.min(caller.deadline)));
            let result = match select(pin!(ended.wait_for(Option::is_some)), timer).await {
                Either::Left((Ok(ended), _)) => ended.clone(),
                Either::Left((Err(_gone), _)) => None,
                Either::Right(_) if clock.now().steady >= caller.deadline => {
                    return Err(too_late());
                }
                Either::Right(_) => None,
            };
            lost = result.is_none();
            if let Some(Err(error)) = result {
                // It may have brought what this caller needs, if not all that is missing.
                return match self.current_for(need) {
                    Some(credential) => Ok(credential),
                    None => Err(error),
                };
            }
        }
        match self.current_for(need) {
            Some(credential) => Ok(credential),
            None if lost => Err(Error::Abandoned),
            None => Err(in_vain()),
        }
    }

    /// A request that carried the credential with this stamp can't be sent once more after a
    /// repair. One begins all the same, for the next request, unless one did not long ago.
    pub(crate) fn repair_for_next(self: &Arc<Self>, carried: Stamp, target: Target<'_>) {
        let need = self.need(target, Some(carried));
        let now = self.engine.clock.now();
        let begins = need.fetches && Runtime::current().is_some();
        if begins
            && self.current_for(need).is_none()
            && self.update(|state| state.repairs_for_next(now))
        {
            // No caller waits for it. Who needs it begins another if it is gone with its runtime.
            let _ = self.next_for(need);
        }
    }

    /// The current credential, if it may be good and meets the need.
    fn current_for(&self, need: Need<'_>) -> Option<Arc<Credential>> {
        let current = self.current_if(self.engine.clock.now(), Freshness::may_be_good)?;
        need.unmet_by(&current).is_none().then_some(current)
    }

    /// What a caller does next. A repair begins if it needs one and none is under way.
    fn next_for(self: &Arc<Self>, need: Need<'_>) -> Result<Next, Error> {
        let engine = &self.engine;
        let (runtime, sender, current, why, repair) = {
            let mut under_way = self.repair.0.lock();
            let now = engine.clock.now();
            // In this order: a repair that is seen to have ended has changed the session before, or
            // its failure is known. And under the lock, so that no other one begins in between.
            let going = under_way.as_ref().filter(|repair| repair.is_going(now));
            let Some(current) = self.current_if(now, Freshness::may_be_good) else {
                return Ok(Next::LogsIn);
            };
            let Some(why) = need.unmet_by(&current) else {
                return Ok(Next::Served(current));
            };
            let runtime = Runtime::current().ok_or(Error::NoRuntime)?;
            let generation = current.stamp().generation();
            if let Some(repair) = going.filter(|repair| repair.generation == generation) {
                return Ok(Next::Waits((**repair).clone()));
            }
            if let Some(error) = self.read(|state| state.repair_failure(now)) {
                return Err(error);
            }
            let (sender, ended) = watch::channel(None);
            let within = engine.options.login_timeout.saturating_add(GRACE);
            let repair = UnderWay {
                generation,
                due: now.steady.saturating_add(nanos(within)),
                ended,
                task: Arc::default(),
            };
            *under_way = Some(Box::new(repair.clone()));
            (runtime, sender, current, why, repair)
        };
        let (cache, engine) = (Arc::downgrade(self), engine.clone());
        // No lock is held: on a runtime that is shut down, the task is dropped within this call.
        let task = runtime.spawn(async move {
            let sent = async { engine.provider.repair(&current).await };
            let fetched = engine.guarded(sent).await;
            if let Some(cache) = cache.upgrade() {
                let _ = sender.send(Some(cache.settle_repair(&current, why, fetched)));
            }
        });
        // The task is stored before the flag is read. A close stores the flag before it looks for
        // the task. One of the two sees the other.
        let _ = repair.task.set(task);
        if self.is_closed() {
            repair.stop();
        }
        Ok(Next::Waits(repair))
    }

    /// The handle is closed. Those that wait for a repair find it lost, and look again.
    pub(super) fn stop_repair(&self) {
        let under_way = self.repair.0.lock().take();
        if let Some(repair) = under_way {
            repair.stop();
        }
    }

    fn settle_repair(
        self: &Arc<Self>,
        current: &Credential,
        why: Lack,
        fetched: Result<Update, LoginError>,
    ) -> Result<(), Error> {
        let (now, policy) = (self.engine.clock.now(), &self.engine.options.policy);
        let stamp = current.stamp();
        let (heard, settled) = self
            .update(|state| state.settle_repair((current, why), fetched, now, policy, random()));
        self.advance_timer();
        match heard {
            Heard::Nothing => {}
            Heard::Rolled(stamp) => {
                self.share_revision(Unsaved::Values);
                self.engine.emit(&Event::Rolled { stamp });
            }
            Heard::Ended => self.engine.emit(&Event::Ended { stamp }),
        }
        match settled {
            Repaired::Changed => {}
            Repaired::Rejected => {
                self.engine.emit(&Event::Rejected { stamp });
                self.begin_login();
            }
            Repaired::Failed {
                failure,
                retry_after,
                doubted,
            } => {
                if doubted {
                    self.engine.emit(&Event::RejectionDoubted { stamp });
                }
                self.engine.emit(&Event::RepairFailed {
                    kind: failure.kind(),
                    reason: failure.reason(),
                    retry_after,
                });
                return Err(Error::Login {
                    source: failure,
                    retry_after: Some(retry_after),
                });
            }
        }
        Ok(())
    }
}

fn in_vain() -> Error {
    let error = LoginError::malformed("sessions that end, or change, before a part is fetched")
        .of_exchange(Exchange::Repair);
    Error::Login {
        source: Arc::new(error),
        retry_after: None,
    }
}
