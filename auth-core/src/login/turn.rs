//! The turn of one login at the store: its lease, its permit, and what was read under it.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, join, select};

use super::engine::Engine;
use crate::clock::{Clock, nanos};
use crate::credential::Credential;
use crate::decide::{Known, LOOK_EVERY, Notes};
use crate::error::{Exchange, LoginError};
use crate::limit::{LONGEST_LOGIN, Limiter, MARGIN, Permit, Ticket};
use crate::runtime::Runtime;
use crate::store::{
    Found, Lease, LeaseAsk, Leased, PermitAnswer, PermitAsk, STEP, Saved, Sharing, TROUBLE,
    Version, random_text,
};

/// How much longer than a login's time-out its lease lasts, so that it can be saved under it.
const LEASE_MARGIN: Duration = Duration::from_secs(5);

/// How soon a login whose turn it is not looks again at first, unless the store tells of a change.
/// Each time it waits twice as long.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The longest of these waits. Its callers may have to wait so much longer than the login takes.
const SELDOM: Duration = Duration::from_secs(2);

/// How soon it looks again at the earliest, whatever the store tells: it may tell of each look.
const SOONEST: Duration = Duration::from_millis(25);

/// How long what asked for a lease may be on its way after its login was given up: as long as a
/// step of the store takes.
const ON_ITS_WAY: Duration = STEP;

/// How soon a login is sent after it has asked for the permit that it was given, unless the machine
/// has slept: two steps at the store, and a look at the secret.
const SENT_WITHIN: Duration = STEP.saturating_mul(2).saturating_add(LOOK_EVERY);

/// How long a login waits at the store for its permit before it asks again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One login at the store. Dropped, it gives its lease back.
pub(super) struct Turn {
    sharing: Arc<Sharing>,
    engine: Engine,
    /// A random text, which no other login has.
    owner: String,
    /// The version of the session that the login saves, if it has the lease.
    version: Option<Version>,
    /// The version of the session that was seen last.
    seen: Option<Version>,
    /// The version of a session that is there and of no use.
    passed_over: Option<Version>,
    /// The notes as they were read under the lease.
    notes: Notes,
    /// The keyed hash of the secret that was read.
    secret: Option<String>,
    /// The keyed hash of the token that was marked as spent.
    spent: Option<String>,
    /// The notes have changed, which the store is to know whatever the login brings.
    has_news: bool,
    /// The lease was asked for, and may be there even if no answer came.
    asked: bool,
    /// Its permit of the store, which may be there even if no answer came.
    permit: Option<Stored>,
    /// Its permit of the share that the process has while the store is in trouble.
    share: Option<Permit>,
    /// How soon it looks again while another has the lease.
    look_again: Duration,
    /// What a failed login has found out, if that could not be saved.
    untold: Option<Notes>,
    /// Until when the server wants no login, on the steady clock, if the store is to be told yet.
    held_until: Option<u64>,
}

impl Turn {
    pub(super) fn new(engine: &Engine) -> Option<Self> {
        let sharing = Arc::clone(engine.options.sharing.as_ref()?);
        Some(Self {
            sharing,
            engine: engine.clone(),
            owner: random_text(),
            version: None,
            seen: None,
            passed_over: None,
            notes: Notes::default(),
            secret: None,
            spent: None,
            has_news: false,
            asked: false,
            permit: None,
            share: None,
            look_again: LOOK_AGAIN,
            untold: None,
            held_until: None,
        })
    }

    pub(super) const fn sharing(&self) -> &Arc<Sharing> {
        &self.sharing
    }

    /// Looks at the store, and takes the lease unless a session is there that the cache does not
    /// know. Returns what was found, or `None` if the store is in trouble.
    pub(super) async fn look(&mut self, known: Known, rejected: bool) -> Option<(Lease, Found)> {
        // What the cache has taken over meanwhile is known to it.
        let passed_over = self
            .passed_over
            .filter(|_| self.passed_over != known.version);
        let ask = LeaseAsk {
            owner: &self.owner,
            lasts: self.lease_lasts(),
            known: passed_over.or(known.version),
            rejected: rejected && passed_over.is_none(),
            only_extends: false,
        };
        self.asked = true;
        let (answer, found) = self.sharing.lease(&self.engine, ask).await?;
        self.asked = matches!(answer.lease, Lease::Taken { .. });
        self.seen = Some(found.version);
        if let Some(version) = answer.version() {
            self.version = Some(version);
            self.notes = found.notes.clone();
        }
        Some((answer.lease, found))
    }

    /// The lease that it has, or may have.
    pub(super) fn leased(&self) -> Option<Leased> {
        self.asked.then(|| Leased {
            owner: Some(self.owner.clone()),
            version: self.version,
            notes: None,
        })
    }

    /// Gives the lease of an earlier login of the cache back, whose session could not be saved. A
    /// session that is being saved by now gives it back itself.
    pub(super) async fn give_last_back(&self) {
        // Held meanwhile, so that the session is not saved under a lease that is being given back.
        if let Ok(_publishing) = self.sharing.publishing.try_lock() {
            self.sharing.give_back(&self.engine).await;
        }
    }

    /// The session that was found is of no use, so the lease is taken although it is there. Returns
    /// false if it was passed over before: the store does not hear of it.
    pub(super) fn pass_over(&mut self) -> bool {
        let before = std::mem::replace(&mut self.passed_over, self.seen);
        before != self.seen
    }

    /// What is stored now, whatever the lease says.
    pub(super) async fn look_again(&self) -> Option<Found> {
        self.sharing.load(&self.engine).await
    }

    /// Waits until the lease of another has perhaps ended, or a session is there.
    pub(super) async fn wait(&mut self, left: Duration) {
        let clock = &self.engine.clock;
        // In the model of threads no time passes.
        let pause = if cfg!(feature = "shuttle") {
            Duration::ZERO
        } else {
            SOONEST
        };
        let soonest = clock.now().steady.saturating_add(nanos(pause));
        let most = self.look_again.min(left.max(Duration::from_millis(1)));
        self.look_again = self.look_again.saturating_mul(2).min(SELDOM);
        // Both at once, so that a change is not missed meanwhile.
        let changed = self.sharing.changed(&self.engine, most);
        join(clock.sleep_until(soonest), changed).await;
    }

    /// A time-out may be endless, and a lease whose login is gone must lapse. One that is longer is
    /// extended meanwhile.
    fn lease_lasts(&self) -> Duration {
        self.login_takes() + LEASE_MARGIN
    }

    pub(super) fn login_takes(&self) -> Duration {
        self.engine.options.login_timeout.min(LONGEST_LOGIN)
    }

    /// Extends the lease again and again. A lease that is lost is not taken back: the session is
    /// saved if nothing newer is there by then.
    pub(super) fn extended(&self) -> impl Future<Output = Infallible> + Send + use<> {
        let (sharing, engine, owner) = (
            Arc::clone(&self.sharing),
            self.engine.clone(),
            self.owner.clone(),
        );
        let (lasts, leased) = (self.lease_lasts(), self.version.is_some());
        async move {
            if !leased {
                std::future::pending::<Infallible>().await;
            }
            loop {
                let next = engine.clock.now().steady.saturating_add(nanos(lasts / 3));
                engine.clock.sleep_until(next).await;
                sharing.lease(&engine, extension(&owner, lasts)).await;
            }
        }
    }

    /// The secret with this keyed hash was read.
    pub(super) fn read(&mut self, secret: String) {
        self.secret = Some(secret);
    }

    pub(super) const fn notes(&self) -> &Notes {
        &self.notes
    }

    /// The keyed hash of the secret that was read.
    pub(super) fn secret(&self) -> Option<String> {
        self.secret.clone()
    }

    /// Marks a token as spent in the store, before it is sent. Returns whether the store has it.
    pub(super) async fn spend(&mut self, token: &str) -> bool {
        let tag = self.sharing.tag(token);
        let Some(version) = self.version.filter(|_| !self.notes.is_spent(&tag)) else {
            return false;
        };
        self.notes.spend(tag.clone());
        let saved = (self.sharing).save(&self.engine, version, None, Some(&self.notes), None);
        let saved = saved.await;
        let is_noted = matches!(saved, Some(Saved::Made(_)));
        if is_noted {
            self.spent = Some(tag);
        } else {
            self.notes.pardon(&tag);
            // It may be there though no answer came.
            self.has_news |= saved.is_none();
        }
        is_noted
    }

    /// The token that was marked was not sent, which the store is to know: now, or else at the end.
    pub(super) async fn pardon(&mut self) {
        let Some(tag) = self.spent.take() else {
            return;
        };
        self.notes.pardon(&tag);
        self.has_news = true;
        let Some(version) = self.version else {
            return;
        };
        let saved = (self.sharing).save(&self.engine, version, None, Some(&self.notes), None);
        self.has_news = saved.await.is_none();
    }

    /// The server has refused this token, which is not to be sent again.
    pub(super) fn was_refused(&mut self, token: &str) {
        self.notes.spend(self.sharing.tag(token));
        self.has_news = true;
    }

    /// The notes are to be saved whatever the login brings.
    pub(super) const fn note(&mut self) {
        self.has_news = true;
    }

    /// Whether the notes are to be saved whatever the login has brought.
    pub(super) const fn has_news(&self) -> bool {
        self.has_news
    }

    /// Waits for a permit of the store. Where that is in trouble, for one of the small share that
    /// each process has then, until the store answers again. If it returns none, that of the
    /// process is to be given back.
    ///
    /// A refresh that counts as a login may have had one before, which goes on counting.
    pub(super) async fn permit(
        &mut self,
        of_process: &Permit,
        ticket: &Arc<Ticket>,
        promise: impl Fn(),
    ) -> Permission {
        self.end_permit().await;
        let engine = self.engine.clone();
        let timeout = engine.options.login_timeout;
        let id = random_text();
        let quota = engine.limiter.quota();
        let window = quota.window().saturating_add(MARGIN);
        let ask = PermitAsk {
            id: &id,
            most: quota.logins().get(),
            window,
            counts_for: window.saturating_add(self.login_takes()),
        };
        let mut free_at = 0;
        // Its place in the queue for the share, which it keeps while the store is in trouble.
        let mut place = None;
        loop {
            let asked = engine.clock.now().steady;
            if !of_process.is_good() {
                return Permission::None;
            }
            if !ticket.is_wanted() && engine.limiter.has_callers() {
                return Permission::Later(asked);
            }
            promise();
            // The store may have given it even if no answer comes. It is told when the login ends,
            // also if that had a permit of the share.
            self.permit = Some(Stored {
                id: id.clone(),
                asked,
                counts_for: window,
            });
            let answer = self.sharing.permit(&engine, ask).await;
            let now = engine.clock.now().steady;
            match answer {
                // The machine has slept meanwhile, and the permit may count no more.
                Some(PermitAnswer::Given) if now.saturating_sub(asked) > nanos(STEP) => continue,
                Some(PermitAnswer::Given) => break,
                Some(PermitAnswer::Wait(wait)) => {
                    free_at = now.saturating_add(nanos(wait));
                    self.permit = None;
                    place = None;
                    if !ticket.is_wanted() {
                        return Permission::Later(free_at);
                    }
                }
                // What it has said before it failed holds.
                None if now < free_at || place.is_some() => {}
                None => {
                    let origin = engine.provider.login_origin();
                    let share = Limiter::share(&origin, quota, &engine.clock);
                    let own = Arc::new(share.ticket(ticket.is_wanted()));
                    place = Some(Place::new(share, own, timeout));
                }
            }
            promise();
            let again = now.saturating_add(nanos(ASK_AGAIN));
            let Some(place) = &mut place else {
                ticket.set_expected(free_at);
                // A store may round a wait down to none.
                let soonest = now.saturating_add(nanos(SOONEST));
                engine
                    .clock
                    .sleep_until(free_at.max(soonest).min(again))
                    .await;
                continue;
            };
            if let Some(permit) = place.wait(ticket, &engine.clock, again).await {
                self.share = Some(permit);
                break;
            }
        }
        ticket.set_expected(engine.clock.now().steady);
        Permission::Given
    }

    /// The login is sent now. Returns whether it may be: if not, its permits are to be given back.
    pub(super) fn send(&mut self) -> bool {
        let now = self.engine.clock.now().steady;
        let permit = self.permit.as_ref().filter(|_| self.share.is_none());
        if permit.is_some_and(|permit| now.saturating_sub(permit.asked) > nanos(SENT_WITHIN)) {
            return false;
        }
        let timeout = self.engine.options.login_timeout;
        let share = self.share.take().map(|permit| permit.sent(timeout));
        let may_be_sent = !matches!(share, Some(Err(_)));
        self.share = share.map(|(Ok(permit) | Err(permit))| permit);
        may_be_sent
    }

    /// The login was not sent, so its permit counts no more.
    pub(super) async fn give_permit_back(&mut self) {
        if let Some(permit) = self.share.take() {
            permit.give_back();
        }
        if let Some(Stored { id, .. }) = self.permit.take() {
            let ended = self.sharing.end_permit(&self.engine, &id, Duration::ZERO);
            ended.await;
        }
    }

    /// What was sent with its permit has ended.
    pub(super) async fn end_permit(&mut self) {
        if let Some(permit) = self.share.take() {
            permit.end();
        }
        if let Some(Stored { id, counts_for, .. }) = self.permit.take() {
            let ended = self.sharing.end_permit(&self.engine, &id, counts_for);
            ended.await;
        }
    }

    /// A login has failed, and the server wants none for so long.
    pub(super) fn hold(&mut self, held: Option<Duration>) {
        let now = self.engine.clock.now().steady;
        self.held_until = held.map(|wait| now.saturating_add(nanos(wait)));
    }

    /// Tells the store until when the server wants no login.
    pub(super) async fn tell_hold(&mut self) {
        if let Some(until) = self.held_until {
            self.sharing.tell_hold(&self.engine, until).await;
            self.held_until = None;
        }
    }

    /// The provider's future was dropped, and what it has sent may still arrive: its permit counts
    /// for as long as it can.
    pub(super) fn lose_permit(&mut self) {
        self.permit = None;
        self.share = None;
    }

    /// The login has ended: saves its session or its notes, and releases the lease. Returns what
    /// became of the session.
    pub(super) async fn end(
        mut self,
        session: Option<&Credential>,
        notes: Option<&Notes>,
    ) -> Option<Saved> {
        let (sharing, engine) = (Arc::clone(&self.sharing), self.engine.clone());
        let mut all_notes = None;
        let brings = session.is_some() || notes.is_some();
        if self.version.is_none() && self.asked && brings {
            let mut ask = extension(&self.owner, self.lease_lasts());
            // Nothing is noted without a lease. A session that needs one is saved under one later.
            ask.only_extends = session.is_some();
            if let Some((version, found)) = found_out(&sharing, &engine, ask).await {
                self.version = Some(version);
                sharing.was_given(&self.owner, version);
                all_notes = notes.map(|notes| found.with(notes));
            }
        }
        let notes = all_notes.as_ref().or(notes);
        let (version, asked) = (self.version, self.asked);
        let releases = Some(self.owner.clone());
        let save = async {
            // The logout may be over by now, and nothing comes after it. The lease is released.
            let (session, notes) = if session.is_some() && sharing.logs_out() {
                (None, None)
            } else {
                (session, notes)
            };
            match version {
                Some(version) => {
                    // The steps before may have taken a while. What is left of it is stated now.
                    let session = session.map(|session| session.session(engine.clock.now()));
                    let session = session.as_ref();
                    sharing
                        .save(&engine, version, session, notes, releases)
                        .await
                }
                // It may have the lease although no answer came.
                None if asked && session.is_none() => {
                    let nothing = Version::default();
                    sharing.save(&engine, nothing, None, None, releases).await
                }
                None => None,
            }
        };
        // The next login may begin with the release.
        self.tell_hold().await;
        let (saved, ()) = join(save, self.end_permit()).await;
        // Where that has failed, a session that is served keeps its lease until it is saved. Any
        // other lease is released by another task, as if this was dropped before.
        let keeps_it = session.is_some() && sharing.last_lease.is_of(&self.owner);
        self.asked = asked && saved.is_none() && !keeps_it;
        if keeps_it {
            sharing.last_lease.note(&self.owner, notes);
        }
        // Those of a session say nothing without it.
        self.untold = notes.filter(|_| session.is_none()).cloned();
        saved.filter(|_| version.is_some())
    }
}

/// Whether a login has a permit at the store.
pub(super) enum Permission {
    Given,
    /// The permit of the process is good no more.
    None,
    /// No caller waits for this login, and it would have to wait until then or longer, on the
    /// steady clock.
    Later(u64),
}

/// A permit that the store was asked for.
struct Stored {
    id: String,
    /// When it was asked for, on the steady clock.
    asked: u64,
    /// How long it counts from the end of the login on.
    counts_for: Duration,
}

/// The place of a login in the queue for the share. Dropped, it is free for those behind.
struct Place {
    share: Arc<Limiter>,
    ticket: Arc<Ticket>,
    permit: BoxFuture<'static, Permit>,
}

impl Place {
    fn new(share: Arc<Limiter>, ticket: Arc<Ticket>, timeout: Duration) -> Self {
        let (limiter, queued) = (Arc::clone(&share), Arc::clone(&ticket));
        let permit = async move { limiter.acquire(&queued, timeout).await };
        Self {
            share,
            ticket,
            permit: permit.boxed(),
        }
    }

    /// Waits until then at most, and tells the login when its permit is expected. A caller may have
    /// come to wait for the login.
    async fn wait(&mut self, login: &Ticket, clock: &Clock, until: u64) -> Option<Permit> {
        if login.is_wanted() && !self.ticket.is_wanted() {
            self.share.want(&self.ticket);
        }
        // It has to be in the queue before it knows.
        if let Some(permit) = (&mut self.permit).now_or_never() {
            return Some(permit);
        }
        login.set_expected(self.ticket.expected().max(clock.now().steady));
        match select(&mut self.permit, pin!(clock.sleep_until(until))).await {
            Either::Left((permit, _)) => Some(permit),
            Either::Right(_) => None,
        }
    }
}

/// What is saved under the lease of a login to which no answer came, if it has it or gets it: the
/// version, and the notes that are stored.
async fn found_out(
    sharing: &Sharing,
    engine: &Engine,
    ask: LeaseAsk<'_>,
) -> Option<(Version, Notes)> {
    let (answer, found) = sharing.lease(engine, ask).await?;
    Some((answer.version()?, found.notes))
}

/// Extends a lease, and takes none.
const fn extension(owner: &str, lasts: Duration) -> LeaseAsk<'_> {
    LeaseAsk {
        owner,
        lasts,
        known: None,
        rejected: false,
        only_extends: true,
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // The login was given up, or the store could not be told of its end. Its lease would lapse
        // by itself, and others would wait for that.
        let held_until = self.held_until;
        let (true, Some(runtime)) = (self.asked || held_until.is_some(), Runtime::current()) else {
            return;
        };
        let (given, lasts) = (self.version, self.lease_lasts());
        let (sharing, engine) = (Arc::clone(&self.sharing), self.engine.clone());
        let news = self.has_news.then(|| self.notes.clone());
        let notes = self.untold.take().or(news);
        let owner = std::mem::take(&mut self.owner);
        runtime.spawn(async move {
            if let Some(until) = held_until {
                sharing.tell_hold(&engine, until).await;
            }
            let release = async || {
                let mut version = given.unwrap_or_default();
                let mut notes = notes.clone();
                if given.is_none() && notes.is_some() {
                    let mut ask = extension(&owner, lasts);
                    ask.only_extends = false;
                    let found = found_out(&sharing, &engine, ask).await;
                    notes = found.zip(notes).map(|((given, found), notes)| {
                        version = given;
                        found.with(&notes)
                    });
                }
                let owner = Some(owner.clone());
                let release = sharing.save(&engine, version, None, notes.as_ref(), owner);
                release.await.is_some()
            };
            let is_released = release().await;
            if !is_released || given.is_none() {
                let pause = if is_released { ON_ITS_WAY } else { TROUBLE };
                let later = engine.clock.now().steady.saturating_add(nanos(pause));
                engine.clock.sleep_until(later).await;
                release().await;
            }
        });
    }
}

/// The failure of a refresh that was not sent, because the store could not be told of its token.
pub(super) fn not_marked() -> LoginError {
    let error = LoginError::unavailable(
        "the store could not be told that the refresh token is spent, so it was not sent",
    );
    error.of_exchange(Exchange::Refresh).not_sent()
}
