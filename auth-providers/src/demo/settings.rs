use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use auth_core::{Lifetime, Quota};

/// The only account of a server without an [`account`](Settings::account) of its settings.
pub const EMAIL: &str = "ada@example.com";
/// The password of [`EMAIL`].
pub const PASSWORD: &str = "correct horse battery";

/// What a [`DemoServer`](super::DemoServer) does that does not depend on its API.
///
/// ```
/// use std::time::Duration;
/// use auth_providers::demo::Settings;
///
/// let settings = Settings::new()
///     .account("grace@example.com", "nanoseconds")
///     .login_latency(Duration::from_millis(50));
/// # let _ = settings;
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) port: u16,
    pub(super) accounts: HashMap<String, String>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) limit: Option<Quota>,
    pub(super) login_latency: Duration,
    pub(super) call_latency: Duration,
    pub(super) dead_session_is_forbidden: bool,
}

impl Settings {
    /// One account with [`EMAIL`] and [`PASSWORD`], the API's lifetime of sessions, at most ten
    /// logins in any minute, no latency, and a free port.
    pub fn new() -> Self {
        Self {
            port: 0,
            accounts: HashMap::new(),
            lifetime: None,
            limit: None,
            login_latency: Duration::ZERO,
            call_latency: Duration::ZERO,
            dead_session_is_forbidden: false,
        }
    }

    /// Sets the port to listen on. 0, the default, is a free one that no server of this process has
    /// had, so that tests neither meet nor take each other's quota, which belongs to an address. On
    /// a port that is taken, the server does not start.
    pub const fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Adds an account. The first one replaces [`EMAIL`].
    pub fn account(mut self, email: impl Into<String>, password: impl Into<String>) -> Self {
        self.accounts.insert(email.into(), password.into());
        self
    }

    /// Sets the lifetime of sessions. The default is what the API documents.
    pub const fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets how many logins of one client address are admitted in any `window`. The default is ten
    /// in a minute, or what a recipe says.
    pub const fn login_limit(mut self, logins: NonZeroU32, window: Duration) -> Self {
        self.limit = Some(Quota::new(logins, window));
        self
    }

    /// Sets how long a login takes.
    pub const fn login_latency(mut self, latency: Duration) -> Self {
        self.login_latency = latency;
        self
    }

    /// Sets how long a request to the API takes. Whether its session is live is decided at the
    /// start.
    pub const fn call_latency(mut self, latency: Duration) -> Self {
        self.call_latency = latency;
        self
    }

    /// Makes a request without a live session get status 403 instead of 401, with an error in
    /// CloudIO's form that says that the session expired. A server of a recipe does as that says.
    pub const fn dead_session_is_forbidden(mut self) -> Self {
        self.dead_session_is_forbidden = true;
        self
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new()
    }
}
