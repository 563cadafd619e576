//! What a session and the notes in a store mean for the cache.

use std::sync::Arc;

use super::attempted::AttemptedSecret;
use super::cache_state::{CacheState, FlightId, Policy, Purpose};
use super::failure::Failure;
use super::notes::{Known, Notes};
use super::outcome::End;
use super::refreshes::{Possible, Refreshes};
use super::rejection_breaker::RejectionBreaker;
use super::rejection_breaker::Source;
use crate::clock::Moment;
use crate::credential::{Credential, Stamp};
use crate::error::Error;
use crate::lifetime::{Birth, Freshness, Life};
use crate::secret::Secret;
use crate::session::Session;
use crate::store::{Found, Version};

/// What was found in the store, and what the cache knows of that.
pub(crate) struct Outlook<'a> {
    pub(crate) found: Found,
    pub(crate) known: &'a mut Known,
    /// The keyed hash by which the store's notes know a secret.
    pub(crate) tag: &'a dyn Fn(&str) -> String,
}

impl Outlook<'_> {
    /// Whether the store has lost what was noted of the session at hand since that was there. What
    /// is saved anew after such a loss has the fence 0, and an earlier session is of a backup.
    fn has_lost_marks(&self, looked_with: Option<Version>) -> bool {
        let found = self.found.version;
        let is_lost = |known: Version| {
            let is_anew = known.fence == 0 || !found.is_of_a_session();
            is_anew || found.epoch != known.epoch || found.fence < known.fence
        };
        let known = looked_with.filter(|_| !self.known.unsaved);
        known.is_some_and(is_lost)
    }
}

/// What a flight looks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) purpose: Purpose,
    /// A caller asks for a renewed session, though the one at hand is good. Another value of it
    /// will not do.
    pub(crate) asked: bool,
    /// The last generation when it began. The task that follows the store may have taken a newer
    /// session over since then.
    pub(crate) began: u64,
    /// What was known of the store when it began to look. The task that follows the store may have
    /// taken over more since then.
    pub(crate) known: Option<Version>,
}

/// What a flight does after the cache has looked at the store.
#[derive(Debug)]
pub(crate) enum Adopted {
    /// It ends with this session, which was found there.
    Serves(Arc<Credential>),
    /// It goes on, for this purpose.
    GoesOn(Purpose),
    /// It ends with this error: another process has found out what forbids it.
    Fails(Error),
}

impl CacheState {
    /// A flight has looked at the store. Returns `None` if the flight is not wanted any more.
    pub(crate) fn look_at(
        &mut self,
        id: FlightId,
        wanted: Wanted,
        outlook: Outlook<'_>,
        end: &End,
        policy: &Policy,
    ) -> Option<Adopted> {
        if self.is_unwanted(id) {
            return None;
        }
        let purpose = wanted.purpose;
        if outlook.has_lost_marks(wanted.known) {
            self.doubt_token(end.at);
        }
        let adopted = self.adopt(outlook, end, policy);
        let is_another = |session: &Arc<Credential>| session.stamp().generation > wanted.began;
        let has_another = self.refreshed().is_some_and(is_another);
        if !adopted && !has_another {
            let good = self.is_good(end.at);
            // Another process may have spent its token, or was told to wait.
            return Some(match (purpose, self.refresh(end.at)) {
                (Purpose::Refresh, Possible::Later) if good => self.held_refresh(end.at),
                (Purpose::Refresh, Possible::Later | Possible::No) => self
                    .login(end.at, good)
                    .map_or_else(Adopted::Fails, Adopted::GoesOn),
                _ => Adopted::GoesOn(purpose),
            });
        }
        let ahead = matches!(purpose, Purpose::Renewal | Purpose::Refresh);
        let will_do = |current: &&Arc<Credential>| match current.life().freshness(end.at) {
            Freshness::Fresh | Freshness::Outdated => true,
            // It is renewed ahead of its expiry, as the one before was to be.
            Freshness::Due => !ahead,
            Freshness::Lapsed | Freshness::Expired => false,
        };
        let current = (self.current.as_ref()).filter(|_| has_another || !wanted.asked);
        if let Some(current) = current.filter(will_do) {
            return Some(Adopted::Serves(Arc::clone(current)));
        }
        // The session may have what it can be refreshed with.
        Some(match (purpose, self.refresh(end.at)) {
            (_, Possible::Now) => Adopted::GoesOn(Purpose::Refresh),
            (Purpose::Refresh, Possible::Later) if self.is_good(end.at) => {
                self.held_refresh(end.at)
            }
            (Purpose::Refresh, _) => Adopted::GoesOn(Purpose::Login),
            (other, _) => Adopted::GoesOn(other),
        })
    }

    /// The session is good, and can't be refreshed yet.
    fn held_refresh(&self, now: Moment) -> Adopted {
        let refreshes = self.refreshes.as_deref();
        let error = refreshes.map(|refreshes| refreshes.error(now));
        error.map_or(Adopted::GoesOn(Purpose::Refresh), Adopted::Fails)
    }

    /// Takes over what was found in the store. Returns whether that is a session which the cache
    /// did not have.
    pub(crate) fn adopt(&mut self, outlook: Outlook<'_>, end: &End, policy: &Policy) -> bool {
        let Outlook { found, known, tag } = outlook;
        if self.closed || !found.version.is_of_a_session() {
            return false;
        }
        let before = known.version;
        let goes_on = before.is_some_and(|version| found.version.is_of_same_session(version));
        let is_newer = before.is_none_or(|version| found.version.is_newer_than(version));
        // The session at hand has superseded it, whichever value of it others have saved since.
        if known.unsaved && goes_on {
            if is_newer {
                known.version = Some(found.version);
            }
            return false;
        }
        let Some(session) = found.session else {
            // It was itself, or one that has superseded it since the last look.
            let was_shared = goes_on || (is_newer && !known.unsaved);
            if found.was_logged_out && was_shared {
                if let Some(session) = self.current.take() {
                    self.goes(&session);
                }
                self.given_up = None;
            }
            return false;
        };
        if !is_newer {
            // Another process may have spent its token.
            if goes_on {
                self.learn_of_refreshes(&found.notes, tag, end.at);
            }
            // Another process has seen it rejected.
            if found.is_over && goes_on {
                self.retire();
            }
            return false;
        }
        let credential = credential(session, end, policy);
        // The session at hand was obtained while the store was in trouble, and both may be good. So
        // no caller gains by another one, unless that spares a renewal.
        if known.unsaved && self.may_be_good(end.at) {
            let is_fresh = |life: &Life| life.freshness(end.at) == Freshness::Fresh;
            let current = self.current.as_ref();
            let gains = is_fresh(credential.life()) && !found.is_over;
            if !gains || current.is_some_and(|current| is_fresh(current.life())) {
                return false;
            }
        }
        *known = Known {
            version: Some(found.version),
            unsaved: false,
        };
        let last = self.refreshed().filter(|_| goes_on).cloned();
        let stamp = match &last {
            // A deadline alone makes no revision, so answers that are under way are still heard.
            Some(last) if last.is_same_revision(&credential) => last.stamp(),
            Some(last) => last.stamp().next_revision(),
            None => self.next_stamp(),
        };
        let mut credential = credential.stamped(stamp);
        if let Some(last) = &last {
            credential = credential.after(last);
        }
        if let Some(before) = self.refreshed() {
            credential = credential.later_than(before);
        }
        let credential = Arc::new(credential);
        if let Some(current) = self.current.as_ref().filter(|_| goes_on) {
            credential.life().goes_on(current.life());
        }
        // A response has rejected it here. Since then its deadline has moved, or what it keeps, or
        // another process has saved it in a store that had lost it.
        let same = |rejected: &Arc<Credential>| rejected.is_same_value(&credential);
        let was_rejected = self.current.is_none() && self.given_up.as_ref().is_some_and(same);
        let is_over = found.is_over || was_rejected;
        // A revision is neither a login nor a refresh, so what was refused stays refused.
        if !goes_on && !was_rejected {
            if let Some(refreshes) = &mut self.refreshes {
                refreshes.logged_in();
            }
            if let Some(breaker) = &mut self.breaker {
                breaker.landed(stamp.generation, end.at, Source::Store);
            }
            self.renewals.has_another();
        }
        self.given_up = None;
        if let Some(replaced) = self.current.replace(credential) {
            self.goes(&replaced);
        }
        self.learn_of_refreshes(&found.notes, tag, end.at);
        // It was saved anew after the store had lost its data, and with that its marks.
        if found.version.fence == 0 {
            self.doubt_token(end.at);
        }
        if let Some(breaker) = found.notes.breaker {
            let own = self.breaker.get_or_insert_default();
            own.learn(breaker, stamp.generation, end.at);
        }
        if is_over {
            self.retire();
        }
        true
    }

    /// A session that is stored, as a credential to log it out with.
    pub(crate) fn stored(
        &mut self,
        session: Session,
        end: &End,
        policy: &Policy,
    ) -> Arc<Credential> {
        let stamp = self.next_stamp();
        Arc::new(credential(session, end, policy).stamped(stamp))
    }

    /// The token of the session may be among those that the store knows as spent or refused, and
    /// the server may want no refresh for a while.
    fn learn_of_refreshes(&mut self, notes: &Notes, tag: &dyn Fn(&str) -> String, now: Moment) {
        let session = self.refreshed().cloned();
        let (Some(session), Some(refreshes)) = (session, self.refreshes.as_mut()) else {
            return;
        };
        if let Some(held) = &notes.held_refreshes {
            refreshes.learn(held);
        }
        let token = |name: &str| session.kept_at(name, now).map(Secret::expose);
        let token = refreshes.token_name().and_then(token).map(tag);
        let single_use = refreshes.are_single_use();
        let is_spent = |token: String| notes.names(&token) || single_use && notes.is_spent(&token);
        if token.is_some_and(is_spent) {
            refreshes.take_as_spent(&session, now);
        }
    }

    /// The token of the session may have been spent by another process, which no one knows any
    /// more.
    fn doubt_token(&mut self, now: Moment) {
        let Some(session) = self.refreshed().cloned() else {
            return;
        };
        let refreshes = self.refreshes.as_mut();
        if let Some(refreshes) = refreshes.filter(|refreshes| refreshes.are_single_use()) {
            refreshes.take_as_spent(&session, now);
        }
    }

    /// The current session is over, as another process has found.
    fn retire(&mut self) {
        if let Some(session) = self.current.take() {
            self.goes(&session);
            self.rejected = session.stamp().generation;
            self.given_up = Some(session);
        }
    }

    pub(super) fn next_stamp(&mut self) -> Stamp {
        self.generation += 1;
        Stamp {
            generation: self.generation,
            revision: 0,
        }
    }

    /// What the notes of the store say of the secret at hand. Returns whether it may be sent.
    pub(crate) fn recall(
        &mut self,
        notes: &Notes,
        at_hand: AttemptedSecret,
        tag: &str,
        purpose: Purpose,
        now: Moment,
    ) -> bool {
        let told = match notes.failure(tag) {
            Some((failure, true)) => failure.clone().of_secret(at_hand, true),
            Some((failure, false)) => {
                let other = || failure.clone().of_secret(at_hand, false);
                notes.held_by_others(at_hand, now).or_else(other)
            }
            None => None,
        };
        let Some(told) = told else {
            return true;
        };
        // What is known here may be of another secret, and is kept beside.
        let own = self.failure.take();
        let others = own.as_ref();
        let others = others.and_then(|own| own.beside(Some(at_hand.secret), now));
        let own = own.and_then(|own| {
            let same = own.is_of(at_hand);
            own.of_secret(at_hand, same)
        });
        let forbids = |failure: &Failure| match purpose {
            Purpose::Renewal => failure.forbids(now),
            _ => failure.forbids_login(now),
        };
        let forbidden = forbids(&told) || own.as_ref().is_some_and(forbids);
        self.failure = Some(told.or_stricter(own).with_others(others));
        !forbidden
    }

    /// The notes after a login, a refresh or a failure, which has brought a session or not.
    /// `before` are those that were read, and `secret` is the keyed hash of the secret, if that was
    /// read.
    pub(crate) fn notes(
        &self,
        before: &Notes,
        secret: Option<String>,
        brought: bool,
        now: Moment,
    ) -> Notes {
        let mut notes = before.clone();
        // The password was not even read.
        let is_refreshed = brought && secret.is_none();
        let failed = self.failure.as_ref();
        let is_own = failed.is_some_and(Failure::is_own);
        if let Some(secret) = secret.filter(|_| !is_own) {
            let failed = failed.filter(|failure| failure.is_of_note(now));
            notes.logged_in_with(secret, failed.cloned());
        }
        // It takes nothing back: it may have found no session to learn with.
        let breaker = self.breaker.as_deref();
        notes.breaker = RejectionBreaker::of_both(notes.breaker, breaker, now);
        let refreshes = self.refreshes.as_deref();
        let held = refreshes.and_then(|refreshes| refreshes.held(now));
        // A login says nothing of it, and none is refreshed meanwhile.
        let learned = notes.held_refreshes.filter(|_| !is_refreshed);
        let learned = learned.filter(|learned| now.steady < learned.until);
        notes.held_refreshes = held.or(learned);
        if brought {
            notes.of_next_session(refreshes.is_none_or(Refreshes::are_single_use))
        } else {
            notes
        }
    }
}

/// Whether a session that is stored has not expired.
pub(crate) fn stored_may_be_good(session: Session, end: &End, policy: &Policy) -> bool {
    let stored = credential(session, end, policy);
    stored.life().freshness(end.at).may_be_good()
}

/// The credential of a session that was stored. Which stamp it gets depends on what it carries.
fn credential(session: Session, end: &End, policy: &Policy) -> Credential {
    let birth = Birth {
        at: end.at,
        took: session.took(),
    };
    let none = Stamp {
        generation: 0,
        revision: 0,
    };
    let first_use = session.is_for_first_use();
    let credential = Credential::new(none, session, birth, policy.window, end.jitter);
    if first_use {
        credential.refreshed()
    } else {
        credential
    }
}
