//! Zabbix 6.4 and later.
//!
//! Sources: the API's manual, "user.login", "user.logout" and "Authorization"; `CUser.php` and
//! `CJsonRpc.php` for the texts and codes of errors. All answers are a 200. 6.4 answers a wrong
//! password with −32602 (issue 62 of `zabbix-threat-control`), others with −32500.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};

use crate::asked::{Asked, THROTTLED, chunked, empty, json, text, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, NAME, World};

const WRONG: &str = "Incorrect user name or password or account is temporarily blocked.";
const DEAD: &str = "Session terminated, re-login, please.";

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/zabbix.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::post(
        "/api_jsonrpc.php",
        r#"{"jsonrpc": "2.0", "method": "host.get", "params": {"output": []}, "id": 1}"#,
    ),
    write: Call::post(
        "/api_jsonrpc.php",
        r#"{"jsonrpc": "2.0", "method": "host.create", "params": {"output": []}, "id": 1}"#,
    ),
    wait: THROTTLED,
    expires_in: 0,
    idle_in: 900,
    fetches: 0,
};

/// A code, and its text.
type Error = (i32, &'static str);

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new().route("/api_jsonrpc.php", post(call))
}

async fn call(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let body = asked.json();
    if body.is_null() {
        return empty(412);
    }
    let answer = match text(&body, "/method") {
        _ if text(&body, "/jsonrpc") != "2.0" || body.get("id").is_none() => {
            Err((-32600, "The received JSON is not a valid JSON-RPC request."))
        }
        "user.login" if !asked.header("authorization").is_empty() => {
            let why = "The \"user.login\" method must be called without authorization header.";
            Err((-32602, why))
        }
        "user.login" => match login(&world, &asked, &body) {
            Some(answer) => answer,
            None => return too_many(),
        },
        "user.logout" => {
            let ended = world.logout(|session| session.access == asked.bearer());
            if ended {
                Ok(json!(true))
            } else {
                Err((-32602, DEAD))
            }
        }
        _ if asked.bearer().is_empty() => Err((-32602, "Not authorized.")),
        _ => match world.enter(asked.bearer()) {
            None => Err((-32602, DEAD)),
            Some(_) if body.pointer("/params/output").is_none() => Err((
                -32602,
                "Invalid parameter \"/output\": value must be an array.",
            )),
            Some(_) => Ok(json!([{"hostid": "10084"}])),
        },
    };
    let answer = match answer {
        Ok(result) => json!({"jsonrpc": "2.0", "result": result, "id": 1}),
        Err((code, data)) => json!({
            "jsonrpc": "2.0", "id": 1, "error": {"code": code, "message": "", "data": data}
        }),
    };
    chunked(json(200, answer))
}

/// What is answered to a login, unless there were too many.
fn login(world: &World, asked: &Asked, body: &Value) -> Option<Result<Value, Error>> {
    let known = |name: &String| name == "username" || name == "password";
    let params = body.pointer("/params").and_then(Value::as_object);
    if !params.is_some_and(|params| params.keys().all(known)) {
        let why = "Invalid parameter \"/\": unexpected parameter.";
        return Some(Err((-32602, why)));
    }
    let (name, password) = (
        text(body, "/params/username"),
        text(body, "/params/password"),
    );
    Some(match world.login(asked, name, password) {
        Entry::Welcome(session) => Ok(json!(session.access)),
        Entry::Refused => Err((-32500, WRONG)),
        Entry::Limited => return None,
        _ => Err((-32603, "Internal error.")),
    })
}
