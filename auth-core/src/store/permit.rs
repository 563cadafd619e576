//! The permits for logins at one origin, for all that share a store.

use std::time::Duration;

/// What is asked for when a permit is.
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::{PermitAnswer, PermitAsk, PermitRecord};
///
/// let (mut permits, now) = (PermitRecord::default(), Duration::from_secs(100));
/// let (window, counts_for) = (Duration::from_secs(62), Duration::from_secs(97));
/// let ask = |id| PermitAsk { id, most: 1, window, counts_for };
/// assert_eq!(permits.permit(ask("one"), now), PermitAnswer::Given);
/// assert_eq!(permits.permit(ask("two"), now), PermitAnswer::Wait(counts_for));
///
/// // The first login has ended: its permit counts for a window more.
/// permits.end("one", window, now);
/// assert_eq!(permits.permit(ask("two"), now), PermitAnswer::Wait(window));
/// ```
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "stores read it")]
pub struct PermitAsk<'a> {
    /// A random text of the login that asks, and of no other.
    pub id: &'a str,
    /// How many permits may count at a time.
    pub most: u32,
    /// How long a permit counts after its login has ended: the documented window with a margin.
    pub window: Duration,
    /// How long the permit counts, unless its end is told: until its login, which may be sent a
    /// while after this, can have ended, and a window more. A store that has lost what it had gives
    /// none for so long.
    pub counts_for: Duration,
}

/// The answer to a [`PermitAsk`].
///
/// ```
/// use std::time::Duration;
/// use auth_core::store::PermitAnswer;
///
/// /// How long a login has to wait.
/// fn wait(answer: PermitAnswer) -> Duration {
///     match answer {
///         PermitAnswer::Given => Duration::ZERO,
///         PermitAnswer::Wait(left) => left,
///     }
/// }
/// assert!(wait(PermitAnswer::Given).is_zero());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "the third answer is an error")]
pub enum PermitAnswer {
    /// The login may be sent.
    Given,
    /// None is free before this.
    Wait(Duration),
}
