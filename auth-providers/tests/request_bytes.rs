//! The bytes of each request that this crate sends, as they arrive at a socket.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "reqwest", feature = "tower"))]

use std::sync::Arc;

use auth_core::Credentials;
use auth_providers::{Clay, CloudIo, Login, Quinn, Transport, V1Login, request};
use bytes::Bytes;
use http::{Method, Request};

mod common;

use common::{Canned, both};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse";

/// A response that every API could have sent.
fn success() -> String {
    let body =
        r#"{"success":true,"user":{},"data":{"token":"t"},"status":"OK","jwt":"j","csrf":"c"}"#;
    format!(
        "HTTP/1.1 200 OK\r\nset-cookie: claysession=c\r\nset-cookie: sessionId=s\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The requests of a login and of the logout that follows, if the API has one.
async fn sent<L: Login>(login: L, transport: Arc<dyn Transport>) -> Vec<String> {
    let server = Canned::start(success()).await;
    let login = login.base_url(&server.base_url).unwrap();
    let credentials = Credentials::new(login.via(transport));
    credentials.get().await.unwrap();
    credentials.close().await.unwrap();
    let host = server.base_url.trim_start_matches("http://");
    let requests = server.requests().into_iter();
    requests.map(|text| sorted(&text, host)).collect()
}

/// A request with its header lines in order, since their order means nothing (RFC 9110, section
/// 5.3). All else is as it was sent.
fn sorted(request: &str, host: &str) -> String {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let (line, headers) = head.split_once("\r\n").unwrap();
    let mut headers: Vec<_> = headers.split("\r\n").collect();
    headers.sort_unstable();
    let version = concat!("auth-providers/", env!("CARGO_PKG_VERSION"));
    format!("{line}\n{}\n\n{body}", headers.join("\n"))
        .replace(host, "HOST")
        .replace(version, "VERSION")
}

/// What is expected: `headers` beside those of every request, and `body`.
fn post(path: &str, headers: &[&str], body: &str) -> String {
    let length = format!("content-length: {}", body.len());
    let mut lines = vec![
        "accept: application/json",
        "host: HOST",
        "user-agent: VERSION",
        &length,
    ];
    lines.extend_from_slice(headers);
    lines.sort_unstable();
    format!("POST {path} HTTP/1.1\n{}\n\n{body}", lines.join("\n"))
}

#[tokio::test]
async fn rule_18_a_login_and_a_logout_send_what_a_browser_sends_and_nothing_else() {
    const JSON: &str = "content-type: application/json";
    const PAIR: &str = r#"{"email":"ada@example.com","password":"correct horse"}"#;
    let base = "https://a.example";
    for transport in both() {
        let send = || Arc::clone(&transport);
        let clay = Clay::new(EMAIL, PASSWORD).unwrap();
        let body = r#"{"email":"ada@example.com","password":"correct horse","source":null}"#;
        let expected = [post("/v3/auth/login", &[JSON], body)];
        assert_eq!(sent(clay, send()).await, expected);

        let quinn = Quinn::new(base, EMAIL, PASSWORD).unwrap();
        let expected = [
            post("/api/auth/login", &[JSON], PAIR),
            post("/api/auth/logout", &["cookie: sessionId=s"], ""),
        ];
        assert_eq!(sent(quinn, send()).await, expected);

        let cloudio = || CloudIo::new(base, "ada", PASSWORD).unwrap();
        let token = "authorization: Token YWRhOmNvcnJlY3QgaG9yc2U=";
        let expected = [post("/v1/auth", &[JSON, token], "{}")];
        assert_eq!(sent(cloudio(), send()).await, expected);
        let token = "authentication: Token YWRhOmNvcnJlY3QgaG9yc2U=";
        let expected = [post("/v1/auth", &[JSON, token], "{}")];
        let other_header = cloudio().authentication_header();
        assert_eq!(sent(other_header, send()).await, expected);

        let v1 = || V1Login::new(base, EMAIL, PASSWORD).unwrap();
        let expected = [post("/v1/login", &[JSON], PAIR)];
        assert_eq!(sent(v1(), send()).await, expected);
        assert_eq!(sent(v1().with_cookie(), send()).await, expected);
    }
}

#[tokio::test]
async fn rule_18_a_request_without_a_body_states_its_length_where_a_body_is_usual() {
    for transport in both() {
        for (method, length) in [
            (Method::POST, "content-length: 0\n"),
            (Method::PUT, "content-length: 0\n"),
            (Method::PATCH, "content-length: 0\n"),
            (Method::DELETE, ""),
            (Method::GET, ""),
        ] {
            let server = Canned::start(success()).await;
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("{}/end", server.base_url));
            transport
                .carry(request.body(Bytes::new()).unwrap())
                .await
                .unwrap();
            let host = server.base_url.trim_start_matches("http://");
            assert_eq!(
                sorted(&server.requests()[0], host),
                format!(
                    "{method} /end HTTP/1.1\naccept: */*\n{length}host: HOST\nuser-agent: VERSION\n\n"
                )
            );
        }
    }
    let empty = request::post_empty("https://a.example/end").unwrap();
    assert_eq!(empty.method(), Method::POST);
    assert!(empty.body().is_empty());
}
