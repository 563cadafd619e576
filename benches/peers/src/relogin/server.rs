//! An API on loopback: a login that sets a cookie, and a resource that asks for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// What the server expects as the body of a login.
pub const PASSWORD: &str =
    r#"{"email":"me@example.com","password":"correct horse battery staple"}"#;

/// The time that the server takes for the hash of a password. It sleeps, so that many logins at
/// once cost the callers no processor time, which favours a client that makes many.
const HASHING: Duration = Duration::from_millis(50);

/// The size of a session cookie, about that of the tokens elsewhere.
const COOKIE_BYTES: usize = 1_024;

/// A server on a thread of its own. Its sessions last until they are revoked, and a login ends no
/// other session: the kindest case for a client that logs in more than once.
pub struct Server {
    sessions: Arc<Sessions>,
    url: String,
    /// Ends the server when it is dropped.
    _runtime: Runtime,
}

/// Sessions are numbered by their logins.
#[derive(Default)]
struct Sessions {
    logins: AtomicU64,
    /// The last session that is no longer good.
    revoked: AtomicU64,
}

impl Server {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let sessions = Arc::new(Sessions::default());
        let served = Arc::clone(&sessions);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Arc::clone(&served), stream));
            }
        });
        Self {
            sessions,
            url,
            _runtime: runtime,
        }
    }

    /// The origin of the API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The number of logins so far.
    pub fn logins(&self) -> u64 {
        self.sessions.logins.load(SeqCst)
    }

    /// Ends all sessions.
    pub fn revoke(&self) {
        self.sessions.revoked.store(self.logins(), SeqCst);
    }
}

async fn serve(sessions: Arc<Sessions>, stream: TcpStream) {
    let service = service_fn(|request| respond(&sessions, request));
    // An error is the end of the connection, which the client closes at will.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    sessions: &Sessions,
    request: Request<Incoming>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let mut response = Response::new(Empty::new());
    if request.method() == Method::POST {
        match sessions.log_in(request).await {
            Some(cookie) => drop(response.headers_mut().insert(SET_COOKIE, cookie)),
            None => *response.status_mut() = StatusCode::FORBIDDEN,
        }
    } else if !sessions.know(request.headers().get(COOKIE)) {
        *response.status_mut() = StatusCode::UNAUTHORIZED;
    }
    Ok(response)
}

impl Sessions {
    /// The cookie of a new session, if the password is right.
    async fn log_in(&self, request: Request<Incoming>) -> Option<HeaderValue> {
        let body = request.into_body().collect().await.ok()?;
        if body.to_bytes() != PASSWORD {
            return None;
        }
        let number = self.logins.fetch_add(1, SeqCst) + 1;
        tokio::time::sleep(HASHING).await;
        let cookie = format!("session={number:0COOKIE_BYTES$}; Path=/; HttpOnly");
        HeaderValue::try_from(cookie).ok()
    }

    /// Whether the cookie is that of a session that was not revoked.
    fn know(&self, cookie: Option<&HeaderValue>) -> bool {
        let number = cookie
            .and_then(|cookie| cookie.to_str().ok()?.strip_prefix("session="))
            .and_then(|number| number.parse::<u64>().ok());
        number.is_some_and(|number| number > self.revoked.load(SeqCst))
    }
}
