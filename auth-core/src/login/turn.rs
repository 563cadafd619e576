//! The turn of one login at the store: its lease, and what was read under it.

mod permit;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::future::join;

pub(super) use self::permit::Permission;
use self::permit::Stored;
use super::engine::Engine;
use crate::clock::nanos;
use crate::credential::Credential;
use crate::decide::{Known, Notes};
use crate::error::{Exchange, LoginError};
use crate::limit::{LONGEST_LOGIN, Permit};
use crate::runtime::{AtomicBool, AtomicU64, Runtime};
use crate::store::{
    Found, Lease, LeaseAsk, Leased, LoggedIn, STEP, Saved, Sharing, TROUBLE, Version, random_text,
    sleeps_until,
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

/// One login at the store. Dropped, it gives its lease back.
pub(super) struct Turn {
    sharing: Arc<Sharing>,
    engine: Engine,
    /// A random text, which no other login has.
    owner: String,
    /// The version of the session that the login saves, if it has the lease.
    version: Option<Version>,
    /// Until when what was read in the store is good, on the steady clock: as long as the lease, or
    /// as one would last if the store gives none.
    good_until: Arc<AtomicU64>,
    /// Whether it has, or had, a lease that is to be extended.
    has_lease: Arc<AtomicBool>,
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
    /// The keyed hash of the token that was refused. Of one that was marked and not sent nothing is
    /// kept: another process may have sent it by the time of another look.
    refused: Option<String>,
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
            good_until: Arc::default(),
            has_lease: Arc::default(),
            seen: None,
            passed_over: None,
            notes: Notes::default(),
            secret: None,
            spent: None,
            refused: None,
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
        self.good_until.store(0, Relaxed);
        let until = lasts_until(&self.engine, ask.lasts);
        let (answer, found) = self.sharing.lease(&self.engine, ask).await?;
        if !matches!(answer.lease, Lease::Held { .. }) {
            self.good_until.store(until, Relaxed);
        }
        self.asked = matches!(answer.lease, Lease::Taken { .. });
        self.seen = Some(found.version);
        if let Some(version) = answer.version() {
            self.has_lease.store(true, Relaxed);
            self.version = Some(version);
            self.notes = found.notes.clone();
            // Not saved yet, if this is another look.
            if let Some(refused) = &self.refused {
                self.notes.spend(refused.clone());
            }
        }
        Some((answer.lease, found))
    }

    /// Looks at the store without the lease, which that could not give in a step that began at a
    /// time: its disk is full, or it is a replica. `None`, if it can't be read either, or is left
    /// alone.
    pub(super) async fn look_instead(&mut self, began: u64) -> Option<Found> {
        let found = self.sharing.load_instead(&self.engine, began).await?;
        self.seen = Some(found.version);
        self.notes = found.notes.clone();
        Some(found)
    }

    /// Whether the store is left alone, since it has failed not long ago.
    pub(super) fn is_left_alone(&self) -> bool {
        let now = self.engine.clock.now().steady;
        self.sharing.steps.are_in_trouble(now)
    }

    /// The lease that it has, or may have.
    pub(super) fn leased(&self) -> Option<Leased> {
        self.asked.then(|| Leased {
            owner: Some(self.owner.clone()),
            version: self.version,
            notes: None,
        })
    }

    /// The secret that was read has logged in now.
    pub(super) fn logged_in(&self) {
        let at = self.engine.clock.now().steady;
        let secret = self.secret.clone();
        *self.sharing.logged_in.lock() = secret.map(|secret| LoggedIn { secret, at });
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

    /// Whether it has no lease, though the store answers: that was in trouble, or has lost its
    /// data, or this process was stopped.
    pub(super) fn is_lost(&self) -> bool {
        // Relaxed: it publishes no other memory, and is stored by the task that reads it.
        let until = self.good_until.load(Relaxed);
        self.share.is_none() && until <= self.engine.clock.now().steady
    }

    /// Whether it had a lease, and has none any more.
    pub(super) fn has_lost_lease(&self) -> bool {
        self.version.is_some() && self.is_lost()
    }

    /// Extends the lease again and again. A lease that is lost is not taken back here: what was
    /// sent is saved if nothing newer is there by then.
    pub(super) fn extended(&self) -> impl Future<Output = Infallible> + Send + use<> {
        let (sharing, engine, owner) = (
            Arc::clone(&self.sharing),
            self.engine.clone(),
            self.owner.clone(),
        );
        let (lasts, has_lease) = (self.lease_lasts(), Arc::clone(&self.has_lease));
        let good_until = Arc::clone(&self.good_until);
        async move {
            loop {
                let next = engine.clock.now().steady.saturating_add(nanos(lasts / 3));
                engine.clock.sleep_until(next).await;
                if !has_lease.load(Relaxed) {
                    continue;
                }
                let until = lasts_until(&engine, lasts);
                let extended = sharing.lease(&engine, extension(&owner, lasts)).await;
                if let Some((answer, _)) = extended {
                    let is_taken = matches!(answer.lease, Lease::Taken { .. });
                    good_until.store(if is_taken { until } else { 0 }, Relaxed);
                }
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
        let tag = self.sharing.tag(token);
        self.notes.spend(tag.clone());
        self.refused = Some(tag);
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

    /// The login has ended: saves its session or its notes, and releases the lease. Those of a
    /// session are made `anew` from what turns out to be stored. Returns what became of it.
    pub(super) async fn end(
        mut self,
        session: Option<&Credential>,
        notes: Option<&Notes>,
        anew: impl Fn(&Notes) -> Notes + Send,
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
                all_notes = if session.is_some() {
                    Some(anew(&found)).filter(|notes| !notes.is_empty() || !found.is_empty())
                } else {
                    notes.map(|notes| found.with(notes))
                };
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

/// When a lease lapses that is asked for now, on the steady clock.
fn lasts_until(engine: &Engine, lasts: Duration) -> u64 {
    engine.clock.now().steady.saturating_add(nanos(lasts))
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
        let mut ends = notes.is_some().then(|| sharing.ends.subscribe());
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
            if is_released {
                ends = None;
            }
            if !is_released || given.is_none() {
                let pause = if is_released { ON_ITS_WAY } else { TROUBLE };
                let later = engine.clock.now().steady.saturating_add(nanos(pause));
                if let Some(ends) = &mut ends {
                    // A program that ends has told what its login has found out.
                    sleeps_until(&engine.clock, later, ends).await;
                } else {
                    engine.clock.sleep_until(later).await;
                }
                release().await;
            }
            drop(ends);
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
