use std::time::Duration;

use auth_core::Lifetime;
use http::HeaderMap;
use http::request::Parts;
use serde_json::{Value, json};

use super::demo_api::{Carried, DemoApi, Logout, Paths};
use crate::demo::server_state::Issued;
use crate::demo::wire;

const COOKIE: &str = "sessionId";
const IDLE: Duration = Duration::from_secs(604_800);
const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const SHORTEST_PASSWORD: usize = 8;

pub(super) struct Quinn;

impl DemoApi for Quinn {
    fn paths(&self) -> Paths {
        Paths {
            login: "/api/auth/login",
            logout: Some(Logout {
                path: "/api/auth/logout",
                delete_cookie: "sessionId=; Path=/; Max-Age=0",
            }),
            probe: "/api/auth/me",
            prefix: "/api/",
        }
    }

    fn lifetime(&self) -> Lifetime {
        Lifetime::unknown().idle(IDLE).absolute(ABSOLUTE)
    }

    fn read_login(&self, _: &HeaderMap, body: &Value) -> Option<(String, String)> {
        let login = wire::email_and_password(body)?;
        (login.1.chars().count() >= SHORTEST_PASSWORD).then_some(login)
    }

    fn login_body(&self, account: &str, _: &Issued) -> Value {
        json!({ "message": "Login successful", "user": self.probe_body(account) })
    }

    fn set_cookie(&self, token: &str, lifetime: &Lifetime) -> Option<String> {
        let age = wire::whole_seconds(lifetime.idle_timeout().unwrap_or(IDLE));
        Some(format!(
            "{COOKIE}={token}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age={age}"
        ))
    }

    fn credential(&self, request: &Parts) -> Option<Carried> {
        wire::cookie(request, COOKIE).map(Carried::from)
    }

    fn probe_body(&self, account: &str) -> Value {
        json!({
            "id": "550e8400-e29b-41d4-a716-446655440000", "email": account,
            "organizationId": "660e8400-e29b-41d4-a716-446655440000", "role": "admin",
            "firstName": "Ada", "lastName": "Lovelace",
        })
    }
}
