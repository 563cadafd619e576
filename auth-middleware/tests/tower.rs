//! The integration with tower, in memory.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{Ask, Attempt, Credentials, LoginError, LoginMark, Origin, Session};
use auth_middleware::{AuthContext, AuthLayer};
use bytes::Bytes;
use common::{
    Api, ApiResponse, BodyJudge, Kind, ORIGIN, Script, assert_nothing_old, get, response, until,
};
use futures_util::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt, service_fn};

type Error = auth_middleware::BoxError;

async fn call(
    api: &Api,
    credentials: &Credentials,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, Error> {
    let api = api.clone();
    let service = AuthLayer::new(credentials.clone())
        .layer(service_fn(move |request| api.clone().handle(request)));
    let response = service.oneshot(request).await?;
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
}

fn auth_error(error: &Error) -> &auth_core::Error {
    error.downcast_ref().expect("an error of auth-core")
}

#[tokio::test]
async fn a_request_carries_the_credential_and_a_header_of_the_same_name_is_replaced() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::accepting("token-1");
    let mut request = get("https://api.example.com/me");
    request
        .headers_mut()
        .insert("authorization", HeaderValue::from_static("Basic old"));
    let response = call(&api, &credentials, request).await.unwrap();
    assert_eq!(response.status(), 200);
    let all: Vec<_> = api.seen()[0]
        .headers
        .get_all("authorization")
        .iter()
        .cloned()
        .collect();
    assert_eq!(all, ["Bearer token-1"]);
    call(&api, &credentials, get("https://api.example.com/me"))
        .await
        .unwrap();
    assert_eq!(control.logins(), 1, "the second request uses the session");
}

#[tokio::test]
async fn cookies_are_merged_and_the_query_is_encoded() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::Cookie).build();
    let api = Api::new(|_| response(200, ""));
    let mut request = get("https://api.example.com/me");
    request
        .headers_mut()
        .insert("cookie", HeaderValue::from_static("lang=en; sid=mine"));
    call(&api, &credentials, request).await.unwrap();
    assert_eq!(api.seen()[0].cookie(), Some("lang=en; sid=token-1"));

    let (credentials, _) = Script::at(ORIGIN).kind(Kind::Query).build();
    call(
        &api,
        &credentials,
        get("https://api.example.com/me?a=1&csrf=mine"),
    )
    .await
    .unwrap();
    assert_eq!(
        api.seen()[1].uri.to_string(),
        "https://api.example.com/me?a=1&csrf=token-1%2F%26%C3%A9"
    );
}

#[tokio::test]
async fn rule_16_foreign_requests_pass_untouched() {
    let (credentials, control) = Script::at(ORIGIN).kind(Kind::All).build();
    let api = Api::new(|_| response(401, "no"));
    for url in [
        "https://elsewhere.example.com/",
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "/relative",
    ] {
        let response = call(&api, &credentials, get(url)).await.unwrap();
        assert_eq!(response.status(), 401);
    }
    assert_eq!(control.logins(), 0, "nothing is attached or judged");
    assert_eq!(api.count(), 4, "nothing is replayed");
    for seen in api.seen() {
        assert!(
            seen.headers.is_empty() && seen.uri.query().is_none(),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn rule_8_twenty_thousand_rejections_at_once_are_one_login_and_no_failed_request() {
    const REQUESTS: usize = 20_000;
    let (credentials, control) = Script::at(ORIGIN).build();
    credentials.get().await.unwrap();
    // The server responds once all requests with the first session have arrived.
    let under_way = Arc::new(Barrier::new(REQUESTS));
    let requests_seen = Arc::new(AtomicUsize::new(0));
    let served = Arc::clone(&requests_seen);
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        served.fetch_add(1, SeqCst);
        let under_way = Arc::clone(&under_way);
        async move {
            if request.headers()["authorization"] == "Bearer token-1" {
                under_way.wait().await;
                return Ok::<_, Infallible>(response(401, "expired"));
            }
            Ok(response(200, ""))
        }
    });
    let service = AuthLayer::new(credentials).layer(api);
    let mut requests = JoinSet::new();
    for _ in 0..REQUESTS {
        requests.spawn(service.clone().oneshot(get("https://api.example.com/me")));
    }
    while let Some(request) = requests.join_next().await {
        assert_eq!(request.unwrap().unwrap().status(), 200);
    }
    assert_eq!(
        control.logins(),
        2,
        "the first login, and one for all requests"
    );
    assert_eq!(
        requests_seen.load(SeqCst),
        2 * REQUESTS,
        "each request was replayed once"
    );
}

#[tokio::test]
async fn rule_8_two_programs_that_end_each_others_sessions_get_the_servers_responses() {
    // The server keeps one session per account: the last one.
    let logins = Arc::new(AtomicUsize::new(0));
    let program = || {
        let logins = Arc::clone(&logins);
        let provider = Scripted::new(move |_| {
            let session = logins.fetch_add(1, SeqCst) + 1;
            Ok(Session::new().with_bearer(&session.to_string())?)
        });
        let api = Origin::parse(ORIGIN).unwrap();
        let clock = ManualClock::new();
        let credentials = Credentials::builder(provider)
            .scope(api)
            .clock(clock.clock());
        (credentials.build(), clock)
    };
    let current = Arc::clone(&logins);
    let api = service_fn(move |request: Request<Full<Bytes>>| {
        let current = format!("Bearer {}", current.load(SeqCst));
        let status = if request.headers()["authorization"] == *current {
            200
        } else {
            401
        };
        async move { Ok::<_, Infallible>(response(status, "")) }
    });
    let programs = [program(), program()];
    let mut rejected = 0;
    // Each program sends one request a second for ten minutes.
    for _ in 0..600 {
        for (credentials, clock) in &programs {
            clock.advance(Duration::from_secs(1));
            let service = AuthLayer::new(credentials.clone()).layer(api.clone());
            let response = service.oneshot(get("https://api.example.com/me")).await;
            rejected += usize::from(response.unwrap().status() == 401);
        }
    }
    let logins = logins.load(SeqCst);
    assert!(
        logins <= 2 * (1 + 3 * 10),
        "each logs in three times a minute: {logins}"
    );
    assert!(
        rejected >= 500,
        "the other responses are handed on: {rejected} after {logins} logins"
    );
}

#[tokio::test]
async fn rule_8_a_rejected_request_is_replayed_once_with_something_newer() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::accepting("token-2");
    let response = call(&api, &credentials, get("https://api.example.com/me"))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let seen = api.seen();
    let carried: Vec<_> = seen.iter().map(|seen| seen.bearer().unwrap()).collect();
    assert_eq!(carried, ["token-1", "token-2"]);
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn rule_9_the_caller_gets_the_second_response_to_the_same_request_bytes() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::All).build();
    let attempts = AtomicUsize::new(0);
    let api = Api::new(move |_| match attempts.fetch_add(1, SeqCst) {
        0 => response(401, "first"),
        1 => response(401, "second"),
        _ => response(200, "third"),
    });
    let request = Request::post("https://api.example.com/rows?page=2")
        .header("cookie", "lang=en")
        .header("x-trace", "7")
        .body(Full::from("a body"))
        .unwrap();
    let response = call(&api, &credentials, request).await.unwrap();
    assert_eq!(
        (response.status(), &response.body()[..]),
        (StatusCode::UNAUTHORIZED, &b"second"[..])
    );
    let seen = api.seen();
    assert_eq!(seen.len(), 2);
    for (number, seen) in (1..).zip(&seen) {
        assert_eq!(seen.body, "a body");
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.headers["x-trace"], "7");
        assert_eq!(
            seen.cookie(),
            Some(format!("lang=en; sid=token-{number}").as_str())
        );
        let uri = format!("https://api.example.com/rows?page=2&csrf=token-{number}");
        assert_eq!(
            seen.uri.to_string(),
            uri,
            "attached anew to a pristine copy"
        );
        assert_eq!(seen.headers.get_all("cookie").iter().count(), 1);
    }
}

#[tokio::test]
async fn rule_9_the_second_attempt_carries_nothing_that_only_the_first_credential_had() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::AllThenBearer).build();
    credentials.get().await.unwrap();
    let api = Api::accepting("token-2");
    let request = get("https://api.example.com/rows?page=2");
    assert_eq!(
        call(&api, &credentials, request).await.unwrap().status(),
        200
    );
    assert_nothing_old(&api.seen());
}

#[tokio::test]
async fn rule_9_a_request_without_replay_gets_its_first_response_and_the_next_a_new_session() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::accepting("token-2");
    let inner = api.clone();
    let mut service = AuthLayer::new(credentials.clone())
        .without_replay()
        .layer(service_fn(move |request: Request<Full<Bytes>>| {
            inner.clone().handle(request)
        }));
    let first = service
        .ready()
        .await
        .unwrap()
        .call(get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(first.status(), 401);
    let next = service
        .ready()
        .await
        .unwrap()
        .call(get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(next.status(), 200);
    assert_eq!((api.count(), control.logins()), (2, 2));
}

#[tokio::test]
async fn rule_13_without_a_credential_a_request_is_not_sent_and_the_error_is_typed() {
    let (credentials, control) = Script::at(ORIGIN).build();
    control.fail_next(LoginError::refused("status 401"));
    let api = Api::new(|_| response(200, ""));
    let error = call(&api, &credentials, get("https://api.example.com/"))
        .await
        .unwrap_err();
    assert!(auth_error(&error).is_login_refused());
    assert_eq!(api.count(), 0);
}

#[tokio::test]
async fn rule_13_after_a_rejection_a_failing_login_is_what_the_caller_gets() {
    let (credentials, control) = Script::at(ORIGIN).build();
    credentials.get().await.unwrap();
    for _ in 0..3 {
        control.fail_next(LoginError::refused("status 401"));
    }
    let api = Api::accepting("token-2");
    let error = call(&api, &credentials, get("https://api.example.com/"))
        .await
        .unwrap_err();
    assert!(auth_error(&error).is_login_refused());
    assert_eq!(api.count(), 1);
}

#[tokio::test]
async fn a_skipped_request_passes_untouched() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::accepting("none");
    let mut request = get("https://api.example.com/");
    request.extensions_mut().insert(AuthContext::skip());
    let response = call(&api, &credentials, request).await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!((api.count(), control.logins()), (1, 0));
    assert_eq!(api.seen()[0].bearer(), None);
}

#[tokio::test]
async fn renewed_logs_in_first_and_once_for_all_attempts() {
    let (credentials, control) = Script::at(ORIGIN).build();
    credentials.get().await.unwrap();
    let api = Api::new(|_| response(200, ""));
    let mut request = get("https://api.example.com/");
    request
        .extensions_mut()
        .insert(AuthContext::new().ask(Ask::new().renewed()));
    for _ in 0..3 {
        call(&api, &credentials, request.clone()).await.unwrap();
    }
    let seen = api.seen();
    let carried: Vec<_> = seen.iter().map(|seen| seen.bearer().unwrap()).collect();
    assert_eq!(carried, ["token-2"; 3]);
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn another_identity_brings_its_own_scope() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let (other, others) = Script::at("https://other.example.com")
        .prefix("other")
        .build();
    let api = Api::new(|_| response(200, ""));
    for url in ["https://other.example.com/", "https://api.example.com/"] {
        let mut request = get(url);
        request
            .extensions_mut()
            .insert(AuthContext::new().identity(other.clone()));
        call(&api, &credentials, request).await.unwrap();
    }
    assert_eq!(api.seen()[0].bearer(), Some("other-1"));
    assert_eq!(
        api.seen()[1].bearer(),
        None,
        "the request is not in the scope of the chosen identity"
    );
    assert_eq!((control.logins(), others.logins()), (0, 1));
}

#[tokio::test]
async fn a_judge_that_wants_the_body_gets_it_and_so_does_the_caller() {
    let (credentials, control) = Script::at(ORIGIN).judge(BodyJudge).build();
    let api = Api::new(|seen| match (seen.uri.path(), seen.bearer()) {
        ("/forbidden", _) => response(403, "you may not"),
        (_, Some("token-1")) => response(403, "session expired"),
        _ => response(200, "fine"),
    });
    let response = call(&api, &credentials, get("https://api.example.com/forbidden"))
        .await
        .unwrap();
    assert_eq!(
        (response.status(), &response.body()[..]),
        (StatusCode::FORBIDDEN, &b"you may not"[..])
    );
    assert_eq!(control.logins(), 1, "not permitted, so no login is spent");
    let response = call(&api, &credentials, get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(
        (response.status(), &response.body()[..]),
        (StatusCode::OK, &b"fine"[..])
    );
    assert_eq!((control.logins(), api.count()), (2, 3));
}

#[tokio::test]
async fn the_length_and_the_end_of_a_response_are_those_of_its_body() {
    let (credentials, _) = Script::at(ORIGIN).judge(BodyJudge).build();
    for (status, text) in [(200, "fine"), (204, ""), (403, "you may not"), (403, "")] {
        let api = Api::new(move |_| response(status, text));
        let service = AuthLayer::new(credentials.clone())
            .layer(service_fn(move |request| api.clone().handle(request)));
        let response = service.oneshot(get("https://api.example.com/")).await;
        let body = response.unwrap().into_body();
        let length = body.size_hint().exact();
        assert_eq!(length, Some(text.len() as u64), "{status} {text}");
        assert_eq!(body.is_end_stream(), text.is_empty(), "{status} {text}");
        assert_eq!(format!("{body:?}"), "AuthBody { .. }");
    }
}

#[tokio::test]
async fn a_judge_of_the_layer_replaces_the_providers() {
    struct Teapots;
    impl auth_core::Judge for Teapots {
        fn judge(&self, response: &auth_core::ResponseView<'_>) -> auth_core::Verdict {
            if response.status == 418 {
                auth_core::Verdict::Rejected
            } else {
                auth_core::Verdict::Accepted
            }
        }
    }
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::new(|seen| match seen.bearer() {
        Some("token-1") => response(418, ""),
        _ => response(401, ""),
    });
    let inner = api.clone();
    let service = AuthLayer::new(credentials)
        .judge(Teapots)
        .layer(service_fn(move |request| inner.clone().handle(request)));
    let response = service
        .oneshot(get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!((control.logins(), api.count()), (2, 2));
}

fn with_cookie(status: u16, cookie: &'static str) -> ApiResponse {
    let mut response = response(status, "");
    response
        .headers_mut()
        .insert("set-cookie", HeaderValue::from_static(cookie));
    response
}

#[tokio::test]
async fn rule_15_a_rolled_cookie_is_the_one_sent_next() {
    let (credentials, control) = Script::at(ORIGIN).kind(Kind::Cookie).build();
    let api = Api::new(|seen| match seen.uri.path() {
        "/roll" => with_cookie(200, "sid=rolled; Path=/"),
        "/foreign" => with_cookie(200, "sid=foreign; Path=/"),
        _ => response(200, ""),
    });
    for url in ["/roll", "/", "/foreign"] {
        call(&api, &credentials, get(&format!("{ORIGIN}{url}")))
            .await
            .unwrap();
    }
    assert_eq!(api.seen()[1].cookie(), Some("sid=rolled"));
    assert_eq!(control.logins(), 1);
}

#[tokio::test]
async fn rule_15_a_deletion_ends_the_session_and_the_cookies_of_a_rejection_are_ignored() {
    let (credentials, control) = Script::at(ORIGIN).kind(Kind::Cookie).build();
    let api = Api::new(|seen| match (seen.uri.path(), seen.cookie()) {
        ("/logout", _) => with_cookie(200, "sid=; Max-Age=0"),
        (_, Some("sid=token-2")) => with_cookie(401, "sid=anonymous"),
        _ => response(200, ""),
    });
    call(&api, &credentials, get(&format!("{ORIGIN}/logout")))
        .await
        .unwrap();
    let response = call(&api, &credentials, get(&format!("{ORIGIN}/")))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let seen = api.seen();
    let carried: Vec<_> = seen.iter().map(|seen| seen.cookie().unwrap()).collect();
    assert_eq!(carried, ["sid=token-1", "sid=token-2", "sid=token-3"]);
    assert_eq!(control.logins(), 3);
}

#[tokio::test]
async fn rule_4_a_login_through_the_same_limited_stack_does_not_deadlock() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::accepting("token-2");
    let inner = api.clone();
    let mut service = AuthLayer::new(credentials).layer(tower::limit::ConcurrencyLimit::new(
        service_fn(move |request| inner.clone().handle(request)),
        1,
    ));
    let stack = service.get_ref().clone();
    control.during_login(move || {
        let stack = stack.clone();
        async move {
            stack
                .oneshot(get("https://login.example.com/"))
                .await
                .unwrap();
        }
    });
    // The first attempt waits for a login, and so does the second.
    let work = service
        .ready()
        .await
        .unwrap()
        .call(get("https://api.example.com/"));
    let response = tokio::time::timeout(std::time::Duration::from_secs(20), work).await;
    assert_eq!(response.expect("no deadlock").unwrap().status(), 200);
    assert_eq!(api.count(), 4, "two logins and two attempts");
}

#[tokio::test]
async fn rule_4_a_completed_future_holds_nothing_of_the_inner_service() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let api = Api::new(|_| response(200, ""));
    let mut service = AuthLayer::new(credentials).layer(tower::limit::ConcurrencyLimit::new(
        service_fn(move |request| api.clone().handle(request)),
        1,
    ));
    for url in ["https://api.example.com/", "https://elsewhere.example.com/"] {
        let mut completed = Box::pin(service.ready().await.unwrap().call(get(url)));
        completed.as_mut().await.unwrap();
        assert!(
            matches!(service.ready().now_or_never(), Some(Ok(_))),
            "its permit is released"
        );
        drop(completed);
    }
}

#[tokio::test]
async fn rule_4_a_failed_future_holds_nothing_of_the_inner_service() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let reset = service_fn(|_: Request<Full<Bytes>>| async {
        Err::<Response<Full<Bytes>>, _>(std::io::Error::other("connection reset"))
    });
    let mut service =
        AuthLayer::new(credentials).layer(tower::limit::ConcurrencyLimit::new(reset, 1));
    for url in ["https://api.example.com/", "https://elsewhere.example.com/"] {
        let mut failed = Box::pin(service.ready().await.unwrap().call(get(url)));
        failed.as_mut().await.unwrap_err();
        assert!(
            matches!(service.ready().now_or_never(), Some(Ok(_))),
            "its permit is released"
        );
        drop(failed);
    }
}

#[tokio::test]
async fn rule_18_a_login_routed_through_its_own_integration_is_a_typed_error() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::new(|_| response(200, ""));
    let found = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (own, inner, record) = (credentials.clone(), api.clone(), Arc::clone(&found));
    control.during_login(move || {
        let (own, inner, record) = (own.clone(), inner.clone(), Arc::clone(&record));
        async move {
            // In the login task, and in another task with the login's mark.
            let direct = call(&inner, &own, get("https://api.example.com/login")).await;
            let mut marked = get("https://api.example.com/login");
            marked
                .extensions_mut()
                .insert(LoginMark::current().unwrap());
            #[allow(clippy::disallowed_methods, reason = "a test of what crosses tasks")]
            let carried = tokio::spawn(async move { call(&inner, &own, marked).await });
            for result in [direct, carried.await.unwrap()] {
                record.lock().unwrap().push(matches!(
                    auth_error(&result.unwrap_err()),
                    auth_core::Error::LoginLoop
                ));
            }
        }
    });
    call(&api, &credentials, get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(*found.lock().unwrap(), [true, true]);
    assert_eq!(api.count(), 1);
}

#[tokio::test]
async fn rule_2_a_caller_cancelled_during_the_login_does_not_stop_it() {
    let (credentials, control) = Script::at(ORIGIN).build();
    control.hold();
    let api = Api::accepting("token-1");
    let mut cancelled = Box::pin(call(&api, &credentials, get("https://api.example.com/")));
    assert!(futures_util::poll!(&mut cancelled).is_pending());
    until(|| control.logins() == 1).await;
    drop(cancelled);
    control.release();
    let response = call(&api, &credentials, get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!((control.logins(), api.count()), (1, 1));
}

/// Counts the instances that are ready and not yet called.
struct Slots {
    held: Arc<AtomicUsize>,
    ready: bool,
}

impl Clone for Slots {
    fn clone(&self) -> Self {
        Self {
            held: Arc::clone(&self.held),
            ready: false,
        }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if self.ready {
            self.held.fetch_sub(1, SeqCst);
        }
    }
}

impl Service<Request<Full<Bytes>>> for Slots {
    type Response = ApiResponse;
    type Error = Error;
    type Future = std::future::Ready<Result<ApiResponse, Error>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Error>> {
        if !self.ready {
            self.ready = true;
            self.held.fetch_add(1, SeqCst);
        }
        Ok(()).into()
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        assert!(self.ready, "called without being ready");
        self.ready = false;
        self.held.fetch_sub(1, SeqCst);
        let carried = request.headers().get("authorization");
        std::future::ready(Ok(match carried {
            Some(value) if value == "Bearer token-2" => response(200, ""),
            _ => response(401, ""),
        }))
    }
}

#[tokio::test]
async fn rule_4_no_readied_service_is_held_through_a_wait() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let held = Arc::new(AtomicUsize::new(0));
    let slots = Slots {
        held: Arc::clone(&held),
        ready: false,
    };
    let during = Arc::clone(&held);
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    control.during_login(move || {
        seen.fetch_max(during.load(SeqCst), SeqCst);
        async {}
    });
    let mut service = AuthLayer::new(credentials).layer(slots);
    let response = service
        .ready()
        .await
        .unwrap()
        .call(get("https://api.example.com/"))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(control.logins(), 2);
    assert_eq!(most.load(SeqCst), 0, "no slot was held during a login");
    assert_eq!(held.load(SeqCst), 0);
}

/// Ready only once it is opened. Responds with 200 to `token-2` and with 500 to any other.
#[derive(Clone, Default)]
struct Gated {
    open: Arc<std::sync::atomic::AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Service<Request<Full<Bytes>>> for Gated {
    type Response = ApiResponse;
    type Error = Error;
    type Future = std::future::Ready<Result<ApiResponse, Error>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Error>> {
        self.asked.fetch_add(1, SeqCst);
        if self.open.load(SeqCst) {
            return std::task::Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let token = request.headers()["authorization"].to_str().unwrap();
        std::future::ready(Ok(response(
            if token == "Bearer token-2" { 200 } else { 500 },
            "",
        )))
    }
}

#[tokio::test]
async fn rule_7_a_credential_rejected_while_the_service_becomes_ready_is_not_sent() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let gated = Gated::default();
    let mut service = AuthLayer::new(credentials.clone()).layer(gated.clone());
    let mut call = Box::pin(service.call(get("https://api.example.com/")));
    assert!(futures_util::poll!(&mut call).is_pending());
    until(|| credentials.fresh().is_some()).await;
    while gated.asked.load(SeqCst) == 0 {
        assert!(futures_util::poll!(&mut call).is_pending());
    }
    let first = credentials.fresh().unwrap();
    Attempt::new(&credentials, &first).rejected();
    gated.open.store(true, SeqCst);
    assert_eq!(call.await.unwrap().status(), 200);
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn a_uri_too_long_for_the_query_pair_is_a_typed_error() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::Query).build();
    credentials.get().await.unwrap();
    let api = Api::new(|_| response(200, ""));
    let url = format!("https://api.example.com/{}", "x".repeat(65_510));
    let error = call(&api, &credentials, get(&url)).await.unwrap_err();
    assert!(
        error.downcast_ref::<auth_core::InvalidValue>().is_some(),
        "{error:?}"
    );
    assert_eq!(api.count(), 0);
}

#[tokio::test]
async fn the_layer_wraps_a_hyper_client_whatever_its_judge_wants() {
    let api = Api::new(|seen| match seen.bearer() {
        Some("token-1") => response(403, "session expired"),
        _ => response(403, "you may not"),
    });
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).judge(BodyJudge).build();
    let executor = hyper_util::rt::TokioExecutor::new();
    let client = hyper_util::client::legacy::Client::builder(executor).build_http::<Full<Bytes>>();
    let service = tower::ServiceBuilder::new()
        .layer(AuthLayer::new(credentials))
        .service(client);
    let response = service.oneshot(get(&format!("{origin}/"))).await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "you may not"
    );
    assert_eq!((control.logins(), api.count()), (2, 2));
}
