//! A store in the files of a folder.
//!
//! A folder holds, for an entry that is named `NAME`:
//!
//! | file | holds |
//! |---|---|
//! | `NAME.entry` | the session and the notes, sealed, and what [`Record`](super::Record) says |
//! | `NAME.lease` | the lease, which outlives the entry: fences must not begin anew |
//! | `NAME.lock` | nothing; a change of one of the two locks it |
//! | `NAME.permits` | the permits, if it is the name of an origin |
//! | `NAME.permits.lock` | nothing; a change of the permits locks it |
//!
//! A change takes these steps, on a thread of its own:
//! 1. It locks the lock file, in a bounded time. The lock is the operating system's, so it ends
//!    with its process. The lock file is never renamed or removed: two processes could lock two
//!    files of the same name. If someone else has removed it, the step changes nothing.
//! 2. It reads the time, and then the files.
//! 3. The step without I/O decides.
//! 4. What has changed is written to a new file, which takes the place of the old one by a rename.
//!    Who reads without the lock finds one of the two whole, and so does who comes after a crash.

mod error;
mod folder;
mod form;
mod lock;
mod steps;
mod store;
mod thread;
mod watch;

pub use error::FolderError;
pub use store::FileStore;
