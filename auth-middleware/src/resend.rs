//! The span of a request that is sent once more.

use auth_core::Attempt;
use tracing::Span;

/// The span that this attempt is sent in, so that those of the client below nest in it. A first
/// attempt has none of ours.
#[inline]
pub(crate) fn span(attempt: &Attempt) -> Option<Span> {
    match attempt.resend_count() {
        0 => None,
        count => Some(resent(count)),
    }
}

#[cold]
fn resent(count: u32) -> Span {
    tracing::info_span!("auth.replay", http.request.resend_count = count)
}
