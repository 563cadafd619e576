//! Which bodies are read ahead for a judge, on real sockets, and through both integrations.
//!
//! The server sends the head of a response and the first part of its body, and holds the rest back.
//! A test that gets the first part before the rest was sent shows that no judge waited for the
//! rest.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::{
    Credentials, Judge, MAX_JUDGED_BODY, MAX_JUDGED_TIME, ResponseView, StatusJudge, Verdict,
};
use auth_middleware::{AuthLayer, AuthMiddleware};
use bytes::Bytes;
use common::Script;
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::{Layer, ServiceExt};

/// What a server sends: the head and the first part of the body at once, the rest when it may.
#[derive(Clone)]
struct Reply {
    head: String,
    first: &'static str,
    rest: &'static str,
}

impl Reply {
    /// A reply of one part, with its length.
    fn whole(head: &str, body: &'static str) -> Self {
        Self {
            head: format!("{head}\r\ncontent-length: {}", body.len()),
            first: body,
            rest: "",
        }
    }

    /// A reply in two parts, each of six bytes.
    fn in_parts(head: impl Into<String>) -> Self {
        Self {
            head: head.into(),
            first: "first ",
            rest: "second",
        }
    }
}

struct Server {
    origin: String,
    /// The first line of each request, and its token.
    seen: Arc<Mutex<Vec<String>>>,
    /// Permits to send the rest of a reply.
    go_on: Arc<Semaphore>,
}

type Respond = Arc<dyn Fn(&str) -> Reply + Send + Sync>;

impl Server {
    /// `respond` is given the method, the path and the token of a request.
    #[allow(clippy::disallowed_methods, reason = "the server of a test")]
    async fn start(respond: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            seen: Arc::default(),
            go_on: Arc::new(Semaphore::new(0)),
        };
        let (seen, go_on) = (Arc::clone(&server.seen), Arc::clone(&server.go_on));
        let respond: Respond = Arc::new(respond);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (respond, go_on) = (Arc::clone(&respond), Arc::clone(&go_on));
                tokio::spawn(serve(stream, respond, Arc::clone(&seen), go_on));
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    respond: Respond,
    seen: Arc<Mutex<Vec<String>>>,
    go_on: Arc<Semaphore>,
) {
    let mut request = String::new();
    while !request.ends_with("\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap().into());
    }
    let line = request.split(" HTTP").next().unwrap();
    let token = request.split("Bearer ").nth(1).unwrap_or("none");
    let line = format!("{line} {}", token.split("\r\n").next().unwrap());
    seen.lock().unwrap().push(line.clone());
    let reply = respond(&line);
    let start = format!(
        "HTTP/1.1 {}\r\nconnection: close\r\n\r\n{}",
        reply.head, reply.first
    );
    stream.write_all(start.as_bytes()).await.unwrap();
    if !reply.rest.is_empty() {
        go_on.acquire().await.unwrap().forget();
        stream.write_all(reply.rest.as_bytes()).await.unwrap();
    }
}

#[derive(Clone, Copy, Debug)]
enum Through {
    Reqwest,
    Tower,
}

const BOTH: [Through; 2] = [Through::Reqwest, Through::Tower];

type Answer = Response<UnsyncBoxBody<Bytes, String>>;

async fn send(through: Through, credentials: &Credentials, method: Method, url: &str) -> Answer {
    let credentials = credentials.clone();
    match through {
        Through::Reqwest => {
            let builder = reqwest::Client::builder().no_proxy();
            let client = AuthMiddleware::build_client(builder, credentials).unwrap();
            let response = client.request(method, url).send().await.unwrap();
            let response = Response::<reqwest::Body>::from(response);
            response.map(|body| body.map_err(|error| error.to_string()).boxed_unsync())
        }
        Through::Tower => {
            let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .build_http::<Full<Bytes>>();
            let request = Request::builder().method(method).uri(url);
            let request = request.body(Full::default()).unwrap();
            let service = AuthLayer::new(credentials).layer(client);
            let response = service.oneshot(request).await.unwrap();
            response.map(|body| body.map_err(|error| error.to_string()).boxed_unsync())
        }
    }
}

async fn get(through: Through, credentials: &Credentials, url: &str) -> Answer {
    send(through, credentials, Method::GET, url).await
}

async fn text(answer: Answer) -> String {
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.into()).unwrap()
}

/// Gets `/` of a server that replies so, and asserts that the first part comes before the rest was
/// sent, and then the rest.
async fn assert_streams(through: Through, judge: impl Judge, reply: Reply) {
    let head = reply.head.clone();
    let server = Server::start(move |_| reply.clone()).await;
    let (credentials, control) = Script::at(&server.origin).judge(judge).build();
    let mut answer = get(through, &credentials, &server.url("/")).await;
    let first = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first ", "{through:?} {head}");
    server.go_on.add_permits(1);
    assert_eq!(text(answer).await, "second", "{through:?} {head}");
    assert_eq!((server.seen().len(), control.logins()), (1, 1));
}

/// Wants some bodies, and takes one that names an expired session for a rejection.
struct Wants(fn(&ResponseView<'_>) -> bool);

impl Judge for Wants {
    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        (self.0)(head)
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match response.body {
            Some(br#"{"error":"expired"}"#) => Verdict::Rejected,
            _ => StatusJudge.judge(response),
        }
    }
}

/// Wants every body.
const ALL: Wants = Wants(|_| true);
const SHORT_JSON: Wants =
    Wants(|head| head.status == StatusCode::OK && head.is_json_of_at_most(1024));

const JSON: &str = "200 OK\r\ncontent-type: application/json";
const EXPIRED: &str = r#"{"error":"expired"}"#;

#[tokio::test]
async fn rule_7_the_first_event_of_a_stream_arrives_before_the_second_is_sent() {
    for through in BOTH {
        for kind in [
            "text/event-stream",
            "Text/Event-Stream; charset=utf-8",
            "multipart/x-mixed-replace; boundary=next",
            "application/x-ndjson",
            "application/grpc+proto",
        ] {
            let head = format!("200 OK\r\ncontent-type: {kind}");
            assert_streams(through, ALL, Reply::in_parts(head)).await;
        }
    }
}

#[tokio::test]
async fn rule_7_a_judge_that_wants_short_json_holds_nothing_else_back() {
    for through in BOTH {
        for head in [
            "200 OK\r\ncontent-type: text/html\r\ncontent-length: 12".to_owned(),
            "200 OK\r\ncontent-length: 12".to_owned(),
            // As long as it lasts.
            JSON.to_owned(),
            "201 Created\r\ncontent-type: application/json\r\ncontent-length: 12".to_owned(),
        ] {
            assert_streams(through, SHORT_JSON, Reply::in_parts(head)).await;
        }
        // A download. It breaks off for the caller, too.
        let head = format!("{JSON}\r\ncontent-length: 1025");
        assert_breaks_off(through, SHORT_JSON, head).await;
    }
}

/// As [`assert_streams`], for a reply that is said to be longer than it is.
async fn assert_breaks_off(through: Through, judge: impl Judge, head: String) {
    let reply = Reply::in_parts(head);
    let server = Server::start(move |_| reply.clone()).await;
    let (credentials, _) = Script::at(&server.origin).judge(judge).build();
    let mut answer = get(through, &credentials, &server.url("/")).await;
    let first = answer.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first ", "{through:?}");
    server.go_on.add_permits(1);
    assert!(answer.into_body().collect().await.is_err());
}

#[tokio::test]
async fn rule_7_a_body_that_is_longer_than_is_read_or_encoded_is_not_read_at_all() {
    for through in BOTH {
        let head = format!("{JSON}\r\ncontent-length: {}", MAX_JUDGED_BODY + 1);
        assert_breaks_off(through, ALL, head).await;
        for coding in ["gzip", "identity, br", "x-own"] {
            let head = format!("{JSON}\r\ncontent-encoding: {coding}\r\ncontent-length: 12");
            assert_streams(through, ALL, Reply::in_parts(head)).await;
        }
    }
}

#[tokio::test]
async fn rule_7_a_body_without_a_length_is_judged_whole_where_the_judge_wants_it() {
    for through in BOTH {
        let server = Server::start(|request| match request {
            "GET / token-1" => Reply {
                head: JSON.to_owned(),
                first: &EXPIRED[..7],
                rest: &EXPIRED[7..],
            },
            _ => Reply::whole(JSON, "{}"),
        })
        .await;
        let any = Wants(|head| head.status == StatusCode::OK && head.is_json());
        let (credentials, control) = Script::at(&server.origin).judge(any).build();
        server.go_on.add_permits(1);
        let answer = get(through, &credentials, &server.url("/")).await;
        assert_eq!(text(answer).await, "{}", "{through:?}");
        assert_eq!(control.logins(), 2);
    }
}

#[tokio::test]
async fn rule_7_a_body_that_does_not_end_is_held_back_for_five_seconds_and_no_longer() {
    let nanosecond = Duration::from_nanos(1);
    let nearly = MAX_JUDGED_TIME.saturating_sub(nanosecond);
    for through in BOTH {
        let server = Server::start(|_| Reply::in_parts(JSON)).await;
        let (credentials, control) = Script::at(&server.origin).judge(ALL).build();
        let url = server.url("/");
        let mut call = Box::pin(get(through, &credentials, &url));
        while server.seen().is_empty() || control.clock.next_wake() != Some(MAX_JUDGED_TIME) {
            assert!(futures_util::poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
        control.clock.advance(nearly);
        assert!(futures_util::poll!(&mut call).is_pending(), "{through:?}");
        control.clock.advance(nanosecond);
        let mut answer = call.await;
        let first = answer.body_mut().frame().await.unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "first ");
        server.go_on.add_permits(1);
        assert_eq!(text(answer).await, "second");
        assert_eq!(control.logins(), 1, "the verdict is by the head");
    }
}

#[tokio::test]
async fn rule_7_a_dead_session_that_a_200_tells_by_its_json_is_recognised_and_replayed() {
    for through in BOTH {
        let server = Server::start(|request| {
            let body = match request {
                "POST /rpc token-1" => EXPIRED,
                _ => r#"{"result":42}"#,
            };
            Reply::whole(
                "200 OK\r\ncontent-type: Application/JSON; charset=utf-8\r\ncontent-encoding: identity",
                body,
            )
        })
        .await;
        let (credentials, control) = Script::at(&server.origin).judge(SHORT_JSON).build();
        let answer = send(through, &credentials, Method::POST, &server.url("/rpc")).await;
        assert_eq!(text(answer).await, r#"{"result":42}"#, "{through:?}");
        assert_eq!(server.seen(), ["POST /rpc token-1", "POST /rpc token-2"]);
        assert_eq!(control.logins(), 2);
    }
}

#[tokio::test]
async fn rule_7_a_judge_decides_by_method_and_path_which_body_it_wants() {
    let calls = |head: &ResponseView<'_>| {
        let request = head.request.unwrap();
        request.method == Method::POST && request.uri.path() == "/rpc"
    };
    for through in BOTH {
        let server = Server::start(|request| match request {
            "POST /rpc token-2" => Reply::whole(JSON, "{}"),
            _ => Reply::whole(JSON, EXPIRED),
        })
        .await;
        let (credentials, control) = Script::at(&server.origin).judge(Wants(calls)).build();
        for (method, path) in [(Method::GET, "/rpc"), (Method::POST, "/notes")] {
            let answer = send(through, &credentials, method, &server.url(path)).await;
            assert_eq!(text(answer).await, EXPIRED, "{through:?} {path}");
        }
        assert_eq!(control.logins(), 1);
        let answer = send(through, &credentials, Method::POST, &server.url("/rpc")).await;
        assert_eq!(text(answer).await, "{}", "{through:?}");
        assert_eq!(control.logins(), 2);
    }
}

#[tokio::test]
async fn rule_7_a_redirect_rejects_by_its_target() {
    let judge = |response: &ResponseView<'_>| match response.location() {
        Some(target) if target.starts_with("/login") => Verdict::Rejected,
        _ => StatusJudge.judge(response),
    };
    for through in BOTH {
        let server = Server::start(|request| match request {
            "GET /me token-1" => Reply::whole("302 Found\r\nlocation: /login?next=/me", ""),
            "GET /old token-2" => Reply::whole("302 Found\r\nlocation: /new", ""),
            _ => Reply::whole("200 OK", "fine"),
        })
        .await;
        let (credentials, control) = Script::at(&server.origin).judge(judge).build();
        let answer = get(through, &credentials, &server.url("/me")).await;
        assert_eq!((text(answer).await, control.logins()), ("fine".into(), 2));
        // Another target accepts, and no login is spent. The layer alone follows no redirect.
        let answer = get(through, &credentials, &server.url("/old")).await;
        let followed = matches!(through, Through::Reqwest);
        assert_eq!(answer.status() == StatusCode::OK, followed);
        assert_eq!(control.logins(), 2);
    }
}
