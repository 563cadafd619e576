//! The state of a server. One lock guards it for all connections, so no method waits.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use auth_core::{Lifetime, Quota};
use http::Request;
use http::request::Parts;

use super::clock::Clock;
use super::counts::{Busiest, Counts};
use super::settings::{EMAIL, PASSWORD, Settings};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct ServerState {
    pub(super) clock: Clock,
    pub(super) counts: Counts,
    pub(super) lifetime: Lifetime,
    pub(super) login_outage: bool,
    pub(super) rolls_cookies: bool,
    pub(super) forbidden: HashSet<String>,
    /// The `Location` of each path that redirects.
    pub(super) redirects: HashMap<String, String>,
    /// The head of the newest request to the API.
    pub(super) last_call: Option<Request<()>>,
    settings: Settings,
    /// The session of each token. A session whose cookie was rolled has several tokens.
    tokens: HashMap<String, u64>,
    sessions: HashMap<u64, Session>,
    last_session: u64,
    /// The times of each address's attempts that were admitted within the window.
    admitted: HashMap<IpAddr, VecDeque<Duration>>,
    attempts: Busiest,
    request_ids: HashSet<Vec<u8>>,
}

#[derive(Debug)]
struct Session {
    account: String,
    csrf: String,
    began: Duration,
    last_used: Duration,
}

/// The values of a new session.
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) csrf: String,
}

impl ServerState {
    pub(super) fn new(mut settings: Settings, documented: Lifetime) -> Self {
        if settings.accounts.is_empty() {
            settings = settings.account(EMAIL, PASSWORD);
        }
        Self {
            clock: Clock::start(),
            counts: Counts::default(),
            lifetime: settings.lifetime.unwrap_or(documented),
            login_outage: false,
            rolls_cookies: false,
            forbidden: HashSet::new(),
            redirects: HashMap::new(),
            last_call: None,
            settings,
            tokens: HashMap::new(),
            sessions: HashMap::new(),
            last_session: 0,
            admitted: HashMap::new(),
            attempts: Busiest::in_any(MINUTE),
            request_ids: HashSet::new(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = self.counts;
        counts.most_logins_in_a_minute = self.attempts.most();
        counts
    }

    /// Counts an attempt to log in, and admits it or returns the time to wait.
    ///
    /// An attempt that is not admitted does not count towards the limit, so a client that tries too
    /// often is still admitted as often as the limit says.
    pub(super) fn attempt(&mut self, from: IpAddr) -> Result<(), Duration> {
        let now = self.clock.now();
        self.attempts.note(now);
        let limit = self.settings.limit.unwrap_or(Quota::DEFAULT);
        let (limit, window) = (limit.logins(), limit.window());
        let recent = self.admitted.entry(from).or_default();
        while recent.front().is_some_and(|first| now >= *first + window) {
            recent.pop_front();
        }
        match recent.front() {
            Some(first) if recent.len() >= limit.get() as usize => {
                Err((*first + window).saturating_sub(now))
            }
            _ => {
                recent.push_back(now);
                Ok(())
            }
        }
    }

    pub(super) fn knows(&self, email: &str, password: &str) -> bool {
        let known = self.settings.accounts.get(email);
        known.is_some_and(|known| known == password)
    }

    #[cfg(feature = "recipes")]
    pub(super) fn accounts(&self) -> Vec<String> {
        self.settings.accounts.keys().cloned().collect()
    }

    #[cfg(feature = "recipes")]
    pub(super) fn password(&self, account: &str) -> Option<&str> {
        self.settings.accounts.get(account).map(String::as_str)
    }

    pub(super) fn set_password(&mut self, email: &str, password: &str) {
        let accounts = &mut self.settings.accounts;
        accounts.insert(email.to_owned(), password.to_owned());
    }

    /// Begins a session. `make` makes its token from random characters and the Unix time.
    pub(super) fn issue(
        &mut self,
        account: &str,
        make: impl FnOnce(&str, u64) -> String,
    ) -> Issued {
        let now = self.clock.now();
        let at = self.clock.unix_seconds(now);
        let (token, csrf) = (make(&random(), at), random());
        self.last_session += 1;
        self.tokens.insert(token.clone(), self.last_session);
        let session = Session {
            account: account.to_owned(),
            csrf: csrf.clone(),
            began: now,
            last_used: now,
        };
        self.sessions.insert(self.last_session, session);
        Issued { token, csrf }
    }

    /// The account of a token whose session is live. The session's idle time begins again.
    ///
    /// `csrf` must be the value that was issued with the token, if the API has one.
    pub(super) fn authenticate(&mut self, token: &str, csrf: Option<&str>) -> Option<String> {
        let now = self.clock.now();
        let id = *self.tokens.get(token)?;
        let session = self.sessions.get_mut(&id)?;
        let over = |limit: Option<Duration>, since| limit.is_some_and(|limit| now >= since + limit);
        if over(self.lifetime.hard_expiry(), session.began)
            || over(self.lifetime.absolute_maximum(), session.began)
            || over(self.lifetime.idle_timeout(), session.last_used)
        {
            self.sessions.remove(&id);
            self.tokens.remove(token);
            return None;
        }
        if csrf.is_some_and(|csrf| csrf != session.csrf) {
            return None;
        }
        session.last_used = now;
        Some(session.account.clone())
    }

    /// A new token for the session of `token`. The old one stays valid, since requests with it may
    /// be in flight.
    pub(super) fn roll(
        &mut self,
        token: &str,
        make: impl FnOnce(&str) -> String,
    ) -> Option<String> {
        let id = *self.tokens.get(token)?;
        let new = make(&random());
        self.tokens.insert(new.clone(), id);
        Some(new)
    }

    pub(super) fn end(&mut self, token: &str) -> bool {
        let id = self.tokens.remove(token);
        id.is_some_and(|id| self.sessions.remove(&id).is_some())
    }

    pub(super) fn revoke_all(&mut self) {
        self.tokens.clear();
        self.sessions.clear();
    }

    /// Notes a request to the API.
    pub(super) fn note_call(&mut self, head: &Parts) {
        if let Some(id) = head.headers.get("x-request-id")
            && !self.request_ids.insert(id.as_bytes().to_vec())
        {
            self.counts.replays += 1;
        }
        let mut call = Request::new(());
        *call.method_mut() = head.method.clone();
        *call.uri_mut() = head.uri.clone();
        *call.version_mut() = head.version;
        *call.headers_mut() = head.headers.clone();
        self.last_call = Some(call);
    }
}

/// 32 characters that no client guesses by accident. They come from the standard library's hash
/// keys, which is random enough for a test server.
pub(super) fn random() -> String {
    let draw = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", draw(), draw())
}
