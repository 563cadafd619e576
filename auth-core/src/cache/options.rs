//! What a cache is told when it is built, but for who it is.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::memory::Restraint;
use super::state::Policy;
use crate::event::Observer;
use crate::lifetime::RefreshWindow;

/// Caches with every option at its default share these: see [`CredentialsBuilder`](super::CredentialsBuilder) for what they mean.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) policy: Policy,
    /// How long one login may take.
    pub(super) login_timeout: Duration,
    /// How long callers wait who don't say.
    pub(super) patience: Duration,
    /// Whether callers who don't say don't wait for the quota.
    pub(super) fail_fast: bool,
    /// How long after it was superseded a session is logged out, if at all.
    pub(super) farewell: Option<Duration>,
    pub(super) observer: Option<Arc<dyn Observer>>,
}

/// Most caches have these, and share them.
static DEFAULT: LazyLock<Arc<Options>> = LazyLock::new(|| {
    Arc::new(Options {
        policy: Policy {
            window: RefreshWindow::DEFAULT,
            restraint: Restraint::DEFAULT,
        },
        login_timeout: Options::DEFAULT_LOGIN_TIMEOUT,
        patience: Options::DEFAULT_PATIENCE,
        fail_fast: false,
        farewell: None,
        observer: None,
    })
});

impl Options {
    pub(super) const DEFAULT_LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
    pub(super) const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);

    pub(super) fn default() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }
}
