//! What is stored of one identity, and the changes to it.

use std::fmt;
use std::time::Duration;

use super::seal::Unreadable;

/// Which session is stored. Versions of one epoch are ordered: by the fence of the lease under
/// which the session was obtained, and then by its revision.
///
/// A store that has lost its data begins a new epoch, because its fences begin anew. Versions of
/// different epochs are not ordered.
///
/// ```
/// use auth_core::store::Version;
///
/// let saved = Version { epoch: 7, fence: 4, revision: 2 };
/// let rolled = Version { revision: 3, ..saved };
/// let next_login = Version { fence: 5, revision: 0, ..saved };
/// assert!(rolled.is_newer_than(saved) && next_login.is_newer_than(rolled));
/// assert!(rolled.is_of_same_session(saved) && !next_login.is_of_same_session(saved));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(
    clippy::exhaustive_structs,
    reason = "a version is these three numbers"
)]
pub struct Version {
    /// A random number that the store has drawn when it had nothing of the identity.
    pub epoch: u64,
    /// The number of the lease, from one on. Zero if the session was saved without a lease, or if
    /// none was saved yet.
    pub fence: u64,
    /// Which value of the session it is.
    pub revision: u64,
}

impl Version {
    /// Whether this is the later one of the same epoch, or one of another epoch.
    pub fn is_newer_than(self, other: Self) -> bool {
        self.epoch != other.epoch || (self.fence, self.revision) > (other.fence, other.revision)
    }

    /// Whether both are of one session, of whatever revision.
    pub fn is_of_same_session(self, other: Self) -> bool {
        (self.epoch, self.fence) == (other.epoch, other.fence)
    }

    /// Whether `other` is a value of the same session, and this is no later one. What is refused
    /// though it is later was logged out.
    pub(crate) fn is_behind(self, other: Self) -> bool {
        self.is_of_same_session(other) && self.revision <= other.revision
    }

    /// What it is in another epoch, since the store has lost its data.
    const fn saved_anew(self, epoch: u64) -> Self {
        Self {
            epoch,
            fence: 0,
            revision: self.revision.saturating_add(1),
        }
    }

    /// Whether a session was ever saved under it.
    pub const fn is_of_a_session(self) -> bool {
        self.fence > 0 || self.revision > 0
    }
}

/// What is stored of one identity.
///
/// ```
/// use auth_core::store::Entry;
///
/// let nothing = Entry::default();
/// assert!(nothing.session.is_none() && !nothing.was_logged_out());
/// let ended = Entry { is_over: true, ..nothing };
/// assert!(ended.was_logged_out());
/// ```
#[derive(Clone, Debug, Default)]
#[allow(clippy::exhaustive_structs, reason = "stores build it")]
pub struct Entry {
    /// The version of the session, also of one that has ended.
    pub version: Version,
    /// The session. `None` if none was saved, or if it has ended.
    pub session: Option<Stored>,
    /// Whether the session was rejected, or logged out. If it was rejected, it is kept for what it
    /// can be refreshed with.
    pub is_over: bool,
    /// What is remembered beside the session: what failed logins forbid, and more.
    pub notes: Option<Stored>,
    /// Why something of the entry can't be read, so that it is not in the other fields. It is for
    /// what the store sees by itself, such as a row that is not whole: the cache opens what is
    /// sealed. `None` if nothing is there.
    pub unreadable: Option<Unreadable>,
    /// Whether notes may be lost that were saved since the lease was given under which the session
    /// was obtained, as after a failover to a replica that has missed them. A refresh token that
    /// can be used once counts as spent then. All else that is there holds.
    pub may_lack_notes: bool,
}

impl Entry {
    /// Whether the session was logged out.
    pub const fn was_logged_out(&self) -> bool {
        self.is_over && self.session.is_none()
    }
}

/// Sealed bytes, and how long ago they were saved.
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::{Entry, Stored};
///
/// let stored = Stored { sealed: vec![1, 2, 3], age: Duration::from_secs(60) };
/// let entry = Entry { session: Some(stored), ..Entry::default() };
/// assert!(entry.session.is_some_and(|stored| stored.age.as_secs() == 60));
/// ```
#[derive(Clone, Default)]
#[allow(clippy::exhaustive_structs, reason = "stores build it")]
pub struct Stored {
    /// What [`Seal::seal`](super::Seal::seal) has returned.
    pub sealed: Vec<u8>,
    /// How long ago they were saved, by the store's own clock.
    pub age: Duration,
}

impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stored")
            .field("sealed", &Length(&self.sealed))
            .field("age", &self.age)
            .finish()
    }
}

/// Prints how many bytes there are. A [`MemoryStore`](super::MemoryStore) seals nothing.
pub(super) struct Length<'a>(pub(super) &'a [u8]);

impl fmt::Debug for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A change to an entry. It is made as a whole or not at all, but that notes beside a session stay
/// behind if a later lease was given.
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::{Change, NotesChange, SessionChange, Version};
///
/// // A login has ended: its session is saved, and its lease is released.
/// let change = Change {
///     version: Version { epoch: 7, fence: 5, revision: 0 },
///     session: SessionChange::Save(b"sealed".to_vec(), Duration::from_secs(86_400)),
///     notes: NotesChange::Keep,
///     releases: Some("login-17".to_owned()),
/// };
/// # drop(change);
/// ```
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "stores read it")]
pub struct Change {
    /// The version of the session that is saved, or that the change is about.
    pub version: Version,
    /// The change to the session.
    pub session: SessionChange,
    /// The change to the notes.
    pub notes: NotesChange,
    /// The owner of the lease that is released together with the change, if it still has it.
    pub releases: Option<String>,
}

/// The change to a session.
///
/// ```
/// use auth_core::store::SessionChange;
///
/// /// What a store writes.
/// fn column(change: &SessionChange) -> Option<&[u8]> {
///     match change {
///         SessionChange::Save(sealed, _) => Some(sealed),
///         // `Reject` keeps the bytes and sets `is_over`; `End` drops them as well.
///         SessionChange::Keep | SessionChange::Reject | SessionChange::End => None,
///     }
/// }
/// assert!(column(&SessionChange::End).is_none());
/// ```
#[derive(Clone)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a store that passes one over would lose a session"
)]
pub enum SessionChange {
    /// It stays.
    Keep,
    /// This one is saved, and need not be kept for longer than this.
    Save(Vec<u8>, Duration),
    /// It was rejected.
    Reject,
    /// It was logged out, so it is dropped. Its version stays, also where the store had lost it.
    End,
}

impl fmt::Debug for SessionChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("Keep"),
            Self::Save(sealed, keep_for) => {
                let mut save = f.debug_tuple("Save");
                save.field(&Length(sealed)).field(keep_for).finish()
            }
            Self::Reject => f.write_str("Reject"),
            Self::End => f.write_str("End"),
        }
    }
}

/// The change to the notes.
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::NotesChange;
///
/// let refused = NotesChange::Save(b"sealed".to_vec(), Duration::from_secs(900));
/// assert!(matches!(refused, NotesChange::Save(_, kept_for) if kept_for.as_secs() == 900));
/// ```
#[derive(Clone)]
#[allow(
    clippy::exhaustive_enums,
    reason = "a store that passes one over would forget a refusal"
)]
pub enum NotesChange {
    /// They stay.
    Keep,
    /// These are saved, and need not be kept for longer than this.
    Save(Vec<u8>, Duration),
}

impl fmt::Debug for NotesChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep => f.write_str("Keep"),
            Self::Save(sealed, keep_for) => {
                let mut save = f.debug_tuple("Save");
                save.field(&Length(sealed)).field(keep_for).finish()
            }
        }
    }
}

/// What became of a change.
///
/// ```
/// use auth_core::store::{Saved, Version};
///
/// fn has_now(saved: Saved) -> Version {
///     match saved {
///         Saved::Made(version) | Saved::Newer(version) => version,
///     }
/// }
/// # drop(has_now(Saved::Made(Version::default())));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "it was made, or it was not")]
pub enum Saved {
    /// It was made, and the entry has this version now.
    Made(Version),
    /// Nothing was changed, because this newer version is there.
    Newer(Version),
}

impl Change {
    /// The version that the entry has after the change, or `None` if it must not be made. `stored`
    /// is the entry, `epoch` is the store's, and `fence` that of its last lease.
    ///
    /// This is the rule that a store keeps, in one step with the change itself: a session is saved
    /// only over an older one, and all else is changed only while no newer one is there. One that
    /// was logged out does not come back. Notes alone are saved only under the last lease. After
    /// the store has lost its data, a session of before is saved if none is there, and none was
    /// logged out since; and that it was logged out is noted where nothing is there. What can't be
    /// read may be of a later login, so a session is saved in its place only under the last lease.
    ///
    /// The store itself sees to notes beside a session: it saves those of the last lease alone.
    ///
    /// ```
    /// use auth_core::store::{Change, Entry, NotesChange, SessionChange, Version};
    ///
    /// let save = |fence| Change {
    ///     version: Version { epoch: 7, fence, revision: 0 },
    ///     session: SessionChange::Save(Vec::new(), std::time::Duration::MAX),
    ///     notes: NotesChange::Keep,
    ///     releases: None,
    /// };
    /// let version = Version { epoch: 7, fence: 4, revision: 2 };
    /// let stored = Entry { version, ..Entry::default() };
    /// assert!(save(5).allowed(&stored, 7, 5).is_some());
    /// assert!(save(4).allowed(&stored, 7, 5).is_none(), "it was stopped, and another has saved");
    /// ```
    pub fn allowed(&self, entry: &Entry, epoch: u64, fence: u64) -> Option<Version> {
        let (ours, stored) = (self.version, entry.version);
        let notes = matches!(self.notes, NotesChange::Save(..));
        if notes && matches!(self.session, SessionChange::Keep) && self.is_late(epoch, fence) {
            return None;
        }
        let saves = matches!(self.session, SessionChange::Save(..));
        // It may be what a later login has saved.
        if saves && entry.unreadable.is_some() && self.is_late(epoch, fence) {
            return None;
        }
        let ends = matches!(self.session, SessionChange::End);
        if ends && ours.is_of_a_session() && !stored.is_of_a_session() {
            // The store has lost it, and others may have it still, who would save it again.
            return Some(if ours.epoch == epoch {
                ours
            } else {
                ours.saved_anew(epoch)
            });
        }
        let allowed = match self.session {
            _ if ours.epoch == stored.epoch => match self.session {
                SessionChange::Save(..) => {
                    let returns = entry.was_logged_out() && ours.is_of_same_session(stored);
                    ours.is_newer_than(stored) && !returns
                }
                SessionChange::Keep => !stored.is_newer_than(ours),
                SessionChange::Reject | SessionChange::End => {
                    ours.is_of_same_session(stored) && !stored.is_newer_than(ours)
                }
            },
            // The entry is from before the store has lost its leases.
            SessionChange::Save(..) | SessionChange::Keep if ours.epoch == epoch => true,
            // One that was logged out may be this one, which was saved anew since then.
            SessionChange::Save(..) if entry.session.is_none() && !entry.is_over => {
                return Some(ours.saved_anew(epoch));
            }
            _ => false,
        };
        allowed.then_some(if saves { ours } else { stored })
    }

    /// Whether another has the lease by now, which has this fence, and may have noted more. Any
    /// lease is later than what comes from before the store has lost its data.
    pub(super) const fn is_late(&self, epoch: u64, fence: u64) -> bool {
        let is_before = self.version.epoch != epoch;
        fence > if is_before { 0 } else { self.version.fence }
    }
}
