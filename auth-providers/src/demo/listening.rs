use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::connections::{Respond, serve};

/// The length of the accept queue: enough for the 2,000 clients at once of this workspace's tests
/// and examples, and twice as many. The system may cap it.
const BACKLOG: u32 = 4_096;

/// The ports that servers of this process have had. The quota of an address outlives the server on
/// it, and would hold for the next one there: a free port is one that no server has had.
static HAD: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// How many ports are tried for a free one. The system gives one of thousands, at random.
const TRIES: usize = 64;

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
    /// Opens a port. For 0, a free one that no server of this process has had.
    pub(super) fn open(port: u16) -> io::Result<Self> {
        if port == 0 {
            return fresh(&mut HAD.lock(), || Self::bind(0));
        }
        let port = Self::bind(port)?;
        HAD.lock().insert(port.number());
        Ok(port)
    }

    const fn number(&self) -> u16 {
        self.address.port()
    }

    fn bind(port: u16) -> io::Result<Self> {
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

/// The first port that isn't in `had`, or the last one that was tried.
fn fresh(had: &mut BTreeSet<u16>, bind: impl Fn() -> io::Result<Port>) -> io::Result<Port> {
    // Kept open, so that each try brings another port.
    let mut tried = Vec::new();
    loop {
        let port = bind()?;
        if had.insert(port.number()) || tried.len() == TRIES {
            return Ok(port);
        }
        tried.push(port);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn a_free_port_is_one_that_no_server_of_this_process_has_had() {
        let again = Port::bind(0).unwrap();
        let ended = again.number();
        let had = &mut BTreeSet::from([ended]);
        // The system gives the port of a server that has ended, once.
        let again = Cell::new(Some(again));
        let port = fresh(had, || again.take().map_or_else(|| Port::bind(0), Ok)).unwrap();
        assert_ne!(port.number(), ended);
        assert!(had.contains(&port.number()));
    }

    #[tokio::test]
    async fn a_process_that_has_had_every_port_gets_one_all_the_same() {
        let had = &mut (0..=u16::MAX).collect();
        assert!(fresh(had, || Port::bind(0)).is_ok());
    }

    #[tokio::test]
    async fn a_port_that_was_asked_for_is_not_given_as_a_free_one() {
        let free = Port::open(0).unwrap().number();
        assert!(HAD.lock().contains(&free));
        let asked = Port::bind(0).unwrap().number();
        Port::open(asked).unwrap();
        assert!(HAD.lock().contains(&asked));
    }
}
