//! Jenkins, with a password and not with an API token, which wants no crumb.
//!
//! Sources: Jenkins' manual, "CSRF Protection Explained", for the crumb and that it belongs to the
//! web session; "Remote Access API" for Basic.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, With as _, empty, json, page, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, Session, World};

const COOKIE: &str = "JSESSIONID.4f2a91c7";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/jenkins.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/api/json"),
    write: Call::post("/job/demo/build", "{}"),
    wait: THROTTLED,
    expires_in: 0,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/crumbIssuer/api/json", get(crumb))
        .route("/api/json", get(read))
        .route("/job/demo/build", post(write))
}

async fn crumb(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let Some((name, password)) = asked.basic() else {
        return empty(403);
    };
    let sent = asked.cookie(COOKIE);
    if sent.is_empty() {
        return match world.login(&asked, &name, &password) {
            Entry::Welcome(session) => begin(&session),
            Entry::Refused => unauthorized(),
            Entry::Limited => too_many(),
            _ => empty(400),
        };
    }
    if !world.knows(&asked) {
        return unauthorized();
    }
    if let Some(session) = world.repair(sent) {
        return issue(&session);
    }
    let session = world.reopen();
    world.repair(&session.access);
    begin(&session)
}

fn issue(session: &Session) -> Response {
    json(
        200,
        json!({
            "_class": "hudson.security.csrf.DefaultCrumbIssuer",
            "crumb": session.csrf, "crumbRequestField": "Jenkins-Crumb"
        }),
    )
}

fn begin(session: &Session) -> Response {
    issue(session).with_cookie(&format!("{COOKIE}={}; Path=/; HttpOnly", session.access))
}

fn unauthorized() -> Response {
    page(401, "text/html", "<title>Error 401 Unauthorized</title>")
}

async fn read(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if !world.knows(&asked) {
        return unauthorized();
    }
    world.serve();
    json(200, json!({"jobs": []}))
}

async fn write(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if !world.knows(&asked) {
        return unauthorized();
    }
    match world.enter_to_write(asked.cookie(COOKIE), asked.header("jenkins-crumb")) {
        Some(Ok(_)) => empty(201),
        _ => page(
            403,
            "text/html",
            "<h2>HTTP ERROR 403 No valid crumb was included in the request</h2>",
        ),
    }
}
