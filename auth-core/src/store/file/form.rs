//! How the files are written: JSON, without I/O.
//!
//! Each form has a `format` number. A later version of this crate that adds a field leaves the
//! number, and this one keeps the field when it writes the file again. A number that is greater
//! says that this version can't make sense of the file.

use std::time::Duration;

use data_encoding::BASE64;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::{Moment, nanos};
use crate::store::{Kept, LeaseRecord, PermitRecord, Record, Version};

/// The number of all forms of this version.
const FORMAT: u32 = 1;

/// What was found under a name.
#[derive(Debug)]
pub(super) enum Found<T> {
    /// Nothing.
    Nothing,
    /// A file that can be used.
    Whole(T),
    /// A file that can't be used, and why.
    Broken(&'static str),
    /// A file of a later version of this crate.
    Later,
}

/// Reads a form.
pub(super) fn parse<T: DeserializeOwned + Form>(text: &[u8]) -> Found<T> {
    #[derive(Deserialize)]
    struct Any {
        format: u32,
    }

    match serde_json::from_slice::<Any>(text) {
        Ok(any) if any.format > FORMAT => Found::Later,
        Ok(any) if any.format == FORMAT => match serde_json::from_slice::<T>(text) {
            Ok(form) if form.is_whole() => Found::Whole(form),
            _ => Found::Broken(DAMAGED),
        },
        _ => Found::Broken(DAMAGED),
    }
}

/// Writes a form.
pub(super) fn write(form: &impl Serialize) -> Vec<u8> {
    // It fails for maps with keys that are no texts, and there are none.
    let mut text = serde_json::to_vec(form).unwrap_or_default();
    text.push(b'\n');
    text
}

const DAMAGED: &str = "it is damaged";

/// What the types don't say of a form.
pub(super) trait Form {
    /// Whether there is an event for one that can't be read.
    const HAS_EVENT: bool = false;

    fn is_whole(&self) -> bool;
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct EntryForm {
    format: u32,
    version: VersionForm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<KeptForm>,
    is_over: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notes: Option<KeptForm>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct VersionForm {
    epoch: u64,
    fence: u64,
    revision: u64,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// `saved` is compared with later readings of the same two clocks. After another start of the
/// machine the wall clock alone counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct KeptForm {
    sealed: String,
    saved: MomentForm,
    #[serde(default)]
    boot: String,
    keep_for: u64,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// In nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct MomentForm {
    steady: u64,
    wall: u64,
}

impl Default for EntryForm {
    fn default() -> Self {
        Self {
            format: FORMAT,
            version: VersionForm::default(),
            session: None,
            is_over: false,
            notes: None,
            rest: Map::new(),
        }
    }
}

impl Form for EntryForm {
    const HAS_EVENT: bool = true;

    fn is_whole(&self) -> bool {
        let kept = self.session.iter().chain(&self.notes);
        kept.into_iter()
            .all(|kept| BASE64.decode(kept.sealed.as_bytes()).is_ok())
    }
}

impl EntryForm {
    pub(super) fn record(&self, boot: &str, now: Moment) -> Record {
        let kept = |form: &KeptForm| form.kept(boot, now);
        Record {
            version: Version {
                epoch: self.version.epoch,
                fence: self.version.fence,
                revision: self.version.revision,
            },
            session: self.session.as_ref().map(kept),
            is_over: self.is_over,
            notes: self.notes.as_ref().map(kept),
            unreadable: None,
        }
    }

    /// The form of a record that this one has become. What is not known of it stays.
    pub(super) fn of(mut self, record: &Record, boot: &str, now: Moment) -> Self {
        self.version.epoch = record.version.epoch;
        self.version.fence = record.version.fence;
        self.version.revision = record.version.revision;
        let kept = |old, kept: &Option<Kept>| Some(KeptForm::of(old, kept.as_ref()?, boot, now));
        self.session = kept(self.session, &record.session);
        self.is_over = record.is_over;
        self.notes = kept(self.notes, &record.notes);
        self
    }
}

impl KeptForm {
    fn kept(&self, boot: &str, now: Moment) -> Kept {
        let mut saved = self.saved.moment();
        if is_of_another_start((&self.boot, self.saved), boot, now) {
            saved.steady = u64::MAX;
        }
        Kept {
            // `is_whole` has decoded it.
            sealed: BASE64.decode(self.sealed.as_bytes()).unwrap_or_default(),
            saved,
            keep_for: Duration::from_nanos(self.keep_for),
        }
    }

    /// The old form if it is still that, since what is not known of it is about it.
    fn of(old: Option<Self>, kept: &Kept, boot: &str, now: Moment) -> Self {
        let is_still = |old: &Self| {
            let old = old.kept(boot, now);
            (&old.sealed, old.saved) == (&kept.sealed, kept.saved)
        };
        let new = || Self {
            sealed: BASE64.encode(&kept.sealed),
            saved: kept.saved.into(),
            boot: boot.to_owned(),
            keep_for: nanos(kept.keep_for),
            rest: Map::new(),
        };
        old.filter(is_still).unwrap_or_else(new)
    }
}

/// What a start of the machine is called where it has no number that this process can read.
pub(super) const UNKNOWN_START: &str = "-";

/// Whether the machine was started again since something was written. Where a number of the two
/// starts is not known, a clock that is behind says so.
fn is_of_another_start(written: (&str, MomentForm), boot: &str, now: Moment) -> bool {
    let (boot_then, at) = written;
    let are_known = boot_then != UNKNOWN_START && boot != UNKNOWN_START;
    (are_known && boot_then != boot) || now.steady < at.steady
}

/// When a form was written, by a clock that begins anew when the machine is started.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Written {
    boot: String,
    at: MomentForm,
}

impl Written {
    fn now(boot: &str, now: Moment) -> Self {
        Self {
            boot: boot.to_owned(),
            at: now.into(),
        }
    }

    /// Whether the machine was started again since. If a clock that is not behind says that it was
    /// not, what is left by that clock is at most what was left when it was written.
    fn is_of_another_start(&self, boot: &str, now: Moment) -> bool {
        is_of_another_start((&self.boot, self.at), boot, now)
    }

    /// When what was to end at `until` ends on the clock of now. After another start of the machine
    /// the wall clock says how much of it has passed.
    fn translate(&self, until: u64, boot: &str, now: Moment) -> u64 {
        if !self.is_of_another_start(boot, now) {
            return until;
        }
        let left = until.saturating_sub(self.at.steady);
        let passed = now.wall.saturating_sub(self.at.wall);
        now.steady.saturating_add(left.saturating_sub(passed))
    }
}

/// A lease. `until` is in nanoseconds on the steady clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LeaseForm {
    format: u32,
    epoch: u64,
    fence: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    until: u64,
    written: Written,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Form for LeaseForm {
    fn is_whole(&self) -> bool {
        self.epoch != 0
    }
}

impl LeaseForm {
    /// A lease that has no owner yet.
    pub(super) fn new(epoch: u64) -> Self {
        Self {
            format: FORMAT,
            epoch,
            fence: 0,
            owner: None,
            until: 0,
            written: Written::default(),
            rest: Map::new(),
        }
    }

    /// The same lease, in another epoch.
    pub(super) fn in_epoch(self, epoch: u64) -> Self {
        Self { epoch, ..self }
    }

    /// The lease. Its owner is gone if the machine was started again.
    pub(super) fn record(&self, boot: &str, now: Moment) -> LeaseRecord {
        let is_gone = self.written.is_of_another_start(boot, now);
        LeaseRecord {
            epoch: self.epoch,
            fence: self.fence,
            owner: self.owner.clone().filter(|_| !is_gone),
            until: Duration::from_nanos(self.until),
        }
    }

    /// The form of a lease that this one has become.
    pub(super) fn of(mut self, lease: &LeaseRecord, boot: &str, now: Moment) -> Self {
        self.epoch = lease.epoch;
        self.fence = lease.fence;
        self.owner.clone_from(&lease.owner);
        self.until = nanos(lease.until);
        self.written = Written::now(boot, now);
        self
    }
}

/// The permits of an origin. The times are in nanoseconds on the steady clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PermitsForm {
    format: u32,
    given: Vec<GivenForm>,
    held_until: u64,
    /// An earlier file was damaged, so permits that count may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) lost: bool,
    written: Written,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GivenForm {
    id: String,
    until: u64,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Default for PermitsForm {
    fn default() -> Self {
        Self {
            format: FORMAT,
            given: Vec::new(),
            held_until: 0,
            lost: false,
            written: Written::default(),
            rest: Map::new(),
        }
    }
}

impl Form for PermitsForm {
    fn is_whole(&self) -> bool {
        true
    }
}

impl PermitsForm {
    /// What is known after the file was damaged.
    pub(super) fn lost() -> Self {
        Self {
            lost: true,
            ..Self::default()
        }
    }

    /// Whether it is of another start of the machine: then the wall clock counts until it is
    /// written anew, and that may have been set back.
    pub(super) fn is_of_another_start(&self, boot: &str, now: Moment) -> bool {
        self.written.is_of_another_start(boot, now)
    }

    pub(super) fn record(&self, boot: &str, now: Moment) -> PermitRecord {
        let translate = |until| Duration::from_nanos(self.written.translate(until, boot, now));
        let given = self.given.iter();
        PermitRecord {
            given: given
                .map(|given| (given.id.clone(), translate(given.until)))
                .collect(),
            held_until: translate(self.held_until),
        }
    }

    /// The form of the permits that these have become.
    pub(super) fn of(mut self, permits: &PermitRecord, boot: &str, now: Moment) -> Self {
        let mut old = std::mem::take(&mut self.given);
        let given = permits.given.iter().map(|(id, until)| {
            let known = old.iter_mut().find(|given| given.id == *id);
            GivenForm {
                id: id.clone(),
                until: nanos(*until),
                rest: known.map_or_else(Map::new, |given| std::mem::take(&mut given.rest)),
            }
        });
        self.given = given.collect();
        self.held_until = nanos(permits.held_until);
        self.written = Written::now(boot, now);
        self
    }
}

impl MomentForm {
    const fn moment(self) -> Moment {
        Moment {
            steady: self.steady,
            wall: self.wall,
        }
    }
}

impl From<Moment> for MomentForm {
    fn from(moment: Moment) -> Self {
        Self {
            steady: moment.steady,
            wall: moment.wall,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Change, LeaseAsk, NotesChange, SessionChange};

    const SECOND: u64 = 1_000_000_000;

    /// Seconds since the start of the machine, and on the wall clock.
    const fn at(steady: u64, wall: u64) -> Moment {
        Moment {
            steady: steady * SECOND,
            wall: wall * SECOND,
        }
    }

    fn read<T: DeserializeOwned + Form>(form: &impl Serialize) -> T {
        match parse(&write(form)) {
            Found::Whole(form) => form,
            _ => panic!("it can't be read again"),
        }
    }

    #[test]
    fn a_lease_ends_with_the_start_of_the_machine_and_its_fence_goes_on() {
        let mut lease = LeaseRecord::new(7);
        let ask = LeaseAsk {
            owner: "a",
            lasts: Duration::from_secs(30),
            known: None,
            rejected: false,
            only_extends: false,
        };
        let taken = at(1_000, 50_000);
        let steady = Duration::from_nanos(taken.steady);
        Record::default().lease(&mut lease, ask, taken, steady);
        let form: LeaseForm = read(&LeaseForm::new(7).of(&lease, "-", taken));
        let found = form.record("boot-1", at(1_001, 50_001));
        assert_eq!(found.owner.as_deref(), Some("a"));
        let form: LeaseForm = read(&LeaseForm::new(7).of(&lease, "boot-1", taken));
        for (boot, now, owner) in [
            ("boot-1", at(1_001, 50_001), Some("a")),
            ("boot-1", at(1_001, 10), Some("a")),
            ("boot-2", at(1_001, 50_001), None),
            ("boot-2", at(20, 50_100), None),
            // Where the starts have no number, a clock that is behind says so.
            ("boot-1", at(20, 50_100), None),
            ("-", at(1_001, 50_001), Some("a")),
            ("-", at(20, 50_100), None),
        ] {
            let found = form.record(boot, now);
            assert_eq!(found.owner.as_deref(), owner, "{boot}, {now:?}");
            assert_eq!((found.epoch, found.fence), (7, 1));
            assert_eq!(found.until, Duration::from_secs(1_030));
        }
    }

    #[test]
    fn permits_outlive_a_start_of_the_machine_and_never_count_for_longer() {
        let written = at(1_000, 50_000);
        let mut permits = PermitRecord::default();
        let seconds = Duration::from_secs;
        permits.given.push(("a".to_owned(), seconds(1_060)));
        permits.given.push(("b".to_owned(), seconds(990)));
        permits.hold(seconds(100), seconds(1_000));
        let form: PermitsForm = read(&PermitsForm::default().of(&permits, "boot-1", written));
        for (boot, now, a, hold) in [
            // By the steady clock, whatever the wall clock says.
            ("boot-1", at(1_010, 50_010), 1_060, 1_100),
            ("boot-1", at(1_010, 90_000), 1_060, 1_100),
            ("boot-1", at(1_010, 10), 1_060, 1_100),
            ("-", at(1_010, 90_000), 1_060, 1_100),
            // By the wall clock after another start.
            ("boot-2", at(5, 50_010), 55, 95),
            ("boot-2", at(2_000, 50_010), 2_050, 2_090),
            ("boot-1", at(5, 50_010), 55, 95),
            // It was set back: for as long as when it was written, and no longer.
            ("boot-2", at(5, 10), 65, 105),
            ("boot-2", at(5, 90_000), 5, 5),
        ] {
            let found = form.record(boot, now);
            assert_eq!(found.given[0].1, seconds(a), "{boot}, {now:?}");
            assert_eq!(found.held_until, seconds(hold), "{boot}, {now:?}");
            assert!(found.given[1].1 <= Duration::from_nanos(now.steady));
        }
    }

    #[test]
    fn ages_go_on_after_a_start_of_the_machine_by_the_wall_clock() {
        let mut record = Record::default();
        let change = Change {
            version: Version {
                epoch: 7,
                fence: 1,
                revision: 0,
            },
            session: SessionChange::Save(b"s1".to_vec(), Duration::MAX),
            notes: NotesChange::Save(b"n1".to_vec(), Duration::MAX),
            releases: None,
        };
        record.save(&mut LeaseRecord::new(7), change, at(1_000, 50_000));
        let saved = EntryForm::default().of(&record, "boot-1", at(1_000, 50_000));
        let form: EntryForm = read(&saved);
        for (boot, now, age, of_notes) in [
            ("boot-1", at(1_010, 50_010), 10, 10),
            // The machine was started again.
            ("boot-2", at(5, 50_100), 100, 100),
            ("boot-1", at(5, 50_100), 100, 100),
            ("boot-2", at(3_000, 60_000), 10_000, 10_000),
            // A clock was set back: the other one counts, and no age is negative.
            ("boot-1", at(1_010, 10), 10, 10),
            ("boot-2", at(5, 10), 0, 0),
            // One was set forward: a session may have ended, and a wait has not.
            ("boot-1", at(1_010, 90_000), 40_000, 10),
            ("-", at(1_010, 90_000), 40_000, 10),
        ] {
            let entry = form.record(boot, now).entry(now);
            let ages = [entry.session, entry.notes].map(|stored| stored.unwrap().age.as_secs());
            assert_eq!(ages, [age, of_notes], "{boot} {now:?}");
        }
    }

    #[test]
    fn what_was_kept_in_an_earlier_start_of_the_machine_stays_as_it_was_written() {
        let kept = Kept {
            sealed: b"n1".to_vec(),
            saved: at(1_000, 50_000),
            keep_for: Duration::MAX,
        };
        let record = Record {
            notes: Some(kept),
            ..Record::default()
        };
        let written: EntryForm = read(&EntryForm::default().of(&record, "boot-1", at(0, 0)));
        for (boot, now) in [("boot-1", at(1_010, 50_010)), ("boot-2", at(5, 50_100))] {
            let again = written.clone().of(&written.record(boot, now), boot, now);
            assert_eq!(again, written, "{boot}");
        }
    }

    #[test]
    fn the_longest_times_and_greatest_numbers_are_written_exactly() {
        let far = Moment {
            steady: u64::MAX,
            wall: u64::MAX,
        };
        let record = Record {
            version: Version {
                epoch: u64::MAX,
                fence: u64::MAX - 1,
                revision: u64::MAX - 2,
            },
            notes: Some(Kept {
                sealed: vec![0xff; 5],
                saved: far,
                keep_for: Duration::MAX,
            }),
            ..Record::default()
        };
        let form = EntryForm::default().of(&record, "boot-1", far);
        assert_eq!(read::<EntryForm>(&form), form);
        assert_eq!(form.record("boot-1", far).version, record.version);
        let mut permits = PermitRecord::default();
        permits.hold(Duration::MAX, Duration::from_nanos(u64::MAX));
        let form = PermitsForm::default().of(&permits, "boot-1", far);
        assert_eq!(read::<PermitsForm>(&form), form);
        let held_until = form.record("boot-2", at(5, 5)).held_until;
        assert_eq!(held_until, Duration::from_secs(5));
    }

    #[test]
    fn within_one_start_of_the_machine_the_wall_clock_does_not_count() {
        let written = Written::now("boot", at(100, 1_000));
        let until = 130 * SECOND;
        for (boot, now, expected) in [
            ("boot", at(100, 1_010), 130),
            ("boot", at(120, 5_000), 130),
            ("boot", at(99, 1_010), 119),
            ("another", at(100, 1_010), 120),
        ] {
            let until = written.translate(until, boot, now);
            assert_eq!(until, expected * SECOND, "{boot} {now:?}");
        }
    }
}
