//! The lease of one identity: whose turn it is to log in.

use std::time::Duration;

use super::entry::{Entry, Version};

/// What is asked for when a lease is taken.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "stores read it")]
pub struct LeaseAsk<'a> {
    /// A random text of the login that asks. While it has the lease, to ask again extends it,
    /// whatever else is there.
    pub owner: &'a str,
    /// How long the lease lasts from now on.
    pub lasts: Duration,
    /// The lease is not taken if the entry has a session that is newer than this and is not over.
    /// `None` if the caller knows of no session, so that any is newer.
    pub known: Option<Version>,
    /// The session of `known` was rejected, which the entry is to say from now on.
    pub rejected: bool,
}

/// The answer to a [`LeaseAsk`], and the entry as it was in the same step.
#[derive(Clone, Debug)]
#[allow(clippy::exhaustive_structs, reason = "stores build it")]
pub struct LeaseAnswer {
    /// Whether the lease was taken.
    pub lease: Lease,
    /// The epoch of the store, for the version of what is saved under the lease.
    pub epoch: u64,
    /// What is stored.
    pub entry: Entry,
}

/// Whether a lease was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the third answer is an error")]
pub enum Lease {
    /// It was taken, or extended. Each lease that is taken has a fence of its own, greater than all
    /// before it in the same epoch.
    Taken {
        /// The fence, from one on.
        fence: u64,
    },
    /// Another has it, for as long at most.
    Held {
        /// The time until it lapses.
        left: Duration,
    },
    /// It was not taken, because a newer session is there.
    NotNeeded,
}
