//! PocketBase.
//!
//! Sources: the documentation, "Authentication" and "Web APIs reference"; `apis/record_auth_*.go`
//! for the statuses. Its tokens have no `iat`, and a request with a dead one is a guest's.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, With as _, empty, json, jwt, signed_for, text};
use crate::drive::{Call, Dialect, UNSTATED};
use crate::world::{Entry, NAME, Session, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/pocketbase.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/api/collections/posts/records"),
    write: Call::post("/api/collections/posts/records", "{}"),
    wait: UNSTATED,
    expires_in: 7 * 86_400,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/api/collections/users/auth-with-password", post(login))
        .route("/api/collections/users/auth-refresh", post(refresh))
        .route("/api/collections/users/records", get(list))
        .route("/api/collections/posts/records", get(list).post(create))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    match world.login(&asked, text(&body, "/identity"), text(&body, "/password")) {
        Entry::Welcome(session) => welcome(&session),
        Entry::Refused => error(400, "Failed to authenticate."),
        Entry::Limited => error(429, "Too Many Requests."),
        Entry::Locked => json(401, json!({"mfaId": "dq2zr5kh5jh1b3m"})),
        Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

/// A token for a week, by the server's own time.
fn welcome(session: &Session) -> Response {
    let claims = json!({
        "collectionId": "_pb_users_auth_", "exp": 1_763_467_200 + 7 * 86_400,
        "id": "4q1xlclmfloku33", "refreshable": true, "type": "auth"
    });
    let record = json!({"id": "4q1xlclmfloku33", "email": "ada@example.com"});
    json(
        200,
        json!({"token": jwt(&claims, &session.access), "record": record}),
    )
    .with("date", "Tue, 18 Nov 2025 12:00:00 GMT")
}

async fn refresh(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.refresh_by_access(&signed_for(asked.header("authorization"))) {
        Some(session) => welcome(&session),
        None => error(
            401,
            "The request requires valid record authorization token.",
        ),
    }
}

/// A guest sees what is public.
async fn list(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let items = match world.enter(&signed_for(asked.header("authorization"))) {
        Some(_) => json!([{"id": "r1"}]),
        None => json!([]),
    };
    json(200, json!({"page": 1, "perPage": 30, "items": items}))
}

async fn create(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(&signed_for(asked.header("authorization"))) {
        Some(_) => json(200, json!({"id": "r2"})),
        None => error(400, "Failed to create record."),
    }
}

fn error(status: u16, message: &str) -> Response {
    json(
        status,
        json!({"data": {}, "message": message, "status": status}),
    )
}
