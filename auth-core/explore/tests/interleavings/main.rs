//! Explores interleavings of the real cache. Every lock, atomic, slot and spawn is a point where
//! another thread may run first.
//!
//! Each test runs some thousand random schedules, hundreds if it takes long, and as many with few
//! context switches, where most bugs are. A schedule that fails is printed, and `shuttle::replay`
//! repeats it. Two things are not explored: memory orders weaker than sequential consistency, and
//! the internals of governor, of tokio's channels and of futures.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod cache;
mod provider;
mod quota;
mod sharing;
mod trouble;

use std::time::Duration;

use auth_core::Target;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

const SCHEDULES: usize = 2_000;
const HERE: Target<'_> = Target::new("https", "api.example.com", "/");
const HOUR: Duration = Duration::from_secs(3_600);

fn explore(run: impl Fn() + Send + Sync + Copy + 'static) {
    explore_times(SCHEDULES, run);
}

/// For what takes long: several processes and their clocks.
fn explore_some(run: impl Fn() + Send + Sync + Copy + 'static) {
    explore_times(SCHEDULES / 8, run);
}

fn explore_times(schedules: usize, run: impl Fn() + Send + Sync + Copy + 'static) {
    // A login with a store needs more than the 32 KiB that a thread of the model has.
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(run);
    Runner::new(PctScheduler::new(3, schedules), config).run(run);
}

/// Waits until no task of the cache is left. One that waits for a lock when the model's run ends is
/// an error of the model's.
async fn no_task_left() {
    for _ in 0..10_000 {
        if auth_core::runtime::tasks() == 0 {
            return;
        }
        shuttle::future::yield_now().await;
    }
    panic!("a task is left");
}
