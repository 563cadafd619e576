//! How one logs in, as the cache sees it.

use std::sync::Arc;

use async_trait::async_trait;

use crate::credential::Credential;
use crate::error::LoginError;
use crate::identity::Identity;
use crate::judge::{Judge, StatusJudge};
use crate::origin::Scope;
use crate::quota::Quota;
use crate::secret::{Secret, SecretSource};
use crate::session::Session;

/// Logs in to one API as one account.
///
/// This is the whole of what the cache needs to know about an API. `auth-providers` has ready-made ones, and makes one
/// from any login that can be written as a request and the reading of its answer; implement the trait by hand for
/// anything else.
///
/// The cache calls [`login`](Self::login) with at most one call in flight for an identity, under its quota and its
/// time-out, and remembers the failure. So a provider does not retry, cache, limit or wait by itself.
///
/// ```
/// use async_trait::async_trait;
/// use auth_core::{Identity, LoginError, Origin, Provider, Secret, SecretSource, Session};
///
/// struct Tokens {
///     identity: Identity,
///     password: SecretSource,
/// }
///
/// #[async_trait]
/// impl Provider for Tokens {
///     fn identity(&self) -> &Identity {
///         &self.identity
///     }
///
///     fn secret(&self) -> &SecretSource {
///         &self.password
///     }
///
///     async fn login(&self, password: &Secret) -> Result<Session, LoginError> {
///         let token = format!("token-for-{}", password.expose().len());
///         Ok(Session::new().with_bearer(&token)?)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let identity = Identity::new("tokens", Origin::parse("https://api.example.com")?, "me@example.com");
/// let credentials = auth_core::Credentials::new(Tokens { identity, password: "correct horse".into() });
/// assert_eq!(credentials.get().await?.stamp().generation(), 1);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Who logs in where. Logins of all identities with the same origin share one quota.
    fn identity(&self) -> &Identity;

    /// Where the password comes from. It is read before each login.
    fn secret(&self) -> &SecretSource;

    /// The origins that the credential may be sent to: by default the one that one logs in to.
    fn scope(&self) -> Scope {
        Scope::only(self.identity().origin().clone())
    }

    /// How many logins the API allows: by default ten in any minute.
    fn quota(&self) -> Quota {
        Quota::DEFAULT
    }

    /// What an answer says of the credential: by default a 401 rejects it.
    fn judge(&self) -> &dyn Judge {
        &StatusJudge
    }

    /// Whether a password can be right at all, before an attempt is spent on it.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], saying what is wrong with it without repeating it.
    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        let _ = secret;
        Ok(())
    }

    /// Logs in, with no old credential attached.
    ///
    /// # Errors
    /// Each kind of [`LoginError`] permits something different afterwards; see there.
    ///
    /// # Cancel safety
    /// The future is dropped when the login takes longer than
    /// [its time-out](crate::CredentialsBuilder::login_timeout), or with the last handle.
    async fn login(&self, secret: &Secret) -> Result<Session, LoginError>;

    /// Fetches the next session while the current one is still good: by default by logging in again. It counts as a login.
    ///
    /// # Errors
    /// As [`login`](Self::login). `Refused` means that the *password* was refused here, too. If what was refused is a refresh
    /// token, log in within this very call, or fail with another kind: the next login, when the session has ended, is a
    /// [`login`](Self::login).
    ///
    /// # Cancel safety
    /// As [`login`](Self::login).
    async fn renew(&self, current: &Credential, secret: &Secret) -> Result<Session, LoginError> {
        let _ = current;
        self.login(secret).await
    }

    /// Ends a session at the server: by default there is nothing to do.
    ///
    /// # Errors
    /// As [`login`](Self::login). The cache forgets the session in any case.
    ///
    /// # Cancel safety
    /// As [`login`](Self::login).
    async fn logout(&self, credential: &Credential) -> Result<(), LoginError> {
        let _ = credential;
        Ok(())
    }
}

/// A provider chosen at run time, or shared.
macro_rules! provider_behind {
    ($pointer:ident) => {
        #[async_trait]
        impl<P: Provider + ?Sized> Provider for $pointer<P> {
            fn identity(&self) -> &Identity {
                (**self).identity()
            }

            fn secret(&self) -> &SecretSource {
                (**self).secret()
            }

            fn scope(&self) -> Scope {
                (**self).scope()
            }

            fn quota(&self) -> Quota {
                (**self).quota()
            }

            fn judge(&self) -> &dyn Judge {
                (**self).judge()
            }

            fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
                (**self).check_secret(secret)
            }

            async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
                (**self).login(secret).await
            }

            async fn renew(
                &self,
                current: &Credential,
                secret: &Secret,
            ) -> Result<Session, LoginError> {
                (**self).renew(current, secret).await
            }

            async fn logout(&self, credential: &Credential) -> Result<(), LoginError> {
                (**self).logout(credential).await
            }
        }
    };
}

provider_behind!(Box);
provider_behind!(Arc);
