//! A login as a value: a request to send, and the reading of its response.

use auth_core::{
    Credential, Identity, Judge, LoginError, Quota, Scope, Secret, SecretSource, Session,
    StatusJudge,
};
use bytes::Bytes;

use crate::login_via::LoginVia;
use crate::transport::Transport;

/// A login as a value, without any I/O: what is sent, and what the response means.
///
/// [`via`](Self::via) gives it something to send with, and makes it an [`auth_core::Provider`]. What a login has in common
/// with every other, the building of requests and the reading of responses, is in [`request`](crate::request) and
/// [`response`](crate::response).
///
/// ```
/// use auth_core::{Identity, LoginError, Origin, Secret, SecretSource, Session};
/// use auth_providers::{Login, response, request};
/// use bytes::Bytes;
///
/// struct Tokens {
///     identity: Identity,
///     password: SecretSource,
/// }
///
/// #[derive(serde::Deserialize)]
/// struct Issued {
///     token: String,
/// }
///
/// impl Login for Tokens {
///     fn identity(&self) -> &Identity {
///         &self.identity
///     }
///
///     fn secret(&self) -> &SecretSource {
///         &self.password
///     }
///
///     fn request(&self, password: &Secret) -> Result<http::Request<Bytes>, LoginError> {
///         let body = serde_json::Map::from_iter([
///             ("user".to_owned(), self.identity.account().into()),
///             ("password".to_owned(), password.expose().into()),
///         ]);
///         request::post_json("https://api.example.com/tokens", &body)
///     }
///
///     fn read(&self, response: &http::Response<Bytes>) -> Result<Session, LoginError> {
///         response::expect_success(response)?;
///         let issued: Issued = response::json(response)?;
///         Ok(Session::new().with_bearer(&issued.token)?)
///     }
/// }
///
/// let identity = Identity::new("tokens", Origin::parse("https://api.example.com")?, "ada");
/// let login = Tokens { identity, password: "correct horse".into() };
/// let response = http::Response::new(Bytes::from_static(br#"{"token": "t-1"}"#));
/// assert!(!login.read(&response)?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Login: Send + Sync + 'static {
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

    /// What a response of the API says of the credential: by default a 401 rejects it.
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

    /// The login's request, with an absolute URI.
    ///
    /// # Errors
    /// [`LoginError::misconfigured`], if no request can be made of what was configured.
    fn request(&self, secret: &Secret) -> Result<http::Request<Bytes>, LoginError>;

    /// The session that the response brings.
    ///
    /// # Errors
    /// [`LoginError::refused`] only where the API says that e-mail or password are wrong; a page of some proxy's is
    /// [`LoginError::malformed`]. See [`response::failure`](crate::response::failure).
    fn read(&self, response: &http::Response<Bytes>) -> Result<Session, LoginError>;

    /// The request that ends a session at the server, if there is one. It carries the credential already.
    fn logout_request(&self, credential: &Credential) -> Option<http::Request<Bytes>> {
        let _ = credential;
        None
    }

    /// The URL of a documented `GET` that is good for trying a session out, if there is one.
    fn probe_url(&self) -> Option<String> {
        None
    }

    /// This login, carried by `transport`: a provider for the cache.
    fn via<T: Transport>(self, transport: T) -> LoginVia<Self, T>
    where
        Self: Sized,
    {
        LoginVia::new(self, transport)
    }
}
