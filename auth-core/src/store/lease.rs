//! The lease of one identity: whose turn it is to log in.

use std::time::Duration;

use super::entry::{Entry, Version};

/// What is asked for when a lease is taken.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Clock;
/// use auth_core::store::{Lease, LeaseAsk, LeaseRecord, Record};
///
/// let (mut record, mut lease) = (Record::default(), LeaseRecord::new(7));
/// let now = Clock::system().now();
/// let mut ask = |owner| {
///     let lasts = Duration::from_secs(35);
///     let ask = LeaseAsk { owner, lasts, known: None, rejected: false, only_extends: false };
///     record.lease(&mut lease, ask, now, now.steady()).lease
/// };
/// assert_eq!(ask("one"), Lease::Taken { fence: 1 });
/// assert!(matches!(ask("another"), Lease::Held { .. }));
/// ```
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
    /// The lease is extended if `owner` has it, and not taken if not. What is sent beside a login
    /// may arrive after the release at its end, and no login would have the lease that it takes.
    pub only_extends: bool,
}

/// The answer to a [`LeaseAsk`], and the entry as it was in the same step.
///
/// ```
/// use auth_core::store::{Entry, Lease, LeaseAnswer};
///
/// // Another has logged in meanwhile: the cache uses what is there.
/// let entry = Entry::default(); // with a session, in earnest
/// let answer = LeaseAnswer { lease: Lease::NotNeeded, epoch: 7, entry };
/// # drop(answer);
/// ```
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

impl LeaseAnswer {
    /// What a session is saved as that is obtained under the lease, if that was taken.
    pub(crate) fn version(&self) -> Option<Version> {
        let Lease::Taken { fence } = self.lease else {
            return None;
        };
        Some(Version {
            epoch: self.epoch,
            fence,
            revision: 0,
        })
    }
}

/// Whether a lease was taken.
///
/// ```
/// use auth_core::store::Lease;
///
/// fn may_log_in(lease: Lease) -> bool {
///     matches!(lease, Lease::Taken { .. })
/// }
/// assert!(!may_log_in(Lease::NotNeeded));
/// ```
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
    /// It was not taken: a newer session is there, or it was [only to be
    /// extended](LeaseAsk::only_extends).
    NotNeeded,
}
