//! A login server, and the programs that log in to it.

use super::*;

/// A login server: what it has seen, whichever process logs in.
#[derive(Clone)]
pub(super) struct Server(pub(super) Arc<ServerState>);

pub(super) type Answer = Box<dyn Fn(u64) -> Result<Session, LoginError> + Send>;

pub(super) struct ServerState {
    pub(super) identity: Identity,
    pub(super) logins: AtomicU64,
    pub(super) refreshes: Mutex<Vec<String>>,
    pub(super) refuses_refreshes: AtomicBool,
    pub(super) logouts: Mutex<Vec<String>>,
    pub(super) refreshes_fail: AtomicBool,
    /// It asks for a wait of so many seconds before the next refresh, unless that is none.
    pub(super) refreshes_wait: AtomicU64,
    pub(super) refreshes_not_sent: AtomicBool,
    pub(super) password: Mutex<&'static str>,
    pub(super) answer: Mutex<Answer>,
    pub(super) gate: Mutex<Option<Arc<Semaphore>>>,
    pub(super) refresh_gate: Mutex<Option<Arc<Semaphore>>>,
}

impl Server {
    pub(super) fn new() -> Self {
        let origin = Origin::parse("https://api.example.com").unwrap();
        let answer = |number| session(number, Lifetime::of(HOUR));
        Self(Arc::new(ServerState {
            identity: Identity::new("shared", origin, "me@example.com"),
            logins: AtomicU64::new(0),
            refreshes: Mutex::default(),
            refuses_refreshes: AtomicBool::new(false),
            logouts: Mutex::default(),
            refreshes_fail: AtomicBool::new(false),
            refreshes_wait: AtomicU64::new(0),
            refreshes_not_sent: AtomicBool::new(false),
            password: Mutex::new("right"),
            answer: Mutex::new(Box::new(answer)),
            gate: Mutex::new(None),
            refresh_gate: Mutex::new(None),
        }))
    }

    pub(super) fn answers(
        &self,
        answer: impl Fn(u64) -> Result<Session, LoginError> + Send + 'static,
    ) {
        *self.0.answer.lock() = Box::new(answer);
    }

    pub(super) fn logins(&self) -> u64 {
        self.0.logins.load(SeqCst)
    }

    /// How many refresh tokens it has seen, each once.
    pub(super) fn tokens_seen_once(&self) -> usize {
        let seen = self.0.refreshes.lock();
        let once: std::collections::HashSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "{seen:?}");
        seen.len()
    }

    /// A program that logs in to it with this password.
    pub(super) fn program(&self, password: &'static str) -> Program {
        Program {
            server: self.clone(),
            secret: password.into(),
            refresh: None,
            variant: "",
        }
    }
}

pub(super) struct Program {
    pub(super) server: Server,
    pub(super) secret: SecretSource,
    pub(super) refresh: Option<Refresh>,
    pub(super) variant: &'static str,
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

    fn variant(&self) -> String {
        self.variant.to_owned()
    }

    fn refresh_by(&self) -> Option<Refresh> {
        self.refresh.clone()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        let server = &self.server.0;
        let number = server.logins.fetch_add(1, SeqCst) + 1;
        let gate = server.gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        if secret.expose() != *server.password.lock() {
            return Err(LoginError::refused("status 401"));
        }
        (server.answer.lock())(number)
    }

    async fn refresh(&self, current: &auth_core::Credential) -> Result<Session, LoginError> {
        if self.server.0.refreshes_not_sent.load(SeqCst) {
            let gate = self.server.0.refresh_gate.lock().clone();
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            return Err(LoginError::unavailable("no connection").not_sent());
        }
        let sent = current.kept("refresh_token").unwrap().to_owned();
        let number = {
            let mut seen = self.server.0.refreshes.lock();
            seen.push(sent);
            seen.len() as u64
        };
        let gate = self.server.0.refresh_gate.lock().clone();
        if let Some(gate) = gate {
            gate.acquire().await.unwrap().forget();
        }
        if self.server.0.refreshes_fail.load(SeqCst) {
            return Err(LoginError::unavailable("status 503"));
        }
        let wait = self.server.0.refreshes_wait.load(SeqCst);
        if wait > 0 {
            return Err(LoginError::limited(Some(Duration::from_secs(wait))));
        }
        if self.server.0.refuses_refreshes.load(SeqCst) {
            return Err(LoginError::refused("status 400"));
        }
        Ok(session(1_000 + number, Lifetime::of(HOUR))?
            .with_kept("refresh_token", &format!("r-{number}"))?)
    }

    async fn logout(
        &self,
        credential: &auth_core::Credential,
        logout: auth_core::Logout,
    ) -> Result<(), LoginError> {
        let mut logouts = self.server.0.logouts.lock();
        let is_over = logouts.contains(&token(credential));
        logouts.push(token(credential));
        if is_over && !logout.was_over {
            return Err(LoginError::malformed("status 401"));
        }
        Ok(())
    }
}
