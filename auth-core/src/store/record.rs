//! The steps of a store without I/O, for stores that read and write under a lock.

use std::fmt;
use std::time::Duration;

use super::entry::{Change, Entry, Length, NotesChange, Saved, SessionChange, Stored, Version};
use super::lease::{Lease, LeaseAnswer, LeaseAsk};
use super::permit::{PermitAnswer, PermitAsk};
use super::seal::Unreadable;
use crate::clock::Moment;

/// What is kept of one identity: its session and its notes, each with the time of its save.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Clock;
/// use auth_core::store::{Change, LeaseRecord, NotesChange, Record, Saved, SessionChange, Version};
///
/// let (mut record, mut lease) = (Record::default(), LeaseRecord::new(7));
/// let now = Clock::system().now();
/// let save = |fence| Change {
///     version: Version { epoch: 7, fence, revision: 0 },
///     session: SessionChange::Save(b"sealed".to_vec(), Duration::from_secs(60)),
///     notes: NotesChange::Keep,
///     releases: None,
/// };
/// assert!(matches!(record.save(&mut lease, save(2), now), Saved::Made(_)));
/// assert!(matches!(record.save(&mut lease, save(1), now), Saved::Newer(_)), "it was stopped");
/// assert!(record.entry(now).session.is_some() && !record.is_idle(now));
/// ```
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "stores write it as they like")]
pub struct Record {
    /// The version of the session, also of one that has ended.
    pub version: Version,
    /// The session.
    pub session: Option<Kept>,
    /// Whether the session was rejected, or logged out.
    pub is_over: bool,
    /// The notes.
    pub notes: Option<Kept>,
    /// Why what was found can't be read, until a session is saved or logged out in its place. It is
    /// not written: a store sets it when it has read something that it can make no record of.
    pub unreadable: Option<Unreadable>,
}

/// Sealed bytes, when they were saved, and how long they need to be kept.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Clock;
/// use auth_core::store::{Kept, Record};
///
/// // As a store reads it: bytes, and the times beside them.
/// let now = Clock::system().now();
/// let kept = Kept { sealed: b"sealed".to_vec(), saved: now, keep_for: Duration::from_secs(60) };
/// let record = Record { session: Some(kept), ..Record::default() };
/// assert!(record.entry(now).session.is_some());
/// ```
#[derive(Clone)]
#[allow(clippy::exhaustive_structs, reason = "stores write it as they like")]
pub struct Kept {
    /// The bytes.
    pub sealed: Vec<u8>,
    /// When they were saved. A steady reading that is ahead of now is of another start of the
    /// machine, and says nothing.
    pub saved: Moment,
    /// How long they need to be kept from then on.
    pub keep_for: Duration,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("sealed", &Length(&self.sealed))
            .field("saved", &self.saved)
            .field("keep_for", &self.keep_for)
            .finish()
    }
}

/// The lease of one identity, which outlives its record: fences must not begin anew.
///
/// ```
/// use auth_core::store::LeaseRecord;
///
/// // A store that has lost its data draws another epoch.
/// let lease = LeaseRecord::new(0x5eed);
/// assert_eq!((lease.epoch, lease.fence, lease.owner), (0x5eed, 0, None));
/// ```
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "stores write it as they like")]
pub struct LeaseRecord {
    /// The epoch. A store draws it at random, and not zero, when it has none.
    pub epoch: u64,
    /// The fence of the last lease.
    pub fence: u64,
    /// Its owner, until it is released.
    pub owner: Option<String>,
    /// When it lapses, on a clock that can't be set.
    pub until: Duration,
}

/// The permits of one origin.
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::{PermitAnswer, PermitAsk, PermitRecord};
///
/// let (mut permits, now) = (PermitRecord::default(), Duration::from_secs(100));
/// permits.hold(Duration::from_secs(30), now); // the server's `Retry-After`
/// let (window, counts_for) = (Duration::from_secs(62), Duration::from_secs(97));
/// let ask = PermitAsk { id: "one", most: 10, window, counts_for };
/// assert_eq!(permits.permit(ask, now), PermitAnswer::Wait(Duration::from_secs(30)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "stores write it as they like")]
pub struct PermitRecord {
    /// Each with its id, and until when it counts, on a clock that can't be set.
    pub given: Vec<(String, Duration)>,
    /// The login server wants no login before this.
    pub held_until: Duration,
}

impl Record {
    /// The entry as it is now. What need not be kept any more is not there.
    pub fn entry(&self, now: Moment) -> Entry {
        let session = self.session.as_ref().map(|kept| (kept, kept.age(now)));
        let notes = self.notes.as_ref().map(|kept| (kept, kept.steady_age(now)));
        let stored = |(kept, age): (&Kept, Duration)| kept.stored(age);
        Entry {
            version: self.version,
            session: session.and_then(stored),
            is_over: self.is_over,
            notes: notes.and_then(stored),
            unreadable: self.unreadable,
            may_lack_notes: false,
        }
    }

    /// Looks, takes the lease if it is free and needed, and looks again. `steady` is the time on
    /// the clock of the lease.
    pub fn lease(
        &mut self,
        lease: &mut LeaseRecord,
        ask: LeaseAsk<'_>,
        now: Moment,
        steady: Duration,
    ) -> LeaseAnswer {
        if let Some(known) = ask.known.filter(|_| ask.rejected)
            && known.is_of_same_session(self.version)
            && !self.version.is_newer_than(known)
        {
            self.is_over = true;
        }
        let entry = self.entry(now);
        let is_newer = (ask.known).is_none_or(|known| self.version.is_newer_than(known));
        let has_it = lease.owner.as_deref() == Some(ask.owner);
        let is_needed = entry.session.is_none() || entry.is_over || !is_newer;
        let answer = if !has_it && (ask.only_extends || !is_needed) {
            Lease::NotNeeded
        } else {
            let is_known = self.version.epoch == lease.epoch;
            let last = if is_known { self.version.fence } else { 0 };
            lease.take(ask.owner, ask.lasts, steady, last)
        };
        LeaseAnswer {
            lease: answer,
            epoch: lease.epoch,
            entry,
        }
    }

    /// Makes a change, if the rule allows it, and releases the lease if the change says so.
    pub fn save(&mut self, lease: &mut LeaseRecord, change: Change, now: Moment) -> Saved {
        if change.releases.is_some() && change.releases == lease.owner {
            lease.owner = None;
        }
        let mut entry = self.entry(now);
        if !self.version.is_of_a_session() {
            entry.version.epoch = lease.epoch;
        }
        let Some(version) = change.allowed(&entry, lease.epoch, lease.fence) else {
            return Saved::Newer(self.version);
        };
        self.version = version;
        let is_late = change.is_late(lease.epoch, lease.fence);
        let keep = |sealed, keep_for| {
            Some(Kept {
                sealed,
                saved: now,
                keep_for,
            })
        };
        match change.session {
            SessionChange::Keep => {}
            SessionChange::Save(sealed, keep_for) => {
                self.session = keep(sealed, keep_for);
                self.is_over = false;
                self.unreadable = None;
            }
            SessionChange::Reject => self.is_over = true,
            SessionChange::End => {
                self.session = None;
                self.is_over = true;
                self.unreadable = None;
            }
        }
        match change.notes {
            NotesChange::Keep => {}
            NotesChange::Save(..) if is_late => {}
            NotesChange::Save(sealed, keep_for) => self.notes = keep(sealed, keep_for),
        }
        Saved::Made(version)
    }

    /// Whether nothing of it need be kept any more.
    pub fn is_idle(&self, now: Moment) -> bool {
        let entry = self.entry(now);
        entry.session.is_none() && entry.notes.is_none()
    }
}

impl Kept {
    /// Both clocks count, and the one by which it is older (rule 14).
    fn age(&self, now: Moment) -> Duration {
        let steady = now.steady.saturating_sub(self.saved.steady);
        Duration::from_nanos(self.wall_age(now).max(steady))
    }

    /// The age of what states waits, which the wall clock neither shortens nor lengthens while the
    /// machine runs.
    fn steady_age(&self, now: Moment) -> Duration {
        let steady = now.steady.checked_sub(self.saved.steady);
        Duration::from_nanos(steady.unwrap_or_else(|| self.wall_age(now)))
    }

    const fn wall_age(&self, now: Moment) -> u64 {
        now.wall.saturating_sub(self.saved.wall)
    }

    fn stored(&self, age: Duration) -> Option<Stored> {
        (age < self.keep_for).then(|| Stored {
            sealed: self.sealed.clone(),
            age,
        })
    }
}

impl LeaseRecord {
    /// The first lease of an epoch.
    pub fn new(epoch: u64) -> Self {
        Self {
            epoch,
            ..Self::default()
        }
    }

    /// `last` is the fence of what is stored. It is no greater than that of the last lease, unless
    /// the two are of different times, as they may be in a backup.
    fn take(&mut self, owner: &str, lasts: Duration, now: Duration, last: u64) -> Lease {
        let ours = self.owner.as_deref() == Some(owner);
        if self.owner.is_some() && !ours && now < self.until {
            let left = self.until.saturating_sub(now);
            return Lease::Held { left };
        }
        if !ours {
            self.owner = Some(owner.to_owned());
            self.fence = self.fence.max(last).saturating_add(1);
        }
        self.until = now.saturating_add(lasts);
        Lease::Taken { fence: self.fence }
    }
}

impl PermitRecord {
    /// Gives a permit if one is free.
    pub fn permit(&mut self, ask: PermitAsk<'_>, now: Duration) -> PermitAnswer {
        self.given.retain(|(_, until)| now < *until);
        let until = now.saturating_add(ask.counts_for);
        if let Some((_, known)) = self.given.iter_mut().find(|(id, _)| id == ask.id) {
            *known = until;
            return PermitAnswer::Given;
        }
        let most = ask.most.max(1) as usize;
        // Those that must have ended before one is free.
        let over = (self.given.len() + 1).saturating_sub(most);
        let mut ends: Vec<_> = self.given.iter().map(|(_, until)| *until).collect();
        ends.sort_unstable();
        let free_at = over.checked_sub(1).and_then(|last| ends.get(last).copied());
        let free_at = free_at.unwrap_or_default().max(self.held_until);
        if now < free_at {
            return PermitAnswer::Wait(free_at.saturating_sub(now));
        }
        self.given.push((ask.id.to_owned(), until));
        PermitAnswer::Given
    }

    /// The login of a permit has ended. It counts from then on, even if the permit had lapsed.
    pub fn end(&mut self, id: &str, counts_for: Duration, now: Duration) {
        let until = now.saturating_add(counts_for);
        match self.given.iter_mut().find(|(known, _)| known == id) {
            Some((_, known)) => *known = until,
            None => self.given.push((id.to_owned(), until)),
        }
        // One that was given back counts no more.
        self.given.retain(|(_, until)| now < *until);
    }

    /// The login server wants no login for so long.
    pub fn hold(&mut self, wait: Duration, now: Duration) {
        self.held_until = self.held_until.max(now.saturating_add(wait));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn ask(id: &str) -> PermitAsk<'_> {
        PermitAsk {
            id,
            most: 2,
            window: Duration::from_secs(60),
            counts_for: Duration::from_secs(90),
        }
    }

    fn after(seconds: u64) -> Duration {
        NOW + Duration::from_secs(seconds)
    }

    #[test]
    fn rule_23_a_permit_counts_until_its_window_after_the_end_of_its_login() {
        let mut permits = PermitRecord::default();
        assert_eq!(permits.permit(ask("a"), NOW), PermitAnswer::Given);
        assert_eq!(
            permits.permit(ask("a"), NOW),
            PermitAnswer::Given,
            "asked again"
        );
        assert_eq!(permits.permit(ask("b"), after(5)), PermitAnswer::Given);
        let wait = PermitAnswer::Wait(Duration::from_secs(80));
        assert_eq!(permits.permit(ask("c"), after(10)), wait);
        permits.end("b", Duration::from_secs(60), after(10));
        let wait = PermitAnswer::Wait(Duration::from_secs(60));
        assert_eq!(permits.permit(ask("c"), after(10)), wait);
        permits.end("a", Duration::ZERO, after(10));
        assert_eq!(permits.permit(ask("c"), after(10)), PermitAnswer::Given);
        permits.hold(Duration::from_secs(100), after(10));
        permits.hold(Duration::from_secs(1), after(10));
        let wait = PermitAnswer::Wait(Duration::from_secs(99));
        assert_eq!(permits.permit(ask("d"), after(11)), wait);
    }

    #[test]
    fn rule_23_a_hold_ends_to_the_moment_and_so_does_a_lease() {
        let mut permits = PermitRecord::default();
        permits.hold(Duration::from_secs(10), NOW);
        assert_eq!(permits.permit(ask("a"), after(10)), PermitAnswer::Given);

        let mut lease = LeaseRecord::new(7);
        let lasts = Duration::from_secs(10);
        assert_eq!(lease.take("a", lasts, NOW, 0), Lease::Taken { fence: 1 });
        let left = Duration::from_secs(1);
        assert_eq!(lease.take("b", lasts, after(9), 0), Lease::Held { left });
        assert_eq!(
            lease.take("b", lasts, after(10), 0),
            Lease::Taken { fence: 2 }
        );
    }

    #[test]
    fn rule_21_over_what_cannot_be_read_a_session_is_saved_under_the_last_lease_alone() {
        let unreadable = || Record {
            unreadable: Some(Unreadable::LaterVersion),
            ..Record::default()
        };
        let save = |fence| Change {
            version: Version {
                epoch: 7,
                fence,
                revision: 3,
            },
            session: SessionChange::Save(Vec::new(), NOW),
            notes: NotesChange::Keep,
            releases: None,
        };
        let now = Moment::written(NOW, NOW);
        for (fence, is_saved) in [(5, false), (6, true)] {
            let mut lease = LeaseRecord {
                fence: 6,
                ..LeaseRecord::new(7)
            };
            let mut record = unreadable();
            let saved = record.save(&mut lease, save(fence), now);
            assert_eq!(matches!(saved, Saved::Made(_)), is_saved, "{fence}");
            assert_eq!(record.session.is_some(), is_saved, "{fence}");
        }
    }

    #[test]
    fn a_record_is_idle_once_neither_its_session_nor_its_notes_need_be_kept() {
        let at = |seconds| Moment::written(after(seconds), after(seconds));
        let kept = |seconds| {
            Some(Kept {
                sealed: Vec::new(),
                saved: at(0),
                keep_for: Duration::from_secs(seconds),
            })
        };
        let printed = format!("{:?}", kept(10));
        assert!(printed.starts_with("Some(Kept { sealed: "), "{printed}");
        for (session, notes, until) in [
            (None, None, 0),
            (kept(10), None, 10),
            (None, kept(20), 20),
            (kept(10), kept(20), 20),
        ] {
            let record = Record {
                session,
                notes,
                ..Record::default()
            };
            assert!(record.is_idle(at(until)));
            assert!(until == 0 || !record.is_idle(at(until - 1)));
        }
    }

    #[test]
    fn rule_25_what_cant_be_read_is_told_until_a_session_is_saved_or_ends_in_its_place() {
        let now = Moment::written(NOW, NOW);
        let lasts = Duration::from_secs(60);
        for (session, is_told) in [
            (SessionChange::Keep, true),
            (SessionChange::Save(Vec::new(), lasts), false),
            (SessionChange::End, false),
        ] {
            let mut record = Record {
                unreadable: Some(Unreadable::Damaged),
                ..Record::default()
            };
            let change = Change {
                version: Version {
                    epoch: 7,
                    fence: 1,
                    revision: 0,
                },
                session,
                notes: NotesChange::Save(Vec::new(), lasts),
                releases: None,
            };
            let mut lease = LeaseRecord::new(7);
            assert_eq!(lease.take("a", lasts, NOW, 0), Lease::Taken { fence: 1 });
            let saved = record.save(&mut lease, change, now);
            assert!(matches!(saved, Saved::Made(_)), "{saved:?}");
            assert_eq!(record.entry(now).unreadable.is_some(), is_told);
        }
    }

    #[test]
    fn rule_23_a_login_counts_from_its_end_though_its_permit_had_lapsed() {
        let mut permits = PermitRecord::default();
        assert_eq!(permits.permit(ask("a"), NOW), PermitAnswer::Given);
        // Another one has taken its place, and so there are more than the quota.
        assert_eq!(permits.permit(ask("b"), after(100)), PermitAnswer::Given);
        assert_eq!(permits.permit(ask("c"), after(100)), PermitAnswer::Given);
        permits.end("a", Duration::from_secs(60), after(110));
        permits.end("b", Duration::ZERO, after(110));
        let wait = PermitAnswer::Wait(Duration::from_secs(60));
        assert_eq!(permits.permit(ask("d"), after(110)), wait);
        // One that is given back takes nothing.
        permits.end("x", Duration::ZERO, after(110));
        assert_eq!(permits.given.len(), 2);
        assert_eq!(permits.permit(ask("d"), after(170)), PermitAnswer::Given);
        assert_eq!(permits.given.len(), 2, "none is kept that has lapsed");
    }

    #[test]
    fn rule_23_a_permit_that_has_lapsed_is_given_anew_and_not_extended() {
        let mut permits = PermitRecord::default();
        assert_eq!(permits.permit(ask("a"), NOW), PermitAnswer::Given);
        permits.hold(Duration::from_secs(200), NOW);
        let wait = PermitAnswer::Wait(Duration::from_secs(110));
        assert_eq!(permits.permit(ask("a"), after(89)), PermitAnswer::Given);
        assert_eq!(permits.permit(ask("b"), after(90)), wait);
        let mut permits = PermitRecord::default();
        assert_eq!(permits.permit(ask("a"), NOW), PermitAnswer::Given);
        permits.hold(Duration::from_secs(200), NOW);
        assert_eq!(permits.permit(ask("a"), after(90)), wait);
    }
}
