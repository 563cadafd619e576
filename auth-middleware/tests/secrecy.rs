//! Rule 17: every secret contains a canary, and nothing that is printed contains it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use auth_core::testing::Scripted;
use auth_core::{Ask, Credentials, LoginError, Origin, Part, Scope, Session, Target};
use auth_middleware::{AuthContext, AuthLayer, AuthMiddleware, Redirects, ReplayBody};
use common::{Api, Kind, Log, ORIGIN, Script, get, response};
use http::HeaderValue;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower::{Layer, Service, ServiceExt, service_fn};

const CANARY: &str = "canary";

#[track_caller]
fn assert_silent(printed: &str) {
    assert!(!printed.contains(CANARY), "{printed}");
}

#[track_caller]
fn assert_silent_error(error: &(dyn std::error::Error + 'static)) {
    let mut next = Some(error);
    while let Some(error) = next {
        assert_silent(&format!("{error} {error:?} {error:#?}"));
        next = error.source();
    }
}

#[track_caller]
fn assert_silent_debug(value: &impl Debug) {
    assert_silent(&format!("{value:?} {value:#?}"));
}

fn credentials(origin: &str, kind: Kind) -> Credentials {
    Script::at(origin).kind(kind).prefix(CANARY).build().0
}

fn client(credentials: &Credentials) -> ClientWithMiddleware {
    AuthMiddleware::build_client(Client::builder(), credentials.clone()).unwrap()
}

#[tokio::test]
async fn rule_17_the_url_of_a_response_is_the_callers_own() {
    // The first request is replayed with a newer secret.
    let api = Api::new(|seen| {
        let uri = seen.uri.to_string();
        let status = if uri.contains("canary-1") { 401 } else { 500 };
        let mut response = response(status, "no");
        let echo = HeaderValue::try_from(uri).unwrap();
        response.headers_mut().insert("x-echo", echo);
        response
    });
    let origin = api.serve().await;
    for (kind, credentials) in [Kind::Query, Kind::All]
        .map(|kind| (kind, credentials(&origin, kind)))
        .into_iter()
        .flat_map(|pair| [pair.clone(), pair])
    {
        let url = format!("{origin}/me?a=%20b&csrf=mine");
        let response = client(&credentials)
            .get(format!("{url}#part"))
            .send()
            .await
            .unwrap();
        assert!(
            api.seen().last().unwrap().uri.to_string().contains(CANARY),
            "the secret was sent"
        );
        assert!(response.headers()["x-echo"].is_sensitive());
        assert!(!response.headers()["content-length"].is_sensitive());
        assert_eq!(response.url().as_str(), url, "{kind:?}");
        assert!(
            response.remote_addr().is_some(),
            "the rest of the response is unchanged"
        );
        assert_eq!(response.content_length(), Some(2));
        assert_silent_debug(&response);
        assert_silent_error(&response.error_for_status_ref().unwrap_err());
        assert_silent_error(&response.error_for_status().unwrap_err());
    }
}

#[tokio::test]
async fn rule_17_an_error_shows_the_callers_own_url() {
    // No server listens at this address.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let credentials = credentials(&origin, Kind::Query);
    let error = client(&credentials)
        .get(format!("{origin}/me?a=1"))
        .send()
        .await
        .unwrap_err();
    assert_eq!(error.url().unwrap().as_str(), format!("{origin}/me?a=1"));
    assert!(error.is_connect());
    assert_silent_error(&error);
}

#[tokio::test]
async fn rule_17_after_a_redirect_within_the_scope_the_url_shows_no_secret_either() {
    for location in [
        "/me?csrf=SECRET&b=2",
        "/me?csrf=canary-rolled&b=2",
        "/me?next=%2Fx%3Fcsrf%3DSECRET&b=2",
        "/me/SECRET?b=2",
        "/me?next=%252Fx%253Fcsrf%253DTWICE",
        "/me/TWICE",
        "/me?b=2#SECRET",
        "/me?state=Y2FuYXJ5",
    ] {
        let api = Api::new(move |seen| {
            let query = seen.uri.query().unwrap_or_default();
            let secret = query.split("csrf=").nth(1).unwrap_or_default();
            if seen.uri.path() != "/away" {
                return response(404, "");
            }
            let mut response = response(302, "");
            let location = location
                .replace("SECRET", secret)
                .replace("TWICE", &secret.replace('%', "%25"));
            response
                .headers_mut()
                .insert("location", location.parse().unwrap());
            response
        });
        let origin = api.serve().await;
        let credentials = credentials(&origin, Kind::Query);
        let response = client(&credentials)
            .get(format!("{origin}/away?of=the-caller"))
            .send()
            .await
            .unwrap();
        assert!(api.seen()[1].uri.to_string().contains(CANARY));
        assert_eq!(response.status(), 404);
        assert_silent_debug(&response);
        assert_silent(response.url().as_str());
        assert_eq!(response.url().query(), None, "the server wrote it");
        assert_silent_error(&response.error_for_status().unwrap_err());

        // A redirect that isn't followed has the secret in `Location`.
        let (direct, auth) = AuthMiddleware::with_client(Client::builder(), credentials).unwrap();
        let direct = ClientBuilder::new(direct)
            .with(auth.redirects(Redirects::none()))
            .build();
        let response = direct.get(format!("{origin}/away")).send().await.unwrap();
        assert_eq!(response.status(), 302);
        assert_silent_debug(&response);
    }
}

/// A token that is long enough to be told from other words of a URL.
const LONG: &str = "canary-0123456789";

#[tokio::test]
async fn rule_17_after_a_redirect_neither_a_url_nor_a_header_shows_what_requests_carry() {
    // No server listens at this address.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for kind in [Kind::Bearer, Kind::Cookie] {
        for (location, shown) in [
            ("/file?access_token=canary-0123456789-1", "/file"),
            (
                "/file?next=%252Fx%253Ft%253Dcanary%2D0123456789-1&b=2",
                "/file",
            ),
            ("/file/canary-0123456789-1", "/"),
            ("/file?page=2", "/file?page=2"),
        ] {
            let api = Api::new(move |seen| {
                if seen.uri.path() != "/away" {
                    return response(404, "");
                }
                let mut response = response(302, "");
                response
                    .headers_mut()
                    .insert("location", location.parse().unwrap());
                response
            });
            let origin = api.serve().await;
            let (away, shown) = (format!("{origin}/away?a=1"), format!("{origin}{shown}"));
            let credentials = Script::at(&origin).kind(kind).prefix(LONG).build().0;
            let assuming = AuthMiddleware::assuming_no_redirects(credentials.clone());
            let following = ClientBuilder::new(Client::new()).with(assuming).build();
            for client in [client(&credentials), following] {
                let response = client.get(&away).send().await.unwrap();
                assert_eq!(response.status(), 404);
                assert_eq!(response.url().as_str(), shown);
                assert_silent_debug(&response);
                assert_silent_error(&response.error_for_status().unwrap_err());
            }

            // A redirect that isn't followed has the secret in `Location`.
            let yours = Client::builder();
            let (direct, auth) = AuthMiddleware::with_client(yours, credentials).unwrap();
            let direct = ClientBuilder::new(direct)
                .with(auth.redirects(Redirects::none()))
                .build();
            let response = direct.get(&away).send().await.unwrap();
            assert_eq!(response.status(), 302);
            assert_eq!(response.url().as_str(), away, "the caller's own");
            assert_eq!(response.headers()["location"], location);
            assert_silent_debug(&response);
            let own = format!("{away}&mine=canary-0123456789-1");
            let response = direct.get(&own).send().await.unwrap();
            assert_eq!(response.url().as_str(), own, "the caller wrote it");
        }

        // One that would take it away, and one to a server that can't be reached.
        for (to, status) in [("http://127.0.0.2:9", Some(302)), (&*dead, None)] {
            let location = format!("{to}/file?access_token=canary-0123456789-1");
            let location = HeaderValue::try_from(location).unwrap();
            let api = Api::new(move |_| {
                let mut response = response(302, "");
                response.headers_mut().insert("location", location.clone());
                response
            });
            let origin = api.serve().await;
            let script = Script::at(&origin).and(&dead).kind(kind).prefix(LONG);
            let sent = client(&script.build().0)
                .get(format!("{origin}/away"))
                .send()
                .await;
            match (sent, status) {
                (Ok(response), Some(status)) => {
                    assert_eq!(response.status(), status);
                    assert_silent_debug(&response);
                }
                (Err(error), None) => {
                    assert_eq!(error.url().unwrap().as_str(), format!("{dead}/file"));
                    assert_silent_error(&error);
                }
                (sent, _) => panic!("{sent:?}"),
            }
        }
    }
}

/// After the handle was closed, what its session has had can't be told from the rest.
#[tokio::test]
async fn rule_17_a_redirect_that_comes_after_the_close_does_not_print() {
    for kind in [Kind::Bearer, Kind::Cookie, Kind::Query] {
        let closed = std::sync::Arc::new(std::sync::Mutex::new(None::<Credentials>));
        let handle = std::sync::Arc::clone(&closed);
        let api = Api::new(move |_| {
            let credentials = handle.lock().unwrap().clone().unwrap();
            let close = std::thread::spawn(move || credentials.blocking_close());
            close.join().unwrap().unwrap();
            let mut response = response(302, "");
            let location = HeaderValue::from_static("http://127.0.0.2:9/?t=canary-0123456789-1");
            response.headers_mut().insert("location", location);
            response
        });
        let origin = api.serve().await;
        let credentials = Script::at(&origin).kind(kind).prefix(LONG).build().0;
        *closed.lock().unwrap() = Some(credentials.clone());
        let response = client(&credentials).get(&origin).send().await.unwrap();
        assert_eq!(response.status(), 302);
        assert_silent_debug(&response);
    }
}

/// The value has what parts a URL.
#[tokio::test]
async fn rule_17_of_a_secret_that_is_in_a_path_and_a_query_neither_is_shown() {
    let api = Api::new(|seen| {
        if seen.uri.path() != "/away" {
            return response(404, "");
        }
        let mut response = response(302, "");
        let location = HeaderValue::from_static("/canary-0123?456789-1");
        response.headers_mut().insert("location", location);
        response
    });
    let origin = api.serve().await;
    for kind in [Kind::Cookie, Kind::Bearer] {
        let script = Script::at(&origin).kind(kind).prefix("canary-0123?456789");
        let client = client(&script.build().0);
        let response = client.get(format!("{origin}/away")).send().await.unwrap();
        assert_eq!(response.status(), 404);
        assert_silent(response.url().as_str());
    }
}

#[tokio::test]
async fn rule_17_an_origin_that_a_client_has_left_for_is_not_named_if_it_holds_a_token() {
    /// Answers as a client that has followed a redirect. The handle may be closed meanwhile.
    struct Follows(&'static str, Option<Credentials>);
    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Follows {
        async fn handle(
            &self,
            _: reqwest::Request,
            _: &mut http::Extensions,
            _: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            use reqwest::ResponseBuilderExt;

            let Self(url, closes) = self;
            if let Some(credentials) = closes {
                let _ = credentials.close().await;
            }
            let url = url.parse().unwrap();
            let response = http::Response::builder().url(url).body("").unwrap();
            Ok(response.into())
        }
    }
    let canary = "https://canary-0123456789-1.evil.example/x";
    let plain = "https://evil.example/x";
    for (kind, reached, closes, is_named) in [
        (Kind::Bearer, canary, false, false),
        (Kind::Cookie, canary, false, false),
        (Kind::Bearer, canary, true, false),
        (Kind::Bearer, plain, false, true),
        // What the session has had is not known any more.
        (Kind::Bearer, plain, true, false),
    ] {
        let credentials = Script::at(ORIGIN).kind(kind).prefix(LONG).build().0;
        let follows = Follows(reached, closes.then(|| credentials.clone()));
        let client = ClientBuilder::new(Client::new())
            .with(AuthMiddleware::assuming_no_redirects(credentials))
            .with(follows)
            .build();
        let error = client.get(ORIGIN).send().await.unwrap_err();
        assert_silent_error(&error);
        let text = error.to_string();
        assert_eq!(text.contains("an origin that holds a secret"), !is_named);
        assert_eq!(text.contains("evil.example"), is_named, "{text}");
    }
}

/// The redirect brings the first query value, and has it in its `Location`.
#[tokio::test]
async fn rule_17_no_url_that_a_server_wrote_is_shown_as_the_callers() {
    for (query, kept) in [
        ("csrf=canary-new&next=canary-new", "next=canary-new"),
        ("b=2", "b=2"),
    ] {
        let api = Api::new(move |seen| {
            if seen.uri.path() != "/away" {
                return response(404, "");
            }
            let mut response = response(302, "");
            let location = format!("/me?{query}");
            response
                .headers_mut()
                .insert("location", location.parse().unwrap());
            let cookie = HeaderValue::from_static("csrftoken=canary-new; Path=/");
            response.headers_mut().insert("set-cookie", cookie);
            response
        });
        let origin = api.serve().await;
        let provider = Scripted::new(|_| {
            let session = Session::new().with_bearer("canary-1")?;
            let session = session.with_part(Part::query_from_cookie("csrf", "csrftoken"))?;
            let nowhere = Target::new("", "", "");
            Ok(session.keep_cookies(&http::HeaderMap::new(), nowhere))
        });
        let scope = Scope::only(Origin::parse(&origin).unwrap());
        let credentials = Credentials::builder(provider).scope(scope).build();
        let request = client(&credentials).get(format!("{origin}/away"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 404);
        let sent = api.seen()[1].uri.to_string();
        assert_eq!(sent, format!("/me?{kept}&csrf=canary-new"));
        assert_eq!(response.url().query(), None, "the server wrote it");
        assert_silent_debug(&response);
    }
}

#[tokio::test]
async fn rule_17_an_error_wrapped_by_a_middleware_below_shows_no_secret() {
    enum Wraps {
        AsItIs,
        InDebug,
    }
    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Wraps {
        async fn handle(
            &self,
            request: reqwest::Request,
            _: &mut http::Extensions,
            _: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            let query = request.url().query().unwrap();
            let query = percent_encoding::percent_decode_str(query).decode_utf8_lossy();
            let text = match self {
                Self::InDebug => format!("failed: {query:?}"),
                Self::AsItIs => format!("failed: {}", request.url()),
            };
            Err(reqwest_middleware::Error::middleware(
                std::io::Error::other(text),
            ))
        }
    }
    for wraps in [Wraps::AsItIs, Wraps::InDebug] {
        let script = Script::at(ORIGIN).kind(Kind::Query).prefix("canary\"");
        let auth = AuthMiddleware::assuming_no_redirects(script.build().0);
        let client = ClientBuilder::new(Client::new()).with(auth).with(wraps);
        let error = client.build().get(ORIGIN).send().await.unwrap_err();
        assert_silent_error(&error);
        assert!(error.to_string().contains("its error holds a secret"));
    }
}

#[tokio::test]
async fn rule_17_cookies_that_a_response_sets_do_not_print() {
    let api = Api::new(|_| {
        let mut response = response(200, "");
        let cookie = HeaderValue::from_static("sid=canary-rolled; Path=/");
        response.headers_mut().append("set-cookie", cookie.clone());
        response.headers_mut().append("set-cookie", cookie);
        response
    });
    let origin = api.serve().await;
    let credentials = credentials(&origin, Kind::Cookie);
    let response = client(&credentials).get(&origin).send().await.unwrap();
    assert_eq!(
        response.headers()["set-cookie"],
        "sid=canary-rolled; Path=/"
    );
    assert_silent_debug(&response);
    let (url, inner) = (format!("{origin}/"), api.clone());
    let service =
        AuthLayer::new(credentials).layer(service_fn(move |request| inner.clone().handle(request)));
    assert_silent_debug(&service.oneshot(get(&url)).await.unwrap());
}

#[tokio::test]
async fn rule_17_layers_services_futures_contexts_and_attached_headers_do_not_print_secrets() {
    let credentials = credentials(ORIGIN, Kind::All);
    credentials.get().await.unwrap();
    let layer = AuthLayer::new(credentials.clone());
    let follow = layer.clone().follow_redirects(Redirects::new());
    let inner = service_fn(|request| Api::accepting(CANARY).handle(request));
    let (service, mut followed) = (layer.layer(inner), follow.layer(inner));
    let printed = [
        format!("{layer:?} {layer:#?}"),
        format!("{follow:?} {follow:#?}"),
        format!("{service:?} {service:#?}"),
        format!("{followed:?} {followed:#?}"),
    ];
    for (printed, name) in printed
        .iter()
        .zip(["AuthLayer", "FollowLayer", "Auth", "Follow"])
    {
        assert_silent(printed);
        assert!(printed.starts_with(&format!("{name} {{")), "{printed}");
        assert!(
            printed.contains("Identity(") && printed.contains("replay: "),
            "{printed}"
        );
    }
    let future = followed.ready().await.unwrap().call(get(ORIGIN));
    assert_eq!(format!("{future:?}"), "FollowFuture { .. }");
    let middleware = AuthMiddleware::assuming_no_redirects(credentials.clone());
    assert_silent_debug(&middleware);
    let printed = format!("{middleware:?}");
    assert!(
        printed.contains("replay: true") && printed.contains("Identity("),
        "{printed}"
    );
    let context = AuthContext::new()
        .identity(credentials.clone())
        .ask(Ask::new().renewed());
    assert_silent_debug(&context);
    let printed = format!("{context:?}");
    assert!(
        printed.contains("skip: false") && printed.contains("Identity("),
        "{printed}"
    );
    let printed = Arc::new(Mutex::new(String::new()));
    let record = Arc::clone(&printed);
    let mut service = AuthLayer::new(credentials).layer(service_fn(
        move |request: http::Request<http_body_util::Full<bytes::Bytes>>| {
            *record.lock().unwrap() = format!("{:?}", request.headers());
            std::future::pending::<Result<common::ApiResponse, std::convert::Infallible>>()
        },
    ));
    let future = service
        .ready()
        .await
        .unwrap()
        .call(get("https://api.example.com/me"));
    assert_eq!(format!("{future:?}"), "AuthFuture(\"sending\")");
    let printed = printed.lock().unwrap().clone();
    assert!(
        printed.contains("authorization"),
        "the credential is attached"
    );
    assert_silent(&printed);
}

#[tokio::test]
async fn rule_17_a_body_that_is_kept_is_not_printed() {
    let credentials = credentials(ORIGIN, Kind::Bearer);
    let printed = Arc::new(Mutex::new(String::new()));
    let record = Arc::clone(&printed);
    let inner = service_fn(move |request: http::Request<ReplayBody<_>>| {
        *record.lock().unwrap() = format!("{:?}", request.body());
        Api::accepting(CANARY).handle(request)
    });
    let service = AuthLayer::new(credentials).buffered(1_024).layer(inner);
    let body = http_body_util::Full::<bytes::Bytes>::from("pass=canary");
    let request = http::Request::post(format!("{ORIGIN}/me")).body(body);
    assert_eq!(
        service.oneshot(request.unwrap()).await.unwrap().status(),
        200
    );
    assert_eq!(*printed.lock().unwrap(), "ReplayBody { .. }");
}

#[tokio::test]
async fn rule_17_a_failed_login_does_not_print_the_password() {
    let (credentials, control) = Script::at(ORIGIN).build();
    control.fail_next(LoginError::refused("status 401"));
    let error = client(&credentials).get(ORIGIN).send().await.unwrap_err();
    assert_silent_error(&error);
}

#[tokio::test]
async fn rule_17_a_client_that_leaves_the_scope_is_logged_without_the_url() {
    let (log, _guard) = Log::start();
    let foreign = Api::new(|_| response(200, ""));
    let elsewhere = foreign.serve().await;
    let location = format!("{elsewhere}/path?token=canary-3");
    let api = Api::new(move |_| {
        let mut response = response(302, "");
        response
            .headers_mut()
            .insert("location", location.parse().unwrap());
        response
    });
    let origin = api.serve().await;
    let credentials = credentials(&origin, Kind::Query);
    let client = ClientBuilder::new(Client::new())
        .with(AuthMiddleware::assuming_no_redirects(credentials))
        .build();
    let request = client.get(format!("{origin}/me"));
    request.send().await.unwrap_err();
    let printed = log.lines().join("\n");
    assert!(printed.contains("out of the scope"), "{printed}");
    assert!(!printed.contains("path"), "{printed}");
    assert_silent(&printed);
}

/// A client of an API whose sessions are these.
fn client_of(
    origin: &str,
    session: impl Fn() -> Session + Send + Sync + 'static,
) -> ClientWithMiddleware {
    let credentials = Credentials::builder(Scripted::new(move |_| Ok(session())))
        .scope(Scope::only(Origin::parse(origin).unwrap()))
        .build();
    AuthMiddleware::build_client(Client::builder(), credentials).unwrap()
}

#[tokio::test]
async fn rule_17_an_error_of_the_client_stays_one_whose_words_are_values_by_chance() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let origin = format!("http://localhost:{port}");
    // The name of a database, a word of the client, a segment of the caller's own path.
    for value in ["main-database", "localhost", "request", "tcp", "admin"] {
        let client = client_of(&origin, move || {
            let session = Session::new().with_query("name", value).unwrap();
            session.with_query("token", CANARY).unwrap()
        });
        let error = client.get(format!("{origin}/admin/users")).send().await;
        let error = error.unwrap_err();
        assert!(error.is_connect(), "{value}: {error}");
        assert_silent_error(&error);
    }
}

#[tokio::test]
async fn rule_17_an_error_of_the_client_stays_one_after_a_redirect_to_a_long_url() {
    let nowhere = "http://127.0.0.1:1";
    for long in [10, 9_000] {
        let location = format!("{nowhere}/x?ids={}", "1".repeat(long));
        let api = Api::new(move |_| {
            let mut moved = response(307, "");
            moved
                .headers_mut()
                .insert("location", location.parse().unwrap());
            moved
        });
        let origin = api.serve().await;
        let scope = Scope::only(Origin::parse(&origin).unwrap());
        let session = || Ok(Session::new().with_bearer("canary-0123456789")?);
        let credentials = Credentials::builder(Scripted::new(move |_| session()))
            .scope(scope.and(Origin::parse(nowhere).unwrap()))
            .build();
        let client = AuthMiddleware::build_client(Client::builder(), credentials).unwrap();
        let error = client.get(format!("{origin}/x")).send().await.unwrap_err();
        assert!(error.is_connect(), "{long}: {error}");
        assert_silent_error(&error);
    }
}
