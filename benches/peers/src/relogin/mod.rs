//! What a user of reqwest writes by hand, beside ours, over HTTP on loopback: a request with a
//! fresh session, and a herd whose session was revoked.

mod by_hand;
mod contest;
mod ours;
mod server;

pub use contest::{FRESH, HERDS, LOCKED, OURS, SIMPLE, callers, fresh, herd};
