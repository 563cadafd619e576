//! Processes that share a store, on files and on Redis, against a server that counts.
//!
//! A process is this test program once more, with an ignored test that does what its parent says:
//! see `child`. Real time passes here, but what is asserted is what the server has counted.

#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "a test that can't go on fails"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "processes have the time of the machine, and the server's tasks are none of a cache"
)]

#[macro_use]
mod table;
mod child;
mod crowd;
mod logged;
mod place;
mod process;
#[allow(dead_code, reason = "another test leads it elsewhere")]
#[path = "../../../auth-core/tests/store/redis/proxy.rs"]
mod proxy;
mod secrecy;
#[path = "../../../auth-core/tests/store/redis/server.rs"]
#[allow(dead_code, reason = "the tests of the store need more of it")]
mod server;
mod site;
mod stops;
mod trouble;

/// A figure, for who runs a test by hand.
fn say(figure: &str) {
    #[allow(clippy::print_stderr, reason = "who reads the result is to know")]
    {
        eprintln!("{figure}");
    }
}
