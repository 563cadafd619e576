//! The steps of a store, as scripts that Redis runs as a whole or not at all.
//!
//! They do what [`Record`](crate::store::Record) and [`PermitRecord`](crate::store::PermitRecord)
//! do, by the clock of the server. A test compares them.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{FromRedisValue, ParsingError, Script, ScriptInvocation, Value};

use super::names::Names;
use crate::store::entry::{Change, Entry, NotesChange, Saved, SessionChange, Stored, Version};
use crate::store::lease::{Lease, LeaseAnswer, LeaseAsk};
use crate::store::permit::{PermitAnswer, PermitAsk};
use crate::store::seal::Unreadable;

macro_rules! script {
    ($($file:literal),+) => {
        LazyLock::new(|| Script::new(concat!($(include_str!(concat!("scripts/", $file, ".lua"))),+)))
    };
}

static LOAD: LazyLock<Script> = script!("time", "entry", "run", "reply", "load");
static LEASE: LazyLock<Script> = script!("time", "entry", "run", "reply", "lease");
static SAVE: LazyLock<Script> = script!("time", "entry", "save");
static PURGE: LazyLock<Script> = script!("time", "entry", "purge");
static PERMIT: LazyLock<Script> = script!("time", "permits", "run", "permit");
static END_PERMIT: LazyLock<Script> = script!("time", "permits", "end_permit");
static HOLD: LazyLock<Script> = script!("time", "permits", "hold");

pub(super) type Call = ScriptInvocation<'static>;

pub(super) fn load(names: &Names, name: &str) -> Call {
    of_entry(&LOAD, names, name)
}

/// `epoch` is that of the store if it has none.
pub(super) fn lease(names: &Names, name: &str, ask: LeaseAsk<'_>, epoch: u64) -> Call {
    let mut call = of_entry(&LEASE, names, name);
    let known = ask.known.unwrap_or_default();
    call.arg(epoch)
        .arg(ask.owner)
        .arg(micros(ask.lasts))
        .arg(ask.known.is_some())
        .arg(known.epoch)
        .arg(known.fence)
        .arg(known.revision)
        .arg(ask.rejected)
        .arg(ask.only_extends);
    call
}

/// `epoch` is that of the store if it has none. `is_again` says that the change may have been made
/// already.
pub(super) fn save(names: &Names, name: &str, change: &Change, epoch: u64, is_again: bool) -> Call {
    let mut call = of_entry(&SAVE, names, name);
    let version = change.version;
    call.arg(epoch)
        .arg(is_again)
        .arg(change.releases.as_deref().unwrap_or_default())
        .arg(version.epoch)
        .arg(version.fence)
        .arg(version.revision)
        .arg(version.revision.saturating_add(1));
    let (verb, sealed, keep_for) = match &change.session {
        SessionChange::Keep => ("keep", &[][..], Duration::ZERO),
        SessionChange::Save(sealed, keep_for) => ("save", &sealed[..], *keep_for),
        SessionChange::Reject => ("reject", &[][..], Duration::ZERO),
        SessionChange::End => ("end", &[][..], Duration::ZERO),
    };
    call.arg(verb).arg(sealed).arg(micros(keep_for));
    let (verb, sealed, keep_for) = match &change.notes {
        NotesChange::Keep => ("keep", &[][..], Duration::ZERO),
        NotesChange::Save(sealed, keep_for) => ("save", &sealed[..], *keep_for),
    };
    call.arg(verb).arg(sealed).arg(micros(keep_for));
    call
}

/// `epoch` is the next one.
pub(super) fn purge(names: &Names, name: &str, epoch: u64) -> Call {
    let mut call = of_entry(&PURGE, names, name);
    call.arg(epoch);
    call
}

/// `seen` is the note of the run of the server that the last answer came from.
pub(super) fn permit(names: &Names, origin: &str, ask: PermitAsk<'_>, seen: &str) -> Call {
    let mut call = PERMIT.prepare_invoke();
    call.key(&names.permits(origin)[..])
        .arg(ask.id)
        .arg(ask.most.max(1))
        .arg(micros(ask.window))
        .arg(micros(ask.counts_for))
        .arg(seen);
    call
}

pub(super) fn end_permit(names: &Names, origin: &str, id: &str, counts_for: Duration) -> Call {
    let mut call = END_PERMIT.prepare_invoke();
    call.key(&names.permits(origin)[..])
        .arg(id)
        .arg(micros(counts_for));
    call
}

pub(super) fn hold(names: &Names, origin: &str, wait: Duration) -> Call {
    let mut call = HOLD.prepare_invoke();
    call.key(&names.permits(origin)[..]).arg(micros(wait));
    call
}

fn of_entry(script: &'static Script, names: &Names, name: &str) -> Call {
    let mut call = script.prepare_invoke();
    call.key(&names.entry(name)[..])
        .arg(names.channel())
        .arg(name);
    call
}

/// The time in microseconds, rounded up and bounded: the scripts count in doubles, which are exact
/// up to 2^53. So nothing is kept, held or counted for longer than a hundred years.
fn micros(time: Duration) -> u64 {
    const MOST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    let nanos = time.min(MOST).as_nanos();
    u64::try_from(nanos.div_ceil(1000)).unwrap_or(u64::MAX)
}

/// An answer, read.
pub(super) struct Read<T>(pub(super) T);

impl FromRedisValue for Read<Entry> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Parts = (
            u64,
            u64,
            u64,
            bool,
            Option<Vec<u8>>,
            u64,
            Option<Vec<u8>>,
            u64,
            bool,
            bool,
        );
        let (
            epoch,
            fence,
            revision,
            is_over,
            session,
            session_age,
            notes,
            notes_age,
            is_damaged,
            may_lack_notes,
        ) = Parts::from_redis_value(value)?;
        let stored = |sealed: Option<Vec<u8>>, age| {
            sealed.map(|sealed| Stored {
                sealed,
                age: Duration::from_micros(age),
            })
        };
        Ok(Self(Entry {
            version: Version {
                epoch,
                fence,
                revision,
            },
            session: stored(session, session_age),
            is_over,
            notes: stored(notes, notes_age),
            unreadable: is_damaged.then_some(Unreadable::Damaged),
            may_lack_notes,
        }))
    }
}

impl FromRedisValue for Read<LeaseAnswer> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        type Parts = (String, u64, u64, Read<Entry>);
        let (answer, number, epoch, Read(entry)) = Parts::from_redis_value(value)?;
        let lease = match answer.as_str() {
            "taken" => Lease::Taken { fence: number },
            "held" => Lease::Held {
                left: Duration::from_micros(number),
            },
            "not needed" => Lease::NotNeeded,
            _ => return Err(unknown()),
        };
        Ok(Self(LeaseAnswer {
            lease,
            epoch,
            entry,
        }))
    }
}

impl FromRedisValue for Read<Saved> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (answer, epoch, fence, revision) = <(String, u64, u64, u64)>::from_redis_value(value)?;
        let version = Version {
            epoch,
            fence,
            revision,
        };
        match answer.as_str() {
            "made" => Ok(Self(Saved::Made(version))),
            "newer" => Ok(Self(Saved::Newer(version))),
            _ => Err(unknown()),
        }
    }
}

/// Beside the answer stands the run of the server and since when it is noted, or nothing if the
/// user may not ask for it.
impl FromRedisValue for Read<(PermitAnswer, String)> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (is_given, wait, run) = <(bool, u64, String)>::from_redis_value(value)?;
        let answer = if is_given {
            PermitAnswer::Given
        } else {
            PermitAnswer::Wait(Duration::from_micros(wait))
        };
        Ok(Self((answer, run)))
    }
}

/// Whether anything was dropped.
impl FromRedisValue for Read<bool> {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        bool::from_redis_value(value).map(Self)
    }
}

impl FromRedisValue for Read<()> {
    fn from_redis_value(_: Value) -> Result<Self, ParsingError> {
        Ok(Self(()))
    }
}

fn unknown() -> ParsingError {
    "the answer of a script is none of those known".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_microseconds_rounded_up_and_a_hundred_years_at_most() {
        const YEAR: u64 = 31_536_000_000_000;
        for (time, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1), 1),
            (Duration::from_micros(7), 7),
            (Duration::from_secs(31_536_000), YEAR),
            (Duration::from_secs(101 * 31_536_000), 100 * YEAR),
            (Duration::MAX, 100 * YEAR),
        ] {
            assert_eq!(micros(time), expected);
        }
    }
}
