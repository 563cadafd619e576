//! The first save of a session that its login could not save.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::credential::{Credential, Stamp};
use crate::decide::{Notes, stored_may_be_good};
use crate::runtime::Runtime;
use crate::session::Session;
use crate::store::{Lease, LeaseAsk, Leased, Saved, Version};

/// How often a lease is asked for in a row, because others have saved a value of the session that
/// this one has superseded, or what cannot be used.
const MOST_LOOKS: u8 = 8;

/// How long the lease lasts under which a session is saved that is at hand.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(10);

impl Shared {
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
            if !sharing.settling.is_empty() {
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
    pub(super) async fn save_first(
        &self,
        session: &Session,
        stamp: Stamp,
        known: Option<Version>,
    ) -> Option<(Stamp, Version)> {
        let sharing = self.engine.options.sharing.as_ref()?;
        let mut may_have_been_there = false;
        let leased = sharing.last_lease.of(stamp.generation());
        let owner = match leased {
            Some(Leased {
                owner,
                version: Some(version),
                notes,
                ..
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
        let owner = owner.unwrap_or_else(|| sharing.owner());
        let lease = (owner, may_have_been_there);
        self.save_under_lease(session, stamp, known, lease).await
    }

    /// Saves a session for the first time, under a lease that is taken or extended for it. Of the
    /// secret by which it was obtained something else may be noted there.
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
        for _ in 0..MOST_LOOKS {
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
                    let by = sharing.logged_in.lock().clone();
                    let notes = by.and_then(|by| found.without_refusal(by));
                    self.is_leased(stamp, owner.clone(), version, notes.clone());
                    let owner = Some(owner);
                    let save = sharing.save(engine, version, Some(session), notes.as_ref(), owner);
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
    fn is_leased(&self, stamp: Stamp, owner: String, version: Version, notes: Option<Notes>) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let leased = Leased {
            owner: Some(owner),
            version: Some(version),
            notes,
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
            sharing.steps.ask_again();
            let (sharing, engine) = (Arc::clone(sharing), self.engine.clone());
            runtime.spawn(async move {
                sharing.give_back(&engine).await;
            });
        }
    }
}
