//! The contract, sentence by sentence. Each test is named after the rule that it proves.

#![allow(
    clippy::unwrap_used,
    clippy::unchecked_time_subtraction,
    reason = "a test that can't go on fails"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "the callers of a test are tasks that end with its runtime"
)]

mod attempt;
mod blocking_send;
mod body_fields;
mod continued_cookies;
mod cookies;
mod ends;
mod errors;
mod fast_path;
mod identity;
mod judge;
mod keep_fresh;
mod late_server;
mod many;
mod missing;
mod namesakes;
mod observability;
mod one_login;
mod origin;
mod parts;
mod postponed;
mod provider;
mod quota;
mod random;
mod refresh;
mod rejection;
mod renewal;
mod repair;
mod restraint;
mod runtimes;
mod secrecy;
mod secret;
mod set_cookie;
mod sharing;
mod support;
mod table;
mod time;
mod told_end;
mod values;
