//! One caller: what it asks for, and its deadline.

use std::time::Duration;

use super::ask::Ask;
use crate::clock::{Moment, nanos};
use crate::options::Options;

pub(super) struct Caller {
    pub(super) ask: Ask,
    pub(super) wait: Duration,
    /// On the steady clock, in nanoseconds.
    pub(super) deadline: u64,
    pub(super) fail_fast: bool,
}

impl Caller {
    pub(super) fn new(ask: Ask, options: &Options, now: Moment) -> Self {
        let wait = ask.within.unwrap_or(match ask.fail_fast {
            Some(false) => Options::QUOTA_WAIT,
            _ => options.wait_timeout,
        });
        Self {
            ask,
            wait,
            deadline: now.steady.saturating_add(nanos(wait)),
            fail_fast: ask.fail_fast.unwrap_or(options.fail_fast),
        }
    }

    /// Starts the caller's wait anew.
    pub(super) fn begin_anew(&mut self, now: Moment) {
        self.deadline = now.steady.saturating_add(nanos(self.wait));
    }
}
