use std::collections::VecDeque;
use std::time::Duration;

/// The requests that a [`DemoServer`](super::DemoServer) received, by kind and outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Attempts to log in.
    pub logins: Logins,
    /// Requests to the API.
    pub calls: Calls,
    /// Sessions that were logged out.
    pub logouts: u64,
    /// Sessions that were refreshed. Only a server of a recipe refreshes, and repairs.
    pub refreshes: u64,
    /// Refreshes with a value that can be used once and was used before.
    pub reused_tokens: u64,
    /// Parts of a session that were fetched, such as a csrf value.
    pub repairs: u64,
    /// Requests to the API whose `x-request-id` an earlier request had.
    pub replays: u64,
    /// The largest number of attempts to log in, with any outcome, in any window of 60 seconds of
    /// the server's clock. Two attempts that are 60 seconds apart are in different windows.
    pub most_logins_in_a_minute: u64,
}

/// Attempts to log in, by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Logins {
    /// A session was issued.
    pub ok: u64,
    /// The e-mail address or password was wrong.
    pub refused: u64,
    /// The limit was reached: 429.
    pub limited: u64,
    /// There was an [outage](super::DemoServer::set_login_outage): 503.
    pub unavailable: u64,
    /// The request did not have the documented form: 400.
    pub malformed: u64,
}

impl Logins {
    /// The sum of all outcomes.
    ///
    /// An attempt is counted when it has an outcome. One whose client disconnected before is not,
    /// but it is in [`most_logins_in_a_minute`](Counts::most_logins_in_a_minute).
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
    /// The request had no live session: 401, or 403 after
    /// [`dead_session_is_forbidden`](super::Settings::dead_session_is_forbidden).
    pub unauthorized: u64,
    /// The path was [forbidden](super::DemoServer::set_forbidden): 403.
    pub forbidden: u64,
    /// The path does not exist: 404.
    pub not_found: u64,
    /// The request lacked what a repair fetches, or had an old one.
    pub repair_asked: u64,
}

impl Calls {
    /// The sum of all outcomes.
    pub const fn total(&self) -> u64 {
        self.ok + self.unauthorized + self.forbidden + self.not_found + self.repair_asked
    }
}

/// The largest number of events in any window of a given length.
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

    /// Counts an event at `now`, which never decreases.
    ///
    /// Some fullest window ends with an event, so it is enough to count back from each event.
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
        // The events at 10, 59, 60 and 69. The one at 70 is a whole minute after the one at 10.
        assert_eq!(busiest.most(), 4);
    }

    #[test]
    fn a_total_is_the_sum_of_all_outcomes() {
        let logins = Logins {
            ok: 1,
            refused: 20,
            limited: 300,
            unavailable: 4_000,
            malformed: 50_000,
        };
        assert_eq!(logins.total(), 54_321);
        let calls = Calls {
            ok: 1,
            unauthorized: 20,
            forbidden: 300,
            not_found: 4_000,
            repair_asked: 50_000,
        };
        assert_eq!(calls.total(), 54_321);
    }
}
