//! OpenWrt, ubus over HTTP.
//!
//! Sources: OpenWrt's wiki, "ubus" and "ubus session"; `uhttpd`'s `ubus.c` for the error −32002,
//! which is the same for a session that is over and for one without the right.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

use crate::asked::{Asked, THROTTLED, chunked, json, text, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/ubus.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::post(
        "/ubus",
        r#"{"jsonrpc": "2.0", "id": 7, "method": "call", "params": ["", "system", "board", {}]}"#,
    ),
    write: Call::post(
        "/ubus",
        r#"{"jsonrpc": "2.0", "id": 7, "method": "call", "params": ["", "system", "reboot", {}]}"#,
    ),
    wait: THROTTLED,
    expires_in: 0,
    idle_in: 300,
    fetches: 0,
};

/// The session of requests that have none.
const NOBODY: &str = "00000000000000000000000000000000";

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new().route("/ubus", post(call))
}

async fn call(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    let answer = if text(&body, "/jsonrpc") != "2.0" || text(&body, "/method") != "call" {
        error(-32600, "Invalid Request")
    } else {
        let sid = text(&body, "/params/0");
        match (text(&body, "/params/1"), text(&body, "/params/2")) {
            ("session", "login") if sid == NOBODY => match login(&world, &asked, &body) {
                Some(answer) => answer,
                None => return too_many(),
            },
            ("session", "destroy") if world.look(sid).is_some() => {
                world.logout(|session| session.access == sid);
                json!({"result": [0]})
            }
            _ => match world.enter(sid) {
                Some(_) => json!({"result": [0, {"hostname": "router"}]}),
                None => error(-32002, "Access denied"),
            },
        }
    };
    let Value::Object(mut answer) = answer else {
        unreachable!("an object");
    };
    answer.insert("jsonrpc".to_owned(), json!("2.0"));
    answer.insert("id".to_owned(), body.get("id").cloned().unwrap_or_default());
    chunked(json(200, answer.into()))
}

/// What is answered to a login, unless there were too many.
fn login(world: &World, asked: &Asked, body: &Value) -> Option<Value> {
    let name = text(body, "/params/3/username");
    Some(
        match world.login(asked, name, text(body, "/params/3/password")) {
            Entry::Welcome(session) => json!({"result": [0, {
                "ubus_rpc_session": session.access, "timeout": 300, "expires": 299,
                "acls": {}, "data": {"username": "ada"}
            }]}),
            // 6 is UBUS_STATUS_PERMISSION_DENIED.
            Entry::Refused => json!({"result": [6]}),
            // 9 is UBUS_STATUS_UNKNOWN_ERROR.
            Entry::Limited => return None,
            _ => json!({"result": [9]}),
        },
    )
}

fn error(code: i32, message: &str) -> Value {
    json!({"error": {"code": code, "message": message}})
}
