//! What the benches and the comparison share: hand-written baselines, herds of callers, and services that answer at once.
//!
//! `cargo bench -p auth-benches` runs four of them, beside the best that can be written by hand; see the README for how to
//! read them. `benches/peers` is a workspace of its own, which measures the same work for what others use instead.

mod baseline;
mod herd;
mod logins;
mod renewal;
mod run;
mod stack;
mod statistics;
mod time;

pub use baseline::{Guarded, PerThread, SharedHeader, boot_clock, coarse_clocks, header_of};
pub use herd::{Herd, HerdReport};
pub use logins::{At, Failed, Logins, TOKEN_BYTES, token};
pub use renewal::{Latencies, Traffic};
pub use run::{is_quick, longest, quickly, report, two_workers};
pub use stack::{Answering, CloneOnce, Inserting, Terminal, URL, request, reqwest_request};
pub use statistics::{Spread, nearest_rank};
pub use time::{Timestamp, monotonic, timed};
