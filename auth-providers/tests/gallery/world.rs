//! What the servers of all dialects share: the account, the sessions that live, what is counted,
//! and what a test can switch.
//!
//! The servers know no time. A session ends when a test says so, and a life is only told.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State as Shared};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use parking_lot::Mutex;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::asked::{self, Asked, page};

/// The account that every server knows. The password has what an escape can lose.
pub(crate) const NAME: &str = "ada";
pub(crate) const PASSWORD: &str = "correct horse+battery&\"staple\"<100%>";

/// What every secret begins with that a server issues. It can stand in any header, and has what a
/// query or a form must escape.
pub(crate) const MARK: &str = "s3cret+/";

/// A server of one dialect, on a loopback port of its own until it is dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    pub(crate) world: Arc<World>,
    _task: JoinSet<()>,
}

impl Server {
    pub(crate) async fn start(routes: fn() -> Router<Arc<World>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = Arc::<World>::default();
        let beside = from_fn_with_state(Arc::clone(&world), beside);
        let app = routes().layer(beside).with_state(Arc::clone(&world));
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            url,
            world,
            _task: task,
        }
    }
}

async fn beside(Shared(world): Shared<Arc<World>>, request: Request, next: Next) -> Response {
    let beside = {
        let mut state = world.0.lock();
        state.requests += 1;
        state.beside
    };
    match beside {
        Some(beside) => beside.answer(),
        None => next.run(request).await,
    }
}

/// How a server answers the next logins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Open,
    /// As where too many logins were sent.
    Limited,
    /// As where the address was banned for it, until the owner of the server lifts the ban.
    Banned,
    /// As where the password is right, and its owner has something to do first: a second factor, an
    /// expired password.
    Locked,
    /// As where all places for sessions are taken.
    Full,
    /// As where the server is there, and the API behind it is not.
    Starting,
}

/// Answers that say nothing about the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beside {
    /// A 403 for want of a right.
    Forbidden,
    /// A 200 whose data happen to be the texts of errors.
    Quoted,
    /// A 502 of a proxy.
    Proxy,
}

impl Beside {
    fn answer(self) -> Response {
        match self {
            Self::Forbidden => asked::json(403, json!({"message": "you lack the right"})),
            Self::Quoted => asked::json(
                200,
                json!({"rows": [
                    "CSRF", "Invalid CSRF Token", "No valid crumb", "Access denied", "401", "/login",
                    "Session terminated, re-login, please.", "Odoo Session Expired"
                ]}),
            ),
            Self::Proxy => page(
                502,
                "text/html",
                "<h1>Bad Gateway</h1> CSRF, No valid crumb",
            ),
        }
    }
}

/// What becomes of a login.
pub(crate) enum Entry {
    Welcome(Session),
    Refused,
    Limited,
    Locked,
    Full,
    Starting,
    /// The request carries a secret of an earlier session. Real servers answer such logins each in
    /// another way: some log the old session out, some refuse.
    Polluted,
}

/// A session that lives: what its requests carry, and what it is refreshed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// Counted from 1. It is no secret.
    pub(crate) number: usize,
    pub(crate) access: String,
    pub(crate) csrf: String,
    pub(crate) refresh: String,
}

/// What a server counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Logins that were sent, whatever became of them.
    pub(crate) logins: usize,
    pub(crate) refused: usize,
    /// Logins that carried a secret of an earlier session. It must stay 0.
    pub(crate) polluted: usize,
    /// Sessions that began because a request of the API brought the password, where its own session
    /// was over.
    pub(crate) reopened: usize,
    pub(crate) refreshes: usize,
    /// Refreshes by a token that was refreshed before. It must stay 0 where that ends the session.
    pub(crate) reused: usize,
    /// Fetches of a csrf value alone.
    pub(crate) repairs: usize,
    pub(crate) logouts: usize,
    /// Requests of the API that were answered as asked.
    pub(crate) served: usize,
    /// Those of them that want a csrf value.
    pub(crate) written: usize,
    /// Requests of the API whose session is dead, unknown or missing.
    pub(crate) rejected: usize,
    /// Requests of the API that lack the csrf value of their session.
    pub(crate) stale: usize,
}

#[derive(Default)]
pub(crate) struct World(Mutex<State>);

#[derive(Default)]
struct State {
    mood: Mood,
    issued: usize,
    sessions: Vec<Session>,
    spent: Vec<String>,
    said: VecDeque<u16>,
    beside: Option<Beside>,
    password_has_changed: bool,
    requests: usize,
    counts: Counts,
}

impl State {
    fn issue(&mut self, name: &str) -> String {
        self.issued += 1;
        format!("{MARK}{name}{}==", self.issued)
    }

    fn knows(&self, name: &str, password: &str) -> bool {
        (name, password) == (NAME, PASSWORD) && !self.password_has_changed
    }

    fn open(&mut self) -> Session {
        let session = Session {
            number: self.issued + 1,
            access: self.issue("access"),
            csrf: self.issue("csrf"),
            refresh: self.issue("refresh"),
        };
        self.sessions.push(session.clone());
        session
    }
}

/// For tests.
impl World {
    pub(crate) fn counts(&self) -> Counts {
        self.0.lock().counts
    }

    /// Requests of every kind, those of logins included.
    pub(crate) fn requests(&self) -> usize {
        self.0.lock().requests
    }

    pub(crate) fn live(&self) -> usize {
        self.0.lock().sessions.len()
    }

    pub(crate) fn answer_logins_as(&self, mood: Mood) {
        self.0.lock().mood = mood;
    }

    /// What each of the next answers says in place of the dialect's own, as far as it has codes.
    pub(crate) fn say(&self, codes: &[u16]) {
        self.0.lock().said.extend(codes);
    }

    /// Answers whatever is asked with something that says nothing about the session.
    pub(crate) fn answer_beside(&self, beside: Option<Beside>) {
        self.0.lock().beside = beside;
    }

    /// Ends all sessions, and with them what refreshes them.
    pub(crate) fn revoke_all(&self) {
        self.0.lock().sessions.clear();
    }

    /// Sets another password, which no test knows.
    pub(crate) fn change_password(&self) {
        self.0.lock().password_has_changed = true;
    }

    /// Ends what requests carry. What refreshes it stays good.
    pub(crate) fn expire_access(&self) {
        let mut state = self.0.lock();
        for session in &mut state.sessions {
            session.access.clear();
        }
    }

    /// Gives each session another csrf value, as after the session of a browser has ended.
    pub(crate) fn expire_csrf(&self) {
        let mut state = self.0.lock();
        for at in 0..state.sessions.len() {
            state.sessions[at].csrf = state.issue("csrf");
        }
    }
}

/// For the servers.
impl World {
    /// A login by name and password. It must carry nothing of an earlier session.
    pub(crate) fn login(&self, asked: &Asked, name: &str, password: &str) -> Entry {
        let mut state = self.0.lock();
        state.counts.logins += 1;
        if asked.mentions(MARK) {
            state.counts.polluted += 1;
            return Entry::Polluted;
        }
        // Servers count attempts before they look at the password.
        if matches!(state.mood, Mood::Limited | Mood::Banned) {
            return Entry::Limited;
        }
        if !state.knows(name, password) {
            state.counts.refused += 1;
            return Entry::Refused;
        }
        match state.mood {
            Mood::Locked => Entry::Locked,
            Mood::Full => Entry::Full,
            Mood::Starting => Entry::Starting,
            Mood::Open | Mood::Limited | Mood::Banned => Entry::Welcome(state.open()),
        }
    }

    /// Whether a request of the API brings the name and the password, which is no login.
    pub(crate) fn knows(&self, asked: &Asked) -> bool {
        let pair = asked.basic();
        pair.is_some_and(|(name, password)| self.0.lock().knows(&name, &password))
    }

    pub(crate) fn said(&self) -> Option<u16> {
        self.0.lock().said.pop_front()
    }

    pub(crate) fn is(&self, mood: Mood) -> bool {
        self.0.lock().mood == mood
    }

    /// A session for a request that brings the password along with a session that is over.
    pub(crate) fn reopen(&self) -> Session {
        let mut state = self.0.lock();
        state.counts.reopened += 1;
        state.open()
    }

    /// The session of a request of the API, by what it carries.
    pub(crate) fn enter(&self, access: &str) -> Option<Session> {
        let mut state = self.0.lock();
        let found = find(&state.sessions, |session| session.access == access);
        match found {
            Some(_) => state.counts.served += 1,
            None => state.counts.rejected += 1,
        }
        found
    }

    /// As [`enter`](Self::enter), for a request that must carry the session's csrf value as well.
    /// `Err` is a session without it.
    pub(crate) fn enter_to_write(&self, access: &str, csrf: &str) -> Option<Result<Session, ()>> {
        let session = self.enter(access)?;
        let counts = &mut self.0.lock().counts;
        if session.csrf == csrf {
            counts.written += 1;
            return Some(Ok(session));
        }
        counts.served -= 1;
        counts.stale += 1;
        Some(Err(()))
    }

    /// A request of the API that was answered by its password alone.
    pub(crate) fn serve(&self) {
        self.0.lock().counts.served += 1;
    }

    /// The session of a request that is none of the API's own, and is not counted.
    pub(crate) fn look(&self, access: &str) -> Option<Session> {
        find(&self.0.lock().sessions, |session| session.access == access)
    }

    /// A fetch of the csrf value alone.
    pub(crate) fn repair(&self, access: &str) -> Option<Session> {
        let session = self.look(access)?;
        self.0.lock().counts.repairs += 1;
        Some(session)
    }

    /// A new csrf value for a session.
    pub(crate) fn roll_csrf(&self, access: &str) -> String {
        let mut state = self.0.lock();
        let csrf = state.issue("csrf");
        for session in &mut state.sessions {
            if session.access == access {
                session.csrf.clone_from(&csrf);
            }
        }
        csrf
    }

    /// A new value for requests to carry in place of `access`, as of a cookie that rolls.
    pub(crate) fn roll_access(&self, access: &str) -> String {
        let mut state = self.0.lock();
        let rolled = state.issue("access");
        for session in &mut state.sessions {
            if session.access == access {
                session.access.clone_from(&rolled);
            }
        }
        rolled
    }

    /// The session of a code that is good once.
    pub(crate) fn exchange(&self, code: &str) -> Option<Session> {
        let session = find(&self.0.lock().sessions, |session| session.csrf == code)?;
        self.roll_csrf(&session.access);
        Some(session)
    }

    /// A refresh by a token that stays good.
    pub(crate) fn refresh(&self, token: &str) -> Option<Session> {
        self.refresh_by(|session| session.refresh == token)
    }

    /// A refresh by the value that requests carry.
    pub(crate) fn refresh_by_access(&self, access: &str) -> Option<Session> {
        self.refresh_by(|session| !access.is_empty() && session.access == access)
    }

    /// A refresh by a token that is good once. One that comes a second time has been stolen, and
    /// ends the session (RFC 9700, section 4.14.2).
    pub(crate) fn refresh_once(&self, token: &str) -> Option<Session> {
        if self.0.lock().spent.iter().any(|spent| spent == token) {
            self.0.lock().counts.reused += 1;
            self.revoke_all();
        }
        let session = self.refresh(token)?;
        let mut state = self.0.lock();
        state.spent.push(token.to_owned());
        let refresh = state.issue("refresh");
        let own = |own: &&mut Session| own.number == session.number;
        let own = state.sessions.iter_mut().find(own)?;
        own.refresh = refresh;
        Some(own.clone())
    }

    fn refresh_by(&self, is: impl Fn(&Session) -> bool) -> Option<Session> {
        let mut state = self.0.lock();
        state.counts.refreshes += 1;
        let access = state.issue("access");
        let session = state.sessions.iter_mut().find(|session| is(session))?;
        session.access = access;
        Some(session.clone())
    }

    /// Ends the session that `is` it, and tells whether there was one.
    pub(crate) fn logout(&self, is: impl Fn(&Session) -> bool) -> bool {
        let mut state = self.0.lock();
        state.counts.logouts += 1;
        let before = state.sessions.len();
        state.sessions.retain(|session| !is(session));
        state.sessions.len() < before
    }
}

fn find(sessions: &[Session], is: impl Fn(&Session) -> bool) -> Option<Session> {
    // What has expired is an empty text, which no request can be said to carry.
    let found = |session: &&Session| !session.access.is_empty() && is(session);
    sessions.iter().find(found).cloned()
}

/// What a form or a query says.
pub(crate) type Fields = HashMap<String, String>;
