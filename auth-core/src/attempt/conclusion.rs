//! What the response to an attempt says, as it is reported to the cache.

use std::future::pending;

use http::header::{CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE};
use http::{HeaderMap, HeaderName};

use super::Attempt;
use super::attempt::Carried;
use crate::clock::nanos;
use crate::credential::{
    Brought, PlaceCounts, SetCookie, Target, Update, set_cookies, unheard_cookies,
};
use crate::decide::{CacheState, Heard, Ruling};
use crate::event::Event;
use crate::judge::{Judge, MAX_JUDGED_TIME, ResponseView, Verdict, is_from_between};
use crate::runtime::{Runtime, random};
use crate::store::Unsaved;
/// What to do with a response.
///
/// ```
/// use auth_core::{Attempt, Conclusion, ResponseView};
///
/// /// Whether an integration sends the request once more.
/// fn again(attempt: &Attempt, response: &ResponseView<'_>) -> bool {
///     match attempt.conclude(response) {
///         Conclusion::Replay => true,  // by `Attempt::replay`
///         Conclusion::Repair => true,  // by `Attempt::after_repair`
///         _ => false,
///     }
/// }
/// # drop(again);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conclusion {
    /// Hand the response to the caller, or follow its redirect.
    HandOn,
    /// The response rejected the credential, and another login would not help; or the request was
    /// sent once more already, or carried nothing of it. Hand it to the caller, and do not follow
    /// its redirect: that leads to the login page.
    Rejected,
    /// The response rejected the credential: get a newer one, and send the request once more with
    /// it. If it can't be sent once more, this is as [`Rejected`](Self::Rejected).
    Replay,
    /// The request lacks a part of the session: get [the repaired one](Attempt::repaired), and send
    /// the request once more with it. If it can't be sent once more,
    /// [begin](Attempt::begin_repair) the repair for the next request, and hand the response to the
    /// caller.
    Repair,
}

impl Attempt {
    /// Marks the response headers that hold a secret as sensitive, so that `Debug` doesn't print
    /// them: `Set-Cookie`, those that the [provider names](crate::Provider::secret_headers), and
    /// the headers with URLs if the URL that was sent holds a secret, too.
    ///
    /// Call it before [`conclude`](Self::conclude), which then needs no look-up of its own.
    #[inline]
    pub fn redact(&mut self, headers: &mut HeaderMap) {
        let sets_cookies = headers.contains_key(&SET_COOKIE);
        let mut brings = sets_cookies;
        if sets_cookies {
            set_sensitive(headers, &[SET_COOKIE]);
        }
        if self.query {
            set_sensitive(headers, &[LOCATION, CONTENT_LOCATION, LINK, REFRESH]);
        }
        let shared = self.credentials.shared();
        if shared.updates {
            set_sensitive(headers, shared.engine.provider.secret_headers());
            brings = true;
        }
        self.brings = Some(brings);
    }

    #[inline]
    fn judge(&self) -> &dyn Judge {
        match &self.judge {
            Some(judge) => &**judge,
            None => self.credentials.shared().engine.provider.judge(),
        }
    }

    /// Whether the body of the response with this head is to be read ahead: if the judge [needs
    /// it](Judge::wants_body), or the judge of the provider for the
    /// [values](crate::Provider::update) that the provider reads, and if it is none of those that
    /// are never read ahead.
    ///
    /// A judge that says no costs no look-up of a header.
    #[inline]
    pub fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        self.with_head(head, |head| {
            let shared = self.credentials.shared();
            let for_values = || shared.engine.provider.judge().wants_body(head);
            (self.judge().wants_body(head) || (shared.updates && for_values()))
                && head.may_be_read_ahead()
        })
    }

    /// Waits from now on for [`MAX_JUDGED_TIME`](crate::MAX_JUDGED_TIME), by the cache's clock.
    /// After it, a body is no longer read ahead. Outside any tokio runtime there is no timer, and
    /// the wait does not end.
    pub fn judged_time(&self) -> impl Future<Output = ()> + Send + 'static {
        let clock = self.credentials.shared().engine.clock.clone();
        let over = clock.now().steady.saturating_add(nanos(MAX_JUDGED_TIME));
        async move {
            match Runtime::current() {
                Some(_) => clock.sleep_until(over).await,
                None => pending().await,
            }
        }
    }

    /// Judges the response and reports the verdict to the cache, and then the cookies that the
    /// response sets and the [values](crate::Provider::update) that the provider reads from it.
    /// These are ignored if the verdict is rejected or unclear, and if the status is one that
    /// something between the client and the API writes: 407, 502, 503, 504 and 511.
    ///
    /// If the body [is wanted](Self::wants_body), pass it in the view, unless it is longer than
    /// [`MAX_JUDGED_BODY`](crate::MAX_JUDGED_BODY) or takes longer than
    /// [that time](Self::judged_time).
    #[inline]
    pub fn conclude(&self, response: &ResponseView<'_>) -> Conclusion {
        self.with_head(response, |response| self.conclusion(response))
    }

    #[inline]
    fn conclusion(&self, response: &ResponseView<'_>) -> Conclusion {
        let verdict = self.judge().judge(response);
        if verdict == Verdict::Rejected {
            // The cookies of a rejected response are ignored. A server that no longer knows a
            // session deletes its cookie in the same response, or starts an anonymous session.
            // Neither may change what another request has renewed in the meantime.
            return match self.rejected() {
                Conclusion::Replay if self.replay => Conclusion::Rejected,
                conclusion => conclusion,
            };
        }
        // Acceptance comes before the change: the idle deadline belongs to the revision that was
        // carried.
        match verdict {
            Verdict::Accepted => self.accepted(),
            Verdict::NotPermitted => self.recognized(),
            _ => {}
        }
        // An unclear response may come from a proxy and not from the API itself.
        let heard = || verdict != Verdict::Unclear && !is_from_between(response.status.as_u16());
        let updates = self.credentials.shared().updates;
        let brings = || updates || response.headers.contains_key(&SET_COOKIE);
        if self.brings.unwrap_or_else(brings) && heard() {
            self.hear(response.headers, updates.then_some(response));
        }
        if verdict == Verdict::NeedsRepair && heard() {
            return self.needs_repair();
        }
        Conclusion::HandOn
    }

    /// Whether the judge [wants the trailers](Judge::wants_trailers) of the response with this
    /// head. Ask it once the response was [concluded](Self::conclude) to be handed on.
    #[inline]
    pub fn wants_trailers(&self, head: &ResponseView<'_>) -> bool {
        self.with_head(head, |head| self.judge().wants_trailers(head))
    }

    /// Judges the trailers that the judge [wanted](Self::wants_trailers), and reports their verdict
    /// to the cache. It is too late to send the request once more.
    pub fn conclude_trailers(&self, trailers: &HeaderMap) {
        match self.judge().judge_trailers(trailers) {
            Verdict::Accepted => self.accepted(),
            Verdict::NotPermitted => self.recognized(),
            Verdict::Rejected => {
                self.rejected();
            }
            _ => {}
        }
    }

    /// The response asked for another part of the session.
    #[cold]
    fn needs_repair(&self) -> Conclusion {
        let shared = self.credentials.shared();
        let now = shared.engine.clock.now();
        if self.repaired {
            shared.update(|state| state.not_repaired(self.stamp.generation(), now));
            return Conclusion::HandOn;
        }
        let fetches = shared.engine.provider.repairs();
        if shared.read(|state| state.may_repair(self.stamp, fetches, now)) {
            Conclusion::Repair
        } else {
            Conclusion::HandOn
        }
    }

    /// Begins the [repair](Conclusion::Repair) that a response asked for whose request can't be
    /// sent once more, so that the next request has the part. It never waits.
    ///
    /// It does nothing where the provider [fetches](crate::Provider::repairs) none, in the cooldown
    /// of repairs, within 30 s of the last one of this kind, if the session has another part by
    /// now, and outside any tokio runtime.
    #[cold]
    pub fn begin_repair(&self) {
        let shared = self.credentials.shared();
        shared.repair_for_next(self.stamp, self.target());
    }

    /// Reports that the response accepted what its request carried.
    ///
    /// A sliding session slides, counted from the time of sending. An accepted replay shows that
    /// the last login helped. Takes a lock only for a replay. The response to a request that
    /// [carries](Self::sent_to) nothing of the credential accepts nothing.
    #[inline]
    pub fn accepted(&self) {
        if self.carried == Carried::Nothing {
            return;
        }
        let shared = self.credentials.shared();
        if self.acceptance_counts {
            shared.touch(self.stamp, self.sent);
        }
        if self.repaired {
            shared.update(CacheState::repair_helped);
        }
        if self.replay {
            shared.update(|state| state.replay_accepted(self.stamp.generation()));
        }
    }

    /// The response shows that the session is good, though its request was not accepted.
    #[cold]
    fn recognized(&self) {
        if self.acceptance_counts && self.carried != Carried::Nothing {
            self.credentials.shared().recognize(self.stamp);
        }
    }

    /// Reports that the response rejected what its request carried.
    ///
    /// If the credential is the current one and the rejection is believed, the credential is never
    /// served again. The next login begins at once, whether or not the request can be replayed,
    /// unless there is no tokio runtime here or a failure forbids it. A late rejection of an older
    /// credential starts nothing, and nor does that of a request that [carries](Self::sent_to)
    /// nothing of the credential.
    pub fn rejected(&self) -> Conclusion {
        if self.carried == Carried::Nothing {
            return Conclusion::Rejected;
        }
        let (shared, stamp) = (self.credentials.shared(), self.stamp);
        let now = shared.engine.clock.now();
        let policy = &shared.engine.options.policy;
        let always_alone = self.carried == Carried::AlwaysAlone;
        match shared.update(|state| state.reject(stamp, always_alone, now, policy)) {
            Ruling::Stale => Conclusion::Replay,
            Ruling::Believed => {
                shared.engine.emit(&Event::Rejected { stamp });
                shared.begin_login();
                Conclusion::Replay
            }
            Ruling::Doubted => {
                shared.engine.emit(&Event::RejectionDoubted { stamp });
                Conclusion::Rejected
            }
            Ruling::Closed => Conclusion::Rejected,
        }
    }

    /// Reports that the client below the integration has followed a redirect out of the scope by
    /// itself. Its response says nothing about the credential.
    #[cold]
    pub fn left_scope(&self) {
        let stamp = self.stamp;
        let shared = self.credentials.shared();
        shared.engine.emit(&Event::LeftScope { stamp });
    }

    /// Reports the cookies that a response sets. They count only if the request carried the current
    /// generation and revision, and only if the session has cookies of their names or
    /// [keeps them all](crate::Session::keep_cookies).
    ///
    /// Must not be called for a response that [rejected](Self::rejected) what its request carried.
    #[cold]
    pub fn cookies_set(&self, headers: &HeaderMap) {
        self.hear(headers, None);
    }

    /// Reports the cookies of an answer and, if it is given whole, the values that the provider
    /// reads from it.
    #[cold]
    fn hear(&self, headers: &HeaderMap, answer: Option<&ResponseView<'_>>) {
        let (shared, stamp) = (self.credentials.shared(), self.stamp);
        let now = shared.engine.clock.now();
        let target = self.target();
        let mut unheard = None;
        let heard = shared.with_current(|current| {
            // A session that has expired meanwhile is neither ended nor revived.
            if current.stamp() != stamp || !current.life().freshness(now).is_good() {
                return None;
            }
            let mut others = unheard_cookies(headers);
            let own = others.find(|name| current.owns_cookie(name));
            unheard = own.filter(|_| current.tells_unheard());
            // Of a request that carried nothing of the session, the server does not know it.
            let is_known = self.carried != Carried::Nothing;
            let own = |set: &SetCookie| {
                current.keeps_cookie(&set.name) && (is_known || !current.is_named(&set.name))
            };
            let cookies: Vec<_> = set_cookies(headers).filter(own).collect();
            let read = |answer| shared.engine.provider.update(answer, current);
            let update = answer.map_or_else(Update::new, read);
            let brought = Brought {
                cookies: &cookies,
                target,
                update: &update,
                fetched: false,
            };
            // Most answers set a value to what it is, and take no lock.
            current.change_by(brought, now).map(|_| (cookies, update))
        });
        if let Some(name) = unheard {
            let name = name.to_owned();
            shared.engine.emit(&Event::CookieUnheard { stamp, name });
        }
        let Some((cookies, update)) = heard else {
            return;
        };
        let brought = Brought {
            cookies: &cookies,
            target,
            update: &update,
            fetched: false,
        };
        let policy = &shared.engine.options.policy;
        let told = shared.update(|state| state.hear(stamp, brought, now, policy, random()));
        shared.advance_timer();
        match told {
            // It may live for less than before.
            Heard::Nothing => {}
            Heard::Rolled(stamp) => {
                shared.share_revision(Unsaved::Values);
                shared.engine.emit(&Event::Rolled { stamp });
            }
            Heard::Ended => shared.engine.emit(&Event::Ended { stamp }),
        }
    }

    fn target(&self) -> Target<'_> {
        let place = self.noted.as_ref().and_then(|noted| noted.place.as_ref());
        if let Some(place) = place {
            return place.target();
        }
        // Which path it is below the root does not count.
        let is_below = self.place_counts == PlaceCounts::Depth { is_below: true };
        let path = if is_below { "/-/" } else { "/" };
        let origin = self.credentials.scope().first();
        Target::new(origin.scheme(), origin.host(), path)
    }

    /// Looks at the response, with the head of its request if that was noted.
    #[inline]
    fn with_head<T>(
        &self,
        response: &ResponseView<'_>,
        look: impl FnOnce(&ResponseView<'_>) -> T,
    ) -> T {
        match self.noted.as_ref().and_then(|noted| noted.head.as_ref()) {
            None => look(response),
            Some(head) => look(&ResponseView {
                request: Some(head),
                ..*response
            }),
        }
    }
}

#[inline(never)]
fn set_sensitive(headers: &mut HeaderMap, names: &[HeaderName]) {
    for (name, value) in headers {
        if names.contains(name) {
            value.set_sensitive(true);
        }
    }
}
