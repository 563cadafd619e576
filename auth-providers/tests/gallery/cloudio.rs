//! CloudIO.
//!
//! Sources: CloudIO's documents, "Authentication" for the login, and on querying and posting data
//! for the two values that each request carries.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, empty, field, json, jwt, signed_for, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/cloudio.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/v1/x"),
    write: Call::post("/v1/x", "{}"),
    wait: THROTTLED,
    expires_in: 3_600,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/v1/auth", post(login))
        .route("/v1/x", get(api).post(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let Some((name, password)) = asked.pair("Token ").filter(|_| asked.json() == json!({})) else {
        return json(400, json!({"status": "ERROR"}));
    };
    match world.login(&asked, &name, &password) {
        Entry::Welcome(session) => {
            let claims = json!({"iat": 1_766_000_000, "exp": 1_766_003_600});
            let token = jwt(&claims, &session.access);
            json(
                200,
                json!({"status": "OK", "jwt": token, "csrf": session.csrf}),
            )
        }
        Entry::Refused => json(403, json!({"status": "ERROR"})),
        Entry::Limited => too_many(),
        Entry::Locked | Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let access = signed_for(asked.bearer());
    let csrf = world.look(&access).map(|session| session.csrf);
    // Without the csrf value of the same session, the token is worth nothing.
    let is_whole = csrf.as_deref() == Some(field(&asked.query(), "csrf"));
    match world.enter(if is_whole { &access } else { "" }) {
        Some(_) => json(200, json!({"status": "OK"})),
        None => json(401, json!({"status": "ERROR"})),
    }
}
