//! How a bench file runs: at length, or quickly.

use std::io::Write;
use std::time::Duration;

/// Whether `AUTH_BENCHES_QUICK` is set: a quick run shows that everything works, and its figures
/// say nothing.
pub fn is_quick() -> bool {
    std::env::var_os("AUTH_BENCHES_QUICK").is_some()
}

/// `usual`, or `quick` in a quick run.
pub fn quickly<T>(usual: T, quick: T) -> T {
    if is_quick() { quick } else { usual }
}

/// Prints a line of results.
pub fn report(line: impl std::fmt::Display) {
    // The run goes on where the reader of its output has closed the pipe.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// A runtime of two threads, for which the targets are stated.
///
/// # Panics
/// The runtime can't be built.
pub fn two_workers() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime of two threads")
}

/// The longest time of a case of `cargo bench`.
pub const fn longest(quick: bool) -> Duration {
    if quick {
        Duration::from_millis(20)
    } else {
        Duration::from_secs(1)
    }
}
