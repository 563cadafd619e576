//! Metabase.
//!
//! Source: Metabase's `session/api.clj` for the login, its errors and the logout, and the API's
//! documentation of "Session". A login that must wait is a 400 in older versions and a 401 in newer
//! ones, with the same text.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::asked::{Asked, With as _, empty, json, page, text};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

const WAIT: &str = "Too many attempts! You must wait 15 seconds before trying again.";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/metabase.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/api/user/current"),
    write: Call {
        method: "PUT",
        path: "/api/user/current",
        body: "{}",
    },
    wait: Duration::from_secs(15),
    expires_in: 14 * 86_400,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/session", post(login).delete(logout))
        .route("/api/user/current", get(api).put(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    match world.login(&asked, text(&body, "/username"), text(&body, "/password")) {
        Entry::Welcome(session) => {
            let cookie = format!("metabase.SESSION={}; HttpOnly; Path=/", session.access);
            json(200, json!({"id": session.access})).with_cookie(&cookie)
        }
        Entry::Refused => errors(&json!({"password": "did not match stored password"})),
        Entry::Locked => errors(&json!({"_error": "Your account is disabled."})),
        Entry::Limited => errors(&json!({"username": WAIT})),
        Entry::Full | Entry::Starting | Entry::Polluted => empty(500),
    }
}

fn errors(errors: &Value) -> Response {
    json(401, json!({"errors": errors}))
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.header("x-metabase-session")) {
        Some(_) => json(200, json!({"common_name": "Ada"})),
        None => page(401, "text/plain", "Unauthenticated"),
    }
}

async fn logout(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if world.logout(|session| session.access == asked.header("x-metabase-session")) {
        empty(204)
    } else {
        page(404, "text/plain", "Not found.")
    }
}
