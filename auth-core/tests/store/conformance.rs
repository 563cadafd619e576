//! The sentences of the trait, for every store.
//!
//! Each check gets two handles of one store, as two processes have them. [`conformance!`] makes a
//! test of each. A check that a thing lapses asks until it has, with a bound that only a broken
//! store reaches; a check that it has not lapsed uses times that no test lives to see.

use std::any::Any;
use std::time::{Duration, Instant};

use auth_core::store::{
    Change, Entry, Lease, LeaseAnswer, LeaseAsk, NotesChange, PermitAnswer, PermitAsk, Saved,
    SessionChange, Store, Version,
};
use futures_util::future::join_all;

/// Two handles of one store that holds nothing yet.
pub(crate) struct Fresh<S> {
    pub(crate) one: S,
    pub(crate) two: S,
    /// What must live as long, such as a folder.
    _guard: Box<dyn Any + Send + Sync>,
}

impl<S: Store> Fresh<S> {
    pub(crate) fn new(one: S, two: S, guard: impl Any + Send + Sync) -> Self {
        Self {
            one,
            two,
            _guard: Box::new(guard),
        }
    }

    /// The one for even numbers, the other for odd ones.
    fn handle(&self, number: usize) -> &S {
        if number.is_multiple_of(2) {
            &self.one
        } else {
            &self.two
        }
    }
}

/// Makes a test of each check. The argument is an expression of a [`Fresh`], which may await, or of
/// an option of one where the store can't be had everywhere.
macro_rules! conformance {
    ($fresh:expr) => {
        conformance! { $fresh;
            nothing_is_stored_at_first
            a_lease_is_held_by_one_at_a_time
            of_many_at_once_one_takes_the_lease
            who_asks_again_extends_its_lease
            who_only_extends_takes_no_lease
            a_lease_lapses_by_itself
            each_lease_has_a_greater_fence_than_all_before
            a_lease_is_released_by_its_owner_only
            a_lease_is_not_needed_if_a_newer_session_is_there
            a_lease_is_taken_if_the_session_is_over
            a_rejection_is_told_with_the_lease
            a_late_rejection_rejects_nothing_newer
            what_is_saved_is_loaded
            a_session_that_need_not_be_kept_is_not_there
            ages_are_counted_from_the_save
            only_a_newer_session_is_saved
            of_many_saves_at_once_the_newest_stays
            a_save_that_is_refused_releases_the_lease
            notes_and_session_are_changed_one_without_the_other
            notes_are_not_saved_after_a_later_lease
            notes_are_not_saved_over_a_newer_session
            a_rejected_session_is_kept_until_one_is_saved
            a_session_that_was_logged_out_does_not_come_back
            a_session_is_saved_without_a_lease
            a_session_of_another_epoch_is_saved_only_where_none_is
            a_session_of_another_epoch_does_not_come_back_after_its_end
            a_session_that_was_removed_does_not_come_back_after_its_end
            notes_of_another_epoch_are_not_saved_after_a_lease
            names_are_apart
            what_one_seals_the_other_opens
            permits_count_for_all_and_never_more_than_the_quota
            permits_are_exact_in_every_window
            a_permit_that_is_asked_for_again_counts_once
            a_permit_counts_from_the_end_of_its_login
            a_login_counts_from_its_end_though_its_permit_had_lapsed
            a_permit_that_is_given_back_counts_no_more
            a_hold_holds_and_is_not_shortened
            origins_are_apart
        }
    };
    ($fresh:expr; $($check:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $check() {
                let fresh: Option<Fresh<_>> = $fresh.into();
                if let Some(fresh) = fresh {
                    crate::conformance::$check(&fresh).await;
                }
            }
        )*
    };
}

pub(crate) const NAME: &str = "entry-1";
const ORIGIN: &str = "origin-1";

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);

/// Soon over.
const SHORT: Duration = Duration::from_millis(60);

/// Until then, what lapses has lapsed.
const BOUND: Duration = Duration::from_secs(20);

/// A store may count in milliseconds, and the coarse clocks of Linux have a tick of up to 10 ms.
const TICK: Duration = Duration::from_millis(12);

fn ask(owner: &str) -> LeaseAsk<'_> {
    LeaseAsk {
        owner,
        lasts: LONG,
        known: None,
        rejected: false,
        only_extends: false,
    }
}

fn change(version: Version, session: SessionChange) -> Change {
    Change {
        version,
        session,
        notes: NotesChange::Keep,
        releases: None,
    }
}

pub(crate) fn save(version: Version, sealed: &[u8]) -> Change {
    change(version, SessionChange::Save(sealed.to_vec(), LONG))
}

fn notes(version: Version, sealed: &[u8]) -> Change {
    Change {
        notes: NotesChange::Save(sealed.to_vec(), LONG),
        ..change(version, SessionChange::Keep)
    }
}

fn release(version: Version, owner: &str) -> Change {
    Change {
        releases: Some(owner.to_owned()),
        ..change(version, SessionChange::Keep)
    }
}

fn session(entry: &Entry) -> Option<&[u8]> {
    entry.session.as_ref().map(|stored| &stored.sealed[..])
}

fn noted(entry: &Entry) -> Option<&[u8]> {
    entry.notes.as_ref().map(|stored| &stored.sealed[..])
}

fn is_held(answer: &LeaseAnswer) -> bool {
    matches!(answer.lease, Lease::Held { .. })
}

/// Takes the lease, and returns the version of a session that is obtained under it.
pub(crate) async fn take(store: &impl Store, owner: &str) -> Version {
    let answer = lease(store, ask(owner)).await;
    let Lease::Taken { fence } = answer.lease else {
        panic!("{owner} got {answer:?}");
    };
    Version {
        epoch: answer.epoch,
        fence,
        revision: 0,
    }
}

async fn lease(store: &impl Store, ask: LeaseAsk<'_>) -> LeaseAnswer {
    store.lease(NAME, ask).await.unwrap()
}

async fn load(store: &impl Store) -> Entry {
    store.load(NAME).await.unwrap()
}

pub(crate) async fn made(store: &impl Store, change: Change) -> Version {
    match store.save(NAME, change).await.unwrap() {
        Saved::Made(version) => version,
        newer @ Saved::Newer(_) => panic!("{newer:?}"),
    }
}

async fn refused(store: &impl Store, change: Change) -> Version {
    match store.save(NAME, change).await.unwrap() {
        Saved::Newer(version) => version,
        made @ Saved::Made(_) => panic!("{made:?}"),
    }
}

fn next(version: Version) -> Version {
    Version {
        revision: version.revision + 1,
        ..version
    }
}

/// Asks until the answer is there.
async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(start.elapsed() < BOUND, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) async fn nothing_is_stored_at_first<S: Store>(fresh: &Fresh<S>) {
    let entry = load(&fresh.one).await;
    assert_eq!(entry.version, Version::default());
    assert!(entry.session.is_none() && entry.notes.is_none() && !entry.is_over);
    let epoch = lease(&fresh.one, ask("a")).await.epoch;
    assert_ne!(epoch, 0);
    let answer = lease(&fresh.two, ask("b")).await;
    assert_eq!(answer.epoch, epoch, "it is the store's");
    assert!(answer.entry.session.is_none());
}

pub(crate) async fn a_lease_is_held_by_one_at_a_time<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    assert!(version.fence >= 1);
    let Lease::Held { left } = lease(&fresh.two, ask("b")).await.lease else {
        panic!("two have it");
    };
    assert!(left <= LONG && left > LONG - BOUND, "{left:?}");
}

pub(crate) async fn of_many_at_once_one_takes_the_lease<S: Store>(fresh: &Fresh<S>) {
    let owners: Vec<_> = (0..12).map(|owner| format!("owner-{owner}")).collect();
    let asks = owners.iter().enumerate().map(|(number, owner)| {
        let store = fresh.handle(number);
        lease(store, ask(owner))
    });
    let answers = join_all(asks).await;
    let taken = answers.iter().filter(|answer| !is_held(answer)).count();
    assert_eq!(taken, 1, "{answers:?}");
}

pub(crate) async fn who_asks_again_extends_its_lease<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    let longer = LeaseAsk {
        lasts: LONG * 2,
        ..ask("a")
    };
    let answer = lease(&fresh.two, longer).await;
    let fence = version.fence;
    assert_eq!(answer.lease, Lease::Taken { fence }, "it is the same lease");
    let Lease::Held { left } = lease(&fresh.one, ask("b")).await.lease else {
        panic!("it was lost");
    };
    assert!(left > LONG, "{left:?}");
}

pub(crate) async fn who_only_extends_takes_no_lease<S: Store>(fresh: &Fresh<S>) {
    let extend = |owner| LeaseAsk {
        only_extends: true,
        ..ask(owner)
    };
    let answer = lease(&fresh.one, extend("a")).await;
    assert_eq!(answer.lease, Lease::NotNeeded, "nobody has it");
    let version = take(&fresh.one, "a").await;
    let answer = lease(&fresh.two, extend("b")).await;
    assert_eq!(answer.lease, Lease::NotNeeded, "it is a's");
    let longer = LeaseAsk {
        lasts: LONG * 2,
        ..extend("a")
    };
    let answer = lease(&fresh.one, longer).await;
    let fence = version.fence;
    assert_eq!(answer.lease, Lease::Taken { fence });
    let Lease::Held { left } = lease(&fresh.two, ask("b")).await.lease else {
        panic!("it was lost");
    };
    assert!(left > LONG, "{left:?}");
    made(&fresh.one, release(version, "a")).await;
    let answer = lease(&fresh.one, extend("a")).await;
    assert_eq!(answer.lease, Lease::NotNeeded, "it was released");
    assert!(take(&fresh.two, "b").await.fence > fence);
}

pub(crate) async fn a_lease_lapses_by_itself<S: Store>(fresh: &Fresh<S>) {
    let start = Instant::now();
    let short = LeaseAsk {
        lasts: SHORT,
        ..ask("a")
    };
    let first = lease(&fresh.one, short).await;
    let second = until("the lapse", async || {
        let answer = lease(&fresh.two, ask("b")).await;
        (!is_held(&answer)).then_some(answer)
    });
    let second = second.await;
    assert!(start.elapsed() + TICK >= SHORT);
    let (Lease::Taken { fence: first }, Lease::Taken { fence: second }) =
        (first.lease, second.lease)
    else {
        panic!("{first:?}, {second:?}");
    };
    assert!(second > first);
    assert!(is_held(&lease(&fresh.one, ask("a")).await), "it was a's");
}

pub(crate) async fn each_lease_has_a_greater_fence_than_all_before<S: Store>(fresh: &Fresh<S>) {
    let mut last = 0;
    for round in 0..6 {
        let (store, owner) = match round % 2 {
            0 => (&fresh.one, "a"),
            _ => (&fresh.two, "b"),
        };
        let version = take(store, owner).await;
        assert!(version.fence > last);
        last = version.fence;
        if round == 2 {
            made(store, save(version, b"s")).await;
            made(store, change(version, SessionChange::End)).await;
        }
        store.save(NAME, release(version, owner)).await.unwrap();
    }
}

pub(crate) async fn a_lease_is_released_by_its_owner_only<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.two, release(version, "b")).await;
    assert!(is_held(&lease(&fresh.two, ask("b")).await));
    made(&fresh.one, release(version, "a")).await;
    take(&fresh.two, "b").await;
    made(&fresh.one, release(version, "a")).await;
    assert!(is_held(&lease(&fresh.one, ask("c")).await), "it is b's now");
}

pub(crate) async fn a_lease_is_not_needed_if_a_newer_session_is_there<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    let stored = next(version);
    let saved = Change {
        releases: Some("a".to_owned()),
        ..save(stored, b"s1")
    };
    made(&fresh.one, saved).await;
    let other_epoch = Version {
        epoch: !version.epoch,
        fence: 1_000,
        revision: 1_000,
    };
    for known in [None, Some(version), Some(other_epoch)] {
        let answer = lease(&fresh.two, LeaseAsk { known, ..ask("b") }).await;
        assert_eq!(answer.lease, Lease::NotNeeded, "{known:?}");
        assert_eq!(session(&answer.entry), Some(&b"s1"[..]));
        assert_eq!(answer.entry.version, stored);
    }
    let known = LeaseAsk {
        known: Some(stored),
        ..ask("b")
    };
    let answer = lease(&fresh.two, known).await;
    assert!(matches!(answer.lease, Lease::Taken { .. }), "{answer:?}");
    let answer = lease(&fresh.one, ask("c")).await;
    assert_eq!(answer.lease, Lease::NotNeeded, "whatever owner has it");
}

pub(crate) async fn a_lease_is_taken_if_the_session_is_over<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.one, save(version, b"s1")).await;
    let rejected = Change {
        releases: Some("a".to_owned()),
        ..change(version, SessionChange::Reject)
    };
    made(&fresh.one, rejected).await;
    let answer = lease(&fresh.two, ask("b")).await;
    assert!(matches!(answer.lease, Lease::Taken { .. }));
    assert!(answer.entry.is_over);
    assert_eq!(session(&answer.entry), Some(&b"s1"[..]), "it may refresh");
}

pub(crate) async fn a_rejection_is_told_with_the_lease<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.one, save(version, b"s1")).await;
    let rejected = LeaseAsk {
        known: Some(version),
        rejected: true,
        ..ask("b")
    };
    let answer = lease(&fresh.two, rejected).await;
    assert!(is_held(&answer), "a has it");
    assert!(answer.entry.is_over);
    let entry = load(&fresh.one).await;
    assert!(entry.is_over && entry.session.is_some());
    assert_eq!(entry.version, version);
}

pub(crate) async fn a_late_rejection_rejects_nothing_newer<S: Store>(fresh: &Fresh<S>) {
    let first = take(&fresh.one, "a").await;
    made(&fresh.one, save(first, b"s1")).await;
    made(&fresh.one, save(next(first), b"s2")).await;
    let late = LeaseAsk {
        known: Some(first),
        rejected: true,
        ..ask("b")
    };
    let answer = lease(&fresh.two, late).await;
    assert_eq!(answer.lease, Lease::NotNeeded);
    assert!(!answer.entry.is_over);
    let late = change(first, SessionChange::Reject);
    assert_eq!(refused(&fresh.two, late).await, next(first));
    assert!(!load(&fresh.one).await.is_over);
}

pub(crate) async fn what_is_saved_is_loaded<S: Store>(fresh: &Fresh<S>) {
    let mut version = take(&fresh.one, "a").await;
    let long: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for sealed in [&b"s"[..], b"", b"\0\xff\n\"", &long] {
        version = next(version);
        let change = Change {
            session: SessionChange::Save(sealed.to_vec(), Duration::MAX),
            notes: NotesChange::Save(sealed.to_vec(), Duration::MAX),
            ..save(version, b"")
        };
        assert_eq!(made(&fresh.one, change).await, version);
        let entry = load(&fresh.two).await;
        assert_eq!(entry.version, version);
        assert_eq!(
            (session(&entry), noted(&entry)),
            (Some(sealed), Some(sealed))
        );
        assert!(!entry.is_over);
    }
}

pub(crate) async fn a_session_that_need_not_be_kept_is_not_there<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    let start = Instant::now();
    let short = SessionChange::Save(b"s1".to_vec(), SHORT);
    let both = Change {
        notes: NotesChange::Save(b"n1".to_vec(), LONG),
        ..change(version, short)
    };
    made(&fresh.one, both).await;
    until("the end", async || {
        load(&fresh.two).await.session.is_none().then_some(())
    })
    .await;
    assert!(start.elapsed() + TICK >= SHORT);
    assert_eq!(noted(&load(&fresh.two).await), Some(&b"n1"[..]));
}

pub(crate) async fn ages_are_counted_from_the_save<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    let before = Instant::now();
    made(&fresh.one, save(version, b"s1")).await;
    let after = Instant::now();
    tokio::time::sleep(SHORT).await;
    made(&fresh.one, notes(version, b"n1")).await;
    // Not more than has passed, as it was read last, nor less, as it was read first.
    let least = after.elapsed();
    let entry = load(&fresh.two).await;
    let most = before.elapsed();
    let age = |stored: Option<auth_core::store::Stored>| stored.unwrap().age;
    let (session, notes) = (age(entry.session), age(entry.notes));
    assert!(session + TICK >= least, "{session:?}, {least:?}");
    assert!(session <= most + TICK, "{session:?}, {most:?}");
    assert!(notes + SHORT <= session + TICK, "{notes:?}, {session:?}");
}

pub(crate) async fn only_a_newer_session_is_saved<S: Store>(fresh: &Fresh<S>) {
    let first = take(&fresh.one, "a").await;
    made(&fresh.one, release(first, "a")).await;
    let second = take(&fresh.two, "b").await;
    let stored = next(second);
    made(&fresh.two, save(stored, b"s2")).await;
    for stale in [first, next(next(next(first))), second, stored] {
        assert_eq!(refused(&fresh.one, save(stale, b"stale")).await, stored);
        let entry = load(&fresh.one).await;
        assert_eq!(session(&entry), Some(&b"s2"[..]), "{stale:?}");
        assert_eq!(entry.version, stored);
    }
    assert_eq!(
        made(&fresh.one, save(next(stored), b"s3")).await,
        next(stored)
    );
    assert_eq!(session(&load(&fresh.two).await), Some(&b"s3"[..]));
}

pub(crate) async fn of_many_saves_at_once_the_newest_stays<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    let saves = (0..13_usize).map(|number| {
        let revision = 1 + (number as u64 * 5 + 2) % 13;
        let change = save(
            Version {
                revision,
                ..version
            },
            &revision.to_be_bytes(),
        );
        fresh.handle(number).save(NAME, change)
    });
    for saved in join_all(saves).await {
        saved.unwrap();
    }
    let entry = load(&fresh.one).await;
    assert_eq!(entry.version.revision, 13);
    assert_eq!(session(&entry), Some(&13_u64.to_be_bytes()[..]));
}

pub(crate) async fn a_save_that_is_refused_releases_the_lease<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.two, save(next(version), b"s1")).await;
    let refused_one = Change {
        releases: Some("a".to_owned()),
        ..save(version, b"stale")
    };
    refused(&fresh.one, refused_one).await;
    let known = LeaseAsk {
        known: Some(next(version)),
        ..ask("b")
    };
    let answer = lease(&fresh.two, known).await;
    assert!(!is_held(&answer), "{answer:?}");
}

pub(crate) async fn notes_and_session_are_changed_one_without_the_other<S: Store>(
    fresh: &Fresh<S>,
) {
    let version = take(&fresh.one, "a").await;
    let known = Version {
        fence: 0,
        ..version
    };
    assert_eq!(made(&fresh.one, notes(version, b"n1")).await, known);
    let entry = load(&fresh.two).await;
    assert_eq!((session(&entry), noted(&entry)), (None, Some(&b"n1"[..])));
    assert!(!entry.version.is_of_a_session());
    made(&fresh.one, save(version, b"s1")).await;
    let entry = load(&fresh.two).await;
    assert_eq!(noted(&entry), Some(&b"n1"[..]));
    assert_eq!(made(&fresh.two, notes(version, b"n2")).await, version);
    let entry = load(&fresh.one).await;
    assert_eq!(
        (session(&entry), noted(&entry)),
        (Some(&b"s1"[..]), Some(&b"n2"[..]))
    );
    assert_eq!(entry.version, version);
}

pub(crate) async fn notes_are_not_saved_after_a_later_lease<S: Store>(fresh: &Fresh<S>) {
    let first = take(&fresh.one, "a").await;
    let release = Change {
        releases: Some("a".to_owned()),
        ..change(first, SessionChange::Keep)
    };
    let _ = fresh.one.save(NAME, release).await.unwrap();
    let second = take(&fresh.two, "b").await;
    made(&fresh.two, notes(second, b"n2")).await;
    refused(&fresh.one, notes(first, b"n1")).await;
    assert_eq!(noted(&load(&fresh.one).await), Some(&b"n2"[..]));
    // A session may be, and its notes stay behind.
    let both = Change {
        notes: NotesChange::Save(b"n1".to_vec(), LONG),
        ..save(first, b"s1")
    };
    assert_eq!(made(&fresh.one, both).await, first);
    let entry = load(&fresh.two).await;
    assert_eq!(
        (session(&entry), noted(&entry)),
        (Some(&b"s1"[..]), Some(&b"n2"[..]))
    );
}

pub(crate) async fn notes_are_not_saved_over_a_newer_session<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.one, save(next(version), b"s1")).await;
    assert_eq!(
        refused(&fresh.two, notes(version, b"n1")).await,
        next(version)
    );
    assert!(load(&fresh.two).await.notes.is_none());
    let newer = next(next(version));
    assert_eq!(made(&fresh.two, notes(newer, b"n1")).await, next(version));
}

pub(crate) async fn a_rejected_session_is_kept_until_one_is_saved<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.one, save(version, b"s1")).await;
    let rejected = change(version, SessionChange::Reject);
    assert_eq!(made(&fresh.two, rejected).await, version);
    let entry = load(&fresh.one).await;
    assert!(entry.is_over && !entry.was_logged_out());
    assert_eq!(session(&entry), Some(&b"s1"[..]));
    made(&fresh.one, save(next(version), b"s2")).await;
    let entry = load(&fresh.two).await;
    assert!(!entry.is_over);
    assert_eq!(session(&entry), Some(&b"s2"[..]));
}

pub(crate) async fn a_session_that_was_logged_out_does_not_come_back<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.one, save(version, b"s1")).await;
    made(&fresh.one, notes(version, b"n1")).await;
    let ended = Change {
        releases: Some("a".to_owned()),
        ..change(version, SessionChange::End)
    };
    assert_eq!(made(&fresh.one, ended).await, version);
    let entry = load(&fresh.two).await;
    assert!(entry.was_logged_out());
    assert_eq!(entry.version, version, "its version stays");
    assert_eq!(noted(&entry), Some(&b"n1"[..]));
    refused(&fresh.two, save(next(version), b"s1 renewed")).await;
    // It may be the same one, which was saved anew after the store had lost its data.
    let before = Version {
        epoch: !version.epoch,
        ..version
    };
    refused(&fresh.two, save(before, b"s1 renewed")).await;
    assert!(load(&fresh.two).await.session.is_none());
    let second = take(&fresh.two, "b").await;
    assert!(second.fence > version.fence);
    made(&fresh.two, save(second, b"s2")).await;
    assert!(!load(&fresh.one).await.is_over);
    let late = change(version, SessionChange::End);
    refused(&fresh.one, late).await;
    assert_eq!(session(&load(&fresh.one).await), Some(&b"s2"[..]));
}

pub(crate) async fn a_session_is_saved_without_a_lease<S: Store>(fresh: &Fresh<S>) {
    let epoch = lease(&fresh.one, ask("a")).await.epoch;
    let version = Version {
        epoch,
        fence: 0,
        revision: 1,
    };
    assert_eq!(made(&fresh.two, save(version, b"s1")).await, version);
    assert_eq!(session(&load(&fresh.one).await), Some(&b"s1"[..]));
    let leased = Version {
        fence: 1,
        ..version
    };
    made(&fresh.one, save(leased, b"s2")).await;
}

pub(crate) async fn a_session_of_another_epoch_is_saved_only_where_none_is<S: Store>(
    fresh: &Fresh<S>,
) {
    let answer = lease(&fresh.one, ask("a")).await;
    let epoch = answer.epoch;
    let lost = Version {
        epoch: !epoch,
        fence: 9,
        revision: 4,
    };
    let saved = made(&fresh.two, save(lost, b"s1")).await;
    assert_eq!((saved.epoch, saved.fence), (epoch, 0));
    assert!(saved.is_of_a_session());
    let entry = load(&fresh.one).await;
    assert_eq!((session(&entry), entry.version), (Some(&b"s1"[..]), saved));
    assert_eq!(refused(&fresh.two, save(lost, b"s2")).await, saved);
    refused(&fresh.two, change(lost, SessionChange::Reject)).await;
    refused(&fresh.two, change(lost, SessionChange::End)).await;
    let entry = load(&fresh.one).await;
    assert!(!entry.is_over);
    assert_eq!(session(&entry), Some(&b"s1"[..]));
}

pub(crate) async fn a_session_of_another_epoch_does_not_come_back_after_its_end<S: Store>(
    fresh: &Fresh<S>,
) {
    let epoch = lease(&fresh.one, ask("a")).await.epoch;
    let lost = Version {
        epoch: !epoch,
        fence: 9,
        revision: 4,
    };
    let ended = made(&fresh.one, change(lost, SessionChange::End)).await;
    assert_eq!((ended.epoch, ended.fence), (epoch, 0));
    assert!(ended.is_of_a_session());
    let entry = load(&fresh.two).await;
    assert!(
        entry.was_logged_out() && entry.version == ended,
        "{entry:?}"
    );
    refused(&fresh.two, save(next(lost), b"s1 rolled")).await;
    refused(&fresh.two, save(next(ended), b"s1 rolled")).await;
    assert_eq!(
        made(&fresh.one, change(ended, SessionChange::End)).await,
        ended
    );
    let version = take(&fresh.two, "a").await;
    made(&fresh.two, save(version, b"s2")).await;
    assert!(!load(&fresh.one).await.is_over);
}

pub(crate) async fn a_session_that_was_removed_does_not_come_back_after_its_end<S: Store>(
    fresh: &Fresh<S>,
) {
    let version = next(take(&fresh.one, "a").await);
    assert_eq!(
        made(&fresh.one, change(version, SessionChange::End)).await,
        version
    );
    assert!(load(&fresh.two).await.was_logged_out());
    refused(&fresh.two, save(next(version), b"s1 rolled")).await;
}

pub(crate) async fn notes_of_another_epoch_are_not_saved_after_a_lease<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.one, notes(version, b"n2")).await;
    let lost = Change {
        notes: NotesChange::Save(b"n1".to_vec(), LONG),
        ..save(
            Version {
                epoch: !version.epoch,
                fence: u64::MAX,
                revision: 4,
            },
            b"s1",
        )
    };
    made(&fresh.two, lost).await;
    let entry = load(&fresh.one).await;
    assert_eq!(
        (session(&entry), noted(&entry)),
        (Some(&b"s1"[..]), Some(&b"n2"[..]))
    );
}

pub(crate) async fn names_are_apart<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    made(&fresh.one, save(version, b"s1")).await;
    let other = fresh.two.load("entry-2").await.unwrap();
    assert!(other.session.is_none());
    let answer = fresh.two.lease("entry-2", ask("b")).await.unwrap();
    assert!(matches!(answer.lease, Lease::Taken { .. }));
    // Nor are entries and permits one.
    let answer = fresh.two.permit(NAME, permit("p", 1, LONG)).await.unwrap();
    assert_eq!(answer, PermitAnswer::Given);
    assert_eq!(session(&load(&fresh.two).await), Some(&b"s1"[..]));
}

pub(crate) async fn what_one_seals_the_other_opens<S: Store>(fresh: &Fresh<S>) {
    let (one, two) = (fresh.one.seal(), fresh.two.seal());
    let name = one.name(b"ann at https://api.example");
    assert_eq!(two.name(b"ann at https://api.example"), name);
    assert_ne!(two.name(b"bob at https://api.example"), name);
    assert!(
        name.bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{name}"
    );
    let sealed = one.seal("token", b"ann").unwrap();
    assert_eq!(two.open(&sealed, b"ann").unwrap().expose(), "token");
    assert!(two.open(&sealed, b"bob").is_err());
}

fn permit(id: &str, most: u32, counts_for: Duration) -> PermitAsk<'_> {
    PermitAsk {
        id,
        most,
        window: counts_for,
        counts_for,
    }
}

async fn permitted(store: &impl Store, ask: PermitAsk<'_>) -> PermitAnswer {
    store.permit(ORIGIN, ask).await.unwrap()
}

pub(crate) async fn permits_count_for_all_and_never_more_than_the_quota<S: Store>(
    fresh: &Fresh<S>,
) {
    let ids: Vec<_> = (0..12).map(|id| format!("login-{id}")).collect();
    let asks = ids.iter().enumerate().map(|(number, id)| {
        let store = fresh.handle(number);
        permitted(store, permit(id, 3, LONG))
    });
    let answers = join_all(asks).await;
    let mut given = 0;
    for answer in &answers {
        match answer {
            PermitAnswer::Given => given += 1,
            PermitAnswer::Wait(wait) => {
                assert!(*wait <= LONG && *wait > LONG - BOUND, "{wait:?}");
            }
        }
    }
    assert_eq!(given, 3, "{answers:?}");
}

pub(crate) async fn permits_are_exact_in_every_window<S: Store>(fresh: &Fresh<S>) {
    const WINDOW: Duration = Duration::from_millis(80);

    let mut given = Vec::new();
    let start = Instant::now();
    for number in 0..15 {
        let store = fresh.handle(number);
        let id = format!("login-{number}");
        let times = until("a permit", async || {
            let asked = Instant::now();
            match permitted(store, permit(&id, 3, WINDOW)).await {
                PermitAnswer::Given => Some((asked, Instant::now())),
                PermitAnswer::Wait(wait) => {
                    assert!(wait <= WINDOW, "{wait:?}");
                    None
                }
            }
        });
        given.push(times.await);
    }
    // The answer to the fourth came when the first had been asked for a window ago, at least.
    for four in given.windows(4) {
        let (first_asked, fourth_answered) = (four[0].0, four[3].1);
        let between = fourth_answered - first_asked;
        assert!(between + TICK >= WINDOW, "{between:?}");
    }
    assert!(start.elapsed() + TICK * 4 >= WINDOW * 4);
}

pub(crate) async fn a_permit_that_is_asked_for_again_counts_once<S: Store>(fresh: &Fresh<S>) {
    for store in [&fresh.one, &fresh.two, &fresh.one] {
        let answer = permitted(store, permit("a", 2, LONG)).await;
        assert_eq!(answer, PermitAnswer::Given);
    }
    let answer = permitted(&fresh.two, permit("b", 2, LONG)).await;
    assert_eq!(answer, PermitAnswer::Given);
    let answer = permitted(&fresh.one, permit("c", 2, LONG)).await;
    assert!(matches!(answer, PermitAnswer::Wait(_)));
    // The quota of the one who asks counts.
    let answer = permitted(&fresh.one, permit("c", 3, LONG)).await;
    assert_eq!(answer, PermitAnswer::Given);
}

pub(crate) async fn a_permit_counts_from_the_end_of_its_login<S: Store>(fresh: &Fresh<S>) {
    permitted(&fresh.one, permit("a", 1, LONG * 2)).await;
    let end = async |store: &S, id, counts_for| {
        store.end_permit(ORIGIN, id, counts_for).await.unwrap();
    };
    end(&fresh.two, "b", Duration::ZERO).await;
    let PermitAnswer::Wait(wait) = permitted(&fresh.two, permit("c", 1, LONG)).await else {
        panic!("another's end ended it");
    };
    assert!(wait > LONG, "{wait:?}");
    end(&fresh.two, "a", LONG).await;
    let PermitAnswer::Wait(wait) = permitted(&fresh.two, permit("c", 1, LONG)).await else {
        panic!("it counts for a window more");
    };
    assert!(wait <= LONG && wait > LONG - BOUND, "{wait:?}");
    let ended = Instant::now();
    end(&fresh.one, "a", SHORT).await;
    until("the end of the window", async || {
        let answer = permitted(&fresh.two, permit("c", 1, LONG)).await;
        (answer == PermitAnswer::Given).then_some(())
    })
    .await;
    assert!(ended.elapsed() + TICK >= SHORT);
}

pub(crate) async fn a_login_counts_from_its_end_though_its_permit_had_lapsed<S: Store>(
    fresh: &Fresh<S>,
) {
    permitted(&fresh.one, permit("a", 2, SHORT)).await;
    until("the permit has lapsed", async || {
        let answer = permitted(&fresh.two, permit("b", 1, LONG)).await;
        (answer == PermitAnswer::Given).then_some(())
    })
    .await;
    let ended = fresh.one.end_permit(ORIGIN, "a", LONG / 2);
    ended.await.unwrap();
    // One that is not known and was not sent does not count.
    let back = fresh.two.end_permit(ORIGIN, "c", Duration::ZERO);
    back.await.unwrap();
    let PermitAnswer::Wait(wait) = permitted(&fresh.two, permit("d", 2, LONG)).await else {
        panic!("two count");
    };
    assert!(wait <= LONG / 2, "{wait:?}");
    let answer = permitted(&fresh.two, permit("d", 3, LONG)).await;
    assert_eq!(answer, PermitAnswer::Given, "two count, and no third");
}

pub(crate) async fn a_permit_that_is_given_back_counts_no_more<S: Store>(fresh: &Fresh<S>) {
    permitted(&fresh.one, permit("a", 1, LONG)).await;
    let back = fresh.one.end_permit(ORIGIN, "a", Duration::ZERO);
    back.await.unwrap();
    let answer = permitted(&fresh.two, permit("b", 1, LONG)).await;
    assert_eq!(answer, PermitAnswer::Given);
}

pub(crate) async fn a_hold_holds_and_is_not_shortened<S: Store>(fresh: &Fresh<S>) {
    let start = Instant::now();
    fresh.one.hold("brief", SHORT).await.unwrap();
    until("the end of the hold", async || {
        let answer = fresh.two.permit("brief", permit("a", 9, LONG)).await;
        match answer.unwrap() {
            PermitAnswer::Given => Some(()),
            PermitAnswer::Wait(wait) => {
                assert!(wait <= SHORT, "{wait:?}");
                None
            }
        }
    })
    .await;
    assert!(start.elapsed() + TICK >= SHORT);

    fresh.one.hold(ORIGIN, LONG).await.unwrap();
    fresh.two.hold(ORIGIN, SHORT).await.unwrap();
    let PermitAnswer::Wait(wait) = permitted(&fresh.two, permit("a", 9, SHORT)).await else {
        panic!("it holds");
    };
    assert!(wait > LONG - BOUND && wait <= LONG, "{wait:?}");
}

pub(crate) async fn origins_are_apart<S: Store>(fresh: &Fresh<S>) {
    for origin in ["origin-1", "origin-2"] {
        let answer = fresh.one.permit(origin, permit("a", 1, LONG)).await;
        assert_eq!(answer.unwrap(), PermitAnswer::Given, "{origin}");
    }
    fresh.one.hold("origin-1", LONG).await.unwrap();
    let answer = fresh.two.permit("origin-3", permit("a", 1, LONG)).await;
    assert_eq!(answer.unwrap(), PermitAnswer::Given);
}

/// It is no part of [`conformance!`], because a store need not notice.
pub(crate) async fn a_change_of_another_process_is_noticed<S: Store>(fresh: &Fresh<S>) {
    let version = take(&fresh.one, "a").await;
    let noticed = fresh.two.changed(NAME);
    let change = async {
        // `changed` looks first.
        tokio::time::sleep(SHORT).await;
        made(&fresh.one, save(version, b"s1")).await;
    };
    let both = futures_util::future::join(noticed, change);
    let outcome = tokio::time::timeout(BOUND, both).await;
    assert!(outcome.is_ok(), "it was not noticed");
    let quiet = tokio::time::timeout(Duration::from_millis(500), fresh.two.changed(NAME));
    assert!(quiet.await.is_err(), "nothing has changed");
}
