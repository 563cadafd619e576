//! What a caller asks for.

use std::time::Duration;

/// What a caller asks for: how long it waits, and whether the current credential is enough.
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
    /// The options of the cache: the caller waits for at most its [wait
    /// time-out](crate::CredentialsBuilder::wait_timeout), 120 s unless set.
    ///
    /// Then one of the next logins that the default quota allows is waited for. A caller for whom
    /// the quota allows none in that time is told so at once, with the time to wait. A program that
    /// logs in with many accounts at once [waits for the quota](Self::wait_for_quota); one that a
    /// person waits for [fails fast](Self::fail_fast).
    pub const fn new() -> Self {
        Self {
            within: None,
            fail_fast: None,
            renewed: false,
        }
    }

    /// Waits for at most `wait`. If the quota allows no login that would end before then, the call
    /// fails at once with [`Error::QuotaSpent`](crate::Error::QuotaSpent). A login is expected to
    /// take as long as the last ones at that origin, or 3 s if there was none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use auth_core::Ask;
    ///
    /// let patience = Ask::new().within(Duration::from_secs(5));
    /// assert_eq!(patience.at_most(Duration::from_secs(9)), patience);
    /// ```
    pub const fn within(mut self, wait: Duration) -> Self {
        self.within = Some(wait);
        self
    }

    /// Does not wait for the quota: if it allows no login now, the call fails at once with
    /// [`Error::QuotaSpent`](crate::Error::QuotaSpent). A login that has its permit is waited for,
    /// and a look at the store for a quarter of a second.
    ///
    /// ```
    /// use auth_core::{Ask, Credentials, Error};
    ///
    /// async fn at_a_prompt(credentials: &Credentials) {
    ///     match credentials.get_with(Ask::new().fail_fast()).await {
    ///         Err(Error::QuotaSpent { retry_after, .. }) => eprintln!("wait for {retry_after:?}"),
    ///         Err(error) => eprintln!("{error}"),
    ///         Ok(_) => {}
    ///     }
    /// }
    /// # drop(at_a_prompt);
    /// ```
    pub const fn fail_fast(mut self) -> Self {
        self.fail_fast = Some(true);
        self
    }

    /// Waits for the quota, even if the cache was built to [fail
    /// fast](crate::CredentialsBuilder::fail_fast): for a batch of accounts. Unless
    /// [`within`](Self::within) states a limit, the caller waits for a day in place of the cache's
    /// wait time-out. In a day the default quota allows 13,900 logins. A failure for another reason
    /// is told at once.
    ///
    /// ```
    /// # use auth_core::{Ask, Credentials, Error};
    /// # async fn log_in(accounts: Vec<Credentials>) -> Result<(), Error> {
    /// // Ten accounts log in at once, and ten more with every minute.
    /// let logins = accounts.iter().map(|account| account.get_with(Ask::new().wait_for_quota()));
    /// futures_util::future::try_join_all(logins).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub const fn wait_for_quota(mut self) -> Self {
        self.fail_fast = Some(false);
        self
    }

    /// The current credential is not enough: a login begins, or the one under way is waited for; or
    /// a [refresh](crate::Provider::refresh_by), if the session has what it takes. Other callers
    /// are served the current credential in the meantime. If the login fails, it stays in use.
    ///
    /// ```
    /// use auth_core::{Ask, Credentials, Error};
    ///
    /// /// A workflow that an expiry must not interrupt.
    /// async fn begin(credentials: &Credentials) -> Result<(), Error> {
    ///     credentials.get_with(Ask::new().renewed()).await?;
    ///     Ok(())
    /// }
    /// # drop(begin);
    /// ```
    pub const fn renewed(mut self) -> Self {
        self.renewed = true;
        self
    }

    /// Waits for at most `wait`, or less if [`within`](Self::within) was set to less.
    pub fn at_most(mut self, wait: Duration) -> Self {
        self.within = Some(self.within.map_or(wait, |within| within.min(wait)));
        self
    }

    /// Whether the current credential is not enough.
    pub const fn is_renewed(&self) -> bool {
        self.renewed
    }

    /// Undoes [`renewed`](Self::renewed), for example because another request has renewed the
    /// credential.
    pub const fn not_renewed(mut self) -> Self {
        self.renewed = false;
        self
    }
}
