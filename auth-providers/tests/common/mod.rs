//! Helpers shared by the tests over sockets.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use auth_core::Provider;
use auth_providers::demo::{Api, DemoServer, EMAIL};
use auth_providers::{
    Clay, CloudIo, Login, Quinn, ReqwestTransport, TowerTransport, Transport, V1Login,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub(crate) type HyperTransport = TowerTransport<Client<HttpConnector, Full<Bytes>>>;

pub(crate) fn over_reqwest() -> ReqwestTransport {
    ReqwestTransport::new().unwrap()
}

pub(crate) fn over_tower() -> HyperTransport {
    let mut client = Client::builder(TokioExecutor::new());
    TowerTransport::new(client.pool_max_idle_per_host(0).build_http())
}

pub(crate) fn both() -> [Arc<dyn Transport>; 2] {
    [Arc::new(over_reqwest()), Arc::new(over_tower())]
}

/// Logs in to `base_url` as [`EMAIL`].
pub(crate) fn provider(
    api: Api,
    base_url: &str,
    password: &str,
    transport: impl Transport,
) -> Box<dyn Provider> {
    match api {
        Api::Clay => Box::new(
            Clay::new(EMAIL, password)
                .unwrap()
                .base_url(base_url)
                .unwrap()
                .via(transport),
        ),
        Api::Quinn => Box::new(
            Quinn::new(base_url, EMAIL, password)
                .unwrap()
                .via(transport),
        ),
        Api::CloudIo => Box::new(
            CloudIo::new(base_url, EMAIL, password)
                .unwrap()
                .via(transport),
        ),
        Api::V1Login => Box::new(
            V1Login::new(base_url, EMAIL, password)
                .unwrap()
                .via(transport),
        ),
        _ => unreachable!("no other API"),
    }
}

pub(crate) async fn start(api: Api) -> DemoServer {
    DemoServer::start(api).await.unwrap()
}

/// A server that sends the same bytes to each client and records what it receives.
pub(crate) struct Canned {
    pub(crate) base_url: String,
    hits: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
    stalled: Arc<Mutex<Vec<TcpStream>>>,
    _tasks: JoinSet<()>,
}

impl Canned {
    pub(crate) async fn start(response: impl Into<Vec<u8>>) -> Self {
        Self::serve(response, false).await
    }

    /// A server that keeps the connection after what it sends, and never goes on.
    pub(crate) async fn start_and_stall(response: impl Into<Vec<u8>>) -> Self {
        Self::serve(response, true).await
    }

    async fn serve(response: impl Into<Vec<u8>>, stalls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (hits, requests) = (Arc::default(), Arc::<Mutex<Vec<String>>>::default());
        let stalled = Arc::<Mutex<Vec<TcpStream>>>::default();
        let response = response.into();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (hits, requests) = (Arc::clone(&hits), Arc::clone(&requests));
            let stalled = Arc::clone(&stalled);
            async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    AtomicUsize::fetch_add(&hits, 1, SeqCst);
                    let mut request = Vec::new();
                    while !is_whole(&request) {
                        if stream.read_buf(&mut request).await.unwrap() == 0 {
                            break;
                        }
                    }
                    requests.lock().push(String::from_utf8(request).unwrap());
                    // A client that has read enough may close the connection.
                    let _ = stream.write_all(&response).await;
                    if stalls {
                        stalled.lock().push(stream);
                    }
                }
            }
        });
        Self {
            base_url,
            hits,
            requests,
            stalled,
            _tasks: tasks,
        }
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.load(SeqCst)
    }

    /// How many connections are kept after what was sent on them.
    pub(crate) fn stalled(&self) -> usize {
        self.stalled.lock().len()
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

/// Whether all of a request has arrived: its head, and the body whose length the head states.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}

/// The `Display` and `Debug` output of an error and of all its sources.
pub(crate) fn printed(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}\n");
    if let Some(cause) = error.source() {
        text.push_str(&printed(cause));
    }
    text
}
