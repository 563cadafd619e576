//! Quinn.
//!
//! Source: Quinn's API reference, "POST /api/auth/login", for the login, and for the cookie that
//! each request extends by seven days.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, With as _, empty, json, text, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, Session, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/quinn.toml"),
    routes,
    values: &[("email", NAME)],
    secret: "password",
    read: Call::get("/api/auth/me"),
    write: Call::post("/api/auth/me", "{}"),
    wait: THROTTLED,
    expires_in: 30 * 86_400,
    idle_in: 7 * 86_400,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/auth/login", post(login))
        .route("/api/auth/logout", post(logout))
        .route("/api/auth/me", get(api).post(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    match world.login(&asked, text(&body, "/email"), text(&body, "/password")) {
        Entry::Welcome(session) => extended(&session),
        Entry::Refused => json(401, json!({"message": "Invalid credentials"})),
        Entry::Limited => too_many(),
        Entry::Locked | Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

fn extended(session: &Session) -> Response {
    let cookie = format!(
        "sessionId={}; Path=/; Max-Age=604800; HttpOnly",
        session.access
    );
    json(200, json!({"user": {"id": 1}})).with_cookie(&cookie)
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.cookie("sessionId")) {
        Some(session) => extended(&session),
        None => empty(401),
    }
}

async fn logout(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if world.logout(|session| session.access == asked.cookie("sessionId")) {
        json(200, json!({"success": true}))
    } else {
        empty(401)
    }
}
