//! UniFi OS.
//!
//! Sources: `aiounifi`, a public client, for the login, its statuses and the codes; issues 157 and
//! 163 of `node-unifi` for the csrf value, which any later answer brings, and for the 403 without
//! it; issue 9107 of `packetfence`, which has measured that a wrong password is a 403.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, With as _, empty, json, jwt, page, signed_for, text};
use crate::drive::{Call, Dialect, UNSTATED};
use crate::world::{Entry, NAME, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/unifi.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/proxy/network/api/self/sites"),
    write: Call::post("/proxy/network/api/s/default/cmd/stamgr", "{}"),
    wait: UNSTATED,
    expires_in: 7_200,
    idle_in: 0,
    fetches: 0,
};

/// UniFi OS 3.2 to 4.0, whose login sends no csrf value beside the JWT (issue 671 of
/// `unifi-client`).
pub(crate) const WITHOUT_HEADER: Dialect = Dialect {
    routes: || routes().layer(map_response(without_header)),
    ..DIALECT
};

async fn without_header(mut answer: Response) -> Response {
    answer.headers_mut().remove("x-csrf-token");
    answer
}

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/auth/login", post(login))
        .route("/api/auth/logout", post(logout))
        .route("/proxy/network/api/self/sites", get(read))
        .route("/proxy/network/api/s/default/cmd/stamgr", post(write))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    match world.login(&asked, text(&body, "/username"), text(&body, "/password")) {
        Entry::Welcome(session) => {
            let claims = json!({
                "userId": "u-1", "csrfToken": session.csrf,
                "iat": 1_766_000_000, "exp": 1_766_007_200
            });
            let token = jwt(&claims, &session.access);
            let cookie = format!("TOKEN={token}; Path=/; SameSite=Strict; Secure; HttpOnly");
            json(200, json!({"unique_id": "u-1", "username": "ada"}))
                .with_cookie(&cookie)
                .with("x-csrf-token", &session.csrf)
        }
        Entry::Refused => error(403, "AUTHENTICATION_FAILED_INVALID_CREDENTIALS"),
        Entry::Limited => error(429, "AUTHENTICATION_FAILED_LIMIT_REACHED"),
        Entry::Locked => error(499, "MFA_AUTH_REQUIRED"),
        Entry::Starting => page(200, "text/html", "<title>UniFi OS is starting</title>"),
        Entry::Full | Entry::Polluted => empty(400),
    }
}

fn error(status: u16, code: &str) -> Response {
    json(
        status,
        json!({"code": code, "message": "", "level": "debug"}),
    )
}

fn unauthorized() -> Response {
    json(
        401,
        json!({"error": {"code": 401, "message": "Unauthorized"}}),
    )
}

async fn read(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(&signed_for(asked.cookie("TOKEN"))) {
        Some(session) => json(
            200,
            json!({"meta": {"rc": "ok"}, "data": [{"name": "default"}]}),
        )
        .with("x-updated-csrf-token", &session.csrf),
        None => unauthorized(),
    }
}

async fn write(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let access = signed_for(asked.cookie("TOKEN"));
    match world.enter_to_write(&access, asked.header("x-csrf-token")) {
        Some(Ok(_)) => json(200, json!({"meta": {"rc": "ok"}, "data": []})),
        Some(Err(())) => json(403, json!({"message": "Invalid CSRF Token"})),
        None => unauthorized(),
    }
}

async fn logout(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let access = signed_for(asked.cookie("TOKEN"));
    match world.look(&access) {
        Some(session) if session.csrf == asked.header("x-csrf-token") => {
            world.logout(|own| own.number == session.number);
            json(200, json!({"success": true})).with_cookie("TOKEN=; Path=/; Max-Age=0")
        }
        Some(_) => json(403, json!({"message": "Invalid CSRF Token"})),
        None => unauthorized(),
    }
}
