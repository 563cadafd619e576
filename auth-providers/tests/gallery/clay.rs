//! Clay.
//!
//! Source: Clay's API guide, "Authentication", for the login, the cookie and its 24 hours, and for
//! the request that shows it.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, With as _, empty, json, text, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/clay.toml"),
    routes,
    values: &[("email", NAME)],
    secret: "password",
    read: Call::get("/v3/my-workspaces"),
    write: Call::post("/v3/my-workspaces", "{}"),
    wait: THROTTLED,
    expires_in: 86_400,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/v3/auth/login", post(login))
        .route("/v3/my-workspaces", get(api).post(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    if body.get("source") != Some(&json!(null)) {
        return json(400, json!({"success": false}));
    }
    match world.login(&asked, text(&body, "/email"), text(&body, "/password")) {
        Entry::Welcome(session) => {
            let cookie = format!("claysession={}; Path=/; Secure; HttpOnly", session.access);
            json(200, json!({"success": true})).with_cookie(&cookie)
        }
        Entry::Refused => json(401, json!({"success": false})),
        Entry::Limited => too_many(),
        Entry::Locked | Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.cookie("claysession")) {
        Some(_) => json(200, json!([])),
        None => empty(401),
    }
}
