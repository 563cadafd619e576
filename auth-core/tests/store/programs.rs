//! Caches with a store, and the login server that they log in to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::clock::ManualClock;
use auth_core::store::{Store, Unreadable};
use auth_core::{
    Credential, Credentials, Event, Identity, Lifetime, LoginError, Origin, Provider, Quota,
    Refresh, Secret, SecretSource, Session,
};

/// How long a session is good.
pub(crate) const LIFE: Duration = Duration::from_secs(3600);

/// A login server, which gives a refresh token with each session that can be used once.
#[derive(Clone)]
pub(crate) struct LoginServer(Arc<State>);

struct State {
    identity: Identity,
    logins: AtomicU64,
    tokens: Mutex<Vec<String>>,
    /// The next refresh gets no answer.
    hangs: AtomicBool,
}

/// A process, whose clock is moved by the test. That of its store is not.
pub(crate) struct Process {
    pub(crate) credentials: Credentials,
    pub(crate) clock: ManualClock,
    events: Arc<Mutex<Vec<Event>>>,
}

impl LoginServer {
    pub(crate) fn new() -> Self {
        let origin = Origin::parse("https://api.example.com").unwrap();
        Self(Arc::new(State {
            identity: Identity::new("shared", origin, "me@example.com"),
            logins: AtomicU64::new(0),
            tokens: Mutex::default(),
            hangs: AtomicBool::new(false),
        }))
    }

    /// How many logins with the password it has seen.
    pub(crate) fn logins(&self) -> u64 {
        self.0.logins.load(SeqCst)
    }

    /// The refresh tokens that it has seen.
    pub(crate) fn tokens(&self) -> Vec<String> {
        self.0.tokens.lock().unwrap().clone()
    }

    /// It does not answer to the next refresh.
    pub(crate) fn hangs(&self) {
        self.0.hangs.store(true, SeqCst);
    }

    /// A process that starts now.
    pub(crate) fn start(&self, store: impl Store) -> Process {
        let clock = ManualClock::new();
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let program = Program {
            server: self.clone(),
            secret: "right".into(),
        };
        let credentials = Credentials::builder(program)
            .clock(clock.clock())
            .store(store)
            .observer(move |_: &Identity, event: &Event| seen.lock().unwrap().push(event.clone()))
            .build();
        Process {
            credentials,
            clock,
            events,
        }
    }
}

impl Process {
    /// Why what was found in the store could not be read, each time.
    pub(crate) fn unreadable(&self) -> Vec<Unreadable> {
        let events = self.events.lock().unwrap();
        let why = events.iter().filter_map(|event| match event {
            Event::StoredUnreadable { why } => Some(*why),
            _ => None,
        });
        why.collect()
    }
}

struct Program {
    server: LoginServer,
    secret: SecretSource,
}

#[async_trait]
impl Provider for Program {
    fn identity(&self) -> &Identity {
        &self.server.0.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn quota(&self) -> Quota {
        Quota::DEFAULT
    }

    fn refresh_by(&self) -> Option<Refresh> {
        Some(Refresh::with_kept("refresh_token").single_use())
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let number = self.server.0.logins.fetch_add(1, SeqCst) + 1;
        session(&format!("login-{number}"))
    }

    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        let sent = current.kept("refresh_token").unwrap().to_owned();
        let number = {
            let mut tokens = self.server.0.tokens.lock().unwrap();
            tokens.push(sent);
            tokens.len()
        };
        if self.server.0.hangs.swap(false, SeqCst) {
            std::future::pending::<()>().await;
        }
        session(&format!("refresh-{number}"))
    }
}

fn session(of: &str) -> Result<Session, LoginError> {
    Ok(Session::new()
        .with_bearer(&format!("bearer-of-{of}"))?
        .with_kept("refresh_token", &format!("token-of-{of}"))?
        .with_lifetime(Lifetime::of(LIFE)))
}
