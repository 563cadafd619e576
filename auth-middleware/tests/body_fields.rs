//! Sessions that are a field of the body of each request, through both integrations, over real
//! sockets.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll};

use async_trait::async_trait;
use auth_core::{
    Credential, Credentials, Identity, Judge, LoginError, Origin, Part, Provider, ResponseView,
    Secret, SecretSource, Session, StatusJudge, Update, Verdict, When,
};
use auth_middleware::{
    AuthContext, AuthLayer, AuthMiddleware, BodyFieldError, MAX_EDITED_BODY, Redirects,
    body_field_error,
};
use bytes::Bytes;
use common::{Api, ApiResponse, Seen, response};
use futures_util::future::join_all;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use reqwest::Client;
use tower::{ServiceBuilder, ServiceExt};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const CALL: &str = r#"{"z":1.50,"auth":null,"a":[]}"#;
const NEW: HeaderName = HeaderName::from_static("x-new");

/// Which integration sends the request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Via {
    Reqwest,
    InMemory,
    Buffered,
}

const ALL: [Via; 3] = [Via::Reqwest, Via::InMemory, Via::Buffered];

/// A request with a body in memory.
#[derive(Clone)]
struct Call {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<Bytes>,
    context: AuthContext,
}

impl Call {
    fn post(url: impl Into<String>, media_type: &str, body: impl Into<Bytes>) -> Self {
        let media_type = media_type.parse().unwrap();
        Self {
            method: Method::POST,
            url: url.into(),
            headers: HeaderMap::from_iter([(CONTENT_TYPE, media_type)]),
            body: Some(body.into()),
            context: AuthContext::new(),
        }
    }

    fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    /// The status of the response. Nothing that prints shows the session.
    async fn send(self, via: Via, credentials: &Credentials) -> Result<u16, BodyFieldError> {
        match via {
            Via::Reqwest => {
                let client = AuthMiddleware::build_client(Client::builder(), credentials.clone());
                let request = client.unwrap().request(self.method, self.url);
                let mut request = request.headers(self.headers).with_extension(self.context);
                if let Some(body) = self.body {
                    request = request.body(body);
                }
                match request.send().await {
                    Ok(response) => {
                        assert_silent(&format!("{response:?} {response:#?}"));
                        Ok(response.status().as_u16())
                    }
                    Err(error) => {
                        assert_silent_error(&error);
                        Err(body_field_error(&error).expect("of ours").clone())
                    }
                }
            }
            Via::InMemory | Via::Buffered => {
                let mut request = Request::builder().method(self.method).uri(self.url);
                *request.headers_mut().unwrap() = self.headers;
                let body = Full::from(self.body.unwrap_or_default());
                let request = request.extension(self.context).body(body).unwrap();
                let auth = AuthLayer::new(credentials.clone());
                let follows = Redirects::new();
                let builder = ServiceBuilder::new();
                if via == Via::InMemory {
                    let client = HyperClient::builder(TokioExecutor::new()).build_http();
                    let layer = auth.in_memory().follow_redirects(follows);
                    status(builder.layer(layer).service(client).oneshot(request).await)
                } else {
                    let client = HyperClient::builder(TokioExecutor::new()).build_http();
                    let layer = auth.buffered(1 << 20).follow_redirects(follows);
                    status(builder.layer(layer).service(client).oneshot(request).await)
                }
            }
        }
    }
}

fn status<B: std::fmt::Debug>(
    result: Result<http::Response<B>, auth_middleware::BoxError>,
) -> Result<u16, BodyFieldError> {
    match result {
        Ok(response) => {
            assert_silent(&format!("{response:?} {response:#?}"));
            Ok(response.status().as_u16())
        }
        Err(error) => {
            assert_silent_error(&*error);
            Err(error
                .downcast_ref::<BodyFieldError>()
                .expect("of ours")
                .clone())
        }
    }
}

#[track_caller]
fn assert_silent(printed: &str) {
    assert!(!printed.contains("canary"), "{printed}");
}

#[track_caller]
fn assert_silent_error(error: &(dyn StdError + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert_silent(&format!("{error} {error:?} {error:#?}"));
        next = error.source();
    }
}

type Login = Box<dyn Fn(u64) -> Result<Session, LoginError> + Send + Sync>;

/// A provider whose sessions are in bodies.
struct Rpc {
    identity: Identity,
    secret: SecretSource,
    login: Login,
    logins: Arc<AtomicU64>,
}

/// A handle, and the number of its logins.
fn at(
    origin: &str,
    login: impl Fn(u64) -> Result<Session, LoginError> + Send + Sync + 'static,
) -> (Credentials, Arc<AtomicU64>) {
    let logins = Arc::new(AtomicU64::new(0));
    let credentials = Credentials::new(Rpc {
        identity: Identity::new("rpc", Origin::parse(origin).unwrap(), "me@example.com"),
        secret: "correct horse".into(),
        login: Box::new(login),
        logins: Arc::clone(&logins),
    });
    (credentials, logins)
}

/// Its sessions are in JSON and in forms.
fn both(number: u64) -> Result<Session, LoginError> {
    let value = format!("canary-{number}");
    Ok(Session::new()
        .with_part(Part::json_field("/auth", &value))?
        .with_part(Part::form_field("_sid", &value))?)
}

/// A conflict asks for another part, which the response brings.
impl Judge for Rpc {
    fn wants_body(&self, _: &ResponseView<'_>) -> bool {
        false
    }

    fn wants_request(&self) -> bool {
        false
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        match response.status {
            StatusCode::CONFLICT => Verdict::NeedsRepair,
            _ => StatusJudge.judge(response),
        }
    }
}

#[async_trait]
impl Provider for Rpc {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn judge(&self) -> &dyn Judge {
        self
    }

    fn repairs(&self) -> bool {
        true
    }

    async fn repair(&self, _: &Credential) -> Result<Update, LoginError> {
        Err(LoginError::unavailable("no part can be fetched"))
    }

    fn updates(&self) -> bool {
        true
    }

    fn update(&self, response: &ResponseView<'_>, _: &Credential) -> Update {
        match response.headers.get(NEW) {
            Some(new) => Update::new()
                .with_json_field("/auth", new.to_str().unwrap())
                .unwrap(),
            None => Update::new(),
        }
    }

    fn secret_headers(&self) -> &[HeaderName] {
        static SECRET: [HeaderName; 1] = [NEW];
        &SECRET
    }

    async fn login(&self, _: &Secret) -> Result<Session, LoginError> {
        (self.login)(self.logins.fetch_add(1, SeqCst) + 1)
    }
}

fn with(mut response: ApiResponse, name: HeaderName, value: &str) -> ApiResponse {
    response.headers_mut().append(name, value.parse().unwrap());
    response
}

fn text(seen: &Seen) -> &str {
    std::str::from_utf8(&seen.body).unwrap()
}

/// The bodies that arrived, whose lengths are stated truly.
fn bodies(api: &Api) -> Vec<String> {
    let body = |seen: &Seen| {
        if let Some(stated) = seen.headers.get(CONTENT_LENGTH) {
            assert_eq!(stated.to_str().unwrap(), seen.body.len().to_string());
        }
        text(seen).to_owned()
    };
    api.seen().iter().map(body).collect()
}

/// The call with this session.
fn called(number: u64) -> String {
    CALL.replace("null", &format!("\"canary-{number}\""))
}

fn fine() -> Api {
    Api::new(|_| response(200, "fine"))
}

#[tokio::test]
async fn rule_16_a_body_has_the_field_and_every_other_byte_as_the_caller_wrote_it() {
    for via in ALL {
        let api = fine();
        let origin = api.serve().await;
        let (credentials, logins) = at(&origin, both);
        for (media_type, body) in [
            (JSON, CALL),
            ("application/json-rpc; charset=utf-8", CALL),
            (JSON, r#"[{"id":1}, {"id":2,"auth":0}]"#),
            (FORM, "b=%20+1&_sid=mine&a=2"),
        ] {
            let call = Call::post(&origin, media_type, body);
            assert_eq!(call.clone().send(via, &credentials).await, Ok(200));
            // A length that the caller has stated is that of its own body.
            let stated = call.with(CONTENT_LENGTH, &body.len().to_string());
            assert_eq!(stated.send(via, &credentials).await, Ok(200), "{via:?}");
        }
        let expected = [
            &called(1),
            &called(1),
            r#"[{"id":1,"auth":"canary-1"}, {"id":2,"auth":"canary-1"}]"#,
            "b=%20+1&a=2&_sid=canary-1",
        ];
        let expected: Vec<String> = expected
            .into_iter()
            .flat_map(|body| [body.to_owned(), body.to_owned()])
            .collect();
        assert_eq!(bodies(&api), expected, "{via:?}");
        assert!(
            api.seen()
                .iter()
                .all(|seen| seen.headers.contains_key(CONTENT_LENGTH))
        );
        assert_eq!(logins.load(SeqCst), 1);
    }
}

#[tokio::test]
async fn rule_9_a_replay_has_the_next_sessions_value_in_the_same_body() {
    for via in ALL {
        let api = Api::new(|seen| {
            if text(seen).contains("canary-1") {
                response(401, "")
            } else {
                response(200, "fine")
            }
        });
        let origin = api.serve().await;
        let (credentials, logins) = at(&origin, both);
        let call = Call::post(&origin, JSON, CALL).with(CONTENT_LENGTH, &CALL.len().to_string());
        assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
        assert_eq!(bodies(&api), [called(1), called(2)], "{via:?}");
        assert_eq!(logins.load(SeqCst), 2);
    }
}

#[tokio::test]
async fn rule_8_a_repair_brings_a_field_and_the_request_is_sent_again_with_it() {
    for via in ALL {
        let api = Api::new(|seen| {
            if text(seen).contains("canary-1") {
                with(response(409, ""), NEW, "canary-7")
            } else {
                response(200, "fine")
            }
        });
        let origin = api.serve().await;
        let (credentials, logins) = at(&origin, both);
        let call = Call::post(&origin, JSON, CALL);
        assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
        assert_eq!(bodies(&api), [called(1), called(7)], "{via:?}");
        assert_eq!(logins.load(SeqCst), 1);
    }
}

#[tokio::test]
async fn rule_16_a_redirect_in_scope_has_the_field_and_one_off_it_the_callers_own_body() {
    for via in [Via::Reqwest, Via::InMemory] {
        let foreign = fine();
        let elsewhere = foreign.serve().await;
        let api = Api::new(move |seen| match seen.uri.path() {
            "/again" => with(response(307, ""), LOCATION, "/away"),
            "/away" if text(seen).contains("canary-1") => response(401, ""),
            "/away" => with(response(308, ""), LOCATION, &elsewhere),
            "/see" => with(response(303, ""), LOCATION, "/seen"),
            _ => response(200, "fine"),
        });
        let origin = api.serve().await;
        let (credentials, _) = at(&origin, both);
        let call = Call::post(format!("{origin}/again"), JSON, CALL);
        let call = call.with(CONTENT_LENGTH, &CALL.len().to_string());
        assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
        assert_eq!(bodies(&api), [called(1), called(1), called(2)], "{via:?}");
        assert_eq!(bodies(&foreign), [CALL], "{via:?}");
        // A hop that drops the body drops the field.
        let call = Call::post(format!("{origin}/see"), JSON, CALL);
        assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
        assert_eq!(bodies(&api)[3..], [called(2), String::new()], "{via:?}");
    }
}

/// The layer below would repeat the body that it was given.
#[tokio::test]
async fn rule_16_in_a_stack_a_layer_below_repeats_no_body_that_has_the_field() {
    let foreign = fine();
    let elsewhere = foreign.serve().await;
    let api = Api::new(move |_| with(response(307, ""), LOCATION, &elsewhere));
    let origin = api.serve().await;
    let (credentials, _) = at(&origin, both);
    let (others, _) = at("https://others.example.com", both);
    let client = HyperClient::builder(TokioExecutor::new()).build_http();
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(credentials).in_memory())
        .layer(AuthLayer::new(others).follow_redirects(Redirects::new()))
        .service(client);
    let request = Request::post(&origin).header(CONTENT_TYPE, JSON);
    let request = request.body(Full::<Bytes>::from(CALL)).unwrap();
    let status = service.oneshot(request).await.unwrap().status().as_u16();
    assert_eq!((status, foreign.count()), (307, 0));
    assert_eq!(bodies(&api), [called(1)]);
}

#[tokio::test]
async fn rule_16_foreign_and_skipping_requests_have_the_callers_own_body() {
    for via in ALL {
        let (api, foreign) = (fine(), fine());
        let origin = api.serve().await;
        let elsewhere = foreign.serve().await;
        let (credentials, logins) = at(&origin, both);
        let mut skips = Call::post(&origin, JSON, CALL);
        skips.context = AuthContext::skip();
        assert_eq!(skips.send(via, &credentials).await, Ok(200));
        let call = Call::post(elsewhere, FORM, "a=1");
        assert_eq!(call.send(via, &credentials).await, Ok(200));
        assert_eq!(
            (bodies(&api), bodies(&foreign)),
            (vec![CALL.into()], vec!["a=1".into()])
        );
        assert_eq!(logins.load(SeqCst), 0, "{via:?}");
    }
}

#[tokio::test]
async fn rule_16_a_request_without_a_body_goes_without_the_field() {
    for via in ALL {
        let api = fine();
        let origin = api.serve().await;
        let (credentials, _) = at(&origin, both);
        for method in [Method::GET, Method::HEAD, Method::DELETE, Method::POST] {
            for body in [None, Some(Bytes::new())] {
                // Some clients state a type whether there is a body or not.
                let mut call = Call::post(&origin, JSON, "");
                (call.method, call.body) = (method.clone(), body);
                assert_eq!(call.clone().send(via, &credentials).await, Ok(200));
                call.headers.clear();
                assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
            }
        }
        assert_eq!(bodies(&api), vec![""; 16], "{via:?}");
    }
}

#[tokio::test]
async fn rule_7_a_request_without_a_body_says_nothing_of_a_session_of_fields() {
    for via in ALL {
        // Whoever asks without the session is told so.
        let api = Api::new(|seen| {
            let status = if text(seen).contains("canary-1") {
                200
            } else {
                401
            };
            response(status, "")
        });
        let origin = api.serve().await;
        let (credentials, logins) = at(&origin, both);
        for (method, body) in [
            (Method::GET, None),
            (Method::POST, None),
            (Method::POST, Some(Bytes::new())),
        ] {
            let mut call = Call::post(&origin, JSON, "");
            (call.method, call.body) = (method, body);
            assert_eq!(call.send(via, &credentials).await, Ok(401), "{via:?}");
        }
        let call = Call::post(&origin, JSON, CALL);
        assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
        assert_eq!(api.count(), 4, "{via:?}: nothing is sent twice");
        assert_eq!(logins.load(SeqCst), 1, "{via:?}");
    }
}

#[tokio::test]
async fn rule_8_a_request_without_a_body_does_not_wait_for_a_missing_field() {
    for via in ALL {
        let api = fine();
        let origin = api.serve().await;
        // The fetch fails, and with it what waits for it.
        let (credentials, _) = at(&origin, |_| {
            Ok(Session::new()
                .with_bearer("canary-1")?
                .with_part(Part::fetched_json_field("/csrf"))?)
        });
        let mut call = Call::post(&origin, JSON, "");
        (call.method, call.body) = (Method::GET, None);
        assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
    }
}

#[tokio::test]
async fn rule_16_a_field_goes_to_the_bodies_that_its_condition_names() {
    for via in ALL {
        let api = fine();
        let origin = api.serve().await;
        let (credentials, _) = at(&origin, |_| {
            let rpc = Part::json_field("/auth", "canary-1").when(When::any_method().below("/rpc"));
            Ok(Session::new().with_part(rpc)?)
        });
        let other = Call::post(format!("{origin}/upload"), "text/plain", "any text");
        assert_eq!(other.send(via, &credentials).await, Ok(200));
        let call = Call::post(format!("{origin}/rpc/x"), JSON, CALL);
        assert_eq!(call.send(via, &credentials).await, Ok(200));
        assert_eq!(bodies(&api), ["any text".to_owned(), called(1)], "{via:?}");
    }
}

#[tokio::test]
async fn rule_16_a_body_that_cant_have_the_field_is_not_sent() {
    for via in ALL {
        let api = fine();
        let origin = api.serve().await;
        let (credentials, _) = at(&origin, |_| {
            Ok(Session::new().with_part(Part::json_field("/params/0", "canary-1"))?)
        });
        let wanted = JSON;
        for (media_type, body, error) in [
            ("text/plain", CALL, BodyFieldError::MediaType { wanted }),
            (FORM, "a=1", BodyFieldError::MediaType { wanted }),
            (
                JSON,
                "canary",
                BodyFieldError::NotJson { line: 1, column: 1 },
            ),
            (
                JSON,
                r#"{"canary":[]}"#,
                BodyFieldError::NoPlace {
                    pointer: "/params/0".into(),
                },
            ),
        ] {
            let call = Call::post(&origin, media_type, body);
            let got = call.send(via, &credentials).await;
            assert_eq!(got, Err(error), "{via:?} {body}");
        }
        let mut untyped = Call::post(&origin, JSON, CALL);
        untyped.headers.clear();
        let got = untyped.send(via, &credentials).await;
        assert_eq!(got, Err(BodyFieldError::MediaType { wanted }));
        let encoded = Call::post(&origin, JSON, CALL).with(CONTENT_ENCODING, "gzip");
        let got = encoded.send(via, &credentials).await;
        assert_eq!(got, Err(BodyFieldError::Encoded));
        assert_eq!(api.count(), 0, "{via:?}");
    }
}

#[tokio::test]
async fn rule_9_a_replay_that_cant_have_the_field_is_not_sent() {
    for via in ALL {
        let api = Api::new(|_| response(401, ""));
        let origin = api.serve().await;
        let (credentials, _) = at(&origin, |number| match number {
            1 => Ok(Session::new().with_bearer("t")?),
            _ => both(number),
        });
        let call = Call::post(&origin, "text/plain", "a text");
        let wanted = JSON;
        let got = call.send(via, &credentials).await;
        assert_eq!(got, Err(BodyFieldError::MediaType { wanted }), "{via:?}");
        assert_eq!(bodies(&api), ["a text"], "{via:?}");
    }
}

#[tokio::test]
async fn rule_16_a_body_of_64_kib_has_the_field_and_one_that_is_longer_is_not_sent() {
    let padded = |length: usize| {
        let frame = r#"{"a":""}"#.len();
        format!(r#"{{"a":"{}"}}"#, "x".repeat(length - frame))
    };
    assert_eq!(MAX_EDITED_BODY, 64 * 1024);
    for via in ALL {
        let api = fine();
        let origin = api.serve().await;
        let (credentials, _) = at(&origin, both);
        let longer = Call::post(&origin, JSON, padded(MAX_EDITED_BODY + 1));
        let got = longer.send(via, &credentials).await;
        assert_eq!((got, api.count()), (Err(BodyFieldError::TooLong), 0));
        let most = padded(MAX_EDITED_BODY);
        let call = Call::post(&origin, JSON, most.clone());
        assert_eq!(call.send(via, &credentials).await, Ok(200), "{via:?}");
        let with = most.replace("\"}", "\",\"auth\":\"canary-1\"}");
        assert_eq!(bodies(&api), [with], "{via:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_1_fifty_requests_at_once_after_a_revocation_cost_one_login() {
    for via in ALL {
        let good = Arc::new(AtomicU64::new(1));
        let accepted = Arc::clone(&good);
        let api = Api::new(move |seen| {
            let good = accepted.load(SeqCst);
            if text(seen).contains(&format!("\"canary-{good}\"")) {
                response(200, "fine")
            } else {
                response(401, "")
            }
        });
        let origin = api.serve().await;
        let (credentials, logins) = at(&origin, both);
        let call = Call::post(&origin, JSON, CALL);
        assert_eq!(call.clone().send(via, &credentials).await, Ok(200));
        good.store(2, SeqCst);
        let sent = (0..50).map(|_| call.clone().send(via, &credentials));
        for status in join_all(sent).await {
            assert_eq!(status, Ok(200), "{via:?}");
        }
        assert_eq!(logins.load(SeqCst), 2, "{via:?}");
        let known = [called(1), called(2)];
        assert!(bodies(&api).iter().all(|body| known.contains(body)));
        let again = bodies(&api)
            .iter()
            .filter(|body| **body == known[1])
            .count();
        assert_eq!(again, 50, "{via:?}");
    }
}

#[tokio::test]
async fn rule_16_a_stream_is_not_sent_with_reqwest() {
    let api = fine();
    let origin = api.serve().await;
    let (credentials, _) = at(&origin, both);
    let client = AuthMiddleware::build_client(Client::builder(), credentials).unwrap();
    let chunks = futures_util::stream::iter([Ok::<_, Infallible>(CALL)]);
    let request = client.post(&origin).header(CONTENT_TYPE, JSON);
    let request = request.body(reqwest::Body::wrap_stream(chunks));
    let error = request.send().await.unwrap_err();
    assert_eq!(body_field_error(&error), Some(&BodyFieldError::NotInMemory));
    assert_eq!(api.count(), 0);
}

/// A body that hands out frames, and tells its length or not.
#[derive(Default)]
struct Frames {
    left: VecDeque<Result<Frame<Bytes>, &'static str>>,
    exact: Option<u64>,
    /// Waits for ever in place of its end.
    hangs: bool,
}

impl Frames {
    fn of(pieces: &[&'static str], exact: bool) -> Self {
        let length = pieces.iter().map(|piece| piece.len() as u64).sum();
        let frame = |piece: &&'static str| Ok(Frame::data(Bytes::from(*piece)));
        Self {
            left: pieces.iter().map(frame).collect(),
            exact: exact.then_some(length),
            hangs: false,
        }
    }
}

impl Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        match self.left.pop_front() {
            None if self.hangs => Poll::Pending,
            next => Poll::Ready(next),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.exact.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// Sends a body through a layer that keeps up to `limit` bytes. Returns the status, or the error.
async fn buffered(
    api: &Api,
    credentials: &Credentials,
    body: Frames,
    limit: usize,
) -> Result<u16, BodyFieldError> {
    let handle = api.clone();
    let client = tower::service_fn(move |request| handle.clone().handle(request));
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(credentials.clone()).buffered(limit))
        .service(client);
    let request = Request::post(format!("{}/rpc", common::ORIGIN)).header(CONTENT_TYPE, JSON);
    status(service.oneshot(request.body(body).unwrap()).await)
}

#[tokio::test]
async fn rule_16_a_tower_body_that_is_not_at_hand_as_a_whole_is_not_sent() {
    let api = fine();
    let (credentials, _) = at(common::ORIGIN, both);
    let unknown = Frames::of(&[CALL], false);
    let mut hangs = Frames::of(&[CALL], true);
    hangs.hangs = true;
    let mut fails = Frames::of(&[CALL], true);
    fails.left.push_back(Err("canary"));
    for body in [unknown, hangs, fails] {
        let got = buffered(&api, &credentials, body, 1 << 20).await;
        assert_eq!(got, Err(BodyFieldError::NotInMemory));
    }
    // Its length is not what it tells.
    let mut more = Frames::of(&[CALL], true);
    let long = Bytes::from(vec![b' '; MAX_EDITED_BODY]);
    more.left.push_back(Ok(Frame::data(long)));
    let got = buffered(&api, &credentials, more, 1 << 20).await;
    assert_eq!(got, Err(BodyFieldError::TooLong));
    assert_eq!(api.count(), 0);
}

#[tokio::test]
async fn rule_9_a_tower_body_of_several_frames_is_sent_and_replayed_as_one_with_its_trailers() {
    let api = Api::new(|seen| {
        if text(seen).contains("canary-1") {
            response(401, "")
        } else {
            response(200, "fine")
        }
    });
    let (credentials, _) = at(common::ORIGIN, both);
    let (one, other) = CALL.split_at(9);
    let mut body = Frames::of(&[one, "", other], true);
    let name = HeaderName::from_static("x-trailer");
    let trailers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("t"))]);
    body.left.push_back(Ok(Frame::trailers(trailers)));
    assert_eq!(
        buffered(&api, &credentials, body, CALL.len()).await,
        Ok(200)
    );
    assert_eq!(bodies(&api), [called(1), called(2)]);
    for seen in api.seen() {
        assert_eq!(seen.trailers.unwrap()[&name], "t");
    }
    // One that is longer than the layer keeps is sent once.
    let (credentials, _) = at(common::ORIGIN, both);
    let body = Frames::of(&[CALL], true);
    assert_eq!(
        buffered(&api, &credentials, body, CALL.len() - 1).await,
        Ok(401)
    );
    assert_eq!(bodies(&api)[2..], [called(1)]);
    // One that turns out to be empty is no body.
    let mut body = Frames::of(&[], true);
    body.exact = Some(3);
    assert_eq!(buffered(&api, &credentials, body, 1).await, Ok(200));
    assert_eq!(bodies(&api)[3..], [""]);
}

#[tokio::test]
async fn rule_16_a_layer_that_knows_no_bodies_sends_no_request_that_would_have_a_field() {
    let api = fine();
    let (credentials, _) = at(common::ORIGIN, |_| {
        let rpc = Part::json_field("/auth", "canary-1").when(When::any_method().below("/rpc"));
        Ok(Session::new().with_part(rpc)?)
    });
    // Whatever the type of the body is, the remedy is another layer.
    for (path, media_type) in [("/rpc", JSON), ("/rpc", "text/plain"), ("/other", JSON)] {
        let request = || {
            let request = Request::post(format!("{}{path}", common::ORIGIN));
            let request = request.header(CONTENT_TYPE, media_type);
            request.body(Full::<Bytes>::from(CALL)).unwrap()
        };
        let client = || {
            let handle = api.clone();
            tower::service_fn(move |request| handle.clone().handle(request))
        };
        let auth = AuthLayer::new(credentials.clone());
        let cloning = ServiceBuilder::new().layer(auth.clone()).service(client());
        let once = ServiceBuilder::new()
            .layer(auth.without_replay())
            .service(client());
        let expected = match path {
            "/rpc" => Err(BodyFieldError::ReplayMode),
            _ => Ok(200),
        };
        assert_eq!(status(cloning.oneshot(request()).await), expected);
        assert_eq!(status(once.oneshot(request()).await), expected);
    }
    assert_eq!(bodies(&api), [CALL, CALL]);
}
