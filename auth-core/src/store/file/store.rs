//! The store.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::error::FolderError;
use super::folder::{Folder, KEY};
use super::steps::Steps;
use super::thread::Threads;
use super::watch::Watch;
use crate::store::summary::StoredSummary;
use crate::store::{
    Change, Entry, Keys, LeaseAnswer, LeaseAsk, PermitAnswer, PermitAsk, Saved, Seal, Store,
    StoreError,
};

/// A store in the files of a folder: for the starts of a program, and for the processes of a
/// machine that belong to one user.
///
/// What the files hold is sealed, and their names tell nothing of the accounts. The folder is the
/// user's own: it is made with mode 0700, and refused if others have access to it. Access is
/// checked on unix only. Elsewhere the folder should be in the user's profile.
///
/// A folder is for one machine. On a network file system two machines would each find the other's
/// leases lapsed: they log in beside each other, although neither saves a stale session over a
/// newer one. A fleet shares a store of its own.
///
/// ```
/// use auth_core::store::FileStore;
///
/// # let folder = std::env::temp_dir().join(format!("auth-core-doc-{}", std::process::id()));
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(async {
/// // Such as ~/.local/state/acme.
/// let store = FileStore::open(&folder)?;
/// for stored in store.list().await? {
///     println!("{} is {:?} old", stored.name, stored.session_age);
/// }
/// let removed = store.purge_all().await?;
/// # assert_eq!(removed, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A clone is the same store. Two stores on one folder share what it holds, as two processes do.
///
/// # Reboots
/// A lease ends with the machine that was on. Sessions, permits and what failed
/// logins forbid go on, by the wall clock.
///
/// # Backups
/// A folder that was restored from a backup has an earlier session, without the marks of refresh
/// tokens that were spent since. A process that has seen a later session sends no such token. One
/// that starts later can't know: it may send a token again that can be used once, and some servers
/// end all sessions of the account for that. So leave the folder out of backups, or
/// [purge](Self::purge_all) it after a restore, before a process uses it.
///
/// # Blocking
/// Each step has a thread that no runtime waits for, since a file system may hang, and one more
/// looks for changes. The constructors block their thread, so they are for the start of a program.
///
/// Of the steps of one store 64 are under way at a time. Further ones wait, within the two seconds
/// that a step may take. So a program with a thousand accounts does best to begin them, and to end
/// them, some hundreds at a time: to those that wait for longer the folder is in trouble, and what
/// can't be saved is logged in again by the next start.
#[derive(Clone)]
pub struct FileStore(Arc<Shared>);

struct Shared {
    keys: Keys,
    steps: Arc<Steps>,
    threads: Threads,
    watch: Watch,
}

impl FileStore {
    /// A store in a folder, with a key in the file `key` of the same folder. Folder and key are
    /// made if they are not there.
    ///
    /// A reader of the folder can read the sessions then. The key keeps them from those who
    /// see only a part of it, such as a file that was attached to a report. A key that is elsewhere
    /// protects more: see [`with_keys`](Self::with_keys).
    ///
    /// # Errors
    /// [`FolderError`], if the folder or the key can't be used or others have access to them.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, FolderError> {
        let folder = Folder::open(folder.as_ref())?;
        let keys = Keys::from_file(folder.path(KEY))?;
        Ok(Self::new(folder, keys))
    }

    /// A store in a folder, with keys from elsewhere. The folder is made if it is not there.
    ///
    /// # Errors
    /// [`FolderError`], if the folder can't be used or others have access to it.
    pub fn with_keys(folder: impl AsRef<Path>, keys: Keys) -> Result<Self, FolderError> {
        Ok(Self::new(Folder::open(folder.as_ref())?, keys))
    }

    fn new(folder: Folder, keys: Keys) -> Self {
        let steps = Arc::new(Steps::new(folder));
        Self(Arc::new(Shared {
            keys,
            watch: Watch::new(Arc::clone(&steps)),
            steps,
            threads: Threads::new(),
        }))
    }

    /// What is stored, in the order of the names.
    ///
    /// # Errors
    /// [`StoreError`] if the folder can't be read.
    ///
    /// # Cancel safety
    /// The future may be dropped at any time.
    pub async fn list(&self) -> Result<Vec<StoredSummary>, StoreError> {
        let keys = self.0.keys.clone();
        self.run(move |steps| steps.list(&keys)).await
    }

    /// Removes what is stored under this name, and says whether anything was.
    ///
    /// It logs nothing out. A process that has the session in its memory goes on with it, and saves
    /// it again when it has changed. The lease remains, with its number. The marks of spent tokens
    /// are gone, so a token of before that can be used once is not sent any more.
    ///
    /// # Errors
    /// [`StoreError`] if the file can't be locked or removed.
    ///
    /// # Cancel safety
    /// If the future is dropped, a removal that has begun goes on.
    pub async fn purge(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.run(move |steps| steps.purge(&name)).await
    }

    /// [Removes](Self::purge) all that is stored, and returns how many entries there were.
    ///
    /// # Errors
    /// As [`purge`](Self::purge). The entries that come before in the order of the names are
    /// removed.
    ///
    /// # Cancel safety
    /// If the future is dropped, a removal that has begun goes on.
    pub async fn purge_all(&self) -> Result<usize, StoreError> {
        self.purge_if(|_| true).await
    }

    /// [Removes](Self::purge) the entries to which nothing was saved for so long, with those that
    /// can't be read, and returns how many there were. An entry without a session and without notes
    /// has nothing to keep, so it is removed as well; but if its session was logged out, it stays
    /// for those who still have that, and [`purge`](Self::purge) removes it.
    ///
    /// # Errors
    /// As [`purge_all`](Self::purge_all).
    ///
    /// # Cancel safety
    /// If the future is dropped, a removal that has begun goes on.
    pub async fn purge_older(&self, than: Duration) -> Result<usize, StoreError> {
        self.purge_if(move |stored| stored.is_older(than)).await
    }

    async fn purge_if(
        &self,
        goes: impl Fn(&StoredSummary) -> bool + Send + 'static,
    ) -> Result<usize, StoreError> {
        let keys = self.0.keys.clone();
        self.run(move |steps| {
            let mut purged = 0;
            for stored in steps.list(&keys)?.iter().filter(|stored| goes(stored)) {
                purged += usize::from(steps.purge(&stored.name)?);
            }
            Ok(purged)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        step: impl FnOnce(&Steps) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let steps = Arc::clone(&self.0.steps);
        self.0.threads.run(move || step(&steps)).await
    }
}

#[async_trait]
impl Store for FileStore {
    fn seal(&self) -> &dyn Seal {
        &self.0.keys
    }

    async fn load(&self, name: &str) -> Result<Entry, StoreError> {
        let name = name.to_owned();
        self.run(move |steps| steps.load(&name)).await
    }

    async fn lease(&self, name: &str, ask: LeaseAsk<'_>) -> Result<LeaseAnswer, StoreError> {
        let (name, owner) = (name.to_owned(), ask.owner.to_owned());
        let (lasts, known) = (ask.lasts, ask.known);
        let (rejected, only_extends) = (ask.rejected, ask.only_extends);
        self.run(move |steps| {
            steps.change(&name, |record, lease, now| {
                let ask = LeaseAsk {
                    owner: &owner,
                    lasts,
                    known,
                    rejected,
                    only_extends,
                };
                record.lease(lease, ask, now, Duration::from_nanos(now.steady))
            })
        })
        .await
    }

    async fn save(&self, name: &str, change: Change) -> Result<Saved, StoreError> {
        let name = name.to_owned();
        self.run(move |steps| {
            steps.change(&name, |record, lease, now| record.save(lease, change, now))
        })
        .await
    }

    async fn permit(&self, origin: &str, ask: PermitAsk<'_>) -> Result<PermitAnswer, StoreError> {
        let (origin, id) = (origin.to_owned(), ask.id.to_owned());
        let (most, window, counts_for) = (ask.most, ask.window, ask.counts_for);
        self.run(move |steps| {
            steps.permits(&origin, |permits, lost, now| {
                if std::mem::take(lost) {
                    // What was lost may have been of logins under way.
                    permits.hold(window.max(counts_for), now);
                }
                let ask = PermitAsk {
                    id: &id,
                    most,
                    window,
                    counts_for,
                };
                permits.permit(ask, now)
            })
        })
        .await
    }

    async fn end_permit(
        &self,
        origin: &str,
        id: &str,
        counts_for: Duration,
    ) -> Result<(), StoreError> {
        let (origin, id) = (origin.to_owned(), id.to_owned());
        self.run(move |steps| {
            steps.permits(&origin, |permits, _, now| permits.end(&id, counts_for, now))
        })
        .await
    }

    async fn hold(&self, origin: &str, wait: Duration) -> Result<(), StoreError> {
        let origin = origin.to_owned();
        self.run(move |steps| steps.permits(&origin, |permits, _, now| permits.hold(wait, now)))
            .await
    }

    /// Looks at the files five times a second, or ten thousand files a second if there are more.
    async fn changed(&self, name: &str) {
        let entry = name.to_owned();
        let first = self.run(move |steps| steps.marks(&entry)).await.ok();
        self.0.watch.changed(name.to_owned(), first).await;
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").finish_non_exhaustive()
    }
}
