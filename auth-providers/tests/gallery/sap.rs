//! SAP Gateway, OData.
//!
//! Sources: "How does CSRF token work? SAP Gateway" (SAP community blog, 2021) for the flow and the
//! 403; SAP Note 3048103 for the cookies that the csrf value belongs to; "How to use SAP web
//! services with CSRF tokens from third party web apps" (A. Kabachnik) for the token in the answer
//! of an error. The password goes along with each request, and begins a session where there is
//! none.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::any;
use serde_json::json;

use crate::asked::{Asked, THROTTLED, With as _, empty, json, page, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, Session, World};

const COOKIE: &str = "SAP_SESSIONID_S4H_100";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/sap.toml"),
    routes,
    values: &[
        ("username", NAME),
        ("service", "/sap/opu/odata/sap/API_PARTNER/"),
    ],
    secret: "password",
    read: Call::get("/sap/opu/odata/sap/API_PARTNER/A_Partner"),
    write: Call::post("/sap/opu/odata/sap/API_PARTNER/A_Partner", "{}"),
    wait: THROTTLED,
    expires_in: 0,
    idle_in: 0,
    fetches: 0,
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new()
        .route("/sap/opu/odata/sap/API_PARTNER/", any(api))
        .route("/sap/opu/odata/sap/API_PARTNER/{*path}", any(api))
        .route("/sap/public/bc/icf/logoff", any(logoff))
}

async fn api(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let sent = asked.cookie(COOKIE);
    let (session, is_new) = match (world.look(sent), asked.basic()) {
        (Some(session), _) => (session, false),
        (None, Some((name, password))) if sent.is_empty() => {
            match world.login(&asked, &name, &password) {
                Entry::Welcome(session) => (session, true),
                Entry::Refused => return unauthorized(),
                Entry::Limited => return too_many(),
                _ => return empty(400),
            }
        }
        (None, _) if world.knows(&asked) => (world.reopen(), true),
        (None, _) => return unauthorized(),
    };
    let answer = answer(&world, &asked, &session, sent);
    if !is_new {
        return answer;
    }
    let cookie = format!("{COOKIE}={}; path=/; secure; HttpOnly", session.access);
    answer
        .with_cookie("sap-usercontext=sap-client=100; path=/")
        .with_cookie(&cookie)
}

fn unauthorized() -> Response {
    page(401, "text/html", "<h1>Anmeldung</h1>")
}

fn answer(world: &World, asked: &Asked, session: &Session, sent: &str) -> Response {
    if asked.header("x-csrf-token").eq_ignore_ascii_case("fetch") {
        if !sent.is_empty() {
            world.repair(&session.access);
        }
        // Some services take no HEAD, and give the token all the same.
        let status = if asked.method == "HEAD" { 405 } else { 200 };
        return empty(status).with("x-csrf-token", &session.csrf);
    }
    if asked.method == "GET" {
        world.enter(&session.access);
        return json(200, json!({"d": {"results": []}}));
    }
    match world.enter_to_write(&session.access, asked.header("x-csrf-token")) {
        Some(Ok(_)) => json(201, json!({"d": {}})),
        _ => {
            page(403, "text/plain", "CSRF token validation failed").with("x-csrf-token", "Required")
        }
    }
}

async fn logoff(State(world): State<Arc<World>>, asked: Asked) -> Response {
    world.logout(|session| session.access == asked.cookie(COOKIE));
    page(200, "text/html", "<h1>Logoff</h1>")
}
