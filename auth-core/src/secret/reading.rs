//! The reading of a source that may block, on a thread that no runtime waits for.
//!
//! A file may hang: a pipe without a writer, or a network file system without its server. So may a
//! keychain that asks its user. Nothing interrupts such a call, and a runtime that shuts down waits
//! for the calls on its blocking threads. So a reading has a thread of its own, and of each source
//! at most one is under way. Further callers join it. A caller gives up by dropping its future.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::thread;

use tokio::sync::watch;

use super::{Secret, SecretError};
use crate::runtime::Mutex;

type Outcome = Result<Secret, SecretError>;

/// A reading under way. `None` until it has ended.
type Reading = watch::Receiver<Option<Outcome>>;

/// What is read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    /// A file, for all sources of this process that read it.
    File(PathBuf),
    /// Code of the user, by its address. A reading owns the code until it is no longer under way,
    /// so the address is not another's meanwhile.
    Code(usize),
}

static UNDER_WAY: Mutex<BTreeMap<Place, Reading>> = Mutex::new(BTreeMap::new());

/// Reads a place by `read`, or joins the reading of it that is under way.
pub(super) async fn read_at(place: Place, read: impl Fn() -> Outcome + Send + 'static) -> Outcome {
    let mut reading = join_or_start(place, read).map_err(|error| {
        SecretError::new("no thread to read the password can be started").with_source(error)
    })?;
    let ended = reading.wait_for(Option::is_some).await;
    let outcome = ended.ok().and_then(|ended| ended.clone());
    outcome.unwrap_or_else(|| {
        Err(SecretError::new(
            "the code that reads the password panicked",
        ))
    })
}

fn join_or_start(
    place: Place,
    read: impl Fn() -> Outcome + Send + 'static,
) -> std::io::Result<Reading> {
    // The lock is held while the thread starts, so that the thread can take its entry away only
    // after it was added.
    let mut under_way = UNDER_WAY.lock();
    if let Some(reading) = under_way.get(&place) {
        return Ok(reading.clone());
    }
    let (sender, reading) = watch::channel(None);
    let key = place.clone();
    let run = move || {
        // It is dropped before `read`, which the call only borrows, so the address in a
        // `Place::Code` stays that of this code.
        let entry = Entry(key);
        let outcome = read();
        // From here on the place may change, so the next caller starts a reading of its own.
        drop(entry);
        // It fails if all callers have given up.
        let _ = sender.send(Some(outcome));
    };
    thread::Builder::new()
        .name("secret".to_owned())
        .spawn(run)?;
    under_way.insert(place, reading.clone());
    Ok(reading)
}

/// Takes a reading out of those under way when it ends, even by a panic.
struct Entry(Place);

impl Drop for Entry {
    fn drop(&mut self) {
        UNDER_WAY.lock().remove(&self.0);
    }
}
