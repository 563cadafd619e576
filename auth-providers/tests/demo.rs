//! The demo servers behave as documented.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
#![cfg(all(feature = "demo", feature = "reqwest", feature = "tower"))]

use std::num::NonZeroU32;
use std::time::Duration;

use auth_core::{Credentials, Target, set_cookies};
use auth_providers::demo::{Api, DemoServer, EMAIL, PASSWORD, Settings};
use auth_providers::{Clay, CloudIo, Login, Quinn, ReqwestTransport, Transport, V1Login, response};
use bytes::Bytes;
use http::{Method, Request, Response};
use tokio::task::JoinSet;

mod common;

use common::{over_reqwest, start};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The part of a session that requests carry, read from the response to the login.
#[derive(Clone, Debug, PartialEq)]
struct Carried {
    header: (&'static str, String),
    query: String,
}

struct Client<'a> {
    server: &'a DemoServer,
    transport: ReqwestTransport,
}

impl<'a> Client<'a> {
    fn of(server: &'a DemoServer) -> Self {
        let transport = over_reqwest();
        Self { server, transport }
    }

    async fn log_in(&self) -> Carried {
        let base_url = self.server.base_url();
        let login: Box<dyn Login> = match self.server.api() {
            Api::Clay => Box::new(
                Clay::new(EMAIL, PASSWORD)
                    .unwrap()
                    .base_url(&base_url)
                    .unwrap(),
            ),
            Api::Quinn => Box::new(Quinn::new(&base_url, EMAIL, PASSWORD).unwrap()),
            Api::CloudIo => Box::new(CloudIo::new(&base_url, EMAIL, PASSWORD).unwrap()),
            _ => Box::new(V1Login::new(&base_url, EMAIL, PASSWORD).unwrap()),
        };
        let request = login.request(&PASSWORD.into()).unwrap();
        let response = self.transport.carry(request).await.unwrap();
        assert_eq!(response.status(), 200);
        self.carried(&response)
    }

    fn carried(&self, response: &Response<Bytes>) -> Carried {
        let cookie = |name| {
            let mut cookies = set_cookies(response.headers());
            let value = cookies.find(|cookie| cookie.name == name).unwrap().value;
            ("cookie", format!("other=1; {name}={value}"))
        };
        let body = || response::json::<serde_json::Value>(response).unwrap();
        let bearer = |token: &serde_json::Value| {
            (
                "authorization",
                format!("Bearer {}", token.as_str().unwrap()),
            )
        };
        let mut query = String::new();
        let header = match self.server.api() {
            Api::Clay => cookie("claysession"),
            Api::Quinn => cookie("sessionId"),
            Api::CloudIo => {
                query = format!("?a=b&csrf={}", body()["csrf"].as_str().unwrap());
                bearer(&body()["jwt"])
            }
            _ => bearer(&body()["data"]["token"]),
        };
        Carried { header, query }
    }

    async fn send(&self, method: Method, path: &str, carried: &Carried) -> Response<Bytes> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{}", self.server.url(path), carried.query))
            .header(carried.header.0, &carried.header.1)
            .header("x-request-id", "1")
            .header("content-type", "text/plain")
            .body(Bytes::from_static(b"the same bytes"))
            .unwrap();
        self.transport.carry(request).await.unwrap()
    }

    async fn probe(&self, carried: &Carried) -> u16 {
        let path = self.server.api().probe_path();
        self.send(Method::GET, path, carried)
            .await
            .status()
            .as_u16()
    }
}

#[tokio::test]
async fn a_session_is_accepted_until_it_is_revoked() {
    for api in Api::ALL {
        let server = start(api).await;
        let client = Client::of(&server);
        let mut carried = client.log_in().await;
        assert_eq!(client.probe(&carried).await, 200, "{api:?}");
        carried.header.1.push('x');
        assert_eq!(client.probe(&carried).await, 401);
        carried.header.1.pop();
        server.revoke_all();
        assert_eq!(client.probe(&carried).await, 401);
        let renewed = client.log_in().await;
        assert_eq!(client.probe(&renewed).await, 200);
        let counts = server.counts();
        assert_eq!((counts.calls.ok, counts.calls.unauthorized), (2, 2));
        assert_eq!(counts.replays, 3, "four requests with one id");
        assert_eq!(counts.most_logins_in_a_minute, 2);
    }
}

#[tokio::test]
async fn sessions_end_when_the_documentation_says() {
    for api in [Api::Clay, Api::V1Login] {
        let server = start(api).await;
        let client = Client::of(&server);
        let carried = client.log_in().await;
        server.advance(23 * HOUR);
        assert_eq!(client.probe(&carried).await, 200, "{api:?}");
        server.advance(HOUR);
        assert_eq!(client.probe(&carried).await, 401, "use does not extend it");
    }
    let server = start(Api::CloudIo).await;
    let client = Client::of(&server);
    let carried = client.log_in().await;
    for _ in 0..2 {
        server.advance(Duration::from_secs(1_740));
        assert_eq!(client.probe(&carried).await, 200, "use extends it");
    }
    server.advance(HOUR / 2);
    assert_eq!(client.probe(&carried).await, 401);
}

#[tokio::test]
async fn v1_states_when_a_session_began_and_when_it_ends_by_the_servers_clock() {
    #[derive(serde::Deserialize)]
    struct Claims {
        iat: u64,
        exp: u64,
    }
    let server = start(Api::V1Login).await;
    let client = Client::of(&server);
    let began = async || {
        let (_, bearer) = client.log_in().await.header;
        let token = bearer.strip_prefix("Bearer ").unwrap();
        let claims: Claims = auth_providers::jwt::claims(token).unwrap();
        assert_eq!(claims.exp, claims.iat + DAY.as_secs());
        claims.iat
    };
    let first = began().await;
    // In November 2023.
    assert!(first > 1_700_000_000, "{first}");
    server.advance(DAY);
    let second = began().await;
    assert!(second >= first + DAY.as_secs(), "{first} {second}");
}

#[tokio::test]
async fn quinn_slides_by_7_days_and_ends_after_30() {
    let server = start(Api::Quinn).await;
    let client = Client::of(&server);
    let idle = client.log_in().await;
    let busy = client.log_in().await;
    for day in 1..30 {
        server.advance(DAY);
        assert_eq!(client.probe(&busy).await, 200, "day {day}");
    }
    assert_eq!(client.probe(&idle).await, 401);
    server.advance(DAY);
    assert_eq!(
        client.probe(&busy).await,
        401,
        "30 days are the absolute maximum"
    );
}

#[tokio::test]
async fn quinn_logs_out() {
    let server = start(Api::Quinn).await;
    let client = Client::of(&server);
    let carried = client.log_in().await;
    let response = client
        .send(Method::POST, "/api/auth/logout", &carried)
        .await;
    assert_eq!(response.status(), 200);
    let deleted = &response.headers()["set-cookie"];
    assert_eq!(deleted, "sessionId=; Path=/; Max-Age=0");
    assert_eq!(client.probe(&carried).await, 401);
    assert_eq!(server.counts().logouts, 1);
}

#[tokio::test]
async fn cloudio_requires_the_csrf_of_the_same_session() {
    let server = start(Api::CloudIo).await;
    let client = Client::of(&server);
    let (one, two) = (client.log_in().await, client.log_in().await);
    assert_eq!(client.probe(&one).await, 200);
    let mixed = Carried {
        query: two.query,
        ..one.clone()
    };
    assert_eq!(client.probe(&mixed).await, 401);
    let without = Carried {
        query: String::new(),
        ..one
    };
    assert_eq!(client.probe(&without).await, 401);
}

#[tokio::test]
async fn a_probe_tells_of_the_account_and_any_other_path_of_itself() {
    let mail = Some(EMAIL);
    for (api, pointer, expected) in [
        (Api::Clay, "/results/0/name", Some("Ada's workspace")),
        (Api::Quinn, "/email", mail),
        (Api::CloudIo, "/email", mail),
        (Api::V1Login, "/email", mail),
    ] {
        let server = start(api).await;
        let client = Client::of(&server);
        let carried = client.log_in().await;
        let body = async |path: &str| {
            let response = client.send(Method::GET, path, &carried).await;
            response::json::<serde_json::Value>(&response).unwrap()
        };
        let probed = body(api.probe_path()).await;
        let found = probed.pointer(pointer).and_then(|value| value.as_str());
        assert_eq!(found, expected, "{api:?}");
        let path = format!("{}/more", api.probe_path());
        let other = serde_json::json!({ "path": path, "account": EMAIL });
        assert_eq!(body(&path).await, other, "{api:?}");
    }
}

#[tokio::test]
async fn cloudio_sets_no_cookie() {
    let server = start(Api::CloudIo).await;
    let cloudio = CloudIo::new(server.base_url(), EMAIL, PASSWORD).unwrap();
    let request = cloudio.request(&PASSWORD.into()).unwrap();
    let response = over_reqwest().carry(request).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("set-cookie"));
}

#[tokio::test]
async fn an_upload_of_two_mebibytes_comes_back_whole() {
    let server = start(Api::Clay).await;
    let client = Client::of(&server);
    let (name, value) = client.log_in().await.header;
    let body = Bytes::from(vec![b'a'; 2 * 1024 * 1024]);
    let request = Request::post(server.url("/v3/uploads"))
        .header(name, value)
        .body(body.clone())
        .unwrap();
    let response = reqwest::Client::new()
        .execute(request.try_into().unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap() == body);
}

/// The paused clock moves only to the end of a wait, so it shows how long the server waits.
#[tokio::test(start_paused = true)]
async fn a_login_and_a_call_take_as_long_as_is_set() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let (login, call) = (Duration::from_secs(7), Duration::from_secs(3));
    let none = Settings::new();
    let both = Settings::new().login_latency(login).call_latency(call);
    for (settings, login, call) in [(none, Duration::ZERO, Duration::ZERO), (both, login, call)] {
        let server = DemoServer::start_with(Api::Quinn, settings).await.unwrap();
        for (path, latency) in [("/api/auth/login", login), ("/api/x", call)] {
            let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n");
            let before = tokio::time::Instant::now();
            let stream = tokio::net::TcpStream::connect(server.address()).await;
            let mut stream = stream.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            assert!(stream.read(&mut [0; 1_024]).await.unwrap() > 0);
            let took = before.elapsed();
            let near = latency..latency + Duration::from_millis(10);
            assert!(near.contains(&took), "{path}: {took:?}");
        }
    }
}

#[tokio::test]
async fn an_outage_of_logins_is_counted_and_leaves_sessions() {
    let server = start(Api::Quinn).await;
    let client = Client::of(&server);
    let carried = client.log_in().await;
    server.set_login_outage(true);
    let quinn = Quinn::new(server.base_url(), EMAIL, PASSWORD).unwrap();
    for attempts in 1..=2 {
        let request = quinn.request(&PASSWORD.into()).unwrap();
        let response = client.transport.carry(request).await.unwrap();
        assert_eq!(response.status(), 503);
        assert_eq!(server.counts().logins.unavailable, attempts);
    }
    assert_eq!(client.probe(&carried).await, 200);
    server.set_login_outage(false);
    client.log_in().await;
}

#[tokio::test]
async fn a_post_gets_its_own_bytes_back_and_a_forbidden_path_403() {
    for api in Api::ALL {
        let server = start(api).await;
        let client = Client::of(&server);
        let carried = client.log_in().await;
        let path = api.probe_path();
        let response = client.send(Method::POST, path, &carried).await;
        assert_eq!(response.body(), "the same bytes");
        assert_eq!(response.headers()["content-type"], "text/plain");
        server.set_forbidden(path);
        assert_eq!(client.probe(&carried).await, 403);
        let elsewhere = client.send(Method::GET, "/elsewhere", &carried).await;
        assert_eq!(elsewhere.status(), 404);
        let counts = server.counts().calls;
        assert_eq!((counts.ok, counts.forbidden, counts.not_found), (1, 1, 1));
    }
}

#[tokio::test]
async fn cloudio_returns_403_for_a_dead_session_if_configured() {
    let settings = Settings::new().dead_session_is_forbidden();
    let server = DemoServer::start_with(Api::CloudIo, settings)
        .await
        .unwrap();
    let client = Client::of(&server);
    let carried = client.log_in().await;
    server.revoke_all();
    let response = client.send(Method::GET, "/v1/x", &carried).await;
    let seen = auth_core::ResponseView::new(response.status(), response.headers());
    let login = CloudIo::new(server.base_url(), "a", "b").unwrap();
    let verdict = login.judge().judge(&seen.with_body(response.body()));
    assert_eq!(
        (response.status().as_u16(), verdict),
        (403, auth_core::Verdict::Rejected)
    );

    let alive = client.log_in().await;
    server.set_forbidden("/v1/x");
    let response = client.send(Method::GET, "/v1/x", &alive).await;
    let seen = auth_core::ResponseView::new(response.status(), response.headers());
    let verdict = login.judge().judge(&seen.with_body(response.body()));
    assert_eq!(
        (response.status().as_u16(), verdict),
        (403, auth_core::Verdict::NotPermitted)
    );
}

#[tokio::test]
async fn cookies_roll_if_configured_and_old_values_stay_valid() {
    let server = start(Api::Quinn).await;
    server.set_rolling_cookies(true);
    let client = Client::of(&server);
    let first = client.log_in().await;
    let response = client.send(Method::GET, "/api/x", &first).await;
    let second = client.carried(&response);
    assert_ne!(first, second);
    assert_eq!(client.probe(&second).await, 200);
    assert_eq!(client.probe(&first).await, 200);
}

#[tokio::test]
async fn the_limit_is_a_sliding_window_of_the_servers_clock() {
    let two = NonZeroU32::new(2).unwrap();
    let settings = Settings::new().login_limit(two, Duration::from_secs(60));
    let server = DemoServer::start_with(Api::V1Login, settings)
        .await
        .unwrap();
    let v1 = V1Login::new(server.base_url(), EMAIL, PASSWORD).unwrap();
    let transport = over_reqwest();
    let attempt = async || {
        let request = v1.request(&PASSWORD.into()).unwrap();
        let response = transport.carry(request).await.unwrap();
        let wait = response::retry_after(response.headers());
        (response.status().as_u16(), wait.map(|wait| wait.as_secs()))
    };
    assert_eq!(attempt().await, (200, None));
    server.advance(Duration::from_secs(40));
    assert_eq!(attempt().await, (200, None));
    assert_eq!(attempt().await, (429, Some(20)));
    server.advance(Duration::from_secs(20));
    assert_eq!(
        attempt().await,
        (200, None),
        "a limited attempt does not count"
    );
    assert_eq!(attempt().await, (429, Some(40)));
    let logins = server.counts().logins;
    assert_eq!((logins.ok, logins.limited, logins.total()), (3, 2, 5));
}

#[tokio::test]
async fn a_request_that_is_not_as_documented_is_malformed() {
    let server = start(Api::Clay).await;
    let transport = over_reqwest();
    for body in [
        "",
        "{}",
        r#"{"email": "ada@example.com", "password": "correct horse battery"}"#,
    ] {
        let request = Request::post(server.url("/v3/auth/login"))
            .header("content-type", "application/json")
            .body(Bytes::from_static(body.as_bytes()))
            .unwrap();
        assert_eq!(
            transport.carry(request).await.unwrap().status(),
            400,
            "{body}"
        );
    }
    assert_eq!(server.counts().logins.malformed, 3);
}

#[tokio::test]
async fn a_changed_password_refuses_the_old_one_and_keeps_sessions() {
    let server = start(Api::Quinn).await;
    let client = Client::of(&server);
    let carried = client.log_in().await;
    server.set_password(EMAIL, "another password");
    let quinn = common::provider(Api::Quinn, &server.base_url(), PASSWORD, over_reqwest());
    let error = quinn.login(&PASSWORD.into()).await.unwrap_err();
    assert_eq!(error.kind(), auth_core::LoginErrorKind::Refused);
    quinn.login(&"another password".into()).await.unwrap();
    assert_eq!(client.probe(&carried).await, 200);
}

#[tokio::test]
async fn a_server_listens_on_the_port_that_is_set_and_not_on_one_that_is_taken() {
    let first = start(Api::Quinn).await;
    let port = first.address().port();
    let settings = Settings::new().port(port);
    let taken = DemoServer::start_with(Api::Clay, settings.clone()).await;
    let error = taken.expect_err("the port is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    Client::of(&first).log_in().await;
    first.shutdown().await;
    // Another program may have taken the port since.
    if let Ok(second) = DemoServer::start_with(Api::Quinn, settings).await {
        assert_eq!(second.address().port(), port);
        assert_eq!(second.base_url(), format!("http://127.0.0.1:{port}"));
    }
}

#[tokio::test]
async fn the_newest_request_to_the_api_is_kept_as_it_was_sent() {
    for api in Api::ALL {
        let server = start(api).await;
        let client = Client::of(&server);
        let carried = client.log_in().await;
        assert!(server.last_call().is_none(), "a login is none");
        client.send(Method::PUT, "/elsewhere", &carried).await;
        client.probe(&carried).await;
        let call = server.last_call().unwrap();
        assert_eq!(call.method(), Method::GET, "{api:?}");
        let sent = format!("{}{}", api.probe_path(), carried.query);
        assert_eq!(*call.uri(), *sent);
        let header = call.headers()[carried.header.0].as_bytes();
        assert_eq!(header, carried.header.1.as_bytes());
        server.revoke_all();
        client.send(Method::DELETE, "/dead", &carried).await;
        let call = server.last_call().unwrap();
        assert_eq!(
            (call.method(), call.uri().path()),
            (&Method::DELETE, "/dead")
        );
    }
}

#[tokio::test]
async fn a_server_that_is_shut_down_or_dropped_closes_its_connections() {
    for drop_it in [false, true] {
        let server = start(Api::Clay).await;
        let address = server.address();
        let idle = tokio::net::TcpStream::connect(address).await.unwrap();
        Client::of(&server).log_in().await;
        if drop_it {
            drop(server);
        } else {
            server.shutdown().await;
            // Without another wait, in which a dropped server would close it as well.
            assert!(std::net::TcpStream::connect(address).is_err());
        }
        // Readable without data: the server has closed the connection.
        idle.readable().await.unwrap();
        let read = idle.try_read(&mut [0]);
        assert!(
            matches!(read, Ok(0))
                || read.is_err_and(|error| error.kind() != std::io::ErrorKind::WouldBlock)
        );
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_clients_are_served_at_once() {
    let server = std::sync::Arc::new(start(Api::Clay).await);
    let carried = Client::of(&server).log_in().await;
    let gate = std::sync::Arc::new(tokio::sync::Barrier::new(2_000));
    let mut clients = JoinSet::new();
    for _ in 0..2_000 {
        let (server, carried) = (std::sync::Arc::clone(&server), carried.clone());
        let gate = std::sync::Arc::clone(&gate);
        clients.spawn(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut stream = tokio::net::TcpStream::connect(server.address())
                .await
                .unwrap();
            gate.wait().await;
            for _ in 0..3 {
                let request = format!(
                    "GET /v3/x HTTP/1.1\r\nhost: x\r\n{}: {}\r\n\r\n",
                    carried.header.0, carried.header.1
                );
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut response = vec![0; 1_024];
                let length = stream.read(&mut response).await.unwrap();
                assert!(response[..length].starts_with(b"HTTP/1.1 200"));
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
    assert_eq!(server.counts().calls.ok, 6_000);
}

#[tokio::test]
async fn a_redirect_needs_a_live_session() {
    let server = DemoServer::start(Api::Clay).await.unwrap();
    let clay = Clay::new(EMAIL, PASSWORD).unwrap();
    let provider = clay.base_url(server.base_url()).unwrap();
    let credentials = Credentials::new(provider.via(ReqwestTransport::new().unwrap()));
    let path = server.api().probe_path();
    server.set_redirect(path, "https://elsewhere.example/");
    let url = server.url(path);
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let response = client.get(&url).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let mut headers = http::HeaderMap::new();
    let credential = credentials.get().await.unwrap();
    let target = Target::new("http", "127.0.0.1", path);
    credential.attach_headers(target, &mut headers);
    let response = client.get(&url).headers(headers).send().await.unwrap();
    assert_eq!(response.status(), 302);
    let location = &response.headers()["location"];
    assert_eq!(location, "https://elsewhere.example/");
}
