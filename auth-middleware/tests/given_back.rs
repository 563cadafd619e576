//! What is given back where it is not used: permits, renewals, and a session that nobody has ended.

#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use auth_core::{Ask, Attempt, Conclusion, LoginError};
use auth_middleware::{AuthContext, AuthLayer, BoxError};
use bytes::Bytes;
use common::{Answer, Api, Kind, ORIGIN, Script, answer, get, until};
use futures_util::poll;
use http::Request;
use http_body_util::Full;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceExt};

#[tokio::test]
async fn rule_4_a_request_that_cant_be_sent_gives_its_permit_back() {
    let (credentials, _) = Script::at(ORIGIN).kind(Kind::Query).build();
    credentials.get().await.unwrap();
    let api = Api::new(|_| answer(200, ""));
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
        "nothing of the first one's is under way"
    );
}

#[tokio::test]
async fn a_renewal_that_was_not_made_is_due_again() {
    let (credentials, control) = Script::at(ORIGIN).build();
    credentials.get().await.unwrap();
    let api = Api::new(|_| answer(200, ""));
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
        "the first one was dropped before it asked"
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
        "one renewal was asked for, and has been made"
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
    control.hands.advance(std::time::Duration::from_secs(60));
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
        "a failed one is tried again by whoever comes next"
    );
}

#[tokio::test]
async fn rule_15_an_unclear_answers_cookies_are_not_looked_at() {
    for (status, logins) in [(502, 1), (200, 2)] {
        let (credentials, control) = Script::at(ORIGIN).kind(Kind::Cookie).build();
        let api = Api::new(move |_| {
            let mut answer = answer(status, "");
            let gone = "sid=; Max-Age=0".parse().unwrap();
            answer.headers_mut().append("set-cookie", gone);
            answer
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

/// A service whose readiness is up to the test.
#[derive(Clone, Default)]
struct Gate {
    open: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    sent: Arc<Mutex<Vec<String>>>,
}

impl Service<Request<Full<Bytes>>> for Gate {
    type Response = Answer;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Answer, BoxError>>;

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
        std::future::ready(Ok(answer(200, "")))
    }
}

#[tokio::test]
async fn rule_7_what_was_rejected_while_the_service_was_made_ready_is_not_sent() {
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
        // It helped somebody else, so its rejection is believed.
        Attempt::new(&credentials, &held).replay(&held).accepted();
        let rejection = Attempt::new(&credentials, &held).rejected();
        assert_eq!(rejection, Conclusion::Replay);
        gate.open.store(true, SeqCst);
        assert!(poll!(&mut call).is_pending(), "it asks again");
        gate.open.store(false, SeqCst);
        control.release();
        until(|| credentials.fresh().is_some()).await;
    }
    gate.open.store(true, SeqCst);
    call.await.unwrap();
    assert_eq!(*gate.sent.lock().unwrap(), ["Bearer token-3"]);
}
