//! A provider that yields in the middle of each login.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_core::{
    Credential, Identity, Lifetime, LoginError, Logout, Origin, Part, Provider, Refresh, Secret,
    SecretSource, Session, Update,
};

use crate::HOUR;

/// How a login ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    Succeeds,
    Fails,
    Panics,
    /// The first login hangs for ever, later ones succeed.
    HangsOnce,
    /// The first login keeps its thread until it is released, later ones succeed.
    SticksOnce,
    /// Logins succeed, and refreshes fail.
    CantRefresh,
    /// Sessions lack a part until it is fetched.
    Lacks,
    /// Refresh tokens can be used once, and every second refresh fails after it was sent.
    Rotates,
}

/// Yields in the middle of each login, and counts how many logins are in flight at once.
#[derive(Clone)]
pub(crate) struct Counting {
    identity: Identity,
    secret: SecretSource,
    script: Script,
    pub(crate) counts: Arc<Counts>,
}

#[derive(Default)]
pub(crate) struct Counts {
    logins: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    logouts: AtomicU64,
    pub(crate) repairs: AtomicU64,
    sent_twice: AtomicU64,
    pub(crate) released: AtomicBool,
    logged_out: Mutex<Vec<String>>,
    /// The refresh tokens that were sent.
    seen: Mutex<Vec<String>>,
}

impl Counting {
    pub(crate) fn new(script: Script) -> Self {
        let origin = Origin::parse("https://api.example.com").unwrap();
        Self {
            identity: Identity::new("counting", origin, "me"),
            secret: "secret".into(),
            script,
            counts: Arc::default(),
        }
    }

    pub(crate) fn logins(&self) -> u64 {
        self.counts.logins.load(SeqCst)
    }

    pub(crate) fn logouts(&self) -> u64 {
        self.counts.logouts.load(SeqCst)
    }

    /// The sessions that were logged out.
    pub(crate) fn logged_out(&self) -> Vec<String> {
        self.counts.logged_out.lock().unwrap().clone()
    }

    /// How often a refresh token was sent that had been sent before.
    pub(crate) fn sent_twice(&self) -> u64 {
        self.counts.sent_twice.load(SeqCst)
    }

    pub(crate) fn most_in_flight(&self) -> u64 {
        self.counts.most_in_flight.load(SeqCst)
    }
}

fn rotated(name: &str) -> Result<Session, LoginError> {
    let session = Session::new()
        .with_bearer(name)?
        .with_kept("refresh", name)?;
    Ok(session.with_lifetime(Lifetime::of(HOUR)))
}

#[async_trait]
impl Provider for Counting {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        let counts = &self.counts;
        let number = counts.logins.fetch_add(1, SeqCst) + 1;
        let sticks = self.script == Script::SticksOnce && number == 1;
        while sticks && !counts.released.load(SeqCst) {
            shuttle::thread::yield_now();
        }
        let in_flight = counts.in_flight.fetch_add(1, SeqCst) + 1;
        counts.most_in_flight.fetch_max(in_flight, SeqCst);
        shuttle::future::yield_now().await;
        let result = match self.script {
            Script::Fails => Err(LoginError::unavailable("status 503")),
            Script::Panics => panic!("a bug in the provider"),
            Script::HangsOnce if number == 1 => std::future::pending().await,
            Script::Rotates => rotated(&format!("login-{number}")),
            Script::Lacks => Ok(Session::new()
                .with_cookie("session", &format!("value-{number}"))?
                .with_part(Part::fetched_query("csrf"))?
                .with_lifetime(Lifetime::of(HOUR))),
            Script::Succeeds | Script::HangsOnce | Script::SticksOnce | Script::CantRefresh => {
                Ok(Session::new()
                    .with_cookie("session", &format!("value-{number}"))?
                    .with_kept("id", &number.to_string())?
                    .with_lifetime(Lifetime::of(HOUR)))
            }
        };
        counts.in_flight.fetch_sub(1, SeqCst);
        result
    }

    fn refresh_by(&self) -> Option<Refresh> {
        match self.script {
            Script::CantRefresh => Some(Refresh::with_session()),
            Script::Rotates => Some(Refresh::with_kept("refresh").single_use()),
            _ => None,
        }
    }

    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        if let Some(token) = current.kept("refresh") {
            shuttle::future::yield_now().await;
            let number = {
                let mut seen = self.counts.seen.lock().unwrap();
                // A panic here would only be a failed refresh.
                if seen.contains(&token.to_owned()) {
                    self.counts.sent_twice.fetch_add(1, SeqCst);
                }
                seen.push(token.to_owned());
                seen.len()
            };
            shuttle::future::yield_now().await;
            if number % 2 == 1 {
                return rotated(&format!("refresh-{number}"));
            }
        }
        shuttle::future::yield_now().await;
        Err(LoginError::unavailable("status 503"))
    }

    fn repairs(&self) -> bool {
        true
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        let counts = &self.counts;
        let number = counts.repairs.fetch_add(1, SeqCst) + 1;
        let in_flight = counts.in_flight.fetch_add(1, SeqCst) + 1;
        counts.most_in_flight.fetch_max(in_flight, SeqCst);
        shuttle::future::yield_now().await;
        counts.in_flight.fetch_sub(1, SeqCst);
        Ok(Update::new().with_query("csrf", &number.to_string())?)
    }

    async fn logout(&self, session: &Credential, _: Logout) -> Result<(), LoginError> {
        if let Some(id) = session.kept("id") {
            self.counts.logged_out.lock().unwrap().push(id.to_owned());
        }
        self.counts.logouts.fetch_add(1, SeqCst);
        Ok(())
    }
}
