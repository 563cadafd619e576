//! Apache Superset.
//!
//! Sources: the API's documentation, "Security" and "CSRF token"; Flask-JWT-Extended for the 401s,
//! Flask-WTF for the csrf value, the cookie that it belongs to and the `Referer`; Superset's
//! `views/error_handling.py` for the 400, which is a redirect where the request is no JSON.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, With as _, empty, json, jwt, signed_for, text};
use crate::drive::{Call, Dialect, UNSTATED};
use crate::world::{Entry, NAME, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/superset.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/api/v1/chart/"),
    write: Call::post("/api/v1/chart/", "{}"),
    wait: UNSTATED,
    expires_in: 900,
    idle_in: 0,
    fetches: 1,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/v1/security/login", post(login))
        .route("/api/v1/security/refresh", post(refresh))
        .route("/api/v1/security/csrf_token/", get(csrf))
        .route("/api/v1/chart/", get(read).post(write))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    if text(&body, "/provider") != "db" {
        return json(400, json!({"message": "Login request body is not valid"}));
    }
    match world.login(&asked, text(&body, "/username"), text(&body, "/password")) {
        Entry::Welcome(session) if body.get("refresh") == Some(&json!(true)) => json(
            200,
            json!({
                "access_token": access(&session.access),
                "refresh_token": jwt(&json!({"type": "refresh"}), &session.refresh)
            }),
        ),
        Entry::Welcome(session) => json(200, json!({"access_token": access(&session.access)})),
        Entry::Refused => json(401, json!({"message": "Not authorized"})),
        Entry::Limited => json(429, json!({"message": "5 per 1 second"})),
        Entry::Locked | Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

/// Good for 15 minutes, the default of `JWT_ACCESS_TOKEN_EXPIRES`.
fn access(access: &str) -> String {
    let claims = json!({"type": "access", "iat": 1_766_000_000, "exp": 1_766_000_900});
    jwt(&claims, access)
}

/// An access token ends by itself, and all tokens with the key that has signed them.
fn unknown(world: &World) -> Response {
    if world.live() == 0 {
        return json(422, json!({"msg": "Signature verification failed"}));
    }
    json(401, json!({"msg": "Token has expired"}))
}

async fn refresh(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.refresh(&signed_for(asked.bearer())) {
        Some(session) => json(200, json!({"access_token": access(&session.access)})),
        None => unknown(&world),
    }
}

async fn csrf(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.repair(&signed_for(asked.bearer())) {
        Some(session) => {
            let cookie = format!(
                "session=flask.{}; HttpOnly; Path=/; SameSite=Lax",
                session.csrf
            );
            json(200, json!({"result": session.csrf})).with_cookie(&cookie)
        }
        None => unknown(&world),
    }
}

async fn read(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(&signed_for(asked.bearer())) {
        Some(_) => json(200, json!({"count": 0, "result": []})),
        None => unknown(&world),
    }
}

async fn write(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let csrf = asked.header("x-csrftoken");
    let here = format!("http://{}/", asked.header("host"));
    let is_whole = asked.cookie("session").strip_prefix("flask.") == Some(csrf)
        && asked.header("referer").starts_with(&here);
    let csrf = if is_whole { csrf } else { "" };
    match world.enter_to_write(&signed_for(asked.bearer()), csrf) {
        Some(Ok(_)) => json(201, json!({"id": 1})),
        Some(Err(())) if asked.json().is_null() => empty(302).with("location", "/login/"),
        Some(Err(())) => {
            let message = "400 Bad Request: The CSRF token is missing.";
            json(
                400,
                json!({"errors": [
                    {"message": message, "error_type": "GENERIC_BACKEND_ERROR", "level": "error"}
                ]}),
            )
        }
        None => unknown(&world),
    }
}
