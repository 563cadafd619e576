//! What is stored, told without what it holds.

use std::time::Duration;

use super::entry::{Entry, Version};
use super::keys::Keys;
use super::seal::Unreadable;

/// What is stored of one identity, told without what it holds.
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::StoredSummary;
///
/// /// What an operator looks for.
/// fn is_stale(stored: &StoredSummary) -> bool {
///     stored.unreadable.is_some()
///         || stored.session_age.is_some_and(|age| age > Duration::from_secs(30 * 86_400))
/// }
/// # drop(is_stale);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoredSummary {
    /// The name of the entry, which tells nothing of the account.
    pub name: String,
    /// The version of the session, also of one that has ended. The default if the entry
    /// can't be read.
    pub version: Version,
    /// How long ago the session was saved, if there is one.
    pub session_age: Option<Duration>,
    /// How long ago the notes were saved, if there are any.
    pub notes_age: Option<Duration>,
    /// Whether the session was rejected, or logged out.
    pub is_over: bool,
    /// Why it can't be read, as far as can be said without the identity.
    pub unreadable: Option<Unreadable>,
}

impl StoredSummary {
    pub(super) fn of(name: String, entry: Entry, keys: &Keys) -> Self {
        let mut stored = entry.session.iter().chain(&entry.notes);
        let cant_be_opened = || stored.find_map(|stored| keys.may_open(&stored.sealed).err());
        let unreadable = entry.unreadable.or_else(cant_be_opened);
        Self {
            name,
            version: entry.version,
            session_age: entry.session.map(|stored| stored.age),
            notes_age: entry.notes.map(|stored| stored.age),
            is_over: entry.is_over,
            unreadable,
        }
    }

    /// Whether nothing was saved to it for so long, or it has nothing. That a session was logged
    /// out stays for those who still have it, who would not learn of it otherwise.
    pub(super) fn is_older(&self, than: Duration) -> bool {
        if self.is_over && self.session_age.is_none() {
            return false;
        }
        let ages = self.session_age.into_iter().chain(self.notes_age);
        ages.min().is_none_or(|age| age >= than)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_older_once_nothing_was_saved_to_it_for_so_long() {
        let second = Duration::from_secs(1);
        let (two, three) = (2 * second, 3 * second);
        let of_ages = |session_age, notes_age| StoredSummary {
            name: "a".to_owned(),
            version: Version::default(),
            session_age,
            notes_age,
            is_over: false,
            unreadable: None,
        };
        for (session_age, notes_age, until) in [
            (Some(two), None, two),
            (None, Some(two), two),
            (Some(two), Some(three), two),
            (Some(three), Some(two), two),
            // It was just saved, or the clock was set back.
            (Some(Duration::ZERO), None, Duration::ZERO),
            (None, None, Duration::MAX),
        ] {
            let stored = of_ages(session_age, notes_age);
            assert!(stored.is_older(until), "{stored:?}");
            let later = until.saturating_add(Duration::from_nanos(1));
            assert!(later == until || !stored.is_older(later), "{stored:?}");
        }
        for (session_age, notes_age, goes) in [
            // It was rejected.
            (Some(two), None, true),
            // It was logged out.
            (None, None, false),
            (None, Some(two), false),
        ] {
            let mut stored = of_ages(session_age, notes_age);
            stored.is_over = true;
            assert_eq!(stored.is_older(second), goes, "{stored:?}");
        }
    }
}
