//! Requests to responses, and bytes to requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::api::{Api, cloudio_error, unauthorized};
use super::state::State;

/// Larger bodies get status 413.
const MAX_BODY: usize = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Site {
    pub(super) api: Api,
    pub(super) state: Mutex<State>,
    pub(super) login_latency: Duration,
    pub(super) call_latency: Duration,
    pub(super) dead_session_is_forbidden: bool,
}

/// Serves until it is told to stop, then ends all connections. Dropped, it ends them as well.
pub(super) async fn serve(site: Arc<Site>, listener: TcpListener, mut stop: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stop => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(connection(Arc::clone(&site), stream, peer));
                }
                // Out of file handles, most likely: it passes as connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    connections.shutdown().await;
}

async fn connection(site: Arc<Site>, stream: TcpStream, peer: SocketAddr) {
    // Without it, small responses may wait for the client's acknowledgement of earlier ones.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.response(request, peer).await.map(Full::new)) }
    });
    // What goes wrong on a connection is the client's to notice.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl Site {
    async fn response(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
            return message(StatusCode::PAYLOAD_TOO_LARGE, "Body too large");
        };
        let body = body.to_bytes();
        let path = parts.uri.path();
        if parts.method == Method::POST && path == self.api.login_path() {
            self.login(&parts, &body, peer).await
        } else if parts.method == Method::POST && self.api.is_logout(path) {
            self.logout(&parts)
        } else {
            self.call(&parts, body).await
        }
    }

    async fn login(&self, parts: &Parts, body: &[u8], peer: SocketAddr) -> Response<Bytes> {
        let let_through = self.state.lock().attempt(peer.ip());
        pass(self.login_latency).await;
        let mut state = self.state.lock();
        if let Err(wait) = let_through {
            state.counts.logins.limited += 1;
            drop(state);
            let mut response = message(StatusCode::TOO_MANY_REQUESTS, "Too many login attempts");
            // Rounded up: a client that waits exactly so long must find the door open.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            return response;
        }
        if state.login_outage {
            state.counts.logins.unavailable += 1;
            return message(StatusCode::SERVICE_UNAVAILABLE, "Down for maintenance");
        }
        let Some((account, password)) = self.api.read_login(parts, body) else {
            state.counts.logins.malformed += 1;
            return message(StatusCode::BAD_REQUEST, "Bad request");
        };
        if !state.knows(&account, &password) {
            state.counts.logins.refused += 1;
            return self.api.refusal();
        }
        state.counts.logins.ok += 1;
        let lifetime = state.lifetime;
        let make = |random: &str, at| self.api.make_token(random, at, &lifetime);
        let issued = state.issue(&account, make);
        drop(state);
        self.api.welcome(&account, &issued, &lifetime)
    }

    fn logout(&self, parts: &Parts) -> Response<Bytes> {
        let mut state = self.state.lock();
        let ended = self
            .api
            .credential(parts)
            .is_some_and(|(token, _)| state.end(&token));
        if !ended {
            return unauthorized(false);
        }
        state.counts.logouts += 1;
        drop(state);
        let mut response = message(StatusCode::OK, "Logout successful");
        self.api.delete_cookie(&mut response);
        response
    }

    async fn call(&self, parts: &Parts, body: Bytes) -> Response<Bytes> {
        let response = self.decide(parts, body);
        pass(self.call_latency).await;
        response
    }

    fn decide(&self, parts: &Parts, body: Bytes) -> Response<Bytes> {
        let (api, path) = (self.api, parts.uri.path());
        let carried = api.credential(parts);
        let mut state = self.state.lock();
        if let Some(id) = parts.headers.get("x-request-id") {
            state.note_request_id(id.as_bytes());
        }
        if !path.starts_with(api.prefix()) {
            state.counts.calls.not_found += 1;
            return message(StatusCode::NOT_FOUND, "Not found");
        }
        let live = carried.and_then(|(token, csrf)| {
            let account = state.authenticate(&token, csrf.as_deref())?;
            Some((token, account))
        });
        let Some((token, account)) = live else {
            state.counts.calls.unauthorized += 1;
            return unauthorized(self.dead_session_is_forbidden);
        };
        if state.forbidden.contains(path) {
            state.counts.calls.forbidden += 1;
            return match api {
                Api::CloudIo => cloudio_error("Access Denied - Your role may not do this"),
                _ => message(StatusCode::FORBIDDEN, "Forbidden"),
            };
        }
        state.counts.calls.ok += 1;
        let lifetime = state.lifetime;
        let rolled = if state.rolls_cookies {
            state.roll(&token, |random| api.make_token(random, 0, &lifetime))
        } else {
            None
        };
        drop(state);
        let mut response = if parts.method == Method::POST {
            echo(parts, body)
        } else if path == api.probe_path() {
            json_response(StatusCode::OK, &api.probe(&account))
        } else {
            json_response(StatusCode::OK, &json!({ "path": path, "account": account }))
        };
        if let Some(rolled) = rolled {
            api.set_cookie(&mut response, &rolled, &lifetime);
        }
        response
    }
}

/// Returns at once, without a timer, if there is nothing to wait for.
async fn pass(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

fn echo(parts: &Parts, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    let kind = parts.headers.get(CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn message(status: StatusCode, text: &str) -> Response<Bytes> {
    json_response(status, &json!({ "message": text }))
}

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
