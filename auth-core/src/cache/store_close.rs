//! The end of the cache, as its store sees it: what a close leaves there, and what a logout ends.

use std::time::Duration;

use super::share::MOST_SAVES;
use super::shared::Shared;
use crate::credential::Credential;
use crate::decide::{CacheState, Known};
use crate::error::{Exchange, LoginError};
use crate::logout::{Logout, LogoutReason};
use crate::session::Session;
use crate::store::{Found, Saved, Version};

impl Shared {
    /// The cache is closed: leaves its session in the store, with what is left of its idle timeout,
    /// with values that were `unsaved` at the close, and with what is known of a refreshed one.
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
        let is_past_first_use = session.is_past_first_use();
        let session = self.read(|state| state.to_save(session, now));
        let slides = session.stated_lifetime().idle_timeout().is_some();
        // Nothing else of it has changed since it was saved last.
        if !unsaved && !slides && !is_past_first_use {
            return;
        }
        // That alone does not bring a session back that another process has seen rejected.
        let is_worth_it = |found: Option<Found>| {
            let is_news = |stored: Session| slides || stored.is_for_first_use();
            found.is_some_and(|found| !found.is_over && found.session.map_or(slides, is_news))
        };
        if !unsaved && !is_worth_it(sharing.load(&self.engine).await) {
            return;
        }
        for _ in 0..MOST_SAVES {
            version.revision = version.revision.saturating_add(1);
            let save = sharing.save(&self.engine, version, Some(&session), None, None);
            match save.await {
                // An earlier value was being saved at the close, or another process has saved one.
                Some(Saved::Newer(other)) if unsaved && version.is_behind(other) => {
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
            .of_exchange(Exchange::Logout)
        };
        let (mut found, mut told) = (Found::default(), Err(not_told()));
        for _ in 0..MOST_SAVES {
            found = sharing.load(engine).await.ok_or_else(not_told)?;
            // If the store has lost it, others may have it still, who would save it again.
            let lost = || known.version.filter(|lost| lost.is_of_a_session());
            let stored = Some(found.version).filter(|stored| stored.is_of_a_session());
            let Some(version) = stored.or_else(lost) else {
                told = Ok(());
                break;
            };
            match sharing.end(engine, version).await {
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
        // A later value of the one that has just been logged out may be over with that.
        let is_later = |known: Version| found.version.is_of_same_session(known);
        let is_later = had.is_some() && known.version.is_some_and(is_later);
        logout.was_over = found.is_over || is_later;
        engine.log_out(&stored, logout).await.and(told)
    }
}
