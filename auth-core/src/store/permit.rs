//! The permits for logins at one origin, for all that share a store.

use std::time::Duration;

/// What is asked for when a permit is.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "stores read it")]
pub struct PermitAsk<'a> {
    /// A random text of the login that asks, and of no other.
    pub id: &'a str,
    /// How many permits may count at a time.
    pub most: u32,
    /// How long a permit counts after its login has ended: the documented window with a margin. A
    /// store that has lost what it had gives none for so long.
    pub window: Duration,
    /// How long the permit counts, unless its end is told: until its login can have ended, and a
    /// window more.
    pub counts_for: Duration,
}

/// The answer to a [`PermitAsk`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the third answer is an error")]
pub enum PermitAnswer {
    /// The login may be sent.
    Given,
    /// None is free before this.
    Wait(Duration),
}
