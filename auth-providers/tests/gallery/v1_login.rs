//! An API that serves `POST /v1/login`.
//!
//! Source: "API Keys", on `POST /v1/login`, for the login, the token, and that a wrong password is
//! a 400.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, empty, json, text, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/v1_login.toml"),
    routes,
    values: &[("email", NAME)],
    secret: "password",
    read: Call::get("/v1/keys"),
    write: Call::post("/v1/keys", "{}"),
    wait: THROTTLED,
    expires_in: 86_400,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/v1/login", post(login))
        .route("/v1/keys", get(api).post(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    match world.login(&asked, text(&body, "/email"), text(&body, "/password")) {
        Entry::Welcome(session) => json(
            200,
            json!({"success": true, "data": {"token": session.access}}),
        ),
        Entry::Refused => json(400, json!({"success": false})),
        Entry::Limited => too_many(),
        Entry::Locked | Entry::Full | Entry::Starting | Entry::Polluted => empty(500),
    }
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.bearer()) {
        Some(_) => json(200, json!({"success": true})),
        None => empty(401),
    }
}
