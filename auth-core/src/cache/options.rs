//! What a cache is told when it is built, but for who it is.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::failure::FailurePolicy;
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
    pub(super) wait_timeout: Duration,
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
            failure_policy: FailurePolicy::DEFAULT,
        },
        login_timeout: Options::DEFAULT_LOGIN_TIMEOUT,
        wait_timeout: Options::DEFAULT_WAIT_TIMEOUT,
        fail_fast: false,
        farewell: None,
        observer: None,
    })
});

impl Options {
    pub(super) const DEFAULT_LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
    pub(super) const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(60);

    pub(super) fn default() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }
}
