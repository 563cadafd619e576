use std::any::TypeId;

use async_trait::async_trait;
use auth_core::{
    Credential, Identity, Judge, LoginError, LoginMark, Logout, LogoutScope, Provider,
    ProviderOptions, Quota, ResponseView, Scope, Secret, SecretSource, Session, Target, Update,
};
use http::HeaderName;

use crate::login::Login;
use crate::response;
use crate::transport::Transport;

/// A [`Login`] and the [`Transport`] that carries it: an [`auth_core::Provider`].
///
/// Created by [`Login::via`].
#[derive(Clone, Debug)]
pub struct LoginVia<L, T> {
    login: L,
    transport: T,
}

impl<L, T> LoginVia<L, T> {
    pub(crate) const fn new(login: L, transport: T) -> Self {
        Self { login, transport }
    }

    /// The login.
    pub const fn as_login(&self) -> &L {
        &self.login
    }

    /// The transport.
    pub const fn transport(&self) -> &T {
        &self.transport
    }
}

#[async_trait]
impl<L: Login, T: Transport> Provider for LoginVia<L, T> {
    fn identity(&self) -> &Identity {
        self.login.account().identity()
    }

    fn secret(&self) -> &SecretSource {
        self.login.account().secret()
    }

    fn scope(&self) -> Scope {
        self.login.account().scope()
    }

    fn quota(&self) -> Quota {
        self.login.account().quota()
    }

    fn judge(&self) -> &dyn Judge {
        self.login.judge()
    }

    fn updates(&self) -> bool {
        self.login.updates()
    }

    fn update(&self, response: &ResponseView<'_>, credential: &Credential) -> Update {
        self.login.update(response, credential)
    }

    fn secret_headers(&self) -> &[HeaderName] {
        self.login.secret_headers()
    }

    /// The kind of login, its own options, and the lifetime that was set. Not the transport.
    fn options(&self) -> ProviderOptions {
        let lifetime = self.login.account().lifetime();
        ProviderOptions::of((TypeId::of::<L>(), self.login.options(), lifetime))
    }

    fn check_secret(&self, secret: &Secret) -> Result<(), LoginError> {
        self.login.check_secret(secret)
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        self.login.check_secret(secret)?;
        let mut request = self.login.request(secret)?;
        // If this transport leads through an integration for the same credential, the mark makes
        // the integration refuse the login. Without it, the login would wait for itself.
        if let Some(mark) = LoginMark::current() {
            request.extensions_mut().insert(mark);
        }
        let account = self.login.account();
        let sent_to = request.uri().clone();
        let response = self.transport.carry(request).await?;
        let read = self.login.read(&response).and_then(|session| {
            let none = || LoginError::malformed("the response brought no session");
            (!session.is_empty()).then_some(session).ok_or_else(none)
        });
        let mut session = read.map_err(|failed| {
            let asked = response::retry_after(response.headers());
            let wait = failed.retry_after().or(asked);
            failed.with_retry_after(wait)
        })?;
        if let Some(lifetime) = account.lifetime() {
            session = session.override_lifetime(lifetime);
        }
        if account.keeps_cookies() {
            session = session.keep_cookies(response.headers(), Target::of(&sent_to));
        }
        Ok(session)
    }

    async fn logout(&self, credential: &Credential, logout: Logout) -> Result<(), LoginError> {
        let Some(request) = self.login.logout_request(credential) else {
            return Ok(());
        };
        let response = self.transport.carry(request).await?;
        self.login.logged_out(&response, logout)
    }

    fn logout_scope(&self) -> LogoutScope {
        self.login.logout_scope()
    }
}
