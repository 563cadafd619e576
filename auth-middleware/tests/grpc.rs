//! gRPC over the integration with tower, in memory.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use auth_core::{Credentials, LoginError, Origin, Verdict};
use auth_core::{Judge, ResponseView};
use auth_middleware::{AuthContext, AuthLayer, GrpcJudge, grpc_code};
use bytes::Bytes;
use common::{Control, Log, ORIGIN, Script};
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = BoxBody<Bytes, Infallible>;

/// How a server ends a call.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By an answer of trailers alone.
    Alone(&'static str),
    /// By trailers after a message.
    After(&'static str),
}

/// Answers the calls in turn, the last answer again and again. Notes the token and the URI of each.
#[derive(Clone)]
struct Server {
    ends: &'static [End],
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// The token and the URI of a call.
type Seen = (Option<String>, String);

impl Server {
    fn ending(ends: &'static [End]) -> Self {
        let seen = Arc::default();
        Self { ends, seen }
    }

    fn tokens(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|(token, _)| token.clone().unwrap_or_default())
            .collect()
    }

    fn uris(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|(_, uri)| uri.clone()).collect()
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let token = request.headers().get("authorization");
        let token = token.map(|token| token.to_str().unwrap().replace("Bearer ", ""));
        let mut seen = self.seen.lock().unwrap();
        let end = self.ends[seen.len().min(self.ends.len() - 1)];
        seen.push((token, request.uri().to_string()));
        drop(seen);
        let answer = Response::builder().header("content-type", "application/grpc+proto");
        match end {
            End::Alone(status) => answer.header("grpc-status", status).body(Body::default()),
            End::After(status) => {
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", status.parse().unwrap());
                let frames = [
                    Frame::data(Bytes::from_static(b"message")),
                    Frame::trailers(trailers),
                ];
                let frames = frames.map(Ok::<_, Infallible>);
                answer.body(StreamBody::new(stream::iter(frames)).boxed())
            }
        }
        .unwrap()
    }
}

/// A stack for the requests of a test.
fn stack<R>(
    layer: &AuthLayer<R>,
    server: &Server,
) -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<impl http_body::Body<Data = Bytes> + use<R>>,
    Error = auth_middleware::BoxError,
> + Clone
+ use<R>
where
    R: auth_middleware::ReplayMode<Full<Bytes>> + Clone,
{
    let server = server.clone();
    layer.layer(service_fn(move |request: Request<R::Body>| {
        let answer = server.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    }))
}

fn layer(credentials: &Credentials) -> AuthLayer {
    AuthLayer::new(credentials.clone()).judge(GrpcJudge::new())
}

/// The status of a call, read to its end.
async fn call(layer: &AuthLayer, server: &Server, uri: &str) -> String {
    let request = Request::post(uri).body(Full::from("message")).unwrap();
    let answer = stack(layer, server).oneshot(request).await.unwrap();
    let in_head = answer.headers().get("grpc-status").cloned();
    let Ok(read) = answer.into_body().collect().await else {
        panic!("the body never fails");
    };
    let in_trailers = read.trailers().and_then(|all| all.get("grpc-status"));
    let status = in_head.as_ref().or(in_trailers).unwrap();
    status.to_str().unwrap().to_owned()
}

const METHOD: &str = "https://api.example.com/pkg.Service/Method";

fn script() -> (Credentials, Arc<Control>) {
    Script::at(ORIGIN).build()
}

#[tokio::test]
async fn rule_8_an_unauthenticated_answer_of_trailers_alone_is_replayed_once() {
    let (credentials, control) = script();
    let server = Server::ending(&[End::Alone("16"), End::After("0")]);
    assert_eq!(call(&layer(&credentials), &server, METHOD).await, "0");
    assert_eq!(server.tokens(), ["token-1", "token-2"]);
    assert_eq!(control.logins(), 2);

    let (credentials, control) = script();
    let server = Server::ending(&[End::Alone("16")]);
    assert_eq!(call(&layer(&credentials), &server, METHOD).await, "16");
    assert_eq!(server.tokens(), ["token-1", "token-2"], "and no more often");
    assert_eq!(control.logins(), 2);
}

#[test]
fn each_code_has_its_verdict() {
    for (code, verdict) in [
        ("0", Verdict::Accepted),
        ("16", Verdict::Rejected),
        ("7", Verdict::NotPermitted),
        ("14", Verdict::Unclear),
        ("5", Verdict::Unproven),
    ] {
        let status = HeaderName::from_static("grpc-status");
        let headers = HeaderMap::from_iter([(status, HeaderValue::from_static(code))]);
        let head = ResponseView::new(StatusCode::OK, &headers);
        assert_eq!(GrpcJudge::new().judge(&head), verdict, "{code}");
        assert_eq!(GrpcJudge::new().judge_trailers(&headers), verdict, "{code}");
    }
}

#[tokio::test]
async fn a_missing_permission_and_other_codes_reject_nothing() {
    for status in ["7", "5", "14", "2", "160", "x"] {
        let (credentials, control) = script();
        let server = Server::ending(Box::leak(Box::new([
            End::Alone(status),
            End::After(status),
            End::After("0"),
        ])));
        for _ in 0..3 {
            call(&layer(&credentials), &server, METHOD).await;
        }
        assert_eq!(server.tokens(), ["token-1"; 3], "{status}");
        assert_eq!(control.logins(), 1, "{status}");
    }
}

#[tokio::test]
async fn rule_9_a_rejection_in_trailers_reaches_the_caller_and_the_next_call_has_a_new_session() {
    let (credentials, control) = script();
    let server = Server::ending(&[End::After("16"), End::After("0")]);
    assert_eq!(call(&layer(&credentials), &server, METHOD).await, "16");
    assert_eq!(server.tokens(), ["token-1"], "it is not sent again");
    // The login begins with the trailers, before the next call.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(control.logins(), 2);
    assert_eq!(call(&layer(&credentials), &server, METHOD).await, "0");
    assert_eq!(server.tokens(), ["token-1", "token-2"]);
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn rule_7_late_trailers_reject_no_newer_session() {
    let (credentials, control) = script();
    let server = Server::ending(&[
        End::After("16"),
        End::Alone("16"),
        End::After("0"),
        End::After("0"),
    ]);
    let layer = layer(&credentials);
    let request = Request::post(METHOD).body(Full::from("message")).unwrap();
    let stream = stack(&layer, &server).oneshot(request).await.unwrap();
    // Meanwhile another call is rejected, and logs in.
    assert_eq!(call(&layer, &server, METHOD).await, "0");
    assert_eq!(control.logins(), 2);
    assert!(stream.into_body().collect().await.is_ok());
    assert_eq!(call(&layer, &server, METHOD).await, "0");
    assert_eq!(server.tokens()[3], "token-2");
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn rule_8_an_accepted_replay_is_told_by_its_trailers() {
    let (credentials, control) = script();
    // Each second call is rejected. Without an accepted replay, the second rejection is doubted.
    let server = Server::ending(&[
        End::Alone("16"),
        End::After("0"),
        End::Alone("16"),
        End::After("0"),
    ]);
    for _ in 0..2 {
        assert_eq!(call(&layer(&credentials), &server, METHOD).await, "0");
    }
    assert_eq!(control.logins(), 3);

    // A stream that is dropped before its trailers proves nothing.
    let (credentials, control) = script();
    let server = Server::ending(server.ends);
    let request = Request::post(METHOD).body(Full::from("message")).unwrap();
    let layer = layer(&credentials);
    drop(stack(&layer, &server).oneshot(request).await.unwrap());
    assert_eq!(call(&layer, &server, METHOD).await, "16");
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn rule_16_a_relative_uri_passes_untouched_and_the_warning_says_what_to_do() {
    let (log, _guard) = Log::start();
    let (credentials, control) = script();
    let server = Server::ending(&[End::Alone("16")]);
    let relative = "/pkg.Service/Method";
    assert_eq!(call(&layer(&credentials), &server, relative).await, "16");
    assert_eq!(server.uris(), [relative]);
    assert_eq!(server.tokens(), [""]);
    assert_eq!(control.logins(), 0);
    assert_eq!(credentials.status().out_of_scope, 1);
    let lines = log.lines();
    assert!(lines[0].contains("`AuthLayer::origin`"), "{lines:?}");
}

#[tokio::test]
async fn rule_16_a_relative_uri_is_completed_with_the_origin_of_the_layer_and_no_other_uri_is() {
    let (credentials, control) = script();
    let server = Server::ending(&[End::Alone("16"), End::After("0")]);
    let ours = layer(&credentials).origin(&Origin::parse(ORIGIN).unwrap());
    assert_eq!(call(&ours, &server, "/pkg.Service/Method?a=1").await, "0");
    let completed = format!("{METHOD}?a=1");
    assert_eq!(server.uris(), [completed.clone(), completed]);
    assert_eq!(server.tokens(), ["token-1", "token-2"]);
    // An absolute URI stays.
    let elsewhere = "https://elsewhere.example.com/pkg.Service/Method";
    call(&ours, &server, elsewhere).await;
    call(&ours, &server, "*").await;
    assert_eq!(server.uris()[2..], [elsewhere, "*"]);
    assert_eq!(server.tokens()[2..], ["", ""]);
    assert_eq!(control.logins(), 2);
    // An origin that is not in the scope gets nothing.
    let theirs = Origin::parse("https://elsewhere.example.com").unwrap();
    call(&layer(&credentials).origin(&theirs), &server, "/x").await;
    assert_eq!(server.uris()[4], "https://elsewhere.example.com/x");
    assert_eq!(server.tokens()[4], "");
    // Nor does it from another identity, whose scope is another one.
    let (other, _) = Script::at("https://other.example.com").build();
    let context = AuthContext::new().identity(other);
    context.apply_to(call(&ours, &server, "/x")).await;
    assert_eq!(server.tokens()[5], "");
}

#[tokio::test]
async fn a_redirect_of_a_relative_uri_is_followed_in_scope() {
    let (credentials, _) = script();
    let (seen, origin) = (Arc::new(Mutex::new(Vec::new())), Origin::parse(ORIGIN));
    let note = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Full<Bytes>>| {
        let carries = request.headers().contains_key("authorization");
        note.lock()
            .unwrap()
            .push((request.uri().to_string(), carries));
        let moved = request.uri().path() == "/old";
        let answer = Response::builder().status(if moved { 307 } else { 200 });
        let answer = answer
            .header("location", "/new")
            .body(Full::<Bytes>::default());
        async move { Ok::<_, Infallible>(answer.unwrap()) }
    });
    let layer = AuthLayer::new(credentials).origin(&origin.unwrap());
    let service = layer
        .follow_redirects(auth_middleware::Redirects::default())
        .layer(service);
    let request = Request::get("/old").body(Full::default()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    let seen = seen.lock().unwrap().clone();
    let at = |path| (format!("{ORIGIN}{path}"), true);
    assert_eq!(seen, [at("/old"), at("/new")]);
}

#[derive(Debug, thiserror::Error)]
#[error("a layer above failed")]
struct Wrapped(#[source] auth_middleware::BoxError);

#[tokio::test]
async fn a_refused_login_is_unauthenticated() {
    let (credentials, control) = script();
    control.fail_next(LoginError::refused("status 401"));
    let server = Server::ending(&[End::After("0")]);
    let request = Request::post(METHOD).body(Full::default()).unwrap();
    let refused = stack(&layer(&credentials), &server).oneshot(request).await;
    let error = refused.err().unwrap();
    assert_eq!(grpc_code(&*error), Some(16));
    assert!(server.uris().is_empty(), "nothing was sent");
    // Also where it is the source of another error.
    assert_eq!(grpc_code(&Wrapped(error)), Some(16));
    assert_eq!(grpc_code(&std::io::Error::other("no")), None);
    let unavailable = [
        (LoginError::unavailable("status 503"), 14),
        (LoginError::limited(None), 8),
        (LoginError::locked("status 423"), 16),
        (LoginError::misconfigured("no password"), 13),
    ];
    for (failure, code) in unavailable {
        let error = auth_core::Error::Login {
            source: Arc::new(failure),
            retry_after: None,
        };
        assert_eq!(grpc_code(&error), Some(code), "{error}");
    }
}

#[test]
fn the_other_judge_gets_what_it_wants_of_answers_that_are_not_grpc() {
    struct Other {
        wants: bool,
    }

    impl Judge for Other {
        fn wants_body(&self, _: &ResponseView<'_>) -> bool {
            self.wants
        }

        fn wants_request(&self) -> bool {
            self.wants
        }

        fn judge(&self, _: &ResponseView<'_>) -> Verdict {
            Verdict::Unproven
        }
    }

    let typed = |media_type| {
        let value = HeaderValue::from_static(media_type);
        HeaderMap::from_iter([(CONTENT_TYPE, value)])
    };
    let (grpc, json) = (typed("application/grpc+proto"), typed("application/json"));
    for wants in [true, false] {
        let judge = GrpcJudge::or(Other { wants });
        assert_eq!(judge.wants_request(), wants);
        for (headers, wanted) in [(&grpc, false), (&json, wants)] {
            let head = ResponseView::new(StatusCode::OK, headers);
            assert_eq!(judge.wants_body(&head), wanted);
        }
    }
}

#[test]
fn an_answer_that_is_not_grpc_is_left_to_the_other_judge() {
    let judge = GrpcJudge::new();
    let none = HeaderMap::new();
    let unauthorized = ResponseView::new(StatusCode::UNAUTHORIZED, &none);
    assert_eq!(judge.judge(&unauthorized), Verdict::Rejected);
    let fine = ResponseView::new(StatusCode::OK, &none);
    assert_eq!(judge.judge(&fine), Verdict::Accepted);
    assert!(!judge.wants_trailers(&fine));
    let mut grpc = HeaderMap::new();
    grpc.insert("content-type", "Application/gRPC".parse().unwrap());
    let begun = ResponseView::new(StatusCode::OK, &grpc);
    assert_eq!(judge.judge(&begun), Verdict::Unproven);
    assert!(judge.wants_trailers(&begun));
    let gateway = ResponseView::new(StatusCode::BAD_GATEWAY, &grpc);
    assert_eq!(judge.judge(&gateway), Verdict::Unclear);
    assert!(!judge.wants_trailers(&gateway));

    let judge = GrpcJudge::or(|_: &ResponseView<'_>| Verdict::NotPermitted);
    assert_eq!(judge.judge(&fine), Verdict::NotPermitted);
    assert_eq!(judge.judge(&begun), Verdict::Unproven);
}
