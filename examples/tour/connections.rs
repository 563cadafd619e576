//! How many connections this process may open.
//!
//! A connection takes two file descriptors, because the servers run in the same process.

/// More connections than this are of no use.
const MOST: u64 = 2_000;

/// File descriptors for the rest of the program.
const SPARE: u64 = 200;

/// Raises the limit of open files as far as allowed, and returns how many connections fit.
#[cfg(unix)]
pub(crate) fn most() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let wanted = 2 * MOST + SPARE;
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: Some(limit.maximum.map_or(wanted, |maximum| maximum.min(wanted))),
        maximum: limit.maximum,
    };
    let open = match limit.current {
        Some(current) if current < wanted => match setrlimit(Resource::Nofile, raised) {
            Ok(()) => raised.current.unwrap_or(wanted),
            Err(_) => current,
        },
        _ => wanted,
    };
    let connections = (open.saturating_sub(SPARE) / 2).clamp(16, MOST);
    usize::try_from(connections).unwrap_or(16)
}

/// Returns the maximum, where there is no limit to ask for.
#[cfg(not(unix))]
pub(crate) fn most() -> usize {
    usize::try_from(MOST).unwrap_or(16)
}
