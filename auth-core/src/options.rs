//! The options of a cache that are not specific to one identity.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::decide::{FailurePolicy, Policy};
use crate::event::Observer;
use crate::lifetime::RefreshWindow;
use crate::store::{Sharing, Store};

/// [`CredentialsBuilder`](crate::CredentialsBuilder) documents each of them.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) policy: Policy,
    /// How long one login may take.
    pub(crate) login_timeout: Duration,
    /// How long a caller waits that states no limit.
    pub(crate) wait_timeout: Duration,
    /// Whether a caller that does not choose fails at once if the quota allows no login now.
    pub(crate) fail_fast: bool,
    /// How long after it was superseded a session is logged out. `None` if never.
    pub(crate) superseded_logout: Option<Duration>,
    /// Whether a timer renews the session.
    pub(crate) keep_fresh: bool,
    pub(crate) observers: Vec<Arc<dyn Observer>>,
    /// The store that the builder was given.
    pub(crate) store: Option<Arc<dyn Store>>,
    /// The cache's entry in it. Here, and not in the cache, since most have none.
    pub(crate) sharing: Option<Arc<Sharing>>,
}

/// Shared by all caches with every option at its default, which most have.
static DEFAULT: LazyLock<Arc<Options>> = LazyLock::new(|| {
    Arc::new(Options {
        policy: Policy {
            window: RefreshWindow::DEFAULT,
            failure: FailurePolicy::DEFAULT,
            rejection_logins: Policy::DEFAULT_REJECTION_LOGINS,
        },
        login_timeout: Options::DEFAULT_LOGIN_TIMEOUT,
        wait_timeout: Options::DEFAULT_WAIT_TIMEOUT,
        fail_fast: false,
        superseded_logout: None,
        keep_fresh: false,
        observers: Vec::new(),
        store: None,
        sharing: None,
    })
});

impl Options {
    pub(crate) const DEFAULT_LOGIN_TIMEOUT: Duration = Duration::from_secs(30);
    pub(crate) const DEFAULT_WAIT_TIMEOUT: Duration = Duration::from_secs(120);

    /// How long a caller waits that states no limit and [waits for the
    /// quota](crate::Ask::wait_for_quota).
    pub(crate) const QUOTA_WAIT: Duration = Duration::from_secs(86_400);

    pub(crate) fn default() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }
}
