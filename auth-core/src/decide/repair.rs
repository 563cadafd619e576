//! When a part of the session is fetched, and what the end of a repair means.

use std::sync::Arc;
use std::time::Duration;

use super::cache_state::{CacheState, Policy};
use super::repair_breaker::RepairBreaker;
use super::response::{Heard, Ruling};
use crate::clock::Moment;
use crate::credential::{Brought, Credential, SetCookie, Stamp, Update};
use crate::error::{Error, Exchange, LoginError, LoginErrorKind};

/// Why a repair begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// A request would carry a part that is missing.
    Missing,
    /// A response has asked for another part than its request carried.
    AskedFor,
}

/// What the end of a repair means.
#[derive(Debug)]
pub(crate) enum Repaired {
    /// The session has what it brought, or has changed meanwhile. Callers look again.
    Changed,
    /// The server refused it, and the session is dead. A login begins, and callers look again.
    Rejected,
    /// It failed, or has brought nothing of use.
    Failed {
        failure: Arc<LoginError>,
        /// How long no other one begins.
        retry_after: Duration,
        /// Whether the server refused it, and another login would not help.
        doubted: bool,
    },
}

impl CacheState {
    /// A response asked for another part of the session than its request carried. Whether there may
    /// be one: the credential is not the current one any more, or the provider `fetches` parts.
    pub(crate) fn may_repair(&self, stamp: Stamp, fetches: bool, now: Moment) -> bool {
        let same = |current: &Arc<Credential>| current.stamp() == stamp;
        let generation = self.generation();
        let forbids = |repairs: &RepairBreaker| repairs.forbids(generation, now);
        let forbidden = self.repairs.as_deref().is_some_and(forbids);
        let possible = fetches || !self.current.as_ref().is_some_and(same);
        possible && !self.closed && !forbidden
    }

    /// The replay of a repair, with the session of this generation, asked for another one. It says
    /// nothing of a later session.
    pub(crate) fn not_repaired(&mut self, generation: u64, now: Moment) {
        if generation == self.generation() {
            let repairs = self.repairs.get_or_insert_default();
            repairs.futile(generation, now);
        }
    }

    /// Whether a repair begins that no request is sent again after.
    pub(crate) fn repairs_for_next(&mut self, now: Moment) -> bool {
        let generation = self.generation();
        let repairs = self.repairs.get_or_insert_default();
        repairs.begins_for_next(generation, now)
    }

    /// What a caller is told that needs a repair, if none may begin now because the last one has
    /// failed.
    pub(crate) fn repair_failure(&self, now: Moment) -> Option<Error> {
        self.repairs.as_ref()?.failure(self.generation(), now)
    }

    /// A repair has ended that began with this credential, because of a part that was missing or of
    /// a response.
    pub(crate) fn settle_repair(
        &mut self,
        (before, why): (&Credential, Lack),
        fetched: Result<Update, LoginError>,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> (Heard, Repaired) {
        let stamp = before.stamp();
        let (mut heard, mut doubted) = (Heard::Nothing, false);
        let error = match fetched {
            Ok(update) => {
                heard = self.hear_repair(before, update, now, policy, jitter);
                let Some(current) = self.current_of(stamp.generation) else {
                    return (heard, Repaired::Changed);
                };
                let brought = match why {
                    Lack::Missing => current.missing() < before.missing(),
                    Lack::AskedFor => current.has_later_parts_than(before),
                };
                if brought {
                    if why == Lack::Missing {
                        self.fetched(stamp.generation);
                    } else if let Some(repairs) = &mut self.repairs {
                        repairs.brought();
                    }
                    return (heard, Repaired::Changed);
                }
                LoginError::malformed(match why {
                    Lack::Missing => "the repair of the session did not bring what is missing",
                    Lack::AskedFor => "the repair of the session brought no other value",
                })
            }
            // The session is another one meanwhile, and what failed was not with that.
            Err(_) if self.current_of(stamp.generation).is_none() => {
                return (heard, Repaired::Changed);
            }
            Err(error) if error.kind() == LoginErrorKind::Refused => {
                match self.reject(stamp, false, now, policy) {
                    Ruling::Believed => {
                        self.fetch_was_refused = true;
                        return (heard, Repaired::Rejected);
                    }
                    // A response has rolled a value during the fetch, and may do so each time.
                    Ruling::Stale if self.repairs.get_or_insert_default().refused_again() => {
                        let refused = "the server refused the session a part of it, and another \
                                       value has rolled meanwhile";
                        LoginError::unavailable(refused).with_retry_after(error.retry_after())
                    }
                    Ruling::Stale | Ruling::Closed => return (heard, Repaired::Changed),
                    Ruling::Doubted => {
                        doubted = true;
                        // The session was refused, and not the password.
                        let refused = "the server refused the session a part of it, and another \
                                       login would not help";
                        LoginError::unavailable(refused).with_retry_after(error.retry_after())
                    }
                }
            }
            Err(error) => error,
        };
        let failure = Arc::new(error.of_exchange(Exchange::Repair));
        let retry_after = self.repairs.get_or_insert_default().failed(
            Arc::clone(&failure),
            stamp.generation,
            now,
        );
        let failed = Repaired::Failed {
            failure,
            retry_after,
            doubted,
        };
        (heard, failed)
    }

    /// What a repair brings is as an answer to a request that carried `before`. If the session has
    /// other parts by now, it brings those that are missing still. A cookie that has changed by now
    /// it brings only if a part is derived from it, since that of the session may be later.
    fn hear_repair(
        &mut self,
        before: &Credential,
        mut update: Update,
        now: Moment,
        policy: &Policy,
        jitter: f64,
    ) -> Heard {
        let Some(current) = self.current_of(before.stamp().generation()) else {
            return Heard::Nothing;
        };
        let stamp = current.stamp();
        if current.has_other_parts_than(before.stamp()) {
            update = current.missing_of(update);
        }
        let (cookies, target) = update.set_cookies();
        let own = |set: &&SetCookie| {
            let name = &set.name;
            let is_as_before = current.cookie(name) == before.cookie(name);
            current.keeps_cookie(name) && (is_as_before || current.derives_from(name))
        };
        let cookies: Vec<_> = cookies.iter().filter(own).cloned().collect();
        let brought = Brought {
            cookies: &cookies,
            target,
            update: &update,
            fetched: true,
        };
        self.hear(stamp, brought, now, policy, jitter)
    }

    /// The current credential, if it is of this generation.
    fn current_of(&self, generation: u64) -> Option<&Arc<Credential>> {
        let same = |current: &&Arc<Credential>| current.stamp().generation() == generation;
        self.current.as_ref().filter(same)
    }

    /// A part that was missing has been fetched with this generation.
    fn fetched(&mut self, generation: u64) {
        self.repairs = None;
        // The fetch was refused with the last session, so this one is its replay.
        if std::mem::take(&mut self.fetch_was_refused) {
            self.replay_accepted(generation);
        }
    }

    /// A response accepted what a replay after a repair carried.
    pub(crate) fn repair_helped(&mut self) {
        self.repairs = None;
    }
}
