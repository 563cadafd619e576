//! What is left of a request's own time-out.

use std::io::{self, ErrorKind::TimedOut};
use std::time::Duration;

use auth_core::clock::Moment;
use auth_core::{Ask, Attempt, Credentials};
use reqwest::Request;
use reqwest_middleware::Error;

/// What is left of a request's own time-out. It spans all logins, hops and replays.
pub(super) struct TimeLeft<'a> {
    credentials: &'a Credentials,
    timeout: Option<(Duration, Moment)>,
}

impl<'a> TimeLeft<'a> {
    /// Begins to count the time-out of a request, if it has one.
    pub(super) fn of(request: &Request, credentials: &'a Credentials) -> Self {
        let timeout = request.timeout().copied();
        Self {
            credentials,
            timeout: timeout.map(|timeout| (timeout, Attempt::now(credentials))),
        }
    }

    fn left(&self) -> Option<Duration> {
        let (timeout, asked) = self.timeout?;
        let passed = Attempt::now(self.credentials).steady_since(asked);
        Some(timeout.saturating_sub(passed))
    }

    /// Limits a wait for a credential to the time that is left.
    pub(super) fn bound(&self, ask: Ask) -> Ask {
        self.left().map_or(ask, |left| ask.at_most(left))
    }

    /// Gives a request that is sent next the time that is left.
    ///
    /// # Errors
    /// If none is left. The request must not be sent.
    pub(super) fn apply_to(&self, request: &mut Request) -> Result<(), Error> {
        // `left` is asked first, since `timeout_mut` makes room for a time-out in any case.
        let Some(left) = self.left() else {
            return Ok(());
        };
        if left.is_zero() {
            let spent = "the request's own time-out has passed, so nothing is sent any more";
            return Err(Error::middleware(io::Error::new(TimedOut, spent)));
        }
        if let Some(timeout) = request.timeout_mut() {
            *timeout = left;
        }
        Ok(())
    }
}
