//! Contexts applied to every request of a future.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;
#[path = "common/follow.rs"]
mod follow;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use auth_core::{Ask, Credentials};
use auth_middleware::{AuthContext, AuthLayer, Redirects};
use bytes::Bytes;
use common::{Api, ORIGIN, Script, get, response, until};
use follow::moved;
use futures_util::FutureExt;
use http::Request;
use http_body_util::Full;
use tower::{Layer, Service, ServiceExt, service_fn};

async fn send(api: &Api, credentials: &Credentials, request: Request<Full<Bytes>>) {
    let api = api.clone();
    AuthLayer::new(credentials.clone())
        .layer(service_fn(move |request| api.clone().handle(request)))
        .oneshot(request)
        .await
        .unwrap();
}

fn tokens(api: &Api) -> Vec<Option<String>> {
    let seen = api.seen();
    seen.iter()
        .map(|seen| seen.bearer().map(str::to_owned))
        .collect()
}

fn some(tokens: &[&str]) -> Vec<Option<String>> {
    tokens
        .iter()
        .map(|token| (*token != "-").then(|| (*token).to_owned()))
        .collect()
}

fn me() -> Request<Full<Bytes>> {
    get("https://api.example.com/me")
}

#[tokio::test]
async fn an_applied_context_holds_for_every_request_of_its_future_and_a_requests_own_replaces_it() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let (other, _) = Script::at(ORIGIN).prefix("other").build();
    let api = Api::new(|_| response(200, ""));
    AuthContext::new()
        .identity(other)
        .apply_to(async {
            send(&api, &credentials, me()).await;
            tokio::task::yield_now().await;
            send(&api, &credentials, me()).await;
            let mut own = me();
            own.extensions_mut().insert(AuthContext::new());
            send(&api, &credentials, own).await;
        })
        .await;
    send(&api, &credentials, me()).await;
    assert_eq!(
        tokens(&api),
        some(&["other-1", "other-1", "token-1", "token-1"])
    );
}

#[tokio::test]
async fn an_inner_context_hides_the_outer_one_until_it_ends() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let (other, _) = Script::at(ORIGIN).prefix("other").build();
    let api = Api::new(|_| response(200, ""));
    AuthContext::new()
        .identity(other)
        .apply_to(async {
            AuthContext::skip()
                .apply_to(send(&api, &credentials, me()))
                .await;
            send(&api, &credentials, me()).await;
        })
        .await;
    assert_eq!(tokens(&api), some(&["-", "other-1"]));
}

#[tokio::test]
async fn two_futures_on_one_thread_do_not_see_each_others_context() {
    let (credentials, _) = Script::at(ORIGIN).build();
    let api = Api::new(|_| response(200, ""));
    let skipping = AuthContext::skip().apply_to(async {
        tokio::task::yield_now().await;
        send(&api, &credentials, me()).await;
    });
    let plain = async {
        send(&api, &credentials, me()).await;
        tokio::task::yield_now().await;
    };
    futures_util::join!(skipping, plain);
    let mut seen = tokens(&api);
    seen.sort();
    assert_eq!(seen, some(&["-", "token-1"]));
}

#[test]
fn a_panic_in_an_applied_context_leaks_no_identity_to_the_next_task_of_the_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (credentials, _) = Script::at(ORIGIN).build();
    let (other, _) = Script::at(ORIGIN).prefix("other").build();
    let api = Api::new(|_| response(200, ""));
    let panicking = AuthContext::new().identity(other).apply_to(async {
        tokio::task::yield_now().await;
        panic!("on purpose");
    });
    let caught = catch_unwind(AssertUnwindSafe(|| runtime.block_on(panicking)));
    let message = *caught.unwrap_err().downcast::<&str>().unwrap();
    assert_eq!(message, "on purpose", "the panic passes through");
    runtime.block_on(send(&api, &credentials, me()));
    assert_eq!(tokens(&api), some(&["token-1"]));
}

#[tokio::test]
async fn renewed_in_an_applied_context_is_one_renewal() {
    let (credentials, control) = Script::at(ORIGIN).build();
    credentials.get().await.unwrap();
    let api = Api::new(|_| response(200, ""));
    AuthContext::new()
        .ask(Ask::new().renewed())
        .apply_to(async {
            for _ in 0..3 {
                send(&api, &credentials, me()).await;
            }
        })
        .await;
    assert_eq!(tokens(&api), some(&["token-2"; 3]));
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn within_bounds_the_wait() {
    let (credentials, control) = Script::at(ORIGIN).build();
    control.hold();
    let api = Api::new(|_| response(200, ""));
    let layer = AuthLayer::new(credentials);
    let inner = api.clone();
    let service = layer.layer(service_fn(move |request| inner.clone().handle(request)));
    let mut request = me();
    let wait = Duration::from_secs(3);
    request
        .extensions_mut()
        .insert(AuthContext::new().ask(Ask::new().within(wait)));
    let mut call = Box::pin(service.oneshot(request));
    assert!(futures_util::poll!(&mut call).is_pending());
    until(|| control.logins() == 1).await;
    control.clock.advance(Duration::from_millis(2_999));
    tokio::task::yield_now().await;
    assert!(futures_util::poll!(&mut call).is_pending());
    control.clock.advance(Duration::from_millis(1));
    let error = call.await.unwrap_err();
    let error: &auth_core::Error = error.downcast_ref().unwrap();
    assert!(
        matches!(error, auth_core::Error::DeadlinePassed { waited } if *waited == wait),
        "{error:?}"
    );
    assert_eq!(api.count(), 0);
}

/// As where a worker calls the service, and the caller polls its future.
#[tokio::test]
async fn rule_16_a_context_that_is_applied_to_the_future_alone_is_that_of_no_hop() {
    let script = |prefix| Script::at(ORIGIN).prefix(prefix).build().0;
    let [alice, bob] = ["alice", "bob"].map(script);
    let api = Api::new(|seen| match seen.uri.path() {
        "/me" => moved(302, "/next".parse().unwrap()),
        _ => response(200, ""),
    });
    let server = api.clone();
    let follows = AuthLayer::new(alice).follow_redirects(Redirects::new());
    let mut service = follows.layer(service_fn(move |request| server.clone().handle(request)));
    let sent = service.ready().await.unwrap().call(me());
    let as_bob = AuthContext::new().identity(bob);
    as_bob.apply_to(sent).await.unwrap();
    assert_eq!(tokens(&api), some(&["alice-1", "alice-1"]));
}

#[tokio::test]
async fn rule_16_what_a_layer_below_the_redirects_applies_is_not_hidden() {
    let script = |prefix| Script::at(ORIGIN).prefix(prefix).build().0;
    let api = Api::new(|seen| match seen.uri.path() {
        "/me" => moved(302, "/next".parse().unwrap()),
        _ => response(200, ""),
    });
    let server = api.clone();
    let carol = AuthLayer::new(script("carol"));
    let below = carol.layer(service_fn(move |request| server.clone().handle(request)));
    let skips =
        service_fn(move |request| AuthContext::skip().apply_to(below.clone().oneshot(request)));
    let alice = AuthLayer::new(script("alice"));
    let follows = alice.follow_redirects(Redirects::new()).layer(skips);
    follows.oneshot(me()).await.unwrap();
    assert_eq!(tokens(&api), some(&["alice-1", "alice-1"]));
}

#[test]
fn apply_to_is_ready_at_once_if_its_future_is() {
    assert_eq!(
        AuthContext::new().apply_to(async { 7 }).now_or_never(),
        Some(7)
    );
}
