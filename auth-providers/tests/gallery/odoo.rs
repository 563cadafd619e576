//! Odoo.
//!
//! Sources: Odoo's `addons/web/controllers/session.py` and `odoo/http.py` for the calls, the
//! errors, the cookie and its rotation; `res_users.py` for the pause of a minute after ten
//! failures. All answers are a 200.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

use crate::asked::{Asked, With as _, empty, json, text};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

const PAUSE: &str = "Too many login failures, please wait a bit before trying again.";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/odoo.toml"),
    routes,
    values: &[("username", NAME), ("database", "acme")],
    secret: "password",
    read: Call::post(
        "/web/dataset/call_kw",
        r#"{"jsonrpc": "2.0", "method": "call", "params": {"method": "read"}}"#,
    ),
    write: Call::post(
        "/web/dataset/call_kw",
        r#"{"jsonrpc": "2.0", "method": "call", "params": {"method": "write"}}"#,
    ),
    wait: Duration::from_secs(60),
    expires_in: 604_800,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/web/session/authenticate", post(login))
        .route("/web/session/destroy", post(logout))
        .route("/web/dataset/call_kw", post(call))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    if text(&body, "/jsonrpc") != "2.0" || text(&body, "/params/db") != "acme" {
        return empty(400);
    }
    let (name, password) = (
        text(&body, "/params/login"),
        text(&body, "/params/password"),
    );
    match world.login(&asked, name, password) {
        Entry::Welcome(session) => {
            let user = json!({"uid": 2, "db": "acme", "username": "ada"});
            result(&user).with_cookie(&cookie(&session.access))
        }
        // The session is there, and waits for the code.
        Entry::Locked => result(&json!({"uid": null})).with_cookie(&cookie("waits")),
        Entry::Refused => denied("Access Denied"),
        Entry::Limited => denied(PAUSE),
        Entry::Starting => {
            let data = json!({"name": "psycopg2.OperationalError", "message": ""});
            error(200, "Odoo Server Error", &data)
        }
        Entry::Full | Entry::Polluted => empty(400),
    }
}

async fn call(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    let Some(session) = world.enter(asked.cookie("session_id")) else {
        return expired();
    };
    let answer = result(&json!([{"id": 1}]));
    // A session rotates at times. What asks for it here is the method.
    match text(&body, "/params/method") {
        "write" => answer.with_cookie(&cookie(&world.roll_access(&session.access))),
        _ => answer,
    }
}

async fn logout(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.look(asked.cookie("session_id")) {
        Some(session) if !asked.json().is_null() => {
            world.logout(|own| own.number == session.number);
            result(&Value::Null)
        }
        Some(_) => empty(400),
        None => expired(),
    }
}

fn cookie(access: &str) -> String {
    format!("session_id={access}; Max-Age=604800; HttpOnly; Path=/; SameSite=Lax")
}

fn result(result: &Value) -> Response {
    json(200, json!({"jsonrpc": "2.0", "id": null, "result": result}))
}

fn error(code: u16, message: &str, data: &Value) -> Response {
    let error = json!({"code": code, "message": message, "data": data});
    json(200, json!({"jsonrpc": "2.0", "id": null, "error": error}))
}

fn denied(message: &str) -> Response {
    let data = json!({"name": "odoo.exceptions.AccessDenied", "message": message});
    error(200, "Odoo Server Error", &data)
}

fn expired() -> Response {
    let data = json!({"name": "odoo.http.SessionExpiredException", "message": "Session expired"});
    error(100, "Odoo Session Expired", &data)
}
