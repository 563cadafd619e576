use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use auth_core::{Origin, Scope, SecretSource};
use http::Request;

use super::recipe_site::RecipeSite;
use super::rehearsal::Logins;
use super::serve_error::ServeError;
use crate::config_error::ConfigError;
use crate::demo::counts::Counts;
use crate::demo::listening::{Listening, Port};
use crate::demo::settings::Settings;
use crate::login::Login;
use crate::recipe::{Recipe, RecipeLogin, Values, ValuesError};

/// A server on 127.0.0.1 that behaves as a [`Recipe`] says, to test a program against the API of
/// one's own.
///
/// ```
/// # #[cfg(feature = "reqwest")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use auth_core::Credentials;
/// use auth_providers::demo::{EMAIL, PASSWORD, RecipeServer, Settings};
/// use auth_providers::recipe::{Recipe, Values};
/// use auth_providers::{Login, ReqwestTransport};
///
/// let recipe: Recipe = r#"
///     recipe = 1
///     name = "acme"
///     base = "{url}"
///     account = "email"
///     fields.url.about = "where the API is"
///
///     [[login]]
///     post = "/v1/login"
///     json = { email = "{email}", password = "{password}" }
///     failures = [{ status = 401, means = "refused" }]
///     take.token = { json = "/token" }
///
///     [attach]
///     bearer = "{token}"
/// "#
/// .parse()?;
/// let server = RecipeServer::start(&recipe, &Values::new(), Settings::new()).await?;
///
/// // The program under test, with the recipe and the values of its configuration.
/// let values = Values::new()
///     .with("url", server.base_url())
///     .with("email", EMAIL)
///     .with("password", PASSWORD);
/// let credentials = Credentials::new(recipe.login(&values)?.via(ReqwestTransport::new()?));
/// credentials.get().await?;
///
/// server.revoke_all();
/// credentials.renew().await?;
/// assert_eq!(server.counts().logins.ok, 2);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "reqwest"))]
/// # fn main() {}
/// ```
///
/// # Behaviour
///
/// - It takes the requests that the recipe's steps send, and no others: method, path, query,
///   headers, cookies and body, of which JSON and forms are compared by their values. A step of a
///   login needs the values of the answers before it.
/// - Its answers hold what the recipe takes, with random values, and meet the first of `ok`, of
///   `failures` and of `verdicts` that an answer can be made for.
/// - Any path is the API's. A request is accepted if it carries what `[attach]` says of a live
///   session, there and with that method. What `[repair]` fetches has to be that of the session. A
///   request with a dead session gets the answer of a `rejected` verdict, or 401.
/// - A session lives as long as the recipe documents, or as [`Settings::lifetime`] says. Where only
///   answers state it, it is an hour, and 30 days for a value with a `life` of its own, such as a
///   refresh token. A refresh leaves the value before it alive, but for a `single_use` token.
///
/// # Limitations
///
/// It is made of the same code as the client. So it proves what a program does with a recipe, and
/// not that the recipe is right about its API: the example `check_recipe` asks the API itself.
///
/// Nothing is guessed. What a regular expression takes, one for a condition that is more than a
/// plain text, a value that is another one for each request, such as the time, and a step that goes
/// to another host are a [`ServeError::Unserved`], unless the recipe has another way.
#[derive(Debug)]
pub struct RecipeServer {
    site: Arc<RecipeSite>,
    logins: Logins,
    listening: Listening,
}

impl RecipeServer {
    /// Starts a server.
    ///
    /// The accounts and their passwords are those of `settings`. `values` has the recipe's other
    /// fields, as the server knows them; that of the base URL is the server's own.
    ///
    /// # Errors
    /// [`ServeError`], which names the field of the recipe that can't be served.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O and timer enabled.
    #[allow(
        clippy::unused_async,
        reason = "an async fn shows that it needs a runtime"
    )]
    pub async fn start(
        recipe: &Recipe,
        values: &Values,
        settings: Settings,
    ) -> Result<Self, ServeError> {
        let port = Port::open(settings.port)?;
        let logins = Logins::new(recipe, values, &port.base_url());
        let site = Arc::new(RecipeSite::new(logins.clone(), settings)?);
        let listening = port.serve(Arc::clone(&site));
        Ok(Self {
            site,
            logins,
            listening,
        })
    }

    /// A login of the recipe at this server, whatever the recipe's base URL and scope are.
    ///
    /// # Errors
    /// [`ValuesError`], if the account or the secret can't be used.
    pub fn login(
        &self,
        account: &str,
        secret: impl Into<SecretSource>,
    ) -> Result<RecipeLogin, ValuesError> {
        let mut login = self.logins.with_secret(account, secret)?;
        let origin = Origin::parse(&self.base_url()).map_err(ConfigError::from)?;
        login.account_mut().set_scope(Scope::only(origin));
        Ok(login)
    }

    /// `http://127.0.0.1:port`
    pub fn base_url(&self) -> String {
        self.listening.base_url()
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    /// The address that it listens on.
    pub const fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// The requests that it has received so far.
    pub fn counts(&self) -> Counts {
        self.site.state.lock().server.counts()
    }

    /// The head of the newest request to the API. See
    /// [`DemoServer::last_call`](crate::demo::DemoServer::last_call).
    pub fn last_call(&self) -> Option<Request<()>> {
        self.site.state.lock().server.last_call.clone()
    }

    /// Ends all sessions and refresh tokens, as a restart of a server does.
    pub fn revoke_all(&self) {
        self.site.state.lock().records.end_all();
    }

    /// Makes what `[repair]` fetches old in all sessions, such as a csrf value. A request with it
    /// gets the answer of the recipe's `repair` verdict, until the next repair.
    pub fn outdate_repaired(&self) {
        self.site.state.lock().records.outdate();
    }

    /// Moves the server's clock ahead. Sessions age, and the window of the login limit moves.
    pub fn advance(&self, by: Duration) {
        self.site.state.lock().server.clock.advance(by);
    }

    /// Starts or ends an outage, in which logins get status 503. Sessions stay live.
    pub fn set_login_outage(&self, on: bool) {
        self.site.state.lock().server.login_outage = on;
    }

    /// Changes the password of an account, or adds the account. A login with the old password is
    /// refused. Sessions stay live.
    pub fn set_password(&self, account: &str, password: &str) {
        let server = &mut self.site.state.lock().server;
        server.set_password(account, password);
    }

    /// Stops the server, and waits until its port and connections are closed.
    pub async fn shutdown(self) {
        self.listening.shutdown().await;
    }
}
