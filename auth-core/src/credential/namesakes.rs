//! Which cookie of a name takes the place of one that is gone.

use std::time::Duration;

use super::cookie::{Cookie, Role};
use super::cookies::{Cookies, forget};
use super::{SetCookie, Target};
use crate::clock::{Deadline, Moment};
use crate::origin::Scope;

impl Cookies {
    /// Gives the place of each cookie that is gone to a live namesake, unless another cookie of the
    /// name has such a place. `set` are the cookies of the answer that was heard, if one was.
    /// Returns whether one that the answer has set is now one that the session needs.
    ///
    /// It is called when all of an answer is heard: a server may set the new cookie before it
    /// deletes the old one.
    pub(super) fn hand_over(&mut self, set: &[SetCookie]) -> bool {
        let mut needs_one_of_these = false;
        for at in 0..self.list.len() {
            let gone = &self.list[at];
            let role = gone.role;
            if gone.live || role == Role::Kept || self.has_namesake(gone, role) {
                continue;
            }
            // What the same answer sets is meant to succeed. Of what was there before, only that
            // is known to do which goes wherever the other one went. One of another path would
            // leave the session to requests that do not carry it.
            let can = |heir: &Cookie| heir.is_one_of(set) || heir.goes_wherever(gone);
            let heirs = self.list.iter().enumerate();
            let heirs = heirs.filter(|(_, heir)| heir.live && heir.name == gone.name && can(heir));
            // As `get` chooses among several, and of those that go to the same the new one.
            let rank = |heir: &Cookie| (heir.path().len(), !heir.is_one_of(set));
            let Some((heir, _)) = heirs.min_by_key(|(_, heir)| rank(heir)) else {
                continue;
            };
            let restated = gone.restated;
            // Where the server sets it again, it is a namesake.
            self.list[at].role = Role::Kept;
            let heir = &mut self.list[heir];
            heir.role = role;
            heir.restated |= restated;
            needs_one_of_these |= role == Role::Named && heir.is_one_of(set);
        }
        self.drop_dead();
        needs_one_of_these
    }

    /// Whether there is a live namesake that is as much to the session.
    fn has_namesake(&self, gone: &Cookie, role: Role) -> bool {
        self.live()
            .any(|cookie| cookie.name == gone.name && cookie.role >= role)
    }

    /// Forgets the cookies that have expired. The end of a named one is the session's, unless a
    /// namesake takes its place.
    pub(super) fn forget_expired(&mut self, now: Moment, slides: bool) {
        for at in 0..self.list.len() {
            let cookie = &self.list[at];
            let is_outlived = || {
                let mut heirs = self.heirs(cookie, slides);
                heirs.any(|heir| !heir.expires.passed(now))
            };
            if cookie.expires.passed(now) && (cookie.role != Role::Named || is_outlived()) {
                forget(&mut self.list[at]);
            }
        }
        self.hand_over(&[]);
    }

    /// The end of a named cookie, or of the namesake that takes its place last.
    pub(super) fn last_end(&self, named: &Cookie, slides: bool) -> Deadline {
        let ends = self.heirs(named, slides).map(|heir| heir.expires);
        ends.fold(named.expires, |last, end| {
            if end.steady > last.steady { end } else { last }
        })
    }

    /// The life of a named cookie, or of the namesake that takes its place last. `None` if it is
    /// not known to end.
    pub(super) fn longest_life(&self, named: &Cookie, slides: bool) -> Option<Duration> {
        let lives = self.heirs(named, slides).map(|heir| heir.life);
        lives.fold(named.life, |longest, life| Some(longest?.max(life?)))
    }

    /// The name of which the session needs a cookie and has none that goes to an origin of the
    /// scope, on whatever path.
    pub(super) fn out_of(&self, scope: &Scope) -> Option<&str> {
        let goes = |cookie: &Cookie| {
            let mut origins = scope.origins();
            origins.any(|origin| {
                cookie.goes_to(Target::new(origin.scheme(), origin.host(), cookie.path()))
            })
        };
        let is_out = |named: &&Cookie| {
            let mut namesakes = self.live().filter(|cookie| cookie.name == named.name);
            !namesakes.any(goes)
        };
        Some(&self.named().find(is_out)?.name)
    }

    /// The live namesakes that take the place of a named cookie when its life ends. In a session
    /// that `slides` it does not end by itself: its life is the idle timeout.
    fn heirs(&self, named: &Cookie, slides: bool) -> impl Iterator<Item = &Cookie> {
        let can = move |heir: &&Cookie| {
            heir.role < named.role && heir.name == named.name && heir.goes_wherever(named)
        };
        self.live().filter(move |heir| !slides && can(heir))
    }
}
