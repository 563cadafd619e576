//! What is released where it is not used: permits, renewals, and a session that did not end.

#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use auth_core::{Ask, Attempt, Conclusion, LoginError};
use auth_middleware::{AuthContext, AuthLayer, BoxError};
use bytes::Bytes;
use common::{Api, ApiResponse, Kind, ORIGIN, Script, get, response, until};
use futures_util::poll;
use http::Request;
use http_body_util::Full;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

#[tokio::test]
async fn rule_4_a_request_that_cant_be_sent_releases_its_permit() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::Query).build();
    credentials.get().await.unwrap();
    let api = Api::new(|_| response(200, ""));
    let handle = move |request: Request<Full<Bytes>>| api.clone().handle(request);
    let inner = ConcurrencyLimit::new(tower::service_fn(handle), 1);
    let mut one = AuthLayer::new(credentials).layer(inner);
    let mut other = one.clone();
    let too_long = format!("{ORIGIN}/{}", "x".repeat(65_510));
    assert!(
        one.ready()
            .await
            .unwrap()
            .call(get(&too_long))
            .await
            .is_err()
    );
    assert!(
        poll!(Box::pin(other.ready())).is_ready(),
        "the first request holds no permit"
    );
}

#[tokio::test]
async fn rule_4_a_request_that_lacks_no_part_of_the_session_keeps_its_permit() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::Lacking).build();
    credentials.get().await.unwrap();
    let api = Api::accepting("token-1");
    let handle = move |request: Request<Full<Bytes>>| api.clone().handle(request);
    let inner = ConcurrencyLimit::new(tower::service_fn(handle), 1);
    let mut one = AuthLayer::new(credentials).layer(inner);
    let mut other = one.clone();
    let url = format!("{ORIGIN}/");
    let sent = one.ready().await.unwrap().call(get(&url));
    assert!(
        poll!(Box::pin(other.ready())).is_pending(),
        "a part that only writes lack makes no read wait"
    );
    assert_eq!(sent.await.unwrap().status(), 200);
}

#[tokio::test]
async fn rule_4_a_login_through_its_own_integration_releases_its_permit() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::new(|_| response(200, ""));
    let handle = move |request: Request<Full<Bytes>>| api.clone().handle(request);
    let inner = ConcurrencyLimit::new(tower::service_fn(handle), 1);
    let service = AuthLayer::new(credentials.clone()).layer(inner);
    let released = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&released);
    control.during_login(move || {
        let (mut one, seen) = (service.clone(), Arc::clone(&seen));
        async move {
            let mut other = one.clone();
            let login = get(&format!("{ORIGIN}/login"));
            one.ready().await.unwrap().call(login).await.unwrap_err();
            let ready = poll!(Box::pin(other.ready())).is_ready();
            seen.store(ready, SeqCst);
        }
    });
    credentials.get().await.unwrap();
    assert!(released.load(SeqCst));
}

#[tokio::test]
async fn rule_4_a_permit_whose_credential_has_ended_is_released_before_the_next_wait() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let api = Api::accepting("token-2");
    let handle = move |request: Request<Full<Bytes>>| api.clone().handle(request);
    let inner = ConcurrencyLimit::new(tower::service_fn(handle), 1);
    let (mut first, mut second) = (inner.clone(), inner.clone());
    let mut service = AuthLayer::new(credentials.clone()).layer(inner);
    let ready = service.ready().await.unwrap();
    let mut call = Box::pin(ready.call(get(&format!("{ORIGIN}/"))));
    assert!(poll!(&mut call).is_pending(), "it waits for a credential");
    first.ready().await.unwrap();
    until(|| credentials.fresh().is_some()).await;
    assert!(poll!(&mut call).is_pending(), "it waits for a permit");
    control.hold();
    let held = credentials.fresh().unwrap();
    Attempt::new(&credentials, &held).rejected();
    drop(first);
    assert!(
        poll!(&mut call).is_pending(),
        "it waits for another credential"
    );
    assert!(
        poll!(Box::pin(second.ready())).is_ready(),
        "the permit that came meanwhile is released"
    );
    drop(second);
    control.release();
    assert_eq!(call.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_renewal_that_was_not_made_is_due_again() {
    let (credentials, control) = Script::at(ORIGIN).build();
    credentials.get().await.unwrap();
    let api = Api::new(|_| response(200, ""));
    let handle = move |request: Request<Full<Bytes>>| api.clone().handle(request);
    let mut service = AuthLayer::new(credentials.clone()).layer(tower::service_fn(handle));
    let context = AuthContext::new().ask(Ask::new().renewed());
    let request = || {
        let mut request = get(&format!("{ORIGIN}/"));
        request.extensions_mut().insert(context.clone());
        request
    };
    drop(service.ready().await.unwrap().call(request()));
    service
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    assert_eq!(
        control.logins(),
        2,
        "the first request was dropped before it asked"
    );
    service
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    assert_eq!(
        control.logins(),
        2,
        "one renewal was asked for, and it was made"
    );

    let context = AuthContext::new().ask(Ask::new().renewed());
    let request = || {
        let mut request = get(&format!("{ORIGIN}/"));
        request.extensions_mut().insert(context.clone());
        request
    };
    control.fail_next(LoginError::unavailable("status 503"));
    assert!(
        service
            .ready()
            .await
            .unwrap()
            .call(request())
            .await
            .is_err()
    );
    control.clock.advance(std::time::Duration::from_secs(60));
    service
        .ready()
        .await
        .unwrap()
        .call(request())
        .await
        .unwrap();
    assert_eq!(
        control.logins(),
        4,
        "the next request repeats a failed renewal"
    );
}

#[tokio::test]
async fn rule_15_the_cookies_of_an_unclear_response_are_ignored() {
    for (status, logins) in [(502, 1), (200, 2)] {
        let (credentials, control) = Script::at(ORIGIN).kind(Kind::Cookie).build();
        let api = Api::new(move |_| {
            let mut response = response(status, "");
            let gone = "sid=; Max-Age=0".parse().unwrap();
            response.headers_mut().append("set-cookie", gone);
            response
        });
        let handle = move |request: Request<Full<Bytes>>| api.clone().handle(request);
        let mut service = AuthLayer::new(credentials).layer(tower::service_fn(handle));
        for _ in 0..2 {
            let request = get(&format!("{ORIGIN}/"));
            service.ready().await.unwrap().call(request).await.unwrap();
        }
        assert_eq!(control.logins(), logins, "status {status}");
    }
}

/// A service whose readiness the test controls.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Service<Request<Full<Bytes>>> for Gate {
    type Response = ApiResponse;
    type Error = BoxError;
    type Future = std::future::Ready<Result<ApiResponse, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.asked.fetch_add(1, SeqCst);
        if self.open.load(SeqCst) {
            return Poll::Ready(Ok(()));
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let bearer = request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned();
        self.sent.lock().unwrap().push(bearer);
        std::future::ready(Ok(response(200, "")))
    }
}

#[tokio::test]
async fn rule_7_a_credential_rejected_again_while_the_service_becomes_ready_is_not_sent() {
    let (credentials, control) = Script::at(ORIGIN).build();
    let gate = Gate::default();
    let mut service = AuthLayer::new(credentials.clone()).layer(gate.clone());
    let mut call = Box::pin(service.call(get(&format!("{ORIGIN}/"))));
    for _ in 0..2 {
        gate.open.store(false, SeqCst);
        let asked = gate.asked.load(SeqCst);
        while gate.asked.load(SeqCst) == asked {
            assert!(poll!(&mut call).is_pending());
            tokio::task::yield_now().await;
        }
        control.hold();
        let held = credentials.fresh().unwrap();
        // A replay with it was accepted, so its rejection is believed.
        Attempt::new(&credentials, &held).replay(&held).accepted();
        let conclusion = Attempt::new(&credentials, &held).rejected();
        assert_eq!(conclusion, Conclusion::Replay);
        gate.open.store(true, SeqCst);
        assert!(
            poll!(&mut call).is_pending(),
            "it asks for a credential again"
        );
        gate.open.store(false, SeqCst);
        control.release();
        until(|| credentials.fresh().is_some()).await;
    }
    gate.open.store(true, SeqCst);
    call.await.unwrap();
    assert_eq!(*gate.sent.lock().unwrap(), ["Bearer token-3"]);
}
