//! What has changed about a session since it was saved, and the task that saves it.

use super::entry::Version;
use crate::runtime::Mutex;

/// What has changed about a session since it was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unsaved {
    /// Its idle deadline alone, which is saved over no value that another process has saved.
    Deadline,
    Values,
}

/// The changes that one task saves, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Revisions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What the task saves, if it is under way.
    under_way: Option<Unsaved>,
    /// What has changed that it has not seen.
    again: Option<Unsaved>,
    /// A session of which values could not be saved.
    later: Option<Version>,
}

impl State {
    /// Whether what is being saved, or is to be, is more than a deadline.
    fn has_values(&self) -> bool {
        self.under_way.max(self.again) == Some(Unsaved::Values)
    }
}

impl Revisions {
    /// This is to be saved. Returns whether a task has to begin: none is at it.
    pub(crate) fn begin(&self, what: Unsaved) -> bool {
        let mut state = self.0.lock();
        state.again = state.again.max(Some(what));
        state.later = None;
        let begins = state.under_way.is_none();
        state.under_way.get_or_insert(what);
        begins
    }

    /// What there is to save. If nothing, the task has ended.
    pub(crate) fn next(&self) -> Option<Unsaved> {
        let mut state = self.0.lock();
        state.under_way = state.again.take();
        state.under_way
    }

    /// The task is gone before its end, with values of this session that may not be saved.
    pub(crate) fn give_up(&self, session: Option<Version>) {
        let mut state = self.0.lock();
        let has_values = state.has_values();
        *state = State {
            // What could not be saved meanwhile is of a later session.
            later: state.later.or(session.filter(|_| has_values)),
            ..State::default()
        };
    }

    /// Values of this session could not be saved.
    pub(crate) fn save_later(&self, session: Version) {
        self.0.lock().later = Some(session);
    }

    /// Whether the task is under way.
    pub(crate) fn is_under_way(&self) -> bool {
        self.0.lock().under_way.is_some()
    }

    /// Whether there are values of this session that may not be saved yet.
    pub(crate) fn has_values_of(&self, session: Version) -> bool {
        let state = self.0.lock();
        let same = |later: Version| later.is_of_same_session(session);
        state.has_values() || state.later.is_some_and(same)
    }
}
