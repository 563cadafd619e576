//! Bodies that are recorded while they are sent.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll};

use auth_middleware::{AuthLayer, ReplayBody};
use bytes::Bytes;
use common::{Api, ApiResponse, Kind, ORIGIN, Script, assert_nothing_old, response};
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{Layer, ServiceExt, service_fn};

/// A body that can't be cloned.
struct Stream {
    frames: VecDeque<Frame<Bytes>>,
    polled: Arc<AtomicUsize>,
    fails: bool,
}

impl Stream {
    fn of(chunks: &[&'static str]) -> Self {
        let frames = chunks
            .iter()
            .map(|chunk| Frame::data(Bytes::from_static(chunk.as_bytes())));
        Self {
            frames: frames.collect(),
            polled: Arc::default(),
            fails: false,
        }
    }

    fn with_trailers(mut self) -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "42".parse().unwrap());
        self.frames.push_back(Frame::trailers(trailers));
        self
    }
}

impl Body for Stream {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.polled.fetch_add(1, SeqCst);
        let frame = self.frames.pop_front();
        if frame.is_none() && self.fails {
            return Poll::Ready(Some(Err(std::io::Error::other("cut"))));
        }
        Poll::Ready(frame.map(Ok))
    }
}

fn post(body: Stream) -> Request<Stream> {
    Request::post("https://api.example.com/rows")
        .body(body)
        .unwrap()
}

async fn send(api: &Api, limit: usize, body: Stream) -> http::StatusCode {
    let (credentials, _) = Script::at(ORIGIN).build();
    let api = api.clone();
    let service = AuthLayer::new(credentials)
        .buffered(limit)
        .layer(service_fn(move |request| api.clone().handle(request)));
    service.oneshot(post(body)).await.unwrap().status()
}

#[tokio::test]
async fn rule_9_a_streamed_body_within_the_limit_is_replayed_byte_for_byte() {
    let api = Api::accepting("token-2");
    let status = send(
        &api,
        11,
        Stream::of(&["hello", " ", "world"]).with_trailers(),
    )
    .await;
    assert_eq!(status, 200);
    assert_eq!(api.count(), 2);
    for seen in api.seen() {
        assert_eq!(seen.body, "hello world");
        assert_eq!(seen.trailers.unwrap()["x-sum"], "42");
    }
}

#[tokio::test]
async fn rule_9_the_second_attempt_carries_nothing_that_only_the_first_credential_had() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::AllThenBearer).build();
    credentials.get().await.unwrap();
    let api = Api::accepting("token-2");
    let inner = api.clone();
    let service = AuthLayer::new(credentials)
        .buffered(11)
        .layer(service_fn(move |request| inner.clone().handle(request)));
    let mut request = post(Stream::of(&["hello"]));
    *request.uri_mut() = "https://api.example.com/rows?page=2".parse().unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    assert_nothing_old(&api.seen());
}

#[tokio::test]
async fn rule_9_a_body_over_the_limit_gets_its_first_response_at_once() {
    let api = Api::accepting("token-2");
    let status = send(&api, 10, Stream::of(&["hello", " ", "world"])).await;
    assert_eq!(status, 401);
    assert_eq!(api.count(), 1);
    assert_eq!(api.seen()[0].body, "hello world", "the whole body was sent");
}

#[tokio::test]
async fn rule_9_a_body_that_is_said_to_be_over_the_limit_is_not_kept() {
    for (limit, status) in [(4, 401), (5, 200), (6, 200)] {
        let (credentials, _) = Script::at(ORIGIN).build();
        // It reads nothing of the body.
        let service = AuthLayer::new(credentials)
            .buffered(limit)
            .layer(service_fn(|request: Request<ReplayBody<Full<Bytes>>>| {
                let second = request.headers()["authorization"] == "Bearer token-2";
                let status = if second { 200 } else { 401 };
                std::future::ready(Ok::<_, std::convert::Infallible>(response(status, "")))
            }));
        let request = Request::post(ORIGIN).body(Full::from("hello")).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "a limit of {limit}");
    }
}

#[tokio::test]
async fn rule_9_the_second_attempt_is_the_same_request_with_its_own_headers() {
    let heads = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    let (credentials, _) = Script::at(ORIGIN).build();
    let service = AuthLayer::new(credentials).buffered(10).layer(service_fn(
        move |request: Request<ReplayBody<Stream>>| {
            let (mut head, body) = request.into_parts();
            let token = head.headers.remove("authorization").unwrap();
            let marked = head.extensions.get::<&str>().copied();
            let line = format!("{} {:?}", head.method, head.version);
            seen.lock().unwrap().push((line, head.headers, marked));
            async move {
                body.collect().await.unwrap();
                let status = if token == "Bearer token-2" { 200 } else { 401 };
                Ok::<_, std::convert::Infallible>(response(status, ""))
            }
        },
    ));
    let mut request = post(Stream::of(&["hello"]));
    *request.version_mut() = http::Version::HTTP_2;
    request.headers_mut().insert("x-own", "1".parse().unwrap());
    request.extensions_mut().insert("marked");
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    let heads = heads.lock().unwrap();
    assert_eq!((heads.len(), &heads[0]), (2, &heads[1]));
    assert_eq!(
        (&*heads[0].0, heads[0].2),
        ("POST HTTP/2.0", Some("marked"))
    );
    assert_eq!(heads[0].1["x-own"], "1");
}

async fn send_to<F>(
    body: Stream,
    serve: impl Fn(Request<ReplayBody<Stream>>) -> F + Clone + Send + 'static,
) -> http::StatusCode
where
    F: Future<Output = Result<ApiResponse, std::convert::Infallible>> + Send + 'static,
{
    let (credentials, _) = Script::at(ORIGIN).build();
    let service = AuthLayer::new(credentials)
        .buffered(1_000)
        .layer(service_fn(serve));
    service.oneshot(post(body)).await.unwrap().status()
}

#[tokio::test]
async fn a_body_dropped_before_its_end_is_replayed_from_its_beginning() {
    for read in 0..3 {
        let whole = Arc::new(std::sync::Mutex::new(Vec::new()));
        let record = Arc::clone(&whole);
        let status = send_to(Stream::of(&["hello", " ", "world"]), move |request| {
            let record = Arc::clone(&record);
            async move {
                let second = request.headers()["authorization"] == "Bearer token-2";
                let mut body = request.into_body();
                if second {
                    let all = body.collect().await.unwrap().to_bytes();
                    record.lock().unwrap().extend(all);
                    return Ok(response(200, ""));
                }
                for _ in 0..read {
                    body.frame().await.unwrap().unwrap();
                }
                Ok(response(401, ""))
            }
        })
        .await;
        assert_eq!(status, 200, "{read} frames read");
        assert_eq!(*whole.lock().unwrap(), b"hello world");
    }
}

#[tokio::test]
async fn a_body_that_is_still_being_read_is_not_replayed() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let hold = Arc::clone(&kept);
    let status = send_to(Stream::of(&["hello"]), move |request| {
        *hold.lock().unwrap() = Some(request.into_body());
        async { Ok(response(401, "")) }
    })
    .await;
    assert_eq!(status, 401);
    let body = kept.lock().unwrap().take().unwrap();
    assert_eq!(
        body.collect().await.unwrap().to_bytes(),
        "hello",
        "the inner service may still read it"
    );
}

#[tokio::test]
async fn a_body_that_failed_is_not_replayed() {
    let body = Stream {
        fails: true,
        ..Stream::of(&["hello"])
    };
    let attempts = Arc::new(AtomicUsize::new(0));
    let sent = Arc::clone(&attempts);
    let status = send_to(body, move |request| {
        sent.fetch_add(1, SeqCst);
        async {
            assert!(request.into_body().collect().await.is_err());
            Ok(response(401, ""))
        }
    })
    .await;
    assert_eq!((status.as_u16(), attempts.load(SeqCst)), (401, 1));
}

#[tokio::test]
async fn a_buffered_body_streams_while_it_is_recorded() {
    let polled = Arc::new(AtomicUsize::new(0));
    let body = Stream {
        polled: Arc::clone(&polled),
        ..Stream::of(&["hello", "world"])
    };
    let status = send_to(body, move |request| {
        let polled = Arc::clone(&polled);
        async move {
            let mut body = request.into_body();
            assert_eq!(polled.load(SeqCst), 0, "no frame was read ahead");
            body.frame().await.unwrap().unwrap();
            assert_eq!(polled.load(SeqCst), 1);
            Ok(response(200, ""))
        }
    })
    .await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn the_length_and_the_end_of_a_replayed_body_are_those_of_the_first() {
    for text in ["hello", ""] {
        let (credentials, _) = Script::at(ORIGIN).build();
        let service = AuthLayer::new(credentials).buffered(100).layer(service_fn(
            move |request: Request<ReplayBody<Full<Bytes>>>| async move {
                let body = request.body();
                assert_eq!(body.size_hint().exact(), Some(text.len() as u64));
                assert_eq!(body.is_end_stream(), text.is_empty());
                let token = request.headers()["authorization"].clone();
                let body = request.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, text);
                let status = if token == "Bearer token-2" { 200 } else { 401 };
                Ok::<_, std::convert::Infallible>(response(status, ""))
            },
        ));
        let request = Request::post(ORIGIN).body(Full::from(text)).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    }
}

/// A service whose future keeps the body until the future is dropped.
#[derive(Clone)]
struct KeepsBody;

struct KeepsBodyFuture(
    Option<ApiResponse>,
    #[allow(dead_code, reason = "held, not read")] ReplayBody<Stream>,
);

impl Future for KeepsBodyFuture {
    type Output = Result<ApiResponse, std::convert::Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(self.0.take().unwrap()))
    }
}

impl tower::Service<Request<ReplayBody<Stream>>> for KeepsBody {
    type Response = ApiResponse;
    type Error = std::convert::Infallible;
    type Future = KeepsBodyFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReplayBody<Stream>>) -> KeepsBodyFuture {
        let second = request.headers()["authorization"] == "Bearer token-2";
        let status = if second { 200 } else { 401 };
        KeepsBodyFuture(Some(response(status, "")), request.into_body())
    }
}

#[tokio::test]
async fn a_completed_inner_future_is_dropped_before_its_body_is_replayed() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let service = AuthLayer::new(credentials).buffered(100).layer(KeepsBody);
    let response = service.oneshot(post(Stream::of(&["hello"]))).await.unwrap();
    assert_eq!(response.status(), 200);
}
