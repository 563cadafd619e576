//! A user's cookie jar beside the cookies of sessions, through both integrations.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use auth_core::{Attempt, Credentials};
use auth_middleware::{AuthContext, AuthLayer, AuthMiddleware, ClientError, CookieJar, Redirects};
use bytes::Bytes;
use common::{Api, Kind, Script, response};
use http::{HeaderValue, Request};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::ClientBuilder;
use tower::{ServiceBuilder, ServiceExt};

/// A jar that sends every cookie everywhere.
#[derive(Clone, Default)]
struct Jar(Arc<Mutex<BTreeMap<String, String>>>);

impl CookieJar for Jar {
    fn cookies(&self, _: &str) -> Option<HeaderValue> {
        let cookies = self.0.lock().unwrap();
        let pairs: Vec<String> = (cookies.iter())
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!pairs.is_empty()).then(|| HeaderValue::try_from(pairs.join("; ")).unwrap())
    }

    fn store(&self, set_cookies: &mut dyn Iterator<Item = &HeaderValue>, url: &str) {
        assert!(!url.contains("csrf"), "the jar sees no secret: {url}");
        for line in set_cookies {
            let pair = line.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.lock().unwrap().insert(name.into(), value.into());
        }
    }
}

/// A load balancer's cookie, and a session's.
fn api() -> Api {
    Api::new(|seen| {
        let mut response = match seen.cookie() {
            Some(cookie) if cookie.contains("sid=bad") => response(401, ""),
            _ => response(200, ""),
        };
        for line in ["lb=node7; Path=/", "sid=rolled; Path=/"] {
            let line = HeaderValue::from_static(line);
            response.headers_mut().append("set-cookie", line);
        }
        response
    })
}

async fn send(tower: bool, jar: &Jar, credentials: &Credentials, url: &str, context: AuthContext) {
    if tower {
        let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let auth = AuthLayer::new(credentials.clone()).jar(Arc::new(jar.clone()));
        let service = ServiceBuilder::new()
            .layer(auth.follow_redirects(Redirects::new()))
            .service(client);
        let request = Request::get(url).extension(context);
        let request = request.body(Full::default()).unwrap();
        service.oneshot(request).await.unwrap();
    } else {
        let builder = reqwest::Client::builder();
        let (client, auth) = AuthMiddleware::with_client(builder, credentials.clone()).unwrap();
        let client = ClientBuilder::new(client)
            .with(auth.jar(jar.clone()))
            .build();
        let request = client.get(url).with_extension(context);
        request.send().await.unwrap();
    }
}

#[tokio::test]
async fn rule_15_a_users_jar_is_merged_and_the_sessions_cookies_stay_out_of_it() {
    for tower in [false, true] {
        let (api, jar) = (api(), Jar::default());
        let origin = api.serve().await;
        let (mine, _) = Script::at(&origin).kind(Kind::Cookie).build();
        let (other, _) = Script::at(&origin).kind(Kind::All).prefix("other").build();
        for _ in 0..2 {
            send(tower, &jar, &mine, &origin, AuthContext::new()).await;
        }
        let as_other = AuthContext::new().identity(other.clone());
        send(tower, &jar, &mine, &origin, as_other.clone()).await;
        send(tower, &jar, &mine, &origin, AuthContext::skip()).await;
        let cookies: Vec<_> = (api.seen().iter())
            .map(|seen| seen.cookie().unwrap_or_default().to_owned())
            .collect();
        let expected = [
            "sid=token-1",
            "lb=node7; sid=rolled",
            "lb=node7; sid=other-1",
            "lb=node7",
        ];
        assert_eq!(cookies, expected, "tower: {tower}");
        let kept: Vec<_> = jar.0.lock().unwrap().clone().into_keys().collect();
        assert_eq!(kept, ["lb"], "tower: {tower}");
    }
}

#[tokio::test]
async fn rule_15_the_jar_takes_part_in_requests_that_waited_and_in_replays() {
    for tower in [false, true] {
        let jar = Jar::default();
        jar.0.lock().unwrap().insert("ui".into(), "dark".into());
        let api = Api::accepting("token-2");
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).kind(Kind::Cookie).build();
        // The first attempt waits for the login, and is rejected.
        send(tower, &jar, &credentials, &origin, AuthContext::new()).await;
        let cookies: Vec<_> = (api.seen().iter())
            .map(|seen| seen.cookie().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(cookies, ["ui=dark; sid=token-1", "ui=dark; sid=token-2"]);
        assert_eq!(control.logins(), 2);
    }
}

#[tokio::test]
async fn rule_16_a_foreign_request_carries_the_jars_cookies_alone() {
    for tower in [false, true] {
        let (api, jar) = (api(), Jar::default());
        let origin = api.serve().await;
        let (credentials, control) = Script::at(common::ORIGIN).kind(Kind::Cookie).build();
        for _ in 0..2 {
            send(tower, &jar, &credentials, &origin, AuthContext::new()).await;
        }
        // Out of the scope, a namesake belongs to another server.
        assert_eq!(api.seen()[1].cookie(), Some("lb=node7; sid=rolled"));
        assert_eq!(control.logins(), 0);
    }
}

#[tokio::test]
async fn rule_16_a_hop_without_a_credential_leaves_no_cookie_of_its_own_identity_in_the_jar() {
    for tower in [false, true] {
        let (api, jar) = (api(), Jar::default());
        let origin = api.serve().await;
        let there = HeaderValue::try_from(&origin).unwrap();
        let foreign = Api::new(move |_| {
            let mut response = response(302, "");
            response.headers_mut().insert("location", there.clone());
            response
        });
        let elsewhere = foreign.serve().await;
        let (mine, _) = Script::at(common::ORIGIN).kind(Kind::All).build();
        let (other, _) = Script::at(&origin).kind(Kind::Cookie).build();
        other.get().await.unwrap();
        let as_other = AuthContext::new().identity(other);
        send(tower, &jar, &mine, &elsewhere, as_other).await;
        assert_eq!(api.seen()[0].cookie(), None, "it begins out of the scope");
        let kept: Vec<_> = jar.0.lock().unwrap().clone().into_keys().collect();
        assert_eq!(kept, ["lb"], "tower: {tower}");
    }
}

#[tokio::test]
async fn rule_16_a_hop_that_an_outer_integration_follows_leaves_an_inner_jar_as_it_is() {
    for tower in [false, true] {
        let (api, jar) = (api(), Jar::default());
        let origin = api.serve().await;
        let there = HeaderValue::try_from(&origin).unwrap();
        let outer = Api::new(move |_| {
            let mut response = response(302, "");
            response.headers_mut().insert("location", there.clone());
            response
        });
        let at_outer = outer.serve().await;
        let (alice, _) = Script::at(&at_outer).prefix("alice").build();
        let (bob, _) = Script::at(&origin).kind(Kind::Cookie).build();
        bob.get().await.unwrap();
        if tower {
            let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let service = ServiceBuilder::new()
                .layer(AuthLayer::new(alice).follow_redirects(Redirects::new()))
                .layer(AuthLayer::new(bob).jar(jar.clone()))
                .service(client);
            let request = Request::get(&at_outer).body(Full::default()).unwrap();
            service.oneshot(request).await.unwrap();
        } else {
            let builder = reqwest::Client::builder();
            let (client, auth) = AuthMiddleware::with_client(builder, alice).unwrap();
            let inner = AuthMiddleware::for_client(&client, bob).unwrap();
            let inner = inner.redirects(Redirects::none()).jar(jar.clone());
            let client = ClientBuilder::new(client).with(auth).with(inner).build();
            client.get(&at_outer).send().await.unwrap();
        }
        assert_eq!(api.seen()[0].cookie(), None, "tower: {tower}");
        let kept: Vec<_> = jar.0.lock().unwrap().clone().into_keys().collect();
        assert_eq!(kept, ["lb"], "tower: {tower}");
    }
}

#[tokio::test]
async fn rule_16_a_cookie_of_the_session_stays_out_of_the_jar_after_the_session_has_ended() {
    for tower in [false, true] {
        let (api, jar) = (api(), Jar::default());
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).kind(Kind::Cookie).build();
        let ended = credentials.get().await.unwrap();
        control.hold();
        Attempt::new(&credentials, &ended).rejected();
        send(tower, &jar, &credentials, &origin, AuthContext::skip()).await;
        let kept: Vec<_> = jar.0.lock().unwrap().clone().into_keys().collect();
        assert_eq!(kept, ["lb"], "tower: {tower}");
        control.release();
    }
}

#[tokio::test]
async fn rule_16_a_clients_own_jar_is_taken_away_since_it_would_keep_the_sessions_cookies() {
    let api = api();
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).kind(Kind::Cookie).build();
    let builder = reqwest::Client::builder().cookie_store(true);
    let client = AuthMiddleware::build_client(builder, credentials).unwrap();
    for context in [AuthContext::new(), AuthContext::skip()] {
        let request = client.get(&origin).with_extension(context);
        request.send().await.unwrap();
    }
    let seen = api.seen();
    let cookies: Vec<_> = seen.iter().map(common::Seen::cookie).collect();
    assert_eq!(cookies, [Some("sid=token-1"), None]);
}

/// This pins what reqwest's `Debug` shows.
#[test]
fn rule_16_a_client_that_keeps_cookies_is_refused() {
    let (credentials, _) = Script::at(common::ORIGIN).kind(Kind::Cookie).build();
    let text = HeaderValue::from_static("Client { cookie_store: true");
    let builder = || {
        let headers = [(http::header::USER_AGENT, text.clone())];
        let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        builder.default_headers(headers.into_iter().collect())
    };
    let check = |builder: reqwest::ClientBuilder| {
        AuthMiddleware::for_client(&builder.build().unwrap(), credentials.clone())
    };
    assert!(check(builder()).is_ok());
    let jar = Arc::new(reqwest::cookie::Jar::default());
    for with_jar in [builder().cookie_store(true), builder().cookie_provider(jar)] {
        let refused = check(with_jar);
        assert!(
            matches!(refused, Err(ClientError::KeepsCookies)),
            "{refused:?}"
        );
    }
}

/// A client that follows redirects by itself, in a middleware that is told not to.
#[tokio::test]
async fn rule_16_a_jar_hears_no_cookie_of_another_url_than_the_one_that_was_sent() {
    let far = api();
    let to: HeaderValue = far.serve().await.parse().unwrap();
    let near = Api::new(move |_| {
        let mut response = response(302, "");
        response.headers_mut().insert("location", to.clone());
        response
    });
    let at_near = near.serve().await;
    let (credentials, _) = Script::at(common::ORIGIN).build();
    for redirects in [Redirects::new(), Redirects::none()] {
        let jar = Jar::default();
        let auth = AuthMiddleware::assuming_no_redirects(credentials.clone());
        let auth = auth.redirects(redirects).jar(jar.clone());
        let client = ClientBuilder::new(reqwest::Client::new()).with(auth);
        let response = client.build().get(&at_near).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(jar.0.lock().unwrap().is_empty());
    }
    assert_eq!(far.count(), 2);
}

#[tokio::test]
async fn rule_7_a_jar_hears_the_cookies_of_a_url_with_a_fragment() {
    let api = api();
    let origin = api.serve().await;
    let (credentials, _) = Script::at(common::ORIGIN).build();
    let jar = Jar::default();
    let auth = AuthMiddleware::assuming_no_redirects(credentials);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = ClientBuilder::new(client.build().unwrap()).with(auth.jar(jar.clone()));
    let url = format!("{origin}/#part");
    client.build().get(url).send().await.unwrap();
    let kept: Vec<_> = jar.0.lock().unwrap().clone().into_keys().collect();
    assert_eq!(kept, ["lb", "sid"]);
}

/// Sends a request through a stack: the outer integration has the jar, and the inner one has not.
async fn send_through_both(
    tower: bool,
    jar: &Jar,
    (outer, inner): (&Credentials, &Credentials),
    url: &str,
) {
    let (outer, inner) = (outer.clone(), inner.clone());
    if tower {
        let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let service = ServiceBuilder::new()
            .layer(AuthLayer::new(outer).jar(jar.clone()))
            .layer(AuthLayer::new(inner))
            .service(client);
        let request = Request::get(url).body(Full::default()).unwrap();
        service.oneshot(request).await.unwrap();
    } else {
        let builder = reqwest::Client::builder();
        let (client, auth) = AuthMiddleware::with_client(builder, outer).unwrap();
        let below = AuthMiddleware::for_client(&client, inner).unwrap();
        let client = ClientBuilder::new(client)
            .with(auth.jar(jar.clone()))
            .with(below);
        client.build().get(url).send().await.unwrap();
    }
}

#[tokio::test]
async fn rule_16_in_a_stack_no_cookie_of_an_inner_session_enters_an_outer_jar() {
    for tower in [false, true] {
        let [api, foreign] = [api(), api()];
        let (origin, elsewhere) = (api.serve().await, foreign.serve().await);
        // The outer one has its credential on the same requests, or on none of them.
        for at_outer in [&*origin, common::ORIGIN] {
            let jar = Jar::default();
            let names = || jar.0.lock().unwrap().clone().into_keys();
            let (outer, _) = Script::at(at_outer).build();
            let (inner, control) = Script::at(&origin).kind(Kind::Cookie).build();
            let both = (&outer, &inner);
            for _ in 0..2 {
                send_through_both(tower, &jar, both, &origin).await;
            }
            assert!(names().eq(["lb"]), "tower: {tower} {at_outer}");
            let cookies: Vec<_> = (api.seen().iter().rev())
                .map(|seen| seen.cookie().unwrap_or_default().to_owned())
                .collect();
            assert_eq!(cookies[..2], ["lb=node7; sid=rolled", "sid=token-1"]);
            assert_eq!(control.logins(), 1);
            // A namesake belongs to another server.
            send_through_both(tower, &jar, both, &elsewhere).await;
            assert!(names().eq(["lb", "sid"]), "tower: {tower} {at_outer}");
        }
    }
}

#[tokio::test]
async fn rule_5_with_a_jar_extensions_that_are_used_again_bring_no_identity_of_before() {
    for has_jar in [true, false] {
        let api = api();
        let origin = api.serve().await;
        let script = |prefix| Script::at(&origin).prefix(prefix).build().0;
        let [own, bob, carol] = ["own", "bob", "carol"].map(script);
        let builder = reqwest::Client::builder();
        let (client, mut auth) = AuthMiddleware::with_client(builder, own).unwrap();
        if has_jar {
            auth = auth.jar(Jar::default());
        }
        let client = ClientBuilder::new(client).with(auth).build();
        let mut extensions = http::Extensions::new();
        let contexts = [
            AuthContext::new().identity(bob),
            AuthContext::skip(),
            AuthContext::new().identity(carol),
        ];
        for context in contexts {
            let request = client.get(&origin).build().unwrap();
            let sent = client.execute_with_extensions(request, &mut extensions);
            context.apply_to(sent).await.unwrap();
        }
        let request = client.get(&origin).build().unwrap();
        let sent = client.execute_with_extensions(request, &mut extensions);
        sent.await.unwrap();
        let carried: Vec<_> = (api.seen().iter())
            .map(|seen| seen.bearer().map(ToOwned::to_owned))
            .collect();
        let expected = [Some("bob-1"), None, Some("carol-1"), Some("own-1")];
        assert_eq!(carried, expected.map(|token| token.map(ToOwned::to_owned)));
        assert!(extensions.get::<AuthContext>().is_none());
    }
}

/// Its cookies can't be told from others then.
#[tokio::test]
async fn rule_16_in_a_stack_nothing_enters_an_outer_jar_once_the_inner_session_is_closed() {
    for tower in [false, true] {
        let jar = Jar::default();
        let (outer, _) = Script::at(common::ORIGIN).build();
        let closes = Arc::new(Mutex::new(None::<Credentials>));
        let slot = Arc::clone(&closes);
        let api = Api::new(move |_| {
            let inner = slot.lock().unwrap().take().unwrap();
            futures_util::FutureExt::now_or_never(inner.close());
            let mut response = response(200, "");
            let rolled = HeaderValue::from_static("sid=rolled; Path=/");
            response.headers_mut().insert("set-cookie", rolled);
            response
        });
        let origin = api.serve().await;
        let (inner, _) = Script::at(&origin).kind(Kind::Cookie).build();
        inner.get().await.unwrap();
        *closes.lock().unwrap() = Some(inner.clone());
        send_through_both(tower, &jar, (&outer, &inner), &origin).await;
        assert_eq!(api.count(), 1);
        assert!(jar.0.lock().unwrap().is_empty(), "tower: {tower}");
    }
}
