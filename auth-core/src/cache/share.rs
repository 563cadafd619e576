//! What a cache and its store tell each other beside logins: new values, and the end of a session.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::credential::{Credential, Stamp};
use crate::decide::{CacheState, End, Known, Outlook, Policy, stored_may_be_good};
use crate::error::LoginError;
use crate::logout::{Logout, LogoutReason};
use crate::runtime::Runtime;
use crate::session::Session;
use crate::store::{Found, Lease, LeaseAsk, Leased, Saved, Sharing, Unsaved, Version};

/// How often new values are saved anew in a row, because others have saved theirs or the session
/// was rolled meanwhile. After that they are saved with the next change.
const MOST_SAVES: u8 = 8;

/// How long the lease lasts under which a session is saved that is at hand.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);

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
    /// time.
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
        if !sharing.revisions.begin(what) {
            return;
        }
        // Made here, because the task may be dropped before it is polled.
        let mut saving = Saving {
            sharing: Arc::clone(sharing),
            session: self.known_now().version,
            has_ended: false,
        };
        let cache = Arc::downgrade(self);
        runtime.spawn(async move {
            for _ in 0..MOST_SAVES {
                let Some(cache) = cache.upgrade() else { return };
                let Some(what) = saving.goes_on() else { return };
                if !cache.save_revision(&mut saving, what).await {
                    return;
                }
            }
            // Others save as well, again and again.
            saving.goes_on();
        });
    }

    /// Saves a session that was obtained while the store was in trouble, under a lease of its own,
    /// unless a session is there that the cache does not know.
    pub(super) async fn publish(self: &Arc<Self>) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let engine = &self.engine;
        // Before the state is looked at, so that a close finds it held or is found here.
        let _publishing = sharing.begin_publishing(&engine.clock).await;
        let now = engine.clock.now();
        let (session, stamp, known) = {
            let control = self.control.lock();
            let known = *sharing.known.lock();
            let current = control.state.current().filter(|_| known.unsaved);
            let good = |current: &&Arc<Credential>| current.life().freshness(now).is_good();
            let Some(current) = current.filter(good) else {
                return;
            };
            // Its login saves it.
            if !sharing.settling().is_empty() {
                return;
            }
            let session = control.state.to_save(current, now);
            (session, current.stamp(), known.version)
        };
        if let Some((stamp, version)) = self.save_first(&session, stamp, known).await {
            self.now_known(stamp, version);
        }
    }

    /// Waits until no session is being saved that is at hand, nor a value of it.
    pub(super) async fn published(&self) {
        if let Some(sharing) = &self.engine.options.sharing {
            let _ = sharing.publishing.lock().await;
            let _ = sharing.revising.lock().await;
        }
    }

    /// Saves a session for the first time, under the lease under which it was obtained, or else
    /// under one of its own, unless another session is there that the cache does not know. Returns
    /// its version if it was saved, and the stamp of the value that was.
    async fn save_first(
        &self,
        session: &Session,
        stamp: Stamp,
        known: Option<Version>,
    ) -> Option<(Stamp, Version)> {
        let sharing = self.engine.options.sharing.as_ref()?;
        let mut may_have_been_there = false;
        let owner = match sharing.last_lease.of(stamp.generation()) {
            Some(Leased {
                owner,
                version: Some(version),
                notes,
            }) => {
                let notes = notes.as_ref();
                let save = sharing.save(&self.engine, version, Some(session), notes, owner);
                match save.await? {
                    Saved::Made(version) => return Some((stamp, version)),
                    // An earlier save of it has arrived after its time, perhaps with an earlier
                    // value. Others may have saved a later one since then, or have ended it.
                    Saved::Newer(other) if other.is_of_same_session(version) => {
                        return Some((stamp.first_revision(), version));
                    }
                    // Or others have shared it until it was superseded.
                    Saved::Newer(_) => may_have_been_there = true,
                }
                None
            }
            leased => leased.and_then(|leased| leased.owner),
        };
        if owner.is_none() {
            // That of the one before.
            sharing.give_back(&self.engine).await?;
        }
        let owner = owner.unwrap_or_else(|| sharing.owner.clone());
        let lease = (owner, may_have_been_there);
        self.save_under_lease(session, stamp, known, lease).await
    }

    /// Saves a session for the first time, under a lease that is taken or extended for it.
    async fn save_under_lease(
        &self,
        session: &Session,
        stamp: Stamp,
        mut known: Option<Version>,
        (owner, may_have_been_there): (String, bool),
    ) -> Option<(Stamp, Version)> {
        let engine = &self.engine;
        let sharing = engine.options.sharing.as_ref()?;
        let (end, policy) = (self.end(Duration::ZERO), &engine.options.policy);
        let may_be_good =
            |found: Session| stored_may_be_good(found.on(&engine.clock), &end, policy);
        for _ in 0..MOST_SAVES {
            // A logout waits no longer than for the two steps of one time.
            if sharing.logs_out() {
                return None;
            }
            let ask = LeaseAsk {
                owner: &owner,
                lasts: PUBLISHED_WITHIN,
                known,
                rejected: false,
                only_extends: false,
            };
            let (answer, found) = sharing.lease(engine, ask).await?;
            let is_known = |known: Version| found.version.is_of_same_session(known);
            match answer.lease {
                // All were logged out since then. The next look ends this one here as well.
                Lease::Taken { .. } if may_have_been_there && found.was_logged_out => {
                    self.was_there(stamp);
                    let version = answer.version()?;
                    sharing.save(engine, version, None, None, Some(owner)).await;
                    return None;
                }
                Lease::Taken { .. } => {
                    let version = answer.version()?;
                    // If the save fails or is given up, the next one goes on with it.
                    self.is_leased(stamp, owner.clone(), version);
                    let save = sharing.save(engine, version, Some(session), None, Some(owner));
                    return match save.await? {
                        Saved::Made(version) => Some((stamp, version)),
                        Saved::Newer(_) => None,
                    };
                }
                Lease::Held { .. } => return None,
                // Another process has saved a value of the one that this one has superseded.
                Lease::NotNeeded if known.is_some_and(is_known) => known = Some(found.version),
                Lease::NotNeeded if found.session.is_some_and(may_be_good) => return None,
                // It can't be read, or has expired.
                Lease::NotNeeded => known = Some(found.version),
            }
        }
        None
    }

    /// The session with this stamp was in the store, and is not saved again.
    fn was_there(&self, stamp: Stamp) {
        let control = self.control.lock();
        let sharing = self.engine.options.sharing.as_ref();
        let is_latest = control.state.generation() == stamp.generation();
        if let Some(sharing) = sharing.filter(|_| is_latest) {
            sharing.known.lock().unsaved = false;
        }
    }

    /// The lease was taken under which the session with this stamp is saved, as this version.
    fn is_leased(&self, stamp: Stamp, owner: String, version: Version) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let leased = Leased {
            owner: Some(owner),
            version: Some(version),
            notes: None,
        };
        let control = self.control.lock();
        sharing.last_lease.set(stamp.generation(), Some(leased));
        if control.state.generation() == stamp.generation() {
            sharing.known.lock().version = Some(version);
        }
    }

    /// The last handle is gone: gives the lease of a session back that is not saved any more.
    pub(super) fn give_lease_back(&self) {
        let sharing = self.engine.options.sharing.as_ref();
        let Some(sharing) =
            sharing.filter(|sharing| sharing.last_lease.left_to_give_back().is_some())
        else {
            return;
        };
        if let Some(runtime) = Runtime::current() {
            sharing.ask_again();
            let (sharing, engine) = (Arc::clone(sharing), self.engine.clone());
            runtime.spawn(async move {
                sharing.give_back(&engine).await;
            });
        }
    }

    /// The cache is closed: leaves its session in the store, with what is left of its idle timeout,
    /// and with values that were `unsaved` at the close.
    pub(super) async fn leave_in_store(
        &self,
        session: Option<&Credential>,
        known: Known,
        unsaved: bool,
    ) {
        let (Some(sharing), Some(session)) = (&self.engine.options.sharing, session) else {
            return;
        };
        let left = self.left_to_save(session, known, unsaved).await;
        let Some((mut version, unsaved)) = left else {
            return;
        };
        let now = self.engine.clock.now();
        let session = self.read(|state| state.to_save(session, now));
        // Nothing else of it has changed since it was saved last.
        if !unsaved && session.stated_lifetime().idle_timeout().is_none() {
            return;
        }
        // A deadline alone does not bring a session back that another process has seen rejected.
        let is_over = |found: Option<Found>| found.is_none_or(|found| found.is_over);
        if !unsaved && is_over(sharing.load(&self.engine).await) {
            return;
        }
        for _ in 0..MOST_SAVES {
            version.revision = version.revision.saturating_add(1);
            let save = sharing.save(&self.engine, version, Some(&session), None, None);
            match save.await {
                // An earlier value was being saved at the close, or another process has saved one.
                Some(Saved::Newer(other)) if unsaved && other.is_of_same_session(version) => {
                    version = other;
                }
                _ => return,
            }
        }
    }

    /// The version that the session of a closed cache has in the store, and whether it has values
    /// that may not be there. It is saved for the first time, if it was not. `known` and `unsaved`
    /// are as of the close.
    async fn left_to_save(
        &self,
        session: &Credential,
        known: Known,
        unsaved: bool,
    ) -> Option<(Version, bool)> {
        let sharing = self.engine.options.sharing.as_ref()?;
        let stamp = session.stamp();
        let has_rolled = stamp.revision() > 0;
        let by_now = self.known_now();
        if !known.unsaved {
            // What was being saved at the close may be there by now, and newer values of others.
            let version = known.version?;
            return Some((version, unsaved && sharing.revisions.has_values_of(version)));
        }
        if !by_now.unsaved {
            // It was being saved for the first time, unless a login has superseded it since then.
            let is_latest = self.read(CacheState::generation) == stamp.generation();
            return Some((by_now.version.filter(|_| is_latest)?, has_rolled));
        }
        // It was obtained while the store was in trouble, and has not been saved since the close.
        let now = self.engine.clock.now();
        if !session.life().freshness(now).is_good() {
            return None;
        }
        let whole = self.read(|state| state.to_save(session, now));
        let (saved, version) = self.save_first(&whole, stamp, known.version).await?;
        (saved != stamp).then_some((version, has_rolled))
    }

    /// The session is logged out for all: tells the store, and logs out the one that is stored if
    /// it is not the one that the cache `had`, of which this was `known`.
    pub(super) async fn end_in_store(
        &self,
        had: Option<&Credential>,
        known: Known,
    ) -> Result<(), LoginError> {
        let Some(sharing) = &self.engine.options.sharing else {
            return Ok(());
        };
        let engine = &self.engine;
        let not_told = || {
            LoginError::unavailable(
                "the store could not be told of the logout, so those that share the session may go \
                 on with it",
            )
        };
        let (mut found, mut told) = (Found::default(), Err(not_told()));
        for _ in 0..MOST_SAVES {
            found = sharing.load(engine).await.ok_or_else(not_told)?;
            if !found.version.is_of_a_session() {
                told = Ok(());
                break;
            }
            match sharing.end(engine, found.version).await {
                Some(Saved::Made(_)) => {
                    told = Ok(());
                    break;
                }
                // Another process has saved its values meanwhile.
                Some(Saved::Newer(_)) => {}
                None => break,
            }
        }
        let is_known = !known.unsaved && known.version == Some(found.version);
        let Some(session) = found.session.filter(|_| had.is_none() || !is_known) else {
            return told;
        };
        let (end, policy) = (self.end(Duration::ZERO), &engine.options.policy);
        let session = session.on(&engine.clock);
        let stored = self.update(|state| state.stored(session, &end, policy));
        if had.is_some_and(|had| had.is_same_value(&stored)) {
            return told;
        }
        let mut logout = Logout::new(LogoutReason::Closing);
        logout.was_over = found.is_over;
        engine.log_out(&stored, logout).await.and(told)
    }

    /// Saves the current values. Returns whether the task may go on: it may not if the store is in
    /// trouble, or if the cache was closed.
    async fn save_revision(self: &Arc<Self>, saving: &mut Saving, what: Unsaved) -> bool {
        let (engine, sharing) = (&self.engine, Arc::clone(&saving.sharing));
        // Before the state is looked at, so that a logout finds it held or is found here.
        let _revising = sharing.revising.lock().await;
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
            // Another process has saved its values. The last ones that the server gave count.
            Some(Saved::Newer(other))
                if what == Unsaved::Values && other.is_of_same_session(version) =>
            {
                self.now_known(stamp, other);
                sharing.revisions.begin(what);
            }
            // The next look finds it.
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
    /// Whose values it saves.
    session: Option<Version>,
    has_ended: bool,
}

impl Saving {
    /// What there is to save. If nothing, it has ended.
    fn goes_on(&mut self) -> Option<Unsaved> {
        let what = self.sharing.revisions.next();
        self.has_ended = what.is_none();
        what
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if !self.has_ended {
            self.sharing.revisions.give_up(self.session);
        }
    }
}
