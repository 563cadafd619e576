use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::connections::{Respond, serve};

/// The length of the accept queue: enough for the 2,000 clients at once of this workspace's tests
/// and examples, and twice as many. The system may cap it.
const BACKLOG: u32 = 4_096;

/// A port of 127.0.0.1 that accepts connections, and serves none yet.
pub(super) struct Port {
    listener: TcpListener,
    address: SocketAddr,
}

/// A server that runs until it is dropped.
#[derive(Debug)]
pub(super) struct Listening {
    address: SocketAddr,
    /// Dropped, it ends the task and the connections.
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Port {
    /// Opens a port, or a free one for 0.
    pub(super) fn open(port: u16) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        // Without it, a port is taken for a minute after a server on it has ended. On Windows it
        // would take the port of a server that runs.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    #[cfg(feature = "recipes")]
    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves in a task of its own.
    pub(super) fn serve(self, site: Arc<impl Respond>) -> Listening {
        let (stop, stopped) = oneshot::channel();
        #[allow(
            clippy::disallowed_methods,
            reason = "the server's only task, which `shutdown` and `drop` end, and which owns those of its connections"
        )]
        let serving = tokio::spawn(serve(site, self.listener, stopped));
        Listening {
            address: self.address,
            stop,
            serving,
        }
    }
}

impl Listening {
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops, and waits until the port and the connections are closed.
    pub(super) async fn shutdown(self) {
        drop(self.stop);
        let _ = self.serving.await;
    }
}
