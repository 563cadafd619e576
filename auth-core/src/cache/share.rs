//! What a cache and its store tell each other beside logins: the version that is there, and new
//! values.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::clock::Clock;
use crate::credential::Stamp;
use crate::decide::{CacheState, End, Known, Outlook, Policy};
use crate::runtime::Runtime;
use crate::store::{Found, Saved, Sharing, Unsaved, Version};

/// How often new values are saved anew in a row, because others have saved theirs or the session
/// was rolled meanwhile. After that they are saved with the next change.
pub(super) const MOST_SAVES: u8 = 8;

impl Shared {
    /// Whether it has a store.
    pub(super) fn is_shared(&self) -> bool {
        self.engine.options.sharing.is_some()
    }

    /// Lets the state adopt what was found in the store.
    pub(super) fn adopting<T>(
        &self,
        found: Found,
        adopt: impl FnOnce(&mut CacheState, Outlook<'_>, &End, &Policy) -> T,
    ) -> Option<T> {
        let sharing = self.engine.options.sharing.as_ref()?;
        let (end, policy) = (self.end(Duration::ZERO), &self.engine.options.policy);
        let session = found.session.map(|session| session.on(&self.engine.clock));
        let found = Found { session, ..found };
        Some(self.update(|state| {
            let outlook = Outlook {
                found,
                known: &mut sharing.known.lock(),
                tag: &|secret| sharing.tag(secret),
            };
            adopt(state, outlook, &end, policy)
        }))
    }

    /// What is known of the entry in the store.
    pub(super) fn known_now(&self) -> Known {
        let sharing = self.engine.options.sharing.as_ref();
        sharing.map_or_else(Known::default, |sharing| *sharing.known.lock())
    }

    /// The session with this stamp is stored with this version. If it has changed meanwhile, it is
    /// saved again.
    pub(super) fn now_known(self: &Arc<Self>, stamp: Stamp, version: Version) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let changed = {
            let control = self.control.lock();
            let mut known = sharing.known.lock();
            if control.state.generation() != stamp.generation() {
                // It was superseded meanwhile by one that is not saved yet.
                let is_newer = |known: Version| version.is_newer_than(known);
                if known.version.is_none_or(is_newer) {
                    known.version = Some(version);
                }
                return;
            }
            // A later value of it was taken over since it was saved.
            let is_later =
                |known: Version| known.is_of_same_session(version) && known.is_newer_than(version);
            if !known.unsaved && known.version.is_some_and(is_later) {
                return;
            }
            *known = Known {
                version: Some(version),
                unsaved: false,
            };
            drop(known);
            let current = control.state.current();
            current.is_some_and(|current| current.stamp() != stamp)
        };
        if changed {
            self.share_revision(Unsaved::Values);
        }
    }

    /// Looks whether what was found is the session at hand, whose save was not answered. Then it is
    /// saved, perhaps with an earlier value.
    pub(super) fn find_saved(&self, found: &Found) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let control = self.control.lock();
        let mut known = sharing.known.lock();
        let Some(stamp) = control.state.refreshed().map(|session| session.stamp()) else {
            return;
        };
        let own = sharing.last_lease.of(stamp.generation());
        let own = own.and_then(|leased| leased.version);
        let is_own = |own: &Version| known.unsaved && found.version.is_of_same_session(*own);
        if let Some(own) = own.filter(is_own) {
            *known = Known {
                version: Some(own),
                unsaved: false,
            };
            if stamp.revision() > 0 {
                sharing.revisions.save_later(own);
            }
        }
    }

    /// This of the session has changed, which the others are to have: saves it by a task, one at a
    /// time. One that is not driven any more is replaced.
    pub(crate) fn share_revision(self: &Arc<Self>, what: Unsaved) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let Some(runtime) = Runtime::current() else {
            // A blocking caller. The next look at the store saves them, or else a close.
            let known = self.known_now();
            if let (Some(version), false) = (known.version, known.unsaved) {
                sharing.revisions.save_later(version);
            }
            return;
        };
        let now = self.engine.clock.now().steady;
        let Some(task) = sharing.revisions.begin(what, now) else {
            return;
        };
        // Made here, because the task may be dropped before it is polled.
        let mut saving = Saving {
            sharing: Arc::clone(sharing),
            clock: self.engine.clock.clone(),
            task,
            session: self.known_now().version,
            has_ended: false,
        };
        // The last handle may be gone before it is saved.
        let cache = Arc::clone(self);
        runtime.spawn(async move {
            for _ in 0..MOST_SAVES {
                let Some(what) = saving.goes_on() else { return };
                if !cache.save_revision(&mut saving, what).await {
                    return;
                }
            }
            // Others save as well, again and again.
            saving.goes_on();
        });
    }

    /// Saves the current values. Returns whether the task may go on: it may not if the store is in
    /// trouble, or if the cache was closed.
    async fn save_revision(self: &Arc<Self>, saving: &mut Saving, what: Unsaved) -> bool {
        let (engine, sharing) = (&self.engine, Arc::clone(&saving.sharing));
        // Before the state is looked at, so that a logout finds it held or is found here.
        let _revising = sharing.begin_revising(&engine.clock).await;
        let now = engine.clock.now();
        let (session, version, stamp) = {
            let control = self.control.lock();
            let known = *sharing.known.lock();
            let (Some(current), Some(version), false) =
                (control.state.current(), known.version, known.unsaved)
            else {
                // A close leaves there what the task has not saved.
                let is_closed = control.state.is_closed();
                saving.session = known.version.filter(|_| is_closed);
                return !is_closed;
            };
            saving.session = Some(version);
            let revision = version.revision.saturating_add(1);
            let version = Version {
                revision,
                ..version
            };
            let session = control.state.to_save(current, now);
            (session, version, current.stamp())
        };
        match sharing
            .save(engine, version, Some(&session), None, None)
            .await
        {
            Some(Saved::Made(version)) => self.now_known(stamp, version),
            // Another process has saved its values. The last ones that the server gave count,
            // unless another task has saved them before those.
            Some(Saved::Newer(other))
                if what == Unsaved::Values
                    && version.is_behind(other)
                    && sharing.revisions.save_again(saving.task, what) =>
            {
                self.now_known(stamp, other);
            }
            // The next look finds it, or that the session was logged out.
            Some(Saved::Newer(_)) => {}
            None => return false,
        }
        true
    }
}

/// The task that saves what has changed. Dropped before its end, it lets the next one begin, and
/// leaves the values to the next look at the store or to a close.
struct Saving {
    sharing: Arc<Sharing>,
    clock: Clock,
    /// Its number.
    task: u64,
    /// Whose values it saves.
    session: Option<Version>,
    has_ended: bool,
}

impl Saving {
    /// What there is to save. If nothing, it has ended.
    fn goes_on(&mut self) -> Option<Unsaved> {
        let now = self.clock.now().steady;
        let what = self.sharing.revisions.next(self.task, now);
        self.has_ended = what.is_none();
        what
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if !self.has_ended {
            self.sharing.revisions.give_up(self.task, self.session);
        }
    }
}
