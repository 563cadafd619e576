//! How sessions are refreshed.

use std::borrow::Cow;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::quota::Quota;

/// How a provider refreshes its sessions, without the password. See
/// [`Provider::refresh`](crate::Provider::refresh).
///
/// ```
/// use auth_core::Refresh;
///
/// // OAuth 2.0 with rotation: each refresh token can be used once.
/// let rotating = Refresh::with_kept("refresh_token").single_use();
/// // An API that takes the token that is about to expire for a new one.
/// let extended = Refresh::with_session();
/// # let _ = (rotating, extended);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a provider returns it from `refresh_by`"]
pub struct Refresh {
    pub(crate) token: Option<Cow<'static, str>>,
    pub(crate) single_use: bool,
    /// Its own quota. `None` if a refresh counts as a login.
    pub(crate) quota: Option<Quota>,
}

impl Refresh {
    /// Thirty refreshes in any minute, for each identity: enough for tokens of a few seconds, and
    /// not for a loop that has lost its mind.
    pub const DEFAULT_QUOTA: Quota = match NonZeroU32::new(30) {
        Some(thirty) => Quota::new(thirty, Duration::from_secs(60)),
        None => panic!("thirty is not zero"),
    };

    /// With a value that the session [keeps](crate::Session::with_kept) under this name: a refresh
    /// token. It is possible while the session has the value, and the life of the value lasts;
    /// whether or not the session has expired or was rejected.
    pub fn with_kept(name: impl Into<Cow<'static, str>>) -> Self {
        Self::of(Some(name.into()))
    }

    /// With what the session carries. It is possible only while the session is good, so it happens
    /// ahead of its expiry or not at all.
    pub const fn with_session() -> Self {
        Self::of(None)
    }

    const fn of(token: Option<Cow<'static, str>>) -> Self {
        Self {
            token,
            single_use: false,
            quota: Some(Self::DEFAULT_QUOTA),
        }
    }

    /// The server takes each value once, and may end the session if it sees one again. The value is
    /// marked spent before it is sent, and is not sent again, unless [no byte has
    /// left](crate::LoginError::not_sent). The password is used after a failure, and also if the
    /// answer brings no other value, or if the server brings back one of the last sixteen that were
    /// sent.
    pub const fn single_use(mut self) -> Self {
        self.single_use = true;
        self
    }

    /// Sets how many refreshes each identity may send. [`DEFAULT_QUOTA`](Self::DEFAULT_QUOTA)
    /// unless set. While it is spent, a good session is used on, and for one that is over the
    /// password is used.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use auth_core::Refresh;
    ///
    /// // This server allows six refreshes in a minute.
    /// let six = Refresh::DEFAULT_QUOTA.at_most(NonZeroU32::new(6).expect("not zero"));
    /// let refresh = Refresh::with_kept("refresh_token").quota(six);
    /// # drop(refresh);
    /// ```
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// The server counts a refresh as a login, as most do that take both at the same path. Each
    /// spends a permit of the [login's quota](crate::Provider::quota), which all identities with
    /// the same origin share.
    ///
    /// ```
    /// use auth_core::Refresh;
    ///
    /// let rotating = Refresh::with_kept("refresh_token").single_use().counts_as_login();
    /// # drop(rotating);
    /// ```
    pub fn counts_as_login(mut self) -> Self {
        self.quota = None;
        self
    }

    /// Whether it counts as a login.
    pub(crate) const fn is_login(&self) -> bool {
        self.quota.is_none()
    }
}
