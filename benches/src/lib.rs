//! What the benches and the comparison share: references by hand, herds of callers, services that
//! respond at once, and the one file that calls auth-core ([`ours`]).
//!
//! `cargo bench -p auth-benches` runs four bench files; the README says how to read them.
//! `benches/peers` is a workspace of its own, which measures the same work for other crates.

mod baseline;
mod herd;
mod logins;
pub mod ours;
mod renewal;
mod run;
mod stack;
mod statistics;
mod time;

pub use baseline::{ByHand, SharedHeader, boot_clock, coarse_clocks, header_of};
pub use herd::{Herd, HerdReport};
pub use logins::{Failed, Logins, TOKEN_BYTES, token};
pub use renewal::{Latencies, Traffic};
pub use run::{is_quick, longest, quickly, report, two_workers};
pub use stack::{CloneOnce, Inserting, Responding, Terminal, URL, request, reqwest_request};
pub use statistics::{Spread, nearest_rank};
pub use time::{Timestamp, monotonic, timed};
