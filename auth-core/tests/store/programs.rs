//! Caches with a store, and the login server that they log in to.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_core::store::{Store, Unreadable};
use auth_core::{
    Credentials, Event, Identity, Lifetime, LoginError, Origin, Provider, Quota, Secret,
    SecretSource, Session,
};

/// A login server.
#[derive(Clone)]
pub(crate) struct LoginServer(Arc<State>);

struct State {
    identity: Identity,
    logins: AtomicU64,
}

/// A process.
pub(crate) struct Process {
    pub(crate) credentials: Credentials,
    events: Arc<Mutex<Vec<Event>>>,
}

impl LoginServer {
    pub(crate) fn new() -> Self {
        let origin = Origin::parse("https://api.example.com").unwrap();
        Self(Arc::new(State {
            identity: Identity::new("shared", origin, "me@example.com"),
            logins: AtomicU64::new(0),
        }))
    }

    /// How many logins with the password it has seen.
    pub(crate) fn logins(&self) -> u64 {
        self.0.logins.load(SeqCst)
    }

    /// A process that starts now.
    pub(crate) fn start(&self, store: impl Store) -> Process {
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let program = Program {
            server: self.clone(),
            secret: "right".into(),
        };
        let credentials = Credentials::builder(program)
            .store(store)
            .observer(move |_: &Identity, event: &Event| seen.lock().unwrap().push(event.clone()))
            .build();
        Process {
            credentials,
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

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let number = self.server.0.logins.fetch_add(1, SeqCst) + 1;
        session(&format!("login-{number}"))
    }
}

fn session(of: &str) -> Result<Session, LoginError> {
    Ok(Session::new()
        .with_bearer(&format!("bearer-of-{of}"))?
        .with_lifetime(Lifetime::unknown()))
}
