//! Renewals that no caller asks for, begun by a timer.

use std::sync::Arc;
use std::time::Duration;

use super::renewal_timer::{Renewed, Ring};
use super::shared::Shared;
use crate::cause::Cause;
use crate::clock::nanos;
use crate::runtime::Runtime;

/// How soon the timer rings again at the earliest if nothing could begin.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Shared {
    /// Sets the timer for the next renewal, if the cache is kept fresh.
    pub(crate) fn set_timer(&self) {
        if self.keep_fresh.is_some() {
            self.set_timer_after(0);
        }
    }

    /// Sets the timer anew if the session is to be renewed earlier than it rings. Each answer may
    /// state another life of the session, and mostly it lives longer then.
    pub(crate) fn advance_timer(&self) {
        let Some(keep) = &self.keep_fresh else {
            return;
        };
        let now = self.engine.clock.now();
        let next = self.read(|state| state.next_renewal(now));
        if next.is_some_and(|next| !keep.rings_by(next)) {
            self.set_timer();
        }
    }

    fn set_timer_after(&self, earliest: u64) {
        let Some(keep) = &self.keep_fresh else {
            return;
        };
        let clock = &self.engine.clock;
        let now = clock.now();
        match self.read(|state| state.next_renewal(now)) {
            Some(at) => keep.set(at.max(earliest), clock),
            None => keep.stop(),
        }
    }

    /// Begins a renewal that no caller waits for. Returns whether one begins, or is under way and
    /// will set the timer.
    fn renew_unasked(self: &Arc<Self>) -> bool {
        let Some(runtime) = Runtime::current() else {
            return false;
        };
        let engine = &self.engine;
        let control = self.control.lock();
        if control.state.flight().is_some() {
            return true;
        }
        let Some(purpose) = control.state.unasked(engine.clock.now()) else {
            return false;
        };
        let ticket = self.ticket(purpose, false);
        self.begin(control, &runtime, (purpose, Cause::Timer), ticket);
        true
    }
}

impl Renewed for Shared {
    fn ring(self: Arc<Self>, number: u64) {
        let keep = self.keep_fresh.as_ref();
        if !keep.is_some_and(|keep| keep.has_rung(number)) || self.renew_unasked() {
            return;
        }
        let now = self.engine.clock.now().steady;
        self.set_timer_after(now.saturating_add(nanos(AGAIN_AFTER)));
    }

    fn lose(&self, ring: &Ring) {
        if (self.keep_fresh.as_ref()).is_some_and(|keep| keep.lose(ring)) {
            self.set_timer();
        }
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;
    use crate::Credentials;
    use crate::clock::ManualClock;
    use crate::lifetime::Lifetime;
    use crate::testing::Scripted;

    #[tokio::test]
    async fn the_timer_of_a_session_says_whether_it_rings_by_then() {
        let hour = Duration::from_secs(3_600);
        let clock = ManualClock::new().clock();
        let provider = Scripted::tokens(Lifetime::of(hour));
        let credentials = Credentials::builder(provider).clock(clock.clone());
        let credentials = credentials.keep_fresh().build();
        let rings_by = |at| {
            let keep = credentials.shared().keep_fresh.as_ref();
            keep.unwrap().rings_by(at)
        };
        assert!(!rings_by(u64::MAX), "there is no session yet");
        credentials.get().await.unwrap();
        let now = clock.now().steady;
        assert!(!rings_by(now) && rings_by(now + nanos(hour)));
    }
}
