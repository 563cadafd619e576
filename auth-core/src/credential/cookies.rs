//! The cookies of a session.

use std::time::Duration;

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::cookie::{Cookie, Hosts, Role};
use super::encoded::prepared;
use super::line::Lines;
use super::{InvalidValue, SetCookie, Target};
use crate::clock::{Deadline, Moment};
use crate::lifetime::{CookieLives, WORTH_STORING};

/// How many cookies are kept that the provider did not add. A user agent keeps at least so many for
/// a host (RFC 6265, section 6.1), and a server that sets a new one each time can't make the
/// `Cookie` header grow for ever.
const MOST_KEPT: usize = 50;

/// How many bytes such a cookie has at most, with its name, path and domain. A user agent takes at
/// least so many (section 6.1).
const LARGEST_KEPT: usize = 4_096;

/// The cookies of a session, as a user agent keeps them (RFC 6265, sections 5.3 and 5.4).
#[derive(Clone, Default)]
pub(super) struct Cookies {
    /// In the order of the `Cookie` header: longer paths first, and then in the order in which they
    /// were first set.
    pub(super) list: Vec<Cookie>,
    /// Whether cookies are kept that the provider did not name.
    pub(super) keeps_all: bool,
    /// All live cookies as one header value.
    header: Option<HeaderValue>,
    /// Whether there is a live cookie that does not go to the whole scope.
    narrow: bool,
    /// What counts of where a request went.
    place_counts: PlaceCounts,
}

/// What of the place of a request counts for the cookies that its answer sets or deletes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PlaceCounts {
    #[default]
    Nothing,
    /// Whether its path is below the root, which matters to what is deleted without a path.
    Depth {
        /// As far as it is known.
        is_below: bool,
    },
    /// Its host and its path.
    All,
}

/// What the cookies of an answer make of a session's.
pub(super) struct Updated {
    pub(super) cookies: Cookies,
    /// Whether a cookie of a name that the provider added has another value.
    pub(super) rolled: bool,
    /// Whether the answer set a named cookie, and more than its path.
    pub(super) named: bool,
}

impl Cookies {
    /// Whether there is one that requests carry.
    pub(super) const fn is_empty(&self) -> bool {
        self.header.is_none()
    }

    /// Whether a `Set-Cookie` may change something.
    pub(super) const fn hears(&self) -> bool {
        self.keeps_all || !self.list.is_empty()
    }

    /// Whether every request within the scope carries all of them.
    #[inline]
    pub(super) const fn go_everywhere(&self) -> bool {
        !self.narrow
    }

    /// Whether there is one of the session that every request within the scope carries.
    pub(super) fn some_go_everywhere(&self) -> bool {
        self.of_session().any(|cookie| !cookie.is_narrow())
    }

    /// Whether a request to this target carries one of the session.
    pub(super) fn go_to(&self, target: Target<'_>) -> bool {
        self.of_session().any(|cookie| cookie.goes_to(target))
    }

    /// Those that a server may know the session by. Where the provider has named some that the
    /// session can't do without, those that only answers have set are none, such as that of a load
    /// balancer.
    fn of_session(&self) -> impl Iterator<Item = &Cookie> {
        let has_named = self.named().next().is_some();
        self.live()
            .filter(move |cookie| !has_named || cookie.role != Role::Kept)
    }

    /// The values of those that the session can't do without.
    pub(super) fn named_values(&self) -> impl Iterator<Item = &str> {
        self.named().map(|cookie| cookie.value.trim_matches('"'))
    }

    /// What of the place of a request counts for the cookies that its answer sets or deletes.
    #[inline]
    pub(super) const fn place_counts(&self) -> PlaceCounts {
        self.place_counts
    }

    /// Whether there is a cookie of this name, live or not.
    pub(super) fn own(&self, name: &str) -> bool {
        self.list.iter().any(|cookie| cookie.name == name)
    }

    /// Whether a cookie of this name is kept when an answer sets it.
    pub(super) fn keep(&self, name: &str) -> bool {
        self.keeps_all || self.own(name)
    }

    /// The value of a cookie, of those with this name the provider's, and of several the one that
    /// most requests carry.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let namesakes = self.live().filter(|cookie| cookie.name == name);
        let found = namesakes.min_by_key(|cookie| (cookie.role == Role::Kept, cookie.path().len()));
        Some(&found?.value)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.live().map(|cookie| &*cookie.name).collect()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = &Cookie> + Clone {
        self.list.iter().filter(|cookie| cookie.live)
    }

    pub(super) fn named(&self) -> impl Iterator<Item = &Cookie> + Clone {
        self.live().filter(|cookie| cookie.role == Role::Named)
    }

    /// Whether both put the same on a request, but for cookies that answers have set.
    pub(super) fn is_same_value(&self, other: &Self) -> bool {
        let own = |cookie: &&Cookie| cookie.role != Role::Kept;
        let ours = self.live().filter(own).map(Cookie::sent);
        ours.eq(other.live().filter(own).map(Cookie::sent))
    }

    /// Puts the cookies for this target into the `Cookie` header. They replace pairs of their names
    /// that are there.
    pub(super) fn attach(&self, target: Target<'_>, headers: &mut HeaderMap) {
        let Some(all) = &self.header else {
            return;
        };
        let every = !self.narrow || self.live().all(|cookie| cookie.goes_to(target));
        if every && !headers.contains_key(COOKIE) {
            headers.insert(COOKIE, all.clone());
            return;
        }
        let ours: Vec<&Cookie> = self
            .live()
            .filter(|cookie| cookie.goes_to(target))
            .collect();
        if !ours.is_empty() {
            let merged = merge(headers, &ours);
            headers.insert(COOKIE, merged);
        }
    }

    /// Adds a cookie of the provider. It replaces one with the same name, domain and path.
    pub(super) fn add(&mut self, cookie: Cookie) -> Result<(), InvalidValue> {
        cookie.check()?;
        self.restore(cookie);
        Ok(())
    }

    /// Adds a cookie as it was. It replaces one with the same name, domain and path.
    pub(super) fn restore(&mut self, cookie: Cookie) {
        self.list.retain(|known| {
            let same = known.name == cookie.name && known.path() == cookie.path();
            !(same && known.hosts == cookie.hosts)
        });
        self.insert(cookie);
        self.prepare();
    }

    pub(super) fn write(&self, lines: &mut Lines) {
        for cookie in &self.list {
            cookie.write(lines);
        }
    }

    /// Forgets the lives of the named cookies.
    pub(super) fn forget_lives(&mut self) {
        for cookie in &mut self.list {
            if cookie.role == Role::Named {
                cookie.life = None;
            }
        }
    }

    /// Keeps all cookies from now on, and those that the login's response sets, but for the
    /// provider's own.
    pub(super) fn keep_all(&mut self, set: impl Iterator<Item = SetCookie>, target: Target<'_>) {
        self.keeps_all = true;
        for set in set {
            let known = self.find(&set, target);
            if known.is_none_or(|at| self.list[at].role == Role::Kept) {
                self.store(&set, target, None);
            }
        }
        self.prepare();
    }

    /// The lives of the cookies count from here: the receipt of the login's response.
    pub(super) fn begin(&mut self, received: Moment) {
        for cookie in &mut self.list {
            cookie.expires = Deadline::after_option(received, cookie.life);
        }
    }

    /// Their lives are what is left of them. In a session that `slides`, a named cookie's life
    /// states the idle timeout, of which nothing goes.
    pub(super) fn leave(&mut self, now: Moment, slides: bool) {
        for cookie in &mut self.list {
            if !(slides && cookie.role == Role::Named) {
                cookie.life = cookie.life.map(|_| cookie.expires.left(now));
            }
        }
    }

    /// Their lives are shorter by this time, as in [`leave`](Self::leave).
    pub(super) fn age(&mut self, by: Duration, slides: bool) {
        for cookie in &mut self.list {
            if !(slides && cookie.role == Role::Named) {
                cookie.life = cookie.life.map(|life| life.saturating_sub(by));
            }
        }
    }

    /// What is left of them, for a session that continues this one: without those that have
    /// expired. In a session that `slides`, the life of a named cookie is the idle timeout, and so
    /// it has expired if the idle deadline has passed.
    pub(super) fn left(&self, now: Moment, slides: bool, idle_has_passed: bool) -> Self {
        let mut cookies = self.clone();
        for cookie in &mut cookies.list {
            let has_expired = if slides && cookie.role == Role::Named {
                idle_has_passed && cookie.life.is_some()
            } else {
                cookie.expires.passed(now)
            };
            if has_expired {
                forget(cookie);
            }
        }
        cookies.drop_dead();
        cookies.leave(now, slides);
        cookies
    }

    /// Forgets the values of the named cookies: the server has deleted them.
    pub(super) fn forget_named(&mut self) {
        for cookie in &mut self.list {
            if cookie.role == Role::Named {
                forget(cookie);
            }
        }
    }

    /// The cookies of a session that continues one with the cookies `before`, and has these of its
    /// own: they replace those of their names. The rest is as the answer has `set` it.
    pub(super) fn continuing(
        &self,
        mut before: Self,
        set: &[SetCookie],
        target: Target<'_>,
    ) -> Self {
        before.list.retain(|cookie| !self.own(&cookie.name));
        let mut next = before;
        next.keeps_all |= self.keeps_all;
        for own in &self.list {
            next.insert(own.clone());
        }
        for set in set {
            let known = next.find(set, target);
            let is_added = known.is_some_and(|at| next.list[at].role != Role::Kept);
            // The provider has read the answer, and added what it found there.
            if !(is_added && self.own(&set.name)) {
                next.store(set, target, None);
            }
        }
        next.hand_over(set);
        for cookie in &mut next.list {
            // What the provider states for the refreshed session is newer.
            cookie.restated = false;
        }
        next.prepare();
        next
    }

    /// Whether there are named cookies, and none of them has a value.
    pub(super) fn lack_all_named(&self) -> bool {
        let named = |cookie: &Cookie| cookie.role == Role::Named;
        self.list.iter().any(named) && self.named().next().is_none()
    }

    /// What these cookies of an answer make of them. `None` if it is no change: the values and what
    /// is stated are the same, and no deadline moves by a second or more. In a session that
    /// `slides`, a named cookie's life states the idle timeout, and has no deadline of its own.
    pub(super) fn updated(
        &self,
        set: &[SetCookie],
        target: Target<'_>,
        received: Moment,
        slides: bool,
    ) -> Option<Updated> {
        let mut cookies = self.clone();
        let mut named = false;
        for set in set {
            let role = cookies.store(set, target, Some(received));
            named |= role == Some(Role::Named);
        }
        named |= cookies.hand_over(set);
        let pairs = || self.list.iter().zip(&cookies.list);
        let same = self.list.len() == cookies.list.len()
            && pairs().all(|(before, after)| {
                before.is_sent_as(after) && has_same_end(before, after, slides)
            });
        // A path that is stated for the first time, though it is where the cookie goes anyhow, says
        // what deletes it, and so does a `Domain` that is not stated.
        if same && pairs().all(|(before, after)| before.is_known_as(after)) {
            return None;
        }
        let rolled = !self.of_provider().eq(cookies.of_provider());
        cookies.prepare();
        Some(Updated {
            cookies,
            rolled,
            named: named && !same,
        })
    }

    /// Whether all named cookies have gone since.
    pub(super) fn lost_all_named(&self, before: &Self) -> bool {
        before.named().next().is_some() && self.named().next().is_none()
    }

    /// The cookies without those that have expired, in a session that may `slide`.
    pub(super) fn without_expired(&self, now: Moment, slides: bool) -> Self {
        let mut cookies = self.clone();
        cookies.forget_expired(now, slides);
        cookies.prepare();
        cookies
    }

    /// What the lives of the cookies mean for the session, for which the provider has stated a hard
    /// expiry of `stated`, and which may `slide`.
    pub(super) fn lives(&self, stated: Option<Duration>, slides: bool) -> CookieLives {
        let end = |named: &Cookie| self.last_end(named, slides);
        let life = |named: &Cookie| self.longest_life(named, slides);
        let is_other = |cookie: &&Cookie| {
            cookie.role != Role::Named || cookie.expires.steady < end(cookie).steady
        };
        let others = self.live().filter(is_other).map(|cookie| cookie.expires);
        let no_longer = |life| stated.is_none_or(|stated| life <= stated);
        let mut named = self.named();
        let restated = named.clone().filter(|cookie| cookie.restated);
        let restated = restated.clone().count() == named.clone().count()
            || restated
                .clone()
                .any(|cookie| cookie.life.is_none_or(no_longer));
        CookieLives {
            least: self.named().map(end).fold(Deadline::NEVER, Deadline::min),
            shortest: self.named().filter_map(life).min(),
            restated: restated && named.next().is_some(),
            others: others.fold(Deadline::NEVER, Deadline::min),
        }
    }

    /// Stores or deletes a cookie as an answer to a request to `target` says (section 5.3). The
    /// header has to be prepared anew. Returns what a cookie that was stored is to the session.
    fn store(
        &mut self,
        set: &SetCookie,
        target: Target<'_>,
        received: Option<Moment>,
    ) -> Option<Role> {
        let names_it = self.is_providers(&set.name);
        let may_be_forged = || self.live().any(|cookie| cookie.is_safe_from(set, target));
        if !(names_it || self.keeps_all) || !set.is_taken_from(target) || may_be_forged() {
            return None;
        }
        let known = self.find(set, target);
        // What the provider added is of no use without a value, and servers delete it so, too.
        if set.deleted || (names_it && !set.has_value()) {
            let cookie = &mut self.list[known?];
            // Without a path it is for that of the request.
            let of_request = Some(target.default_path());
            let is_other = set.path.is_none() && cookie.path.as_deref() != of_request;
            if !(is_other && cookie.path.is_some()) {
                forget(cookie);
                self.drop_dead();
            }
            return None;
        }
        let mut cookie = Cookie::set_by(set, Role::Kept);
        if !cookie.can_be_sent() {
            return None;
        }
        if set.path.is_none() {
            cookie.path = match known {
                Some(at) => self.list[at].path.clone(),
                None if names_it => None,
                None => Some(target.default_path().to_owned()),
            };
        }
        if !names_it && set.domain.is_none() {
            cookie.hosts = Hosts::Only(target.host().to_owned());
        }
        if let Some(received) = received {
            cookie.expires = Deadline::after_option(received, cookie.life);
        }
        let is_own = known.is_some_and(|at| self.list[at].role != Role::Kept);
        if !is_own && cookie.size() > LARGEST_KEPT {
            return None;
        }
        // The login's own are no later ones.
        cookie.restated = received.is_some() && cookie.life.is_some();
        if let Some(at) = known {
            let old = &mut self.list[at];
            cookie.role = old.role;
            cookie.restated |= old.restated;
            if old.live {
                *old = cookie;
                return Some(old.role);
            }
            self.list.remove(at);
        } else if self.kept().count() >= MOST_KEPT {
            return None;
        }
        let role = cookie.role;
        self.insert(cookie);
        Some(role)
    }

    /// What is sent of the names that the provider has added.
    fn of_provider(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let own = self.live().filter(|cookie| self.is_providers(&cookie.name));
        own.map(Cookie::sent)
    }

    fn kept(&self) -> impl Iterator<Item = &Cookie> {
        self.list.iter().filter(|cookie| cookie.role == Role::Kept)
    }

    /// Forgets the cookies that are gone, but for the provider's.
    pub(super) fn drop_dead(&mut self) {
        self.list
            .retain(|cookie| cookie.live || cookie.role != Role::Kept);
    }

    /// Whether the provider has added a cookie of this name.
    pub(super) fn is_providers(&self, name: &str) -> bool {
        let provider = |cookie: &&Cookie| cookie.role != Role::Kept;
        self.list
            .iter()
            .filter(provider)
            .any(|cookie| cookie.name == name)
    }

    /// The place of the cookie that a `Set-Cookie` replaces or deletes.
    fn find(&self, set: &SetCookie, target: Target<'_>) -> Option<usize> {
        let path = self.path_for(set, target);
        self.position(set, path, target)
    }

    fn position(&self, set: &SetCookie, path: &str, target: Target<'_>) -> Option<usize> {
        let is_it = |cookie: &Cookie| cookie.is_set_by(set, path, target.host());
        let may_be = |cookie: &Cookie| cookie.may_be_set_by(set, path, target.host());
        let known = self.list.iter().position(is_it);
        known.or_else(|| self.list.iter().position(may_be))
    }

    /// The path of a cookie that is set. Without one it is the default path, but a cookie of the
    /// provider is the one that the request carried, or else goes to the whole scope: its login's
    /// URL says nothing about where the API is.
    fn path_for<'a>(&'a self, set: &'a SetCookie, target: Target<'a>) -> &'a str {
        let default = target.default_path();
        match &set.path {
            Some(path) => path,
            None if !self.is_providers(&set.name) => default,
            None if self.position(set, default, target).is_some() => default,
            None => {
                let mut carried = self.live().filter(|cookie| cookie.goes_to(target));
                let is_it = |it: &&Cookie| it.role != Role::Kept && it.name == set.name;
                let carried = carried.find(is_it);
                carried.map_or("/", Cookie::path)
            }
        }
    }

    fn insert(&mut self, cookie: Cookie) {
        let longer = |known: &Cookie| known.path().len() >= cookie.path().len();
        let at = self.list.partition_point(longer);
        self.list.insert(at, cookie);
    }

    /// Prepares the header of the live cookies.
    fn prepare(&mut self) {
        let live: Vec<&Cookie> = self.live().collect();
        let header = (!live.is_empty()).then(|| merge(&HeaderMap::new(), &live));
        self.narrow = live.iter().any(|cookie| cookie.is_narrow());
        self.place_counts = if self.keeps_all || self.list.iter().any(|it| it.path() != "/") {
            PlaceCounts::All
        } else if self.list.iter().any(|cookie| cookie.path.is_some()) {
            PlaceCounts::Depth { is_below: false }
        } else {
            PlaceCounts::Nothing
        };
        self.header = header.map(prepared);
    }
}

pub(super) fn forget(cookie: &mut Cookie) {
    cookie.live = false;
    cookie.value.clear();
    cookie.life = None;
    cookie.expires = Deadline::NEVER;
}

/// Whether a cookie's end has not moved by as much as is worth storing.
fn has_same_end(before: &Cookie, after: &Cookie, slides: bool) -> bool {
    if slides && before.role == Role::Named {
        return before.life == after.life;
    }
    let near = |before: u64, after: u64| before.abs_diff(after) < WORTH_STORING;
    near(before.expires.steady, after.expires.steady)
        && near(before.expires.wall, after.expires.wall)
}

/// The `Cookie` header of a request without pairs of the names of `ours`, and then `ours`, in one
/// header (RFC 6265, section 5.4).
fn merge(headers: &HeaderMap, ours: &[&Cookie]) -> HeaderValue {
    let mut line: Vec<u8> = Vec::new();
    for value in headers.get_all(COOKIE) {
        for pair in value.as_bytes().split(|byte| *byte == b';') {
            let pair = pair.trim_ascii();
            let name = pair.split(|byte| *byte == b'=').next().unwrap_or(pair);
            let is_ours = |ours: &&Cookie| ours.name.as_bytes() == name.trim_ascii();
            if pair.is_empty() || ours.iter().any(is_ours) {
                continue;
            }
            line.extend_from_slice(pair);
            line.extend_from_slice(b"; ");
        }
    }
    for (index, cookie) in ours.iter().enumerate() {
        if index > 0 {
            line.extend_from_slice(b"; ");
        }
        line.extend_from_slice(cookie.name.as_bytes());
        line.push(b'=');
        line.extend_from_slice(cookie.value.as_bytes());
    }
    // All parts were valid header values, and so is their concatenation.
    let mut merged = HeaderValue::from_bytes(&line)
        .unwrap_or_else(|_| unreachable!("header values joined by \"; \" are a header value"));
    merged.set_sensitive(true);
    merged
}
