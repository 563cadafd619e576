//! Ours: the reqwest integration, over a provider that logs in over HTTP.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use auth_core::{
    Credentials, Identity, Lifetime, LoginError, Origin, Provider, Scope, Secret, SecretSource,
    Session, set_cookies,
};
use auth_middleware::AuthMiddleware;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use super::server::PASSWORD;

/// A client whose requests carry the session. It shares the connections of `client`.
pub fn client(client: &Client, api: &str) -> ClientWithMiddleware {
    let credentials = Credentials::new(Account::new(client, api));
    ClientBuilder::new(client.clone())
        .with(AuthMiddleware::assuming_no_redirects(credentials))
        .build()
}

/// The account at the server on loopback.
struct Account {
    identity: Identity,
    secret: SecretSource,
    scope: Scope,
    client: Client,
    login: String,
}

impl Account {
    /// Each account has an identity at an origin of its own, because identities of one origin share
    /// a quota, and each round of a herd takes two logins.
    fn new(client: &Client, api: &str) -> Self {
        static ORIGINS: AtomicU64 = AtomicU64::new(0);
        let number = ORIGINS.fetch_add(1, Relaxed);
        let origin = format!("https://loopback-{number}.example.com");
        let origin = Origin::parse(&origin).expect("an origin");
        Self {
            identity: Identity::new("loopback", origin, "me@example.com"),
            secret: PASSWORD.into(),
            scope: Scope::only(Origin::parse(api).expect("an origin")),
            client: client.clone(),
            login: format!("{api}/login"),
        }
    }
}

#[async_trait]
impl Provider for Account {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn scope(&self) -> Scope {
        self.scope.clone()
    }

    async fn login(&self, secret: &Secret) -> Result<Session, LoginError> {
        let login = self
            .client
            .post(&self.login)
            .body(secret.expose().to_owned());
        let response = login.send().await.and_then(|it| it.error_for_status());
        let response = response.map_err(|error| LoginError::unavailable(error.to_string()))?;
        let mut cookies = set_cookies(response.headers());
        let cookie = cookies
            .next()
            .ok_or_else(|| LoginError::malformed("a cookie"))?;
        let hour = Lifetime::of(Duration::from_secs(3_600));
        Ok(Session::new()
            .with_cookie(&cookie.name, &cookie.value)?
            .with_lifetime(hour))
    }
}
