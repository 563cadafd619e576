//! A step on a thread that no runtime waits for.

use std::sync::Arc;
use std::thread;

use tokio::sync::{Semaphore, oneshot};

use crate::store::StoreError;

/// The threads of one store.
///
/// A file system may hang, and a runtime that shuts down waits for the calls on its blocking
/// threads. So each step has a thread of its own. There are as many steps as logins, so the start
/// of a thread counts for nothing.
#[derive(Debug)]
pub(super) struct Threads(Arc<Semaphore>);

/// How many steps may be under way. It bounds the threads that a file system that hangs collects.
/// Others wait for their turn: a program may begin with hundreds of accounts.
const MOST: usize = 64;

impl Threads {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }

    /// Runs a step. If the future is dropped, a step that has begun goes on.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // It is never closed. The cache bounds the wait.
        let permit = Arc::clone(&self.0).acquire_owned().await.ok();
        let (sender, outcome) = oneshot::channel();
        let run = move || {
            let outcome = step();
            // Before the outcome is sent, so that the next step of the same caller finds it free.
            drop(permit);
            // It fails if the caller has given up.
            let _ = sender.send(outcome);
        };
        thread::Builder::new()
            .name("store".to_owned())
            .spawn(run)
            .map_err(|error| {
                StoreError::new("no thread for the store can be started").with_source(error)
            })?;
        let panicked = || StoreError::new("a step at the folder of the store panicked");
        outcome.await.map_err(|_| panicked())?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_step_that_panics_is_an_error_and_frees_its_thread() {
        let threads = Threads::new();
        for _ in 0..=MOST {
            let outcome = threads.run::<()>(|| panic!("on purpose")).await;
            assert!(outcome.unwrap_err().to_string().contains("panicked"));
            threads.run(|| Ok(())).await.unwrap();
        }
    }

    #[test]
    fn steps_that_hang_are_bounded_and_keep_no_runtime_from_ending() {
        let threads = Threads::new();
        let (release, hang) = mpsc::channel::<()>();
        let hang = Arc::new(std::sync::Mutex::new(hang));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build()
            .unwrap();
        runtime.block_on(async {
            for _ in 0..MOST {
                let hang = Arc::clone(&hang);
                let step = move || {
                    let _ = hang.lock().unwrap().recv();
                    Ok(())
                };
                assert!(threads.run(step).now_or_never().is_none());
            }
            assert!(threads.run(|| Ok(())).now_or_never().is_none(), "it waits");
            let waits = threads.run(|| Ok(()));
            release.send(()).unwrap();
            waits.await.unwrap();
        });
        let (ended, is_over) = mpsc::channel();
        thread::spawn(move || {
            drop(runtime);
            let _ = ended.send(());
        });
        let is_over = is_over.recv_timeout(Duration::from_secs(10));
        assert!(is_over.is_ok(), "the runtime waits for the steps");
        drop(release);
    }
}
