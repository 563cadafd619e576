//! What has changed about a session since it was saved, and the task that saves it.

use super::entry::Version;
use super::steps::SETTLED_WITHIN;
use crate::clock::nanos;
use crate::runtime::Mutex;

/// What has changed about a session since it was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unsaved {
    /// Its idle deadline alone, or that a response has shown it to be good, which is saved over no
    /// value that another process has saved.
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
    /// The number of the last task that has begun.
    task: u64,
    /// When it is to ask what there is to save, on the steady clock. One that has not by then is on
    /// a runtime that is not driven any more.
    due: u64,
}

impl State {
    /// Whether what is being saved, or is to be, is more than a deadline.
    fn has_values(&self) -> bool {
        self.under_way.max(self.again) == Some(Unsaved::Values)
    }

    fn is_driven(&self, now: u64) -> bool {
        self.under_way.is_some() && now <= self.due
    }

    /// A save takes two steps at most.
    fn set_due(&mut self, now: u64) {
        self.due = now.saturating_add(nanos(SETTLED_WITHIN));
    }
}

impl Revisions {
    /// This is to be saved. Returns the number of the task that has to begin, if none is at it.
    pub(crate) fn begin(&self, what: Unsaved, now: u64) -> Option<u64> {
        let mut state = self.0.lock();
        state.again = state.again.max(Some(what));
        state.later = None;
        if state.is_driven(now) {
            return None;
        }
        // With what the one before has not saved.
        state.again = state.again.max(state.under_way);
        state.under_way = state.again;
        state.task += 1;
        state.set_due(now);
        Some(state.task)
    }

    /// This is to be saved once more, by the task with this number. Returns whether that is at it
    /// still.
    pub(crate) fn save_again(&self, task: u64, what: Unsaved) -> bool {
        let mut state = self.0.lock();
        let is_at_it = state.task == task;
        if is_at_it {
            state.again = state.again.max(Some(what));
        }
        is_at_it
    }

    /// What there is to save. If nothing, the task with this number has ended.
    pub(crate) fn next(&self, task: u64, now: u64) -> Option<Unsaved> {
        let mut state = self.0.lock();
        if state.task != task {
            return None;
        }
        state.set_due(now);
        state.under_way = state.again.take();
        state.under_way
    }

    /// The task with this number is gone before its end, with values of this session that may not
    /// be saved.
    pub(crate) fn give_up(&self, task: u64, session: Option<Version>) {
        let mut state = self.0.lock();
        if state.task != task {
            return;
        }
        let has_values = state.has_values();
        *state = State {
            // What could not be saved meanwhile is of a later session.
            later: state.later.or(session.filter(|_| has_values)),
            task,
            ..State::default()
        };
    }

    /// Values of this session could not be saved.
    pub(crate) fn save_later(&self, session: Version) {
        self.0.lock().later = Some(session);
    }

    /// Whether the task is under way.
    pub(crate) fn is_under_way(&self, now: u64) -> bool {
        self.0.lock().is_driven(now)
    }

    /// Whether there are values of this session that may not be saved yet.
    pub(crate) fn has_values_of(&self, session: Version) -> bool {
        let state = self.0.lock();
        let same = |later: Version| later.is_of_same_session(session);
        state.has_values() || state.later.is_some_and(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_21_a_task_that_was_replaced_saves_nothing_though_the_next_one_is_gone() {
        let revisions = Revisions::default();
        let begin = |now| revisions.begin(Unsaved::Values, now);
        assert_eq!(begin(0), Some(1));
        assert_eq!(begin(0), None, "it is at it");
        // Its runtime is not driven any more.
        let later = nanos(SETTLED_WITHIN) + 1;
        assert_eq!(begin(later), Some(2));
        revisions.give_up(2, None);
        assert_eq!(begin(later), Some(3));
        // It is driven again.
        assert_eq!(revisions.next(1, later), None);
        assert!(!revisions.save_again(1, Unsaved::Values));
        assert_eq!(revisions.next(3, later), Some(Unsaved::Values));
    }
}
