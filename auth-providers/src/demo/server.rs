use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::apis::Api;
use super::connections::serve;
use super::counts::Counts;
use super::settings::Settings;
use super::site::Site;

/// Connections that may wait to be accepted: enough for some thousand clients that start at once.
const BACKLOG: u32 = 4_096;

/// A server on 127.0.0.1 that plays one API. See [the module](super) for what it serves.
///
/// It runs on the runtime that it was started on. Dropped, it stops, and so do its connections.
#[derive(Debug)]
pub struct DemoServer {
    site: Arc<Site>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

impl DemoServer {
    /// Starts a server with the default [`Settings`], on a port that is free.
    ///
    /// # Errors
    /// No port of 127.0.0.1 can be listened on.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O and timer enabled.
    pub async fn start(api: Api) -> io::Result<Self> {
        Self::start_with(api, Settings::new()).await
    }

    /// Starts a server.
    ///
    /// # Errors
    /// No port of 127.0.0.1 can be listened on.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O and timer enabled.
    #[allow(
        clippy::unused_async,
        reason = "it must run within a runtime, and says so by being async"
    )]
    pub async fn start_with(api: Api, settings: Settings) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let site = Arc::new(Site::new(api, settings));
        let (stop, stopped) = oneshot::channel();
        #[allow(
            clippy::disallowed_methods,
            reason = "the one task of the server, which ends with it and owns those of its connections"
        )]
        let serving = tokio::spawn(serve(Arc::clone(&site), listener, stopped));
        Ok(Self {
            site,
            address,
            stop: Some(stop),
            serving,
        })
    }

    /// `http://127.0.0.1:port`
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The API that it plays.
    pub fn api(&self) -> Api {
        self.site.api
    }

    /// What has reached it so far.
    pub fn counts(&self) -> Counts {
        self.site.state.lock().counts()
    }

    /// Ends all sessions, as a server that was started anew does.
    pub fn revoke_all(&self) {
        self.site.state.lock().revoke_all();
    }

    /// Moves the server's clock ahead: sessions age, and the limit's window moves on.
    pub fn advance(&self, by: Duration) {
        self.site.state.lock().clock.advance(by);
    }

    /// While on, logins get status 503. Sessions go on.
    pub fn set_login_outage(&self, on: bool) {
        self.site.state.lock().login_outage = on;
    }

    /// Changes an account's password, so that a client which goes on with the old one is refused, or makes a new account.
    /// Sessions go on.
    pub fn set_password(&self, email: &str, password: &str) {
        self.site.state.lock().set_password(email, password);
    }

    /// From now on, `path` gets status 403 for whoever has a session.
    pub fn set_forbidden(&self, path: impl Into<String>) {
        self.site.state.lock().forbidden.insert(path.into());
    }

    /// While on, each good response of a cookie API sets the session's cookie to a new value. Old values stay good.
    pub fn set_rolling_cookies(&self, on: bool) {
        self.site.state.lock().rolls_cookies = on;
    }

    /// Stops it, and waits until it has let go of its port and its connections.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.serving).await;
    }
}

impl Drop for DemoServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
