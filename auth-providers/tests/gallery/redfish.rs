//! Redfish, of servers' management controllers.
//!
//! Sources: DSP0266, "Redfish session login authentication", for the two headers and the message of
//! a password that must be changed; the Base message registry for `NoValidSession` and
//! `SessionLimitExceeded`, which OpenBMC answers with a 503.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{delete, get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, With as _, empty, json, text, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

const SESSIONS: &str = "/redfish/v1/SessionService/Sessions";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/redfish.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/redfish/v1/Systems"),
    write: Call {
        method: "PATCH",
        path: "/redfish/v1/Systems",
        body: "{}",
    },
    wait: THROTTLED,
    expires_in: 0,
    idle_in: 1_800,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route(SESSIONS, post(login))
        .route(&format!("{SESSIONS}/{{number}}"), delete(logout))
        .route("/redfish/v1/Systems", get(api).patch(api))
}

async fn login(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    match world.login(&asked, text(&body, "/UserName"), text(&body, "/Password")) {
        Entry::Welcome(session) => {
            let place = format!("{SESSIONS}/{}", session.number);
            json(201, json!({"@odata.id": place, "UserName": "ada"}))
                .with("x-auth-token", &session.access)
                .with("location", &place)
        }
        // The session is there, and may do no more than change the password.
        Entry::Locked => {
            let place = format!("{SESSIONS}/0");
            let info = [json!({"MessageId": "Base.1.18.PasswordChangeRequired"})];
            json(
                201,
                json!({"@odata.id": place, "@Message.ExtendedInfo": info}),
            )
            .with("x-auth-token", "restricted")
            .with("location", &place)
        }
        Entry::Refused => error(401, "Base.1.18.ResourceAtUriUnauthorized"),
        Entry::Full => error(503, "Base.1.18.SessionLimitExceeded"),
        Entry::Limited => too_many(),
        Entry::Starting | Entry::Polluted => empty(400),
    }
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.header("x-auth-token")) {
        Some(_) => json(200, json!({"Members": []})),
        None => error(401, "Base.1.18.NoValidSession"),
    }
}

async fn logout(
    State(world): State<Arc<World>>,
    Path(number): Path<usize>,
    asked: Asked,
) -> Response {
    match world.look(asked.header("x-auth-token")) {
        None => error(401, "Base.1.18.NoValidSession"),
        Some(session) if session.number != number => empty(403),
        Some(session) => {
            world.logout(|own| own.number == session.number);
            empty(204)
        }
    }
}

fn error(status: u16, id: &str) -> Response {
    let info = [json!({"MessageId": id})];
    let error = json!({"code": "Base.1.18.GeneralError", "@Message.ExtendedInfo": info});
    json(status, json!({"error": error}))
}
