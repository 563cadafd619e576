//! Proxmox VE.
//!
//! Source: "Proxmox VE API", of the wiki, for the ticket, the csrf value of unsafe methods and the
//! renewal by the ticket; `pve-access-control` for `NeedTFA`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, empty, field, json, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, Session, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/proxmox.toml"),
    routes,
    values: &[("username", "ada@pam")],
    secret: "password",
    read: Call::get("/api2/json/nodes"),
    write: Call::post("/api2/json/nodes", "{}"),
    wait: THROTTLED,
    expires_in: 7_200,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api2/json/access/ticket", post(login))
        .route("/api2/json/nodes", get(read).post(write))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let fields = asked.form();
    let (name, password) = (field(&fields, "username"), field(&fields, "password"));
    // A name without its realm is no name, unless the realm is beside it.
    let name = match (name.split_once('@'), field(&fields, "realm")) {
        (Some((name, "pam")), "") => name,
        (None, "pam") => name,
        _ => return json(401, json!({"data": null})),
    };
    if password.starts_with("PVE:") {
        return match world.refresh_by_access(signature(password)) {
            Some(session) => welcome(&session),
            None => json(401, json!({"data": null})),
        };
    }
    match world.login(&asked, name, password) {
        Entry::Welcome(session) => welcome(&session),
        Entry::Locked => json(
            200,
            json!({"data": {
                "NeedTFA": 1, "username": "ada@pam", "ticket": "PVE:!tfa!%7B%7D:68F0::sig",
                "CSRFPreventionToken": "68F0:sig"
            }}),
        ),
        Entry::Refused => json(401, json!({"data": null})),
        Entry::Limited => too_many(),
        Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

fn welcome(session: &Session) -> Response {
    json(
        200,
        json!({"data": {
            "username": "ada@pam", "ticket": format!("PVE:ada@pam:68F0::{}", session.access),
            "CSRFPreventionToken": format!("68F0:{}", session.csrf)
        }}),
    )
}

fn signature(ticket: &str) -> &str {
    ticket.strip_prefix("PVE:ada@pam:68F0::").unwrap_or("")
}

async fn read(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(signature(asked.cookie("PVEAuthCookie"))) {
        Some(_) => json(200, json!({"data": [{"node": "pve1"}]})),
        None => empty(401),
    }
}

async fn write(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let csrf = asked.header("csrfpreventiontoken").strip_prefix("68F0:");
    let access = signature(asked.cookie("PVEAuthCookie"));
    match world.enter_to_write(access, csrf.unwrap_or("")) {
        Some(Ok(_)) => json(200, json!({"data": null})),
        // The reason is "Permission denied - invalid csrf token".
        Some(Err(())) | None => empty(401),
    }
}
