//! OAuth 2.0, three ways: client credentials; a password with a refresh token that is good once;
//! a password with a refresh token that stays.
//!
//! Sources: RFC 6749, sections 2.3.1 (a client's id and secret are form-encoded before they are
//! joined), 4.3, 4.4, 5.1, 5.2 and 6; RFC 7009 for the revocation; RFC 6585, section 4, for the
//! 429.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde_json::json;

use crate::asked::{Asked, THROTTLED, With as _, empty, field, json, tokens, too_many};
use crate::drive::{Call, Dialect};
use crate::world::{Entry, Fields, NAME, World};

/// The second secret: the client's own.
pub(crate) const CLIENT: &str = "cli ent";
pub(crate) const CLIENT_SECRET: &str = "battery:staple+100%";

pub(crate) const CLIENT_CREDENTIALS: Dialect = Dialect {
    recipe: include_str!("../../recipes/oauth_client_credentials.toml"),
    routes: client_credentials,
    values: &[("client_id", NAME)],
    secret: "client_secret",
    expires_in: 3_600,
    ..LASTING
};

pub(crate) const ROTATING: Dialect = Dialect {
    recipe: include_str!("../../recipes/oauth_password_rotating.toml"),
    routes: rotating,
    values: &[("username", NAME), ("client_id", CLIENT)],
    ..LASTING
};

pub(crate) const LASTING: Dialect = Dialect {
    recipe: include_str!("../../recipes/oauth_password.toml"),
    routes: lasting,
    values: &[
        ("username", NAME),
        ("client_id", CLIENT),
        ("client_secret", CLIENT_SECRET),
    ],
    secret: "password",
    read: Call::get("/me"),
    write: Call {
        method: "PUT",
        path: "/me",
        body: "{}",
    },
    wait: THROTTLED,
    expires_in: 300,
    idle_in: 0,
    fetches: 0,
};

/// The client is the account.
pub(crate) fn client_credentials() -> Router<Arc<World>> {
    api().route("/oauth2/token", post(of_client))
}

/// A public client, which has no secret. The refresh token is good once.
pub(crate) fn rotating() -> Router<Arc<World>> {
    api()
        .route("/oauth2/token", post(of_public_client))
        .route("/oauth2/revoke", post(revoke))
}

/// A client with a secret. The refresh token stays.
pub(crate) fn lasting() -> Router<Arc<World>> {
    api()
        .route("/oauth2/token", post(of_private_client))
        .route("/oauth2/revoke", post(revoke))
}

fn api() -> Router<Arc<World>> {
    Router::new().route("/me", get(me).put(me))
}

async fn of_client(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if field(&asked.form(), "grant_type") != "client_credentials" {
        return error(400, "unsupported_grant_type");
    }
    let Some((name, password)) = client(&asked) else {
        return error(401, "invalid_client");
    };
    match world.login(&asked, &name, &password) {
        Entry::Welcome(session) => tokens(&session, false, 3_600),
        Entry::Refused => error(401, "invalid_client"),
        Entry::Limited => too_many(),
        Entry::Locked | Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

async fn of_public_client(State(world): State<Arc<World>>, asked: Asked) -> Response {
    let fields = asked.form();
    if field(&fields, "client_id") != CLIENT {
        return error(401, "invalid_client");
    }
    if field(&fields, "grant_type") == "refresh_token" {
        return match world.refresh_once(field(&fields, "refresh_token")) {
            Some(session) => tokens(&session, true, 300),
            None => error(400, "invalid_grant"),
        };
    }
    by_password(&world, &asked, &fields)
}

async fn of_private_client(State(world): State<Arc<World>>, asked: Asked) -> Response {
    if client(&asked) != Some((CLIENT.to_owned(), CLIENT_SECRET.to_owned())) {
        return error(401, "invalid_client");
    }
    let fields = asked.form();
    if field(&fields, "grant_type") == "refresh_token" {
        return match world.refresh(field(&fields, "refresh_token")) {
            Some(session) => tokens(&session, false, 300),
            None => error(400, "invalid_grant"),
        };
    }
    by_password(&world, &asked, &fields)
}

fn by_password(world: &World, asked: &Asked, fields: &Fields) -> Response {
    if field(fields, "grant_type") != "password" {
        return error(400, "unsupported_grant_type");
    }
    match world.login(asked, field(fields, "username"), field(fields, "password")) {
        Entry::Welcome(session) => tokens(&session, true, 300),
        Entry::Refused => error(400, "invalid_grant"),
        Entry::Limited => too_many(),
        Entry::Locked | Entry::Full | Entry::Starting | Entry::Polluted => empty(400),
    }
}

/// The id and the secret of a client, each of them decoded.
fn client(asked: &Asked) -> Option<(String, String)> {
    let (id, secret) = asked.basic()?;
    let pair = format!("/?id={id}&secret={secret}").parse().ok()?;
    let Query::<Fields>(mut pair) = Query::try_from_uri(&pair).ok()?;
    Some((pair.remove("id")?, pair.remove("secret")?))
}

fn error(status: u16, error: &str) -> Response {
    json(status, json!({"error": error}))
}

async fn me(State(world): State<Arc<World>>, asked: Asked) -> Response {
    match world.enter(asked.bearer()) {
        Some(_) => json(200, json!({"name": "Ada"})),
        None => empty(401).with("www-authenticate", "Bearer error=\"invalid_token\""),
    }
}

async fn revoke(State(world): State<Arc<World>>, asked: Asked) -> Response {
    world.logout(|session| session.refresh == field(&asked.form(), "token"));
    empty(200)
}
