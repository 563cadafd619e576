//! The sessions of a server, and the logins under way.

use std::time::Duration;

use auth_core::{Credential, Lifetime};
use bytes::Bytes;
use http::{Response, Uri};

/// The largest number of logins under way. A client that gives one up does not say so.
const MOST_PENDING: usize = 1_000;

#[derive(Debug, Default)]
pub(super) struct Records {
    /// Oldest first. A session that was refreshed has several.
    all: Vec<Record>,
    pending: Vec<Pending>,
    last_session: u64,
}

/// One value of a session, as its client has it.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) session: u64,
    pub(super) account: String,
    pub(super) credential: Credential,
    /// What a repair fetches is not accepted any more.
    pub(super) is_outdated: bool,
    /// The value that refreshes it was taken, and can be taken once.
    pub(super) is_spent: bool,
    lifetime: Lifetime,
    /// When the session began, and when this value of it.
    began: Duration,
    born: Duration,
    last_used: Duration,
    /// Until when it can be refreshed, if not for as long as it lives.
    refreshable: Option<Duration>,
}

/// A login that has got answers, and no session yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// Whose it may be, as far as its requests say.
    pub(super) accounts: Vec<String>,
    /// Where each request was sent, and its answer.
    pub(super) answers: Vec<(Uri, Response<Bytes>)>,
}

impl Records {
    /// Begins a session.
    pub(super) fn begin(
        &mut self,
        account: String,
        credential: Credential,
        lifetime: Lifetime,
        (now, refreshable): (Duration, Option<Duration>),
    ) {
        self.last_session += 1;
        self.all.push(Record {
            session: self.last_session,
            account,
            credential,
            is_outdated: false,
            is_spent: false,
            lifetime,
            began: now,
            born: now,
            last_used: now,
            refreshable,
        });
    }

    /// Continues the session of a record with a new value.
    pub(super) fn continue_from(
        &mut self,
        index: usize,
        credential: Credential,
        (now, refreshable): (Duration, Option<Duration>),
    ) {
        let before = &self.all[index];
        let (session, account) = (before.session, before.account.clone());
        let (lifetime, began) = (before.lifetime, before.began);
        self.all.push(Record {
            session,
            account,
            credential,
            is_outdated: false,
            is_spent: false,
            lifetime,
            began,
            born: now,
            last_used: now,
            refreshable,
        });
    }

    /// The newest record of which this is true.
    pub(super) fn find(&self, is_it: impl Fn(&Record) -> bool) -> Option<usize> {
        self.all.iter().rposition(is_it)
    }

    pub(super) fn get(&mut self, index: usize) -> &mut Record {
        &mut self.all[index]
    }

    /// Replaces the credential of a record by what an update makes of it, or ends its session.
    pub(super) fn update(
        &mut self,
        index: usize,
        change: impl FnOnce(Credential) -> Option<Credential>,
    ) {
        let mut record = self.all.remove(index);
        if let Some(credential) = change(record.credential) {
            record.credential = credential;
            record.is_outdated = false;
            self.all.insert(index, record);
        }
    }

    /// Ends the session of a record, or all of its account.
    pub(super) fn end(&mut self, index: usize, of_account: bool) {
        let record = &self.all[index];
        let (session, account) = (record.session, record.account.clone());
        let is_it = |record: &Record| {
            record.session == session || (of_account && record.account == account)
        };
        self.all.retain(|record| !is_it(record));
    }

    /// Ends all sessions and logins.
    pub(super) fn end_all(&mut self) {
        self.all.clear();
        self.pending.clear();
    }

    pub(super) fn outdate(&mut self) {
        for record in &mut self.all {
            record.is_outdated = true;
        }
    }

    /// Forgets the sessions that nothing brings back.
    pub(super) fn forget_ended(&mut self, now: Duration) {
        self.all
            .retain(|record| record.is_live(now) || record.is_refreshable(now));
    }

    pub(super) fn pend(&mut self, login: Pending) {
        if self.pending.len() >= MOST_PENDING {
            self.pending.remove(0);
        }
        self.pending.push(login);
    }

    pub(super) fn pending(&self) -> &[Pending] {
        &self.pending
    }

    /// Forgets a login under way. None, at its first step.
    pub(super) fn take_pending(&mut self, index: Option<usize>) {
        if let Some(index) = index {
            self.pending.remove(index);
        }
    }
}

impl Record {
    /// Whether requests of the API are accepted with it.
    pub(super) fn is_live(&self, now: Duration) -> bool {
        let over = |limit: Option<Duration>, since| limit.is_some_and(|limit| now >= since + limit);
        !over(self.lifetime.hard_expiry(), self.born)
            && !over(self.lifetime.absolute_maximum(), self.began)
            && !over(self.lifetime.idle_timeout(), self.last_used)
    }

    /// Whether the value that refreshes it is good.
    pub(super) fn is_refreshable(&self, now: Duration) -> bool {
        match self.refreshable {
            Some(until) => now < until,
            None => self.is_live(now),
        }
    }

    pub(super) fn touch(&mut self, now: Duration) {
        self.last_used = now;
    }
}

#[cfg(test)]
mod tests {
    use auth_core::{Session, testing};

    use super::*;

    #[test]
    fn the_value_that_refreshes_a_session_is_good_until_its_end() {
        let (began, before) = (Duration::from_secs(1), Duration::from_secs(8));
        let until = before + Duration::from_nanos(1);
        let credential = testing::credential(Session::new().with_bearer("t").unwrap());
        let mut records = Records::default();
        let lifetime = Lifetime::unknown();
        records.begin("ada".to_owned(), credential, lifetime, (began, Some(until)));
        let record = records.get(0);
        assert!(record.is_refreshable(before));
        assert!(!record.is_refreshable(until));
    }
}
