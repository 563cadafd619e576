use std::collections::VecDeque;
use std::time::Duration;

/// What reached a [`DemoServer`](super::DemoServer), and with which outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Attempts to log in.
    pub logins: Logins,
    /// Requests to the API.
    pub calls: Calls,
    /// Sessions that were logged out.
    pub logouts: u64,
    /// Requests to the API whose `x-request-id` had been seen before.
    pub replays: u64,
    /// The highest number of attempts to log in, however they ended, in any 60 seconds by the server's clock. Attempts that
    /// are 60 seconds apart are not in the same window.
    pub most_logins_in_a_minute: u64,
}

/// Attempts to log in, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Logins {
    /// A session was issued.
    pub ok: u64,
    /// E-mail or password were wrong.
    pub refused: u64,
    /// The limit was reached: 429.
    pub limited: u64,
    /// An [outage](super::DemoServer::set_login_outage) was on: 503.
    pub unavailable: u64,
    /// The request was not what the API documents: 400.
    pub malformed: u64,
}

impl Logins {
    /// All of them. An attempt is counted when its response is sent; one whose client hung up before is not counted here, but is in
    /// [`most_logins_in_a_minute`](Counts::most_logins_in_a_minute).
    pub const fn total(&self) -> u64 {
        self.ok + self.refused + self.limited + self.unavailable + self.malformed
    }
}

/// Requests to the API, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// 200.
    pub ok: u64,
    /// No live session: 401, or CloudIO's 403 where it was [told to](super::Settings::dead_session_is_forbidden).
    pub unauthorized: u64,
    /// The path was [forbidden](super::DemoServer::set_forbidden): 403.
    pub forbidden: u64,
    /// No path of the API's: 404.
    pub not_found: u64,
}

impl Calls {
    /// All of them.
    pub const fn total(&self) -> u64 {
        self.ok + self.unauthorized + self.forbidden + self.not_found
    }
}

/// Finds the most events in any window of a given length, as they come in.
#[derive(Debug)]
pub(super) struct Busiest {
    window: Duration,
    recent: VecDeque<Duration>,
    most: usize,
}

impl Busiest {
    pub(super) const fn in_any(window: Duration) -> Self {
        Self {
            window,
            recent: VecDeque::new(),
            most: 0,
        }
    }

    /// `now` never goes back. A fullest window can be moved so that it ends with an event: counting back from each is exact.
    pub(super) fn note(&mut self, now: Duration) {
        while let Some(first) = self.recent.front() {
            if now < *first + self.window {
                break;
            }
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.most = self.most.max(self.recent.len());
    }

    pub(super) fn most(&self) -> u64 {
        self.most as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_window_may_begin_anywhere_and_leaves_out_its_end() {
        let mut busiest = Busiest::in_any(Duration::from_secs(60));
        for at in [0, 10, 59, 60, 69, 70, 200] {
            busiest.note(Duration::from_secs(at));
        }
        // 10, 59, 60, 69; the one at 70 is a whole minute after 10.
        assert_eq!(busiest.most(), 4);
    }
}
