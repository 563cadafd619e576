use auth_core::Lifetime;
use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use super::demo_api::{Carried, DemoApi, Paths};
use crate::apis::clay::{COOKIE, LIFE, LOGIN_PATH, PROBE_PATH};
use crate::demo::server_state::Issued;
use crate::demo::wire;

pub(super) struct Clay;

impl DemoApi for Clay {
    fn paths(&self) -> Paths {
        Paths {
            login: LOGIN_PATH,
            logout: None,
            probe: PROBE_PATH,
            prefix: "/v3/",
        }
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime::of(LIFE)
    }

    fn read_login(&self, _: &HeaderMap, body: &Value) -> Option<(String, String)> {
        if body.get("source") != Some(&Value::Null) {
            return None;
        }
        wire::email_and_password(body)
    }

    fn login_body(&self, _: &str, _: &Issued) -> Value {
        json!({ "success": true, "redirect_to": "https://app.clay.com/workspaces/123456" })
    }

    fn set_cookie(&self, token: &str, _: &Lifetime) -> Option<String> {
        Some(format!(
            "{COOKIE}={token}; Path=/; HttpOnly; Secure; SameSite=Lax"
        ))
    }

    fn credential(&self, request: &Parts) -> Option<Carried> {
        wire::cookie(request, COOKIE).map(Carried::from)
    }

    fn probe_body(&self, _: &str) -> Value {
        json!({ "results": [{ "id": 123_456, "name": "Ada's workspace" }] })
    }
}
