//! The integration with reqwest-middleware, over a real socket.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use auth_core::clock::ManualClock;
use auth_core::testing::Scripted;
use auth_core::{
    Ask, Credentials, Event, Identity, Lifetime, LoginError, LoginMark, Origin, ResponseView,
    Verdict,
};
use auth_middleware::{AuthContext, AuthMiddleware, auth_error};
use bytes::Bytes;
use common::{Api, BodyJudge, Kind, ORIGIN, Script, assert_nothing_old, response, until};
use http::HeaderValue;
use reqwest::Client;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn client(credentials: &Credentials) -> ClientWithMiddleware {
    AuthMiddleware::build_client(Client::builder(), credentials.clone()).unwrap()
}

/// Sends these bytes to every connection, and closes it.
#[allow(clippy::disallowed_methods, reason = "the server of a test")]
async fn raw_server(bytes: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test]
async fn a_request_carries_the_credential() {
    let api = Api::new(|_| response(200, "fine"));
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).kind(Kind::All).build();
    let request = client(&credentials)
        .get(format!("{origin}/me?a=1&csrf=mine"))
        .header("authorization", "Basic old")
        .header("cookie", "lang=en; sid=mine");
    let response = request.send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "fine");
    let seen = &api.seen()[0];
    assert_eq!(seen.headers.get_all("authorization").iter().count(), 1);
    assert_eq!(seen.bearer(), Some("token-1"));
    assert_eq!(seen.cookie(), Some("lang=en; sid=token-1"));
    assert_eq!(seen.headers["x-api-key"], "token-1");
    assert_eq!(seen.uri, "/me?a=1&csrf=token-1");
    assert_eq!(control.logins(), 1);
}

#[tokio::test]
async fn query_secrets_are_encoded_once() {
    let api = Api::new(|_| response(200, ""));
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).kind(Kind::Query).build();
    client(&credentials)
        .get(format!("{origin}/me?q=%20x#part"))
        .send()
        .await
        .unwrap();
    assert_eq!(api.seen()[0].uri, "/me?q=%20x&csrf=token-1%2F%26%C3%A9");
}

#[tokio::test]
async fn rule_9_the_caller_gets_the_second_response_to_the_same_request_bytes() {
    let api = Api::new(|seen| match seen.bearer() {
        Some("token-1") => response(401, "first"),
        _ => response(200, "second"),
    });
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).kind(Kind::All).build();
    let request = client(&credentials)
        .post(format!("{origin}/rows?page=2"))
        .header("cookie", "lang=en")
        .body("a body");
    assert_eq!(
        request.send().await.unwrap().text().await.unwrap(),
        "second"
    );
    let seen = api.seen();
    assert_eq!(seen.len(), 2);
    for (number, seen) in (1..).zip(&seen) {
        assert_eq!(seen.body, "a body");
        assert_eq!(
            seen.uri.to_string(),
            format!("/rows?page=2&csrf=token-{number}")
        );
        assert_eq!(
            seen.cookie(),
            Some(format!("lang=en; sid=token-{number}").as_str())
        );
        assert_eq!(seen.headers["content-length"], "6");
    }
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn rule_9_the_second_attempt_carries_nothing_that_only_the_first_credential_had() {
    let api = Api::accepting("token-2");
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).kind(Kind::AllThenBearer).build();
    credentials.get().await.unwrap();
    let request = client(&credentials).get(format!("{origin}/rows?page=2"));
    assert_eq!(request.send().await.unwrap().status(), 200);
    assert_nothing_old(&api.seen());
}

#[tokio::test]
async fn rule_8_a_request_is_replayed_once() {
    let api = Api::new(|_| response(401, "no"));
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    let response = client(&credentials).get(&origin).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), api.count(), control.logins()),
        (401, 2, 2)
    );
}

#[tokio::test]
async fn rule_9_a_streaming_body_gets_its_first_response_and_the_next_request_a_new_session() {
    let api = Api::accepting("token-2");
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    let client = client(&credentials);
    let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>("a "), Ok("body")]);
    let stream = reqwest::Body::wrap_stream(chunks);
    let response = client.post(&origin).body(stream).send().await.unwrap();
    assert_eq!((response.status().as_u16(), api.count()), (401, 1));
    assert_eq!(client.get(&origin).send().await.unwrap().status(), 200);
    assert_eq!((api.count(), control.logins()), (2, 2));
}

#[tokio::test]
async fn without_replay_nothing_is_sent_twice() {
    let api = Api::accepting("token-2");
    let origin = api.serve().await;
    let (credentials, _) = Script::at(&origin).build();
    let middleware = AuthMiddleware::assuming_no_redirects(credentials).without_replay();
    let client = ClientBuilder::new(Client::new()).with(middleware).build();
    assert_eq!(client.get(&origin).send().await.unwrap().status(), 401);
    assert_eq!(api.count(), 1);
}

#[tokio::test]
async fn rule_16_foreign_requests_pass_untouched() {
    let api = Api::new(|_| response(401, "no"));
    let origin = api.serve().await;
    let (credentials, control) = Script::at("https://api.example.com")
        .kind(Kind::All)
        .build();
    let response = client(&credentials)
        .get(format!("{origin}/?a=1"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!((api.count(), control.logins()), (1, 0));
    let seen = &api.seen()[0];
    assert_eq!(seen.uri, "/?a=1");
    for name in ["authorization", "cookie", "x-api-key"] {
        assert!(!seen.headers.contains_key(name));
    }
}

#[tokio::test]
async fn a_context_comes_with_the_request_or_with_the_task() {
    let api = Api::new(|_| response(200, ""));
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    let (other, _) = Script::at(&origin).prefix("other").build();
    let client = client(&credentials);
    let mine = AuthContext::new().identity(other);
    client
        .get(&origin)
        .with_extension(mine.clone())
        .send()
        .await
        .unwrap();
    mine.apply_to(client.get(&origin).send()).await.unwrap();
    client
        .get(&origin)
        .with_extension(AuthContext::skip())
        .send()
        .await
        .unwrap();
    assert_eq!(control.logins(), 0);
    client.get(&origin).send().await.unwrap();
    client
        .get(&origin)
        .with_extension(AuthContext::new().ask(Ask::new().renewed()))
        .send()
        .await
        .unwrap();
    let seen = api.seen();
    let carried: Vec<_> = seen
        .iter()
        .map(|seen| seen.bearer().unwrap_or("-"))
        .collect();
    assert_eq!(carried, ["other-1", "other-1", "-", "token-1", "token-2"]);
}

#[tokio::test]
async fn rule_10_the_wait_ends_with_the_requests_own_timeout_or_the_contexts() {
    let (credentials, control) = Script::at("https://api.example.com").build();
    control.hold();
    let client = client(&credentials);
    for (timeout, within, expected) in [(2, 9, 2), (9, 3, 3)] {
        let request = client
            .get("https://api.example.com/")
            .timeout(Duration::from_secs(timeout))
            .with_extension(AuthContext::new().ask(Ask::new().within(Duration::from_secs(within))));
        let mut call = Box::pin(request.send());
        assert!(futures_util::poll!(&mut call).is_pending());
        until(|| control.logins() == 1).await;
        let expected = Duration::from_secs(expected);
        control.clock.advance(expected);
        let error = call.await.unwrap_err();
        let error = auth_error(&error).unwrap();
        assert!(
            matches!(error, auth_core::Error::DeadlinePassed { waited } if *waited == expected),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn rule_13_without_a_credential_a_request_is_not_sent_and_the_error_is_typed() {
    let api = Api::new(|_| response(200, ""));
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    control.fail_next(LoginError::refused("status 401"));
    let error = client(&credentials).get(&origin).send().await.unwrap_err();
    assert!(auth_error(&error).unwrap().is_login_refused());
    assert_eq!(api.count(), 0);
    let other = Client::new()
        .get("http://127.0.0.1:1/")
        .send()
        .await
        .unwrap_err();
    assert!(auth_error(&other.into()).is_none());
}

#[tokio::test]
async fn rule_2_a_caller_cancelled_during_the_login_does_not_stop_it() {
    let api = Api::accepting("token-1");
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    control.hold();
    let client = client(&credentials);
    let mut cancelled = Box::pin(client.get(&origin).send());
    assert!(futures_util::poll!(&mut cancelled).is_pending());
    until(|| control.logins() == 1).await;
    drop(cancelled);
    control.release();
    assert_eq!(client.get(&origin).send().await.unwrap().status(), 200);
    assert_eq!((control.logins(), api.count()), (1, 1));
}

#[tokio::test]
async fn rule_18_a_login_routed_through_its_own_integration_is_a_typed_error() {
    let api = Api::new(|_| response(200, ""));
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    let client = client(&credentials);
    let (own, url) = (client.clone(), origin.clone());
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    control.during_login(move || {
        let (own, url, sender) = (own.clone(), url.clone(), sender.clone());
        async move {
            let direct = own.get(&url).send().await;
            let marked = own.get(&url).with_extension(LoginMark::current().unwrap());
            #[allow(clippy::disallowed_methods, reason = "a test of what crosses tasks")]
            let carried = tokio::spawn(marked.send()).await.unwrap();
            for result in [direct, carried] {
                let error = result.unwrap_err();
                sender
                    .send(matches!(
                        auth_error(&error),
                        Some(auth_core::Error::LoginLoop)
                    ))
                    .unwrap();
            }
        }
    });
    client.get(&origin).send().await.unwrap();
    assert!(received.recv().await.unwrap() && received.recv().await.unwrap());
    assert_eq!(api.count(), 1);
}

#[tokio::test]
async fn a_judge_that_wants_the_body_gets_it_and_the_rest_of_the_response_is_unchanged() {
    let api = Api::new(|seen| match (seen.uri.path(), seen.bearer()) {
        ("/forbidden", _) => {
            let mut response = response(403, "you may not");
            response
                .headers_mut()
                .insert("x-reason", HeaderValue::from_static("scope"));
            response
        }
        (_, Some("token-1")) => response(403, "session expired"),
        _ => response(200, "fine"),
    });
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).judge(BodyJudge).build();
    let client = client(&credentials);
    let url = format!("{origin}/forbidden?a=1");
    let response = client.get(&url).send().await.unwrap();
    assert_eq!(
        (response.status().as_u16(), response.url().as_str()),
        (403, url.as_str())
    );
    assert_eq!(response.headers()["x-reason"], "scope");
    assert_eq!(response.content_length(), Some(11));
    assert!(response.remote_addr().is_some());
    assert_eq!(response.text().await.unwrap(), "you may not");
    assert_eq!(control.logins(), 1);
    assert_eq!(
        client
            .get(&origin)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
        "fine"
    );
    assert_eq!(control.logins(), 2);
}

#[tokio::test]
async fn a_judge_of_the_middleware_replaces_the_providers() {
    let teapots = |response: &ResponseView<'_>| match response.status.as_u16() {
        418 => Verdict::Rejected,
        _ => Verdict::Accepted,
    };
    let api = Api::new(|seen| match seen.bearer() {
        Some("token-1") => response(418, ""),
        _ => response(401, ""),
    });
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).build();
    let (client, auth) = AuthMiddleware::with_client(Client::builder(), credentials).unwrap();
    let client = ClientBuilder::new(client).with(auth.judge(teapots)).build();
    let response = client.get(&origin).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!((control.logins(), api.count()), (2, 2));
}

#[tokio::test]
async fn a_body_too_large_to_judge_reaches_the_caller_whole() {
    let large = "session expired ".repeat(10_000);
    let body = large.clone();
    let api = Api::new(move |_| {
        let mut response = response(403, "");
        *response.body_mut() = Bytes::from(body.clone()).into();
        response
    });
    let origin = api.serve().await;
    let (credentials, control) = Script::at(&origin).judge(BodyJudge).build();
    let response = client(&credentials).get(&origin).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), large);
    assert_eq!((api.count(), control.logins()), (1, 1));
}

#[tokio::test]
async fn a_body_that_breaks_off_while_it_is_judged_breaks_off_for_the_caller() {
    let origin = raw_server(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 99\r\n\r\nexpired").await;
    let (credentials, control) = Script::at(&origin).judge(BodyJudge).build();
    let mut response = client(&credentials).get(&origin).send().await.unwrap();
    assert_eq!(response.status(), 403);
    assert_eq!(response.chunk().await.unwrap().unwrap(), "expired");
    assert!(response.chunk().await.is_err());
    assert_eq!(control.logins(), 1, "an incomplete body is not judged");
}

/// Responds without a server, and records the time-out of each request.
#[derive(Clone, Default)]
struct TimeOuts(Arc<Mutex<Vec<Option<Duration>>>>);

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for TimeOuts {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        use reqwest::ResponseBuilderExt;

        self.0.lock().unwrap().push(request.timeout().copied());
        let response = http::Response::builder()
            .url(request.url().clone())
            .body("")
            .unwrap();
        Ok(response.into())
    }
}

#[tokio::test]
async fn a_requests_own_time_out_includes_the_wait_for_a_login() {
    let second = Duration::from_secs(1);
    let (credentials, control) = Script::at(ORIGIN).build();
    let clock = control.clock.clone();
    control.during_login(move || {
        clock.advance(3 * second);
        std::future::ready(())
    });
    let below = TimeOuts::default();
    let client = ClientBuilder::new(Client::new())
        .with(AuthMiddleware::assuming_no_redirects(credentials))
        .with(below.clone())
        .build();
    client.get(ORIGIN).timeout(5 * second).send().await.unwrap();
    client.get(ORIGIN).timeout(5 * second).send().await.unwrap();
    client.get(ORIGIN).send().await.unwrap();
    let seen = below.0.lock().unwrap().clone();
    assert_eq!(seen, [Some(2 * second), Some(5 * second), None]);
}

#[tokio::test]
async fn rule_9_a_request_whose_own_time_out_has_passed_is_not_sent_again() {
    let second = Duration::from_secs(1);
    for (status, location) in [(307, "/next"), (302, "https://other.example/")] {
        let (credentials, control) = Script::at(ORIGIN).build();
        credentials.get().await.unwrap();
        let sent = Arc::new(Mutex::new(0));
        let (count, clock) = (Arc::clone(&sent), control.clock.clone());
        let below = Answering(move || {
            *count.lock().unwrap() += 1;
            clock.advance(3 * second);
            http::Response::builder()
                .status(status)
                .header("location", location)
        });
        let client = ClientBuilder::new(Client::new())
            .with(AuthMiddleware::assuming_no_redirects(credentials))
            .with(below)
            .build();
        let error = client.get(ORIGIN).timeout(3 * second).send().await;
        let reqwest_middleware::Error::Middleware(error) = error.unwrap_err() else {
            panic!("nothing was sent");
        };
        let error: &std::io::Error = error.downcast_ref().unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(*sent.lock().unwrap(), 1, "{status}");
    }
}

/// Another caller has renewed the session, and so the request could be sent again at once.
#[tokio::test]
async fn rule_9_what_is_not_sent_again_for_want_of_time_is_no_replay() {
    struct Renews(Credentials, ManualClock);
    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Renews {
        async fn handle(
            &self,
            request: reqwest::Request,
            _: &mut http::Extensions,
            _: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            use reqwest::ResponseBuilderExt;

            let ask = Ask::new().renewed();
            self.0.get_with(ask).await.unwrap();
            self.1.advance(Duration::from_secs(3));
            let response = http::Response::builder().status(401);
            let response = response.url(request.url().clone());
            Ok(response.body("").unwrap().into())
        }
    }
    let clock = ManualClock::new();
    let replayed = Arc::new(Mutex::new(0));
    let count = Arc::clone(&replayed);
    let origin = Origin::parse(ORIGIN).unwrap();
    let provider = Scripted::tokens(Lifetime::unknown()).with_origin(origin);
    let credentials = Credentials::builder(provider)
        .clock(clock.clock())
        .observer(move |_: &Identity, event: &Event| {
            *count.lock().unwrap() += u32::from(matches!(event, Event::Replayed { .. }));
        })
        .build();
    let client = ClientBuilder::new(Client::new())
        .with(AuthMiddleware::assuming_no_redirects(credentials.clone()))
        .with(Renews(credentials, clock))
        .build();
    let sent = client.get(ORIGIN).timeout(Duration::from_secs(3)).send();
    let reqwest_middleware::Error::Middleware(error) = sent.await.unwrap_err() else {
        panic!("nothing was sent again");
    };
    let error: &std::io::Error = error.downcast_ref().unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(*replayed.lock().unwrap(), 0);
}

/// Responds without a server.
struct Answering<F>(F);

#[async_trait::async_trait]
impl<F: Fn() -> http::response::Builder + Send + Sync + 'static> reqwest_middleware::Middleware
    for Answering<F>
{
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        use reqwest::ResponseBuilderExt;

        let response = self.0().url(request.url().clone());
        Ok(response.body("").unwrap().into())
    }
}

/// Rejects every request after three seconds.
struct SlowlyRejecting(ManualClock);

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for SlowlyRejecting {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut http::Extensions,
        _: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        use reqwest::ResponseBuilderExt;

        self.0.advance(Duration::from_secs(3));
        let response = http::Response::builder().status(401);
        Ok(response.url(request.url().clone()).body("").unwrap().into())
    }
}

#[tokio::test]
async fn rule_10_the_wait_before_a_replay_ends_with_what_is_left_of_the_requests_own_timeout() {
    let (credentials, control) = Script::at(ORIGIN).build();
    credentials.get().await.unwrap();
    control.hold();
    let client = ClientBuilder::new(Client::new())
        .with(AuthMiddleware::assuming_no_redirects(credentials))
        .with(SlowlyRejecting(control.clock.clone()))
        .build();
    let request = client.get(ORIGIN).timeout(Duration::from_secs(5));
    let mut call = Box::pin(request.send());
    assert!(futures_util::poll!(&mut call).is_pending());
    until(|| control.logins() == 2).await;
    let left = Duration::from_secs(2);
    control.clock.advance(left);
    let error = call.await.unwrap_err();
    let error = auth_error(&error).unwrap();
    assert!(
        matches!(error, auth_core::Error::DeadlinePassed { waited } if *waited == left),
        "{error:?}"
    );
}

#[tokio::test]
async fn setting_the_wall_clock_shortens_no_time_out() {
    let second = Duration::from_secs(1);
    let (credentials, control) = Script::at(ORIGIN).build();
    let clock = control.clock.clone();
    control.during_login(move || {
        clock.advance(second);
        clock.set_wall_forward(3_600 * second);
        std::future::ready(())
    });
    let below = TimeOuts::default();
    let client = ClientBuilder::new(Client::new())
        .with(AuthMiddleware::assuming_no_redirects(credentials))
        .with(below.clone())
        .build();
    client.get(ORIGIN).timeout(5 * second).send().await.unwrap();
    assert_eq!(*below.0.lock().unwrap(), [Some(4 * second)]);
}
