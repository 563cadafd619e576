//! Whether a session can be refreshed now, and whether its token was spent.

use std::sync::Arc;
use std::time::Duration;

use super::failure::FailurePolicy;
use super::outcome::End;
use crate::clock::{Moment, nanos};
use crate::credential::{Credential, InvalidValue, Line, Lines, damaged};
use crate::error::{Error, Exchange, LONGEST_RETRY_AFTER, LoginError, LoginErrorKind};
use crate::refresh::Refresh;
use crate::secret::Fingerprint;

/// How many tokens are remembered that must not be sent again. A server, or a response that is
/// late, brings back one of the last few, if any. A session that is refreshed each minute has them
/// for a quarter of an hour, and they take a quarter of a KiB.
const MOST_SPENT: usize = 16;

/// The refreshes of one cache.
#[derive(Debug)]
pub(crate) struct Refreshes {
    by: Refresh,
    /// What must not be sent again, oldest first: it may be spent, or it was refused.
    spent: Vec<Mark>,
    /// The last of them that another process has spent. That may not have been sent in the end.
    learned: Option<Mark>,
    /// The last refreshed session was rejected before any request with it was accepted.
    distrusted: bool,
    /// When the last ones were sent, oldest first, on the steady clock.
    sent: Vec<u64>,
    /// The last failure.
    failure: Option<Arc<LoginError>>,
    /// How many have failed in a row without being refused.
    streak: u32,
    /// None before this, on the steady clock.
    until: u64,
    /// Until when the server has said that it wants none, on the steady clock.
    asked_until: u64,
}

/// The last failure of a refresh, which holds the next one back.
#[derive(Clone, Debug)]
pub(super) struct HeldRefreshes {
    failure: Arc<LoginError>,
    /// None before this, on the steady clock.
    pub(super) until: u64,
}

/// What a refresh is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Token(Fingerprint),
    /// The session of this generation.
    Session(u64),
}

/// Whether a session can be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Possible {
    Now,
    /// The last one has failed, or its own quota is spent.
    Later,
    /// The session has nothing that it could be refreshed with.
    No,
}

impl Refreshes {
    pub(crate) const fn new(by: Refresh) -> Self {
        Self {
            by,
            spent: Vec::new(),
            learned: None,
            distrusted: false,
            sent: Vec::new(),
            failure: None,
            streak: 0,
            until: 0,
            asked_until: 0,
        }
    }

    /// Whether each one counts as a login.
    pub(super) const fn count_as_logins(&self) -> bool {
        self.by.is_login()
    }

    /// Whether a session can be refreshed. It is `good` if it is neither over nor rejected.
    pub(super) fn possible(&self, session: &Credential, good: bool, now: Moment) -> Possible {
        let Some(mark) = self.mark(session, now) else {
            return Possible::No;
        };
        let is_over = self.by.token.is_none() && !good;
        if is_over || self.distrusted || self.spent.contains(&mark) {
            Possible::No
        } else if now.steady < self.until || !self.quota_wait(now).is_zero() {
            Possible::Later
        } else {
            Possible::Now
        }
    }

    /// The name of the session's token, if that must not be sent again.
    pub(super) fn spent_token(&self, session: &Credential, now: Moment) -> Option<String> {
        let name = self.by.token.as_ref()?;
        let mark = self.mark(session, now)?;
        let is_spent = self.spent.contains(&mark);
        is_spent.then(|| name.to_string())
    }

    /// The name under which a session keeps the token that it is refreshed with.
    pub(super) fn token_name(&self) -> Option<&str> {
        self.by.token.as_deref()
    }

    /// Whether each value can be used once.
    pub(super) const fn are_single_use(&self) -> bool {
        self.by.single_use
    }

    /// The name of the session's token, if it can be used once and was sent from here.
    pub(super) fn sent_token(&self, session: &Credential, now: Moment) -> Option<String> {
        let is_sent = self.by.single_use && self.learned != self.mark(session, now);
        self.spent_token(session, now).filter(|_| is_sent)
    }

    /// Another process has spent the token of this session, or the server has refused it there.
    pub(super) fn take_as_spent(&mut self, session: &Credential, now: Moment) {
        let mark = self.mark(session, now);
        if !mark.is_some_and(|mark| self.spent.contains(&mark)) {
            self.learned = mark;
        }
        self.spend(mark);
    }

    fn mark(&self, session: &Credential, now: Moment) -> Option<Mark> {
        let Some(name) = &self.by.token else {
            return Some(Mark::Session(session.stamp().generation));
        };
        let token = session.kept_at(name, now)?;
        Some(Mark::Token(token.fingerprint()))
    }

    /// How long its own quota is spent.
    fn quota_wait(&self, now: Moment) -> Duration {
        let Some(quota) = self.by.quota else {
            return Duration::ZERO;
        };
        // The one that must have left the window.
        let most = quota.logins().get() as usize;
        let first = self.sent.len().checked_sub(most);
        let first = first.and_then(|index| self.sent.get(index));
        let free_at = first.map(|at| at.saturating_add(nanos(quota.window())));
        Duration::from_nanos(free_at.unwrap_or(0).saturating_sub(now.steady))
    }

    /// One is sent now.
    pub(super) fn send(&mut self, session: &Credential, now: Moment) {
        if self.by.single_use {
            self.spend(self.mark(session, now));
        }
        if let Some(quota) = self.by.quota {
            let most = quota.logins().get() as usize;
            if self.sent.len() >= most {
                self.sent.drain(..=self.sent.len() - most);
            }
            self.sent.push(now.steady);
        }
    }

    /// The one that was to be sent now was not.
    pub(super) fn unsend(&mut self, session: &Credential, now: Moment) {
        // What was spent before was not to be sent, so it is this one's mark.
        let mark = self.mark(session, now);
        self.spent.retain(|spent| Some(*spent) != mark);
        self.sent.pop();
    }

    fn spend(&mut self, mark: Option<Mark>) {
        let Some(mark) = mark.filter(|mark| !self.spent.contains(mark)) else {
            return;
        };
        if self.spent.len() >= MOST_SPENT {
            self.spent.remove(0);
        }
        self.spent.push(mark);
    }

    /// The server takes again what it has brought anew, unless it takes each value once.
    fn pardon(&mut self) {
        if !self.by.single_use {
            self.spent.clear();
        }
    }

    /// One has returned a session.
    pub(super) fn succeeded(&mut self) {
        self.pardon();
        self.failure = None;
        self.streak = 0;
        self.until = 0;
        self.asked_until = 0;
    }

    /// A login has returned a session. How long the server wants no refresh has not changed.
    pub(super) fn logged_in(&mut self) {
        self.pardon();
        self.streak = 0;
        self.distrusted = false;
    }

    /// One has failed. Returns whether the server has refused it.
    pub(super) fn failed(
        &mut self,
        error: LoginError,
        session: &Credential,
        end: &End,
        policy: &FailurePolicy,
    ) -> bool {
        let mark = self.mark(session, end.at);
        if refuses(&error) {
            self.spend(mark);
            self.failure = Some(Arc::new(error));
            return true;
        }
        let asked = error.retry_after().unwrap_or_default();
        let backoff = policy.backoff_after(self.streak).mul_f64(end.jitter);
        self.streak = self.streak.saturating_add(1);
        let wait = backoff.max(asked.min(LONGEST_RETRY_AFTER));
        self.until = end.at.steady.saturating_add(nanos(wait));
        let asked = nanos(asked.min(LONGEST_RETRY_AFTER));
        self.asked_until = self.asked_until.max(end.at.steady.saturating_add(asked));
        self.failure = Some(Arc::new(error));
        false
    }

    /// What the server has said that holds the next one back now, whichever process sends it.
    pub(super) fn held(&self, now: Moment) -> Option<HeldRefreshes> {
        let is_held = now.steady < self.asked_until;
        let failure = self.failure.as_ref().filter(|_| is_held)?;
        Some(HeldRefreshes {
            failure: Arc::clone(failure),
            until: self.asked_until,
        })
    }

    /// One of another process has failed.
    pub(super) fn learn(&mut self, held: &HeldRefreshes) {
        self.asked_until = self.asked_until.max(held.until);
        if held.until > self.until {
            self.until = held.until;
            self.failure = Some(Arc::clone(&held.failure));
        }
    }

    /// A refreshed session was rejected before any request with it was accepted.
    pub(super) const fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// None before this, on the steady clock.
    pub(super) fn held_until(&self, now: Moment) -> u64 {
        let free_at = now.steady.saturating_add(nanos(self.quota_wait(now)));
        self.until.max(free_at)
    }

    /// What a caller is told that asks for one which has to wait: the last failure, or that the
    /// quota is spent; with the time to wait.
    pub(super) fn error(&self, now: Moment) -> Error {
        let (backoff, retry_after) = (self.backoff(now), self.quota_wait(now));
        match &self.failure {
            Some(failure) if backoff >= retry_after => failed(failure, backoff),
            _ => Error::QuotaSpent {
                retry_after,
                source: None,
            },
        }
    }

    /// What the callers of the one are told that has failed last, if one has.
    pub(super) fn last_error(&self, now: Moment) -> Option<Error> {
        let failure = self.failure.as_ref()?;
        Some(failed(failure, self.backoff(now)))
    }

    fn backoff(&self, now: Moment) -> Duration {
        Duration::from_nanos(self.until.saturating_sub(now.steady))
    }
}

fn failed(failure: &Arc<LoginError>, backoff: Duration) -> Error {
    Error::Login {
        source: Arc::clone(failure),
        retry_after: Some(backoff),
    }
}

impl HeldRefreshes {
    /// Writes the words of its line.
    pub(super) fn write(&self, line: &mut Lines, now: Moment) {
        let left = Duration::from_nanos(self.until.saturating_sub(now.steady));
        line.text("kind", self.failure.kind().name())
            .text("detail", &self.failure.detail_and_causes())
            .time("left", Some(left));
    }

    /// Reads a line that was written so long ago.
    pub(super) fn read(line: Line<'_>, age: Duration, now: Moment) -> Result<Self, InvalidValue> {
        let kind = LoginErrorKind::named(&line.need("kind")?).ok_or_else(damaged)?;
        let failure = LoginError::of(kind, line.need("detail")?.to_string());
        let left = line.time("left")?.unwrap_or_default().saturating_sub(age);
        Ok(Self {
            failure: Arc::new(failure.of_exchange(Exchange::Refresh)),
            until: now.steady.saturating_add(nanos(left)),
        })
    }
}

/// Whether the server has refused what the refresh was made with.
pub(crate) const fn refuses(error: &LoginError) -> bool {
    matches!(
        error.kind(),
        LoginErrorKind::Refused | LoginErrorKind::Locked
    )
}
