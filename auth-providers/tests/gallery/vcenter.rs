//! vCenter.
//!
//! Source: the vSphere Automation API, "Create Session", "Delete Session" and the errors of both.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;

use crate::asked::{Asked, THROTTLED, empty, json, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

const SESSION: &str = "vmware-api-session-id";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/vcenter.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/api/vcenter/vm"),
    write: Call::post("/api/vcenter/vm", "{}"),
    wait: THROTTLED,
    expires_in: 0,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/session", get(status).post(login).delete(logout))
        .route("/api/vcenter/vm", get(api).post(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let Some((name, password)) = asked.basic() else {
        return error(401, "UNAUTHENTICATED");
    };
    match world.login(&asked, &name, &password) {
        Entry::Welcome(session) => json(201, json!(session.access)),
        Entry::Refused => error(401, "UNAUTHENTICATED"),
        Entry::Starting => error(503, "SERVICE_UNAVAILABLE"),
        Entry::Limited => too_many(),
        Entry::Locked | Entry::Full | Entry::Polluted => empty(400),
    }
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.header(SESSION)) {
        Some(_) => json(200, json!([])),
        None => error(401, "UNAUTHENTICATED"),
    }
}

async fn status(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.look(asked.header(SESSION)) {
        Some(_) => json(200, json!({"user": "ada"})),
        None => error(401, "UNAUTHENTICATED"),
    }
}

async fn logout(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.look(asked.header(SESSION)) {
        Some(session) => {
            world.logout(|own| own.number == session.number);
            empty(204)
        }
        None => error(401, "UNAUTHENTICATED"),
    }
}

fn error(status: u16, kind: &str) -> Response {
    json(status, json!({"error_type": kind, "messages": []}))
}
