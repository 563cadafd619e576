use std::time::Duration;

use auth_core::Lifetime;
use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use super::demo_api::{Carried, DemoApi, Paths};
use crate::demo::server_state::Issued;
use crate::demo::wire;

const COOKIE: &str = "claysession";
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct Clay;

impl DemoApi for Clay {
    fn paths(&self) -> Paths {
        Paths {
            login: "/v3/auth/login",
            logout: None,
            probe: "/v3/my-workspaces",
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
