//! A task that looks in the store every now and then, so that the cache does not go on with a
//! session that another process has replaced, or logged out.
//!
//! It begins with the first login on some runtime, and again with the next one if that runtime is
//! gone. It ends with the last handle.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::{join, select};

use super::caller::Caller;
use super::shared::Shared;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::CacheState;
use crate::event::Event;
use crate::login::Engine;
use crate::runtime::Runtime;
use crate::session::Session;
use crate::store::{Found, STEP, Sharing, Unsaved, Version};

/// How often the store is looked at that tells of no changes: at least once in this time, at
/// random.
const FOLLOW: Duration = Duration::from_secs(10);

/// How soon it is looked at again at the earliest, whatever it tells: it may tell of the changes of
/// all its entries, or of none while its connection comes and goes.
const AGAIN: Duration = Duration::from_secs(1);

/// How long a caller that fails fast waits for a look at the store: longer than a store in the same
/// network takes, and shorter than a person notices.
const AT_ONCE: Duration = Duration::from_millis(250);

/// Which part of the idle timeout a deadline has to move by to be worth a save.
const SLID: u32 = 8;

impl Shared {
    /// Follows the store from now on, by a task on this runtime, unless one does.
    pub(super) fn follow(self: &Arc<Self>, runtime: &Runtime) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        if !sharing.following.begin() {
            return;
        }
        let following = Following(Arc::clone(sharing));
        let (cache, engine) = (Arc::downgrade(self), self.engine.clone());
        // No lock is held: on a runtime that is shut down, the task is dropped within this call.
        let task = runtime.spawn(async move {
            let following = following;
            while look(&cache, &engine, &following.0).await {}
        });
        sharing.following.set(task);
    }

    /// Follows the store no more.
    pub(super) fn stop_following(&self) {
        if let Some(sharing) = &self.engine.options.sharing {
            sharing.following.stop();
        }
    }

    /// Whether what was found may be older than values of the same session that are not saved yet.
    pub(super) fn may_be_ahead_of(&self, found: &Found) -> bool {
        let goes_on = |known: &Version| found.version.is_of_same_session(*known) && !found.is_over;
        let known = self.known_now().version.filter(goes_on);
        let sharing = self.engine.options.sharing.as_ref();
        (sharing.zip(known)).is_some_and(|(sharing, known)| sharing.revisions.has_values_of(known))
            && self.read(|state| state.current().is_some())
    }

    /// Looks in the store for a caller that would be turned away, and for all others meanwhile, by
    /// a task: none of them may be driven until it ends.
    pub(super) async fn look_for(self: &Arc<Self>, caller: &Caller) {
        let (engine, sharing) = (&self.engine, &self.engine.options.sharing);
        let (Some(sharing), Some(runtime)) = (sharing, Runtime::current()) else {
            return;
        };
        let mut looked = pin!(sharing.looks.ended().notified());
        looked.as_mut().enable();
        let now = engine.clock.now().steady;
        if let Some(looking) = sharing.looks.begin(now) {
            let (cache, engine) = (Arc::downgrade(self), engine.clone());
            let sharing = Arc::clone(sharing);
            // No lock is held: on a runtime that is shut down, the task is dropped within this
            // call.
            runtime.spawn(async move {
                let _looking = looking;
                let found = sharing.load(&engine).await;
                if let (Some(found), Some(cache)) = (found, cache.upgrade()) {
                    cache.found_meanwhile(found);
                    if let (Some(_), Some(runtime)) = (cache.current(), Runtime::current()) {
                        cache.follow(&runtime);
                    }
                }
            });
        }
        let most = if caller.fail_fast { AT_ONCE } else { STEP };
        let until = now.saturating_add(nanos(most)).min(caller.deadline);
        select(looked, pin!(self.engine.clock.sleep_until(until))).await;
    }

    fn current(&self) -> Option<Arc<Credential>> {
        self.read(|state| state.current().cloned())
    }

    /// Tells callers that wait for a look that they are not to wait any longer.
    pub(super) fn stop_looking(&self) {
        if let Some(sharing) = &self.engine.options.sharing {
            sharing.looks.ended().notify_waiters();
        }
    }

    /// What was found in the store meanwhile.
    fn found_meanwhile(self: &Arc<Self>, found: Found) {
        self.find_saved(&found);
        let sharing = self.engine.options.sharing.as_ref();
        let now = self.engine.clock.now().steady;
        let is_saving = sharing.is_some_and(|sharing| sharing.revisions.is_under_way(now));
        if self.may_be_ahead_of(&found) {
            if !is_saving {
                self.share_revision(Unsaved::Values);
            }
            return;
        }
        let left = found.session.as_ref().and_then(Session::idle_left);
        let has_slid = !is_saving && self.has_slid(left);
        let is_for_first_use = found
            .session
            .as_ref()
            .is_some_and(Session::is_for_first_use);
        let version = found.version;
        let before = self.read(|state| state.current().map(|current| current.stamp()));
        let adopted = self.adopting(found, CacheState::adopt) == Some(true);
        // Not before: a session that another process has seen rejected must not come back.
        let is_news = || !is_saving && is_for_first_use && self.is_past_first_use(version);
        if has_slid || is_news() {
            self.share_revision(Unsaved::Deadline);
        }
        let after = self.read(|state| state.current().map(|current| current.stamp()));
        self.set_timer();
        match (before, after) {
            (_, Some(stamp)) if adopted && before != after => {
                self.engine.emit(&Event::Loaded { stamp });
            }
            (Some(stamp), None) => self.engine.emit(&Event::Ended { stamp }),
            _ => {}
        }
    }

    /// Whether a response to this process has shown the session of this version to be good, which
    /// came by a refresh.
    fn is_past_first_use(&self, stored: Version) -> bool {
        let known = self.known_now().version;
        let is_same = known.is_some_and(|known| known.is_of_same_session(stored));
        let current = self.current().filter(|_| is_same);
        current.is_some_and(|current| current.is_past_first_use())
    }

    /// Whether the idle deadline has moved far from what is stored, with so much left of it there.
    fn has_slid(&self, stored: Option<Duration>) -> bool {
        let now = self.engine.clock.now();
        let Some(session) = self.current().map(|current| current.session(now)) else {
            return false;
        };
        let idle = session.stated_lifetime().idle_timeout();
        let moved =
            (session.idle_left().zip(stored)).map(|(left, stored)| left.saturating_sub(stored));
        idle.zip(moved)
            .is_some_and(|(idle, moved)| moved > idle / SLID)
    }
}

/// Looks once. Returns whether there is a cache left to look for.
async fn look(cache: &Weak<Shared>, engine: &Engine, sharing: &Sharing) -> bool {
    let again = engine.clock.now().steady.saturating_add(nanos(AGAIN));
    // Both at once, so that a change is not missed meanwhile.
    join(
        engine.clock.sleep_until(again),
        sharing.changed(engine, FOLLOW),
    )
    .await;
    match cache.upgrade() {
        None => return false,
        Some(cache) if cache.is_closed() => return false,
        // A login looks by itself.
        Some(cache) if cache.read(|state| state.current().is_none()) => return true,
        Some(_) => {}
    }
    if sharing.known.lock().unsaved
        && let Some(cache) = cache.upgrade()
    {
        cache.publish().await;
    }
    let found = sharing.load(engine).await;
    if let (Some(found), Some(cache)) = (found, cache.upgrade()) {
        cache.found_meanwhile(found);
    }
    true
}

/// The task that follows the store. Dropped, it lets the next one begin.
struct Following(Arc<Sharing>);

impl Drop for Following {
    fn drop(&mut self) {
        self.0.following.end();
    }
}
