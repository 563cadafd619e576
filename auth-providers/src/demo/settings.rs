use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use auth_core::{Lifetime, Quota};

/// The e-mail address that a server knows unless it is [told](Settings::account) others.
pub const EMAIL: &str = "ada@example.com";
/// The password of [`EMAIL`].
pub const PASSWORD: &str = "correct horse battery";

/// How a [`DemoServer`](super::DemoServer) behaves where that is not a matter of the API.
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
    pub(super) accounts: HashMap<String, String>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) limit: Quota,
    pub(super) login_latency: Duration,
    pub(super) call_latency: Duration,
    pub(super) dead_session_is_forbidden: bool,
}

impl Settings {
    /// One account, [`EMAIL`] and [`PASSWORD`]; the API's life of sessions; ten logins a minute; no latency.
    pub fn new() -> Self {
        Self {
            accounts: HashMap::new(),
            lifetime: None,
            limit: Quota::DEFAULT,
            login_latency: Duration::ZERO,
            call_latency: Duration::ZERO,
            dead_session_is_forbidden: false,
        }
    }

    /// An account that may log in. The first one takes the place of [`EMAIL`]; more may follow.
    pub fn account(mut self, email: impl Into<String>, password: impl Into<String>) -> Self {
        self.accounts.insert(email.into(), password.into());
        self
    }

    /// How long sessions live, other than the API documents.
    pub const fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// How many logins one address may try in any `window`.
    pub const fn login_limit(mut self, logins: NonZeroU32, window: Duration) -> Self {
        self.limit = Quota::new(logins, window);
        self
    }

    /// How long a login takes.
    pub const fn login_latency(mut self, latency: Duration) -> Self {
        self.login_latency = latency;
        self
    }

    /// How long a request to the API takes. Whether its session is live is decided as it comes in.
    pub const fn call_latency(mut self, latency: Duration) -> Self {
        self.call_latency = latency;
        self
    }

    /// A request with a dead session gets status 403 and JSON that says so, as may be with CloudIO, instead of 401.
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
