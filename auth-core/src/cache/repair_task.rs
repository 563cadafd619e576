//! The repair under way, as those that wait for it see it.

use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use crate::clock::Moment;
use crate::error::Error;
use crate::runtime::{Mutex, Task};

/// The repair under way, if one is.
#[derive(Default)]
pub(super) struct Repair(pub(super) Mutex<Option<Box<UnderWay>>>);

/// A repair that has begun.
#[derive(Clone)]
pub(super) struct UnderWay {
    /// That of the session that is repaired.
    pub(super) generation: u64,
    /// When its time-out is over for sure, on the steady clock. If it has not ended then, its task
    /// is not driven.
    pub(super) due: u64,
    pub(super) ended: Ended,
    /// Its task, once that is spawned.
    pub(super) task: Arc<OnceLock<Task>>,
}

/// How a repair has ended, once it has.
pub(super) type Ended = watch::Receiver<Option<Result<(), Error>>>;

impl UnderWay {
    pub(super) fn stop(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }

    /// Whether it has neither ended nor been lost.
    pub(super) fn is_going(&self, now: Moment) -> bool {
        now.steady < self.due && self.ended.has_changed().is_ok() && self.ended.borrow().is_none()
    }
}
