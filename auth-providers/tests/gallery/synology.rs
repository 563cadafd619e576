//! Synology DSM.
//!
//! Source: "DSM Login Web API Guide" for the parameters and the error codes. All answers are a 200.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value, json};

use crate::asked::{Asked, chunked, field, json};
use crate::drive::{Call, Dialect, UNSTATED};
use crate::world::{Entry, Fields, MARK, NAME, Session, World};

pub(crate) const DIALECT: Dialect = Dialect {
    recipe: include_str!("../../recipes/synology.toml"),
    routes,
    values: &[("username", NAME)],
    secret: "password",
    read: Call::get("/webapi/entry.cgi?api=SYNO.FileStation.Info&version=2&method=get"),
    write: Call::post(
        "/webapi/entry.cgi?api=SYNO.FileStation.Delete&version=2&method=start",
        "{}",
    ),
    wait: UNSTATED,
    expires_in: 0,
    idle_in: 0,
    fetches: 0,
};

/// The same, with the secret of a second factor.
pub(crate) const WITH_CODES: Dialect = Dialect {
    values: &[("username", NAME), ("totp", "JBSWY3DPEHPK3PXP")],
    ..DIALECT
};

pub(crate) fn routes() -> Router<Arc<World>> {
    Router::new().route("/webapi/entry.cgi", get(entry).post(entry))
}

async fn entry(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let mut fields = asked.query();
    fields.extend(asked.form());
    if let Some(code) = world.said() {
        return chunked(json(200, error(code)));
    }
    let answer = match (field(&fields, "api"), field(&fields, "method")) {
        ("", _) | (_, "") => error(101),
        _ if field(&fields, "version").parse::<u8>().is_err() => error(101),
        ("SYNO.API.Auth", "login") => login(&world, &asked, &fields),
        ("SYNO.API.Auth", "logout") => {
            let sid = field(&fields, "_sid");
            if world.logout(|session| session.access == sid) {
                json!({"success": true})
            } else {
                error(119)
            }
        }
        ("SYNO.API.Auth", _) => error(103),
        (api, _) => {
            let token = asked.header("x-syno-token");
            match world.enter_to_write(field(&fields, "_sid"), token) {
                Some(Ok(_)) if api == "SYNO.Core.System" => error(105),
                Some(Ok(_)) => json!({"data": {"hostname": "nas"}, "success": true}),
                None if field(&fields, "_sid").starts_with(MARK) => error(106),
                Some(Err(())) | None => error(119),
            }
        }
    };
    chunked(json(200, answer))
}

fn login(world: &World, asked: &Asked, fields: &Fields) -> Value {
    // Without it, the id of the session is set as a cookie.
    if field(fields, "format") != "sid" {
        return error(101);
    }
    let entry = world.login(asked, field(fields, "account"), field(fields, "passwd"));
    match entry {
        Entry::Welcome(session) if field(fields, "enable_syno_token") == "yes" => welcome(&session),
        Entry::Welcome(session) => json!({"data": {"sid": session.access}, "success": true}),
        Entry::Refused => error(400),
        Entry::Locked if field(fields, "otp_code").len() == 6 => welcome(&world.reopen()),
        Entry::Locked => error(403),
        Entry::Limited => error(407),
        Entry::Full | Entry::Starting | Entry::Polluted => error(100),
    }
}

fn welcome(session: &Session) -> Value {
    let data = json!({"did": "", "sid": session.access, "synotoken": session.csrf});
    json!({"data": data, "success": true})
}

fn error(code: u16) -> Value {
    json!({"error": {"code": code}, "success": false})
}
