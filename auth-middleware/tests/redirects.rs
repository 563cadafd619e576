//! Redirects, hop by hop, through both integrations, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;
#[path = "common/follow.rs"]
mod follow;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::testing::Scripted;
use auth_core::{
    Credentials, Event, Identity, Lifetime, Origin, Part, ResponseView, Scope, Session, Verdict,
    When,
};
use auth_middleware::{
    AuthContext, AuthLayer, AuthMiddleware, ClientError, RedirectError, Redirects, redirect_error,
};
use bytes::Bytes;
use common::{Api, Kind, Script, Seen, response};
use follow::{BOTH, Failed, Via, get, moved, post, redirecting, send};
use futures_util::FutureExt;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::Full;
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use reqwest::Client;
use reqwest::redirect::Policy;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tower::limit::ConcurrencyLimit;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

/// Nothing of a credential, and nothing that the caller wrote for another origin.
#[track_caller]
fn assert_bare(seen: &Seen) {
    for name in [
        "authorization",
        "cookie",
        "x-api-key",
        "referer",
        "x-mine",
        "x-sensitive",
        // Reqwest's own redirects leave these behind as well.
        "cookie2",
        "proxy-authorization",
        "www-authenticate",
        "sec-websocket-protocol",
    ] {
        assert!(!seen.headers.contains_key(name), "{name}: {seen:?}");
    }
    assert!(!format!("{seen:?}").contains("token-"), "{seen:?}");
}

fn private() -> Redirects {
    Redirects::new().private_header(HeaderName::from_static("x-mine"))
}

fn with_private_headers(mut request: Request<&'static str>) -> Request<&'static str> {
    let headers = request.headers_mut();
    headers.insert("authorization", HeaderValue::from_static("Basic mine"));
    headers.insert("cookie", HeaderValue::from_static("mine=1"));
    headers.insert("referer", HeaderValue::from_static("https://mine.example"));
    headers.insert("x-api-key", HeaderValue::from_static("mine"));
    headers.insert("x-mine", HeaderValue::from_static("mine"));
    for name in [
        "cookie2",
        "proxy-authorization",
        "www-authenticate",
        "sec-websocket-protocol",
    ] {
        headers.insert(name, HeaderValue::from_static("mine"));
    }
    let mut sensitive = HeaderValue::from_static("mine");
    sensitive.set_sensitive(true);
    headers.insert("x-sensitive", sensitive);
    headers.insert("x-plain", HeaderValue::from_static("plain"));
    request
}

#[tokio::test]
async fn rule_16_off_the_scope_goes_nothing_of_the_credential_on_any_hop() {
    for via in BOTH {
        for status in [301, 302, 303, 307, 308] {
            let last = Api::new(|_| response(200, "stored"));
            let storage = last.serve().await;
            let between = redirecting(status, &format!("{storage}/file"));
            let elsewhere = between.serve().await;
            let api = redirecting(status, &format!("{elsewhere}/away"));
            let origin = api.serve().await;
            let (credentials, control) = Script::at(&origin).kind(Kind::All).build();
            let request = with_private_headers(get(&format!("{origin}/away?a=1")));
            let got = send(via, &credentials, private(), request).await.unwrap();
            assert_eq!((got.status, &*got.body), (200, &b"stored"[..]));
            assert_eq!(api.seen()[0].bearer(), Some("token-1"));
            assert_bare(&between.seen()[0]);
            assert_bare(&last.seen()[0]);
            assert_eq!(last.seen()[0].headers["x-plain"], "plain");
            assert_eq!(control.logins(), 1);
        }
    }
}

#[tokio::test]
async fn rule_16_back_in_the_scope_the_credential_is_attached_anew_and_nothing_else() {
    for via in BOTH {
        let slot = Arc::new(Mutex::new(String::new()));
        let back = Arc::clone(&slot);
        let there = Api::new(move |_| {
            let location = back.lock().unwrap().parse().unwrap();
            moved(302, location)
        });
        let elsewhere = there.serve().await;
        let api = redirecting(302, &format!("{elsewhere}/there"));
        let origin = api.serve().await;
        *slot.lock().unwrap() = format!("{origin}/back");
        let (credentials, _) = Script::at(&origin).kind(Kind::All).build();
        let request = with_private_headers(get(&format!("{origin}/away")));
        let got = send(via, &credentials, private(), request).await.unwrap();
        assert_eq!(got.status, 200);
        assert_bare(&there.seen()[0]);
        let back = &api.seen()[1];
        assert_eq!(back.bearer(), Some("token-1"));
        assert_eq!(back.cookie(), Some("sid=token-1"));
        assert_eq!(back.uri, "/back?csrf=token-1");
        assert!(!back.headers.contains_key("x-mine"));
    }
}

#[tokio::test]
async fn rule_7_there_and_back_the_last_hop_is_judged_and_replayed_alone() {
    for via in BOTH {
        let slot = Arc::new(Mutex::new(String::new()));
        let back = Arc::clone(&slot);
        let there = Api::new(move |_| moved(302, back.lock().unwrap().parse().unwrap()));
        let elsewhere = there.serve().await;
        let location: HeaderValue = elsewhere.parse().unwrap();
        let api = Api::new(move |seen| match (seen.uri.path(), seen.bearer()) {
            ("/away", _) => moved(302, location.clone()),
            (_, Some("token-1")) => response(401, "revoked"),
            _ => response(200, "in"),
        });
        let origin = api.serve().await;
        *slot.lock().unwrap() = format!("{origin}/back");
        // Both are in scope.
        let (credentials, control) = Script::at(&origin).and(&elsewhere).build();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, private(), request).await.unwrap();
        assert_eq!((got.status, &*got.body), (200, &b"in"[..]));
        assert_eq!(there.seen()[0].bearer(), Some("token-1"));
        let paths: Vec<_> = api.seen().iter().map(|seen| seen.uri.to_string()).collect();
        assert_eq!(paths, ["/away", "/back", "/back"], "that hop alone");
        assert_eq!(control.logins(), 2);
    }
}

#[tokio::test]
async fn rule_7_a_foreign_401_at_the_end_of_the_way_changes_nothing() {
    for via in BOTH {
        let foreign = Api::new(|_| response(401, "who are you"));
        let elsewhere = foreign.serve().await;
        let api = redirecting(302, &elsewhere);
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).build();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, private(), request).await.unwrap();
        assert_eq!(got.status, 401);
        assert_eq!((control.logins(), api.count(), foreign.count()), (1, 1, 1));
        let credential = credentials.get().await.unwrap();
        assert_eq!(credential.stamp().generation(), 1);
    }
}

#[tokio::test]
async fn rule_7_a_401_to_a_request_that_carries_nothing_of_the_session_spends_no_login() {
    for via in BOTH {
        let api = Api::new(|_| response(401, ""));
        let origin = api.serve().await;
        let provider = Scripted::new(|_| {
            let writes = When::unsafe_methods();
            Ok(Session::new().with_part(Part::header("x-csrf", "c").when(writes))?)
        });
        let logins = provider.logins();
        let scope = Scope::only(Origin::parse(&origin).unwrap());
        let credentials = Credentials::builder(provider).scope(scope).build();
        for (request, sent, expected) in [(get(&origin), 1, 1), (post(&origin), 3, 2)] {
            let got = send(via, &credentials, Redirects::new(), request);
            assert_eq!(got.await.unwrap().status, 401);
            assert_eq!((api.count(), logins.count()), (sent, expected), "{via:?}");
        }
    }
}

#[tokio::test]
async fn rule_9_a_post_that_was_answered_303_has_been_done_and_is_not_sent_again() {
    for via in BOTH {
        let api = Api::new(|seen| match (seen.uri.path(), seen.bearer()) {
            ("/orders", _) => moved(303, HeaderValue::from_static("/orders/1")),
            (_, Some("token-1")) => response(401, "revoked"),
            _ => response(200, "order 1"),
        });
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let request = post(&format!("{origin}/orders"));
        let got = send(via, &credentials, private(), request).await.unwrap();
        assert_eq!((got.status, &*got.body), (200, &b"order 1"[..]));
        let seen: Vec<_> = (api.seen().iter())
            .map(|seen| (seen.method.clone(), seen.uri.to_string(), seen.body.len()))
            .collect();
        let order = || (Method::GET, "/orders/1".to_owned(), 0);
        let placed = (Method::POST, "/orders".to_owned(), 6);
        assert_eq!(seen, [placed, order(), order()]);
    }
}

#[tokio::test]
async fn methods_and_bodies_are_those_of_fetch() {
    for via in BOTH {
        for (status, sent, expected) in [
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (303, Method::POST, Method::GET),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
            (301, Method::PUT, Method::PUT),
            (302, Method::DELETE, Method::DELETE),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (303, Method::GET, Method::GET),
            (302, Method::HEAD, Method::HEAD),
            (302, Method::GET, Method::GET),
        ] {
            for body in ["", "a body"] {
                if sent == Method::HEAD && !body.is_empty() {
                    continue;
                }
                let api = redirecting(status, "/here#part");
                let origin = api.serve().await;
                let (credentials, _) = Script::at(&origin).build();
                let request = Request::builder()
                    .method(&sent)
                    .uri(format!("{origin}/away"))
                    .header("content-type", "text/plain")
                    .header("content-language", "en")
                    .body(body)
                    .unwrap();
                let got = send(via, &credentials, private(), request).await.unwrap();
                assert_eq!(got.status, 200);
                let seen = &api.seen()[1];
                assert_eq!(seen.method, expected, "{via:?} {status} {sent}");
                // What 303 leads to is got without a body (RFC 9110, section 15.4.4).
                let kept = if status == 303 { "" } else { body };
                let changes = expected != sent;
                let repeated = if changes { "" } else { kept };
                assert_eq!(seen.body, repeated, "{via:?} {status} {sent}");
                // They describe a body that is not there, or belong to another method.
                let keeps = !changes && kept == body;
                for name in ["content-language", "content-type"] {
                    let is_there = seen.headers.contains_key(name);
                    assert_eq!(is_there, keeps, "{via:?} {status} {sent} {body}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_no_redirect_to_follow_is_handed_to_the_caller() {
    for via in BOTH {
        for location in [
            "app://open",
            "http://user:secret@127.0.0.1:1/",
            "http://user@127.0.0.1:1/",
            "http://[bad",
            "mailto:me@example.com",
        ] {
            let api = redirecting(302, location);
            let origin = api.serve().await;
            let (credentials, _) = Script::at(&origin).build();
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, private(), request).await.unwrap();
            assert_eq!((got.status, api.count()), (302, 1), "{location}");
        }
        let differing = Api::new(|_| {
            let mut response = moved(302, HeaderValue::from_static("/here"));
            let other = HeaderValue::from_static("/there");
            response.headers_mut().append("location", other);
            response
        });
        let origin = differing.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let got = send(via, &credentials, private(), get(&origin)).await;
        assert_eq!((got.unwrap().status, differing.count()), (302, 1));
        for status in [200, 300, 304, 305] {
            let api = redirecting(status, "/here");
            let origin = api.serve().await;
            let (credentials, _) = Script::at(&origin).build();
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, private(), request).await.unwrap();
            assert_eq!((got.status, api.count()), (status, 1));
        }
    }
}

/// The tunnel is not there (RFC 9110, section 9.3.6), and a server must not choose where another
/// one leads.
#[tokio::test]
async fn a_redirect_of_a_connect_is_handed_to_the_caller() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "elsewhere"));
        let elsewhere = format!("{}/there", foreign.serve().await);
        let api = Api::new(move |_| moved(302, elsewhere.parse().unwrap()));
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let mut request = get(&origin);
        *request.method_mut() = Method::CONNECT;
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!((got.unwrap().status, api.count()), (302, 1), "{via:?}");
        assert_eq!(foreign.count(), 0, "{via:?}");
    }
}

fn redirect_error_of(failed: &Failed) -> &RedirectError {
    let through_reqwest = || redirect_error(failed.downcast_ref()?);
    failed.downcast_ref().or_else(through_reqwest).unwrap()
}

#[tokio::test]
async fn a_circle_and_too_many_redirects_are_typed_errors() {
    for via in BOTH {
        let circle = Api::new(|seen| match seen.uri.path() {
            "/a" => moved(302, HeaderValue::from_static("/b#part")),
            _ => moved(302, HeaderValue::from_static("/a#other")),
        });
        let origin = circle.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let failed = send(
            via,
            &credentials,
            Redirects::new(),
            get(&format!("{origin}/a")),
        );
        let failed = failed.await.unwrap_err();
        let expected = RedirectError::Loop {
            origin: origin.clone(),
        };
        assert_eq!(*redirect_error_of(&failed), expected);
        assert_eq!(circle.count(), 2);

        let endless = Api::new(|seen| moved(302, format!("{}x", seen.uri).parse().unwrap()));
        let origin = endless.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        for (redirects, most) in [(Redirects::new(), 20), (Redirects::new().at_most(3), 3)] {
            let before = endless.count();
            let failed = send(via, &credentials, redirects, get(&format!("{origin}/a")));
            let failed = failed.await.unwrap_err();
            assert_eq!(*redirect_error_of(&failed), RedirectError::TooMany { most });
            assert_eq!(endless.count() - before, most + 1);
        }
        let got = send(
            via,
            &credentials,
            Redirects::none(),
            get(&format!("{origin}/a")),
        );
        assert_eq!(got.await.unwrap().status, 302);
    }
}

#[tokio::test]
async fn a_url_that_comes_again_after_a_cookie_was_set_is_no_circle() {
    for via in BOTH {
        let api = Api::new(|seen| {
            if seen.cookie() == Some("sid=rolled") {
                return response(200, "welcome");
            }
            let mut response = moved(302, HeaderValue::from_static("/here"));
            let rolled = HeaderValue::from_static("sid=rolled; Path=/");
            response.headers_mut().insert("set-cookie", rolled);
            response
        });
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).kind(Kind::Cookie).build();
        let request = get(&format!("{origin}/here"));
        let got = send(via, &credentials, Redirects::new(), request)
            .await
            .unwrap();
        assert_eq!((got.status, api.count(), control.logins()), (200, 2, 1));
    }
}

#[tokio::test]
async fn a_circle_in_which_a_cookie_was_set_is_walked_again() {
    for via in BOTH {
        let api = Api::new(|seen| match (seen.uri.path(), seen.cookie()) {
            ("/a", Some("sid=rolled")) => response(200, "welcome"),
            ("/a", _) => moved(302, HeaderValue::from_static("/b")),
            _ => {
                let mut response = moved(302, HeaderValue::from_static("/a"));
                let rolled = HeaderValue::from_static("sid=rolled; Path=/");
                response.headers_mut().insert("set-cookie", rolled);
                response
            }
        });
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).kind(Kind::Cookie).build();
        let request = get(&format!("{origin}/a"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!((got.unwrap().status, api.count()), (200, 3));
    }
}

#[tokio::test]
async fn a_replay_that_is_redirected_is_followed() {
    for via in BOTH {
        let api = Api::new(|seen| match (seen.uri.path(), seen.bearer()) {
            (_, Some("token-1")) => response(401, "revoked"),
            ("/away", _) => moved(302, HeaderValue::from_static("/here")),
            _ => response(200, "here"),
        });
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!((got.unwrap().status, api.count()), (200, 3));
    }
}

#[tokio::test]
async fn rule_16_within_the_scope_only_by_choice() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "elsewhere"));
        let elsewhere = foreign.serve().await;
        let api = redirecting(307, &elsewhere);
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let redirects = Redirects::new().within_scope();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, redirects.clone(), request)
            .await
            .unwrap();
        assert_eq!((got.status, foreign.count()), (307, 0));
        // A request that began outside the scope is followed.
        let third = redirecting(307, &elsewhere);
        let url = format!("{}/away", third.serve().await);
        let got = send(via, &credentials, redirects, get(&url)).await.unwrap();
        assert_eq!((got.status, foreign.count()), (200, 1));
    }
}

#[tokio::test]
async fn rule_16_foreign_and_skipping_requests_are_followed_without_a_credential() {
    for via in BOTH {
        let api = redirecting(302, "/here");
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).kind(Kind::All).build();
        let mut request = get(&format!("{origin}/away"));
        request.extensions_mut().insert(AuthContext::skip());
        let got = send(via, &credentials, Redirects::new(), request)
            .await
            .unwrap();
        assert_eq!((got.status, api.count()), (200, 2));
        api.seen().iter().for_each(assert_bare);

        // A foreign server can't cause a request with the credential.
        let foreign = redirecting(302, &format!("{origin}/here"));
        let url = format!("{}/away", foreign.serve().await);
        let got = send(via, &credentials, Redirects::new(), get(&url))
            .await
            .unwrap();
        assert_eq!((got.status, api.count(), foreign.count()), (200, 3, 1));
        assert_bare(&api.seen()[2]);
        assert_eq!(control.logins(), 0);
    }
}

#[tokio::test]
async fn rule_16_each_hop_carries_the_credential_of_the_requests_own_identity() {
    for via in BOTH {
        let b = Api::new(|seen| match seen.uri.path() {
            "/away" => moved(302, HeaderValue::from_static("/here")),
            _ => response(200, "b"),
        });
        let at_b = b.serve().await;
        let a = Api::new(|_| response(200, "a"));
        let at_a = a.serve().await;
        let (alice, of_alice) = Script::at(&at_a).and(&at_b).prefix("alice").build();
        let (bob, of_bob) = Script::at(&at_b).prefix("bob").build();
        let mut request = get(&format!("{at_b}/away"));
        let context = AuthContext::new().identity(bob);
        request.extensions_mut().insert(context.clone());
        let got = send(via, &alice, Redirects::new(), request).await.unwrap();
        assert_eq!(&*got.body, b"b");
        let bearers: Vec<_> = b
            .seen()
            .iter()
            .map(|seen| seen.bearer().map(String::from))
            .collect();
        assert_eq!(
            bearers,
            [Some("bob-1".to_owned()), Some("bob-1".to_owned())]
        );

        // Where the other tenant's origin is foreign, neither credential goes there.
        let b = redirecting(302, &format!("{at_a}/here"));
        let at_b = b.serve().await;
        let (bob, _) = Script::at(&at_b).prefix("bob").build();
        let mut request = get(&format!("{at_b}/away"));
        request
            .extensions_mut()
            .insert(AuthContext::new().identity(bob));
        send(via, &alice, Redirects::new(), request).await.unwrap();
        assert_bare(&a.seen()[0]);
        assert_eq!((of_alice.logins(), of_bob.logins()), (0, 1));
    }
}

#[tokio::test]
async fn rule_16_a_redirect_out_of_the_scope_causes_no_request_with_an_inner_credential() {
    for via in BOTH {
        let a = Api::new(|seen| match seen.uri.query() {
            Some(to) => moved(302, to.parse().unwrap()),
            None => response(200, "a"),
        });
        let at_a = a.serve().await;
        let b = redirecting(302, &format!("{at_a}/back"));
        let at_b = b.serve().await;
        let (alice, _) = Script::at(&at_a).prefix("alice").build();
        let (bob, of_bob) = Script::at(&at_b).prefix("bob").build();
        let url = format!("{at_a}/?{at_b}/away");
        // A request of one's own to the other host carries what the inner one has for it.
        let urls = [url, format!("{at_b}/here")];
        match via {
            Via::Reqwest => {
                let builder = Client::builder();
                let (client, outer) = AuthMiddleware::with_client(builder, alice).unwrap();
                let inner = AuthMiddleware::for_client(&client, bob).unwrap();
                let inner = inner.redirects(Redirects::none());
                let client = ClientBuilder::new(client).with(outer).with(inner).build();
                for url in urls {
                    client.get(url).send().await.unwrap();
                }
            }
            Via::Tower => {
                let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
                let service = ServiceBuilder::new()
                    .layer(AuthLayer::new(alice).follow_redirects(Redirects::new()))
                    .layer(AuthLayer::new(bob))
                    .service(client);
                for url in urls {
                    let request = Request::get(url).body(Full::default()).unwrap();
                    service.clone().oneshot(request).await.unwrap();
                }
            }
        }
        let bearers = |api: &Api| -> Vec<Option<String>> {
            let seen = api.seen();
            seen.iter()
                .map(|seen| seen.bearer().map(String::from))
                .collect()
        };
        let alices = Some("alice-1".to_owned());
        assert_eq!(bearers(&a), [alices.clone(), alices], "{via:?}");
        assert_eq!(bearers(&b), [None, Some("bob-1".to_owned())], "{via:?}");
        assert_eq!(of_bob.logins(), 1);
    }
}

/// Sends a request twice, as a retry does.
struct Twice;

#[async_trait::async_trait]
impl Middleware for Twice {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let again = request.try_clone().unwrap();
        next.clone().run(request, extensions).await?;
        next.run(again, extensions).await
    }
}

#[tokio::test]
async fn rule_16_a_retry_has_the_requests_own_context_after_a_hop_without_a_credential() {
    let a = Api::new(|_| response(200, "a"));
    let b = redirecting(302, &a.serve().await);
    let at_b = b.serve().await;
    let (alice, _) = Script::at(&at_b).prefix("alice").build();
    let (bob, _) = Script::at(&at_b).prefix("bob").build();
    for (context, bearer) in [(None, "alice-1"), (Some(bob), "bob-1")] {
        let (client, auth) = AuthMiddleware::with_client(Client::builder(), alice.clone()).unwrap();
        let client = ClientBuilder::new(client).with(Twice).with(auth).build();
        let mut request = client.get(format!("{at_b}/away"));
        if let Some(identity) = context {
            request = request.with_extension(AuthContext::new().identity(identity));
        }
        request.send().await.unwrap();
        let seen = b.seen();
        for seen in &seen[seen.len() - 2..] {
            assert_eq!(seen.bearer(), Some(bearer));
        }
    }
}

/// The `FollowRedirect` of tower-http, which drops extensions on every hop in version 0.6, and on
/// foreign hops in version 0.7.
macro_rules! around {
    ($tower_http:ident, $auth:expr, $request:expr) => {{
        let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let service = ServiceBuilder::new()
            .layer($tower_http::follow_redirect::FollowRedirectLayer::new())
            .layer($auth)
            .service(client);
        service.oneshot($request).await.unwrap().status()
    }};
}

#[tokio::test]
async fn rule_16_below_tower_http_the_layer_that_follows_keeps_the_context_of_a_request() {
    let api = redirecting(302, "/here");
    let origin = api.serve().await;
    let (alice, _) = Script::at(&origin).prefix("alice").build();
    let (bob, _) = Script::at(&origin).prefix("bob").build();
    let contexts = [
        (AuthContext::new().identity(bob), Some("bob-1")),
        (AuthContext::skip(), None),
    ];
    for (context, expected) in contexts {
        let request = || {
            let request = Request::get(format!("{origin}/away")).extension(context.clone());
            request.body(Full::<Bytes>::default()).unwrap()
        };
        let auth = || AuthLayer::new(alice.clone()).follow_redirects(Redirects::new());
        let before = api.count();
        assert_eq!(around!(tower_http, auth(), request()), 200);
        assert_eq!(around!(tower_http_07, auth(), request()), 200);
        let seen = &api.seen()[before..];
        assert_eq!(seen.len(), 4);
        assert!(
            seen.iter().all(|seen| seen.bearer() == expected),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn rule_16_an_applied_context_holds_on_every_hop() {
    for via in BOTH {
        let api = redirecting(302, "/here");
        let origin = api.serve().await;
        let (alice, _) = Script::at(&origin).prefix("alice").build();
        let (bob, _) = Script::at(&origin).prefix("bob").build();
        let request = get(&format!("{origin}/away"));
        let context = AuthContext::new().identity(bob);
        let got = context.apply_to(send(via, &alice, Redirects::new(), request));
        assert_eq!(got.await.unwrap().status, 200);
        for seen in api.seen() {
            assert_eq!(seen.bearer(), Some("bob-1"));
        }
    }
}

/// A service that pools connections, say, polls the future of a request where it likes.
#[tokio::test]
async fn rule_16_an_applied_context_holds_though_the_hops_are_sent_elsewhere() {
    let api = redirecting(302, "/here");
    let origin = api.serve().await;
    let (alice, _) = Script::at(&origin).prefix("alice").build();
    let (bob, _) = Script::at(&origin).prefix("bob").build();
    let client = HyperClient::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let layer = AuthLayer::new(alice).follow_redirects(Redirects::new());
    let mut service = layer.layer(client);
    let request = Request::get(format!("{origin}/away")).body(Full::default());
    let context = AuthContext::new().identity(bob);
    let service = service.ready().await.unwrap();
    let mut sent = None;
    let call = async { sent = Some(service.call(request.unwrap())) };
    context.apply_to(call).await;
    let response = sent.unwrap().await.unwrap();
    assert_eq!(response.status(), 200);
    for seen in api.seen() {
        assert_eq!(seen.bearer(), Some("bob-1"));
    }
}

/// A limit of requests at a time holds for those whose redirects are followed, too.
#[tokio::test]
async fn a_service_that_follows_is_ready_when_the_one_below_is() {
    let api = redirecting(302, "/here");
    let credentials = Credentials::new(Scripted::tokens(Lifetime::unknown()));
    let handle = move |request: Request<Full<Bytes>>| api.clone().handle(request);
    let inner = ConcurrencyLimit::new(service_fn(handle), 1);
    let mut first = inner.clone();
    let layer = AuthLayer::new(credentials).follow_redirects(Redirects::new());
    let mut second = layer.layer(inner);
    first.ready().await.unwrap();
    assert!(second.ready().now_or_never().is_none());
    drop(first);
    let ready = second.ready().now_or_never().expect("a permit is free");
    let request = Request::get("https://api.example.com/away").body(Full::default());
    let response = ready.unwrap().call(request.unwrap()).await.unwrap();
    assert_eq!(response.status(), 200);
}

/// From https to http, even at the same host, everybody on the way could read the request.
#[tokio::test]
async fn rule_16_a_redirect_from_https_to_http_is_handed_to_the_caller() {
    for (from, to, status) in [
        ("https", "http", 302),
        ("https", "https", 200),
        ("http", "https", 200),
    ] {
        let script = Scripted::new(|_| Ok(Session::new().with_bearer("token")?));
        let credentials = Credentials::builder(script).build();
        let location = format!("{to}://api.example.com/here");
        let api = service_fn(move |request: Request<Full<Bytes>>| {
            let response = Response::new(Full::<Bytes>::default());
            let (mut head, body) = response.into_parts();
            if request.uri().path() == "/away" {
                head.status = StatusCode::FOUND;
                head.headers.insert("location", location.parse().unwrap());
            }
            std::future::ready(Ok::<_, Infallible>(Response::from_parts(head, body)))
        });
        let layer = AuthLayer::new(credentials).follow_redirects(Redirects::new());
        let request = Request::get(format!("{from}://api.example.com/away"));
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let response = layer.layer(api).oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{from} to {to}");
    }
}

/// An API that redirects a dead session to its login page.
fn with_login_page(dead: &'static str) -> Api {
    Api::new(move |seen| match (seen.uri.path(), seen.bearer()) {
        ("/login", _) => response(200, "<form>"),
        (_, Some(token)) if token != dead => response(200, "data"),
        _ => moved(302, HeaderValue::from_static("/login?next=%2Fdata")),
    })
}

#[tokio::test]
async fn rule_8_a_redirect_that_the_judge_rejects_is_replayed_and_never_followed() {
    let judge = |response: &ResponseView<'_>| match response.location() {
        Some(location) if location.starts_with("/login") => Verdict::Rejected,
        _ => Verdict::Accepted,
    };
    for via in BOTH {
        let api = with_login_page("token-1");
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).judge(ByClosure(judge)).build();
        let request = get(&format!("{origin}/data"));
        let got = send(via, &credentials, Redirects::new(), request)
            .await
            .unwrap();
        assert_eq!((got.status, &*got.body), (200, &b"data"[..]));
        assert_eq!(control.logins(), 2);

        // Where another login does not help, the caller gets the redirect and not the page.
        let api = with_login_page("token");
        let origin = api.serve().await;
        let closed = Api::new(|_| moved(302, HeaderValue::from_static("/login")));
        drop(api);
        let origin_of_closed = closed.serve().await;
        let (credentials, _) = Script::at(&origin_of_closed)
            .judge(ByClosure(judge))
            .build();
        for _ in 0..3 {
            let request = get(&format!("{origin_of_closed}/data"));
            let got = send(via, &credentials, Redirects::new(), request)
                .await
                .unwrap();
            assert_eq!(got.status, 302);
        }
        assert!(closed.seen().iter().all(|seen| seen.uri.path() == "/data"));
        drop(origin);
    }
}

struct ByClosure<F>(F);

impl<F> auth_core::Judge for ByClosure<F>
where
    F: Fn(&ResponseView<'_>) -> Verdict + Send + Sync + 'static,
{
    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        (self.0)(response)
    }
}

#[tokio::test]
async fn a_redirect_whose_body_a_judge_accepts_is_followed() {
    struct Reads;
    impl auth_core::Judge for Reads {
        fn wants_body(&self, _: &ResponseView<'_>) -> bool {
            true
        }
        fn judge(&self, response: &ResponseView<'_>) -> Verdict {
            assert!(response.body.is_some());
            Verdict::Accepted
        }
    }
    for via in BOTH {
        let api = redirecting(302, "/here");
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).judge(Reads).build();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        let got = got.unwrap();
        assert_eq!((got.status, &*got.body), (200, &b"here"[..]));
    }
}

#[tokio::test]
async fn rule_7_a_judge_sees_the_method_and_the_url_of_its_own_hop() {
    for via in BOTH {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&seen);
        let judge = move |response: &ResponseView<'_>| {
            let request = response.request.unwrap();
            noted
                .lock()
                .unwrap()
                .push(format!("{} {}", request.method, request.uri));
            Verdict::Accepted
        };
        let api = redirecting(303, "/here?b=2");
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin)
            .kind(Kind::Query)
            .judge(ByClosure(judge))
            .build();
        let request = post(&format!("{origin}/away?a=1"));
        send(via, &credentials, Redirects::new(), request)
            .await
            .unwrap();
        let expected = [
            format!("POST {origin}/away?a=1"),
            format!("GET {origin}/here?b=2"),
        ];
        assert_eq!(*seen.lock().unwrap(), expected);
    }
}

#[tokio::test]
async fn rule_16_a_redirect_that_takes_a_secret_of_the_query_away_is_not_followed() {
    for via in BOTH {
        for encode in [
            |secret: &str| format!("/?next={secret}"),
            |secret: &str| format!("/?next={}", secret.replace('%', "%25")),
            |secret: &str| format!("/{secret}/x"),
            |secret: &str| format!("/#{secret}"),
        ] {
            let foreign = Api::new(|_| response(200, "stolen"));
            let elsewhere = foreign.serve().await;
            let api = Api::new(move |seen| {
                let query = seen.uri.query().unwrap_or_default();
                let secret = query.split("csrf=").nth(1).unwrap_or_default();
                moved(
                    302,
                    format!("{elsewhere}{}", encode(secret)).parse().unwrap(),
                )
            });
            let origin = api.serve().await;
            let (credentials, _) = Script::at(&origin).kind(Kind::Query).build();
            let request = get(&format!("{origin}/away"));
            let got = send(via, &credentials, Redirects::new(), request)
                .await
                .unwrap();
            assert_eq!((got.status, foreign.count()), (302, 0));
        }
    }
}

/// A server that ends the session sends the caller away, to sign out elsewhere.
#[tokio::test]
async fn rule_16_a_redirect_that_ends_the_session_takes_no_query_value_away() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "stolen"));
        let elsewhere = foreign.serve().await;
        let api = Api::new(move |seen| {
            let location = format!("{elsewhere}/?next={}", seen.uri);
            let mut response = moved(302, location.parse().unwrap());
            let deletion = HeaderValue::from_static("sid=; Path=/; Max-Age=0");
            response.headers_mut().insert("set-cookie", deletion);
            response
        });
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).kind(Kind::All).build();
        let request = get(&format!("{origin}/logout"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!((got.unwrap().status, foreign.count()), (302, 0));
    }
}

/// Closes a handle while one of its requests is under way.
fn close(credentials: Credentials) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(credentials.close()).unwrap();
    })
    .join()
    .unwrap();
}

/// Without the session, the caller's header of its name can't be told from others.
#[tokio::test]
async fn rule_16_a_hop_that_is_under_way_at_the_close_is_not_redirected_out_of_the_scope() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "stolen"));
        let elsewhere: HeaderValue = foreign.serve().await.parse().unwrap();
        let closed = Arc::new(Mutex::new(None::<Credentials>));
        let handle = Arc::clone(&closed);
        let api = Api::new(move |seen| {
            close(handle.lock().unwrap().clone().unwrap());
            assert_eq!(seen.headers["x-api-key"], "token-1");
            moved(302, elsewhere.clone())
        });
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).kind(Kind::All).build();
        *closed.lock().unwrap() = Some(credentials.clone());
        let mut request = get(&format!("{origin}/away"));
        let mine = HeaderValue::from_static("mine");
        request.headers_mut().insert("x-api-key", mine);
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!((got.unwrap().status, foreign.count()), (302, 0), "{via:?}");
    }
}

/// Sends a request through an integration of `outer` that follows redirects, and below it one of
/// `inner` that follows none.
async fn send_above(via: Via, outer: &Credentials, inner: &Credentials, url: &str) -> u16 {
    match via {
        Via::Reqwest => {
            let (client, outer) =
                AuthMiddleware::with_client(Client::builder(), outer.clone()).unwrap();
            let inner = AuthMiddleware::for_client(&client, inner.clone()).unwrap();
            let inner = inner.redirects(Redirects::none());
            let client = ClientBuilder::new(client).with(outer).with(inner).build();
            client.get(url).send().await.unwrap().status().as_u16()
        }
        Via::Tower => {
            let client = HyperClient::builder(TokioExecutor::new()).build_http();
            let service = ServiceBuilder::new()
                .layer(AuthLayer::new(outer.clone()).follow_redirects(Redirects::new()))
                .layer(AuthLayer::new(inner.clone()))
                .service(client);
            let request = Request::get(url).body(Full::<Bytes>::default()).unwrap();
            service.oneshot(request).await.unwrap().status().as_u16()
        }
    }
}

/// An integration that follows no redirect lets one above follow it, but for what it has sent.
#[tokio::test]
async fn rule_16_in_a_stack_no_redirect_takes_a_query_value_of_an_inner_session_away() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "foreign"));
        let elsewhere = foreign.serve().await;
        let b = Api::new(move |seen| {
            let next = match seen.uri.path() {
                "/next" => format!("{elsewhere}/?next={}", seen.uri),
                "/file" => elsewhere.clone(),
                "/here" => format!("/there?from={}", seen.uri),
                _ => return response(200, "b"),
            };
            moved(302, next.parse().unwrap())
        });
        let at_b = b.serve().await;
        let (alice, _) = Script::at(common::ORIGIN).build();
        let (bob, _) = Script::at(&at_b).kind(Kind::All).prefix("bobby").build();
        for (path, expected, away) in [("/next", 302, 0), ("/file", 200, 1), ("/here", 200, 1)] {
            let url = format!("{at_b}{path}");
            let status = send_above(via, &alice, &bob, &url).await;
            assert_eq!(status, expected, "{via:?} {path}");
            assert_eq!(foreign.count(), away, "{via:?} {path}");
        }
    }
}

/// A URL has a slash for the backslash.
#[tokio::test]
async fn rule_16_in_a_stack_a_value_is_found_as_the_server_has_written_it() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "foreign"));
        let location = format!("{}/bob\\by-0123456789-1", foreign.serve().await);
        let b = Api::new(move |_| moved(302, location.parse().unwrap()));
        let at_b = b.serve().await;
        let (alice, _) = Script::at(common::ORIGIN).build();
        let script = Script::at(&at_b).kind(Kind::Bearer);
        let (bob, _) = script.prefix("bob\\by-0123456789").build();
        let status = send_above(via, &alice, &bob, &at_b).await;
        assert_eq!((status, foreign.count()), (302, 0), "{via:?}");
    }
}

/// A handle that was closed meanwhile can't say any more what its session has had.
#[tokio::test]
async fn rule_16_in_a_stack_a_hop_that_is_under_way_at_the_close_is_not_redirected_away() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "foreign"));
        let elsewhere = foreign.serve().await;
        let closed = Arc::new(Mutex::new(None::<Credentials>));
        let handle = Arc::clone(&closed);
        let b = Api::new(move |seen| {
            close(handle.lock().unwrap().clone().unwrap());
            moved(
                302,
                format!("{elsewhere}/?next={}", seen.uri).parse().unwrap(),
            )
        });
        let at_b = b.serve().await;
        let (alice, _) = Script::at(common::ORIGIN).build();
        let (bob, _) = Script::at(&at_b).kind(Kind::All).prefix("bobby").build();
        *closed.lock().unwrap() = Some(bob.clone());
        let status = send_above(via, &alice, &bob, &format!("{at_b}/next")).await;
        assert_eq!((status, foreign.count()), (302, 0), "{via:?}");
    }
}

/// A layer that follows no redirect, above one that does and knows nothing of its credential.
#[tokio::test]
async fn rule_16_in_a_stack_a_layer_below_takes_nothing_away_of_a_credential_above() {
    let foreign = Api::new(|_| response(200, "foreign"));
    let elsewhere = foreign.serve().await;
    let a = Api::new(move |seen| {
        let next = match seen.uri.path() {
            "/file" => elsewhere.clone(),
            _ => format!("{elsewhere}/?next={}&t=alice-0123456789-1", seen.uri),
        };
        moved(302, next.parse().unwrap())
    });
    let at_a = a.serve().await;
    for (kind, path, expected) in [
        (Kind::All, "/next", 302),
        (Kind::Bearer, "/next", 302),
        (Kind::Cookie, "/next", 302),
        (Kind::Bearer, "/file", 200),
        (Kind::Cookie, "/file", 200),
    ] {
        let script = Script::at(&at_a).kind(kind).prefix("alice-0123456789");
        let (alice, _) = script.build();
        let (bob, _) = Script::at(common::ORIGIN).build();
        let client = HyperClient::builder(TokioExecutor::new()).build_http();
        let service = ServiceBuilder::new()
            .layer(AuthLayer::new(alice))
            .layer(AuthLayer::new(bob).follow_redirects(Redirects::new()))
            .service(client);
        let url = format!("{at_a}{path}");
        let request = Request::get(&url).body(Full::<Bytes>::default()).unwrap();
        let before = foreign.count();
        let status = service.oneshot(request).await.unwrap().status();
        assert_eq!(status, expected, "{kind:?} {path}");
        assert_eq!(foreign.count() - before, usize::from(expected == 200));
    }
}

/// An integration below knows nothing of what the one above has put on a request.
#[tokio::test]
async fn rule_16_in_a_stack_the_integration_whose_credential_a_request_carries_follows() {
    for via in BOTH {
        let c = Api::new(|seen| match seen.uri.query() {
            Some(to) if to.starts_with("http") => moved(302, to.parse().unwrap()),
            _ => response(200, "c"),
        });
        let at_c = c.serve().await;
        let to_c = at_c.clone();
        let answer = move |seen: &Seen| match seen.uri.path() {
            // It takes the query along.
            "/next" => moved(302, format!("{to_c}/?next={}", seen.uri).parse().unwrap()),
            "/file" => moved(302, to_c.parse().unwrap()),
            "/there" => {
                let host = seen.headers["host"].to_str().unwrap();
                moved(302, format!("{to_c}/?http://{host}/back").parse().unwrap())
            }
            _ if seen.bearer().is_none() => response(401, ""),
            _ => response(200, "in"),
        };
        let (a, b) = (Api::new(answer.clone()), Api::new(answer));
        let (at_a, at_b) = (a.serve().await, b.serve().await);
        let (alice, of_alice) = Script::at(&at_a).kind(Kind::All).prefix("alice").build();
        let (bob, of_bob) = Script::at(&at_b).kind(Kind::All).prefix("bobby").build();
        let urls = [
            (format!("{at_a}/next"), 302, 0),
            (format!("{at_b}/next"), 302, 0),
            (format!("{at_a}/file"), 200, 1),
            (format!("{at_b}/file"), 200, 1),
            (format!("{at_a}/there"), 200, 1),
            (format!("{at_b}/there"), 200, 1),
        ];
        for (url, expected, at_c) in urls {
            let before = c.count();
            let status = match via {
                Via::Reqwest => {
                    let (client, outer) =
                        AuthMiddleware::with_client(Client::builder(), alice.clone()).unwrap();
                    let inner = AuthMiddleware::for_client(&client, bob.clone()).unwrap();
                    let client = ClientBuilder::new(client).with(outer).with(inner).build();
                    client.get(&url).send().await.unwrap().status()
                }
                Via::Tower => {
                    let client = HyperClient::builder(TokioExecutor::new()).build_http();
                    let follows = |credentials: &Credentials| {
                        AuthLayer::new(credentials.clone()).follow_redirects(Redirects::new())
                    };
                    let service = ServiceBuilder::new()
                        .layer(follows(&alice))
                        .layer(follows(&bob))
                        .service(client);
                    let request = Request::get(&url).body(Full::<Bytes>::default()).unwrap();
                    service.oneshot(request).await.unwrap().status()
                }
            };
            assert_eq!(status, expected, "{via:?} {url}");
            assert_eq!(c.count() - before, at_c, "{via:?} {url}");
        }
        for seen in c.seen() {
            assert_bare(&seen);
            let printed = format!("{seen:?}");
            assert!(!printed.contains("alice") && !printed.contains("bobby"));
        }
        assert_eq!((of_alice.logins(), of_bob.logins()), (1, 1), "{via:?}");
    }
}

/// A middleware that asks another URL first, through a client of its own.
struct AsksFirst(ClientWithMiddleware, String);

#[async_trait::async_trait]
impl Middleware for AsksFirst {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let first = self.0.get(&self.1).send().await?;
        assert_eq!(first.status(), 200);
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn a_request_that_a_middleware_below_makes_by_itself_is_redirected() {
    let api = Api::new(|seen| match seen.uri.path() {
        "/first" => moved(302, "/there".parse().unwrap()),
        _ => response(200, "in"),
    });
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let own = AuthMiddleware::build_client(Client::builder(), credentials.clone()).unwrap();
    let (client, auth) = AuthMiddleware::with_client(Client::builder(), credentials).unwrap();
    let asks = AsksFirst(own, format!("{origin}/first"));
    let client = ClientBuilder::new(client).with(auth).with(asks).build();
    let got = client.get(&origin).send().await.unwrap();
    assert_eq!(got.status(), 200);
    assert_eq!(api.count(), 3);
}

/// A URL without a scheme has that of the request, whose scope it is in.
#[tokio::test]
async fn a_redirect_within_the_scope_repeats_a_query_value_whatever_its_form() {
    let host = common::ORIGIN.strip_prefix("https:").unwrap();
    for form in ["", host, common::ORIGIN] {
        let api = Api::new(move |seen| match (seen.uri.path(), seen.uri.query()) {
            ("/away", Some(query)) => moved(302, format!("{form}/here?{query}").parse().unwrap()),
            _ => response(200, "here"),
        });
        let (credentials, _) = Script::at(common::ORIGIN).kind(Kind::Query).build();
        let handle = api.clone();
        let service = ServiceBuilder::new()
            .layer(AuthLayer::new(credentials).follow_redirects(Redirects::new()))
            .service(tower::service_fn(move |request| {
                handle.clone().handle(request)
            }));
        let request = Request::get(format!("{}/away", common::ORIGIN));
        let request = request.body(Full::<Bytes>::default()).unwrap();
        let status = service.oneshot(request).await.unwrap().status();
        assert_eq!((status.as_u16(), api.count()), (200, 2), "{form:?}");
    }
}

/// A URL has its host in lower case.
#[tokio::test]
async fn rule_16_a_redirect_takes_no_query_value_away_in_the_name_of_a_host() {
    for via in BOTH {
        let api = redirecting(302, "http://Canary-1.localhost:1/");
        let origin = api.serve().await;
        let script = Script::at(&origin).kind(Kind::All).prefix("Canary");
        let (credentials, _) = script.build();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!(got.unwrap().status, 302);
    }
}

/// RFC 9110, section 15.4: what describes the body does not go along without it.
#[tokio::test]
async fn no_header_that_describes_a_body_goes_along_without_it() {
    const NAMES: [&str; 7] = [
        "content-digest",
        "content-disposition",
        "content-md5",
        "content-range",
        "digest",
        "last-modified",
        "repr-digest",
    ];
    for via in BOTH {
        for (status, stay) in [(303, false), (307, true)] {
            let api = redirecting(status, "/here");
            let origin = api.serve().await;
            let (credentials, _) = Script::at(&origin).build();
            let mut request = post(&format!("{origin}/away"));
            for name in NAMES {
                let value = HeaderValue::from_static("of the body");
                request.headers_mut().insert(name, value);
            }
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!(got.unwrap().status, 200);
            for name in NAMES {
                let is_there = api.seen()[1].headers.contains_key(name);
                assert_eq!(is_there, stay, "{via:?} {status} {name}");
            }
        }
    }
}

/// It would lead to the URL of the request.
#[tokio::test]
async fn a_location_that_is_too_long_for_a_request_is_handed_to_the_caller() {
    for via in BOTH {
        let api = redirecting(302, &format!("/{}", "a".repeat(70_000)));
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let request = get(&format!("{origin}/away"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        assert_eq!(got.unwrap().status, 302, "{via:?}");
    }
}

#[tokio::test]
async fn an_empty_location_is_handed_to_the_caller() {
    for via in BOTH {
        for method in [Method::GET, Method::POST] {
            let api = redirecting(303, "");
            let origin = api.serve().await;
            let (credentials, _) = Script::at(&origin).build();
            let mut request = get(&format!("{origin}/away"));
            *request.method_mut() = method;
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!((got.unwrap().status, api.count()), (303, 1));
        }
    }
}

/// A gate redirects to its check, which rejects the session.
#[tokio::test]
async fn a_url_that_comes_again_with_a_newer_credential_is_no_circle() {
    for via in BOTH {
        let api = Api::new(|seen| match (seen.uri.path(), seen.bearer()) {
            ("/check", Some("token-1")) => response(401, "revoked"),
            ("/check", _) => moved(302, HeaderValue::from_static("/data")),
            (_, Some("token-1")) => moved(302, HeaderValue::from_static("/check")),
            _ => response(200, "data"),
        });
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).build();
        let request = get(&format!("{origin}/data"));
        let got = send(via, &credentials, Redirects::new(), request).await;
        let got = got.unwrap();
        assert_eq!((got.status, &*got.body), (200, &b"data"[..]));
        assert_eq!((api.count(), control.logins()), (4, 2));
    }
}

#[tokio::test]
async fn rule_9_one_request_can_say_that_it_must_not_be_sent_twice() {
    for via in BOTH {
        let api = Api::accepting("token-2");
        let origin = api.serve().await;
        let (credentials, control) = Script::at(&origin).build();
        let mut request = post(&format!("{origin}/pay"));
        let context = AuthContext::new().without_replay();
        request.extensions_mut().insert(context);
        let got = send(via, &credentials, Redirects::new(), request)
            .await
            .unwrap();
        assert_eq!((got.status, api.count()), (401, 1));
        let request = get(&format!("{origin}/me"));
        let got = send(via, &credentials, Redirects::new(), request)
            .await
            .unwrap();
        assert_eq!((got.status, control.logins()), (200, 2));
    }
}

#[tokio::test]
async fn a_streaming_body_is_handed_on_with_307_and_dropped_with_303() {
    for (status, expected) in [(307, 307), (308, 308), (303, 200), (302, 200)] {
        let api = redirecting(status, "/here");
        let origin = api.serve().await;
        let (credentials, _) = Script::at(&origin).build();
        let client = AuthMiddleware::build_client(Client::builder(), credentials).unwrap();
        let pieces = ["a ", "body"].map(Ok::<_, std::io::Error>);
        let stream = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let url = format!("{origin}/away");
        let request = client.post(url).header("x-own", "1").body(stream);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected);
        assert_eq!(api.seen()[0].body, "a body");
        if let Some(second) = api.seen().get(1) {
            assert_eq!(second.headers["x-own"], "1");
            assert_eq!((second.method.as_str(), second.body.len()), ("GET", 0));
        }
    }
}

#[tokio::test]
async fn with_tower_a_body_that_is_not_kept_whole_is_handed_on_with_307() {
    let api = redirecting(307, "/here");
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let url = format!("{origin}/away");
    for (body, expected) in [("a body", 307), ("", 200)] {
        let client = HyperClient::builder(TokioExecutor::new()).build_http();
        let auth = AuthLayer::new(credentials.clone()).without_replay();
        let service = ServiceBuilder::new()
            .layer(auth.follow_redirects(Redirects::new()))
            .service(client);
        let request = Request::put(&url).body(Full::<Bytes>::from(body)).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), expected);
        let client = HyperClient::builder(TokioExecutor::new()).build_http();
        let auth = AuthLayer::new(credentials.clone()).buffered(1_000);
        let service = ServiceBuilder::new()
            .layer(auth.follow_redirects(Redirects::new()))
            .service(client);
        let request = Request::put(&url).body(Full::<Bytes>::from(body)).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), expected);
        // One that is in memory is.
        let client = HyperClient::builder(TokioExecutor::new()).build_http();
        let auth = AuthLayer::new(credentials.clone()).in_memory();
        let service = ServiceBuilder::new()
            .layer(auth.follow_redirects(Redirects::new()))
            .service(client);
        let request = Request::put(&url).body(Full::<Bytes>::from(body)).unwrap();
        assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn with_reqwest_without_replay_an_empty_body_is_repeated_with_307_and_no_other() {
    let api = redirecting(307, "/here");
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let builder = Client::builder();
    let (client, auth) = AuthMiddleware::with_client(builder, credentials).unwrap();
    let client = ClientBuilder::new(client)
        .with(auth.without_replay())
        .build();
    for (body, expected) in [("a body", 307), ("", 200)] {
        let request = client.put(format!("{origin}/away")).body(body);
        assert_eq!(request.send().await.unwrap().status(), expected, "{body}");
    }
    let last = api.seen().pop().unwrap();
    assert_eq!((last.method, last.uri.path()), (Method::PUT, "/here"));
}

#[tokio::test]
async fn each_hop_has_the_http_version_of_the_request() {
    let api = redirecting(302, "/here");
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let url = format!("{origin}/away");
    let (client, auth) =
        AuthMiddleware::with_client(Client::builder(), credentials.clone()).unwrap();
    // Without a replay, only the head of a request is kept.
    for auth in [auth.clone(), auth.without_replay()] {
        let client = ClientBuilder::new(client.clone()).with(auth).build();
        let request = client.get(&url).version(Version::HTTP_10);
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    let client = HyperClient::builder(TokioExecutor::new()).build_http();
    let service = ServiceBuilder::new()
        .layer(AuthLayer::new(credentials).follow_redirects(Redirects::new()))
        .service(client);
    let request = Request::get(&url).version(Version::HTTP_10);
    let request = request.body(Full::<Bytes>::default()).unwrap();
    assert_eq!(service.oneshot(request).await.unwrap().status(), 200);
    let versions: Vec<_> = api.seen().iter().map(|seen| seen.version).collect();
    assert_eq!(versions, [Version::HTTP_10; 6]);
}

#[tokio::test]
async fn the_requests_own_timeout_spans_its_hops() {
    let (credentials, control) = Script::at(common::ORIGIN).build();
    credentials.get().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let below = Below {
        seen: Arc::clone(&seen),
        clock: control.clock.clone(),
    };
    let auth = AuthMiddleware::assuming_no_redirects(credentials);
    let below = Arc::new(below);
    let second = Duration::from_secs(1);
    for (auth, context) in [
        (auth.clone(), AuthContext::new()),
        (auth.clone(), AuthContext::skip()),
        (auth.without_replay(), AuthContext::new()),
    ] {
        let client = ClientBuilder::new(Client::new())
            .with(auth)
            .with_arc(below.clone())
            .build();
        let request = client
            .get(format!("{}/3", common::ORIGIN))
            .with_extension(context)
            .timeout(5 * second);
        assert_eq!(request.send().await.unwrap().status(), 200);
        let left = [5, 4, 3, 2].map(|left| Some(left * second));
        assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), left);
    }
}

/// Takes a second for each request, and redirects `/3` to `/2` and so on.
struct Below {
    seen: Arc<Mutex<Vec<Option<Duration>>>>,
    clock: auth_core::clock::ManualClock,
}

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Below {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        use reqwest::ResponseBuilderExt as _;
        self.seen.lock().unwrap().push(request.timeout().copied());
        self.clock.advance(Duration::from_secs(1));
        let left: u32 = request.url().path()[1..].parse().unwrap();
        let mut response = http::Response::builder().url(request.url().clone());
        if let Some(next) = left.checked_sub(1) {
            response = response.status(302).header("location", format!("/{next}"));
        }
        Ok(response.body("").unwrap().into())
    }
}

#[test]
fn rule_16_a_client_that_follows_redirects_by_itself_is_refused() {
    let (credentials, _) = Script::at(common::ORIGIN).build();
    let check = |client: reqwest::ClientBuilder| {
        AuthMiddleware::for_client(&client.build().unwrap(), credentials.clone())
    };
    let builder = Client::builder;
    assert!(check(builder().redirect(Policy::none())).is_ok());
    // This pins what reqwest's `Debug` shows.
    assert!(matches!(
        check(builder()),
        Err(ClientError::FollowsRedirects)
    ));
    let limited = check(builder().redirect(Policy::limited(3)));
    assert!(matches!(limited, Err(ClientError::FollowsRedirects)));
    let custom = check(builder().redirect(Policy::custom(|_| unreachable!())));
    assert!(matches!(custom, Err(ClientError::UnknownRedirects)));
    // A header can't pretend.
    let mut headers = http::HeaderMap::new();
    let text = HeaderValue::from_static(r#", redirect_policy: "Policy(None)","#);
    headers.insert("x-text", text);
    let pretends = check(
        builder()
            .redirect(Policy::limited(3))
            .default_headers(headers.clone()),
    );
    assert!(matches!(pretends, Err(ClientError::FollowsRedirects)));
    let by_default = check(builder().default_headers(headers));
    assert!(matches!(by_default, Err(ClientError::FollowsRedirects)));
}

/// Reqwest adds them to each hop, and has no request without them.
#[tokio::test]
async fn rule_16_a_default_header_that_stays_at_its_origin_keeps_the_redirect_there() {
    let foreign = Api::new(|_| response(200, "elsewhere"));
    let elsewhere = foreign.serve().await;
    let api = Api::new(move |seen| match seen.uri.path() {
        "/away" => moved(302, elsewhere.parse().unwrap()),
        "/old" => moved(302, HeaderValue::from_static("/new")),
        _ => response(200, "here"),
    });
    let origin = api.serve().await;
    let text = r#"{"cookie": "authorization": Sensitive\"#;
    for (name, value, is_sensitive, away) in [
        ("authorization", "Basic mine", false, 302),
        ("Cookie", "mine=1", false, 302),
        ("host", "mine.example", false, 302),
        ("x-key", "mine", true, 302),
        ("x-mine", "mine", false, 302),
        // The session has it as well.
        ("x-api-key", "mine", false, 302),
        ("x-plain", text, false, 200),
        ("referer", "https://mine.example", false, 200),
        ("user-agent", "mine", false, 200),
    ] {
        let (credentials, _) = Script::at(&origin).kind(Kind::All).build();
        let mut value = HeaderValue::from_static(value);
        value.set_sensitive(is_sensitive);
        let name: HeaderName = name.parse().unwrap();
        let headers = [("x-first".parse().unwrap(), HeaderValue::from_static(text))];
        let headers = headers.into_iter().chain([(name.clone(), value)]).collect();
        let builder = Client::builder().default_headers(headers);
        let (client, auth) = AuthMiddleware::with_client(builder, credentials.clone()).unwrap();
        let checked = AuthMiddleware::for_client(&client, credentials).unwrap();
        for auth in [auth, checked] {
            let before = foreign.count();
            let auth = auth.redirects(private());
            let client = ClientBuilder::new(client.clone()).with(auth).build();
            for (path, expected) in [("/away", away), ("/old", 200)] {
                let response = client.get(format!("{origin}{path}")).send().await.unwrap();
                assert_eq!(response.status(), expected, "{name} {path}");
            }
            let reached = foreign.count() - before;
            assert_eq!(reached, usize::from(away == 200), "{name}");
        }
    }
}

#[tokio::test]
async fn rule_16_a_client_that_leaves_the_scope_by_itself_is_an_event_and_an_error() {
    let foreign = Api::new(|_| response(401, "who are you"));
    let elsewhere = foreign.serve().await;
    let api = redirecting(302, &format!("{elsewhere}/path?token=canary"));
    let origin = api.serve().await;
    let events = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&events);
    let credentials = Credentials::builder(Script::at(&origin))
        .observer(move |_: &Identity, event: &Event| noted.lock().unwrap().push(event.clone()))
        .build();
    let auth = AuthMiddleware::assuming_no_redirects(credentials.clone());
    let client = ClientBuilder::new(Client::new()).with(auth).build();
    let error = client
        .get(format!("{origin}/away"))
        .send()
        .await
        .unwrap_err();
    let expected = RedirectError::LeftScope { origin: elsewhere };
    assert_eq!(redirect_error(&error), Some(&expected));
    let printed = format!("{error} {error:?}");
    assert!(
        !printed.contains("canary") && !printed.contains("path"),
        "{printed}"
    );
    let stamp = credentials.get().await.unwrap().stamp();
    assert_eq!(stamp.generation(), 1, "the session is kept");
    let left = Event::LeftScope { stamp };
    let events = events.lock().unwrap();
    assert_eq!(events.iter().filter(|event| **event == left).count(), 1);
}

#[tokio::test]
async fn rule_17_an_origin_that_holds_a_secret_is_in_no_error() {
    let foreign = Api::new(|_| response(200, ""));
    let elsewhere = foreign.serve().await;
    let port = elsewhere.rsplit_once(':').unwrap().1;
    let reached = format!("http://canary-1.localhost:{port}/");
    let api = redirecting(302, &reached);
    let origin = api.serve().await;
    let script = Script::at(&origin).kind(Kind::All).prefix("canary");
    let (credentials, _) = script.build();
    let address = elsewhere.strip_prefix("http://").unwrap().parse().unwrap();
    let client = Client::builder().resolve("canary-1.localhost", address);
    let auth = AuthMiddleware::assuming_no_redirects(credentials);
    let client = ClientBuilder::new(client.build().unwrap())
        .with(auth)
        .build();
    let error = client
        .get(format!("{origin}/away"))
        .send()
        .await
        .unwrap_err();
    let left = redirect_error(&error).unwrap();
    assert!(matches!(left, RedirectError::LeftScope { .. }), "{left:?}");
    assert_eq!(foreign.count(), 1);
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains("canary-1"), "{printed}");
}

/// A client that stops halfway hands on a redirect that is relative to another URL.
#[tokio::test]
async fn a_redirect_of_another_url_than_the_one_that_was_sent_is_handed_to_the_caller() {
    for skips in [true, false] {
        let far = Api::new(|seen| match seen.uri.path() {
            "/first" => moved(302, HeaderValue::from_static("/second")),
            _ => response(200, "far"),
        });
        let at_far = far.serve().await;
        let near = redirecting(302, &format!("{at_far}/first"));
        let at_near = near.serve().await;
        let (credentials, _) = Script::at(&at_near).and(&at_far).build();
        let stops = Policy::custom(|attempt| match attempt.previous().len() {
            1 => attempt.follow(),
            _ => attempt.stop(),
        });
        let client = Client::builder().redirect(stops).build().unwrap();
        let auth = AuthMiddleware::assuming_no_redirects(credentials);
        let client = ClientBuilder::new(client).with(auth).build();
        let mut request = client.get(format!("{at_near}/away"));
        if skips {
            request = request.with_extension(AuthContext::skip());
        }
        let status = request.send().await.unwrap().status();
        assert_eq!((status.as_u16(), near.count(), far.count()), (302, 1, 1));
    }
}

#[tokio::test]
async fn rule_7_a_response_from_another_url_than_the_one_that_was_sent_changes_nothing() {
    let api = Api::new(|seen| {
        if seen.uri.path() == "/away" {
            return moved(302, HeaderValue::from_static("/here"));
        }
        let mut response = response(401, "who are you");
        let anonymous = HeaderValue::from_static("sid=anonymous; Path=/");
        response.headers_mut().insert("set-cookie", anonymous);
        response
    });
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).kind(Kind::Cookie).build();
    let auth = AuthMiddleware::assuming_no_redirects(credentials.clone());
    let client = ClientBuilder::new(Client::new()).with(auth).build();
    let response = client.get(format!("{origin}/away")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.headers()["set-cookie"].is_sensitive());
    let current = credentials.get().await.unwrap();
    assert_eq!(current.cookie("sid"), Some("token-1"));
    assert_eq!(control.logins(), 1);
}

/// A client that follows no redirect, in a middleware that can't know it.
fn assuming(auth: AuthMiddleware) -> ClientWithMiddleware {
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    ClientBuilder::new(client).with(auth).build()
}

#[tokio::test]
async fn rule_7_a_response_is_judged_though_the_url_of_its_request_has_a_fragment() {
    for path in ["/app#/home", "/away"] {
        let api = || {
            Api::new(|seen| match (seen.uri.path(), seen.bearer()) {
                ("/away", _) => moved(302, HeaderValue::from_static("/app#/home")),
                (_, Some("token-1")) => response(401, "revoked"),
                _ => response(200, "in"),
            })
        };
        for via in BOTH {
            let origin = api().serve().await;
            let (credentials, control) = Script::at(&origin).build();
            let request = get(&format!("{origin}{path}"));
            let got = send(via, &credentials, Redirects::new(), request).await;
            assert_eq!((got.unwrap().status, control.logins()), (200, 2), "{via:?}");
        }
        let origin = api().serve().await;
        let (credentials, control) = Script::at(&origin).build();
        let client = assuming(AuthMiddleware::assuming_no_redirects(credentials));
        let response = client.get(format!("{origin}{path}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(control.logins(), 2, "{path}");
    }
}

#[tokio::test]
async fn rule_7_cookies_are_heard_though_the_url_of_their_request_has_a_fragment() {
    let api = Api::new(|seen| {
        let mut response = match seen.uri.path() {
            "/away" => moved(302, HeaderValue::from_static("/here")),
            _ => response(200, ""),
        };
        let rolled = HeaderValue::from_static("sid=rolled; Path=/");
        response.headers_mut().insert("set-cookie", rolled);
        response
    });
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).kind(Kind::Cookie).build();
    let client = assuming(AuthMiddleware::assuming_no_redirects(credentials.clone()));
    client.get(format!("{origin}/#part")).send().await.unwrap();
    let current = credentials.get().await.unwrap();
    assert_eq!(current.cookie("sid"), Some("rolled"));
    // Without a credential, a redirect is read against the URL that was sent.
    let request = client.get(format!("{origin}/away#part"));
    let response = request.with_extension(AuthContext::skip()).send().await;
    assert_eq!(response.unwrap().url().path(), "/here");
}

/// What happens if a client that follows redirects by itself goes on until it gives up.
async fn gives_up(credentials: &Credentials, policy: Policy, url: &str) -> String {
    let client = Client::builder().redirect(policy).build().unwrap();
    let auth = AuthMiddleware::assuming_no_redirects(credentials.clone());
    let client = ClientBuilder::new(client).with(auth).build();
    let error = client.get(url).send().await.unwrap_err();
    let left = redirect_error(&error).map(ToString::to_string);
    assert_eq!(error.is_redirect(), left.is_none(), "{error:?}");
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains("canary"), "{printed}");
    left.unwrap_or_default()
}

#[tokio::test]
async fn rule_16_a_client_that_goes_in_a_circle_off_the_scope_is_an_event_and_an_error() {
    let foreign = Api::new(|seen| moved(302, format!("{}x-canary", seen.uri).parse().unwrap()));
    let elsewhere = foreign.serve().await;
    let api = redirecting(302, &format!("{elsewhere}/path"));
    let origin = api.serve().await;
    let events = Arc::new(Mutex::new(0));
    let count = Arc::clone(&events);
    let credentials = Credentials::builder(Script::at(&origin))
        .observer(move |_: &Identity, event: &Event| {
            *count.lock().unwrap() += usize::from(matches!(event, Event::LeftScope { .. }));
        })
        .build();
    let away = format!("{origin}/away");
    let left = gives_up(&credentials, Policy::default(), &away).await;
    assert!(left.contains(&elsewhere), "{left}");
    assert_eq!((foreign.count(), *events.lock().unwrap()), (10, 1));
    // It gives up before it leaves the scope.
    for policy in [
        Policy::limited(0),
        Policy::custom(|attempt| attempt.error("refused")),
    ] {
        assert_eq!(gives_up(&credentials, policy, &away).await, "");
    }
    assert_eq!((foreign.count(), *events.lock().unwrap()), (10, 1));
}

#[tokio::test]
async fn rule_17_the_error_of_a_client_that_goes_in_a_circle_shows_no_secret() {
    let api = Api::new(|seen| {
        let token = seen.bearer().unwrap_or_default().to_owned();
        moved(302, format!("/x?of={token}").parse().unwrap())
    });
    let origin = api.serve().await;
    let script = Script::at(&origin).prefix("canary-that-is-long-enough");
    let (credentials, _) = script.build();
    let left = gives_up(&credentials, Policy::default(), &origin).await;
    assert_eq!((left, api.count()), (String::new(), 11));
}
