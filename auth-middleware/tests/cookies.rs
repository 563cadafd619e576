//! The cookies of a session, as both integrations send and hear them.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use auth_core::testing::Scripted;
use auth_core::{Credentials, Session, Target, set_cookies};
use auth_middleware::{AuthLayer, AuthMiddleware};
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Extensions, HeaderMap, HeaderValue, Request, Response};
use http_body_util::Empty;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next};
use tower::{ServiceExt, service_fn};

/// A server that notes the cookies of each request, and answers with its next line.
#[derive(Clone, Default)]
struct Server {
    seen: Arc<Mutex<Vec<String>>>,
    lines: Arc<Mutex<Vec<&'static str>>>,
}

impl Server {
    fn answer(&self, headers: &HeaderMap) -> Response<()> {
        let cookies = headers.get(COOKIE).map(|value| value.to_str().unwrap());
        self.seen
            .lock()
            .unwrap()
            .push(cookies.unwrap_or_default().to_owned());
        let mut response = Response::new(());
        *response.status_mut() = http::StatusCode::NOT_FOUND;
        if let Some(line) = self.lines.lock().unwrap().pop() {
            let line = HeaderValue::from_static(line);
            response.headers_mut().insert(SET_COOKIE, line);
        }
        response
    }
}

#[async_trait]
impl Middleware for Server {
    async fn handle(
        &self,
        request: reqwest::Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let (head, ()) = self.answer(request.headers()).into_parts();
        let url = reqwest::ResponseBuilderExt::url(Response::builder(), request.url().clone());
        let mut response = url.body("").unwrap();
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers;
        Ok(response.into())
    }
}

/// A session that keeps every cookie, and whose own goes to one path.
fn credentials() -> Credentials {
    Credentials::new(Scripted::new(|_| {
        let mut headers = HeaderMap::new();
        headers.insert(
            SET_COOKIE,
            HeaderValue::from_static("sid=0; Path=/api; Secure"),
        );
        let mut session = Session::new();
        for cookie in set_cookies(&headers) {
            session = session.with_set_cookie(&cookie)?;
        }
        let login = Target::new("https", "api.example.com", "/login");
        Ok(session.keep_cookies(&HeaderMap::new(), login))
    }))
}

async fn over_tower(server: &Server, credentials: &Credentials, url: &str) {
    let inner = service_fn(|request: Request<Empty<Bytes>>| {
        let response = server.answer(request.headers());
        async move { Ok::<_, Infallible>(response.map(|()| Empty::<Bytes>::new())) }
    });
    let service = tower::ServiceBuilder::new()
        .layer(AuthLayer::new(credentials.clone()))
        .service(inner);
    let request = Request::get(url).body(Empty::new()).unwrap();
    service.oneshot(request).await.unwrap();
}

fn over_reqwest(server: &Server, credentials: &Credentials) -> ClientWithMiddleware {
    let auth = AuthMiddleware::assuming_no_redirects(credentials.clone());
    ClientBuilder::new(reqwest::Client::new())
        .with(auth)
        .with(server.clone())
        .build()
}

#[tokio::test]
async fn rule_15_both_integrations_send_and_hear_cookies_by_the_url_of_the_request() {
    let paths = ["/api/x", "/api/y", "/v3/me", "/v3/x", "/other", "/api/y"];
    // The last line is the first answer.
    let lines = ["sid=; Path=/; Max-Age=0", "ui=1", "sid=1"];
    let carried = ["sid=0", "sid=1", "", "", "", "sid=1; ui=1"];
    for tower in [true, false] {
        let (server, credentials) = (Server::default(), credentials());
        server.lines.lock().unwrap().extend(lines);
        for path in paths {
            let url = format!("https://api.example.com{path}");
            if tower {
                over_tower(&server, &credentials, &url).await;
            } else {
                let client = over_reqwest(&server, &credentials);
                client.get(url).send().await.unwrap();
            }
        }
        let seen = server.seen.lock().unwrap().clone();
        assert_eq!(seen, carried, "{tower}");
        assert_eq!(credentials.peek().unwrap().stamp().generation(), 1);
    }
}
