//! A superseded session that waits for its logout.

use std::sync::Arc;

use crate::credential::Credential;
use crate::logout::Logout;
use crate::runtime::Task;

/// A superseded session, and the task that logs it out after its grace.
pub(super) struct Leaving {
    pub(super) task: Task,
    pub(super) session: Arc<Credential>,
    pub(super) logout: Logout,
}

impl Leaving {
    /// Whether it was logged out.
    pub(super) fn is_gone(&self) -> bool {
        self.task.is_finished()
    }

    /// It is not logged out.
    pub(super) fn stay(&self) {
        self.task.abort();
    }

    /// Its grace ends early: it is to be logged out now, unless it was.
    pub(super) fn leave_now(self) -> Option<(Arc<Credential>, Logout)> {
        let gone = self.is_gone();
        self.stay();
        (!gone).then_some((self.session, self.logout))
    }
}
