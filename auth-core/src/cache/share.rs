//! What a cache and its store tell each other beside logins: new values, and the end of a session.

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;
use crate::credential::Credential;
use crate::decide::{CacheState, End, Outlook, Policy};
use crate::error::LoginError;
use crate::logout::{Logout, LogoutReason};
use crate::runtime::Runtime;
use crate::store::{Found, Lease, LeaseAsk, Saved, Sharing, Version, random_text};

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

    /// The session of this generation is stored with this version.
    pub(super) fn now_known(&self, generation: u64, version: Version) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let control = self.control.lock();
        if control.state.generation() == generation {
            let mut known = sharing.known.lock();
            known.version = Some(version);
            known.unsaved = false;
        }
    }

    /// The session has new values, which the others are to have: saves them by a task, one at a
    /// time.
    pub(crate) fn share_revision(self: &Arc<Self>) {
        let (Some(sharing), Some(runtime)) = (&self.engine.options.sharing, Runtime::current())
        else {
            return;
        };
        let (cache, sharing) = (Arc::downgrade(self), Arc::clone(sharing));
        if sharing.begin_saving() {
            runtime.spawn(async move {
                let saving = Saving(sharing);
                for _ in 0..MOST_SAVES {
                    let Some(cache) = cache.upgrade() else { return };
                    if !saving.0.goes_on_saving() {
                        return;
                    }
                    cache.save_revision(&saving.0).await;
                }
            });
        }
    }

    /// Saves a session that was obtained while the store was in trouble, under a lease of its own,
    /// unless a session is there that the cache does not know.
    pub(super) async fn publish(&self) {
        let Some(sharing) = &self.engine.options.sharing else {
            return;
        };
        let engine = &self.engine;
        let now = engine.clock.now();
        let (session, generation, known) = {
            let control = self.control.lock();
            let known = *sharing.known.lock();
            let current = control.state.current().filter(|_| known.unsaved);
            let good = |current: &&Arc<Credential>| current.life().freshness(now).is_good();
            let Some(current) = current.filter(good) else {
                return;
            };
            (
                current.session(now),
                current.stamp().generation(),
                known.version,
            )
        };
        let owner = random_text();
        let ask = LeaseAsk {
            owner: &owner,
            lasts: PUBLISHED_WITHIN,
            known,
            rejected: false,
        };
        let Some((answer, _)) = sharing.lease(engine, ask).await else {
            return;
        };
        if let Lease::Taken { fence } = answer.lease {
            let version = Version {
                epoch: answer.epoch,
                fence,
                revision: 0,
            };
            let save = sharing.save(engine, version, Some(&session), None, Some(owner));
            if let Some(Saved::Made(version)) = save.await {
                self.now_known(generation, version);
            }
        }
    }

    /// The cache is closed: leaves its session in the store, with what is left of its idle timeout.
    pub(super) async fn leave_in_store(&self, session: Option<&Credential>) {
        let (Some(sharing), Some(session)) = (&self.engine.options.sharing, session) else {
            return;
        };
        let session = session.session(self.engine.clock.now());
        let known = *sharing.known.lock();
        let (Some(version), false) = (known.version, known.unsaved) else {
            return;
        };
        // Nothing else of it has changed since it was saved last.
        if session.stated_lifetime().idle_timeout().is_some() {
            let revision = version.revision.saturating_add(1);
            let version = Version {
                revision,
                ..version
            };
            let save = sharing.save(&self.engine, version, Some(&session), None, None);
            save.await;
        }
    }

    /// The session is logged out for all: tells the store, and logs out the one that is stored if
    /// it is not the one that the cache had.
    pub(super) async fn end_in_store(&self, had: Option<&Credential>) -> Result<(), LoginError> {
        let Some(sharing) = &self.engine.options.sharing else {
            return Ok(());
        };
        let engine = &self.engine;
        let found = sharing.load(engine).await.unwrap_or_default();
        sharing.end(engine, found.version).await;
        let known = *sharing.known.lock();
        let is_had = had.is_some() && !known.unsaved && known.version == Some(found.version);
        let (Some(session), false) = (found.session, is_had) else {
            return Ok(());
        };
        let (end, policy) = (self.end(Duration::ZERO), &engine.options.policy);
        let session = session.on(&engine.clock);
        let stored = self.update(|state| state.stored(session, &end, policy));
        let mut logout = Logout::new(LogoutReason::Closing);
        logout.was_over = found.is_over;
        engine.log_out(&stored, logout).await
    }

    async fn save_revision(&self, sharing: &Arc<Sharing>) {
        let engine = &self.engine;
        let now = engine.clock.now();
        let (session, version, generation) = {
            let control = self.control.lock();
            let known = *sharing.known.lock();
            let (Some(current), Some(version), false) =
                (control.state.current(), known.version, known.unsaved)
            else {
                return;
            };
            let revision = version.revision.saturating_add(1);
            let version = Version {
                revision,
                ..version
            };
            (current.session(now), version, current.stamp().generation())
        };
        match sharing
            .save(engine, version, Some(&session), None, None)
            .await
        {
            Some(Saved::Made(version)) => self.now_known(generation, version),
            // Another process has saved its values. The last ones that the server gave count.
            Some(Saved::Newer(other)) if other.is_of_same_session(version) => {
                self.now_known(generation, other);
                sharing.begin_saving();
            }
            Some(Saved::Newer(_)) | None => {}
        }
    }
}

/// The task that saves new values. Dropped, it lets the next one begin.
struct Saving(Arc<Sharing>);

impl Drop for Saving {
    fn drop(&mut self) {
        self.0.end_saving();
    }
}
