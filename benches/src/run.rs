//! How a bench file runs: at length, or quickly.

use std::io::Write;
use std::time::Duration;

/// Whether `AUTH_BENCHES_QUICK` asks for a run that only shows that everything still works.
pub fn is_quick() -> bool {
    std::env::var_os("AUTH_BENCHES_QUICK").is_some()
}

/// `usual`, or `quick` in a quick run.
pub fn quickly<T>(usual: T, quick: T) -> T {
    if is_quick() { quick } else { usual }
}

/// Prints what a bench found beside its times.
pub fn report(line: impl std::fmt::Display) {
    // A closed pipe is no reason to stop measuring.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Two threads, which is what the targets are stated for.
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

/// How long each case of `cargo bench` runs at most.
pub const fn longest(quick: bool) -> Duration {
    if quick {
        Duration::from_millis(20)
    } else {
        Duration::from_secs(1)
    }
}
