//! The contract, sentence by sentence: each test is named after the rule that it proves.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod ends;
mod fast_path;
mod many;
mod one_login;
mod rejection;
mod restraint;
mod runtimes;
mod secrecy;
mod support;
mod time;
