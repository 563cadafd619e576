//! One try of one request, without I/O.

use std::fmt;
use std::sync::Arc;

use http::header::{CONTENT_LOCATION, LINK, LOCATION, REFRESH, SET_COOKIE};
use http::{Extensions, HeaderMap, HeaderName, StatusCode};

use crate::cache::Credentials;
use crate::clock::Moment;
use crate::credential::{Change, Credential, Stamp};
use crate::decide::{CacheState, Ruling};
use crate::error::Error;
use crate::event::Event;
use crate::judge::{Judge, ResponseView, Verdict};
use crate::lifetime::Freshness;
use crate::login_mark::LoginMark;
use crate::runtime::random;

/// One try of one request: what it carries, and what its response says of that.
///
/// An integration with an HTTP client is made of attempts. A request that
/// [may carry](Self::refuse_loop) the credential gets one [attached](Self::fresh), the response is
/// [judged](Self::conclude), and where its credential was rejected the request is sent once more,
/// in a [second attempt](Self::replay).
///
/// ```
/// use auth_core::{Attempt, Conclusion, ResponseView};
/// # use auth_core::{Credentials, LoginError, Session};
/// # use auth_core::testing::Scripted;
/// # struct Client;
/// # impl Client {
/// #     async fn send(&self, _: http::Request<()>) -> http::Response<()> { http::Response::new(()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let provider = Scripted::new(|_| Ok::<_, LoginError>(Session::new().with_bearer("token")?));
/// # let (client, credentials) = (Client, Credentials::new(provider));
/// let pristine = http::Request::get("https://api.example.com/v3/me").body(())?;
///
/// let credential = credentials.get().await?;
/// let mut request = pristine.clone();
/// credential.attach(&mut request)?;
/// let attempt = Attempt::new(&credentials, &credential); // as it is sent
/// let mut response = client.send(request).await;
///
/// if attempt.conclude(&ResponseView::new(response.status(), response.headers()))
///     == Conclusion::Replay
/// {
///     let newer = credentials.get().await?;
///     let mut request = pristine;
///     newer.attach(&mut request)?;
///     let attempt = attempt.replay(&newer);
///     response = client.send(request).await;
///     attempt.conclude(&ResponseView::new(response.status(), response.headers()));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Attempt {
    credentials: Credentials,
    judge: Option<Arc<dyn Judge>>,
    stamp: Stamp,
    sent: Moment,
    /// Whether its acceptance moves a deadline.
    slides: bool,
    /// Whether the URL that was sent holds a secret.
    query: bool,
    replay: bool,
}

/// What becomes of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conclusion {
    /// The caller gets it. Where it rejected the credential, another login would not help, or the
    /// request has been sent twice already.
    HandOn,
    /// The credential was rejected: get a newer one, and send the request once more with it.
    Replay,
}

impl Attempt {
    /// Refuses the login's own request where it is routed through the integration that waits for
    /// it. `extensions` are the request's.
    ///
    /// # Errors
    /// [`Error::LoginLoop`].
    #[inline]
    pub fn refuse_loop(credentials: &Credentials, extensions: &Extensions) -> Result<(), Error> {
        LoginMark::refuse_loop(LoginMark::of(extensions), credentials.shared().engine.id)
    }

    /// A first attempt with the credential at hand, if it is good and no renewal is due: the
    /// quickest way to put a credential on a request that is sent now. The credential is lent to
    /// `attach`, so that no reference is counted, and the clocks are read once.
    ///
    /// `judge` judges the response in place of the provider's judge, if there is one.
    ///
    /// `None` means that nothing was lent, and `attach` not called: ask [`Credentials::get`].
    #[inline]
    pub fn fresh<T>(
        credentials: &Credentials,
        judge: Option<&Arc<dyn Judge>>,
        attach: impl FnOnce(&Arc<Credential>) -> T,
    ) -> Option<(Self, T)> {
        let shared = credentials.shared();
        let now = shared.engine.clock.now();
        shared.with_current(|credential| {
            let fresh = credential.life().freshness(now).is_fresh();
            fresh.then(|| {
                let attached = attach(credential);
                let attempt = Self::at(credentials, credential, now, judge.cloned());
                (attempt, attached)
            })
        })
    }

    /// A first attempt with this credential. To be called when the request is sent, not when its
    /// credential is asked for: a sliding session slides from here.
    #[inline]
    pub fn new(credentials: &Credentials, credential: &Credential) -> Self {
        let now = credentials.shared().engine.clock.now();
        Self::at(credentials, credential, now, None)
    }

    /// The second attempt of the same request, sent now with a newer credential.
    #[inline]
    pub fn replay(self, newer: &Credential) -> Self {
        let now = self.credentials.shared().engine.clock.now();
        let replay = Self::at(&self.credentials, newer, now, self.judge);
        Self {
            replay: true,
            ..replay
        }
    }

    #[inline]
    fn at(
        credentials: &Credentials,
        credential: &Credential,
        now: Moment,
        judge: Option<Arc<dyn Judge>>,
    ) -> Self {
        Self {
            credentials: credentials.clone(),
            judge,
            stamp: credential.stamp(),
            sent: now,
            slides: credential.life().slides(),
            query: credential.has_query(),
            replay: false,
        }
    }

    /// The same, with a judge in place of the provider's.
    #[inline]
    pub fn judged_by(mut self, judge: Option<Arc<dyn Judge>>) -> Self {
        self.judge = judge;
        self
    }

    /// What to send with, after a wait since `obtained` was handed out: the newest that is good.
    ///
    /// `None` means to ask [`Credentials::get`] again, since nothing is good any more. Where that
    /// has happened before, `obtained` goes out even if it expired meanwhile, since with very short
    /// lives that could go on for ever; but never one that was rejected.
    pub fn newest(
        credentials: &Credentials,
        obtained: &Arc<Credential>,
        asked_again: bool,
    ) -> Option<Arc<Credential>> {
        let shared = credentials.shared();
        let rejected = || obtained.stamp().generation() <= shared.read(CacheState::rejected);
        shared
            .current_if(shared.engine.clock.now(), Freshness::is_good)
            .or_else(|| (asked_again && !rejected()).then(|| Arc::clone(obtained)))
    }

    /// The time by the clocks that the cache goes by, to count a request's own time-out.
    #[inline]
    pub fn now(credentials: &Credentials) -> Moment {
        credentials.shared().engine.clock.now()
    }

    /// The cache that its response speaks to.
    #[inline]
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Which credential it carries.
    #[inline]
    pub const fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether the credential is in the URL as well, which is therefore a secret, and so is what
    /// repeats it.
    #[inline]
    pub const fn has_query(&self) -> bool {
        self.query
    }

    /// Whether it is the second attempt of a request whose first was rejected.
    #[inline]
    pub const fn is_replay(&self) -> bool {
        self.replay
    }

    /// Marks what a response repeats of secrets as sensitive, so that it doesn't print.
    #[inline]
    pub fn redact(&self, headers: &mut HeaderMap) {
        if headers.contains_key(SET_COOKIE) {
            set_sensitive(headers, &[SET_COOKIE]);
        }
        if self.query {
            set_sensitive(headers, &[LOCATION, CONTENT_LOCATION, LINK, REFRESH]);
        }
    }

    #[inline]
    fn judge(&self) -> &dyn Judge {
        match &self.judge {
            Some(judge) => &**judge,
            None => self.credentials.shared().engine.provider.judge(),
        }
    }

    /// Whether the judge wants the body of a response with this status.
    #[inline]
    pub fn wants_body(&self, status: StatusCode) -> bool {
        self.judge().wants_body(status)
    }

    /// Judges the response, and tells the cache what it says.
    #[inline]
    pub fn conclude(&self, response: &ResponseView<'_>) -> Conclusion {
        let verdict = self.judge().judge(response);
        if verdict == Verdict::Rejected {
            // Cookies of such a response are not looked at. A server that no longer knows a session
            // deletes its cookie in the same breath, or begins an anonymous one: neither may touch
            // what another request has renewed by now.
            return self.rejected();
        }
        // First that it was accepted, then what it changed: the idle deadline is the revision's
        // that was carried.
        if verdict == Verdict::Accepted {
            self.accepted();
        }
        // An unclear response may come from something in between, and not from the API itself.
        if verdict != Verdict::Unclear && response.headers.contains_key(SET_COOKIE) {
            self.cookies_set(response.headers);
        }
        Conclusion::HandOn
    }

    /// The response accepted what its request carried: a sliding session slides, counted from the
    /// sending; a replay shows that the last login helped. Takes no lock, unless for a replay.
    #[inline]
    pub fn accepted(&self) {
        let shared = self.credentials.shared();
        if self.slides {
            shared.touch(self.stamp, self.sent);
        }
        if self.replay {
            shared.update(|state| state.replay_accepted(self.stamp.generation()));
        }
    }

    /// The response rejected what its request carried.
    ///
    /// If the credential is the current one and the rejection is believed, it is never served
    /// again, and the next login begins beside, if there is a runtime here and no failure forbids
    /// it, whether or not the request can be replayed. A late response to an older credential
    /// starts nothing.
    pub fn rejected(&self) -> Conclusion {
        let (shared, stamp) = (self.credentials.shared(), self.stamp);
        let now = shared.engine.clock.now();
        match shared.update(|state| state.reject(stamp, self.replay, now)) {
            Ruling::Stale => Conclusion::Replay,
            Ruling::Believed => {
                shared.engine.emit(&Event::Rejected { stamp });
                shared.begin_login();
                Conclusion::Replay
            }
            Ruling::Doubted => {
                shared.engine.emit(&Event::RejectionDoubted { stamp });
                Conclusion::HandOn
            }
            Ruling::Closed => Conclusion::HandOn,
        }
    }

    /// The response sets cookies. They count only if its request carried the current generation and
    /// revision, and only those that the credential carries.
    ///
    /// Not to be called for a response that [rejected](Self::rejected) what its request carried.
    #[cold]
    pub fn cookies_set(&self, headers: &HeaderMap) {
        let (shared, stamp) = (self.credentials.shared(), self.stamp);
        let change = shared.with_current(|current| {
            let carried = current.stamp() == stamp;
            carried.then(|| current.change_in(headers)).flatten()
        });
        let now = shared.engine.clock.now();
        let policy = &shared.engine.options.policy;
        let event = match change {
            None => None,
            Some(Change::Rolled(rolled)) => shared
                .update(|state| state.roll(stamp, &rolled, now, policy, random()))
                .map(|stamp| Event::Rolled { stamp }),
            Some(Change::Ended) => shared
                .update(|state| state.end(stamp, now))
                .then_some(Event::Ended { stamp }),
        };
        if let Some(event) = event {
            shared.engine.emit(&event);
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

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("identity", self.credentials.identity())
            .field("stamp", &self.stamp)
            .field("replay", &self.replay)
            .finish_non_exhaustive()
    }
}
