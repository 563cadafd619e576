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
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) type HyperTransport = TowerTransport<Client<HttpConnector, Full<Bytes>>>;

pub(crate) fn over_reqwest() -> ReqwestTransport {
    ReqwestTransport::new().unwrap()
}

pub(crate) fn over_tower() -> HyperTransport {
    TowerTransport::new(Client::builder(TokioExecutor::new()).build_http())
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
    _tasks: JoinSet<()>,
}

impl Canned {
    pub(crate) async fn start(response: impl Into<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (hits, requests) = (Arc::default(), Arc::<Mutex<Vec<String>>>::default());
        let response = response.into();
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let (hits, requests) = (Arc::clone(&hits), Arc::clone(&requests));
            async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    AtomicUsize::fetch_add(&hits, 1, SeqCst);
                    let mut request = Vec::new();
                    // A GET, as some redirects make of a POST, ends with its headers.
                    let ended = |request: &[u8]| {
                        let head_only = request.starts_with(b"GET");
                        request.ends_with(if head_only { &b"\r\n\r\n"[..] } else { b"}" })
                    };
                    while !ended(&request) {
                        if stream.read_buf(&mut request).await.unwrap() == 0 {
                            break;
                        }
                    }
                    requests.lock().push(String::from_utf8(request).unwrap());
                    // A client that has read enough may close the connection.
                    let _ = stream.write_all(&response).await;
                }
            }
        });
        Self {
            base_url,
            hits,
            requests,
            _tasks: tasks,
        }
    }

    pub(crate) fn hits(&self) -> usize {
        self.hits.load(SeqCst)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }
}

/// The `Display` and `Debug` output of an error and of all its sources.
pub(crate) fn printed(error: &dyn std::error::Error) -> String {
    let mut text = format!("{error} {error:?}\n");
    if let Some(cause) = error.source() {
        text.push_str(&printed(cause));
    }
    text
}
