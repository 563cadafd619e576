//! Home Assistant.
//!
//! Sources: the developers' documentation, "Authentication API"; `components/auth/login_flow.py`
//! and `components/auth/__init__.py` for the steps, their answers and the revocation;
//! `components/http/ban.py` for the 403 of an address that is banned.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::asked::{Asked, THROTTLED, empty, field, json, page, text, tokens, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, Mood, NAME, World};

const FLOW: &str = "8f7e42faab604bcab7ac43c44ca34d58";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/home_assistant.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/api/"),
    write: Call::post("/api/", "{}"),
    wait: THROTTLED,
    expires_in: 1_800,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/auth/login_flow", post(begin))
        .route("/auth/login_flow/{flow_id}", post(login))
        .route("/auth/token", post(token))
        .route("/auth/revoke", post(revoke))
        .route("/api/", get(api).post(api))
}

/// A client's id is a URL, and what it redirects to is below.
fn is_client(asked: &Asked, id: &str) -> bool {
    id == format!("http://{}/", asked.header("host"))
}

async fn begin(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if world.is(Mood::Banned) {
        return page(403, "text/plain", "403: Forbidden");
    }
    let body = asked.json();
    let client = text(&body, "/client_id");
    if !is_client(&asked, client) || !text(&body, "/redirect_uri").starts_with(client) {
        return json(400, json!({"message": "invalid client id or redirect uri"}));
    }
    if body.get("handler") != Some(&json!(["homeassistant", null])) {
        return json(404, json!({"message": "Invalid handler specified"}));
    }
    form("init", &json!({}))
}

async fn login(
    State(world): State<Arc<World>>,
    Path(flow_id): Path<String>,
    asked: Asked,
) -> Response {
    let body = asked.json();
    if flow_id != FLOW {
        return json(404, json!({"message": "Invalid flow specified"}));
    }
    if !is_client(&asked, text(&body, "/client_id")) {
        return json(400, json!({"message": "Invalid client id"}));
    }
    match world.login(&asked, text(&body, "/username"), text(&body, "/password")) {
        Entry::Welcome(session) => json(
            200,
            json!({
                "version": 1, "type": "create_entry", "flow_id": FLOW,
                "handler": ["homeassistant", null], "result": session.csrf
            }),
        ),
        Entry::Refused => form("init", &json!({"base": "invalid_auth"})),
        Entry::Locked => form("mfa", &json!({})),
        Entry::Limited => too_many(),
        Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

fn form(step: &str, errors: &Value) -> Response {
    json(
        200,
        json!({
            "type": "form", "flow_id": FLOW, "handler": ["homeassistant", null],
            "step_id": step, "errors": errors, "data_schema": []
        }),
    )
}

async fn token(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let fields = asked.form();
    if !is_client(&asked, field(&fields, "client_id")) {
        return json(400, json!({"error": "invalid_request"}));
    }
    match field(&fields, "grant_type") {
        "authorization_code" => match world.exchange(field(&fields, "code")) {
            Some(session) => tokens(&session, true, 1_800),
            None => json(400, json!({"error": "invalid_request"})),
        },
        "refresh_token" => match world.refresh(field(&fields, "refresh_token")) {
            Some(session) => tokens(&session, false, 1_800),
            None => json(400, json!({"error": "invalid_grant"})),
        },
        _ => json(400, json!({"error": "unsupported_grant_type"})),
    }
}

async fn revoke(State(world): State<Arc<World>>, asked: Asked) -> Response {
    world.logout(|session| session.refresh == field(&asked.form(), "token"));
    empty(200)
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.bearer()) {
        Some(_) => json(200, json!({"message": "API running."})),
        None => page(401, "text/plain", "401: Unauthorized"),
    }
}
