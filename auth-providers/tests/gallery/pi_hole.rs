//! Pi-hole 6.
//!
//! Sources: FTL's `src/api/auth.c` and `src/api/docs/content/specs/auth.yaml`, for the statuses,
//! the keys of errors, and that each answer sets the cookie, which then wants a csrf value.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, With as _, empty, json};
use crate::drive::{Call, Dialect, UNSTATED};
use crate::world::{Entry, NAME, Session, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/pi_hole.toml"),
    routes,
    values: &[],
    secret: "password",
    read: Call::get("/api/stats/summary"),
    write: Call::post("/api/dns/blocking", "{}"),
    wait: UNSTATED,
    expires_in: 0,
    idle_in: 300,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/auth", get(status).post(login).delete(logout))
        .route("/api/stats/summary", get(api))
        .route("/api/dns/blocking", post(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    let Some(password) = body.get("password").and_then(|password| password.as_str()) else {
        return error(400, "bad_request", "No password found in JSON payload");
    };
    // There is one account, without a name.
    match world.login(&asked, NAME, password) {
        Entry::Welcome(session) => {
            let body = json!({"session": {
                "valid": true, "totp": false, "sid": session.access, "csrf": session.csrf,
                "validity": 300, "message": "password correct"
            }, "took": 0.03});
            keep(json(200, body), &session)
        }
        Entry::Refused => json(401, guest()),
        Entry::Limited => error(429, "rate_limiting", "Rate-limiting login attempts"),
        Entry::Full => error(429, "api_seats_exceeded", "API seats exceeded"),
        Entry::Locked => error(400, "bad_request", "No 2FA token found in JSON payload"),
        Entry::Starting | Entry::Polluted => empty(400),
    }
}

async fn status(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.look(asked.header("x-ftl-sid")) {
        Some(session) => keep(json(200, json!({"session": {"valid": true}})), &session),
        None => json(401, guest()),
    }
}

async fn logout(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if world.look(asked.header("x-ftl-sid")).is_none() {
        return json(401, guest());
    }
    world.logout(|session| session.access == asked.header("x-ftl-sid"));
    empty(204).with_cookie("sid=deleted; SameSite=Lax; Path=/; Max-Age=-1")
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let by_header = asked.header("x-ftl-sid");
    let session = if by_header.is_empty() {
        let by_cookie = world.enter_to_write(asked.cookie("sid"), asked.header("x-ftl-csrf"));
        by_cookie.and_then(Result::ok)
    } else {
        world.enter(by_header)
    };
    match session {
        Some(session) => keep(
            json(200, json!({"blocking": "enabled", "took": 0.01})),
            &session,
        ),
        None => error(401, "unauthorized", "Unauthorized"),
    }
}

fn keep(answer: Response, session: &Session) -> Response {
    let sid = &session.access;
    answer.with_cookie(&format!(
        "sid={sid}; SameSite=Lax; Path=/; Max-Age=1800; HttpOnly"
    ))
}

fn guest() -> serde_json::Value {
    json!({"session": {
        "valid": false, "totp": false, "sid": null, "validity": -1, "message": "password incorrect"
    }, "took": 0.03})
}

fn error(status: u16, key: &str, message: &str) -> Response {
    let error = json!({"key": key, "message": message, "hint": null});
    json(status, json!({"error": error, "took": 0.01}))
}
