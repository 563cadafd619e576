//! The parts of a session that only some requests carry, and those that answers roll, through both
//! integrations, over real sockets.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use auth_core::{
    Credential, Credentials, Identity, Judge, LoginError, Origin, Part, Provider, ResponseView,
    Secret, SecretSource, Session, StatusJudge, Update, Verdict, When,
};
use auth_middleware::{AuthLayer, AuthMiddleware, Redirects};
use bytes::Bytes;
use common::{Api, ApiResponse, Seen, response};
use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::rt::TokioExecutor;
use reqwest::Client;
use tower::{ServiceBuilder, ServiceExt};

const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");
const NEW_CSRF: HeaderName = HeaderName::from_static("x-new-csrf");

/// Which integration sends the request.
#[derive(Clone, Copy, Debug)]
enum Via {
    Reqwest,
    Tower,
}

const BOTH: [Via; 2] = [Via::Reqwest, Via::Tower];

impl Via {
    /// Sends a request with a body. Returns the status, the headers as they print, and the body.
    async fn send(
        self,
        credentials: &Credentials,
        method: Method,
        url: String,
    ) -> (u16, String, Bytes) {
        self.send_with(credentials, method, url, HeaderMap::new())
            .await
    }

    /// The same, with headers of the caller's own.
    async fn send_with(
        self,
        credentials: &Credentials,
        method: Method,
        url: String,
        own: HeaderMap,
    ) -> (u16, String, Bytes) {
        match self {
            Self::Reqwest => {
                let credentials = credentials.clone();
                let client = AuthMiddleware::build_client(Client::builder(), credentials);
                let request = client.unwrap().request(method, url).body("a body");
                let response = request.headers(own).send().await.unwrap();
                let head = format!("{:?}", response.headers());
                let status = response.status().as_u16();
                (status, head, response.bytes().await.unwrap())
            }
            Self::Tower => {
                let client = HyperClient::builder(TokioExecutor::new()).build_http();
                let auth = AuthLayer::new(credentials.clone());
                let service = ServiceBuilder::new()
                    .layer(auth.follow_redirects(Redirects::new()))
                    .service(client);
                let request = Request::builder().method(method).uri(url);
                let mut request = request.body(Full::<Bytes>::from("a body")).unwrap();
                *request.headers_mut() = own;
                let response = service.oneshot(request).await.unwrap();
                let head = format!("{:?}", response.headers());
                let status = response.status().as_u16();
                let body = response.into_body().collect().await.unwrap();
                (status, head, body.to_bytes())
            }
        }
    }
}

type Login = fn(u64) -> Result<Session, LoginError>;
type Read = fn(&ResponseView<'_>) -> Update;

/// A provider with a csrf value.
struct Csrf {
    identity: Identity,
    secret: SecretSource,
    login: Login,
    read: Option<Read>,
    logins: Arc<AtomicU64>,
}

impl Csrf {
    fn at(origin: &str, login: Login, read: Option<Read>) -> (Credentials, Arc<AtomicU64>) {
        let logins = Arc::new(AtomicU64::new(0));
        let credentials = Credentials::new(Self {
            identity: Identity::new("csrf", Origin::parse(origin).unwrap(), "me@example.com"),
            secret: "correct horse".into(),
            login,
            read,
            logins: Arc::clone(&logins),
        });
        (credentials, logins)
    }
}

/// Wants the bodies of conflicts.
impl Judge for Csrf {
    fn wants_body(&self, head: &ResponseView<'_>) -> bool {
        head.status == StatusCode::CONFLICT
    }

    fn wants_request(&self) -> bool {
        false
    }

    fn judge(&self, response: &ResponseView<'_>) -> Verdict {
        StatusJudge.judge(response)
    }
}

#[async_trait]
impl Provider for Csrf {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn secret(&self) -> &SecretSource {
        &self.secret
    }

    fn judge(&self) -> &dyn Judge {
        self
    }

    fn updates(&self) -> bool {
        self.read.is_some()
    }

    fn update(&self, response: &ResponseView<'_>, _: &Credential) -> Update {
        self.read.map_or_else(Update::new, |read| read(response))
    }

    fn secret_headers(&self) -> &[HeaderName] {
        static SECRET: [HeaderName; 1] = [NEW_CSRF];
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

/// The method, path and query of each request, and the csrf header if it carried one.
fn lines(seen: &[Seen]) -> Vec<String> {
    let line = |seen: &Seen| {
        let csrf = seen.headers.get(CSRF);
        let csrf = csrf.map_or("-", |csrf| csrf.to_str().unwrap());
        format!("{} {} {csrf}", seen.method, seen.uri)
    };
    seen.iter().map(line).collect()
}

#[tokio::test]
async fn rule_16_each_hop_carries_what_its_own_method_and_path_ask_for() {
    for via in BOTH {
        let api = Api::new(|seen| match seen.uri.path() {
            "/api/again" => with(response(307, ""), LOCATION, "/api/done"),
            "/api/done" => with(response(303, ""), LOCATION, "/api/view"),
            "/api/view" => with(response(302, ""), LOCATION, "/public"),
            "/api/dead" if seen.headers[CSRF] == "c1" => response(401, ""),
            _ => response(200, ""),
        });
        let origin = api.serve().await;
        let (credentials, logins) = Csrf::at(
            &origin,
            |number| {
                let writes = || When::unsafe_methods().below("/api");
                let csrf = format!("c{number}");
                Ok(Session::new()
                    .with_bearer("t")?
                    .with_part(Part::header("x-csrf-token", &csrf).when(writes()))?
                    .with_part(Part::query("csrf", &csrf).when(writes()))?)
            },
            None,
        );
        for (method, path) in [
            (Method::PUT, "/api/again?a=1"),
            (Method::POST, "/public?csrf=own"),
            (Method::DELETE, "/api/dead"),
        ] {
            let url = format!("{origin}{path}");
            let (status, _, _) = via.send(&credentials, method, url).await;
            assert_eq!(status, 200, "{path}");
        }
        assert_eq!(
            lines(&api.seen()),
            [
                "PUT /api/again?a=1&csrf=c1 c1",
                "PUT /api/done?csrf=c1 c1",
                "GET /api/view -",
                "GET /public -",
                "POST /public?csrf=own -",
                "DELETE /api/dead?csrf=c1 c1",
                "DELETE /api/dead?csrf=c2 c2",
            ],
            "{via:?}"
        );
        assert_eq!(logins.load(SeqCst), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rule_15_a_double_submit_is_equal_however_many_requests_roll_it() {
    for via in BOTH {
        let rolls = AtomicU64::new(0);
        let api = Api::new(move |seen| {
            let cookie = seen.cookie().and_then(|line| line.split("csrf=").nth(1));
            let header = seen.headers.get(CSRF).map(HeaderValue::as_bytes);
            let status = match (cookie, header) {
                (Some(cookie), Some(header)) if cookie.as_bytes() == header => 200,
                _ => 403,
            };
            let next = rolls.fetch_add(1, SeqCst);
            with(
                response(status, ""),
                SET_COOKIE,
                &format!("csrf=r{next}; Path=/"),
            )
        });
        let origin = api.serve().await;
        let (credentials, logins) = Csrf::at(
            &origin,
            |_| {
                let session = Session::new().with_cookie("sid", "s")?;
                let session = session.with_cookie("csrf", "r")?;
                Ok(session.with_header_from_cookie("x-csrf-token", "csrf")?)
            },
            None,
        );
        for _ in 0..4 {
            let url = || format!("{origin}/write");
            let sent = (0..50).map(|_| via.send(&credentials, Method::POST, url()));
            for (status, _, _) in futures_util::future::join_all(sent).await {
                assert_eq!(status, 200, "{via:?}");
            }
        }
        assert_eq!((api.count(), logins.load(SeqCst)), (200, 1), "{via:?}");
        let revision = credentials.get().await.unwrap().stamp().revision();
        assert!(revision >= 4, "it rolled in each round: {revision}");
    }
}

#[tokio::test]
async fn rule_7_both_integrations_hear_values_from_headers_and_from_bodies() {
    let read: Read = |response| {
        let body = response
            .body
            .and_then(|body| HeaderValue::from_bytes(body).ok());
        let new = response.headers.get(NEW_CSRF).cloned().or(body);
        new.map_or_else(Update::new, |new| Update::new().with_header(CSRF, new))
    };
    for via in BOTH {
        let api = Api::new(|seen| match seen.uri.path() {
            "/header" => with(response(404, ""), NEW_CSRF, "canary-header"),
            "/body" => response(409, "canary-body"),
            _ => response(200, "not read"),
        });
        let origin = api.serve().await;
        let login: Login = |_| Ok(Session::new().with_header(CSRF, HeaderValue::from_static("c1")));
        let (credentials, logins) = Csrf::at(&origin, login, Some(read));
        for (path, status, body) in [
            ("/header", 404, ""),
            ("/body", 409, "canary-body"),
            ("/", 200, "not read"),
            ("/", 200, "not read"),
        ] {
            let url = format!("{origin}{path}");
            let (got, head, read) = via.send(&credentials, Method::POST, url).await;
            assert_eq!((got, &*read), (status, body.as_bytes()), "{via:?} {path}");
            // Rule 17: the header that brings a value is marked.
            assert!(!head.contains("canary"), "{via:?}: {head}");
            assert_eq!(head.contains("x-new-csrf"), path == "/header", "{head}");
        }
        let carried = [
            "POST /header c1",
            "POST /body canary-header",
            "POST / canary-body",
            "POST / canary-body",
        ];
        assert_eq!(lines(&api.seen()), carried, "{via:?}");
        let stamp = credentials.get().await.unwrap().stamp();
        assert_eq!((stamp.revision(), logins.load(SeqCst)), (2, 1), "{via:?}");
    }
}

#[tokio::test]
async fn rule_16_a_header_that_the_session_has_at_times_does_not_leave_the_scope() {
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "taken"));
        let location = foreign.serve().await;
        let api = Api::new(move |_| with(response(307, ""), LOCATION, &location));
        let origin = api.serve().await;
        // There is no cookie to derive it from yet, so the caller's own is sent.
        let login: Login = |_| {
            let session = Session::new().with_bearer("t")?;
            Ok(session.with_header_from_cookie("x-csrf-token", "csrf")?)
        };
        let (credentials, _) = Csrf::at(&origin, login, None);
        let own = HeaderMap::from_iter([(CSRF, HeaderValue::from_static("own"))]);
        let url = format!("{origin}/x");
        let (status, _, _) = via.send_with(&credentials, Method::POST, url, own).await;
        assert_eq!(status, 200);
        assert_eq!(lines(&api.seen()), ["POST /x own"], "{via:?}");
        assert_eq!(lines(&foreign.seen()), ["POST / -"], "{via:?}");
    }
}

#[tokio::test]
async fn rule_16_a_redirect_takes_no_query_value_away_that_its_own_answer_has_rolled() {
    let read: Read = |response| match response.headers.get(NEW_CSRF) {
        Some(new) => Update::new()
            .with_query("csrf", new.to_str().unwrap())
            .unwrap(),
        None => Update::new(),
    };
    for via in BOTH {
        let foreign = Api::new(|_| response(200, "taken"));
        let elsewhere = foreign.serve().await;
        let location = format!("{elsewhere}/end?next=%2Fx%3Fcsrf%3Dcanary-1");
        let api = Api::new(move |_| {
            let rolled = with(response(302, ""), NEW_CSRF, "canary-2");
            with(rolled, LOCATION, &location)
        });
        let origin = api.serve().await;
        let login: Login = |_| Ok(Session::new().with_query("csrf", "canary-1")?);
        let (credentials, _) = Csrf::at(&origin, login, Some(read));
        let url = format!("{origin}/x");
        let (status, head, _) = via.send(&credentials, Method::POST, url).await;
        assert_eq!((status, foreign.count()), (302, 0), "{via:?}");
        assert!(!head.contains("canary"), "{head}");
        assert_eq!(credentials.get().await.unwrap().stamp().revision(), 1);
    }
}

/// A gate sets a header of the session, and leads back to what was asked for.
#[tokio::test]
async fn a_hop_to_its_own_url_with_another_header_of_the_session_is_no_circle() {
    let read: Read = |response| match response.headers.get(NEW_CSRF) {
        Some(new) => Update::new().with_header(CSRF, new.clone()),
        None => Update::new(),
    };
    for via in BOTH {
        let api = Api::new(|seen| {
            if seen.headers[&CSRF] == "c-2" {
                return response(200, "welcome");
            }
            let rolled = with(response(302, ""), NEW_CSRF, "c-2");
            with(rolled, LOCATION, seen.uri.path())
        });
        let origin = api.serve().await;
        let login: Login =
            |_| Ok(Session::new().with_header(CSRF, HeaderValue::from_static("c-1")));
        let (credentials, logins) = Csrf::at(&origin, login, Some(read));
        let url = format!("{origin}/here");
        let (status, _, _) = via.send(&credentials, Method::GET, url).await;
        assert_eq!((status, api.count()), (200, 2), "{via:?}");
        assert_eq!(logins.load(SeqCst), 1);
    }
}
