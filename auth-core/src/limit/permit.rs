//! The right to send one login.

use std::sync::Arc;

use super::Limiter;
use super::window::PermitId;

/// The right to send one login, while that is under way.
///
/// If it is dropped, the login may still arrive at the server: it counts as ended at its time-out.
#[derive(Debug)]
#[must_use = "the login counts as lost if its permit is dropped"]
pub(crate) struct Permit {
    limiter: Arc<Limiter>,
    id: PermitId,
    given_at: u64,
    ended: bool,
}

impl Permit {
    pub(super) const fn new(limiter: Arc<Limiter>, id: PermitId, given_at: u64) -> Self {
        Self {
            limiter,
            id,
            given_at,
            ended: false,
        }
    }

    /// The login has ended: the server has answered, or can't be reached. Its window begins now.
    pub(crate) fn end(mut self) {
        self.ended = true;
        self.limiter.end(self.id, self.given_at);
    }

    /// Nothing was sent, so another login may have it now.
    pub(crate) fn give_back(mut self) {
        self.ended = true;
        self.limiter.take_back(self.id);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if !self.ended {
            self.limiter.lose(self.id);
        }
    }
}
