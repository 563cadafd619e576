//! The task that looks for changes in the store.

use crate::runtime::{Mutex, Task};

/// The task of one cache.
#[derive(Debug, Default)]
pub(crate) struct Following(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    under_way: bool,
    task: Option<Task>,
}

impl Following {
    /// Returns whether no task looks for changes, so that one may begin.
    pub(crate) fn begin(&self) -> bool {
        !std::mem::replace(&mut self.0.lock().under_way, true)
    }

    /// The task that has begun, to be aborted in the end.
    pub(crate) fn set(&self, task: Task) {
        self.0.lock().task = Some(task);
    }

    /// The task is gone.
    pub(crate) fn end(&self) {
        self.0.lock().under_way = false;
    }

    /// Ends the task.
    pub(crate) fn stop(&self) {
        let task = self.0.lock().task.take();
        if let Some(task) = task {
            task.abort();
        }
    }
}
