use std::time::{Duration, Instant, SystemTime};

/// The server's own clock: the system's, with an offset that only grows.
#[derive(Debug)]
pub(super) struct Clock {
    started: Instant,
    started_at: SystemTime,
    ahead: Duration,
}

#[allow(
    clippy::disallowed_methods,
    reason = "the server's clock is not the client's: it must not be read from auth_core"
)]
impl Clock {
    pub(super) fn start() -> Self {
        Self {
            started: Instant::now(),
            started_at: SystemTime::now(),
            ahead: Duration::ZERO,
        }
    }

    /// The time since the server's start.
    pub(super) fn now(&self) -> Duration {
        self.started.elapsed() + self.ahead
    }
}

impl Clock {
    pub(super) fn advance(&mut self, by: Duration) {
        self.ahead += by;
    }

    /// `now` in seconds since the Unix epoch, as a JWT states it.
    pub(super) fn unix_seconds(&self, now: Duration) -> u64 {
        (self.started_at + now)
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
    }
}
