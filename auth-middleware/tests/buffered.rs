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
    let status = send_to(body, |request| async {
        assert!(request.into_body().collect().await.is_err());
        Ok(response(401, ""))
    })
    .await;
    assert_eq!(status, 401);
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
async fn the_length_of_a_replayed_body_is_that_of_the_first() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let service = AuthLayer::new(credentials).buffered(100).layer(service_fn(
        |request: Request<ReplayBody<Full<Bytes>>>| async move {
            assert_eq!(request.body().size_hint().exact(), Some(5));
            let token = request.headers()["authorization"].clone();
            let body = request.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "hello");
            let status = if token == "Bearer token-2" { 200 } else { 401 };
            Ok::<_, std::convert::Infallible>(response(status, ""))
        },
    ));
    let request = Request::post(ORIGIN).body(Full::from("hello")).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
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
