use std::time::Duration;

use auth_core::Lifetime;
use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::demo_api::{Carried, DemoApi, Paths};
use crate::demo::server_state::Issued;
use crate::demo::wire;

const LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// A choice of this server: the documents do not name the cookie.
const COOKIE: &str = "token";

pub(super) struct V1Login;

impl DemoApi for V1Login {
    fn paths(&self) -> Paths {
        Paths {
            login: "/v1/login",
            logout: None,
            probe: "/v1/me",
            prefix: "/v1/",
        }
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime::of(LIFE)
    }

    fn token(&self, random: &str, at: u64, lifetime: &Lifetime) -> String {
        let mut claims = json!({ "id": random, "iat": at });
        if let Some(life) = lifetime.hard_expiry() {
            claims["exp"] = (at + wire::whole_seconds(life)).into();
        }
        wire::jwt(&claims, random)
    }

    fn login_body(&self, account: &str, issued: &Issued) -> Value {
        json!({ "success": true, "data": {
            "name": "Ada Lovelace", "email": account, "id": "63d02e0bc8c116c1308d39fe",
            "createdAt": "2023-01-24T19:14:19.582Z", "updatedAt": "2023-01-24T19:14:19.582Z",
            "token": issued.token,
        } })
    }

    fn refusal(&self) -> Response<Bytes> {
        let body = json!({ "success": false, "message": "Invalid email or password" });
        wire::json_response(StatusCode::BAD_REQUEST, &body)
    }

    fn set_cookie(&self, token: &str, _: &Lifetime) -> Option<String> {
        Some(format!("{COOKIE}={token}; Path=/; HttpOnly; Secure"))
    }

    fn credential(&self, request: &Parts) -> Option<Carried> {
        let token = wire::bearer(request).or_else(|| wire::cookie(request, COOKIE));
        token.map(Carried::from)
    }
}
