//! A network between a store and Redis, which fails as told.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to the bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mood {
    /// They are passed on.
    Pass,
    /// They are swallowed, both ways, without a word.
    Swallow,
    /// What the client sends is passed on. With the first byte of an answer, the connection is cut.
    CutAtAnswer,
    /// Answers take 200 ms.
    Slow,
}

/// A proxy on the loopback interface.
pub(crate) struct Proxy {
    port: u16,
    target: Arc<AtomicU16>,
    mood: Arc<watch::Sender<Mood>>,
}

impl Proxy {
    pub(crate) async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mood = Arc::new(watch::Sender::new(Mood::Pass));
        let set = Arc::clone(&mood);
        let target = Arc::new(AtomicU16::new(target));
        let leads_to = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = leads_to.load(Relaxed);
                tokio::spawn(carry(client, target, Arc::clone(&set)));
            }
        });
        Self { port, target, mood }
    }

    /// From now on, on connections that are open as well.
    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    /// New connections lead there.
    pub(crate) fn lead_to(&self, target: u16) {
        self.target.store(target, Relaxed);
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

async fn carry(mut client: TcpStream, target: u16, mood: Arc<watch::Sender<Mood>>) {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await;
    let Ok(mut server) = server else {
        return;
    };
    let (mut sent, mut answered) = (vec![0; 4096], vec![0; 4096]);
    // One that has swallowed something has lost its place.
    let mut is_lost = false;
    loop {
        let (read, is_answer) = tokio::select! {
            read = client.read(&mut sent) => (read, false),
            read = server.read(&mut answered) => (read, true),
        };
        let Ok(length @ 1..) = read else {
            return;
        };
        let now = *mood.borrow();
        is_lost |= now == Mood::Swallow;
        if is_lost {
            continue;
        }
        if is_answer && now == Mood::CutAtAnswer {
            // The next connection is a good one.
            mood.send_replace(Mood::Pass);
            return;
        }
        if is_answer && now == Mood::Slow {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let written = if is_answer {
            client.write_all(&answered[..length]).await
        } else {
            server.write_all(&sent[..length]).await
        };
        if written.is_err() {
            return;
        }
    }
}
