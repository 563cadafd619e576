//! Whether a life that a server states can be meant.

use std::time::Duration;

/// A number of milliseconds that is read as seconds states a life that is a thousand times too
/// long. A hundred times the documented life is the limit, because a server's own setting may be
/// shorter than the documented one. No API is known to mean a longer one.
const TOO_LONG: u32 = 100;

/// Whether a life that a server states can be meant, where `documented` is the documented one.
/// Otherwise it states nothing, and the documented life holds.
pub(crate) const fn is_plausible(stated: Duration, documented: Duration) -> bool {
    stated.as_nanos() < documented.saturating_mul(TOO_LONG).as_nanos()
}
