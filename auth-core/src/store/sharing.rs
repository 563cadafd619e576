//! What one cache does with its store: names, seals, time-outs, and what is known of the entry.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::entry::{Change, Entry, NotesChange, Saved, SessionChange, Stored, Version};
use super::error::StoreError;
use super::lease::{LeaseAnswer, LeaseAsk};
use super::leased::{LastLease, Leased};
use super::permit::{PermitAnswer, PermitAsk};
use super::revisions::Revisions;
use super::seal::Unreadable;
use super::store::Store;
use crate::clock::{Clock, nanos};
use crate::decide::{FlightId, Known, Notes};
use crate::event::Event;
use crate::login::Flight;
use crate::provider::Provider;
use crate::runtime::{AtomicBool, AtomicU64, Mutex, Runtime, Task, random};
use crate::session::Session;
use crate::session_parts::SessionParts;

/// How long one step of a store may take. A store that is in the same network answers in
/// milliseconds, and a caller may wait for it several times.
pub(crate) const STEP: Duration = Duration::from_secs(2);

/// How long it takes at most, after a login has ended, until that is in the store: a look, a hold
/// and a save.
pub(crate) const SETTLED_WITHIN: Duration = STEP.saturating_mul(3);

/// How long a store that has failed is left alone. Each login would wait for it in vain otherwise.
pub(crate) const TROUBLE: Duration = Duration::from_secs(5);

/// How long after a look the store is not looked at for callers that would be turned away.
const LOOK_FOR_CALLERS: Duration = Duration::from_secs(1);

/// How long a session, or a value that it keeps, is stored whose life is not known.
const KEEP_UNKNOWN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long notes are stored: longer than a refresh token lives, so that a spent one is known.
const KEEP_NOTES: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The cache, as its store sees it.
pub(crate) trait Sharer: Sync {
    fn clock(&self) -> &Clock;

    fn emit(&self, event: &Event);
}

/// A task that outlives the cache. What fails then has been told before.
impl Sharer for Clock {
    fn clock(&self) -> &Clock {
        self
    }

    fn emit(&self, _: &Event) {}
}

/// Why a step has brought nothing.
enum NoAnswer {
    /// The store is left alone after the last failure.
    LeftAlone,
    Failed,
}

/// The store of one cache.
pub(crate) struct Sharing {
    store: Arc<dyn Store>,
    /// The name of the entry, which tells nothing of the account.
    name: String,
    /// The name of the login's origin.
    origin: String,
    /// What the entry is sealed with: whose it is.
    context: Zeroizing<String>,
    /// Changed under the lock of the cache's state, so that both agree. Of a session that is not
    /// saved, the version may become known without it.
    pub(crate) known: Mutex<Known>,
    /// The owner of the leases under which a session is saved that is at hand. There is one, so
    /// that a save which is given up does not keep the next one waiting.
    owner: String,
    /// The lease of the session that is not saved yet.
    pub(crate) last_lease: LastLease,
    /// What has changed about the session since it was saved.
    pub(crate) revisions: Revisions,
    settling: Mutex<Vec<Arc<Flight>>>,
    /// Held while a session is saved that is at hand, or its lease is given back. A close waits for
    /// that.
    pub(crate) publishing: tokio::sync::Mutex<()>,
    /// Held while a value of the session is saved, which one task at a time does. A close waits for
    /// that as well.
    pub(crate) revising: tokio::sync::Mutex<()>,
    /// Until when a look for callers that would be turned away is waited for, on the steady clock.
    looking_until: AtomicU64,
    /// Until when there is no other look for them.
    looked_until: AtomicU64,
    /// Notified when the look has ended.
    looked: Notify,
    /// The cache was closed to log out.
    logs_out: AtomicBool,
    following: Mutex<Following>,
    /// The store is left alone until then, on the steady clock.
    trouble_until: AtomicU64,
}

/// The task that looks for changes.
#[derive(Debug, Default)]
struct Following {
    under_way: bool,
    task: Option<Task>,
}

/// A flight whose session is being saved, and whose waiters are not told yet. A close waits for
/// it.
pub(crate) struct Settling {
    sharing: Arc<Sharing>,
    flight: FlightId,
}

impl Drop for Settling {
    fn drop(&mut self) {
        let mut settling = self.sharing.settling.lock();
        settling.retain(|flight| flight.id != self.flight);
    }
}

/// A look for all callers that would be turned away. Dropped, it has ended.
pub(crate) struct Looking {
    sharing: Arc<Sharing>,
    /// Until when it is waited for. After that, another one may have begun.
    until: u64,
}

impl Drop for Looking {
    fn drop(&mut self) {
        let looking = &self.sharing.looking_until;
        if (looking.compare_exchange(self.until, 0, Relaxed, Relaxed)).is_ok() {
            self.sharing.looked.notify_waiters();
        }
    }
}

/// What was found in the store.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) version: Version,
    /// The session, with what is left of its lives.
    pub(crate) session: Option<Session>,
    pub(crate) is_over: bool,
    /// Whether the session was logged out.
    pub(crate) was_logged_out: bool,
    pub(crate) notes: Notes,
}

/// What the entry's parts are. Sealed with it, so that the one is not taken for the other.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Session,
    Notes,
}

impl Sharing {
    pub(crate) fn new(store: Arc<dyn Store>, provider: &dyn Provider) -> Self {
        let identity = provider.identity();
        let variant = Zeroizing::new(provider.variant());
        let key = identity.stable_key();
        let context = Zeroizing::new(format!("{key}{}:{},", variant.len(), *variant));
        let seal = store.seal();
        let name = seal.name(context.as_bytes());
        let origin = seal.name(format!("origin {}", provider.login_origin().counted()).as_bytes());
        Self {
            store,
            name,
            origin,
            context,
            known: Mutex::default(),
            owner: random_text(),
            last_lease: LastLease::default(),
            revisions: Revisions::default(),
            settling: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
            revising: tokio::sync::Mutex::default(),
            looking_until: AtomicU64::new(0),
            looked_until: AtomicU64::new(0),
            looked: Notify::new(),
            logs_out: AtomicBool::new(false),
            following: Mutex::default(),
            trouble_until: AtomicU64::new(0),
        }
    }

    /// A session was obtained, perhaps under this lease, and is not saved yet.
    pub(crate) fn obtained(&self, generation: u64, leased: Option<Leased>) {
        let version = leased.as_ref().and_then(|leased| leased.version);
        let mut known = self.known.lock();
        *known = Known {
            // What is there under this version is this session, though its save may have failed.
            version: version.or(known.version),
            unsaved: true,
        };
        drop(known);
        // While the one before has a lease, this one was given none.
        if version.is_some() || self.last_lease.left_to_give_back().is_none() {
            self.last_lease.set(generation, leased);
        }
    }

    /// The lease of this owner was given, as was found out after its session was obtained, which is
    /// saved as this version.
    pub(crate) fn was_given(&self, owner: &str, version: Version) {
        if !self.last_lease.was_given(owner, version) {
            return;
        }
        let mut known = self.known.lock();
        if known.unsaved {
            known.version = Some(version);
        }
    }

    /// The owner of the leases under which a session is saved that is at hand.
    pub(crate) fn owner(&self) -> String {
        // The cache may be older than its process, if that was forked.
        format!("{}{:08x}", self.owner, process::id())
    }

    /// Gives the lease back that a session has which is neither saved nor being saved. Returns
    /// `None` if the store is in trouble.
    pub(crate) async fn give_back(&self, cache: &dyn Sharer) -> Option<()> {
        // In this order: a session is known to be being saved before its lease is known.
        let leased = self.last_lease.left_to_give_back();
        let is_idle = self.settling.lock().is_empty();
        let Some(leased) = leased.filter(|_| is_idle) else {
            return Some(());
        };
        let version = leased.version.unwrap_or_default();
        let release = self.save(cache, version, None, None, leased.owner);
        release.await.map(drop)
    }

    /// The cache is closed to log out, under the lock of its state.
    pub(crate) fn log_out(&self) {
        // Relaxed: the lock of the state orders it. Who has not seen the state closed saves within
        // the time that the logout waits.
        self.logs_out.store(true, Relaxed);
    }

    /// Whether the cache was closed to log out. No session is saved any more then.
    pub(crate) fn logs_out(&self) -> bool {
        // Relaxed, as in `log_out`.
        self.logs_out.load(Relaxed)
    }

    /// Waits until no one else saves the session at hand, or gives its lease back. Who takes longer
    /// for that than a step does is on a runtime that is not driven any more.
    pub(crate) async fn begin_publishing(
        &self,
        clock: &Clock,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        within_a_step(&self.publishing, clock).await
    }

    /// Waits in the same way until no one else saves a value of the session.
    pub(crate) async fn begin_revising(
        &self,
        clock: &Clock,
    ) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        within_a_step(&self.revising, clock).await
    }

    /// Whether a caller that would be turned away has a look to wait for. There is none if the
    /// store was looked at not long ago, or is in trouble.
    pub(crate) fn may_look(&self, now: u64) -> bool {
        // Relaxed, here and below: who misses a time looks in vain, or not.
        let is_later = |time: &AtomicU64| now >= time.load(Relaxed);
        // What was found may not be taken over yet while one is under way.
        let may_find = is_later(&self.looked_until) || !is_later(&self.looking_until);
        may_find && is_later(&self.trouble_until)
    }

    /// Begins a look for all callers that would be turned away. `None` if one is under way; one
    /// that takes longer than a step is on a runtime that is not driven.
    pub(crate) fn begin_look(self: &Arc<Self>, now: u64) -> Option<Looking> {
        let before = self.looking_until.load(Relaxed);
        let until = now.saturating_add(nanos(STEP));
        let claims = || (self.looking_until).compare_exchange(before, until, Relaxed, Relaxed);
        let is_mine = before <= now && claims().is_ok();
        is_mine.then(|| Looking {
            sharing: Arc::clone(self),
            until,
        })
    }

    /// Notified when the look has ended, or is waited for no longer.
    pub(crate) const fn looked(&self) -> &Notify {
        &self.looked
    }

    /// The session of this flight is being saved from now on.
    pub(crate) fn settle(self: &Arc<Self>, flight: &Arc<Flight>) -> Settling {
        self.settling.lock().push(Arc::clone(flight));
        Settling {
            sharing: Arc::clone(self),
            flight: flight.id,
        }
    }

    /// The flights whose sessions are being saved.
    pub(crate) fn settling(&self) -> Vec<Arc<Flight>> {
        self.settling.lock().clone()
    }

    /// Returns whether no task looks for changes, so that one may begin.
    pub(crate) fn begin_following(&self) -> bool {
        !std::mem::replace(&mut self.following.lock().under_way, true)
    }

    /// The task that has begun, to be aborted in the end.
    pub(crate) fn set_following(&self, task: Task) {
        self.following.lock().task = Some(task);
    }

    /// The task is gone.
    pub(crate) fn end_following(&self) {
        self.following.lock().under_way = false;
    }

    /// Ends the task.
    pub(crate) fn stop_following(&self) {
        let task = self.following.lock().task.take();
        if let Some(task) = task {
            task.abort();
        }
    }

    /// A keyed hash of a secret, for the notes. It is the same in every process with the same key.
    pub(crate) fn tag(&self, secret: &str) -> String {
        let text = Zeroizing::new(format!("secret {}{secret}", *self.context));
        self.store.seal().name(text.as_bytes())
    }

    /// What is stored.
    pub(crate) async fn load(&self, cache: &dyn Sharer) -> Option<Found> {
        let load = async {
            let entry = self.store.load(&self.name).await?;
            Ok(self.found(cache, &entry))
        };
        self.step(cache, load).await
    }

    /// Takes the lease, if it is free and needed, or extends it. Returns what is stored as well.
    pub(crate) async fn lease(
        &self,
        cache: &dyn Sharer,
        ask: LeaseAsk<'_>,
    ) -> Option<(LeaseAnswer, Found)> {
        let lease = async {
            let answer = self.store.lease(&self.name, ask).await?;
            let found = self.found(cache, &answer.entry);
            Ok((answer, found))
        };
        self.step(cache, lease).await
    }

    /// Saves a session, notes or both. Returns `None` if the store is in trouble.
    pub(crate) async fn save(
        &self,
        cache: &dyn Sharer,
        version: Version,
        session: Option<&Session>,
        notes: Option<&Notes>,
        releases: Option<String>,
    ) -> Option<Saved> {
        let owner = releases.clone();
        let save = async {
            let session = match session {
                Some(session) => {
                    let sealed = self.seal(session.to_parts().expose(), Kind::Session)?;
                    SessionChange::Save(sealed, keep_for(session))
                }
                None => SessionChange::Keep,
            };
            let notes = match notes {
                Some(notes) => {
                    let sealed = self.seal(&notes.to_text(cache.clock().now()), Kind::Notes)?;
                    NotesChange::Save(sealed, KEEP_NOTES)
                }
                None => NotesChange::Keep,
            };
            let change = Change {
                version,
                session,
                notes,
                releases,
            };
            self.store.save(&self.name, change).await
        };
        let saved = self.step(cache, save).await?;
        if let Some(owner) = owner {
            self.last_lease.given_back(&owner);
        }
        Some(saved)
    }

    /// Notes that the session was logged out.
    pub(crate) async fn end(&self, cache: &dyn Sharer, version: Version) -> Option<Saved> {
        let change = Change {
            version,
            session: SessionChange::End,
            notes: NotesChange::Keep,
            releases: None,
        };
        // Within the step, since a store may panic before it returns its future.
        let end = async { self.store.save(&self.name, change).await };
        self.step(cache, end).await
    }

    /// Asks for a permit.
    pub(crate) async fn permit(
        &self,
        cache: &dyn Sharer,
        ask: PermitAsk<'_>,
    ) -> Option<PermitAnswer> {
        let permit = async { self.store.permit(&self.origin, ask).await };
        self.step(cache, permit).await
    }

    /// The permit counts for so long from now on.
    pub(crate) async fn end_permit(&self, cache: &dyn Sharer, id: &str, counts_for: Duration) {
        let end = async { self.store.end_permit(&self.origin, id, counts_for).await };
        self.step(cache, end).await;
    }

    /// Tells the store until when the login server wants no login. If that fails, a task tells it
    /// when it answers again: once if the last handle is gone, and else until it has.
    pub(crate) async fn tell_hold(self: &Arc<Self>, cache: &dyn Sharer, until: u64) {
        if self.hold(cache, until).await {
            return;
        }
        let Some(runtime) = Runtime::current() else {
            return;
        };
        let clock = cache.clock().clone();
        let (once, sharing) = (Arc::clone(self), Arc::downgrade(self));
        runtime.spawn(async move {
            let mut once = Some(once);
            loop {
                let again = clock.now().steady.saturating_add(nanos(TROUBLE));
                clock.sleep_until(again).await;
                match once.take().or_else(|| sharing.upgrade()) {
                    Some(sharing) if !sharing.hold(&clock, until).await => {}
                    _ => return,
                }
            }
        });
    }

    /// Returns whether the store was told, or need not be any more. If not, it is not left alone
    /// yet: a lease is to be released after it.
    async fn hold(&self, cache: &dyn Sharer, until: u64) -> bool {
        let left = until.saturating_sub(cache.clock().now().steady);
        if left == 0 {
            return true;
        }
        let left = Duration::from_nanos(left);
        let hold = async { self.store.hold(&self.origin, left).await };
        self.attempt(cache, hold).await.is_ok()
    }

    /// The store is asked again even if it has just failed: there is no later.
    pub(crate) fn ask_again(&self) {
        self.trouble_until.store(0, Relaxed);
    }

    /// Waits until the entry has perhaps changed, for `most` at most and, unless the store tells of
    /// changes, about as long. With jitter, so that processes don't look in step.
    pub(crate) async fn changed(&self, cache: &dyn Sharer, most: Duration) {
        let wait = nanos(most.mul_f64(0.5 + 0.5 * random()));
        let until = cache.clock().now().steady.saturating_add(wait);
        let told = async { self.store.changed(&self.name).await };
        let told = AssertUnwindSafe(told).catch_unwind();
        let told = async {
            if told.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        select(pin!(told), pin!(cache.clock().sleep_until(until))).await;
    }

    /// Runs one step of the store within its time-out, with what its seal does, and catches a panic
    /// in it. Returns `None` if it fails, and for a while after that.
    async fn step<T>(
        &self,
        cache: &dyn Sharer,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Option<T> {
        match self.attempt(cache, step).await {
            Ok(result) => Some(result),
            Err(NoAnswer::LeftAlone) => None,
            Err(NoAnswer::Failed) => {
                let until = cache.clock().now().steady.saturating_add(nanos(TROUBLE));
                // Relaxed: the time publishes no other memory, and who misses it asks in vain.
                self.trouble_until.store(until, Relaxed);
                None
            }
        }
    }

    /// As `step`, after which the store is not left alone if it fails.
    async fn attempt<T>(
        &self,
        cache: &dyn Sharer,
        step: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, NoAnswer> {
        let now = cache.clock().now().steady;
        if now < self.trouble_until.load(Relaxed) {
            return Err(NoAnswer::LeftAlone);
        }
        let step = AssertUnwindSafe(step).catch_unwind();
        let until = now.saturating_add(nanos(STEP));
        let error = match select(pin!(step), pin!(cache.clock().sleep_until(until))).await {
            Either::Left((Ok(Ok(result)), _)) => return Ok(result),
            Either::Left((Ok(Err(error)), _)) => error,
            Either::Left((Err(_panic), _)) => StoreError::new("the store panicked"),
            Either::Right(_) => StoreError::new(format!("the store did not answer in {STEP:?}")),
        };
        cache.emit(&Event::StoreFailed {
            reason: error.reason(),
        });
        Err(NoAnswer::Failed)
    }

    fn found(&self, cache: &dyn Sharer, entry: &Entry) -> Found {
        let now = cache.clock().now().steady;
        self.looked_until
            .store(now.saturating_add(nanos(LOOK_FOR_CALLERS)), Relaxed);
        let unreadable = |why| cache.emit(&Event::StoredUnreadable { why });
        let open = |stored: &Option<Stored>, kind| {
            let stored = stored.as_ref()?;
            let opened = self.store.seal().open(&stored.sealed, &self.whose(kind));
            match opened {
                Ok(text) => Some((text, stored.age)),
                Err(why) => {
                    unreadable(why);
                    None
                }
            }
        };
        entry.unreadable.into_iter().for_each(unreadable);
        let session = open(&entry.session, Kind::Session).and_then(|(text, age)| {
            let read = SessionParts::of_text(text).to_session();
            let read = read.inspect_err(|_| unreadable(Unreadable::Damaged)).ok()?;
            Some(read.aged(age))
        });
        let read = open(&entry.notes, Kind::Notes).and_then(|(text, age)| {
            let read = Notes::read(text.expose(), age, cache.clock().now());
            read.inspect_err(|_| unreadable(Unreadable::Damaged)).ok()
        });
        let lacks_notes = entry.notes.is_some() && read.is_none();
        let mut notes = read.unwrap_or_default();
        if lacks_notes || entry.unreadable.is_some() || entry.may_lack_notes {
            notes.doubt_tokens();
        }
        Found {
            version: entry.version,
            session,
            is_over: entry.is_over,
            was_logged_out: entry.was_logged_out(),
            notes,
        }
    }

    fn seal(&self, text: &str, kind: Kind) -> Result<Vec<u8>, StoreError> {
        self.store.seal().seal(text, &self.whose(kind))
    }

    fn whose(&self, kind: Kind) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(format!("{kind:?} {}", *self.context).into_bytes())
    }
}

/// Waits until the lock is free, for as long as a step takes at most.
async fn within_a_step<'a>(
    lock: &'a tokio::sync::Mutex<()>,
    clock: &Clock,
) -> Option<tokio::sync::MutexGuard<'a, ()>> {
    let until = clock.now().steady.saturating_add(nanos(STEP));
    match select(pin!(lock.lock()), pin!(clock.sleep_until(until))).await {
        Either::Left((held, _)) => Some(held),
        Either::Right(_) => None,
    }
}

/// A text that no other process draws, for the owner of a lease or a permit.
pub(crate) fn random_text() -> String {
    // Each `RandomState` has new keys. The model's random numbers are all the same.
    text_of(&[RandomState::new(), RandomState::new()], process::id())
}

/// A process that was forked goes on with the keys of its parent, as all others do that were.
fn text_of(keys: &[RandomState; 2], process: u32) -> String {
    let [one, other] = keys.each_ref().map(|keys| keys.hash_one(process));
    format!("{one:016x}{other:016x}")
}

/// How long a session needs to be stored: as long as it, or what it is refreshed with, is good.
fn keep_for(session: &Session) -> Duration {
    let lifetime = session.lifetime();
    let ends = [lifetime.hard_expiry(), lifetime.absolute_maximum()];
    let end = ends.into_iter().flatten().min().or(lifetime.idle_timeout());
    let kept = session.kept.longest(KEEP_UNKNOWN);
    end.unwrap_or(KEEP_UNKNOWN).max(kept)
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::lifetime::Lifetime;
    use crate::store::MemoryStore;
    use crate::testing::Scripted;

    #[test]
    fn rule_20_processes_that_were_forked_have_no_lease_and_no_permit_in_common() {
        let keys = [RandomState::new(), RandomState::new()];
        let [one, same, other] = [7, 7, 8].map(|process| text_of(&keys, process));
        assert!(one == same && one != other, "{one} {same} {other}");
        let provider = Scripted::tokens(Lifetime::unknown());
        let sharing = Sharing::new(Arc::new(MemoryStore::new()), &provider);
        let process = format!("{:08x}", process::id());
        assert!(sharing.owner().ends_with(&process) && sharing.owner() == sharing.owner());
    }

    #[test]
    fn rule_24_a_lease_that_is_found_out_late_is_not_that_of_a_later_session() {
        let provider = Scripted::tokens(Lifetime::unknown());
        let sharing = Sharing::new(Arc::new(MemoryStore::new()), &provider);
        let version = |fence| {
            Some(Version {
                epoch: 7,
                fence,
                revision: 0,
            })
        };
        let leased = |owner: &str, version| Leased {
            owner: Some(owner.to_owned()),
            version,
            notes: None,
        };
        let now = || {
            let own = sharing.last_lease.of(2).and_then(|leased| leased.version);
            (own, sharing.known.lock().version)
        };
        sharing.obtained(1, Some(leased("stopped", None)));
        sharing.obtained(2, Some(leased("later", version(5))));
        assert_eq!(now(), (version(5), version(5)));
        sharing.was_given("stopped", Version::default());
        assert_eq!(now(), (version(5), version(5)));
        sharing.was_given("later", Version::default());
        assert_eq!(now(), (Some(Version::default()), Some(Version::default())));
    }

    #[test]
    fn rule_20_a_look_under_way_is_waited_for_though_what_it_has_found_is_not_taken_over_yet() {
        let provider = Scripted::tokens(Lifetime::unknown());
        let sharing = Arc::new(Sharing::new(Arc::new(MemoryStore::new()), &provider));
        let looking = sharing.begin_look(5).unwrap();
        sharing.looked_until.store(10, Relaxed);
        assert!(sharing.may_look(5));
        drop(looking);
        assert!(!sharing.may_look(5) && sharing.may_look(10));
    }
}
