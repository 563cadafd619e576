//! The repair of a session: a step that fetches a part of it, once for all that wait for it.
//!
//! 1. *Begun*: the first caller spawns the task. The others wait for its end.
//! 2. *Ended*: the session has a new revision, or the callers get the failure.
//! 3. *Lost*: the task is gone with its runtime. A caller begins another one, a bounded number of
//!    times.
//!
//! Each caller has a deadline of its own.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use tokio::sync::watch;

use super::ask::Ask;
use super::caller::Caller;
use super::shared::Shared;
use crate::credential::{Brought, Credential, Stamp, Target, Update};
use crate::decide::Heard;
use crate::error::{Error, LoginError};
use crate::event::Event;
use crate::lifetime::Freshness;
use crate::runtime::{Mutex, Runtime, random};

/// The repair under way, if one is.
#[derive(Default)]
pub(super) struct Repair(Mutex<Option<Ended>>);

/// How a repair has ended, once it has.
type Ended = watch::Receiver<Option<Result<(), Error>>>;

/// How many repairs a caller loses, or sees succeed without effect, before it gives up.
const MOST_REPAIRS: usize = 3;

impl Shared {
    /// A credential that is newer than the one with this stamp: after a repair, unless there is one
    /// already.
    pub(crate) async fn repaired(
        self: &Arc<Self>,
        stamp: Stamp,
        ask: Ask,
    ) -> Result<Arc<Credential>, Error> {
        let clock = &self.engine.clock;
        let caller = Caller::new(ask, &self.engine.options, clock.now());
        for _ in 0..MOST_REPAIRS {
            let current = self.current_if(clock.now(), Freshness::may_be_good);
            let Some(current) = current else {
                // The session has ended meanwhile.
                return self.get(ask.not_renewed()).await;
            };
            if current.stamp() != stamp {
                return Ok(current);
            }
            let Some(mut ended) = self.begin_repair(&current)? else {
                continue;
            };
            let timer = pin!(clock.sleep_until(caller.deadline));
            match select(pin!(ended.wait_for(Option::is_some)), timer).await {
                Either::Left((Ok(ended), _)) => {
                    if let Some(Err(error)) = &*ended {
                        return Err(error.clone());
                    }
                }
                Either::Left((Err(_gone), _)) => {}
                Either::Right(_) => {
                    return Err(Error::DeadlinePassed {
                        waited: caller.wait,
                    });
                }
            }
        }
        Err(Error::Abandoned)
    }

    /// The repair under way, or one that begins now. `None` if `current` has been repaired.
    fn begin_repair(self: &Arc<Self>, current: &Arc<Credential>) -> Result<Option<Ended>, Error> {
        let runtime = Runtime::current().ok_or(Error::NoRuntime)?;
        let (sender, ended) = watch::channel(None);
        {
            let mut under_way = self.repair.0.lock();
            let joins = |ended: &&Ended| ended.has_changed().is_ok() && ended.borrow().is_none();
            if let Some(ended) = under_way.as_ref().filter(joins) {
                return Ok(Some(ended.clone()));
            }
            // A repair that has ended since the caller looked has changed the session before.
            let same = |now: &Arc<Credential>| (now.stamp() == current.stamp()).then_some(());
            if self.with_current(same).is_none() {
                return Ok(None);
            }
            *under_way = Some(ended.clone());
        }
        let (cache, engine) = (Arc::downgrade(self), self.engine.clone());
        let current = Arc::clone(current);
        // No lock is held: on a runtime that is shut down, the task is dropped within this call.
        runtime.spawn(async move {
            let sent = async { engine.provider.repair(&current).await };
            let fetched = engine.guarded(sent).await;
            if let Some(cache) = cache.upgrade() {
                let _ = sender.send(Some(cache.settle_repair(&current, fetched)));
            }
        });
        Ok(Some(ended))
    }

    fn settle_repair(
        &self,
        current: &Credential,
        fetched: Result<Update, LoginError>,
    ) -> Result<(), Error> {
        let (now, policy) = (self.engine.clock.now(), &self.engine.options.policy);
        let failed = match fetched {
            Ok(update) => {
                let brought = Brought {
                    cookies: &[],
                    target: Target::new("", "", ""),
                    update: &update,
                };
                let stamp = current.stamp();
                let heard = self.update(|state| state.hear(stamp, brought, now, policy, random()));
                if let Heard::Rolled(stamp) = heard {
                    self.engine.emit(&Event::Rolled { stamp });
                }
                let is_same = |current: &Arc<Credential>| (current.stamp() == stamp).then_some(());
                if self.with_current(is_same).is_none() {
                    return Ok(());
                }
                LoginError::malformed("the repair of the session brought no other value")
            }
            Err(error) => error,
        };
        let retry_after = self.update(|state| state.not_repaired(now));
        self.engine.emit(&Event::RepairFailed {
            kind: failed.kind(),
            reason: failed.reason(),
            retry_after,
        });
        Err(Error::Login {
            source: Arc::new(failed),
            retry_after: Some(retry_after),
        })
    }
}
