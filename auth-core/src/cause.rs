//! Why a login or a refresh began.

/// Why a login or a refresh began. A login that follows a failed refresh has the refresh's cause.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use auth_core::{Cause, Credentials, Event, Identity, Lifetime, testing::Scripted};
///
/// let causes = Arc::new(Mutex::new(Vec::new()));
/// let seen = Arc::clone(&causes);
/// let credentials = Credentials::builder(Scripted::tokens(Lifetime::unknown()))
///     .observer(move |_: &Identity, event: &Event| {
///         if let Event::LoggedIn { cause, .. } = event {
///             seen.lock().unwrap().push(*cause);
///         }
///     })
///     .build();
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// credentials.get().await?;
/// credentials.renew().await?;
/// # Ok::<(), auth_core::Error>(()) })?;
/// assert_eq!(*causes.lock().unwrap(), [Cause::First, Cause::Asked]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// There was no session: none yet, or it was logged out by another process.
    First,
    /// A caller came in the refresh window of a good session.
    AheadOfExpiry,
    /// The session had expired, or had been idle for too long.
    AfterExpiry,
    /// A response had rejected the session, or deleted its cookies.
    Rejection,
    /// A caller asked for a [renewed](crate::Ask::renewed) session while there was one.
    Asked,
    /// The timer of a cache that is [kept fresh](crate::CredentialsBuilder::keep_fresh).
    Timer,
}

impl Cause {
    /// The name in logs and metrics: `first`, `ahead_of_expiry`, `after_expiry`, `rejection`,
    /// `asked` or `timer`.
    ///
    /// ```
    /// assert_eq!(auth_core::Cause::AheadOfExpiry.name(), "ahead_of_expiry");
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::AheadOfExpiry => "ahead_of_expiry",
            Self::AfterExpiry => "after_expiry",
            Self::Rejection => "rejection",
            Self::Asked => "asked",
            Self::Timer => "timer",
        }
    }
}
