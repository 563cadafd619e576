//! The login of one API, as the cache sees it.

use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderName;

use crate::credential::{Credential, Update};
use crate::error::LoginError;
use crate::identity::Identity;
use crate::judge::{Judge, ResponseView, StatusJudge};
use crate::logout::{Logout, LogoutScope};
use crate::origin::{Origin, Scope};
use crate::provider_options::ProviderOptions;
use crate::quota::Quota;
use crate::refresh::Refresh;
use crate::secret::{Secret, SecretSource};
use crate::session::Session;

/// Logs in to one API with one account.
///
/// The trait is all that the cache needs to know about an API. `auth-providers` has providers for
/// several APIs, and builds one from any login that can be written as requests and a function that
/// reads their answers. Implement the trait by hand for anything else.
///
/// The cache calls [`login`](Self::login) at most once at a time for an identity, within its quota
/// and its time-out, and remembers a failure. So a provider must not retry, cache, limit or wait by
/// itself.
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
/// let origin = Origin::parse("https://api.example.com")?;
/// let identity = Identity::new("tokens", origin, "me@example.com");
/// let provider = Tokens { identity, password: "correct horse".into() };
/// let credentials = auth_core::Credentials::new(provider);
/// assert_eq!(credentials.get().await?.stamp().generation(), 1);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The identity that is logged in. The logins of all identities with the same
    /// [`login_origin`](Self::login_origin) share one quota.
    fn identity(&self) -> &Identity;

    /// The source of the password. It is read before each login.
    fn secret(&self) -> &SecretSource;

    /// The origins that the credential may be sent to. By default the origin of the login.
    fn scope(&self) -> Scope {
        Scope::only(self.identity().origin().clone())
    }

    /// The origin whose server counts the logins. By default that of the identity.
    ///
    /// Where the password goes to another host than that of the URL which tells the identity, say
    /// so: several tenants that log in at one place share what that allows.
    fn login_origin(&self) -> Origin {
        self.identity().origin().clone()
    }

    /// How many logins the API allows. By default ten in any minute.
    fn quota(&self) -> Quota {
        Quota::DEFAULT
    }

    /// What a response says about the credential. By default a 401 rejects it, and nothing else
    /// does: see [`StatusJudge`](crate::StatusJudge).
    fn judge(&self) -> &dyn Judge {
        &StatusJudge
    }

    /// Whether responses bring [new values](Self::update). It is asked once, when the handle is
    /// built. By default they don't.
    fn updates(&self) -> bool {
        false
    }

    /// The new values that a response brings beside its cookies: a csrf value that changes with
    /// each answer, or a token in a header. `credential` is what its request carried.
    ///
    /// It is called only if the provider [says so](Self::updates), and for the responses whose
    /// cookies count: see [`Verdict`](crate::Verdict). All that one response brings is one new
    /// revision, and of several responses to one revision the first that brings another value
    /// counts. The body is there if the provider's [judge wants it](Judge::wants_body) by the head
    /// of the response and it could be read ahead, and the request if the judge wants that.
    fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
        let _ = (response, credential);
        Update::new()
    }

    /// The headers of responses that [`update`](Self::update) has secrets from. They are marked
    /// sensitive in every response to a request with the credential, so that its `Debug` does not
    /// print them.
    fn secret_headers(&self) -> &[HeaderName] {
        &[]
    }

    /// The options beside scope, quota and the place of the login, such as a lifetime that was set.
    /// By default none.
    ///
    /// A [`Pool`](crate::Pool) that already has the identity compares them: to add it again with
    /// other options is an error, and not silently the cache with the first ones. Judges, closures
    /// and the client that carries a login can't be compared, so those of the first provider
    /// remain. State a judge's settings here if it has any.
    fn options(&self) -> ProviderOptions {
        ProviderOptions::none()
    }

    /// What else tells sessions apart in a [store](crate::store) than the identity: the tenant or
    /// the role that is logged in to, or the form of the login. It may hold secrets: the store has
    /// only a keyed hash of it. It is asked once, when the handle is built. By default nothing.
    ///
    /// A session that was stored with another text is not found.
    fn variant(&self) -> String {
        String::new()
    }

    /// Checks whether a password can be right at all, before an attempt is spent on it. By default
    /// any can.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], which says what is wrong with the password without repeating
    /// it.
    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        let _ = secret;
        Ok(())
    }

    /// Logs in, with no old credential attached.
    ///
    /// # Errors
    /// A [`LoginError`]. Its kind decides what may happen next.
    ///
    /// # Cancel safety
    /// The future is dropped if the login takes longer than [its
    /// time-out](crate::CredentialsBuilder::login_timeout), or with the last handle, unless that
    /// has a [store](crate::store) and the time-out is an hour at most.
    async fn login(&self, secret: &Secret) -> Result<Session, LoginError>;

    /// Whether sessions are renewed ahead of their expiry. By default they are. It is asked once,
    /// when the handle is built.
    ///
    /// On a server with one session for each account a renewal ends the session that requests under
    /// way still use.
    fn renews_ahead(&self) -> bool {
        true
    }

    /// How sessions are [refreshed](Self::refresh). By default they are not: the password is used.
    /// It is asked once, when the handle is built.
    fn refresh_by(&self) -> Option<Refresh> {
        None
    }

    /// Gets the next session from the current one, without the password. It is called only if the
    /// provider [says how](Self::refresh_by), and then before a login: ahead of the session's
    /// expiry, and, with a token, once it has expired or was rejected.
    ///
    /// `current` is the session that is refreshed, with the values that it
    /// [keeps](Credential::kept), such as the refresh token. Those that the returned session does
    /// not keep by itself stay: an absent refresh token means that the old one is still good,
    /// unless it can be used [once](Refresh::single_use). Then the password is used the next time.
    /// Its cookies do not, unless the session [continues them](Session::continue_cookies).
    ///
    /// # Errors
    /// A [`LoginError`], which says nothing of the password.
    /// [`Refused`](crate::LoginErrorKind::Refused) means that the server does not accept the token:
    /// it is not sent again, and the login follows at once. After any other failure a session that
    /// is good is used on, and one that is over is followed by the login. Say
    /// [`not_sent`](LoginError::not_sent) if no byte has left.
    ///
    /// # Cancel safety
    /// As [`login`](Self::login). It is also dropped once the session has been over for 5 s, or for
    /// twice as long as logins take there if that is longer: then the login follows, unless the
    /// last one forbids it, or it would have to wait for a permit. After a close it is waited for.
    async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
        let _ = current;
        Err(LoginError::misconfigured("this provider has no refresh"))
    }

    /// Whether the provider can [repair](Self::repair) a session. By default it can't. It is asked
    /// whenever a response [asks for a repair](crate::Verdict::NeedsRepair) and brings no value,
    /// and for each session with a part that [is to be fetched](crate::Part#fetched-parts): if it
    /// can't be, the login has failed.
    fn repairs(&self) -> bool {
        false
    }

    /// Fetches a part of the session, a csrf value or a session id: one that [is
    /// missing](crate::Part#fetched-parts) before the first request that would carry it, or one
    /// that a response has [asked for](crate::Verdict::NeedsRepair). `current` is the session,
    /// which the request of this step may carry. It is called once for all requests that need it,
    /// and counts against no quota.
    ///
    /// If parts are missing, such as one whose [`header`](Credential::header) `current` does not
    /// have, it brings at least one of them, and had better bring all.
    ///
    /// # Errors
    /// A [`LoginError`], which says nothing of the password. Callers get it, and no repair begins
    /// for some seconds, or for as long as its `Retry-After` says.
    ///
    /// [`Refused`](crate::LoginErrorKind::Refused) means that the server does not accept the
    /// session. That is a rejection of it, and is believed as one of a response: a login follows,
    /// and the part is fetched for the new session. Where another login would not help, callers get
    /// an error of the kind [`Unavailable`](crate::LoginErrorKind::Unavailable).
    ///
    /// # Cancel safety
    /// As [`login`](Self::login).
    async fn repair(&self, current: &Credential) -> Result<Update, LoginError> {
        let _ = current;
        Err(LoginError::misconfigured("this provider has no repair"))
    }

    /// Ends a session at the server. By default it does nothing. `credential` is that very session,
    /// with the values that it [keeps](Credential::kept). `logout` says what for, and whether the
    /// session was over before.
    ///
    /// # Errors
    /// As [`login`](Self::login), if the server did not confirm it. What its answer means is the
    /// provider's to say; one that rejects a session that was over is no failure. The cache forgets
    /// the session in any case.
    ///
    /// # Cancel safety
    /// As [`login`](Self::login).
    async fn logout(&self, credential: &Credential, logout: Logout) -> Result<(), LoginError> {
        let _ = (credential, logout);
        Ok(())
    }

    /// What one logout ends. By default the session that it carries.
    fn logout_scope(&self) -> LogoutScope {
        LogoutScope::ThisSession
    }
}

/// A provider behind a pointer: one that is shared, or chosen at run time.
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

            fn login_origin(&self) -> Origin {
                (**self).login_origin()
            }

            fn quota(&self) -> Quota {
                (**self).quota()
            }

            fn judge(&self) -> &dyn Judge {
                (**self).judge()
            }

            fn updates(&self) -> bool {
                (**self).updates()
            }

            fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
                (**self).update(response, credential)
            }

            fn secret_headers(&self) -> &[HeaderName] {
                (**self).secret_headers()
            }

            fn options(&self) -> ProviderOptions {
                (**self).options()
            }

            fn variant(&self) -> String {
                (**self).variant()
            }

            fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
                (**self).check_secret(secret)
            }

            async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
                (**self).login(secret).await
            }

            fn renews_ahead(&self) -> bool {
                (**self).renews_ahead()
            }

            fn refresh_by(&self) -> Option<Refresh> {
                (**self).refresh_by()
            }

            async fn refresh(&self, current: &Credential) -> Result<Session, LoginError> {
                (**self).refresh(current).await
            }

            fn repairs(&self) -> bool {
                (**self).repairs()
            }

            async fn repair(&self, current: &Credential) -> Result<Update, LoginError> {
                (**self).repair(current).await
            }

            async fn logout(
                &self,
                credential: &Credential,
                logout: Logout,
            ) -> Result<(), LoginError> {
                (**self).logout(credential, logout).await
            }

            fn logout_scope(&self) -> LogoutScope {
                (**self).logout_scope()
            }
        }
    };
}

provider_behind!(Box);
provider_behind!(Arc);
