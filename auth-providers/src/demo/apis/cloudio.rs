use std::time::Duration;

use auth_core::Lifetime;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use serde_json::{Value, json};

use super::demo_api::{Carried, DemoApi, Paths};
use crate::demo::server_state::Issued;
use crate::demo::wire;

/// The default `sessionTimeout` is not documented; half an hour is usual.
const IDLE: Duration = Duration::from_secs(30 * 60);

pub(super) struct CloudIo;

impl DemoApi for CloudIo {
    fn paths(&self) -> Paths {
        Paths {
            login: "/v1/auth",
            logout: None,
            probe: "/v1/me",
            prefix: "/v1/",
        }
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime::unknown().idle(IDLE)
    }

    fn read_login(&self, headers: &HeaderMap, body: &Value) -> Option<(String, String)> {
        if *body != json!({}) {
            return None;
        }
        let header = headers.get(AUTHORIZATION);
        let header = header.or_else(|| headers.get("authentication"))?;
        let token = header.to_str().ok()?.strip_prefix("Token ")?;
        let pair = String::from_utf8(STANDARD.decode(token).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    fn token(&self, random: &str, _: u64, _: &Lifetime) -> String {
        wire::jwt(&json!({ "session": random }), random)
    }

    fn login_body(&self, account: &str, issued: &Issued) -> Value {
        json!({
            "orgUid": "cloudio", "sessionId": "e5f5593b-3b19-4be0-921b-2c4fd3528425",
            "userName": account, "displayName": "Ada", "emailAddress": account,
            "csrf": issued.csrf, "jwt": issued.token, "status": "OK",
        })
    }

    fn refusal(&self) -> Response<Bytes> {
        error("Access Denied - Invalid username and/or password!")
    }

    fn credential(&self, request: &Parts) -> Option<Carried> {
        let pairs = request.uri.query()?.split('&');
        let csrf = pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(name, _)| *name == "csrf")
            .map(|(_, value)| value.to_owned())?;
        Some(Carried {
            token: wire::bearer(request)?,
            csrf: Some(csrf),
        })
    }

    fn forbidden(&self) -> Response<Bytes> {
        error("Access Denied - Your role may not do this")
    }
}

/// A response with status 403, in the form of CloudIO's documented refusal of a login.
pub(in crate::demo) fn error(message: &str) -> Response<Bytes> {
    let body =
        json!({ "code": 403, "status": "ERROR", "title": "Access Denied", "message": message });
    wire::json_response(StatusCode::FORBIDDEN, &body)
}
