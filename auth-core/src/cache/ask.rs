//! How a caller wants its credential.

use std::time::Duration;

/// How a caller wants its credential: how long to wait, and whether the one at hand will do.
///
/// ```
/// use std::time::Duration;
/// use auth_core::Ask;
///
/// let interactive = Ask::new().within(Duration::from_secs(2)).fail_fast();
/// let start_of_a_workflow = Ask::new().renewed();
/// # let _ = (interactive, start_of_a_workflow);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    pub(crate) within: Option<Duration>,
    pub(crate) fail_fast: Option<bool>,
    pub(crate) renewed: bool,
}

impl Ask {
    /// As the cache was built: within its
    /// [wait time-out](crate::CredentialsBuilder::wait_timeout), 60 s unless set.
    pub const fn new() -> Self {
        Self {
            within: None,
            fail_fast: None,
            renewed: false,
        }
    }

    /// Wait no longer than this. If the quota allows no login before then, that is told at once.
    pub const fn within(mut self, wait: Duration) -> Self {
        self.within = Some(wait);
        self
    }

    /// Don't wait for the quota at all: if no login is allowed now, that is told at once. A login under way is waited for.
    pub const fn fail_fast(mut self) -> Self {
        self.fail_fast = Some(true);
        self
    }

    /// Wait for the quota, even if the cache was built to [fail fast](crate::CredentialsBuilder::fail_fast).
    pub const fn wait_for_quota(mut self) -> Self {
        self.fail_fast = Some(false);
        self
    }

    /// The credential at hand won't do: log in anew, or wait for the login that is under way. The one at hand is served to
    /// others meanwhile, and stays if the login fails.
    pub const fn renewed(mut self) -> Self {
        self.renewed = true;
        self
    }

    /// Wait no longer than this, if nothing shorter was said.
    pub fn at_most(mut self, wait: Duration) -> Self {
        self.within = Some(self.within.map_or(wait, |within| within.min(wait)));
        self
    }

    /// Whether the credential at hand won't do.
    pub const fn is_renewed(&self) -> bool {
        self.renewed
    }

    /// The credential at hand will do after all, as where another request has renewed it.
    pub const fn not_renewed(mut self) -> Self {
        self.renewed = false;
        self
    }
}
