//! The steps of a file store. They block their thread.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::Duration;

use super::folder::{Folder, Mark, Text, is_name};
use super::form::{self, EntryForm, Form, Found, LeaseForm, PermitsForm, UNKNOWN_START};
use super::lock::Lock;
use crate::clock::{Moment, shared_now};
use crate::runtime::Mutex;
use crate::store::summary::StoredSummary;
use crate::store::{Entry, Keys, LeaseRecord, PermitRecord, Record, StoreError, Unreadable};

/// The folder, and what must be said of its files only once.
#[derive(Debug)]
pub(super) struct Steps {
    folder: Folder,
    /// The files that were reported as broken, until they are whole.
    broken: Mutex<BTreeSet<String>>,
}

impl Steps {
    pub(super) fn new(folder: Folder) -> Self {
        Self {
            folder,
            broken: Mutex::default(),
        }
    }

    /// It needs no lock, because files are replaced as a whole.
    pub(super) fn load(&self, name: &str) -> Result<Entry, StoreError> {
        let name = checked(name)?;
        let (_, record) = self.record(name, boot(), None)?;
        Ok(record.entry(shared_now()))
    }

    /// Reads an entry and its lease, and writes what the step has changed.
    pub(super) fn change<T>(
        &self,
        name: &str,
        step: impl FnOnce(&mut Record, &mut LeaseRecord, Moment) -> T,
    ) -> Result<T, StoreError> {
        let name = checked(name)?;
        let (entry_file, lease_file) = (entry_file(name), lease_file(name));
        let lock = Lock::take(&self.folder.path(&lock_file(name)))?;
        // Under the lock, so that it is not before what another process has written.
        let (now, boot) = (shared_now(), boot());
        let (entry_form, mut record) = self.record(name, boot, Some(now))?;
        let is_later = record.unreadable == Some(Unreadable::LaterVersion);
        let (lease_form, is_new) = match self.read::<LeaseForm>(&lease_file)? {
            Found::Whole(form) => (form, false),
            Found::Later => return Err(self.later(&lease_file)),
            Found::Nothing | Found::Broken(_) => (LeaseForm::new(draw_epoch()?), true),
        };

        let mut lease = lease_form.record(boot, now);
        let before = (lease.fence, lease.owner.clone(), lease.until);
        let outcome = step(&mut record, &mut lease, now);

        lock.check()?;
        let new_form = entry_form.clone().of(&record, boot, now);
        // Only the lease has changed, and what can't be read stays.
        let has_nothing = record.unreadable.is_some() && record.notes.is_none();
        let entry = if new_form == entry_form || has_nothing {
            Ok(())
        } else if !is_later {
            self.write(&entry_file, &new_form)
        } else if record.session.is_some() {
            let written = self.write(&entry_file, &new_form);
            written.inspect(|()| self.forget_notes(name))
        } else if record.is_over {
            Err(self.later(&entry_file))
        } else {
            // Otherwise each start would try a password that was refused.
            self.write(&notes_file(name), &new_form)
        };
        // Also if the entry could not be written, so that the lease is released.
        let is_same = before == (lease.fence, lease.owner.clone(), lease.until);
        if is_new || !is_same {
            self.write(&lease_file, &lease_form.of(&lease, boot, now))?;
        }
        entry.map(|()| outcome)
    }

    /// The entry that was found, as it is `at` a time, or by when it was read. The notes beside one
    /// of a later version are in a file of their own.
    fn record(
        &self,
        name: &str,
        boot: &str,
        at: Option<Moment>,
    ) -> Result<(EntryForm, Record), StoreError> {
        let found = self.read(&entry_file(name))?;
        let (form, mut found) = record(found, boot, at.unwrap_or_else(shared_now));
        if found.unreadable == Some(Unreadable::LaterVersion)
            && let Found::Whole(beside) = self.read::<EntryForm>(&notes_file(name))?
        {
            let beside = beside.record(boot, at.unwrap_or_else(shared_now));
            found.notes = beside.notes;
        }
        Ok((form, found))
    }

    /// It is no failure if they stay, since they say nothing beside an entry that can be read.
    fn forget_notes(&self, name: &str) {
        let _ = self.folder.remove(&notes_file(name));
    }

    /// Reads the permits of an origin, and writes what the step has changed. The step is told
    /// whether permits that count may be missing, and says whether that is over.
    pub(super) fn permits<T>(
        &self,
        origin: &str,
        step: impl FnOnce(&mut PermitRecord, &mut bool, Duration) -> T,
    ) -> Result<T, StoreError> {
        let file = format!("{}.permits", checked(origin)?);
        let lock = Lock::take(&self.folder.path(&format!("{file}.lock")))?;
        let (now, boot) = (shared_now(), boot());
        let mut form = match self.read::<PermitsForm>(&file)? {
            Found::Whole(form) => form,
            Found::Nothing => PermitsForm::default(),
            Found::Broken(_) => PermitsForm::lost(),
            Found::Later => return Err(self.later(&file)),
        };
        let before = (form.record(boot, now), form.lost);
        let (mut permits, mut lost) = before.clone();
        let outcome = step(&mut permits, &mut lost, Duration::from_nanos(now.steady));
        lock.check()?;
        // Logins that wait ask again and again, and are told to wait.
        let after = (permits, lost);
        if after != before || form.is_of_another_start(boot, now) {
            form.lost = lost;
            self.write(&file, &form.of(&after.0, boot, now))?;
        }
        Ok(outcome)
    }

    pub(super) fn list(&self, keys: &Keys) -> Result<Vec<StoredSummary>, StoreError> {
        let names = self.folder.names().map_err(|error| {
            StoreError::new("the folder of the store can't be read").with_source(error)
        })?;
        let now = shared_now();
        let summaries = names.into_iter().map(|name| {
            let found = self.read::<EntryForm>(&entry_file(&name))?;
            Ok(summary(name, found, keys, now))
        });
        let summaries: Result<Vec<_>, _> = summaries.collect();
        summaries.map(|summaries| summaries.into_iter().flatten().collect())
    }

    /// Removes the entry, and leaves its lease, which begins a new epoch: the marks of spent tokens
    /// are gone.
    pub(super) fn purge(&self, name: &str) -> Result<bool, StoreError> {
        let name = checked(name)?;
        let (file, lease_file) = (entry_file(name), lease_file(name));
        let lock = Lock::take(&self.folder.path(&lock_file(name)))?;
        if self.folder.mark(&file).is_none() {
            return Ok(false);
        }
        let lease = self.read::<LeaseForm>(&lease_file)?;
        lock.check()?;
        // Before the entry is gone, in case that this process ends in between.
        if let Found::Whole(lease) = lease {
            self.write(&lease_file, &lease.in_epoch(draw_epoch()?))?;
        }
        self.forget_notes(name);
        self.folder.remove(&file).map_err(|error| {
            let what = format!("{} can't be removed", self.folder.path(&file).display());
            StoreError::new(what).with_source(error)
        })
    }

    pub(super) fn marks(&self, name: &str) -> Result<[Mark; 2], StoreError> {
        let name = checked(name)?;
        Ok([entry_file(name), lease_file(name)].map(|file| self.folder.mark(&file)))
    }

    fn read<T: Form + serde::de::DeserializeOwned>(
        &self,
        file: &str,
    ) -> Result<Found<T>, StoreError> {
        let text = self.folder.read(file).map_err(|error| {
            let what = format!("{} can't be read", self.folder.path(file).display());
            StoreError::new(what).with_source(error)
        })?;
        let found = match text {
            Text::Missing => Found::Nothing,
            Text::Refused(why) => Found::Broken(why),
            Text::Bytes(bytes) => form::parse(&bytes),
        };
        let why = match &found {
            Found::Nothing | Found::Whole(_) => None,
            Found::Broken(why) => Some(*why),
            Found::Later => Some("it was written by a later version"),
        };
        self.report(file, why, T::HAS_EVENT);
        Ok(found)
    }

    /// Says once of a file that it counts as absent. An event has a warning of its own, so that the
    /// path is a detail to it.
    fn report(&self, file: &str, why: Option<&'static str>, has_event: bool) {
        let mut broken = self.broken.lock();
        let Some(why) = why else {
            broken.remove(file);
            return;
        };
        if broken.insert(file.to_owned()) {
            drop(broken);
            let file = self.folder.path(file);
            let file = file.display();
            if has_event {
                tracing::debug!(%file, why, "a file of the store counts as absent");
            } else {
                tracing::warn!(%file, why, "a file of the store counts as absent");
            }
        }
    }

    fn write(&self, file: &str, form: &impl serde::Serialize) -> Result<(), StoreError> {
        let written = self.folder.write(file, &form::write(form));
        written.map_err(|error| {
            let what = format!("{} can't be written", self.folder.path(file).display());
            StoreError::new(what).with_source(error)
        })
    }

    fn later(&self, file: &str) -> StoreError {
        let file = self.folder.path(file);
        StoreError::new(format!(
            "{} was written by a later version of this program's auth-core; update the program, or \
             give it a folder of its own",
            file.display()
        ))
    }
}

fn entry_file(name: &str) -> String {
    format!("{name}.entry")
}

/// What is noted beside an entry of a later version.
fn notes_file(name: &str) -> String {
    format!("{name}.notes")
}

fn lease_file(name: &str) -> String {
    format!("{name}.lease")
}

fn lock_file(name: &str) -> String {
    format!("{name}.lock")
}

/// The entry that was found. One that can't be read is as if it was not there, and says so.
fn record(found: Found<EntryForm>, boot: &str, now: Moment) -> (EntryForm, Record) {
    let unreadable = match found {
        Found::Whole(form) => {
            let record = form.record(boot, now);
            return (form, record);
        }
        Found::Nothing => None,
        Found::Broken(_) => Some(Unreadable::Damaged),
        Found::Later => Some(Unreadable::LaterVersion),
    };
    let record = Record {
        unreadable,
        ..Record::default()
    };
    (EntryForm::default(), record)
}

/// The name, if it can't lead out of the folder.
fn checked(name: &str) -> Result<&str, StoreError> {
    if is_name(name) {
        return Ok(name);
    }
    Err(StoreError::new(
        "the name of an entry is not up to 128 letters, digits and hyphens",
    ))
}

/// `None` if it was removed meanwhile.
fn summary(
    name: String,
    found: Found<EntryForm>,
    keys: &Keys,
    now: Moment,
) -> Option<StoredSummary> {
    if matches!(found, Found::Nothing) {
        return None;
    }
    let (_, record) = record(found, boot(), now);
    Some(StoredSummary::of(name, record.entry(now), keys))
}

/// At random, so that versions of before the loss of a lease are not taken for later ones.
fn draw_epoch() -> Result<u64, StoreError> {
    let drawn = getrandom::u64().map_err(|error| {
        StoreError::new("the system gives no random numbers for the store").with_source(error)
    })?;
    Ok(drawn.max(1))
}

/// A text that is another one when the machine was started again. Only Linux has it: elsewhere a
/// steady clock that is behind says so.
fn boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let known = cfg!(any(target_os = "linux", target_os = "android"))
            .then(|| std::fs::read_to_string("/proc/sys/kernel/random/boot_id"));
        let known = known.and_then(Result::ok);
        known.map_or_else(|| UNKNOWN_START.to_owned(), |boot| boot.trim().to_owned())
    })
}

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;
    use crate::store::{Change, NotesChange, Saved, SessionChange, Version};

    fn save(fence: u64) -> Change {
        Change {
            version: Version {
                epoch: 7,
                fence,
                revision: 0,
            },
            session: SessionChange::Save(vec![1], Duration::from_secs(60)),
            notes: NotesChange::Keep,
            releases: None,
        }
    }

    /// As where a process was stopped that holds a lock, and someone has removed the file of it.
    #[test]
    fn rule_21_a_step_whose_lock_was_removed_changes_nothing_of_what_others_have_saved() {
        let name = format!("auth-core-steps-{}", std::process::id());
        for whole in [false, true] {
            let path = std::env::temp_dir().join(format!("{name}-{whole}"));
            let open = || Steps::new(Folder::open(&path).unwrap());
            let (stopped, moved) = (open(), path.with_extension("moved"));
            let outcome = stopped.change("a", |record, lease, now| {
                if whole {
                    std::fs::rename(&path, &moved).unwrap();
                } else {
                    std::fs::remove_file(path.join("a.lock")).unwrap();
                }
                let saved = open().change("a", |record, lease, now| {
                    *lease = LeaseRecord::new(7);
                    record.save(lease, save(2), now)
                });
                assert!(matches!(saved, Ok(Saved::Made(_))));
                *lease = LeaseRecord::new(7);
                record.save(lease, save(1), now)
            });
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("was removed"), "{error}");
            assert_eq!(open().load("a").unwrap().version, save(2).version);

            let outcome = stopped.permits("o", |permits, _, now| {
                if whole {
                    std::fs::rename(&path, path.with_extension("again")).unwrap();
                } else {
                    std::fs::remove_file(path.join("o.permits.lock")).unwrap();
                }
                let hold = |wait| {
                    move |permits: &mut PermitRecord, _: &mut bool, now| permits.hold(wait, now)
                };
                open().permits("o", hold(Duration::from_secs(60))).unwrap();
                permits.hold(Duration::from_secs(1), now);
            });
            assert!(outcome.is_err());
            for folder in [path.clone(), moved, path.with_extension("again")] {
                let _ = std::fs::remove_dir_all(folder);
            }
        }
    }

    #[test]
    fn linux_has_a_number_for_each_start_of_the_machine() {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert_eq!(super::boot(), boot.trim_end());
    }
}
