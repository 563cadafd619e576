use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Request;

use super::apis::Api;
use super::counts::Counts;
use super::listening::{Listening, Port};
use super::settings::Settings;
use super::site::Site;

/// A server on 127.0.0.1 that behaves as one API documents. See [the module](super).
///
/// It runs on the runtime on which it was started. Dropping it ends it and its connections.
#[derive(Debug)]
pub struct DemoServer {
    site: Arc<Site>,
    listening: Listening,
}

impl DemoServer {
    /// Starts a server with the default [`Settings`], on a free port.
    ///
    /// # Errors
    /// 127.0.0.1 has no port to listen on.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O and timer enabled.
    pub async fn start(api: Api) -> io::Result<Self> {
        Self::start_with(api, Settings::new()).await
    }

    /// Starts a server with `settings`, on their [port](Settings::port).
    ///
    /// # Errors
    /// The port is taken, or 127.0.0.1 has none to listen on.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O and timer enabled.
    #[allow(
        clippy::unused_async,
        reason = "an async fn shows that it needs a runtime"
    )]
    pub async fn start_with(api: Api, settings: Settings) -> io::Result<Self> {
        let port = Port::open(settings.port)?;
        let site = Arc::new(Site::new(api, settings));
        let listening = port.serve(Arc::clone(&site));
        Ok(Self { site, listening })
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

    /// The API that it behaves as.
    pub fn api(&self) -> Api {
        self.site.api
    }

    /// The requests that it has received so far.
    pub fn counts(&self) -> Counts {
        self.site.state.lock().counts()
    }

    /// The head of the newest request to the API, whatever became of it: the bytes of each header
    /// as they were sent, and the path and query without the origin. `None` before the first.
    ///
    /// Logins and logouts are none, and after a redirect it is the last hop. It is printed with the
    /// session's values, which are those of a test.
    ///
    /// ```
    /// # #[cfg(feature = "reqwest")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use auth_core::{Credentials, Target};
    /// use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD};
    /// use auth_providers::{Clay, Login, ReqwestTransport};
    ///
    /// let server = DemoServer::start(Api::Clay).await?;
    /// let clay = Clay::new(EMAIL, PASSWORD)?.base_url(server.base_url())?;
    /// let credentials = Credentials::new(clay.via(ReqwestTransport::new()?));
    ///
    /// // What the program under test does, with a cookie of its own.
    /// let credential = credentials.get().await?;
    /// let mut request = reqwest::Client::new().get(server.url("/v3/tables")).build()?;
    /// request.headers_mut().insert("cookie", "theme=dark".parse()?);
    /// let target = Target::new("http", "127.0.0.1", "/v3/tables");
    /// credential.attach_headers(target, request.headers_mut());
    /// reqwest::Client::new().execute(request).await?;
    ///
    /// let call = server.last_call().expect("a request to the API");
    /// assert_eq!(call.uri(), "/v3/tables");
    /// let session = credential.cookie("claysession").expect("the session's cookie");
    /// let expected = format!("theme=dark; claysession={session}");
    /// assert_eq!(call.headers()["cookie"].as_bytes(), expected.as_bytes());
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "reqwest"))]
    /// # fn main() {}
    /// ```
    pub fn last_call(&self) -> Option<Request<()>> {
        self.site.state.lock().last_call.clone()
    }

    /// Ends all sessions, as a restart of a server does.
    pub fn revoke_all(&self) {
        self.site.state.lock().revoke_all();
    }

    /// Moves the server's clock ahead. Sessions age, and the window of the login limit moves.
    pub fn advance(&self, by: Duration) {
        self.site.state.lock().clock.advance(by);
    }

    /// Starts or ends an outage, in which logins get status 503. Sessions stay live.
    pub fn set_login_outage(&self, on: bool) {
        self.site.state.lock().login_outage = on;
    }

    /// Changes the password of an account, or adds the account. A login with the old password is
    /// refused. Sessions stay live.
    pub fn set_password(&self, email: &str, password: &str) {
        self.site.state.lock().set_password(email, password);
    }

    /// Makes requests to `path` with a live session get status 403.
    pub fn set_forbidden(&self, path: impl Into<String>) {
        self.site.state.lock().forbidden.insert(path.into());
    }

    /// Makes requests to `path` with a live session get status 302, with this `Location`.
    pub fn set_redirect(&self, path: impl Into<String>, location: impl Into<String>) {
        let redirects = &mut self.site.state.lock().redirects;
        redirects.insert(path.into(), location.into());
    }

    /// Sets whether each response with status 200 sets the session's cookie to a new value. Old
    /// values stay valid. It has no effect on CloudIO, which sets no cookie.
    pub fn set_rolling_cookies(&self, on: bool) {
        self.site.state.lock().rolls_cookies = on;
    }

    /// Stops the server, and waits until its port and connections are closed.
    pub async fn shutdown(self) {
        self.listening.shutdown().await;
    }
}
