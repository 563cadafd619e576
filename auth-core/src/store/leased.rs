//! The lease of a session that is not saved yet.

use super::entry::Version;
use crate::decide::Notes;
use crate::runtime::Mutex;

/// The lease under which a session was obtained that is not saved yet.
#[derive(Clone, Debug)]
pub(crate) struct Leased {
    /// `None` once it was given back.
    pub(crate) owner: Option<String>,
    /// What the session is saved as. `None` if the lease was asked for, and no answer came.
    pub(crate) version: Option<Version>,
    /// What is saved with the session.
    pub(crate) notes: Option<Notes>,
}

/// A secret that has logged in.
#[derive(Clone, Debug)]
pub(crate) struct LoggedIn {
    /// Its keyed hash.
    pub(crate) secret: String,
    /// When the login ended, on the steady clock.
    pub(crate) at: u64,
}

/// The lease of the session that is not saved yet, and the generation of that. It may be that of
/// the one before, if that could not be saved either.
#[derive(Debug, Default)]
pub(crate) struct LastLease(Mutex<Option<(u64, Leased)>>);

impl LastLease {
    /// The session of this generation, which is not saved yet, was obtained under this lease.
    pub(crate) fn set(&self, generation: u64, leased: Option<Leased>) {
        *self.0.lock() = leased.map(|leased| (generation, leased));
    }

    /// The lease under which the session of this generation was obtained, if it is not saved yet.
    pub(crate) fn of(&self, generation: u64) -> Option<Leased> {
        let leased = self.0.lock().clone();
        leased.and_then(|(of, leased)| (of == generation).then_some(leased))
    }

    /// The lease, unless it was given back.
    pub(crate) fn left_to_give_back(&self) -> Option<Leased> {
        let leased = self.0.lock().clone();
        (leased.map(|(_, leased)| leased)).filter(|leased| leased.owner.is_some())
    }

    /// Whether it has this owner.
    pub(crate) fn is_of(&self, owner: &str) -> bool {
        self.with(owner, |_| ()).is_some()
    }

    /// It was given, if it has this owner, for a session that is saved as this version. Returns
    /// whether it has.
    pub(super) fn was_given(&self, owner: &str, version: Version) -> bool {
        let given = self.with(owner, |leased| leased.version = Some(version));
        given.is_some()
    }

    /// These notes are saved with its session, if it has this owner.
    pub(crate) fn note(&self, owner: &str, notes: Option<&Notes>) {
        self.with(owner, |leased| leased.notes = notes.cloned());
    }

    /// The lease of this owner was given back.
    pub(super) fn given_back(&self, owner: &str) {
        self.with(owner, |leased| leased.owner = None);
    }

    /// Changes it, if it has this owner.
    fn with<T>(&self, owner: &str, change: impl FnOnce(&mut Leased) -> T) -> Option<T> {
        let mut leased = self.0.lock();
        let (_, leased) = leased.as_mut()?;
        (leased.owner.as_deref() == Some(owner)).then(|| change(leased))
    }
}
