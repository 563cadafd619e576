//! The waits for a change of an entry. One thread looks at the files of all of them, so that a
//! program with thousands of accounts does not start a thread for each look.
//!
//! 1. Who waits takes the marks of the files first, and then enters here.
//! 2. The first to enter starts the thread. It looks after each pause, and tells those whose marks
//!    have changed.
//! 3. It ends when no one waits, or when those who did have gone.

use std::mem;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::folder::Mark;
use super::steps::Steps;

/// How often the files of an entry are looked at.
const LOOKS_EVERY: Duration = Duration::from_millis(200);

/// How much of a pause each entry adds at least: a look takes some microseconds.
const PER_ENTRY: Duration = Duration::from_micros(100);

/// The marks of an entry's files. `None` if they could not be taken.
type Marks = Option<[Mark; 2]>;

/// The waits for changes in one folder.
#[derive(Debug)]
pub(super) struct Watch {
    steps: Arc<Steps>,
    waits: Arc<Mutex<Waits>>,
}

#[derive(Debug, Default)]
struct Waits {
    list: Vec<Wait>,
    is_watched: bool,
}

#[derive(Debug)]
struct Wait {
    name: String,
    first: Marks,
    tell: oneshot::Sender<()>,
}

impl Watch {
    pub(super) fn new(steps: Arc<Steps>) -> Self {
        Self {
            steps,
            waits: Arc::default(),
        }
    }

    /// Returns when the marks of an entry are no longer `first`. If no thread can be started, that
    /// is never: the caller bounds the wait.
    pub(super) async fn changed(&self, name: String, first: Marks) {
        let (tell, told) = oneshot::channel();
        let begins = {
            let mut waits = self.waits.lock();
            waits.list.push(Wait { name, first, tell });
            !mem::replace(&mut waits.is_watched, true)
        };
        if begins {
            let (steps, waits) = (Arc::clone(&self.steps), Arc::clone(&self.waits));
            let thread = thread::Builder::new().name("store watch".to_owned());
            if thread.spawn(move || watch(&steps, &waits)).is_err() {
                self.waits.lock().is_watched = false;
            }
        }
        // It is dropped only with the thread.
        if told.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The body of the thread.
fn watch(steps: &Steps, waits: &Mutex<Waits>) {
    let mut count = waits.lock().list.len();
    while count > 0 {
        let per_entry = PER_ENTRY.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        thread::sleep(LOOKS_EVERY.max(per_entry));
        let all = mem::take(&mut waits.lock().list);
        // No lock is held: a file system may hang.
        let mut left: Vec<Wait> = (all.into_iter())
            .filter(|wait| !wait.tell.is_closed())
            .filter_map(|wait| look(steps, wait))
            .collect();
        let mut waits = waits.lock();
        waits.list.append(&mut left);
        count = waits.list.len();
        waits.is_watched = count > 0;
    }
}

/// Looks once. Returns the wait if it goes on.
fn look(steps: &Steps, wait: Wait) -> Option<Wait> {
    let now = steps.marks(&wait.name).ok();
    // A look that failed says nothing.
    if now.is_none() || now == wait.first {
        return Some(wait);
    }
    // It fails if the caller has given up meanwhile.
    let _ = wait.tell.send(());
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use std::fs;
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::super::folder::Folder;
    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn one_thread_looks_for_all_and_ends_when_no_one_waits() {
        let path = std::env::temp_dir().join(format!("auth-core-watch-{}", std::process::id()));
        let steps = Arc::new(Steps::new(Folder::open(&path).unwrap()));
        let watch = Watch::new(Arc::clone(&steps));
        let wait = |name: &str| watch.changed(name.to_owned(), steps.marks(name).ok());
        for _ in 0..2 {
            let mut others = pin!(join_all((0..50).map(|n| wait(&format!("other-{n}")))));
            let mut changed = pin!(wait("changed"));
            assert!(others.as_mut().now_or_never().is_none());
            assert!(changed.as_mut().now_or_never().is_none());
            assert_eq!(watch.waits.lock().list.len(), 51);
            fs::write(path.join("changed.entry"), "text").unwrap();
            timeout(BOUND, changed).await.unwrap();
            assert!(others.as_mut().now_or_never().is_none());
            assert!(watch.waits.lock().is_watched);
            // The thread, the steps here, and those of the watch.
            assert_eq!(Arc::strong_count(&steps), 3);
            others.set(join_all(Vec::new()));
            let ended = async {
                while watch.waits.lock().is_watched || Arc::strong_count(&steps) > 2 {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(BOUND, ended).await.unwrap();
            fs::remove_file(path.join("changed.entry")).unwrap();
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
