//! What a response means for the session that its request carried.

use std::sync::Arc;

use super::cache_state::{CacheState, Policy};
use super::rejection_breaker::EndedBy;
use crate::clock::Moment;
use crate::credential::{Brought, Change, Credential, Stamp};
use crate::lifetime::Freshness;

/// What a rejection means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The request carried an older credential than the current one. Nothing starts.
    Stale,
    /// The credential is dead.
    Believed,
    /// Another login would not help.
    Doubted,
    /// The handle is closed. Nothing starts any more.
    Closed,
}

/// What the values of an answer meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Nothing that an observer is told of.
    Nothing,
    /// The session has a new revision.
    Rolled(Stamp),
    /// The session has ended.
    Ended,
}

impl CacheState {
    /// A response rejected what its request carried: all that one does, or what every one does
    /// alone.
    pub(crate) fn reject(
        &mut self,
        stamp: Stamp,
        always_alone: bool,
        now: Moment,
        policy: &Policy,
    ) -> Ruling {
        if self.closed {
            return Ruling::Closed;
        }
        let is_current = |current: &Arc<Credential>| current.was_carried_by(stamp, always_alone);
        if !self.current.as_ref().is_some_and(is_current) {
            return Ruling::Stale;
        }
        if self.give_up(EndedBy::Rejection, now, policy) {
            Ruling::Believed
        } else {
            Ruling::Doubted
        }
    }

    /// A response accepted what a replay carried.
    pub(crate) fn replay_accepted(&mut self, generation: u64) {
        if let Some(breaker) = &mut self.breaker {
            breaker.replay_accepted(generation);
        }
    }

    /// An answer brought values. They count only if the request carried the current credential.
    ///
    /// As with a rejection, the deletion of the session's cookies is doubted after several in a
    /// minute. Otherwise a server that deletes them with every response would cause a login for
    /// each.
    pub(crate) fn hear(
        &mut self,
        stamp: Stamp,
        brought: Brought<'_>,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> Heard {
        let same = |current: &&Arc<Credential>| current.stamp() == stamp;
        let Some(current) = self.current.as_ref().filter(same) else {
            return Heard::Nothing;
        };
        match current.change_by(brought, now) {
            Some(Change::Values(new)) => {
                let next = current.with_values(*new, now, policy.window, jitter);
                let rolled = next.stamp();
                self.current = Some(Arc::new(next));
                if rolled == stamp {
                    Heard::Nothing
                } else {
                    Heard::Rolled(rolled)
                }
            }
            Some(Change::Ended) if self.give_up(EndedBy::Deletion, now, policy) => Heard::Ended,
            // The deletion is doubted, or there is no change.
            Some(Change::Ended) | None => Heard::Nothing,
        }
    }

    /// Drops the cookies that have expired beside the current session, and the session if it
    /// carries nothing without them.
    pub(crate) fn drop_expired_cookies(&mut self, now: Moment) {
        if let Some(current) = &self.current
            && current.life().freshness(now) == Freshness::Outdated
        {
            let current = Arc::clone(current);
            self.goes(&current);
            self.current = current.without_expired_cookies(now).map(Arc::new);
        }
    }

    /// Whether a response that ends the current credential is believed. If so, the credential is
    /// never served again.
    fn give_up(&mut self, by: EndedBy, now: Moment, policy: &Policy) -> bool {
        let Some(current) = self.current.clone() else {
            return true;
        };
        self.goes(&current);
        // The end that the session was told to have is no reason for doubt.
        if !current.life().told_end_has_come(now) {
            let unproven = current.is_unproven();
            let by = match by {
                _ if current.is_for_first_use() => EndedBy::FirstUse,
                EndedBy::Rejection if unproven => EndedBy::NeverAccepted,
                by => by,
            };
            let breaker = self.breaker.get_or_insert_default();
            if !breaker.believes(by, now, policy.rejection_logins) {
                return false;
            }
            breaker.believed(by, now);
            if let (EndedBy::FirstUse, Some(refreshes)) = (by, &mut self.refreshes) {
                refreshes.distrust();
            }
        }
        self.fetch_was_refused = false;
        self.given_up = self.current.take();
        self.rejected = current.stamp().generation;
        if by == EndedBy::Deletion {
            self.deleted = self.rejected;
        }
        true
    }

    /// The session at hand goes, or may. If a response has shown it to be good, that ends the row
    /// of those that were of no use.
    pub(super) fn goes(&mut self, session: &Credential) {
        if let (false, Some(breaker)) = (session.is_unproven(), &mut self.breaker) {
            breaker.was_of_use();
        }
    }
}
