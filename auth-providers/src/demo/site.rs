use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use parking_lot::Mutex;
use serde_json::json;

use super::apis::{Api, DemoApi, Logout, cloudio_error};
use super::connections::Respond;
use super::server_state::ServerState;
use super::settings::Settings;
use super::wire::{json_response, message, whole_seconds};

/// The largest body of a request, in bytes: room for any test of uploads. A larger one gets status
/// 413.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// What a server serves: the API that it behaves as, and its state.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) api: Api,
    pub(super) state: Mutex<ServerState>,
    login_latency: Duration,
    call_latency: Duration,
    dead_session_is_forbidden: bool,
}

impl Site {
    pub(super) fn new(api: Api, settings: Settings) -> Self {
        Self {
            api,
            login_latency: settings.login_latency,
            call_latency: settings.call_latency,
            dead_session_is_forbidden: settings.dead_session_is_forbidden,
            state: Mutex::new(ServerState::new(settings, api.demo().lifetime())),
        }
    }

    async fn login(&self, parts: &Parts, body: &[u8], peer: SocketAddr) -> Response<Bytes> {
        let api = self.api.demo();
        let admitted = self.state.lock().attempt(peer.ip());
        pass(self.login_latency).await;
        let mut state = self.state.lock();
        if let Err(wait) = admitted {
            state.counts.logins.limited += 1;
            drop(state);
            let mut response = message(StatusCode::TOO_MANY_REQUESTS, "Too many login attempts");
            // Rounded up, so that a login after exactly this time is admitted.
            let seconds = whole_seconds(wait).into();
            response.headers_mut().insert(RETRY_AFTER, seconds);
            return response;
        }
        if state.login_outage {
            state.counts.logins.unavailable += 1;
            return message(StatusCode::SERVICE_UNAVAILABLE, "Down for maintenance");
        }
        let Some((account, password)) = read_login(api, parts, body) else {
            state.counts.logins.malformed += 1;
            return message(StatusCode::BAD_REQUEST, "Bad request");
        };
        if !state.knows(&account, &password) {
            state.counts.logins.refused += 1;
            return api.refusal();
        }
        state.counts.logins.ok += 1;
        let lifetime = state.lifetime;
        let issued = state.issue(&account, |random, at| api.token(random, at, &lifetime));
        drop(state);
        let response = json_response(StatusCode::OK, &api.login_body(&account, &issued));
        with_cookie(response, api.set_cookie(&issued.token, &lifetime))
    }

    fn logout(&self, logout: Logout, parts: &Parts) -> Response<Bytes> {
        let carried = self.api.demo().credential(parts);
        let mut state = self.state.lock();
        if !carried.is_some_and(|carried| state.end(&carried.token)) {
            return unauthorized();
        }
        state.counts.logouts += 1;
        drop(state);
        let response = message(StatusCode::OK, "Logout successful");
        with_cookie(response, Some(logout.delete_cookie.to_owned()))
    }

    async fn call(&self, parts: &Parts, body: Bytes) -> Response<Bytes> {
        let response = self.decide(parts, body);
        pass(self.call_latency).await;
        response
    }

    fn decide(&self, parts: &Parts, body: Bytes) -> Response<Bytes> {
        let (api, path) = (self.api.demo(), parts.uri.path());
        let paths = api.paths();
        let carried = api.credential(parts);
        let mut state = self.state.lock();
        state.note_call(parts);
        if !path.starts_with(paths.prefix) {
            state.counts.calls.not_found += 1;
            return message(StatusCode::NOT_FOUND, "Not found");
        }
        let live = carried.and_then(|carried| {
            let account = state.authenticate(&carried.token, carried.csrf.as_deref())?;
            Some((carried.token, account))
        });
        let Some((token, account)) = live else {
            state.counts.calls.unauthorized += 1;
            return if self.dead_session_is_forbidden {
                cloudio_error("Session expired or invalid")
            } else {
                unauthorized()
            };
        };
        if state.forbidden.contains(path) {
            state.counts.calls.forbidden += 1;
            return api.forbidden();
        }
        state.counts.calls.ok += 1;
        if let Some(location) = state.redirects.get(path) {
            return redirect(location);
        }
        let lifetime = state.lifetime;
        let rolled = if state.rolls_cookies {
            state.roll(&token, |random| api.token(random, 0, &lifetime))
        } else {
            None
        };
        drop(state);
        let response = if parts.method == Method::POST {
            echo(parts, body)
        } else if path == paths.probe {
            json_response(StatusCode::OK, &api.probe_body(&account))
        } else {
            json_response(StatusCode::OK, &json!({ "path": path, "account": account }))
        };
        let cookie = rolled.and_then(|token| api.set_cookie(&token, &lifetime));
        with_cookie(response, cookie)
    }
}

impl Respond for Site {
    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Bytes> {
        let (parts, body) = match read(request).await {
            Ok(read) => read,
            Err(too_large) => return too_large,
        };
        let (paths, path) = (self.api.demo().paths(), parts.uri.path());
        if parts.method == Method::POST && path == paths.login {
            self.login(&parts, &body, peer).await
        } else if parts.method == Method::POST
            && let Some(logout) = paths.logout.filter(|logout| logout.path == path)
        {
            self.logout(logout, &parts)
        } else {
            self.call(&parts, body).await
        }
    }
}

/// The head of a request, and all of its body; or the answer to one that is too large.
pub(super) async fn read(request: Request<Incoming>) -> Result<(Parts, Bytes), Response<Bytes>> {
    let (parts, body) = request.into_parts();
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => Ok((parts, body.to_bytes())),
        Err(_) => Err(message(StatusCode::PAYLOAD_TOO_LARGE, "Body too large")),
    }
}

fn read_login(api: &dyn DemoApi, parts: &Parts, body: &[u8]) -> Option<(String, String)> {
    let content_type = parts.headers.get(CONTENT_TYPE)?.to_str().ok()?;
    if content_type.split(';').next()?.trim() != "application/json" {
        return None;
    }
    api.read_login(&parts.headers, &serde_json::from_slice(body).ok()?)
}

/// Without a latency, it returns at once and sets no timer.
pub(super) async fn pass(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

fn with_cookie(mut response: Response<Bytes>, cookie: Option<String>) -> Response<Bytes> {
    // Tokens are made of characters that a header may hold, so the conversion succeeds.
    if let Some(Ok(cookie)) = cookie.map(HeaderValue::try_from) {
        response.headers_mut().insert(SET_COOKIE, cookie);
    }
    response
}

fn redirect(location: &str) -> Response<Bytes> {
    let mut response = message(StatusCode::FOUND, "Found");
    if let Ok(location) = HeaderValue::try_from(location) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn unauthorized() -> Response<Bytes> {
    message(StatusCode::UNAUTHORIZED, "Unauthorized")
}

fn echo(parts: &Parts, body: Bytes) -> Response<Bytes> {
    let mut response = Response::new(body);
    let kind = parts.headers.get(CONTENT_TYPE).cloned();
    let kind = kind.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
