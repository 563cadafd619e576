//! A request that becomes a connection of its own, such as a WebSocket, through both integrations.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use auth_core::Credentials;
use auth_middleware::{AuthLayer, AuthMiddleware, Redirects};
use bytes::Bytes;
use common::{Kind, Script};
use http::Request;
use http::header::{CONNECTION, UPGRADE};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer, ServiceExt};

const REJECTED: &[u8] =
    b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const REDIRECTED: &[u8] =
    b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /ws\r\ncontent-length: 0\r\n\
      connection: close\r\n\r\n";
const UPGRADED: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

/// Rejects the first session, redirects `/`, and echoes what comes after an upgrade.
#[allow(clippy::disallowed_methods, reason = "the server of a test")]
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    format!("http://{address}")
}

async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    if head.contains("token-1") {
        return stream.write_all(REJECTED).await.unwrap();
    }
    assert!(head.contains("token-2") && head.contains("upgrade: websocket"));
    if !head.contains("/ws") {
        return stream.write_all(REDIRECTED).await.unwrap();
    }
    stream.write_all(UPGRADED).await.unwrap();
    let (mut from, mut to) = stream.split();
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

async fn over_reqwest(credentials: Credentials, url: &str) -> impl AsyncRead + AsyncWrite + Unpin {
    let client = AuthMiddleware::build_client(reqwest::Client::builder(), credentials).unwrap();
    let request = client.get(url).header(CONNECTION, "upgrade");
    let response = request.header(UPGRADE, "websocket").send().await.unwrap();
    assert_eq!(response.status(), 101);
    response.upgrade().await.unwrap()
}

async fn over_tower(credentials: Credentials, url: &str) -> impl AsyncRead + AsyncWrite + Unpin {
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let layer = AuthLayer::new(credentials).follow_redirects(Redirects::new());
    let request = Request::get(url).header(CONNECTION, "upgrade");
    let request = request.header(UPGRADE, "websocket");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let response = layer.layer(client).oneshot(request).await.unwrap();
    assert_eq!(response.status(), 101);
    TokioIo::new(hyper::upgrade::on(response).await.unwrap())
}

async fn assert_echoes(mut connection: impl AsyncRead + AsyncWrite + Unpin) {
    connection.write_all(b"hello").await.unwrap();
    let mut echo = [0; 5];
    connection.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"hello");
}

#[tokio::test]
async fn an_upgraded_connection_is_the_callers_after_a_replay_and_a_redirect() {
    let origin = serve().await;
    for kind in [Kind::Bearer, Kind::Cookie, Kind::Query, Kind::All] {
        let (credentials, _) = Script::at(&origin).kind(kind).build();
        assert_echoes(over_reqwest(credentials, &origin).await).await;
        let (credentials, _) = Script::at(&origin).kind(kind).build();
        assert_echoes(over_tower(credentials, &origin).await).await;
    }
}
