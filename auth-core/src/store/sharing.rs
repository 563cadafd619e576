//! What one cache does with its store: names, seals, and what is known of the entry.

use std::hash::{BuildHasher as _, RandomState};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::sync::watch;
use zeroize::Zeroizing;

use super::entry::{Change, Entry, NotesChange, Saved, SessionChange, Stored, Version};
use super::error::StoreError;
use super::following::Following;
use super::lease::{LeaseAnswer, LeaseAsk};
use super::leased::{LastLease, Leased, LoggedIn};
use super::looks::Looks;
use super::permit::{PermitAnswer, PermitAsk};
use super::revisions::Revisions;
use super::seal::Unreadable;
use super::settling::Settlings;
use super::steps::{SETTLED_WITHIN, Sharer, Steps, TROUBLE, within_a_step};
use super::store::Store;
use crate::clock::{Clock, nanos};
use crate::decide::{Known, Notes};
use crate::event::Event;
use crate::provider::Provider;
use crate::runtime::{AtomicBool, Mutex, Runtime, random};
use crate::session::Session;
use crate::session_parts::SessionParts;

/// How long a session, or a value that it keeps, is stored whose life is not known.
const KEEP_UNKNOWN: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How long notes are stored: longer than a refresh token lives, so that a spent one is known.
const KEEP_NOTES: Duration = Duration::from_secs(366 * 24 * 60 * 60);

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
    /// The secret that has logged in last.
    pub(crate) logged_in: Mutex<Option<LoggedIn>>,
    /// What has changed about the session since it was saved.
    pub(crate) revisions: Revisions,
    /// The flights whose sessions are being saved.
    pub(crate) settling: Arc<Settlings>,
    /// Held while a session is saved that is at hand, or its lease is given back. A close waits for
    /// that.
    pub(crate) publishing: tokio::sync::Mutex<()>,
    /// Held while a value of the session is saved, which one task at a time does. A close waits for
    /// that as well.
    pub(crate) revising: tokio::sync::Mutex<()>,
    /// Whether the cache is at its end, as the tasks hear that tell what failed logins have found
    /// out. Each has a receiver until it has told it.
    pub(crate) ends: watch::Sender<bool>,
    /// The looks for callers that would be turned away.
    pub(crate) looks: Arc<Looks>,
    /// The cache was closed to log out.
    logs_out: AtomicBool,
    /// The task that looks for changes.
    pub(crate) following: Following,
    pub(crate) steps: Steps,
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
    /// When they were saved, on the steady clock, if there are any.
    pub(crate) noted_at: Option<u64>,
}

impl Found {
    /// The notes without what they say of a secret that has logged in since then. `None`, if they
    /// may have been noted later than that.
    pub(crate) fn without_refusal(&self, by: LoggedIn) -> Option<Notes> {
        let are_older = self.noted_at.is_some_and(|noted| noted < by.at);
        are_older.then(|| {
            let mut notes = self.notes.clone();
            notes.logged_in_with(by.secret, None);
            notes
        })
    }
}

/// What the entry's parts are. Sealed with it, so that the one is not taken for the other.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Session,
    Notes,
}

/// Sleeps until then, or until the cache is at its end. Returns whether it is not.
pub(crate) async fn sleeps_until(
    clock: &Clock,
    time: u64,
    ends: &mut watch::Receiver<bool>,
) -> bool {
    let over = pin!(ends.wait_for(|is_over| *is_over));
    matches!(
        select(over, pin!(clock.sleep_until(time))).await,
        Either::Right(_)
    )
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
            logged_in: Mutex::default(),
            revisions: Revisions::default(),
            settling: Arc::default(),
            publishing: tokio::sync::Mutex::default(),
            revising: tokio::sync::Mutex::default(),
            ends: watch::Sender::new(false),
            looks: Arc::default(),
            logs_out: AtomicBool::new(false),
            following: Following::default(),
            steps: Steps::default(),
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
        let is_idle = self.settling.is_empty();
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

    /// The cache is at its end: waits until the store was told what failed logins have found out,
    /// which each task tries once more now.
    pub(crate) async fn tell_all(&self, clock: &Clock) {
        self.ends.send_replace(true);
        let until = clock.now().steady.saturating_add(nanos(SETTLED_WITHIN));
        select(pin!(self.ends.closed()), pin!(clock.sleep_until(until))).await;
    }

    /// Whether a caller that would be turned away has a look to wait for. There is none if the
    /// store was looked at not long ago, or is in trouble.
    pub(crate) fn may_look(&self, now: u64) -> bool {
        self.looks.may_find(now) && !self.steps.are_in_trouble(now)
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
        self.steps.take(cache, load).await
    }

    /// What is stored, after a step that began at a time and has failed: within what is left of
    /// that step's time. A store that can't be written may be read.
    pub(crate) async fn load_instead(&self, cache: &dyn Sharer, began: u64) -> Option<Found> {
        let load = async {
            let entry = self.store.load(&self.name).await?;
            Ok(self.found(cache, &entry))
        };
        self.steps.take_instead(cache, began, load).await
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
        self.steps.take(cache, lease).await
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
        let saved = self.steps.take(cache, save).await?;
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
        self.steps.take(cache, end).await
    }

    /// Asks for a permit.
    pub(crate) async fn permit(
        &self,
        cache: &dyn Sharer,
        ask: PermitAsk<'_>,
    ) -> Option<PermitAnswer> {
        let permit = async { self.store.permit(&self.origin, ask).await };
        self.steps.take(cache, permit).await
    }

    /// The permit counts for so long from now on.
    pub(crate) async fn end_permit(&self, cache: &dyn Sharer, id: &str, counts_for: Duration) {
        let end = async { self.store.end_permit(&self.origin, id, counts_for).await };
        self.steps.take(cache, end).await;
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
        let mut ends = self.ends.subscribe();
        runtime.spawn(async move {
            let mut once = Some(once);
            loop {
                let again = clock.now().steady.saturating_add(nanos(TROUBLE));
                if !sleeps_until(&clock, again, &mut ends).await {
                    if let Some(sharing) = once.take().or_else(|| sharing.upgrade()) {
                        sharing.hold(&clock, until).await;
                    }
                    return;
                }
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
        self.steps.attempt(cache, hold).await.is_ok()
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

    fn found(&self, cache: &dyn Sharer, entry: &Entry) -> Found {
        self.looks.have_ended(cache.clock().now().steady);
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
        let readable = entry.notes.as_ref().filter(|_| !lacks_notes);
        let now = cache.clock().now().steady;
        let noted_at = readable.map(|stored| now.saturating_sub(nanos(stored.age)));
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
            noted_at,
        }
    }

    fn seal(&self, text: &str, kind: Kind) -> Result<Vec<u8>, StoreError> {
        self.store.seal().seal(text, &self.whose(kind))
    }

    fn whose(&self, kind: Kind) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(format!("{kind:?} {}", *self.context).into_bytes())
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
    fn rule_22_what_may_have_been_noted_after_a_login_is_not_taken_back() {
        let by = |at| LoggedIn {
            secret: "tag".into(),
            at,
        };
        let found = Found {
            noted_at: Some(5),
            ..Found::default()
        };
        assert!(found.without_refusal(by(6)).is_some());
        assert!(found.without_refusal(by(5)).is_none());
        assert!(Found::default().without_refusal(by(6)).is_none());
    }

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
}
